//! A real Prometheus, and what else `make setup` puts into a cache folder.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A Prometheus, until dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    /// `http://127.0.0.1:port`
    pub url: String,
}

impl Prometheus {
    /// Starts one on a free port, with its configuration and log in `dir`.
    pub fn start(dir: &Path, config: &str, tsdb: &Path, options: &[&str]) -> Self {
        Self::start_at(free_port(), dir, config, tsdb, options)
    }

    /// As [`Self::start`], on this port.
    pub fn start_at(port: u16, dir: &Path, config: &str, tsdb: &Path, options: &[&str]) -> Self {
        let path = dir.join("prometheus.yml");
        std::fs::write(&path, config).expect("written");
        let log = std::fs::File::create(dir.join("prometheus.log")).expect("a log");
        let both = log.try_clone().expect("a second handle");
        let mut command = Command::new(installed("prometheus"));
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", tsdb.display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(options);
        command.current_dir(dir).stdin(Stdio::null()).stdout(log).stderr(both);
        let child = command.spawn().expect("it starts");
        Self { child, url: format!("http://127.0.0.1:{port}") }
    }

    /// The values of an instant query at a moment, with their labels; none while it does not answer.
    pub fn ask(&self, query: &str, at: Option<&str>) -> Vec<(Value, f64)> {
        let host = self.url.trim_start_matches("http://");
        let time = at.map_or(String::new(), |at| format!("&time={}", encoded(at)));
        let body = format!("query={}{time}", encoded(query));
        let Ok(mut stream) = TcpStream::connect(host) else { return Vec::new() };
        let head = "Content-Type: application/x-www-form-urlencoded\r\nConnection: close";
        let request = format!(
            "POST /api/v1/query HTTP/1.0\r\nHost: {host}\r\n{head}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut answer = String::new();
        if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
            return Vec::new();
        }
        let json = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let parsed: Value = serde_json::from_str(json).unwrap_or_default();
        let series = parsed["data"]["result"].as_array().cloned().unwrap_or_default();
        let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok());
        series.iter().filter_map(|one| Some((one["metric"].clone(), value(one)?))).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of Debian's package `prometheus`: in the path, or where `make setup` put it.
pub fn installed(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|program| program.is_file());
    in_path.unwrap_or_else(|| found(&format!("prometheus/usr/bin/{program}")))
}

/// What `make setup` put into a cache folder.
pub fn found(name: &str) -> PathBuf {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).map(|cache| cache.join("tributary"));
    let places = own.into_iter().chain([PathBuf::from("/var/cache/tributary")]);
    let found = places.map(|place| place.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{name} is in no cache folder: run `make setup`"))
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}
