-- Where resources are: their own cloud and region, or those of what they run on. A row for each place that a resource was seen at,
-- with the first revision that says so; a resource does not move, so the place that was seen last for the first time is where it is.
-- Filled in any order of records, the table is the same.
CREATE TABLE resource_places (
    tenant_key  int  NOT NULL,
    resource_id text NOT NULL,
    -- Empty where it is not said.
    cloud       text NOT NULL,
    region      text NOT NULL,
    day         date NOT NULL,
    revision    int  NOT NULL
);
-- By a digest: an id may be longer than an entry of an index.
CREATE UNIQUE INDEX resource_places_key ON resource_places (tenant_key, md5(resource_id), cloud, region);

-- Adds the places that the resources of whole slices have.
CREATE FUNCTION add_places(tenants int[], days date[], revisions int[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO resource_places AS p (tenant_key, resource_id, cloud, region, day, revision)
    SELECT DISTINCT ON (f.tenant_key, f.resource_id, cloud, region)
           f.tenant_key, f.resource_id,
           coalesce(f.attributes ->> 'cloud', b.attributes ->> 'cloud', '') AS cloud,
           coalesce(f.attributes ->> 'region', b.attributes ->> 'region', '') AS region, f.day, f.revision
    FROM unnest(tenants, days, revisions) AS s (tenant_key, day, revision)
    JOIN resource_facts f USING (tenant_key, day, revision)
    LEFT JOIN resource_facts b ON b.tenant_key = f.tenant_key AND b.day = f.day AND b.revision = f.revision
         AND b.resource_id = coalesce(f.attributes ->> 'kafka_cluster_id', f.attributes ->> 'compute_pool_id', f.parent_id)
    WHERE f.resource_type <> 'topic' AND (f.attributes ?| '{cloud,region}' OR b.attributes ?| '{cloud,region}')
    ORDER BY f.tenant_key, f.resource_id, cloud, region, f.day, f.revision
    ON CONFLICT (tenant_key, md5(resource_id), cloud, region) DO UPDATE SET day = excluded.day, revision = excluded.revision
    WHERE (excluded.day, excluded.revision) < (p.day, p.revision)
$$;
REVOKE ALL ON FUNCTION add_places(int[], date[], int[]) FROM PUBLIC;

SELECT add_places(array_agg(tenant_key), array_agg(day), array_agg(revision)) FROM slices
WHERE projection = 'resources' AND complete;

SELECT isolate('resource_places');
