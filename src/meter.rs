//! What is counted and timed while the program runs: every name, label and unit in one place.
//!
//! Like the log, free to all parts but the domain; without [`install`] nothing is kept. Called for each batch,
//! transaction, request and cycle, never for each row.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Seconds from a millisecond to ten minutes.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];
/// Records of a batch.
const RECORDS: [f64; 8] = [1.0, 10.0, 100.0, 1_000.0, 5_000.0, 10_000.0, 50_000.0, 200_000.0];

/// Everything that was counted, for one process.
#[derive(Clone)]
pub struct Meter(PrometheusHandle);

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meter")
    }
}

impl Meter {
    /// In Prometheus' text format.
    pub fn text(&self) -> String {
        self.tidy();
        self.0.render()
    }

    /// Puts what was timed into its buckets. To be called now and then, also where nobody asks for the text: until
    /// then every single time is kept.
    pub fn tidy(&self) {
        self.0.run_upkeep();
    }
}

/// Begins to count. Once for each process.
///
/// # Errors
/// [`BuildError`] if somebody counts already.
pub fn install() -> Result<Meter, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_batch_records".to_owned()), &RECORDS)?
        .install_recorder()?;
    describe();
    gauge!("tributary_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(Meter(handle))
}

fn describe() {
    describe_gauge!("tributary_build_info", "1, with the version of the program.");
    describe_counter!(
        "tributary_upstream_requests_total",
        "Requests to vendors by host and outcome: answered, not_there, repeated, failed."
    );
    describe_histogram!(
        "tributary_upstream_request_seconds",
        Unit::Seconds,
        "Time of an answered request, waiting for its turn and repetitions included."
    );
    describe_counter!(
        "tributary_gather_cycles_total",
        "Cycles by tenant and outcome: completed, failed, timed_out, interrupted, cancelled."
    );
    describe_histogram!("tributary_gather_cycle_seconds", Unit::Seconds, "Time of a cycle by tenant.");
    describe_counter!(
        "tributary_gather_days_total",
        "Days looked at by tenant and what became of them: sealed, unchanged, held."
    );
    describe_gauge!(
        "tributary_gather_last_success_timestamp_seconds",
        Unit::Seconds,
        "When a tenant was last gathered completely, Unix time."
    );
    describe_gauge!("tributary_gather_suspended", "1 if a tenant is suspended after too many failures, by tenant.");
    describe_counter!("tributary_allocate_days_total", "Days decided by outcome: allocated, refused.");
    describe_counter!("tributary_allocate_rows_total", "Chargeback rows committed.");
    describe_histogram!(
        "tributary_allocate_transaction_seconds",
        Unit::Seconds,
        "Time of a Kafka transaction of results."
    );
    describe_gauge!("tributary_allocate_open_days", "Days of which facts have arrived and something is missing.");
    describe_gauge!("tributary_allocate_open_bytes", Unit::Bytes, "Memory of the open days, estimated.");
    describe_gauge!(
        "tributary_allocate_lag",
        "Offsets of the fact topics before their end that are not committed yet, transaction markers included."
    );
    describe_counter!("tributary_project_records_total", "Records read by projection.");
    describe_counter!("tributary_project_rows_total", "Rows written by projection.");
    describe_counter!("tributary_project_set_aside_total", "Records set aside by projection.");
    describe_histogram!("tributary_project_batch_records", "Records of a batch by projection.");
    describe_gauge!(
        "tributary_project_lag",
        "Offsets before the end of its topics that a projection has not read, transaction markers included."
    );
    describe_gauge!("tributary_project_position", "The offset that a projection reads next, by topic and partition.");
    describe_counter!(
        "tributary_emit_periods_total",
        "Days and months emitted by tenant, emitter and outcome: emitted, skipped, failed."
    );
    describe_counter!("tributary_api_requests_total", "Requests to the API by route, method and status.");
    describe_histogram!(
        "tributary_api_request_seconds",
        Unit::Seconds,
        "Time until the answer of a request to the API begins, by route."
    );
    describe_gauge!("tributary_quarantine_open", "Entries of the quarantine that are open.");
    describe_counter!("tributary_role_restarts_total", "Times that a role began again after something failed.");
    describe_gauge!("tributary_ready", "1 if the part is ready, 0 if not; /readyz says why not.");
}

/// A request to a vendor has ended, or has to be repeated.
pub fn request(host: &str, outcome: &'static str) {
    counter!("tributary_upstream_requests_total", "host" => host.to_owned(), "outcome" => outcome).increment(1);
}

/// A vendor has answered.
pub fn answered(host: &str, took: Duration) {
    histogram!("tributary_upstream_request_seconds", "host" => host.to_owned()).record(took);
}

/// What a cycle of a tenant did.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cycle {
    pub sealed: usize,
    pub unchanged: usize,
    pub held: usize,
    /// Nothing is gathered any more until somebody looks at it.
    pub suspended: bool,
}

/// A cycle has ended. `outcome`: the status of its run; `now` is Unix time, seconds.
pub fn cycle(tenant: &str, outcome: &'static str, took: Duration, of: Cycle, now: i64) {
    let tenant = || tenant.to_owned();
    counter!("tributary_gather_cycles_total", "tenant" => tenant(), "outcome" => outcome).increment(1);
    histogram!("tributary_gather_cycle_seconds", "tenant" => tenant()).record(took);
    for (became, days) in [("sealed", of.sealed), ("unchanged", of.unchanged), ("held", of.held)] {
        counter!("tributary_gather_days_total", "tenant" => tenant(), "became" => became).increment(days as u64);
    }
    gauge!("tributary_gather_suspended", "tenant" => tenant()).set(f64::from(u8::from(of.suspended)));
    if outcome == "completed" {
        gauge!("tributary_gather_last_success_timestamp_seconds", "tenant" => tenant()).set(now as f64);
    }
}

/// A transaction of results is visible.
pub fn allocated(days: usize, refused: usize, rows: u64, took: Duration) {
    counter!("tributary_allocate_days_total", "outcome" => "allocated").increment(days as u64);
    counter!("tributary_allocate_days_total", "outcome" => "refused").increment(refused as u64);
    counter!("tributary_allocate_rows_total").increment(rows);
    histogram!("tributary_allocate_transaction_seconds").record(took);
}

/// What open days take up.
pub fn open(days: usize, bytes: usize) {
    gauge!("tributary_allocate_open_days").set(days as f64);
    gauge!("tributary_allocate_open_bytes").set(bytes as f64);
}

/// What a batch of a projection did.
pub fn projected(projection: &'static str, records: usize, rows: usize, set_aside: usize) {
    counter!("tributary_project_records_total", "projection" => projection).increment(records as u64);
    counter!("tributary_project_rows_total", "projection" => projection).increment(rows as u64);
    counter!("tributary_project_set_aside_total", "projection" => projection).increment(set_aside as u64);
    histogram!("tributary_project_batch_records", "projection" => projection).record(records as f64);
}

/// How far a projection is behind.
pub fn projection_lag(projection: &'static str, offsets: u64) {
    gauge!("tributary_project_lag", "projection" => projection).set(offsets as f64);
}

/// Where a projection stands.
pub fn position(projection: &'static str, topic: &str, partition: i32, next: i64) {
    let (topic, partition) = (topic.to_owned(), partition.to_string());
    let place =
        gauge!("tributary_project_position", "projection" => projection, "topic" => topic, "partition" => partition);
    place.set(next as f64);
}

/// How far the allocate stage is behind.
pub fn allocate_lag(offsets: u64) {
    gauge!("tributary_allocate_lag").set(offsets as f64);
}

/// A day or a month has left for a file or a gauge, or has not.
pub fn emitted(tenant: &str, emitter: &str, outcome: &'static str) {
    let (tenant, emitter) = (tenant.to_owned(), emitter.to_owned());
    counter!("tributary_emit_periods_total", "tenant" => tenant, "emitter" => emitter, "outcome" => outcome)
        .increment(1);
}

/// The answer of a request to the API begins. `route` is one of ours, with its parameters' names, or `none`.
pub fn api_request(route: &str, method: &str, status: u16, took: Duration) {
    let (route, method) = (route.to_owned(), method.to_owned());
    histogram!("tributary_api_request_seconds", "route" => route.clone()).record(took);
    let status = status.to_string();
    counter!("tributary_api_requests_total", "route" => route, "method" => method, "status" => status).increment(1);
}

/// How many entries of the quarantine are open.
pub fn quarantine(open: u64) {
    gauge!("tributary_quarantine_open").set(open as f64);
}

/// A role begins again.
pub fn restarted(role: &str) {
    counter!("tributary_role_restarts_total", "role" => role.to_owned()).increment(1);
}

/// A part is ready, or not.
pub fn ready(part: &str, is: bool) {
    gauge!("tributary_ready", "part" => part.to_owned()).set(f64::from(u8::from(is)));
}
