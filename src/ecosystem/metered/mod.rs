//! Bills made from measurements: what self-managed Kafka and generic metrics have in common.
//!
//! In: a [`Tariff`], a Prometheus, days. Out: bills, usage by principal, identities, as plain domain values. Absent:
//! product types, metric names, rules; the two ecosystems bring them.
//!
//! * A bill is for whole UTC days. A question that looks back is asked at the ends of the periods that fill the day, and the
//!   period is its own range; a level is asked for at their beginnings. So each moment counts once, whatever a step is set to.
//! * Quantities are measured in floats and become decimals once, with nine digits after the point; from there on they
//!   are multiplied exactly.
//! * A hole is not an idle hour: each day knows how much of it was measured. Too little, and the day waits for late
//!   samples; then it is billed by what there is, and says so. A day of which nothing at all is known is never billed.

pub mod measure;
pub mod people;
pub mod tariff;
pub mod usage;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;

use self::measure::{Measure, Points, Sampling};
use self::tariff::{Cost, Quantity, Tariff};
use super::prometheus::{Prometheus, Times};
use super::{Bill, SourceError};
use crate::domain::Day;

/// The bill of `[from, until)` as of `now`.
///
/// # Errors
/// [`SourceError`] if any question could not be answered: a bill is whole or an error.
pub async fn bill(
    prometheus: &Prometheus,
    tariff: &Tariff,
    (from, until): (Day, Day),
    now: DateTime<Utc>,
) -> Result<Bill, SourceError> {
    let readings = tariff.costs.iter().map(|cost| readings(prometheus, cost, from, until));
    let (readings, presence, doubled) = tokio::try_join!(
        try_join_all(readings),
        presence(prometheus, tariff, from, until),
        doubled(prometheus, tariff, from, until),
    )?;
    Ok(tariff::bill(tariff, (from, until), now, &readings, &presence, &doubled))
}

/// What was measured of a cost, by day; nothing for a fixed one.
async fn readings(prometheus: &Prometheus, cost: &Cost, from: Day, until: Day) -> Result<Points, SourceError> {
    match &cost.quantity {
        Quantity::Fixed { .. } => Ok(Points::default()),
        Quantity::Measured(measure) => first_that_knows(prometheus, measure, from, until).await,
    }
}

/// Each day by the first of the expressions that knows anything of it.
async fn first_that_knows(
    prometheus: &Prometheus,
    measure: &Measure,
    from: Day,
    until: Day,
) -> Result<Points, SourceError> {
    let mut known = Points::default();
    for expression in &measure.expressions {
        known.fill(points(prometheus, expression, measure.sampling, from, until).await?);
        if from.until(until).all(|day| known.values(day).is_some()) {
            break;
        }
    }
    Ok(known)
}

async fn presence(prometheus: &Prometheus, tariff: &Tariff, from: Day, until: Day) -> Result<Points, SourceError> {
    match &tariff.presence {
        Some(presence) => points(prometheus, &presence.expression, Sampling::FINE, from, until).await,
        None => Ok(Points::default()),
    }
}

async fn doubled(prometheus: &Prometheus, tariff: &Tariff, from: Day, until: Day) -> Result<Points, SourceError> {
    match &tariff.once {
        Some(once) => points(prometheus, &once.expression, Sampling::COARSE, from, until).await,
        None => Ok(Points::default()),
    }
}

async fn points(
    prometheus: &Prometheus,
    expression: &str,
    sampling: Sampling,
    from: Day,
    until: Day,
) -> Result<Points, SourceError> {
    match Times::within(from, until, sampling) {
        Some(times) => Ok(Points::read(prometheus.range(expression, times).await?, sampling)),
        None => Ok(Points::default()),
    }
}

#[cfg(test)]
mod tests;
