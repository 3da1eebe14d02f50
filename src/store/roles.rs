//! Logins that read the tables of one tenant.
//!
//! In: a tenant, a role's name. Out: a role of Postgres that may log in and read, and its password, once. What it may
//! see is decided by the policies of migration 0020. Absent: rights to write; none are ever given.

use chrono::{DateTime, Utc};
use rand::Rng;
use rand::distr::Alphanumeric;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{Store, StoreError, TenantKey, scram};
use crate::secret::Secret;

/// What Postgres keeps of a name, bytes.
const NAME_BYTES: usize = 63;

/// What is under the rule of isolation, of `pg_class c`.
pub(super) const ISOLATED: &str = "c.relnamespace = current_schema()::regnamespace
    AND (c.relkind = 'v' AND 'security_invoker=true' = ANY (c.reloptions)
         OR EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'reader'))";

/// A login and the tenant it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TenantRole {
    pub tenant: String,
    pub role: String,
    /// Made by us, not by an administrator.
    pub made_by_us: bool,
}

/// A tenant that the tables have seen.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct KnownTenant {
    pub id: String,
    /// When it was forgotten; it may have come back since.
    pub forgotten_at: Option<DateTime<Utc>>,
}

/// What a grant did.
#[derive(Debug)]
pub enum Granted {
    /// The role is new; this is the only time that its password is known.
    Made(Secret),
    /// The role was there: it may read now, and its password is what it was.
    Allowed,
}

/// Why a tenant has no login.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0:?} is no name for a role; take 1 to {NAME_BYTES} bytes")]
    BadName(String),
    /// Ours may not create roles.
    #[error(
        "user {user:?} of {address} may not create roles; let an administrator run\n\n    CREATE ROLE {quoted} LOGIN \
         PASSWORD '…';\n\nand then the same command again with `--role {role}`"
    )]
    MayNotCreate { user: String, address: String, role: String, quoted: String },
    #[error("role {role:?} exists already; to give it the rows of this tenant, name it with `--role {role}`")]
    Exists { role: String },
    #[error(
        "role {role:?} belongs to tenant {tenant:?}; take another name, or `tributary tenant revoke {tenant}` first"
    )]
    OfAnother { role: String, tenant: String },
    #[error(
        "role {role:?} sees the rows of every tenant, whatever is granted: it is a superuser, may bypass row security, \
         or is a member of the owner of the tables; take another role"
    )]
    SeesAll { role: String },
}

/// The role of a tenant if nobody names another: lower case, cut to what Postgres keeps.
pub fn role_name(tenant: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = format!("tributary_{tenant}").chars().map(plain).collect();
    name[..name.len().min(NAME_BYTES)].to_owned()
}

/// A name as it stands in a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Store {
    /// All tenants that the tables have seen, by id.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn tenants(&self) -> Result<Vec<KnownTenant>, StoreError> {
        let found =
            sqlx::query_as("SELECT tenant_id AS id, forgotten_at FROM tenants ORDER BY tenant_id COLLATE \"C\"");
        found.fetch_all(self.pool()).await.map_err(|error| self.sort(error))
    }

    /// All logins, by tenant and name.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn tenant_roles(&self) -> Result<Vec<TenantRole>, StoreError> {
        let found = sqlx::query_as(
            "SELECT t.tenant_id AS tenant, r.role_name::text AS role, r.made_by_us
             FROM tenant_roles r JOIN tenants t USING (tenant_key) ORDER BY t.tenant_id COLLATE \"C\", 2",
        );
        found.fetch_all(self.pool()).await.map_err(|error| self.sort(error))
    }

    /// Lets a role read what belongs to the tenant. `role` names one, which may be there already; without it a new one
    /// is made under the tenant's name. Repeated for the same role and tenant it renews the rights and changes nothing
    /// else.
    ///
    /// # Errors
    /// [`RoleError`] with what to do instead; nothing has changed then.
    pub async fn grant(&self, tenant: &str, role: Option<&str>) -> Result<(String, Granted), RoleError> {
        let name = role.map_or_else(|| role_name(tenant), str::to_owned);
        if name.is_empty() || name.len() > NAME_BYTES || name.contains('\0') {
            return Err(RoleError::BadName(name));
        }
        let keys = self.tenant_keys(&[tenant]).await?;
        let Some(TenantKey { tenant_key: key, .. }) = keys.into_iter().next() else {
            return Err(RoleError::BadName(name));
        };
        let mut tx = self.pool().begin().await.map_err(|error| self.sort(error))?;
        let known = self.known(&mut tx, &name).await?;
        if let Some(other) = known.owner.filter(|owner| owner != tenant) {
            return Err(RoleError::OfAnother { role: name, tenant: other });
        }
        if known.sees_all {
            return Err(RoleError::SeesAll { role: name });
        }
        if known.exists && role.is_none() && !known.granted {
            return Err(RoleError::Exists { role: name });
        }
        let granted = match known.exists {
            true => Granted::Allowed,
            false => Granted::Made(self.make(&mut tx, &name).await?),
        };
        let written = sqlx::query(
            "INSERT INTO tenant_roles (role_name, tenant_key, made_by_us) VALUES ($1::text::name, $2, $3)
             ON CONFLICT DO NOTHING",
        );
        let written = written.bind(&name).bind(key).bind(matches!(granted, Granted::Made(_)));
        written.execute(&mut *tx).await.map_err(|error| self.sort(error))?;
        let all = rights(&mut tx, &name, "GRANT", "TO").await;
        all.map_err(|error| self.sort(error))?;
        tx.commit().await.map_err(|error| self.sort(error))?;
        Ok((name, granted))
    }

    /// Takes the rights of a tenant's roles away (`role`: of this one), and drops those that we made. Gives back each
    /// name with whether the role is gone; one that others have given rights to stays, without ours.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer.
    pub async fn revoke(&self, tenant: &str, role: Option<&str>) -> Result<Vec<(String, bool)>, StoreError> {
        let mut revoked = Vec::new();
        for of in self.tenant_roles().await? {
            if of.tenant == tenant && role.is_none_or(|role| role == of.role) {
                let gone = self.take_away(&of).await.map_err(|error| self.sort(error))?;
                revoked.push((of.role, gone));
            }
        }
        Ok(revoked)
    }

    async fn take_away(&self, of: &TenantRole) -> Result<bool, sqlx::Error> {
        let mut tx = self.pool().begin().await?;
        let deleted = sqlx::query("DELETE FROM tenant_roles WHERE role_name = $1::text::name").bind(&of.role);
        deleted.execute(&mut *tx).await?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1::text::name)")
            .bind(&of.role)
            .fetch_one(&mut *tx)
            .await?;
        let mut gone = !exists;
        if exists {
            rights(&mut tx, &of.role, "REVOKE", "FROM").await?;
            if of.made_by_us {
                // Refused where an administrator gave it rights elsewhere: those are not ours to take.
                let mut attempt = tx.begin().await?;
                let drop = AssertSqlSafe(format!("DROP ROLE {}", quoted(&of.role)));
                gone = sqlx::raw_sql(drop).execute(&mut *attempt).await.is_ok();
                match gone {
                    true => attempt.commit().await?,
                    false => attempt.rollback().await?,
                }
            }
        }
        tx.commit().await?;
        Ok(gone)
    }

    async fn known(&self, tx: &mut PgConnection, role: &str) -> Result<Known, StoreError> {
        let found = sqlx::query_as(
            "SELECT r.oid IS NOT NULL AS exists,
                    coalesce(r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, current_user::regrole, 'MEMBER'), false)
                        AS sees_all,
                    m.role_name IS NOT NULL AS granted, t.tenant_id AS owner
             FROM (SELECT $1::text::name AS rolname) AS given
             LEFT JOIN pg_roles r USING (rolname)
             LEFT JOIN tenant_roles m ON m.role_name = given.rolname
             LEFT JOIN tenants t USING (tenant_key)",
        );
        found.bind(role).fetch_one(tx).await.map_err(|error| self.sort(error))
    }

    /// Makes a role that may log in and can begin no transaction that writes.
    async fn make(&self, tx: &mut PgConnection, role: &str) -> Result<Secret, RoleError> {
        let mut random = rand::rng();
        let password: String = (0..32).map(|_| char::from(random.sample(Alphanumeric))).collect();
        let verifier = scram::verifier(&password, random.random());
        let quoted = quoted(role);
        let statements = format!(
            "CREATE ROLE {quoted} LOGIN PASSWORD '{verifier}'; ALTER ROLE {quoted} SET default_transaction_read_only = on"
        );
        match sqlx::raw_sql(AssertSqlSafe(statements)).execute(tx).await {
            Ok(_) => Ok(Secret::new(password)),
            Err(error) if error.as_database_error().and_then(|e| e.code()).as_deref() == Some("42501") => {
                let user = self.pool().connect_options().get_username().to_owned();
                Err(RoleError::MayNotCreate { user, address: self.address.clone(), role: role.to_owned(), quoted })
            }
            Err(error) => Err(self.sort(error).into()),
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Known {
    exists: bool,
    sees_all: bool,
    granted: bool,
    /// The tenant it belongs to.
    owner: Option<String>,
}

/// Gives or takes everything a reader needs: what is under the rule of isolation, and the way there.
async fn rights(tx: &mut PgConnection, role: &str, verb: &str, towards: &str) -> Result<(), sqlx::Error> {
    let relations = format!("SELECT c.oid::regclass::text FROM pg_class c WHERE {ISOLATED}");
    let relations: Vec<String> = sqlx::query_scalar(AssertSqlSafe(relations)).fetch_all(&mut *tx).await?;
    let (database, schema): (String, String) =
        sqlx::query_as("SELECT quote_ident(current_database()), quote_ident(current_schema())")
            .fetch_one(&mut *tx)
            .await?;
    let role = quoted(role);
    let statements = format!(
        "{verb} CONNECT ON DATABASE {database} {towards} {role}; {verb} USAGE ON SCHEMA {schema} {towards} {role};
         {verb} EXECUTE ON FUNCTION reader_tenant() {towards} {role};
         {verb} SELECT ON {} {towards} {role}",
        relations.join(", ")
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(tx).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_named_after_its_tenant() {
        assert_eq!(role_name("Acme-EU.1"), "tributary_acme_eu_1");
        assert_eq!(role_name(&"ä".repeat(90)).len(), NAME_BYTES);
    }
}
