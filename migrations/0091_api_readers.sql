-- The API reads as a role that is subject to the policies, and says in each transaction whose rows it is about: a question that
-- forgot to ask for its tenant's rows only still gets no other tenant's.
--
-- The role is made when the API starts, because its user may not be allowed to. Whose rows it is about counts only for a
-- session that the owner of the tables began; a tenant's own login may set what it likes.

CREATE OR REPLACE FUNCTION reader_tenant() RETURNS int LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED
BEGIN ATOMIC
    -- In here the current user is the owner.
    SELECT CASE WHEN pg_has_role(session_user, current_user, 'MEMBER')
                THEN nullif(current_setting('tributary.tenant', true), '')::int
                ELSE (SELECT tenant_key FROM tenant_roles WHERE role_name = session_user) END;
END;
