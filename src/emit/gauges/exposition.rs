//! What one port shows: the series of its emitters, read from the tables whenever they have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::fold::{Fold, Series};
use super::text::{Format, Line, header, labels};
use super::{families, help, hourly, name};
use crate::clock::Clock;
use crate::domain::{Aggregation, Day, EmittedRows};
use crate::emit::{EmitError, Emitter, Sink, plan};
use crate::store::read::{GaugeFamily, GaugeQuery, Reader, VisibleDay};
use crate::store::{Projection, Store};

/// How often it is looked when nobody says that something became visible.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// The least pause between two readings; it is longer after one that took long.
const LEAST_PAUSE: Duration = Duration::from_millis(500);
/// How long Postgres may take for one family of one emitter.
const LIMIT: Duration = Duration::from_secs(120);

/// The tables that gauges are made of.
const SOURCES: [Projection; 5] = [
    Projection::Chargebacks,
    Projection::Billing,
    Projection::Resources,
    Projection::Identities,
    Projection::TopicAttributions,
];

/// One port, its emitters, and what it shows.
#[derive(Debug)]
pub struct Exposition {
    pub host: String,
    pub port: u16,
    emitters: Vec<Emitter>,
    shown: RwLock<Option<Arc<Shown>>>,
}

/// An emitter and what it shows of each period: the revision, and the rows behind it.
type Periods = BTreeMap<Day, (u32, u32)>;

/// Read at one moment of the tables.
#[derive(Debug, Default)]
struct Shown {
    /// Of the tables, and of the day it was made on: the lookback moves.
    version: String,
    families: BTreeMap<String, (GaugeFamily, Vec<Labelled>)>,
    periods: BTreeMap<(String, EmittedRows, String), Periods>,
    /// Tenants whose hourly cost is there: its name has no prefix, so it is shown once.
    hourly: BTreeSet<String>,
}

/// A series whose labels are written out.
type Labelled = (String, Vec<(Day, crate::domain::Amount)>);

impl Exposition {
    /// The ports of these emitters; those with the same port share it.
    pub fn of(emitters: &[Emitter]) -> Vec<Arc<Self>> {
        let mut ports: BTreeMap<(&str, u16), Vec<Emitter>> = BTreeMap::new();
        for emitter in emitters {
            if let Sink::Gauges(settings) = &emitter.sink {
                ports.entry((&settings.host, settings.port)).or_default().push(emitter.clone());
            }
        }
        let exposition = |((host, port), emitters): ((&str, u16), Vec<Emitter>)| {
            Arc::new(Self { host: host.to_owned(), port, emitters, shown: RwLock::default() })
        };
        ports.into_iter().map(exposition).collect()
    }

    /// Keeps what is shown up to date until it is stopped; an outage of Postgres is waited for.
    ///
    /// # Errors
    /// What does not pass.
    pub async fn follow(
        &self,
        store: &Store,
        clock: &Clock,
        moved: &Notify,
        stop: &CancellationToken,
    ) -> Result<(), EmitError> {
        while !stop.is_cancelled() {
            let (told, since) = (moved.notified(), Instant::now());
            match self.refresh(store, clock.now()).await {
                Err(EmitError::Store(error)) if error.is_transient() => {
                    stop.run_until_cancelled(store.wait_until_back(&error)).await;
                    continue;
                }
                // Too much for the time there is: what was shown before stays, and the next change is another attempt.
                Err(EmitError::Store(error)) if error.took_too_long() => {
                    tracing::warn!(port = self.port, "the series take too long to read; lower lookback_days");
                }
                other => other?,
            }
            let took = since.elapsed();
            tokio::select! {
                () = stop.cancelled() => {}
                () = told => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            // Days come in batches, and others want to read, too.
            stop.run_until_cancelled(tokio::time::sleep(LEAST_PAUSE.max(took * 4))).await;
        }
        Ok(())
    }

    /// Reads everything anew if the tables or the day have changed.
    ///
    /// # Errors
    /// [`EmitError::Store`]; what was shown before stays.
    pub async fn refresh(&self, store: &Store, now: DateTime<Utc>) -> Result<(), EmitError> {
        let mut reader = store.reader(LIMIT).await?;
        let version = format!("{} {}", Day::of(now), reader.version(&SOURCES).await?);
        if self.current().is_some_and(|shown| shown.version == version) {
            return Ok(());
        }
        let mut shown = Shown { version, ..Shown::default() };
        for emitter in &self.emitters {
            shown.add(&mut reader, emitter, now).await?;
        }
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(shown));
        Ok(())
    }

    /// The rows behind a period of an emitter and where they are shown, if this revision of it is.
    pub fn shows(&self, emitter: &Emitter, period: Day, revision: u32) -> Option<(u32, String)> {
        let shown = self.current()?;
        let key = (emitter.tenant.clone(), emitter.dataset, emitter.name.clone());
        let (_, rows) = shown.periods.get(&key)?.get(&period).filter(|(shown, _)| *shown == revision)?;
        Some((*rows, format!("{}:{}", self.host, self.port)))
    }

    /// Everything as text; `None` before it was read for the first time.
    pub fn text(&self, format: Format) -> Option<String> {
        let shown = self.current()?;
        let mut out = String::new();
        for (name, (family, series)) in &shown.families {
            out.push_str(&header(name, help(*family)));
            for (labels, points) in series {
                for (day, value) in points {
                    let (value, at) = match family {
                        GaugeFamily::HourlyUsd => (hourly(*value)[0], None),
                        _ => (*value, Some(day.start().timestamp())),
                    };
                    format.push(Line { name, labels, value, at }, &mut out);
                }
            }
        }
        out.push_str(format.end());
        Some(out)
    }

    fn current(&self) -> Option<Arc<Shown>> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shown {
    async fn add(&mut self, reader: &mut Reader, emitter: &Emitter, now: DateTime<Utc>) -> Result<(), EmitError> {
        let Sink::Gauges(settings) = &emitter.sink else { return Ok(()) };
        let visible = reader.visible(emitter.dataset, &emitter.tenant, Day::FIRST, Day::LAST).await?;
        let periods = plan::periods(emitter, &visible, now);
        let newest = newest(emitter, &visible, now);
        for family in families(emitter.dataset) {
            if *family == GaugeFamily::HourlyUsd && !self.hourly.insert(emitter.tenant.clone()) {
                continue;
            }
            let series = match ask(*family, emitter, &periods, newest) {
                Some(ask) => read(reader, *family, &ask, settings.max_series).await?,
                None => Vec::new(),
            };
            let name = name(*family, &settings.prefix);
            self.families.entry(name).or_insert_with(|| (*family, Vec::new())).1.extend(series);
        }
        let rows = |period: &plan::Period| {
            let days = visible.iter().filter(|day| (period.from..period.to).contains(&day.day));
            days.fold(0_u32, |sum, day| sum.saturating_add(day.rows))
        };
        let periods = periods.iter().map(|period| (period.from, (period.revision, rows(period)))).collect();
        self.periods.insert((emitter.tenant.clone(), emitter.dataset, emitter.name.clone()), periods);
        Ok(())
    }
}

/// The newest day that is shown, where days are.
fn newest(emitter: &Emitter, visible: &[VisibleDay], now: DateTime<Utc>) -> Option<Day> {
    let daily = Emitter { aggregation: Aggregation::Daily, ..emitter.clone() };
    plan::periods(&daily, visible, now).last().map(|day| day.from)
}

/// What to read for a family; of the hourly cost the newest day, also where the emitter adds up months that are over.
fn ask(family: GaugeFamily, emitter: &Emitter, periods: &[plan::Period], newest: Option<Day>) -> Option<GaugeQuery> {
    let of = |periods, end, monthly| GaugeQuery { tenant: emitter.tenant.clone(), periods, end, monthly };
    if family == GaugeFamily::HourlyUsd {
        let newest = newest?;
        return Some(of(vec![newest], newest.plus(1), false));
    }
    let days = periods.iter().map(|period| period.from).collect();
    Some(of(days, periods.last()?.to, emitter.aggregation == Aggregation::Monthly))
}

async fn read(
    reader: &mut Reader,
    family: GaugeFamily,
    ask: &GaugeQuery,
    most: u32,
) -> Result<Vec<Labelled>, EmitError> {
    let names: Vec<&str> = family.labels().collect();
    let mut fold = Fold::new(&names, most);
    let mut points = reader.gauge(family, ask);
    while let Some(point) = points.try_next().await? {
        fold.push(point);
    }
    let (series, folded) = fold.finish();
    if folded > 0 {
        let tenant = &ask.tenant;
        tracing::debug!(tenant, ?family, folded, "the cheapest series are shown as one; `max_series` is the bound");
    }
    let written = |Series { values, points }: Series| {
        (labels(names.iter().copied().zip(values.iter().map(String::as_str))), points)
    };
    Ok(series.into_iter().map(written).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hourly_cost_is_that_of_the_newest_day_also_beside_months() {
        let emitter = Emitter {
            tenant: "t".into(),
            name: "months".into(),
            dataset: EmittedRows::Chargebacks,
            aggregation: Aggregation::Monthly,
            lookback_days: None,
            cutoff_days: 5,
            sink: Sink::Csv { folder: "/x".into(), template: "{date}.csv".into() },
        };
        let day = |text: &str| text.parse::<Day>().unwrap();
        let visible: Vec<_> =
            day("2026-10-01").until(day("2026-11-21")).map(|day| VisibleDay { day, revision: 1, rows: 1 }).collect();
        let now = "2026-11-26T00:00:00Z".parse().unwrap();
        let periods = plan::periods(&emitter, &visible, now);
        assert_eq!(periods.iter().map(|period| period.from).collect::<Vec<_>>(), [day("2026-10-01")]);
        let asked = ask(GaugeFamily::HourlyUsd, &emitter, &periods, newest(&emitter, &visible, now)).unwrap();
        assert_eq!((asked.periods, asked.end, asked.monthly), (vec![day("2026-11-20")], day("2026-11-21"), false));
    }
}
