-- What the gather stage did: each cycle of a tenant, and the days it holds back, from topics `runs` and `gather-state`.

INSERT INTO projections (projection) VALUES ('gathering');

CREATE TABLE run_facts (
    tenant_key        int  NOT NULL,
    run_id            text NOT NULL,
    instance          text NOT NULL,
    trigger           text NOT NULL,
    -- Ids of the commands that it answers.
    commands          text[] NOT NULL,
    started_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    status            text NOT NULL,
    from_day          date,
    to_day            date,
    sealed            int NOT NULL,
    unchanged         int NOT NULL,
    held              int NOT NULL,
    quarantined       int NOT NULL,
    errors            text[] NOT NULL,
    failures_in_a_row int NOT NULL,
    suspended         text,
    next_due_at       timestamptz,
    PRIMARY KEY (tenant_key, run_id)
);
CREATE INDEX ON run_facts (tenant_key, started_at DESC);
CREATE INDEX ON run_facts USING gin (commands);

-- What gather remembers of a day, as far as others want to know it; `why` is null for a day that is not held.
CREATE TABLE held_days (
    tenant_key int    NOT NULL,
    day        date   NOT NULL,
    revision   int    NOT NULL,
    attempts   int    NOT NULL,
    why        text,
    -- When it was written, in milliseconds: after the topic was widened a day has records in two partitions.
    written_ms bigint NOT NULL,
    PRIMARY KEY (tenant_key, day)
);

CREATE VIEW runs AS
SELECT t.tenant_id, r.run_id, r.instance, r.trigger, r.commands, r.started_at, r.ended_at, r.status, r.from_day, r.to_day,
       r.sealed, r.unchanged, r.held, r.quarantined, r.errors, r.failures_in_a_row, r.suspended, r.next_due_at
FROM run_facts r
JOIN tenants t ON t.tenant_key = r.tenant_key;

-- As before, with what is held; a day that was never sealed is here when it is held.
CREATE OR REPLACE VIEW days AS
SELECT t.tenant_id, coalesce(d.ecosystem, '') AS ecosystem, k.day,
       d.sealed_revision, d.seal_digest, d.seal_reason, d.gathered_at, d.billing_lines, d.resources, d.identities,
       d.metrics, d.metrics_failed, d.quarantined,
       d.allocated_revision, d.rows, d.amount, d.facts_digest, d.rows_digest, d.allocated_at,
       CASE WHEN d.refused_revision > coalesce(d.allocated_revision, 0) THEN 'refused'
            WHEN d.allocated_revision IS NOT NULL THEN 'allocated' END AS outcome,
       d.refused_revision, d.refused_reason,
       p.billing_revision, p.resources_revision, p.identities_revision, p.chargebacks_revision,
       h.why AS held, h.attempts AS held_attempts
FROM (SELECT tenant_key, day FROM day_facts UNION SELECT tenant_key, day FROM held_days WHERE why IS NOT NULL) k
JOIN tenants t ON t.tenant_key = k.tenant_key
LEFT JOIN day_facts d ON d.tenant_key = k.tenant_key AND d.day = k.day
LEFT JOIN held_days h ON h.tenant_key = k.tenant_key AND h.day = k.day AND h.why IS NOT NULL
LEFT JOIN LATERAL (
    SELECT max(s.revision) FILTER (WHERE s.projection = 'billing')     AS billing_revision,
           max(s.revision) FILTER (WHERE s.projection = 'resources')   AS resources_revision,
           max(s.revision) FILTER (WHERE s.projection = 'identities')  AS identities_revision,
           max(s.revision) FILTER (WHERE s.projection = 'chargebacks') AS chargebacks_revision
    FROM slices s
    WHERE s.tenant_key = k.tenant_key AND s.day = k.day AND s.complete
) p ON true;

SELECT isolate('run_facts'), isolate('held_days'), isolate('runs'), isolate('days');
