//! What people ask the gather stage for: what the log and the audit have of it, and what runs show.
//!
//! Pure: commands in, changes out; events of the audit in, wishes out. Absent: who takes them up.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::write::{Change, Ledger};
use crate::domain::{Command, CommandKind, Day};
use crate::journal::Topic;
use crate::journal::codec::EncodeError;
use crate::store::read::AuditRow;

/// What the audit calls a wish for a run.
pub(super) const ASKED: &str = "run.asked";
/// What it calls a wish for its end.
const CANCELLED: &str = "run.cancel_asked";
/// The kind of thing a run is, in the audit.
pub(super) const KIND: &str = "run";

/// A wish as the audit has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// When the command was made, as whoever does it sees it.
    at: DateTime<Utc>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    force: bool,
    resume: bool,
    reason: Option<String>,
}

/// What is to be cancelled, as the audit has it.
#[derive(Debug, Serialize)]
struct SaidCancelled<'a> {
    cancels: &'a [String],
}

/// A wish for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Wish {
    pub id: String,
    pub at: DateTime<Utc>,
    /// Who asked: `token:<id>`, `user:<subject>`, `cli:<login>`, or `nobody` where nobody has to sign in.
    pub by: String,
    /// Why, as they said.
    reason: Option<String>,
    /// First day that was asked for, included; null: where the tenant's window begins.
    from: Option<NaiveDate>,
    /// Last day that was asked for, excluded; null: where the window ends.
    to: Option<NaiveDate>,
    force: bool,
    resume: bool,
}

/// Days that were asked for, and not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LeftOut {
    from: NaiveDate,
    /// Excluded.
    to: NaiveDate,
    why: &'static str,
}

impl Wish {
    /// The wish that a command is.
    pub(super) fn of(command: &Command, reason: Option<String>) -> Self {
        Self {
            id: command.id.clone(),
            at: command.requested_at,
            by: command.requested_by.clone(),
            reason,
            from: command.from.map(Day::date),
            to: command.to.map(Day::date),
            force: command.force,
            resume: command.kind == CommandKind::Resume,
        }
    }
}

/// The change that a command is: a wish for a run with its reason, or for the end of `run`.
///
/// # Errors
/// [`EncodeError`] if a value does not fit the schema.
pub fn change(ledger: &Ledger, command: &Command, reason: Option<&str>, run: &str) -> Result<Change, EncodeError> {
    let change = Change::put(ledger, Topic::Commands, &command.tenant, command)?;
    Ok(match command.kind {
        CommandKind::Cancel => change.of(CANCELLED, KIND, run).to(&SaidCancelled { cancels: &command.cancels }),
        CommandKind::Gather | CommandKind::Resume => {
            let said = Said {
                at: command.requested_at,
                from: command.from.map(Day::date),
                to: command.to.map(Day::date),
                force: command.force,
                resume: command.kind == CommandKind::Resume,
                reason: reason.map(str::to_owned),
            };
            change.of(ASKED, KIND, run).to(&said)
        }
    })
}

/// The wish that an event tells of, if it tells of one.
pub(super) fn of_event(event: AuditRow) -> Option<Wish> {
    let Said { at, from, to, force, resume, reason } = serde_json::from_str(event.after.as_deref()?).ok()?;
    Some(Wish { id: event.entity_id, at, by: event.actor, reason, from, to, force, resume })
}

/// Of what was asked for, the days that a run did not look at; `looked_at` are those that it did, the last one excluded.
pub(super) fn left_out(wishes: &[Wish], looked_at: (Option<NaiveDate>, Option<NaiveDate>)) -> Vec<LeftOut> {
    // A run has its days when it has read the bill; one that was not begun has none.
    let (Some(first), Some(end)) = looked_at else { return Vec::new() };
    // Wishes that one run answers are for the same days.
    let Some(Wish { from, to, .. }) = wishes.first() else { return Vec::new() };
    let old = from.map(|from| (from, to.map_or(first, |to| to.min(first)), "older than what is kept (retention_days)"));
    let early = to.map(|to| (from.map_or(end, |from| from.max(end)), to, "the bill was not ready (cutoff_days)"));
    let parts = old.into_iter().chain(early).filter(|(from, to, _)| from < to);
    parts.map(|(from, to, why)| LeftOut { from, to, why }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Option<NaiveDate> {
        (!text.is_empty()).then(|| text.parse().unwrap())
    }

    /// What is left out of `[from, to)` by a run that looked at the days from the 10th to before the 20th of March.
    fn left(from: &str, to: &str, looked: (&str, &str)) -> Vec<(String, String)> {
        let at: DateTime<Utc> = "2026-03-21T06:30:00Z".parse().unwrap();
        let wish = Wish {
            id: "w".into(),
            at,
            by: "nobody".into(),
            reason: None,
            from: day(from),
            to: day(to),
            force: false,
            resume: false,
        };
        let left = left_out(&[wish], (day(looked.0), day(looked.1)));
        left.into_iter().map(|part| (part.from.to_string(), part.to.to_string())).collect()
    }

    #[test]
    fn days_on_both_sides_of_what_was_looked_at_are_left_out() {
        let text = |(from, to): (&str, &str)| (from.to_owned(), to.to_owned());
        let looked = ("2026-03-10", "2026-03-20");
        assert_eq!(left("2026-03-10", "2026-03-20", looked), []);
        assert_eq!(left("", "", looked), []);
        let both = [("2026-03-01", "2026-03-10"), ("2026-03-20", "2026-03-22")].map(text);
        assert_eq!(left("2026-03-01", "2026-03-22", looked), both);
        // Nothing was looked at: the window is empty where the days would begin.
        let old = ("2026-01-01", "2026-01-01");
        assert_eq!(left("2020-11-01", "2020-12-01", old), [text(("2020-11-01", "2020-12-01"))]);
        let early = ("2026-04-01", "2026-04-01");
        assert_eq!(left("2026-04-01", "2026-04-03", early), [text(("2026-04-01", "2026-04-03"))]);
        assert_eq!(left("2026-03-01", "2026-03-22", ("", "")), [], "it has not ended");
    }
}
