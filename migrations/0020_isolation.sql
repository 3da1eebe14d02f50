-- A tenant's own login sees the rows of its tenant and of no other, whatever it asks.
--
-- Which tenant a login belongs to stands in a table that it cannot read or write. Every table with a tenant key has a
-- policy on it, and the views act with the rights of whoever asks. The owner of the tables, which is the service, is
-- not subject to policies. Partitions are not granted to anybody: their rows are read through the table above them.

CREATE TABLE tenant_roles (
    role_name  name PRIMARY KEY,
    tenant_key int NOT NULL REFERENCES tenants,
    -- Made by `tributary tenant grant`, so dropped by `revoke`.
    made_by_us boolean NOT NULL
);
ALTER TABLE tenant_roles ENABLE ROW LEVEL SECURITY;

-- The tenant of the login that asks, by the name it logged in with: `SET ROLE` changes nothing about it.
-- The body is bound to these very tables, so no search path leads it elsewhere.
CREATE FUNCTION reader_tenant() RETURNS int LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT tenant_key FROM tenant_roles WHERE role_name = session_user;
END;

-- Puts a table with a `tenant_key`, or a view, under the rule, and lets the tenants' logins read it. Every migration
-- that adds one calls this; a test looks that none is left out.
CREATE FUNCTION isolate(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    reader name;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = relation) = 'v' THEN
        EXECUTE format('ALTER VIEW %s SET (security_invoker = true)', relation);
    ELSE
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
        -- The sub-select makes it a value that is looked up once, and that an index can be searched by.
        EXECUTE format('CREATE POLICY reader ON %s FOR SELECT USING (tenant_key = (SELECT reader_tenant()))', relation);
    END IF;
    FOR reader IN SELECT role_name FROM tenant_roles LOOP
        EXECUTE format('GRANT SELECT ON %s TO %I', relation, reader);
    END LOOP;
END $$;

SELECT isolate(c.oid::regclass)
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition AND c.relname <> 'tenant_roles'
  AND (c.relkind = 'v' OR c.relkind IN ('r', 'p') AND EXISTS (
      SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_key' AND NOT a.attisdropped));

-- Entries know the tenant by its name, if at all. Records that could not be read may hold what belongs to somebody
-- else (that may be what is wrong with them): only a tenant's own provider rows and refused days are shown to it.
ALTER TABLE quarantine ENABLE ROW LEVEL SECURITY;
CREATE POLICY reader ON quarantine FOR SELECT USING (
    topic IS NULL AND tenant_id IN (SELECT t.tenant_id FROM tenants t WHERE t.tenant_key = (SELECT reader_tenant())));

REVOKE ALL ON FUNCTION reader_tenant(), isolate(regclass), ensure_month(text, date) FROM PUBLIC;
