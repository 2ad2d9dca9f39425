-- What led to each version of a message lies in its row: a save rewrites that anyway, and a row of its own for each version
-- cost a table and an index more. One line per commit, oldest first: when, and its notes as JSON.
LOCK TABLE message, journal IN ACCESS EXCLUSIVE MODE;
ALTER TABLE message ADD COLUMN notes text NOT NULL DEFAULT '';
UPDATE message m SET notes = told.lines
FROM (SELECT day, id, string_agg(at || ' ' || notes || E'\n', '' ORDER BY version) AS lines FROM journal GROUP BY day, id) told
WHERE m.day = told.day AND m.id = told.id;
-- Days that were detached and not dropped yet are found by their name alone.
DO $$
DECLARE
    stray regclass;
BEGIN
    FOR stray IN
        SELECT c.oid FROM pg_class c
        WHERE c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'journal'::regclass)
          AND c.relkind = 'r' AND c.relname ~ '^journal_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
          AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
    LOOP
        EXECUTE format('DROP TABLE %s', stray);
    END LOOP;
END
$$;
DROP TABLE journal;
-- Saves of one group rewrite neighbours at once, before what they replace can be cleared: room for that on each page. Days
-- that are made from now on have it, too.
ALTER TABLE message_other SET (fillfactor = 45);
