-- The audit record; the pair of the PostgreSQL migration of the same name.
-- Append-only: SQLite has no roles, so triggers refuse changes.

CREATE TABLE audit_writers (
    id        BLOB    NOT NULL PRIMARY KEY,
    opened_at INTEGER NOT NULL
) STRICT;

CREATE TABLE audit_logs (
    tenant_id             BLOB    NOT NULL,
    writer                BLOB    NOT NULL REFERENCES audit_writers,
    sequence              INTEGER NOT NULL CHECK (sequence > 0),
    id                    BLOB    NOT NULL,
    time                  INTEGER NOT NULL,
    organization          TEXT    NOT NULL,
    -- Personal fields and the key of their commitments: null once erased.
    actor                 TEXT,
    address               TEXT,
    user_agent            TEXT,
    commitment_key        BLOB    CHECK (length(commitment_key) = 16),
    actor_commitment      BLOB    NOT NULL CHECK (length(actor_commitment) = 32),
    address_commitment    BLOB    NOT NULL CHECK (length(address_commitment) = 32),
    user_agent_commitment BLOB    NOT NULL CHECK (length(user_agent_commitment) = 32),
    action                TEXT    NOT NULL,
    resource              TEXT    NOT NULL,
    outcome               TEXT    NOT NULL,
    reason                TEXT,
    request_id            TEXT    NOT NULL,
    previous_hash         BLOB    NOT NULL CHECK (length(previous_hash) = 32),
    hash                  BLOB    NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (tenant_id, writer, sequence)
) STRICT;
CREATE UNIQUE INDEX audit_logs_by_id ON audit_logs (tenant_id, id DESC);

-- Erasing personal fields is the one change there will be.
CREATE TRIGGER audit_logs_are_not_changed
    BEFORE UPDATE OF tenant_id, writer, sequence, id, time, organization, actor_commitment, address_commitment,
        user_agent_commitment, action, resource, outcome, reason, request_id, previous_hash, hash
    ON audit_logs
BEGIN
    SELECT raise(ABORT, 'audit records are not changed');
END;
CREATE TRIGGER audit_logs_are_not_removed BEFORE DELETE ON audit_logs
BEGIN
    SELECT raise(ABORT, 'audit records are not removed');
END;
