-- Chains and checkpoints of the audit record; the pair of the PostgreSQL
-- migration of the same name. SQLite has no partitions: rows of whole chains are
-- deleted when their time is over, and triggers refuse any other removal.

-- What was written before is kept as long as the default says, from its last record.
ALTER TABLE audit_writers ADD COLUMN month INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit_writers ADD COLUMN retention_days INTEGER NOT NULL DEFAULT 365;
ALTER TABLE audit_writers ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit_writers ADD COLUMN closed_at INTEGER;
ALTER TABLE audit_writers ADD COLUMN may_lack INTEGER NOT NULL DEFAULT 0 CHECK (may_lack >= 0);
UPDATE audit_writers SET
    seen_at = opened_at,
    month = CAST(strftime('%Y%m', coalesce(
        (SELECT max(time) FROM audit_logs WHERE writer = audit_writers.id), opened_at) / 1000000, 'unixepoch') AS INTEGER);

CREATE TABLE audit_chains (
    tenant_id      BLOB    NOT NULL,
    writer         BLOB    NOT NULL REFERENCES audit_writers,
    month          INTEGER NOT NULL,
    retention_days INTEGER NOT NULL,
    -- Numbers of the checkpoints that state its end, and that its time is over.
    closed_in      INTEGER,
    dropped_in     INTEGER,
    PRIMARY KEY (tenant_id, writer)
) STRICT;
CREATE INDEX audit_chains_unclosed ON audit_chains (writer) WHERE closed_in IS NULL;
CREATE INDEX audit_chains_of_partition ON audit_chains (month, retention_days, writer);

INSERT INTO audit_chains (tenant_id, writer, month, retention_days)
    SELECT DISTINCT logs.tenant_id, logs.writer, writers.month, writers.retention_days
    FROM audit_logs logs JOIN audit_writers writers ON writers.id = logs.writer;

CREATE TABLE audit_checkpoints (
    tenant_id BLOB    NOT NULL,
    number    INTEGER NOT NULL CHECK (number > 0),
    time      INTEGER NOT NULL,
    document  TEXT    NOT NULL,
    signed_by TEXT    NOT NULL,
    signature TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, number)
) STRICT;
CREATE TRIGGER audit_checkpoints_are_not_changed BEFORE UPDATE ON audit_checkpoints
BEGIN
    SELECT raise(ABORT, 'audit checkpoints are not changed');
END;

DROP TRIGGER audit_logs_are_not_removed;
CREATE TRIGGER audit_logs_are_not_removed BEFORE DELETE ON audit_logs
    WHEN NOT EXISTS (SELECT 1 FROM audit_chains
                     WHERE tenant_id = OLD.tenant_id AND writer = OLD.writer AND dropped_in IS NOT NULL)
BEGIN
    SELECT raise(ABORT, 'audit records are not removed before a checkpoint states the end of their chain');
END;
-- A record belongs to a chain that is known.
CREATE TRIGGER audit_logs_are_of_a_chain BEFORE INSERT ON audit_logs
    WHEN NOT EXISTS (SELECT 1 FROM audit_chains WHERE tenant_id = NEW.tenant_id AND writer = NEW.writer)
BEGIN
    SELECT raise(ABORT, 'there is no such chain');
END;
