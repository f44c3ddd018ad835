-- The audit record. Append-only: no role but the owner may change or remove a
-- record, and no function of the gateway does.

-- One process's authorship. Not a tenant's: a writer writes for all of them.
CREATE TABLE audit_writers (
    id        uuid   PRIMARY KEY,
    opened_at bigint NOT NULL
);

CREATE TABLE audit_logs (
    tenant_id             uuid   NOT NULL,
    writer                uuid   NOT NULL REFERENCES audit_writers,
    sequence              bigint NOT NULL CHECK (sequence > 0),
    id                    uuid   NOT NULL,
    time                  bigint NOT NULL,
    organization          text   NOT NULL,
    -- Personal fields and the key of their commitments: null once erased.
    actor                 text,
    address               text,
    user_agent            text,
    commitment_key        bytea  CHECK (octet_length(commitment_key) = 16),
    actor_commitment      bytea  NOT NULL CHECK (octet_length(actor_commitment) = 32),
    address_commitment    bytea  NOT NULL CHECK (octet_length(address_commitment) = 32),
    user_agent_commitment bytea  NOT NULL CHECK (octet_length(user_agent_commitment) = 32),
    action                text   NOT NULL,
    resource              text   NOT NULL,
    outcome               text   NOT NULL,
    reason                text,
    request_id            text   NOT NULL,
    previous_hash         bytea  NOT NULL CHECK (octet_length(previous_hash) = 32),
    hash                  bytea  NOT NULL CHECK (octet_length(hash) = 32),
    -- A position in a chain is taken once, whatever a gateway does.
    PRIMARY KEY (tenant_id, writer, sequence)
);
-- The only secondary index, because records are written far more often than
-- they are searched: ids are UUIDv7, so it serves "newest first" and ranges of
-- time, and other filters read along it.
CREATE UNIQUE INDEX audit_logs_by_id ON audit_logs (tenant_id, id DESC);

ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON audit_logs FOR SELECT TO agentapi_gateway
    USING (tenant_id = current_tenant());
-- The worker's one policy: a batch holds the records of many tenants. It
-- may append and cannot read what it or anyone else appended.
CREATE POLICY append_batches ON audit_logs FOR INSERT TO agentapi_worker
    WITH CHECK (true);

GRANT INSERT ON audit_writers TO agentapi_gateway;
GRANT SELECT ON audit_logs    TO agentapi_gateway;
GRANT INSERT ON audit_logs    TO agentapi_worker;
