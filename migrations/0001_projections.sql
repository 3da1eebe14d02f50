-- The read model: what the journal says, as tables. Everything here can be dropped and replayed
-- (`tributary rebuild`); nothing here is the only copy of anything.
--
-- Facts are written as slices: one revision of one tenant's day. Readers use the views of 0002, which
-- show a slice only when it is whole, and only the newest whole one.

-- The Avro name of a tenant, narrow. Never deleted, so that a key means the same for ever.
CREATE TABLE tenants (
    tenant_key int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id  text NOT NULL UNIQUE
);

-- One row per projection. `generation` rises with each rebuild: whoever still works in an older one is refused.
CREATE TABLE projections (
    projection text PRIMARY KEY,
    generation int NOT NULL DEFAULT 0
);
INSERT INTO projections (projection)
VALUES ('billing'), ('resources'), ('identities'), ('chargebacks'), ('days'), ('quarantine');

-- What each projection reads next. Moved in the transaction that writes the rows.
CREATE TABLE positions (
    projection  text   NOT NULL REFERENCES projections,
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (projection, topic, partition)
) WITH (fillfactor = 50);

-- A revision of a tenant's day in one projection: how much of it is here.
CREATE TABLE slices (
    projection text NOT NULL REFERENCES projections,
    tenant_key int  NOT NULL,
    day        date NOT NULL,
    revision   int  NOT NULL,
    expected   int  NOT NULL,
    -- The ordinals that arrived; one range unless records came out of order.
    received   int4multirange NOT NULL DEFAULT '{}',
    complete   boolean NOT NULL,
    PRIMARY KEY (tenant_key, day, projection, revision)
);

CREATE TABLE billing_facts (
    tenant_key       int  NOT NULL,
    day              date NOT NULL,
    revision         int  NOT NULL,
    ecosystem        text NOT NULL,
    env_id           text NOT NULL,
    resource_id      text NOT NULL,
    resource_name    text,
    product_category text NOT NULL,
    product_type     text NOT NULL,
    quantity         numeric(28, 14) NOT NULL,
    unit_price       numeric(28, 14) NOT NULL,
    amount           numeric(28, 14) NOT NULL,
    original_amount  numeric(28, 14),
    currency         text NOT NULL,
    granularity      text NOT NULL,
    period_start     timestamptz NOT NULL,
    period_end       timestamptz NOT NULL,
    -- The provider's rows behind the line, as received.
    evidence         text[] NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX ON billing_facts (tenant_key, day);

CREATE TABLE resource_facts (
    tenant_key    int  NOT NULL,
    day           date NOT NULL,
    revision      int  NOT NULL,
    ecosystem     text NOT NULL,
    resource_id   text NOT NULL,
    resource_type text NOT NULL,
    display_name  text,
    parent_id     text,
    owner_id      text,
    created_at    timestamptz,
    deleted_at    timestamptz,
    attributes    jsonb NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX ON resource_facts (tenant_key, day);

CREATE TABLE identity_facts (
    tenant_key    int  NOT NULL,
    day           date NOT NULL,
    revision      int  NOT NULL,
    ecosystem     text NOT NULL,
    identity_id   text NOT NULL,
    identity_type text NOT NULL,
    display_name  text,
    owner_id      text,
    resource_id   text,
    created_at    timestamptz,
    deleted_at    timestamptz,
    attributes    jsonb NOT NULL
) PARTITION BY RANGE (day);
CREATE INDEX ON identity_facts (tenant_key, day);

-- Everything about a chargeback row that repeats from day to day.
CREATE TABLE chargeback_dimensions (
    dimension_key     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- 16 bytes of a digest of all columns below. Unique instead of the columns themselves, whose
    -- sum of lengths may pass what an index entry can hold.
    fingerprint       bytea NOT NULL UNIQUE,
    tenant_key        int  NOT NULL,
    ecosystem         text NOT NULL,
    env_id            text NOT NULL,
    resource_id       text NOT NULL,
    product_category  text NOT NULL,
    product_type      text NOT NULL,
    identity_id       text NOT NULL,
    target            text NOT NULL,
    cost_type         text NOT NULL,
    allocation_method text NOT NULL,
    allocation_detail text,
    currency          text NOT NULL,
    tier              int  NOT NULL
);

CREATE TABLE chargeback_facts (
    tenant_key    int    NOT NULL,
    day           date   NOT NULL,
    revision      int    NOT NULL,
    dimension_key bigint NOT NULL,
    amount        numeric(28, 14) NOT NULL,
    share         double precision NOT NULL,
    usage         double precision
) PARTITION BY RANGE (day);
CREATE INDEX ON chargeback_facts (tenant_key, day);

-- How far each tenant's day has come: its newest seal, its newest allocation, its newest refusal.
CREATE TABLE day_facts (
    tenant_key         int  NOT NULL,
    day                date NOT NULL,
    ecosystem          text NOT NULL,
    sealed_revision    int,
    seal_digest        text,
    seal_reason        text,
    gathered_at        timestamptz,
    billing_lines      int,
    resources          int,
    identities         int,
    metrics            int,
    metrics_failed     text[],
    quarantined        int,
    allocated_revision int,
    rows               int,
    amount             numeric(28, 14),
    facts_digest       text,
    rows_digest        text,
    allocated_at       timestamptz,
    refused_revision   int,
    refused_reason     text,
    PRIMARY KEY (tenant_key, day)
);

-- What was set aside, keyed by what it is.
CREATE TABLE quarantine (
    id        text PRIMARY KEY,
    tenant_id text,
    day       date,
    stage     text NOT NULL,
    source    text NOT NULL,
    topic     text,
    partition int,
    "offset"  bigint,
    key       bytea,
    payload   bytea NOT NULL,
    reason    text NOT NULL,
    status    text NOT NULL,
    at        timestamptz NOT NULL
);
CREATE INDEX ON quarantine (at) WHERE status = 'open';

-- Makes the partition of `parent` that holds the month of `day`, if it is missing.
--
-- Created apart and then attached, because attaching lets readers and writers of `parent` go on where
-- `CREATE TABLE … PARTITION OF` waits for all of them. Two processes may call it together.
CREATE FUNCTION ensure_month(parent text, day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    first date := date_trunc('month', day)::date;
    month text := parent || to_char(first, '_YYYY_MM');
BEGIN
    IF to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(parent));
    IF to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', month, parent);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   parent, month, first, (first + interval '1 month')::date);
END $$;
