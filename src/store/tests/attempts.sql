-- an error that repeats the value it fails on => belongs-to-a
SELECT identity_id::int::text FROM chargeback_dimensions;
-- a condition that is cheap, runs early, and tells what it sees
SET default_transaction_read_only = off;
CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
    $$ BEGIN IF $1 LIKE '%to-b%' THEN RAISE EXCEPTION 'seen: %', $1; END IF; RETURN true; END $$;
SELECT x::text FROM chargeback_dimensions x WHERE pg_temp.leak(identity_id);
-- the same through a view
SET default_transaction_read_only = off;
CREATE FUNCTION pg_temp.leak2(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
    $$ BEGIN IF $1 LIKE '%to-b%' THEN RAISE EXCEPTION 'seen: %', $1; END IF; RETURN true; END $$;
SELECT x::text FROM chargebacks x WHERE pg_temp.leak2(identity_id);
-- a division by what another's row would be => belongs-to-a
SELECT (1 / length(replace(identity_id, 'belongs-to-b', '')))::text || identity_id FROM chargeback_dimensions;
-- switching the rule off for the session => would be affected
SET row_security = off;
SELECT x::text FROM billing x;
-- switching the rule off on the table => refused
SET default_transaction_read_only = off;
ALTER TABLE billing_facts DISABLE ROW LEVEL SECURITY;
-- dropping the rule => refused
SET default_transaction_read_only = off;
DROP POLICY reader ON billing_facts;
-- becoming the owner => refused
SET ROLE tributary;
-- becoming another login => refused
SET SESSION AUTHORIZATION iso_b;
-- becoming another tenant => refused
SET default_transaction_read_only = off;
UPDATE tenant_roles SET tenant_key = 2;
-- looking who has which login => refused
SELECT x::text FROM tenant_roles x;
-- making a login => refused
SET default_transaction_read_only = off;
INSERT INTO tenant_roles VALUES ('iso_a2', 2, true);
-- a function in front of the one that names the tenant
SET default_transaction_read_only = off;
CREATE FUNCTION pg_temp.reader_tenant() RETURNS int LANGUAGE sql AS 'SELECT 2';
SET search_path = pg_temp, public;
SELECT x::text FROM public.billing x;
-- a table in front of the one that holds the logins
SET default_transaction_read_only = off;
CREATE TEMP TABLE tenant_roles AS SELECT session_user::name AS role_name, 2 AS tenant_key;
SET search_path = pg_temp, public;
SELECT x::text FROM public.billing x;
-- the values that the planner keeps
SELECT most_common_vals::text || coalesce(histogram_bounds::text, '') FROM pg_stats WHERE schemaname = 'public';
-- the values that the planner keeps, from their own table => refused
SELECT stavalues1::text FROM pg_statistic;
-- a plan with its figures
EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM chargebacks;
-- what others are asking
SELECT query FROM pg_stat_activity;
-- a copy of the table into a file of the server => refused
COPY billing_facts TO '/tmp/billing_facts';
-- a partition => refused
SELECT x::text FROM chargeback_facts_2026_02 x;
-- positions => refused
SELECT x::text FROM positions x;
-- the rule's own functions => refused
SELECT isolate('billing')::text;
-- making partitions => refused
SELECT ensure_month('billing_facts', '2030-01-01')::text;
-- writing => refused
SET default_transaction_read_only = off;
INSERT INTO tenants (tenant_id) VALUES ('c');
-- a row that would break a key, to learn whether it is there => refused
SET default_transaction_read_only = off;
INSERT INTO quarantine (id, stage, source, payload, reason, status, at) VALUES ('b', '', '', '', '', '', now());
-- a view of one's own => refused
SET default_transaction_read_only = off;
CREATE VIEW public.mine AS SELECT * FROM billing_facts;
-- locking readers and writers out => refused
SET default_transaction_read_only = off;
BEGIN; LOCK TABLE billing_facts IN ACCESS EXCLUSIVE MODE;
-- waiting in line for a row
SELECT x::text FROM billing_facts x FOR UPDATE;
-- the tenants there are
SELECT 'belongs-to-' || tenant_id FROM tenants;
