-- A sweep looks for what lives before it erases what has ended, however much of that is due. Each entry is in one of the two,
-- so a save writes no more than before. Programs of the version before find the same entries, but walk over all of them.
LOCK TABLE due IN ACCESS EXCLUSIVE MODE;
CREATE INDEX due_live ON due (due_at) WHERE live AND due_at IS NOT NULL;
CREATE INDEX due_ended ON due (due_at) WHERE NOT live AND due_at IS NOT NULL;
DROP INDEX due_due_at_idx;
