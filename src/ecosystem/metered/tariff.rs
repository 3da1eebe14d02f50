//! From quantities and prices to billing lines.
//!
//! In: a [`Tariff`] and what was measured. Out: a [`Bill`] with a [`Gap`] wherever too little was. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::measure::{Fold, Measure, Points, Sampling, Values};
use crate::domain::{Amount, BillingLine, Day};
use crate::ecosystem::{BadRow, Bill, DayBill, Gap};

/// What is billed, at which prices.
#[derive(Debug, Clone)]
pub struct Tariff {
    pub ecosystem: &'static str,
    /// The one resource that is billed.
    pub resource_id: String,
    pub resource_name: String,
    /// ISO 4217.
    pub currency: String,
    /// Product types are distinct.
    pub costs: Vec<Cost>,
    /// The part of a day, 0 to 1, that has to be measured for its bill to be whole.
    pub minimum_coverage: f64,
    /// How many days a day with a gap waits for late samples.
    pub wait_days: u32,
    /// Where it can be known whether everything that is measured was there.
    pub presence: Option<Presence>,
    /// Where it can be known whether something was measured twice.
    pub once: Option<Once>,
}

/// How many of several things were measured at a moment.
#[derive(Debug, Clone)]
pub struct Presence {
    /// Its value is their number.
    pub expression: String,
    /// How many there should be, at least 1.
    pub full: u32,
    /// `brokers`
    pub what: String,
}

/// An expression whose value is 1 as long as nothing is counted twice.
#[derive(Debug, Clone)]
pub struct Once {
    pub expression: String,
    /// What is wrong where it is more, and what to do.
    pub why: String,
}

/// One billing line a day.
#[derive(Debug, Clone)]
pub struct Cost {
    pub product_type: String,
    pub category: String,
    /// Not negative.
    pub unit_price: Amount,
    pub quantity: Quantity,
}

/// How much of it a day has.
#[derive(Debug, Clone)]
pub enum Quantity {
    /// So many units in each hour.
    Fixed {
        per_hour: Amount,
    },
    Measured(Measure),
}

/// The bill of `[from, until)`; `measured` has the values of each cost, in their order.
pub fn bill(
    tariff: &Tariff,
    (from, until): (Day, Day),
    now: DateTime<Utc>,
    measured: &[Points],
    presence: &Points,
    doubled: &Points,
) -> Bill {
    let first = measured.iter().filter_map(Points::first_day).min();
    let days = from.until(until).map(|day| {
        let readings: Vec<_> = measured.iter().map(|points| points.values(day)).collect();
        let one = OneDay { tariff, day, readings };
        let twice = doubled.values(day).is_some_and(|points| points.values().any(|count| *count > 1.0));
        let gap = one.gap(first, now, presence).or_else(|| {
            // Never final: what counts twice is not billed.
            tariff.once.as_ref().filter(|_| twice).map(|once| Gap::Open(once.why.clone()))
        });
        (day, one.bill(gap))
    });
    Bill { days: days.collect(), undated: Vec::new() }
}

struct OneDay<'a> {
    tariff: &'a Tariff,
    day: Day,
    /// Of each cost, its values.
    readings: Vec<Option<&'a Values>>,
}

impl OneDay<'_> {
    /// What is missing of the day; `None` if it is whole.
    fn gap(&self, first: Option<Day>, now: DateTime<Utc>, presence: &Points) -> Option<Gap> {
        let measured = self.measures().count();
        let unknown = self.measures().filter(|(_, _, points)| points.is_none()).count();
        if measured == 0 {
            return None;
        }
        if unknown == measured {
            return Some(match first {
                Some(first) if self.day < first => Gap::Before,
                _ => Gap::Open(self.nothing()),
            });
        }
        let why = self.lack().or_else(|| self.absence(presence))?;
        let waits = now < self.day.end() + TimeDelta::days(i64::from(self.tariff.wait_days));
        Some(if waits { Gap::Open(why) } else { Gap::Final(why) })
    }

    fn nothing(&self) -> String {
        let asked: Vec<&str> =
            self.measures().filter_map(|(_, m, _)| m.expressions.last()).map(String::as_str).collect();
        format!(
            "the metrics server has no sample of any cost on that day; are names and labels right, is it scraped? asked \
             for {}",
            asked.join(" and ")
        )
    }

    /// The cost that was measured least, if that is too little.
    fn lack(&self) -> Option<String> {
        let parts = self.measures().map(|(cost, measure, points)| {
            let (known, all) = points.map_or((0, 1), |points| measure.reading(points).periods);
            (known as f64 / all as f64, cost)
        });
        let (part, cost) = parts.min_by(|a, b| a.0.total_cmp(&b.0))?;
        (part < self.tariff.minimum_coverage).then(|| {
            let wanted = self.tariff.minimum_coverage * 100.0;
            format!(
                "only {:.0} % of the day is measured for {}, {wanted:.0} % are wanted",
                part * 100.0,
                cost.product_type
            )
        })
    }

    /// Whether some of what should have been measured was not there.
    fn absence(&self, presence: &Points) -> Option<String> {
        let wanted = self.tariff.presence.as_ref()?;
        let full = f64::from(wanted.full.max(1));
        let seen = presence.values(self.day);
        let periods = Sampling::FINE.periods() as f64;
        let part =
            seen.map_or(0.0, |points| points.values().map(|count| (count / full).min(1.0)).sum::<f64>()) / periods;
        let most = seen.map_or(0.0, |points| points.values().copied().fold(0.0, f64::max));
        (part < self.tariff.minimum_coverage).then(|| {
            format!(
                "at most {most:.0} of {} {} were measured, {:.0} % of what the day should have",
                wanted.full,
                wanted.what,
                part * 100.0
            )
        })
    }

    fn measures(&self) -> impl Iterator<Item = (&Cost, &Measure, Option<&Values>)> {
        self.tariff.costs.iter().zip(&self.readings).filter_map(|(cost, points)| match &cost.quantity {
            Quantity::Measured(measure) => Some((cost, measure, *points)),
            Quantity::Fixed { .. } => None,
        })
    }

    fn bill(&self, gap: Option<Gap>) -> DayBill {
        let mut bill = DayBill { gap, ..DayBill::default() };
        if matches!(bill.gap, Some(Gap::Before | Gap::Open(_))) {
            return bill;
        }
        for (cost, points) in self.tariff.costs.iter().zip(&self.readings) {
            match self.line(cost, *points) {
                Ok(line) => bill.lines.push(line),
                Err(bad) => bill.bad.push(bad),
            }
        }
        bill
    }

    fn line(&self, cost: &Cost, points: Option<&Values>) -> Result<BillingLine, BadRow> {
        let (quantity, mut evidence) = match &cost.quantity {
            Quantity::Fixed { per_hour } => {
                (per_hour.times(Amount::whole(24)), json!({"count": per_hour.to_string(), "hours": 24}))
            }
            Quantity::Measured(measure) => {
                let none = Default::default();
                let reading = measure.reading(points.unwrap_or(&none));
                let (known, all) = reading.periods;
                let fold = match measure.fold {
                    Fold::Sum => "sum",
                    Fold::Mean => "mean",
                    Fold::Maximum => "maximum",
                };
                let evidence = json!({
                    "expressions": measure.expressions, "step_seconds": measure.sampling.step.num_seconds(), "fold": fold,
                    "value": reading.quantity.to_string(), "periods": known, "of": all,
                });
                (measure.decimal(reading.quantity), evidence)
            }
        };
        evidence["product_type"] = cost.product_type.clone().into();
        evidence["unit_price"] = cost.unit_price.to_string().into();
        let evidence = evidence.to_string();
        let amount = quantity.and_then(|quantity| quantity.times(cost.unit_price));
        let (Some(quantity), Some(amount)) = (quantity, amount) else {
            let reason = "quantity or amount has more than 14 digits before the point; is the unit right?".to_owned();
            let source = format!("{} on {}", cost.product_type, self.day);
            return Err(BadRow { bytes: evidence.into_bytes(), reason, source });
        };
        let Tariff { ecosystem, resource_id, resource_name, currency, .. } = self.tariff;
        Ok(BillingLine {
            tenant: String::new(),
            day: self.day,
            revision: 0,
            ordinal: 0,
            count: 0,
            ecosystem: (*ecosystem).to_owned(),
            env_id: String::new(),
            resource_id: resource_id.clone(),
            resource_name: Some(resource_name.clone()),
            product_category: cost.category.clone(),
            product_type: cost.product_type.clone(),
            quantity,
            unit_price: cost.unit_price,
            amount,
            original_amount: None,
            currency: currency.clone(),
            granularity: "daily".to_owned(),
            period_start: self.day.start(),
            period_end: self.day.end(),
            evidence: vec![evidence],
        })
    }
}
