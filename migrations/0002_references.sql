-- References are looked for by themselves, and deleted with their day or with messages of a known day: one index does for
-- both, and takes new entries at its end.
CREATE INDEX ON reference (day, id);
DROP INDEX reference_day_idx;
DROP INDEX reference_id_idx;
