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
    /// Only of this actor.
    pub actor: Option<String>,
    /// Only of this moment or later.
    pub from: Option<DateTime<Utc>>,
    /// Only before this moment.
    pub to: Option<DateTime<Utc>>,
    /// The newest first.
    pub descending: bool,
    /// Only behind this place, in the order asked for.
    pub after: Option<i64>,
    pub limit: u32,
}

impl Reader {
    /// What was done in one way to things of one kind, by their ids, in the order it happened.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn audit_of(
        &mut self,
        tenant: &str,
        action: &str,
        kind: &str,
        ids: &[String],
    ) -> Result<Vec<AuditRow>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::new("SELECT * FROM audit a WHERE a.tenant_id = ");
        query.push_bind(tenant.to_owned()).push(" AND a.action = ").push_bind(action.to_owned());
        query.push(" AND a.entity_type = ").push_bind(kind.to_owned());
        query.push(" AND a.entity_id = ANY(").push_bind(ids.to_vec()).push(") ORDER BY a.seq");
        self.all(query).await
    }

    /// Events in the order they happened, or the other way round, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] if Postgres does not answer in time.
    pub async fn audit(&mut self, of: &AuditQuery) -> Result<Vec<AuditRow>, StoreError> {
        let (behind, order) = if of.descending { ("<", "DESC") } else { (">", "ASC") };
        let mut query = QueryBuilder::new(format!("SELECT * FROM audit a WHERE a.seq {behind} "));
        query.push_bind(of.after.unwrap_or(if of.descending { i64::MAX } else { -1 }));
        for (side, moment) in [(">=", of.from), ("<", of.to)] {
            if let Some(moment) = moment {
                query.push(format_args!(" AND a.at {side} ")).push_bind(moment);
            }
        }
        let (kind, id) = of.entity.clone().map_or((None, None), |(kind, id)| (Some(kind), id));
        let wanted = [
            ("tenant_id", of.tenant.clone()),
            ("action", of.action.clone()),
            ("actor", of.actor.clone()),
            ("entity_type", kind),
            ("entity_id", id),
        ];
        for (column, wanted) in wanted.into_iter().filter_map(|(column, wanted)| Some((column, wanted?))) {
            query.push(format_args!(" AND a.{column} = ")).push_bind(wanted);
        }
        query.push(format_args!(" ORDER BY a.seq {order} LIMIT ")).push_bind(i64::from(of.limit));
        self.all(query).await
    }
}
