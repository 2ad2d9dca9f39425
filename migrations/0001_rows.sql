-- The rows of the store. Times are Unix milliseconds, given by the program; nothing here asks the server for the time.
-- A day counts from 1970-01-01 in UTC: the day in a message's UUIDv7, or 0 for an id of another kind.

-- Messages and journals live in one partition per day, so that retention drops tables instead of deleting rows. The
-- program creates the partitions, with room on each page for the versions that the saves of one message write.
CREATE TABLE message (
    day      integer NOT NULL,
    id       uuid    NOT NULL,
    version  bigint  NOT NULL,
    ended_at bigint,
    body     bytea   NOT NULL,
    PRIMARY KEY (id, day)
) PARTITION BY LIST (day);
-- Sealed bodies do not compress.
ALTER TABLE message ALTER COLUMN body SET STORAGE EXTERNAL;

-- One row per commit of a message: what led to that version, as JSON.
CREATE TABLE journal (
    day     integer NOT NULL,
    id      uuid    NOT NULL,
    version bigint  NOT NULL,
    at      bigint  NOT NULL,
    notes   text    NOT NULL
) PARTITION BY LIST (day);
CREATE INDEX ON journal (id);

-- Every message that is live, or that the sweep must look at again. Narrow, because every save rewrites it.
CREATE TABLE due (
    id     uuid    PRIMARY KEY,
    day    integer NOT NULL,
    due_at bigint,
    live   boolean NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX ON due (due_at) WHERE due_at IS NOT NULL;

-- Which leg a provider's reference belongs to. References are bytes: a provider may send any.
CREATE TABLE reference (
    provider  text     NOT NULL,
    reference bytea    NOT NULL,
    day       integer  NOT NULL,
    id        uuid     NOT NULL,
    leg       smallint NOT NULL,
    PRIMARY KEY (provider, reference)
);
CREATE INDEX ON reference (day);
CREATE INDEX ON reference (id);

-- What only one message may hold at a time. One table for all days: a claim must be found whatever day it is from.
CREATE TABLE claim (
    kind        smallint NOT NULL,
    tag         bytea    NOT NULL,
    fingerprint bytea    NOT NULL,
    id          uuid     NOT NULL,
    until       bigint   NOT NULL,
    PRIMARY KEY (kind, tag)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX ON claim (until);

-- Rolling limits. The index is on the hour, so that most payments leave it alone.
CREATE TABLE bucket (
    tag       bytea  PRIMARY KEY,
    entries   bytea  NOT NULL,
    over_at   bigint NOT NULL,
    over_hour bigint GENERATED ALWAYS AS (over_at / 3600000) STORED
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX ON bucket (over_hour);

-- Reports that match no leg yet.
CREATE TABLE inbox (
    seq       bigint GENERATED ALWAYS AS IDENTITY,
    provider  text   NOT NULL,
    reference bytea  NOT NULL,
    digest    bytea  NOT NULL,
    at        bigint NOT NULL,
    body      bytea  NOT NULL,
    PRIMARY KEY (provider, reference, digest)
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX ON inbox (at);

-- Names and values are bytes of UTF-8: text would not take every letter.
CREATE TABLE setting (
    name  bytea PRIMARY KEY,
    value bytea NOT NULL
);

-- How many messages came and went, added up when counted: no row that every commit would fight for.
CREATE TABLE tally (
    messages bigint NOT NULL
);

-- Ids of other kinds than UUIDv7 say no day.
CREATE TABLE message_other PARTITION OF message FOR VALUES IN (0)
    WITH (fillfactor = 60, toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE journal_other PARTITION OF journal FOR VALUES IN (0);
