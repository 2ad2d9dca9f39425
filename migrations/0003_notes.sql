-- What led to each version of a message lies in its row: a save rewrites that anyway, and a row of its own for each version
-- cost a table and an index more. One line per commit, oldest first: when, and its notes as JSON.
ALTER TABLE message ADD COLUMN notes text NOT NULL DEFAULT '';
UPDATE message m SET notes = told.lines
FROM (SELECT day, id, string_agg(at || ' ' || notes || E'\n', '' ORDER BY version) AS lines FROM journal GROUP BY day, id) told
WHERE m.day = told.day AND m.id = told.id;
DROP TABLE journal;
-- Saves of one group rewrite neighbours at once, before what they replace can be cleared: room for that on each page.
ALTER TABLE message_other SET (fillfactor = 45);
