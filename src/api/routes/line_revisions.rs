//! What a billing line was in each revision of its day.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::chargebacks::parse_id;
use crate::api::Api;
use crate::api::answer::{Kept, decimal, tag};
use crate::api::problem::Problem;
use crate::domain::Amount;
use crate::store::Projection;
use crate::store::read::LineRevisionRow;

/// So many revisions of a day are told, the newest.
const MOST: u32 = 1000;

/// The revisions of a line's day, the oldest first, at most the newest 1000.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LineRevisions {
    /// The line's id.
    id: String,
    items: Vec<LineRevision>,
}

/// A revision of the day, and what the line was in it.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LineRevision {
    revision: i32,
    /// Is it the one that lists and sums are made of?
    current: bool,
    /// Why the day was gathered: `new`, `bill`, `inventory`, `usage` or `requested`.
    reason: String,
    /// When it was sealed; it could be read from then on, as soon as the tables had come so far.
    gathered_at: DateTime<Utc>,
    change: Change,
    /// The amount less that of the revision before, where a line that is not there counts 0; null in the first item.
    difference: Option<String>,
    /// Decimal texts; null where the revision has no such line.
    quantity: Option<String>,
    unit_price: Option<String>,
    amount: Option<String>,
    /// Before discounts, where the provider tells it.
    original_amount: Option<String>,
    currency: Option<String>,
}

/// The line beside what it was in the revision before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// Nothing older is known.
    First,
    Same,
    Changed,
    Added,
    Removed,
}

/// What a billing line was in each revision of its day
#[utoipa::path(get, path = "/api/v1/tenants/{tenant}/billing-lines/{id}/revisions", tag = "costs",
    params(("tenant" = String, Path, description = "Name of the tenant"), ("id" = String, Path, description = "Id of the line")),
    responses((status = 200, body = LineRevisions), (status = 304, description = "Nothing changed since"),
        (status = "default", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(api): State<Api>,
    Path((tenant, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = api.tenant(&tenant)?;
    let missing = || Problem::not_found("billing line", &id);
    let (day, line) = parse_id(&id).ok_or_else(missing)?;
    let (mut reader, _turn) = api.reader(&tenant.tenant_id).await?;
    let version = reader.version(&[Projection::Billing, Projection::Days]).await?;
    let tag = tag(&version, &format!("revisions {} {id}", tenant.tenant_id));
    if tag.is_known(&headers) {
        return Ok(tag.not_modified());
    }
    let mut rows = reader.line_revisions(&tenant.tenant_id, day, &line, MOST).await?;
    if rows.iter().all(|row| row.amount.is_none()) {
        return Err(missing());
    }
    rows.reverse();
    Ok(Kept { tag, body: LineRevisions { items: compared(rows), id } }.respond(&headers))
}

/// Each revision beside the one before it; they come the oldest first.
fn compared(rows: Vec<LineRevisionRow>) -> Vec<LineRevision> {
    let before = [None].into_iter().chain(rows.iter().map(Some));
    let changes: Vec<_> =
        before.zip(&rows).map(|(before, row)| (change(before, row), difference(before, row))).collect();
    let item = |(row, (change, difference)): (LineRevisionRow, _)| LineRevision {
        revision: row.revision,
        current: row.current,
        reason: row.reason,
        gathered_at: row.gathered_at,
        change,
        difference,
        quantity: row.quantity,
        unit_price: row.unit_price,
        amount: row.amount,
        original_amount: row.original_amount,
        currency: row.currency,
    };
    rows.into_iter().zip(changes).map(item).collect()
}

fn change(before: Option<&LineRevisionRow>, now: &LineRevisionRow) -> Change {
    let values =
        |row: &LineRevisionRow| [&row.quantity, &row.unit_price, &row.amount, &row.original_amount].map(Option::clone);
    match before {
        None => Change::First,
        Some(before) if values(before) == values(now) => Change::Same,
        Some(before) if before.amount.is_none() => Change::Added,
        Some(_) if now.amount.is_none() => Change::Removed,
        Some(_) => Change::Changed,
    }
}

fn difference(before: Option<&LineRevisionRow>, now: &LineRevisionRow) -> Option<String> {
    // The tables hold amounts as this type does.
    let amount = |row: &LineRevisionRow| row.amount.as_deref().map_or(Some(Amount::ZERO), |text| text.parse().ok());
    Some(decimal(amount(now)? - amount(before?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(revision: i32, amount: Option<&str>, quantity: &str) -> LineRevisionRow {
        let there = |text: &str| amount.map(|_| text.to_owned());
        LineRevisionRow {
            revision,
            current: false,
            reason: "bill".into(),
            gathered_at: DateTime::UNIX_EPOCH,
            quantity: there(quantity),
            unit_price: there("1"),
            amount: amount.map(str::to_owned),
            original_amount: None,
            currency: there("USD"),
        }
    }

    #[test]
    fn a_revision_is_told_beside_the_one_before() {
        let rows = vec![
            row(1, Some("10"), "10"),
            row(2, Some("10"), "10"),
            row(3, Some("9.5"), "10"),
            row(4, Some("9.5"), "9"),
            row(5, None, ""),
            row(7, None, ""),
            row(8, Some("-0.00000000000001"), "1"),
        ];
        let told = compared(rows).into_iter().map(|item| (item.revision, item.change, item.difference));
        let said = |revision, change, difference: Option<&str>| (revision, change, difference.map(str::to_owned));
        let expected = [
            said(1, Change::First, None),
            said(2, Change::Same, Some("0")),
            said(3, Change::Changed, Some("-0.5")),
            said(4, Change::Changed, Some("0")),
            said(5, Change::Removed, Some("-9.5")),
            said(7, Change::Same, Some("0")),
            said(8, Change::Added, Some("-0.00000000000001")),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_line_that_came_later_is_added() {
        let told: Vec<_> = compared(vec![row(1, None, ""), row(2, Some("3"), "1")]).into_iter().collect();
        assert_eq!((told[0].change, told[1].change), (Change::First, Change::Added));
        assert_eq!(told[1].difference.as_deref(), Some("3"));
    }
}
