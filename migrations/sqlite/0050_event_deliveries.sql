-- The outbox of events; the pair of the PostgreSQL migration of the same name.

CREATE TABLE event_deliveries (
    tenant_id       BLOB    NOT NULL,
    -- UUIDv7; the receiver knows the message by it, however often it is sent.
    id              BLOB    NOT NULL,
    sink            TEXT    NOT NULL,
    record_id       BLOB    NOT NULL,
    created_at      INTEGER NOT NULL,
    -- Counted up by whoever takes the row to send it, and so the proof of having taken it.
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Nobody takes the row before. Whoever takes it moves this ahead.
    next_attempt_at INTEGER NOT NULL,
    -- Since when it is a dead letter.
    dead_at         INTEGER,
    last_error      TEXT,
    PRIMARY KEY (tenant_id, id)
) STRICT;

CREATE INDEX event_deliveries_due     ON event_deliveries (next_attempt_at, tenant_id, sink) WHERE dead_at IS NULL;
CREATE INDEX event_deliveries_of_sink ON event_deliveries (tenant_id, sink, next_attempt_at, id) WHERE dead_at IS NULL;
CREATE INDEX event_deliveries_dead    ON event_deliveries (tenant_id, id DESC) WHERE dead_at IS NOT NULL;
CREATE INDEX event_deliveries_by_end  ON event_deliveries (dead_at) WHERE dead_at IS NOT NULL;
