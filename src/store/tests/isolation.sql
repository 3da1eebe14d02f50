INSERT INTO slices VALUES
    ('billing', $key, '2026-02-28', 1, 1, '{[0,1)}', true), ('resources', $key, '2026-02-28', 1, 1, '{[0,1)}', true),
    ('identities', $key, '2026-02-28', 1, 1, '{[0,1)}', true), ('chargebacks', $key, '2026-02-28', 1, 1, '{[0,1)}', true),
    ('topic-attributions', $key, '2026-02-28', 1, 1, '{[0,1)}', true);
INSERT INTO topic_attribution_facts VALUES ($key, '2026-02-28', 1, 'e', '$text', '$text', '$text', '$text', '$text', '$text', 1,
    'USD', 1, NULL);
INSERT INTO billing_facts VALUES ($key, '2026-02-28', 1, 'e', '$text', '$text', '$text', '$text', '$text', 1, 1, 1, NULL,
    'USD', 'daily', '2026-02-28', '2026-03-01', ARRAY['$text']);
INSERT INTO resource_facts VALUES ($key, '2026-02-28', 1, 'e', '$text', '$text', '$text', '$text', '$text', NULL, NULL, '{}');
INSERT INTO identity_facts VALUES ($key, '2026-02-28', 1, 'e', '$text', '$text', '$text', '$text', '$text', NULL, NULL, '{}');
WITH d AS (INSERT INTO chargeback_dimensions
    (fingerprint, tenant_key, ecosystem, env_id, resource_id, product_category, product_type, identity_id, target,
     cost_type, allocation_method, allocation_detail, currency, tier)
    VALUES ('\x0$key', $key, 'e', '$text', '$text', '$text', '$text', '$text', 'identity', 'usage', '$text', '$text', 'USD', 0)
    RETURNING dimension_key)
INSERT INTO chargeback_facts SELECT $key, '2026-02-28', 1, dimension_key, 1, 1, NULL FROM d;
INSERT INTO day_facts (tenant_key, day, ecosystem, sealed_revision, seal_digest, refused_reason)
    VALUES ($key, '2026-02-28', 'e', 1, '$text', '$text');
INSERT INTO run_facts VALUES ($key, '$text', '$text', 'periodic', ARRAY['$text'], now(), now(), 'completed', NULL, NULL, 1, 0, 0, 0,
    ARRAY['$text'], 0, '$text', NULL);
INSERT INTO tag_facts VALUES ($key, 'resource', '$text', '$text', '$text', now(), '$text');
INSERT INTO held_days VALUES ($key, '2026-02-28', 1, 0, '$text', 0);
INSERT INTO quarantine VALUES
    ('$tenant', '$tenant', '2026-02-28', 'gather', 's', NULL, NULL, NULL, NULL, '$text', '$text', 'open', now()),
    -- Another tenant's record under this one's key.
    ('misplaced-$tenant', 'a', '2026-02-28', 'project', 's', 'billing', 0, 7, '$tenant', 'belongs-to-b', 'belongs-to-b', 'open', now());
INSERT INTO emission_facts VALUES ($key, 'chargebacks', '$text', 'daily', '2026-02-28', 1, 'failed', 1, '$text', 0, '$text', now());
INSERT INTO rule_books VALUES ($key, '\x0$key', '$text');
INSERT INTO audit_facts VALUES ($key, '$text', $key, now(), '$text', '$text', 'tag', '$text', '$text', '$text', '$text');
INSERT INTO chargeback_months VALUES ($key, '2026-02-01', ARRAY['2026-02-28'::date], ARRAY[1]);
INSERT INTO chargeback_sums SELECT $key, '2026-02-01', dimension_key, 1, 1 FROM chargeback_dimensions WHERE tenant_key = $key;
INSERT INTO day_revisions VALUES ($key, '2026-02-28', 1, 1, '$text', '$text', now());
INSERT INTO resource_places VALUES ($key, '$text', '$text', '$text', '2026-02-28', 1);
INSERT INTO replaced_lines VALUES ($key, '2026-02-28', 0, '\x0$key', 1, 1, 1, NULL, '$text', '$text', '$text', '$text', '$text',
    '$text', '$text', '$text', now(), now(), ARRAY['$text']);
