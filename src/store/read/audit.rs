//! Who changed what, page by page, in the order it happened.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, QueryBuilder};

use super::{Reader, StoreError};

/// One change of one thing.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AuditRow {
    /// Its place in the order of all events.
    pub seq: i64,
    pub id: String,
    /// The tenant's id; none where the change is of the installation.
    pub tenant_id: Option<String>,
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub entity_type: String,
    pub entity_id: String,
    /// JSON.
    pub before: Option<String>,
    /// JSON.
    pub after: Option<String>,
    pub request_id: String,
}

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only of this tenant; without it all events, also those of no tenant.
    pub tenant: Option<String>,
    /// Only with this deed.
    pub action: Option<String>,
    /// Only of things of this kind, or of this very one: kind, id.
    pub entity: Option<(String, Option<String>)>,
    /// Only behind this place.
    pub after: Option<i64>,
    pub limit: u32,
}

impl Reader {
    /// Events in the order they happened, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn audit(&mut self, of: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let mut query = QueryBuilder::new("SELECT * FROM audit a WHERE a.seq > ");
        query.push_bind(of.after.unwrap_or(-1));
        let (kind, id) = of.entity.clone().map_or((None, None), |(kind, id)| (Some(kind), id));
        let wanted =
            [("tenant_id", of.tenant.clone()), ("action", of.action.clone()), ("entity_type", kind), ("entity_id", id)];
        for (column, wanted) in wanted.into_iter().filter_map(|(column, wanted)| Some((column, wanted?))) {
            query.push(format_args!(" AND a.{column} = ")).push_bind(wanted);
        }
        query.push(" ORDER BY a.seq LIMIT ").push_bind(i64::from(of.limit));
        self.all(query).await
    }
}
