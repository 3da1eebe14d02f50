//! Many readers at once.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::Value;

use super::fill::{SHAPE, principal};
use super::server::Server;
use super::timed::Times;

const READERS: usize = 200;
const HOW_LONG: Duration = Duration::from_secs(60);
const QUESTIONS: [&str; 10] = [
    "chargebacks?from=2026-03-01&to=2026-04-01",
    "chargebacks?from=2026-05-01&to=2026-06-01&filter=product_type:eq:KAFKA_BASE",
    "chargebacks?from=2026-02-10&to=2026-03-10&filter=tag.team:eq:team-3",
    "costs/aggregate?from=2026-04-01&to=2026-05-01&group_by=identity_id&group_by=product_type",
    "costs/aggregate?from=2026-01-01&to=2026-07-01&bucket=month&group_by=env_id",
    "costs/aggregate?from=2026-02-01&to=2026-03-01&group_by=tag.team&top=5",
    "availability?from=2026-01-01&to=2026-07-01",
    "tags/keys/team/values",
    "dimensions",
    "days?from=2026-03-01&to=2026-04-01",
];

pub async fn measure(server: &Server) -> Result<Value> {
    let before = server.resident_mb()?;
    let ends = Instant::now() + HOW_LONG;
    let memory = async {
        let (mut minute, mut resident) = (tokio::time::interval(Duration::from_secs(2)), Vec::new());
        while Instant::now() < ends {
            minute.tick().await;
            resident.push(server.resident_mb()?);
        }
        anyhow::Ok(resident)
    };
    let readers = futures_util::future::join_all((0..READERS).map(|reader| read(server, reader, ends)));
    let (resident, read) = tokio::join!(memory, readers);
    let (resident, mut taken, mut faults) = (resident?, Vec::new(), Vec::new());
    for (times, failed) in read {
        taken.extend(times);
        faults.extend(failed);
    }
    let times = Times::of(taken);
    times.print(&format!("{READERS} readers for {} s", HOW_LONG.as_secs()));
    let per_s = times.0.len() as f64 / HOW_LONG.as_secs_f64();
    let third = resident.len().div_ceil(3);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let (middle, last) = (mean(&resident[third..third * 2]), mean(&resident[third * 2..]));
    println!(
        "{per_s:.0} answers/s, {} faults, memory {before:.0} MB before, {middle:.0} and {last:.0} MB in the second and last third",
        faults.len()
    );
    if let Some(first) = faults.first() {
        eprintln!("the first fault: {first}");
    }
    let mut told = times.told();
    told["readers"] = READERS.into();
    told["answers_per_s"] = per_s.round().into();
    told["faults"] = faults.len().into();
    told["memory_before_mb"] = before.round().into();
    told["memory_grown_mb"] = (((last - middle) * 10.0).round() / 10.0).into();
    Ok(told)
}

/// Asks one thing after the other until the time is up: how long each took, in milliseconds, and what failed.
async fn read(server: &Server, reader: usize, ends: Instant) -> (Vec<f64>, Vec<String>) {
    let (mut times, mut faults) = (Vec::new(), Vec::new());
    for n in reader.. {
        if Instant::now() >= ends {
            break;
        }
        let mut question = QUESTIONS[n % QUESTIONS.len()].to_owned();
        if n % 3 == 0 && question.starts_with("chargebacks") {
            question += &format!("&filter=identity_id:eq:{}", principal(n as u32 % 300));
        }
        let began = Instant::now();
        match server.text(reader, (n % SHAPE.tenants as usize) as u32, &question).await {
            Ok(_) => times.push(began.elapsed().as_secs_f64() * 1e3),
            Err(error) => faults.push(format!("{error:#}")),
        }
    }
    (times, faults)
}
