//! A process as its supervisors see it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::runtime::Runtime;

use crate::harness::{Installation, Proxy, Running, Upstream, Wire, World, fail, free_port, installed, succeed, until};

/// The status line's code and the body of an answer.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body.to_owned())
}

/// A service that gathers nobody, with a port of its own choice, and that port.
fn serve(installation: &Installation, config: &Path, instance: &str, more: &[(&str, &str)]) -> (Running, String) {
    let mut command = installation.tributary();
    command.arg("run").arg("--config").arg(config).env("TRIBUTARY_INSTANCE", instance).envs(more.iter().copied());
    listening(command.env("TRIBUTARY_HEALTH_PORT", "0"), installation, instance)
}

/// A service with where it answers.
fn listening(command: &mut Command, installation: &Installation, instance: &str) -> (Running, String) {
    let mut service = Running::start(command, installation.dir.path(), instance);
    let address = |it: &Running| {
        let said = it.said();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut answering = lines.filter(|line| line["message"].as_str().is_some_and(|m| m.starts_with("answering")));
        answering.next().map(|line| line["address"].as_str().expect("an address").to_owned())
    };
    service.until("it listens, and says so in JSON", |it| address(it).is_some());
    let address = address(&service).expect("it listens");
    (service, address)
}

/// Every sample by its name and labels; each metric must say its type before.
fn parsed(text: &str) -> BTreeMap<String, f64> {
    let (mut types, mut samples) = (Vec::new(), BTreeMap::new());
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            types.push(of.split(' ').next().expect("a name").to_owned());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            let plain = name.split('{').next().expect("a name");
            let known = types.iter().any(|of| {
                plain.strip_prefix(of.as_str()).is_some_and(|rest| ["", "_sum", "_count", "_bucket"].contains(&rest))
            });
            assert!(known, "{plain} has no type");
            samples.insert(name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")));
        }
    }
    samples
}

#[test]
fn a_process_says_that_it_lives_whether_it_is_ready_and_what_it_counted() {
    let installation = Installation::new("operations");
    let config = installation.write_config("tenants: {}\n");
    let socket = installation.dir.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).expect("a socket");
    systemd.set_read_timeout(Some(Duration::from_secs(180))).expect("a limit");
    let socket = socket.to_str().expect("UTF-8");
    let (mut service, address) = serve(&installation, &config, "one", &[("NOTIFY_SOCKET", socket)]);
    assert_eq!(get(&address, "/healthz"), (200, "alive\n".to_owned()));
    service.until("it is ready", |_| get(&address, "/readyz") == (200, "ready\n".to_owned()));
    let mut word = [0; 64];
    let length = systemd.recv(&mut word).expect("a word to systemd");
    assert!(String::from_utf8_lossy(&word[..length]).contains("READY=1"));

    let count = |name: &str| parsed(&get(&address, "/metrics").1).get(name).copied();
    service.until("what is not done yet was counted", |_| count("tributary_quarantine_open") == Some(0.0));
    let text = get(&address, "/metrics").1;
    let samples = parsed(&text);
    for part in ["service", "kafka", "postgres", "allocate", "project billing", "project tenants"] {
        assert_eq!(samples.get(&format!("tributary_ready{{part=\"{part}\"}}")), Some(&1.0), "{part}\n{text}");
    }
    let version = format!("tributary_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(samples.get(&version), Some(&1.0));
    assert_eq!(samples.get("tributary_allocate_lag"), Some(&0.0));
    judged_by_prometheus(&text);

    // Somebody asked for a port that is taken: that is told, with what to change.
    let port = address.rsplit(':').next().expect("a port");
    let mut second = installation.tributary();
    second.arg("run").arg("--config").arg(&config);
    let refused = fail(second.env("TRIBUTARY_INSTANCE", "two").env("TRIBUTARY_HEALTH_PORT", port));
    assert!(refused.contains("TRIBUTARY_HEALTH_PORT"), "{refused}");
    service.stop();
    let length = systemd.recv(&mut word).expect("a last word");
    assert!(String::from_utf8_lossy(&word[..length]).contains("STOPPING=1"));
    assert!(TcpStream::connect(&address).is_err(), "nobody answers for a service that has ended");
}

#[test]
fn what_a_cycle_did_is_counted() {
    let Some(world) = World::named("small-ccloud") else { return };
    let upstream = Upstream::start(&world, &[]);
    let installation = Installation::new("counted");
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let (port, files) = (free_port(), installation.dir.path().join("files").display().to_string());
    let emitter = format!("    plugin_settings:\n      emitters: [{{type: csv, params: {{output_dir: {files}}}}}]\n");
    let text = text.replacen("    plugin_settings:\n", &emitter, 1);
    std::fs::write(&config, format!("{text}api: {{port: {port}}}\n")).expect("written");
    let mut command = installation.service(&config, "gather,allocate,project,emit,api", "one");
    command.args(["--now", &world.runs[0]]).env("TRIBUTARY_HEALTH_PORT", "0");
    let (mut service, address) = listening(&mut command, &installation, "one");
    let samples = || parsed(&get(&address, "/metrics").1);
    let of = |name: &str| samples().get(name).map_or(0, |value| *value as usize);
    service.until("the cycle is over", |_| {
        of("tributary_gather_cycles_total{tenant=\"small-ccloud\",outcome=\"completed\"}") == 1
    });
    let (days, rows) = (installation.records("days"), || installation.records("chargebacks"));
    assert_eq!(of("tributary_gather_days_total{tenant=\"small-ccloud\",became=\"sealed\"}"), days);
    assert!(of("tributary_gather_last_success_timestamp_seconds{tenant=\"small-ccloud\"}") > 0);
    service.until("all days are allocated", |_| of("tributary_allocate_days_total{outcome=\"allocated\"}") == days);
    assert_eq!(of("tributary_allocate_rows_total"), rows());
    service
        .until("rows are in the table", |_| of("tributary_project_rows_total{projection=\"chargebacks\"}") == rows());
    service.until("months are added up", |_| installation.sql("SELECT count(*) FROM chargeback_months") != "0");
    let host = upstream.url.trim_start_matches("http://").split(':').next().expect("a host").to_owned();
    let answered = |(name, value): (&String, &f64)| {
        *value > 0.0
            && name.starts_with("tributary_upstream_requests_total")
            && name.contains(&host)
            && name.contains("answered")
    };
    let all = samples();
    assert!(all.iter().any(answered), "{all:?}");
    let emitted = "tributary_emit_periods_total{tenant=\"small-ccloud\",emitter=\"csv\",outcome=\"emitted\"}";
    service.until("each day has its file", |_| of(emitted) == days);

    let api = format!("127.0.0.1:{port}");
    service.until("the API answers", |_| TcpStream::connect(&api).is_ok());
    let (status, _) = get(&api, "/api/v1/tenants");
    let (missing, _) = get(&api, "/api/v1/nothing");
    let requests = |route: &str, status: u16| {
        let labels = format!("route=\"{route}\",method=\"GET\",status=\"{status}\"");
        of(&format!("tributary_api_requests_total{{{labels}}}"))
    };
    assert_eq!((requests("/api/v1/tenants", status), requests("none", missing)), (1, 1), "{:?}", samples());
    assert_eq!(of("tributary_api_request_seconds_count{route=\"/api/v1/tenants\"}"), 1);
    let set_aside: usize = installation.sql("SELECT count(*) FROM quarantine").parse().expect("a number");
    service.until("open entries are counted", |_| of("tributary_quarantine_open") == set_aside);
    assert!(set_aside > 0);
    service.stop();
}

/// Prometheus' own tool has nothing to say about it.
#[track_caller]
fn judged_by_prometheus(text: &str) {
    let mut tool = std::process::Command::new(installed("promtool"));
    tool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = tool.spawn().expect("promtool runs");
    tool.stdin.take().expect("its input").write_all(text.as_bytes()).expect("written");
    let judged = tool.wait_with_output().expect("it ends");
    let said = [judged.stdout, judged.stderr].concat();
    assert!(judged.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn one_file_serves_two_processes_of_a_host() {
    let installation = Installation::new("two_of_a_host");
    let config = installation.write_config("tenants: {}\n");
    let (mut one, of_one) = serve(&installation, &config, "one", &[]);
    let (mut two, of_two) = serve(&installation, &config, "two", &[]);
    // With one name they would put each other out.
    one.until("the first is ready", |_| get(&of_one, "/readyz").0 == 200);
    two.until("the second is ready", |_| get(&of_two, "/readyz").0 == 200);
    one.stop();
    two.stop();
}

#[test]
fn lines_are_sentences_or_json_at_levels_by_module() {
    let installation = Installation::new("logs");
    let tenants = "tenants: {}\n";
    let said = |name: &str, logging: &str| {
        let config = installation.write_config(&format!("logging: {logging}\n{tenants}"));
        let mut command = installation.tributary();
        command.arg("run").arg("--config").arg(config).args(["--roles", "allocate"]);
        command.env("TRIBUTARY_INSTANCE", name).env("TRIBUTARY_HEALTH_PORT", "0");
        let mut service = Running::start(&mut command, installation.dir.path(), name);
        service.until("it listens", |it| it.said().contains("answering /healthz"));
        service.until("it has ended", |it| {
            it.signal(Signal::SIGTERM);
            it.said().contains("stopping")
        });
        service.ended();
        service.said()
    };
    let text = said(
        "text",
        "{level: ERROR, format: text, per_module_levels: {tributary::cli: INFO, tributary::shutdown: INFO}}",
    );
    assert!(text.contains("INFO answering /healthz, /readyz and /metrics address=127.0.0.1:"), "{text}");
    assert!(!text.contains("allocating") && !text.contains('{'), "{text}");
    let json = said("json", "{level: INFO, format: json, per_module_levels: {tributary::allocate: WARNING}}");
    let lines: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let from = |module: &str| {
        lines.iter().filter(|line| line["target"].as_str().is_some_and(|it| it.contains(module))).count()
    };
    assert!(from("cli") > 0 && from("allocate") == 0, "{json}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{json}");
}

/// Holds up everybody who writes rows until it is dropped.
struct Lock(Child);

impl Lock {
    fn on(installation: &Installation) -> Self {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", &installation.database_url]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut psql = psql.spawn().expect("psql runs");
        psql.stdin.as_mut().expect("its input").write_all(b"BEGIN; LOCK TABLE slices;\n").expect("written");
        let held = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation = 'slices'::regclass";
        until("the table is locked", || installation.sql(held) == "1");
        Self(psql)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Its session ends with its input.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn a_role_that_hangs_does_not_hold_up_the_end_and_loses_nothing() {
    let Some(world) = World::named("small-ccloud") else { return };
    let upstream = Upstream::start(&world, &[]);
    let installation = Installation::new("hanging");
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    // A service with rows to write, and a transaction that does not get on.
    let hanging = |name: &str, seconds: u32| {
        let text = text.replace("features:\n", &format!("features:\n  shutdown_timeout_seconds: {seconds}\n"));
        assert!(text.contains("shutdown_timeout_seconds"));
        std::fs::write(&config, text).expect("written");
        let mut service = installation.service(&config, "allocate,project", name);
        let mut service = Running::start(&mut service, installation.dir.path(), name);
        let waiting = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'slices'::regclass";
        service.until("it waits for a lock", |_| installation.sql(waiting) == "t");
        service
    };

    succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));
    let mut gathering = installation.service(&config, "gather", "gatherer");
    gathering.args(["--once", "--now", &world.runs[0]]);
    let mut gathering = Running::start(&mut gathering, installation.dir.path(), "gatherer");
    gathering.until("there are facts to write", |_| installation.records("days") > 0);
    let lock = Lock::on(&installation);
    let mut service = hanging("one", 1);
    service.signal(Signal::SIGTERM);
    assert!(service.ended().success(), "{}", service.said());
    assert!(service.said().contains("did not end within features.shutdown_timeout_seconds"), "{}", service.said());

    // Whoever is in a hurry says so twice.
    let mut service = hanging("two", 3_600);
    service.signal(Signal::SIGTERM);
    service.until("it knows", |it| it.said().contains("once more to stop at once"));
    service.signal(Signal::SIGTERM);
    assert_eq!(service.ended().code(), Some(130));

    drop((gathering, lock));
    succeed(&mut installation.once(&config, &world.runs[0]));
    world.check(&installation.export(&config, &world.name, "out"));
}

#[test]
fn a_process_is_not_ready_while_postgres_is_away_and_says_so() {
    let mut installation = Installation::new("unready");
    let (runtime, direct) = (Runtime::new().expect("a runtime"), installation.database_url.clone());
    let port = direct.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()?.parse().ok()).expect("a port");
    let proxy = Proxy::start(&runtime, Wire::Postgres, port);
    installation.database_url = direct.replace(&format!(":{port}/"), &format!(":{}/", proxy.port()));
    let config = installation.write_config("tenants: {}\n");
    let (mut service, address) = serve(&installation, &config, "one", &[]);
    service.until("it is ready", |_| get(&address, "/readyz").0 == 200);
    proxy.stall(true);
    service.until("it says why it is not ready", |_| {
        let (code, why) = get(&address, "/readyz");
        code == 503 && why.contains("postgres: ")
    });
    assert_eq!(get(&address, "/healthz").0, 200, "it lives");
    proxy.stall(false);
    service.until("it is ready again", |_| get(&address, "/readyz").0 == 200);
    service.stop();
}
