//! A past period of a tenant as an OpenMetrics file, for blocks of a Prometheus that was not there at the time.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use futures_util::TryStreamExt;

use super::EmitError;
use super::csv::CsvError;
use super::gauges::{Format, Line, families, header, help, hourly, labels, name};
use crate::domain::{Day, EmittedRows};
use crate::journal::blocking;
use crate::store::Store;
use crate::store::read::{GaugeFamily, GaugePoint, GaugeQuery, Reader};
use crate::unfinished::Unfinished;

/// How long Postgres may take for one family.
const LIMIT: Duration = Duration::from_secs(3600);

/// What to write.
#[derive(Debug, Clone)]
pub struct Backfill {
    /// The tenant's id, as in the facts.
    pub tenant: String,
    /// First day, included.
    pub from: Day,
    /// Last day, excluded.
    pub to: Day,
    /// How names begin.
    pub prefix: String,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    pub days: usize,
    pub samples: u64,
}

/// Writes the file of a period, everything of one moment. Memory does not grow with the period.
///
/// # Errors
/// If Postgres does not answer or the file cannot be written; then there is none.
pub async fn write(store: &Store, of: &Backfill, path: &Path) -> Result<Written, CsvError> {
    let mut reader = store.reader(LIMIT).await.map_err(EmitError::from)?;
    let mut file = Unfinished::begin(path.to_owned())?;
    let mut written = Written::default();
    for dataset in [EmittedRows::Chargebacks, EmittedRows::TopicAttributions] {
        let visible = reader.visible(dataset, &of.tenant, of.from, of.to).await.map_err(EmitError::from)?;
        let days: Vec<Day> = visible.iter().filter(|day| day.rows > 0).map(|day| day.day).collect();
        written.days = written.days.max(days.len());
        if days.is_empty() {
            continue;
        }
        for family in families(dataset) {
            let ask = GaugeQuery { tenant: of.tenant.clone(), periods: days.clone(), end: of.to, monthly: false };
            let name = name(*family, &of.prefix);
            file.write_all(header(&name, help(*family)).as_bytes())?;
            written.samples += points(&mut reader, *family, &ask, &name, &mut file).await?;
        }
    }
    file.write_all(Format::OpenMetrics.end().as_bytes())?;
    blocking(move || file.finish()).await?;
    Ok(written)
}

async fn points(
    reader: &mut Reader,
    family: GaugeFamily,
    ask: &GaugeQuery,
    name: &str,
    out: &mut impl Write,
) -> Result<u64, CsvError> {
    let names: Vec<&str> = family.labels().collect();
    let mut found = reader.gauge(family, ask);
    let (mut text, mut samples) = (String::new(), 0);
    while let Some(point) = found.try_next().await.map_err(EmitError::from)? {
        text.clear();
        let labels = labels(names.iter().copied().zip(point.values.iter().map(String::as_str)));
        samples += push(family, name, &labels, &point, &mut text);
        out.write_all(text.as_bytes())?;
    }
    Ok(samples)
}

/// Appends the samples of a point: one at midnight, or one for each hour of the day.
fn push(family: GaugeFamily, name: &str, labels: &str, point: &GaugePoint, out: &mut String) -> u64 {
    let midnight = point.day.start().timestamp();
    let mut sample = |value, at| Format::OpenMetrics.push(Line { name, labels, value, at: Some(at) }, out);
    if family != GaugeFamily::HourlyUsd {
        sample(point.value, midnight);
        return 1;
    }
    for (value, hour) in hourly(point.value).into_iter().zip(0..) {
        sample(value, midnight + hour * 3600);
    }
    24
}
