//! The role that the API reads as: subject to the row-level policies, for one tenant at a time.
//!
//! In: a connected store. Out: the same store, whose readers of one tenant see no rows of others whatever is asked through
//! them. Absent: logins of tenants, which are people's ([`super::roles`]); handlers.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::roles::{ISOLATED, quoted};
use super::{Store, StoreError};

/// What the role may read besides what is under the rule of isolation: how far the tables are, of all tenants together.
const OF_ALL: [&str; 2] = ["projections", "positions"];

/// Why readers of the API cannot be walled in.
#[derive(Debug, thiserror::Error)]
pub enum WallError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Ours may not create roles, or may not act as this one.
    #[error(
        "user {user:?} of {address} may not make the role that the API reads as; let an administrator run\n\n    \
         {statements}\n\nand start again; or set `api.row_security: false`, and only the API's own conditions keep \
         tenants apart"
    )]
    MayNot { user: String, address: String, statements: String },
}

impl Store {
    /// A store whose readers of one tenant ([`Store::reader_of`]) are subject to the policies. Makes the role they act as, if
    /// it is missing, and renews its rights; two processes may do so together.
    ///
    /// # Errors
    /// [`WallError`] with what an administrator has to run where the database's user may not.
    pub async fn walled(&self) -> Result<Self, WallError> {
        let mut tx = self.pool().begin().await.map_err(|error| self.sort(error))?;
        let (role, user, exists) = api_role(&mut tx).await.map_err(|error| self.sort(error))?;
        if !exists || !may_act(&mut tx, &role).await.map_err(|error| self.sort(error))? {
            let (role, user) = (quoted(&role), quoted(&user));
            let make = if exists { String::new() } else { format!("CREATE ROLE {role} NOLOGIN; ") };
            let statements = format!("{make}GRANT {role} TO {user};");
            match sqlx::raw_sql(AssertSqlSafe(statements.clone())).execute(&mut *tx).await {
                Ok(_) => {}
                Err(error) if may_not(&error) => {
                    return Err(WallError::MayNot { user, address: self.address.clone(), statements });
                }
                Err(error) => return Err(self.sort(error).into()),
            }
        }
        allow(&mut tx, &role).await.map_err(|error| self.sort(error))?;
        tx.commit().await.map_err(|error| self.sort(error))?;
        Ok(Self { wall: Some(role.into()), ..self.clone() })
    }
}

/// The role's name, which is this database's own because roles are the whole server's; who we are; and whether it exists.
async fn api_role(tx: &mut PgConnection) -> Result<(String, String, bool), sqlx::Error> {
    // Against another process at the same place.
    sqlx::query("SELECT pg_advisory_xact_lock('tenant_roles'::regclass::bigint)").execute(&mut *tx).await?;
    let found = sqlx::query_as(
        "SELECT name, session_user::text, EXISTS (SELECT FROM pg_roles WHERE rolname = name)
         FROM (SELECT CASE WHEN octet_length(current_database()) < 48 THEN 'tributary_api_' || current_database()
                           ELSE 'tributary_api_' || md5(current_database()) END AS name) AS wanted",
    );
    found.fetch_one(tx).await
}

/// Tries it: being a member is not enough since Postgres 16.
async fn may_act(tx: &mut PgConnection, role: &str) -> Result<bool, sqlx::Error> {
    let mut attempt = tx.begin().await?;
    let acted = AssertSqlSafe(format!("SET LOCAL ROLE {}", quoted(role)));
    let acted = sqlx::raw_sql(acted).execute(&mut *attempt).await;
    attempt.rollback().await?;
    match acted {
        Ok(_) => Ok(true),
        Err(error) if may_not(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

fn may_not(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).as_deref() == Some("42501")
}

/// Gives the role what a reader needs and it does not have yet: one that is complete is not touched.
async fn allow(tx: &mut PgConnection, role: &str) -> Result<(), sqlx::Error> {
    let missing: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "SELECT format('GRANT SELECT ON %s TO %I', c.oid::regclass, $1) FROM pg_class c
         WHERE ({ISOLATED} OR c.oid = ANY ($2::text[]::regclass[])) AND NOT has_table_privilege($1, c.oid, 'SELECT')
         UNION ALL
         SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', f, $1) FROM (SELECT 'reader_tenant()'::regprocedure AS f) of
         WHERE NOT has_function_privilege($1, f, 'EXECUTE')
         UNION ALL
         SELECT format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), $1)
         WHERE NOT has_schema_privilege($1, current_schema(), 'USAGE')"
    )))
    .bind(role)
    .bind(OF_ALL)
    .fetch_all(&mut *tx)
    .await?;
    sqlx::raw_sql(AssertSqlSafe(missing.join(";"))).execute(tx).await.map(drop)
}
