-- Days that were sealed before revisions were kept: their newest one is known. The ones before it come with a rebuild.

INSERT INTO day_revisions (tenant_key, day, revision, billing_lines, reason, digest, gathered_at)
SELECT tenant_key, day, sealed_revision, coalesce(billing_lines, 0), coalesce(seal_reason, 'new'), coalesce(seal_digest, ''),
       coalesce(gathered_at, day::timestamp AT TIME ZONE 'UTC')
FROM day_facts
WHERE sealed_revision IS NOT NULL
ON CONFLICT DO NOTHING;
