//! What leaves the tables: files that hold what is exported, and gauges that a real Prometheus scrapes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tributary::domain::Amount;

use crate::harness::{Installation, Prometheus, Running, Upstream, World, fail, free_port, installed, succeed, until};

/// A world whose rows are emitted.
struct Emitting {
    world: World,
    installation: Installation,
    config: PathBuf,
    /// Where the gauges are.
    port: u16,
    upstream: Upstream,
}

/// Rows of a table by the names of its columns.
type Rows = Vec<BTreeMap<String, String>>;

impl Emitting {
    fn new(world: World, name: &str, upstream: &[&str]) -> Self {
        let installation = Installation::new(name);
        let upstream = Upstream::start(&world, upstream);
        let config = world.config(&installation, &upstream.url);
        let (port, out) = (free_port(), installation.dir.path().join("out").display().to_string());
        let emitters = format!(
            "    plugin_settings:\n      emitters:\n      \
             - {{type: csv, name: rows, params: {{output_dir: {out}/rows}}}}\n      \
             - {{type: csv, name: days, aggregation: daily, params: {{output_dir: {out}/days}}}}\n      \
             - {{type: csv, name: months, aggregation: monthly, params: {{output_dir: {out}/months}}}}\n      \
             - {{type: prometheus, params: {{port: {port}}}}}\n"
        );
        let topics =
            format!("        enabled: true\n        emitters: [{{type: csv, params: {{output_dir: {out}/topics}}}}]\n");
        let text = fs::read_to_string(&config).expect("the configuration");
        let text = text.replacen("    plugin_settings:\n", &emitters, 1);
        fs::write(&config, text.replacen("        enabled: true\n", &topics, 1)).expect("written");
        Self { world, installation, config, port, upstream }
    }

    fn folder(&self, emitter: &str) -> PathBuf {
        self.installation.dir.path().join("out").join(emitter)
    }

    fn roles(&self, roles: &str, now: &str) -> Command {
        let mut command = self.installation.once(&self.config, now);
        command.args(["--roles", roles]);
        command
    }

    fn service(&self, name: &str) -> Running {
        let mut command = self.installation.service(&self.config, "emit,project", name);
        command.args(["--now", self.world.runs.last().expect("a run")]);
        Running::start(&mut command, self.installation.dir.path(), name)
    }

    fn exported(&self, table: &str) -> Rows {
        rows(&self.installation.export(&self.config, &self.world.name, "exported").join(format!("{table}.csv")))
    }

    fn records(&self, of: &str) -> String {
        self.installation.sql(&format!("SELECT count(*) FROM emissions WHERE {of}"))
    }

    /// `/metrics` in the format that this `Accept` asks for; `None` before it is there.
    fn scraped(&self, accept: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let head = format!("GET /metrics HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    /// Once the newest day is shown.
    #[track_caller]
    fn gauges(&self, accept: &str) -> String {
        let mut text = None;
        until("all gauges are shown", || {
            text = self.scraped(accept);
            text.as_ref().is_some_and(|text| text.contains("ccloud_cost_usd_hourly{"))
        });
        text.expect("shown")
    }
}

fn rows(path: &Path) -> Rows {
    let mut reader = csv::Reader::from_path(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    reader.deserialize().collect::<Result<_, _>>().expect("rows")
}

/// The rows of every file of an emitter, by the date in its name.
fn files(folder: &Path) -> BTreeMap<String, Rows> {
    // Nothing was to be emitted so far.
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let file = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(path.extension().and_then(|e| e.to_str()), Some("csv"), "{name} was left behind");
        (name.rsplit('_').next().expect("a date").to_owned(), rows(&path))
    };
    entries.map(|entry| file(entry.expect("an entry").path())).collect()
}

/// Amounts added up by columns, exactly.
fn sums<'a>(
    rows: impl IntoIterator<Item = &'a BTreeMap<String, String>>,
    by: &[&str],
) -> BTreeMap<Vec<String>, Amount> {
    let mut sums: BTreeMap<Vec<String>, Amount> = BTreeMap::new();
    for row in rows {
        let key =
            by.iter().map(|column| row[*column].chars().take(if *column == "timestamp" { 10 } else { 999 }).collect());
        *sums.entry(key.collect()).or_default() += row["amount"].parse().expect("an amount");
    }
    sums
}

fn total(rows: &Rows) -> Amount {
    sums(rows, &[]).into_values().sum()
}

/// Every file of every emitter holds exactly what is exported now.
#[track_caller]
fn check_files(of: &Emitting) {
    let (chargebacks, topics) = (of.exported("chargebacks"), of.exported("topic_attributions"));
    let keys = ["timestamp", "resource_id", "product_type", "identity_id", "cost_type"];
    let by_row = [
        "timestamp",
        "env_id",
        "resource_id",
        "product_type",
        "identity_id",
        "cost_type",
        "allocation_method",
        "allocation_detail",
    ];
    let all = |emitter: &str| -> Rows { files(&of.folder(emitter)).into_values().flatten().collect() };
    assert_eq!(sums(&all("rows"), &by_row), sums(&chargebacks, &by_row));
    assert_eq!(all("rows").len(), chargebacks.len(), "rows are as they are");
    assert_eq!(sums(&all("days"), &keys), sums(&chargebacks, &keys));
    assert_eq!(sums(&all("days"), &keys).len(), all("days").len(), "one row for each key");
    for (day, rows) in files(&of.folder("rows")) {
        assert!(rows.iter().all(|row| row["timestamp"] == format!("{day}T00:00:00+00:00")), "{day}");
    }
    let by_topic = ["timestamp", "cluster_resource_id", "topic_name", "product_type", "attribution_method"];
    assert_eq!(sums(&all("topics"), &by_topic), sums(&topics, &by_topic));
    let by_month = ["resource_id", "product_type", "identity_id", "cost_type"];
    for (month, rows) in files(&of.folder("months")) {
        let of_month = chargebacks.iter().filter(|row| row["timestamp"][..7] == month[..7]);
        assert_eq!(sums(&rows, &by_month), sums(of_month, &by_month), "{month}");
    }
}

#[test]
fn files_and_gauges_hold_what_is_exported() {
    let Some(world) = World::named("small-ccloud") else { return };
    let of = Emitting::new(world, "emit", &[]);
    let now = of.world.runs[0].clone();
    let said = succeed(&mut of.installation.once(&of.config, &now)).stdout;
    assert!(String::from_utf8_lossy(&said).contains("emitters: 37 emitted"), "{}", String::from_utf8_lossy(&said));
    check_files(&of);
    assert_eq!(files(&of.folder("months")).keys().collect::<Vec<_>>(), ["2026-02-01"]);
    assert_eq!(of.records("outcome = 'emitted' AND attempts = 1 AND rows > 0 AND revision > 0"), "37");
    let before = of.installation.records("emissions");
    succeed(&mut of.roles("emit", &now));
    assert_eq!(of.installation.records("emissions"), before, "nothing changed, nothing is emitted");
    form_of_a_file(&of);
    gauges_are_what_prometheus_reads(&of);
    past_days_become_blocks(&of);
}

fn form_of_a_file(of: &Emitting) {
    let path = of.folder("rows").join(format!("{}_2026-02-28.csv", of.world.name));
    let text = fs::read_to_string(path).expect("a file");
    let header = "ecosystem,tenant_id,timestamp,resource_id,product_category,product_type,identity_id,cost_type,amount,\
                  allocation_method,allocation_detail,env_id,currency,revision\r\n";
    assert!(text.starts_with(header) && text.ends_with(",USD,1\r\n"), "{}", &text[..400]);
    assert!(text.lines().count() > 100 && text.matches('\n').count() == text.matches("\r\n").count());
}

fn gauges_are_what_prometheus_reads(of: &Emitting) {
    let chargebacks = of.exported("chargebacks");
    let first = of.service("first");
    let text = of.gauges("text/plain");
    promtool_agrees(&text);
    let open = of.gauges("application/openmetrics-text;version=1.0.0");
    assert!(open.ends_with("# EOF\n") && open.lines().count() == text.lines().count() + 1);
    until("what is shown is recorded", || of.records("emitter = 'prometheus' AND outcome = 'emitted'") == "12");

    let config = format!(
        "global: {{scrape_interval: 1s}}\nstorage: {{tsdb: {{out_of_order_time_window: 3650d}}}}\nscrape_configs:\n\
         - {{job_name: tributary, honor_timestamps: true, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n",
        of.port
    );
    let dir = of.installation.dir.path();
    let prometheus = Prometheus::start(dir, &config, &dir.join("scraped"), &[]);
    answers_the_totals(of, &prometheus);
    let usd =
        of.installation.sql("SELECT sum(amount) / 24 FROM chargebacks WHERE currency = 'USD' AND day = '2026-02-28'");
    let hourly = || prometheus.ask("sum(ccloud_cost_usd_hourly)", None).first().map(|(_, value)| *value);
    until("the hourly cost is scraped", || hourly().is_some());
    near(hourly().expect("scraped"), usd.parse().expect("a number"));

    // What is shown does not depend on what a process remembers.
    first.stop();
    let second = of.service("second");
    assert_eq!(of.gauges("text/plain"), text);
    second.stop();
    assert!(!chargebacks.is_empty());
}

/// Sums by day, identity and cost type, and what else there is, as Prometheus answers them.
#[track_caller]
fn answers_the_totals(of: &Emitting, prometheus: &Prometheus) {
    let end = Some(of.world.runs[0].as_str());
    let value = |query: &str| prometheus.ask(query, end).first().map_or(f64::NAN, |(_, value)| *value);
    let of_all = |name: &str| format!("sum(sum_over_time({name}[30d]))");
    let chargebacks = of.exported("chargebacks");
    let all = total(&chargebacks).to_string().parse::<f64>().expect("a number");
    let query = of_all("chitragupta_chargeback_amount");
    until("the totals are there", || (value(&query) - all).abs() < 1e-6 * all.abs());
    near(value(&of_all("chitragupta_billing_amount")), all);
    let topics: f64 = total(&of.exported("topic_attributions")).to_string().parse().expect("a number");
    // The world's topics are emitted to files only.
    let shown = value(&of_all("chitragupta_topic_attribution_amount"));
    assert!(shown.is_nan() || (shown - topics).abs() < 1e-6 * topics, "{shown} {topics}");
    for (key, sum) in sums(&chargebacks, &["timestamp", "identity_id", "cost_type"]) {
        let [day, identity, kind] = key.as_slice() else { unreachable!("three columns") };
        let at = format!("{day}T00:00:00Z");
        let query = format!("sum(chitragupta_chargeback_amount{{identity_id=\"{identity}\",cost_type=\"{kind}\"}})");
        let answer = prometheus.ask(&query, Some(&at));
        near(answer.first().map_or(f64::NAN, |(_, value)| *value), sum.to_string().parse().expect("a number"));
    }
    let clusters = prometheus
        .ask("count(chitragupta_resource_active{resource_type=\"kafka_cluster\"})", Some("2026-02-28T00:00:00Z"));
    let there = of.installation.sql(
        "SELECT count(*) FROM resources WHERE day = '2026-02-28' AND resource_type = 'kafka_cluster'
         AND coalesce(created_at <= '2026-02-28Z', true) AND coalesce(deleted_at > '2026-02-28Z', true)",
    );
    near(clusters[0].1, there.parse().expect("a number"));
    assert!(value("count(last_over_time(chitragupta_identity_active[30d]))") > 0.0);
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found} in place of {expected}");
}

fn promtool_agrees(text: &str) {
    let mut check = Command::new(installed("promtool"));
    let mut child = check.args(["check", "metrics"]).stdin(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success(), "promtool finds fault with the gauges");
}

fn past_days_become_blocks(of: &Emitting) {
    let dir = of.installation.dir.path();
    let backfill = |from: &str, to: &str, blocks: &Path, promtool: &Path| {
        let mut command = of.installation.tributary();
        command.args(["backfill-tsdb", "--tenant", &of.world.name, "--from", from, "--to", to, "--config"]);
        command.arg(&of.config).arg("--output").arg(blocks).arg("--promtool").arg(promtool);
        command
    };
    let blocks = dir.join("blocks");
    succeed(&mut backfill("2026-02-01", "2026-03-01", &blocks, &installed("promtool")));
    let names: Vec<_> = fs::read_dir(&blocks).expect("blocks").map(|entry| entry.expect("an entry").path()).collect();
    assert!(!names.is_empty() && names.iter().all(|path| path.join("index").exists()), "{names:?}");
    let prometheus = Prometheus::start(dir, "global: {}\n", &blocks, &["--storage.tsdb.retention.time=3650d"]);
    answers_the_totals(of, &prometheus);
    // Each hour has its part of the day.
    let usd = of.installation.sql("SELECT sum(amount) FROM chargebacks WHERE currency = 'USD' AND day = '2026-02-28'");
    let hours = prometheus.ask("sum(sum_over_time(ccloud_cost_usd_hourly[24h]))", Some("2026-02-28T23:30:00Z"));
    near(hours[0].1, usd.parse().expect("a number"));

    let apart = dir.join("apart");
    let said = succeed(&mut backfill("2026-02-27", "2026-03-01", &apart, Path::new("/nowhere/promtool"))).stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let file = apart.join("2026-02-27_2026-03-01.openmetrics");
    assert!(said.contains("promtool tsdb create-blocks-from openmetrics") && file.exists(), "{said}");
    let refused = fail(&mut backfill("2020-01-01", "2020-02-01", &apart, &installed("promtool")));
    assert!(refused.contains("has no rows from 2020-01-01"), "{refused}");
}

#[test]
fn a_corrected_day_is_emitted_again() {
    let Some(world) = World::named("small-ccloud-reruns") else { return };
    let of = Emitting::new(world, "emit-again", &["--no-world-faults"]);
    // Between the two the provider corrects its bill.
    for now in &of.world.runs[..2] {
        of.upstream.set_now(now);
        succeed(&mut of.installation.once(&of.config, now));
        check_files(&of);
    }
    let corrected = of.installation.sql(
        "SELECT count(*) FILTER (WHERE e.revision > 1), count(*) FILTER (WHERE e.revision <> d.chargebacks_revision)
         FROM emissions e JOIN days d USING (tenant_id, day) WHERE emitter = 'rows'",
    );
    let (again, behind) = corrected.split_once('|').expect("two numbers");
    assert!(again != "0" && behind == "0", "{corrected}");
}

#[test]
fn what_was_emitted_is_remembered_for_as_long_as_the_log_has_the_days() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let of = Emitting::new(world, "emit-old", &[]);
    succeed(&mut of.installation.once(&of.config, &of.world.runs[0].clone()));
    let (emitted, paid) = (of.records("true"), "SELECT count(*) FROM chargebacks");
    let (rows, written) = (of.installation.sql(paid), of.installation.records("emissions"));
    assert!(emitted != "0" && rows != "0", "{emitted}, {rows}");
    let command = |words: &[&str]| {
        let mut command = of.installation.tributary();
        String::from_utf8_lossy(&succeed(command.args(words).arg("--config").arg(&of.config)).stdout).into_owned()
    };

    let later = "2027-06-01T06:00:00Z";
    let told = command(&["retention", "--now", later]);
    assert!(told.contains("and 0 emissions"), "{told}");
    assert_eq!(of.installation.sql(paid), "0");
    command(&["rebuild"]);
    assert_eq!((of.installation.sql(paid), of.records("true")), (rows, emitted), "the log has everything");
    succeed(&mut of.roles("emit,project", later));
    assert_eq!(of.installation.records("emissions"), written, "no day is emitted anew");

    let told = command(&["retention", "--now", "2029-06-01T06:00:00Z"]);
    assert!(!told.contains("and 0 emissions"), "{told}");
    let mut service = of.installation.service(&of.config, "project", "projector");
    let mut service = Running::start(&mut service, of.installation.dir.path(), "projector");
    service.until("the table follows", |_| of.records("true") == "0");
    service.stop();
}

#[test]
fn a_crash_between_file_and_record_doubles_and_loses_nothing() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let of = Emitting::new(world, "emit-crash", &[]);
    let now = of.world.runs[0].clone();
    succeed(&mut of.roles("gather,allocate,project", &now));
    let days: Vec<String> =
        sums(&of.exported("chargebacks"), &["timestamp"]).into_keys().map(|key| key.concat()).collect();
    let [first, second, ..] = days.as_slice() else { panic!("the world has {days:?}") };

    // A pipe that nobody reads stands where the second file begins: the first is written, nothing is recorded.
    let folder = of.folder("rows");
    fs::create_dir_all(&folder).expect("a folder");
    let pipe = folder.join(format!(".{}_{second}.csv.unfinished", of.world.name));
    succeed(Command::new("mkfifo").arg(&pipe));
    let mut killed = of.service("killed");
    let written = folder.join(format!("{}_{first}.csv", of.world.name));
    killed.until("the first file is there", |_| written.exists());
    let text = fs::read_to_string(&written).expect("text");
    assert_eq!(of.installation.records("emissions"), 0);
    killed.signal(Signal::SIGKILL);
    killed.ended();
    fs::remove_file(&pipe).expect("removed");

    succeed(&mut of.roles("emit,project", &now));
    assert_eq!(fs::read_to_string(&written).expect("text"), text);
    check_files(&of);
    assert_eq!(of.records("emitter = 'rows' AND outcome = 'emitted' AND attempts = 1"), days.len().to_string());
}

#[test]
fn what_cannot_be_written_is_told_and_tried_again() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let of = Emitting::new(world, "emit-failing", &[]);
    let now = of.world.runs[0].clone();
    let folder = of.folder("days");
    fs::create_dir_all(folder.parent().expect("a folder")).expect("made");
    fs::write(&folder, "in the way").expect("written");
    let said = fail(&mut of.installation.once(&of.config, &now));
    assert!(said.contains("FAILED: 3, see the view `emissions`"), "{said}");
    assert_eq!(
        of.records("emitter = 'days' AND outcome = 'failed' AND attempts = 1 AND error LIKE '%cannot write%'"),
        "3"
    );
    fs::remove_file(&folder).expect("removed");
    // Not at once, but after a pause.
    succeed(&mut of.roles("emit,project", &now));
    assert!(!folder.exists());
    let later = now.replace("T0", "T1");
    succeed(&mut of.roles("emit,project", &later));
    check_files(&of);
    assert_eq!(of.records("emitter = 'days' AND outcome = 'emitted' AND attempts = 2"), "3");
}
