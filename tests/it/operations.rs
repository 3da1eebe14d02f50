//! A process as its supervisors see it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Installation, Running, fail};

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
    command.env("TRIBUTARY_HEALTH_PORT", "0");
    let mut service = Running::start(&mut command, installation.dir.path(), instance);
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

/// Prometheus' own tool, where it is installed.
fn judged_by_prometheus(text: &str) {
    let tool = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut tool) = tool else { return eprintln!("SKIPPED: promtool is not installed") };
    tool.stdin.take().expect("its input").write_all(text.as_bytes()).expect("written");
    let judged = tool.wait_with_output().expect("it ends");
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));
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
