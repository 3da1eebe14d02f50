//! Why a day is not allocated.
//!
//! In: nothing. Out: sentences for the quarantine that name the record and say what to do.
//! Absent: decisions; whoever finds the fault says so.

use std::fmt;

use crate::domain::Amount;
use crate::domain::rule::RuleError;

/// The kinds of records a day is made of, the counted ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Billing,
    Resource,
    Identity,
    Metric,
    Seal,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Billing => "billing line",
            Self::Resource => "resource",
            Self::Identity => "identity",
            Self::Metric => "metric value",
            Self::Seal => "seal",
        })
    }
}

/// A law the day breaks. A later, correct revision of the day heals it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "a {kind} record of {holds} stands under the key of {expected}: the gatherer must key records by their own tenant and day"
    )]
    Misplaced { kind: Kind, holds: String, expected: String },
    #[error("a {kind} record says it is number {ordinal} of {count}: ordinals run from 0 to count-1")]
    Ordinal { kind: Kind, ordinal: u32, count: u32 },
    #[error(
        "{kind} records disagree on how many there are, {one} or {other}: each record and the seal must say the same"
    )]
    Counts { kind: Kind, one: u32, other: u32 },
    #[error("{count} {kind} records are more than one day may have ({limit}): split the tenant")]
    TooMany { kind: Kind, count: u32, limit: u32 },
    #[error("a record of the day cannot be read ({0}): it is in quarantine on its own; gather the day again")]
    Unreadable(String),
    #[error("not all records of the revision have arrived")]
    Incomplete,
    #[error(
        "the revision was never finished, {missing} did not arrive: write a whole one with the next number, at best in one transaction"
    )]
    NeverFinished { missing: String },
    #[error("two {kind} records have the key {key}: it must be unique in a revision")]
    Duplicate { kind: Kind, key: String },
    #[error(
        "usage {metric} of {subject} on {resource} is not a finite number: the gatherer must leave such samples out"
    )]
    Usage { resource: String, metric: String, subject: String },
    #[error("the seal's rules cannot be read: {0}")]
    UnreadableRules(String),
    #[error("the seal's rules are not sound: {0}")]
    UnsoundRules(#[from] RuleError),
    #[error("line {line} is {amount}, its rows add up to {rows}: this is a fault of the program, please report it")]
    Conservation { line: String, amount: Amount, rows: Amount },
    #[error(
        "line {line} is {amount}, its rows by topic add up to {rows}: this is a fault of the program, please report it"
    )]
    TopicConservation { line: String, amount: Amount, rows: Amount },
    #[error("the day's lines add up to {0}, which does not fit 14 digits before the decimal point")]
    OutOfRange(Amount),
    #[error("the day has more rows than can be numbered")]
    TooManyRows,
}
