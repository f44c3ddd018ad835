-- The outbox of events: one row for each record and each sink that it is to be sent
-- to, written in the transaction of the record. A row refers to the record and
-- repeats nothing of it, so that what is erased there is not sent any more.
--
-- A row goes when its event has been delivered. One that cannot be delivered stays
-- as a dead letter until somebody has it sent again or discards it.

CREATE TABLE event_deliveries (
    tenant_id       uuid    NOT NULL,
    -- UUIDv7; the receiver knows the message by it, however often it is sent.
    id              uuid    NOT NULL,
    sink            text    NOT NULL,
    record_id       uuid    NOT NULL,
    created_at      bigint  NOT NULL,
    -- Counted up by whoever takes the row to send it, and so the proof of having taken it.
    attempts        integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    -- Nobody takes the row before. Whoever takes it moves this ahead.
    next_attempt_at bigint  NOT NULL,
    -- Since when it is a dead letter.
    dead_at         bigint,
    last_error      text,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX event_deliveries_due     ON event_deliveries (next_attempt_at, tenant_id, sink) WHERE dead_at IS NULL;
CREATE INDEX event_deliveries_of_sink ON event_deliveries (tenant_id, sink, next_attempt_at, id) WHERE dead_at IS NULL;
CREATE INDEX event_deliveries_dead    ON event_deliveries (tenant_id, id DESC) WHERE dead_at IS NOT NULL;
CREATE INDEX event_deliveries_by_end  ON event_deliveries (dead_at) WHERE dead_at IS NOT NULL;

ALTER TABLE event_deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON event_deliveries TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
GRANT SELECT, UPDATE, DELETE ON event_deliveries TO agentapi_gateway;

-- The worker writes the rows of a batch of records, sees for whom something is due,
-- and removes dead letters whose record may be gone. It learns of no record.
CREATE POLICY append_batches ON event_deliveries FOR INSERT TO agentapi_worker
    WITH CHECK (dead_at IS NULL AND attempts = 0);
CREATE POLICY due ON event_deliveries FOR SELECT TO agentapi_worker
    USING (dead_at IS NULL AND next_attempt_at <= now_in_microseconds());
CREATE POLICY sweep ON event_deliveries TO agentapi_worker
    USING (dead_at <= now_in_microseconds() - 30 * 86400000000) WITH CHECK (false);
GRANT INSERT, DELETE, SELECT (tenant_id, id, sink, next_attempt_at, dead_at) ON event_deliveries TO agentapi_worker;
