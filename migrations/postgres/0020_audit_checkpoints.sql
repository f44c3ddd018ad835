-- Chains, checkpoints and monthly partitions of the audit record.
--
-- A chain is what one writer wrote for one organization. It is in one partition
-- from its first record to its last, because a writer writes for one month and
-- one retention class; so whole chains are removed when their time is over, and
-- a position in a chain is taken once although the key of a partitioned table
-- holds the partition too.

-- A superuser is not bound by row-level security; the owner is, and must see
-- all rows while they move.
ALTER TABLE audit_logs NO FORCE ROW LEVEL SECURITY;

ALTER TABLE audit_writers
    -- Partition of everything it writes: YYYYMM, and days after the month's end.
    ADD COLUMN month          integer,
    ADD COLUMN retention_days integer,
    -- When its process last said that it lives.
    ADD COLUMN seen_at        bigint,
    -- Since when nothing can be added to its chains.
    ADD COLUMN closed_at      bigint,
    -- Most records that it may have acknowledged in buffered mode and not written yet.
    ADD COLUMN may_lack       integer NOT NULL DEFAULT 0 CHECK (may_lack >= 0);

-- What was written before is kept as long as the default says, from its last record.
UPDATE audit_writers SET
    retention_days = 365,
    seen_at = opened_at,
    month = to_char(to_timestamp(coalesce(
        (SELECT max(time) FROM audit_logs WHERE writer = audit_writers.id), opened_at) / 1000000.0)
        AT TIME ZONE 'UTC', 'YYYYMM')::integer;

ALTER TABLE audit_writers
    ALTER COLUMN month SET NOT NULL,
    ALTER COLUMN retention_days SET NOT NULL,
    ALTER COLUMN seen_at SET NOT NULL,
    ADD UNIQUE (id, month, retention_days);
CREATE INDEX audit_writers_open ON audit_writers (seen_at) WHERE closed_at IS NULL;

CREATE TABLE audit_chains (
    tenant_id      uuid    NOT NULL,
    writer         uuid    NOT NULL,
    month          integer NOT NULL,
    retention_days integer NOT NULL,
    -- Numbers of the checkpoints that state its end, and that its time is over.
    closed_in      bigint,
    dropped_in     bigint,
    PRIMARY KEY (tenant_id, writer),
    UNIQUE (tenant_id, writer, month, retention_days),
    FOREIGN KEY (writer, month, retention_days) REFERENCES audit_writers (id, month, retention_days)
);
CREATE INDEX audit_chains_unclosed ON audit_chains (writer) WHERE closed_in IS NULL;
CREATE INDEX audit_chains_of_partition ON audit_chains (month, retention_days, writer);

INSERT INTO audit_chains (tenant_id, writer, month, retention_days)
    SELECT DISTINCT logs.tenant_id, logs.writer, writers.month, writers.retention_days
    FROM audit_logs logs JOIN audit_writers writers ON writers.id = logs.writer;

-- Signed statements of how far the chains of an organization have come. The
-- document is kept as the text that was signed.
CREATE TABLE audit_checkpoints (
    tenant_id uuid   NOT NULL,
    number    bigint NOT NULL CHECK (number > 0),
    time      bigint NOT NULL,
    document  text   NOT NULL,
    signed_by text   NOT NULL,
    signature text   NOT NULL,
    PRIMARY KEY (tenant_id, number)
);

ALTER TABLE audit_logs RENAME TO audit_logs_unpartitioned;
ALTER INDEX audit_logs_pkey RENAME TO audit_logs_unpartitioned_pkey;
ALTER INDEX audit_logs_by_id RENAME TO audit_logs_unpartitioned_by_id;

CREATE TABLE audit_logs (
    tenant_id             uuid    NOT NULL,
    writer                uuid    NOT NULL,
    sequence              bigint  NOT NULL CHECK (sequence > 0),
    id                    uuid    NOT NULL,
    time                  bigint  NOT NULL,
    organization          text    NOT NULL,
    -- Personal fields and the key of their commitments: null once erased.
    actor                 text,
    address               text,
    user_agent            text,
    commitment_key        bytea   CHECK (octet_length(commitment_key) = 16),
    actor_commitment      bytea   NOT NULL CHECK (octet_length(actor_commitment) = 32),
    address_commitment    bytea   NOT NULL CHECK (octet_length(address_commitment) = 32),
    user_agent_commitment bytea   NOT NULL CHECK (octet_length(user_agent_commitment) = 32),
    action                text    NOT NULL,
    resource              text    NOT NULL,
    outcome               text    NOT NULL,
    reason                text,
    request_id            text    NOT NULL,
    previous_hash         bytea   NOT NULL CHECK (octet_length(previous_hash) = 32),
    hash                  bytea   NOT NULL CHECK (octet_length(hash) = 32),
    month                 integer NOT NULL,
    retention_days        integer NOT NULL,
    PRIMARY KEY (tenant_id, writer, sequence, month, retention_days),
    FOREIGN KEY (tenant_id, writer, month, retention_days)
        REFERENCES audit_chains (tenant_id, writer, month, retention_days)
) PARTITION BY RANGE (month, retention_days);
-- The only secondary index, because records are written far more often than
-- they are searched: ids are UUIDv7, so it serves "newest first" and ranges of
-- time, and other filters read along it.
CREATE UNIQUE INDEX audit_logs_by_id ON audit_logs (tenant_id, id DESC, month, retention_days);

-- Makes the partition of a month and a retention class; false if it is there.
-- The table is made first and attached then: attaching does not wait for readers.
CREATE FUNCTION audit_add_partition(of_month integer, days integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s'
AS $$
DECLARE
    partition text := format('audit_logs_%s_%sd', of_month, days);
    furthest  integer := to_char(now() AT TIME ZONE 'UTC' + interval '3 months', 'YYYYMM')::integer;
BEGIN
    IF days IS NULL OR days NOT IN (30, 90, 365, 2555) THEN
        RAISE EXCEPTION 'no retention class has % days', days USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF of_month IS NULL OR of_month % 100 NOT BETWEEN 1 AND 12 OR of_month NOT BETWEEN 200001 AND furthest THEN
        RAISE EXCEPTION '% is no month until %', of_month, furthest USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF to_regclass(format('public.%I', partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('agentapi/audit/partitions', 0));
    IF to_regclass(format('public.%I', partition)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.audit_logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
    -- No role has a right or a policy on a partition: all go through audit_logs.
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', partition);
    EXECUTE format('ALTER TABLE public.audit_logs ATTACH PARTITION public.%I FOR VALUES FROM (%s, %s) TO (%s, %s)',
        partition, of_month, days, of_month, days + 1);
    RETURN true;
END
$$;

-- Removes a partition with its chains and writers; false if it is not there.
-- Refuses before its time is over by the database's own clock, while a writer is
-- open, and until a checkpoint states the end of every chain.
CREATE FUNCTION audit_drop_partition(of_month integer, days integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '5s'
AS $$
DECLARE
    partition text := format('audit_logs_%s_%sd', of_month, days);
    expires   timestamptz := make_timestamptz(of_month / 100, of_month % 100, 1, 0, 0, 0, 'UTC')
        + interval '1 month' + make_interval(days => days);
    dropped   record;
BEGIN
    IF now() < expires THEN
        RAISE EXCEPTION 'the records of % are kept until %', of_month, expires
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF EXISTS (SELECT FROM public.audit_writers writers
               WHERE writers.month = of_month AND writers.retention_days = days AND writers.closed_at IS NULL) THEN
        RAISE EXCEPTION 'a writer of % is not closed', of_month USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF EXISTS (SELECT FROM public.audit_chains chains
               WHERE chains.month = of_month AND chains.retention_days = days AND chains.dropped_in IS NULL) THEN
        RAISE EXCEPTION 'a chain of % is in no checkpoint', of_month USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    -- What the checkpoints before say is said again by the one that states the drop.
    FOR dropped IN
        SELECT chains.tenant_id, max(chains.dropped_in) AS number FROM public.audit_chains chains
        WHERE chains.month = of_month AND chains.retention_days = days GROUP BY chains.tenant_id
    LOOP
        DELETE FROM public.audit_checkpoints checkpoints
            WHERE checkpoints.tenant_id = dropped.tenant_id AND checkpoints.number < dropped.number;
    END LOOP;
    IF to_regclass(format('public.%I', partition)) IS NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP TABLE public.%I', partition);
    DELETE FROM public.audit_chains WHERE month = of_month AND retention_days = days;
    DELETE FROM public.audit_writers WHERE month = of_month AND retention_days = days;
    RETURN true;
END
$$;

-- Erases the personal fields of one actor of the transaction's tenant. The
-- commitments stay, and with them the hashes: the chain still verifies.
CREATE FUNCTION audit_erase(of_actor text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH erased AS (
        UPDATE public.audit_logs SET actor = NULL, address = NULL, user_agent = NULL, commitment_key = NULL
        WHERE tenant_id = public.current_tenant() AND actor = of_actor
        RETURNING 1)
    SELECT count(*) FROM erased
$$;

REVOKE ALL ON FUNCTION audit_add_partition, audit_drop_partition, audit_erase FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_add_partition, audit_drop_partition, audit_erase TO agentapi_worker;

-- The partitions of what there is, and of what comes next.
SELECT audit_add_partition(month, retention_days)
    FROM (SELECT DISTINCT month, retention_days FROM audit_writers
          UNION SELECT to_char(now() AT TIME ZONE 'UTC' + ahead, 'YYYYMM')::integer, 365
          FROM unnest(ARRAY[interval '0', interval '1 month']) AS ahead) partitions;

INSERT INTO audit_logs
    SELECT logs.*, writers.month, writers.retention_days
    FROM audit_logs_unpartitioned logs JOIN audit_writers writers ON writers.id = logs.writer;
DROP TABLE audit_logs_unpartitioned;

ALTER TABLE audit_logs        ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_chains      ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_checkpoints ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON audit_logs FOR SELECT TO agentapi_gateway
    USING (tenant_id = current_tenant());
CREATE POLICY one_tenant ON audit_chains TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY one_tenant ON audit_checkpoints TO agentapi_gateway
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
-- A batch holds the records of many tenants. The worker may append and cannot
-- read what it or anyone else appended; it knows which tenant has which chain.
CREATE POLICY append_batches ON audit_logs FOR INSERT TO agentapi_worker
    WITH CHECK (true);
CREATE POLICY append_batches ON audit_chains FOR INSERT TO agentapi_worker
    WITH CHECK (true);
CREATE POLICY find_chains ON audit_chains FOR SELECT TO agentapi_worker
    USING (true);
-- What the functions above do, in the name of the schema's owner.
CREATE POLICY erase ON audit_logs TO CURRENT_USER
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY drop_partitions ON audit_chains TO CURRENT_USER
    USING (true);
CREATE POLICY drop_partitions ON audit_checkpoints TO CURRENT_USER
    USING (true);

REVOKE INSERT                               ON audit_writers     FROM agentapi_gateway;
GRANT SELECT                                ON audit_writers     TO agentapi_gateway;
GRANT SELECT, INSERT                        ON audit_writers     TO agentapi_worker;
GRANT UPDATE (seen_at, closed_at, may_lack) ON audit_writers     TO agentapi_worker;
GRANT SELECT                                ON audit_logs        TO agentapi_gateway;
GRANT INSERT                                ON audit_logs        TO agentapi_worker;
GRANT SELECT, UPDATE (closed_in, dropped_in) ON audit_chains     TO agentapi_gateway;
GRANT SELECT, INSERT                        ON audit_chains      TO agentapi_worker;
GRANT SELECT, INSERT                        ON audit_checkpoints TO agentapi_gateway;
