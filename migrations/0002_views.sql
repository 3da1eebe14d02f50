-- What readers see: whole slices only, tenants and dimensions by name.

CREATE VIEW billing AS
SELECT t.tenant_id, f.ecosystem, f.day, f.revision, f.env_id, f.resource_id, f.resource_name, f.product_category,
       f.product_type, f.quantity, f.unit_price, f.amount, f.original_amount, f.currency, f.granularity,
       f.period_start, f.period_end, f.evidence
FROM billing_facts f
JOIN slices s ON s.projection = 'billing' AND s.tenant_key = f.tenant_key AND s.day = f.day
             AND s.revision = f.revision AND s.complete
JOIN tenants t ON t.tenant_key = f.tenant_key;

CREATE VIEW resources AS
SELECT t.tenant_id, f.ecosystem, f.day, f.revision, f.resource_id, f.resource_type, f.display_name, f.parent_id,
       f.owner_id, f.created_at, f.deleted_at, f.attributes
FROM resource_facts f
JOIN slices s ON s.projection = 'resources' AND s.tenant_key = f.tenant_key AND s.day = f.day
             AND s.revision = f.revision AND s.complete
JOIN tenants t ON t.tenant_key = f.tenant_key;

CREATE VIEW identities AS
SELECT t.tenant_id, f.ecosystem, f.day, f.revision, f.identity_id, f.identity_type, f.display_name, f.owner_id,
       f.resource_id, f.created_at, f.deleted_at, f.attributes
FROM identity_facts f
JOIN slices s ON s.projection = 'identities' AND s.tenant_key = f.tenant_key AND s.day = f.day
             AND s.revision = f.revision AND s.complete
JOIN tenants t ON t.tenant_key = f.tenant_key;

CREATE VIEW chargebacks AS
SELECT t.tenant_id, d.ecosystem, f.day, f.revision, d.env_id, d.resource_id, d.product_category, d.product_type,
       d.identity_id, d.target, d.cost_type, d.allocation_method, d.allocation_detail, f.amount, d.currency, d.tier,
       f.share, f.usage
FROM chargeback_facts f
JOIN slices s ON s.projection = 'chargebacks' AND s.tenant_key = f.tenant_key AND s.day = f.day
             AND s.revision = f.revision AND s.complete
JOIN chargeback_dimensions d ON d.dimension_key = f.dimension_key
JOIN tenants t ON t.tenant_key = f.tenant_key;

-- `…_revision` is the newest whole revision in each table, null where there is none yet. A refused
-- revision leaves the rows of the one before it.
CREATE VIEW days AS
SELECT t.tenant_id, d.ecosystem, d.day,
       d.sealed_revision, d.seal_digest, d.seal_reason, d.gathered_at, d.billing_lines, d.resources, d.identities,
       d.metrics, d.metrics_failed, d.quarantined,
       d.allocated_revision, d.rows, d.amount, d.facts_digest, d.rows_digest, d.allocated_at,
       CASE WHEN d.refused_revision > coalesce(d.allocated_revision, 0) THEN 'refused'
            WHEN d.allocated_revision IS NOT NULL THEN 'allocated' END AS outcome,
       d.refused_revision, d.refused_reason,
       p.billing_revision, p.resources_revision, p.identities_revision, p.chargebacks_revision
FROM day_facts d
JOIN tenants t ON t.tenant_key = d.tenant_key
LEFT JOIN LATERAL (
    SELECT max(s.revision) FILTER (WHERE s.projection = 'billing')     AS billing_revision,
           max(s.revision) FILTER (WHERE s.projection = 'resources')   AS resources_revision,
           max(s.revision) FILTER (WHERE s.projection = 'identities')  AS identities_revision,
           max(s.revision) FILTER (WHERE s.projection = 'chargebacks') AS chargebacks_revision
    FROM slices s
    WHERE s.tenant_key = d.tenant_key AND s.day = d.day AND s.complete
) p ON true;
