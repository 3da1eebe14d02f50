//! Synthetic organisations, served by the test kit beside the project (`../shared/worlds`).

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Installation, succeed};

/// One organisation and what must be booked for it.
#[derive(Debug, Clone)]
pub struct World {
    pub name: String,
    pub dir: PathBuf,
    /// The moments at which the client runs, RFC 3339.
    pub runs: Vec<String>,
    flink_regions: Vec<String>,
}

/// The folder of the test kit, or `None` (said aloud) where it is not beside the project.
pub fn kit() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/worlds");
    let kit = std::env::var_os("TRIBUTARY_WORLDS").map_or(beside, PathBuf::from);
    if kit.join("fakeccloud.py").exists() {
        return Some(kit);
    }
    eprintln!("SKIPPED: no test kit at {}; set TRIBUTARY_WORLDS", kit.display());
    None
}

/// All worlds of the kit.
pub fn worlds() -> Vec<World> {
    let Some(kit) = kit() else { return Vec::new() };
    let mut found: Vec<World> = std::fs::read_dir(kit)
        .expect("the kit can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|dir| dir.join("world.json").exists())
        .map(|dir| World::read(&dir))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

impl World {
    /// A world by its name, `None` without the kit.
    pub fn named(name: &str) -> Option<Self> {
        kit().map(|kit| Self::read(&kit.join(name)))
    }

    /// The world in a folder; the kit's server is beside it.
    pub fn in_folder(dir: &Path) -> Self {
        Self::read(dir)
    }

    fn read(dir: &Path) -> Self {
        let text = std::fs::read_to_string(dir.join("world.json")).expect("world.json");
        let world: Value = serde_json::from_str(&text).expect("JSON");
        let moment = |run: &Value| run["now"].as_str().expect("now").to_owned();
        let flink = world["auth"]["flink"].as_object();
        Self {
            name: world["name"].as_str().expect("name").to_owned(),
            dir: dir.to_owned(),
            runs: world["runs"].as_array().expect("runs").iter().map(moment).collect(),
            flink_regions: flink.map(|f| f.keys().cloned().collect()).unwrap_or_default(),
        }
    }

    /// The world's reference configuration plus the addresses.
    pub fn config(&self, installation: &Installation, upstream: &str) -> PathBuf {
        let reference = std::fs::read_to_string(self.dir.join("reference-config.yaml")).expect("configuration");
        let mut text = String::new();
        for line in reference.lines() {
            text.push_str(line);
            text.push('\n');
            let indent = " ".repeat(line.len() - line.trim_start().len() + 2);
            if line.trim() == "ccloud_api:" {
                text.push_str(&format!("{indent}base_url: {upstream}\n"));
            }
            if let Some(region) = line.trim().strip_prefix("- region_id: ") {
                let named = self.flink_regions.iter().find(|r| r.starts_with(&format!("{region}.")));
                let region = named.expect("the region is in the world");
                text.push_str(&format!("{indent}base_url: {upstream}/flink/{region}\n"));
            }
        }
        let text = text.replace("${FAKE_URL}", upstream).replace("${DB_PATH}", "unused.db");
        installation.write_config(&text)
    }

    /// Lets the kit judge what was exported.
    #[track_caller]
    pub fn check(&self, exported: &Path) {
        let kit = self.dir.parent().expect("the kit");
        let mut check = Command::new("python3");
        succeed(check.arg(kit.join("check.py")).arg(&self.dir).arg(exported).args(["--show", "5"]));
    }
}

/// The kit's servers for one world, until dropped.
#[derive(Debug)]
pub struct Upstream {
    child: Child,
    pub url: String,
}

impl Upstream {
    /// Serves a world; `options` are the server's own (`--fault …`).
    pub fn start(world: &World, options: &[&str]) -> Self {
        let kit = world.dir.parent().expect("the kit");
        let mut child = Command::new("python3")
            .arg(kit.join("fakeccloud.py"))
            .arg("--world")
            .arg(world.dir.join("world.json"))
            .args(["--port", "0", "--cache"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("it says its address");
        let url = line.trim().rsplit(' ').next().expect("an address").to_owned();
        assert!(url.starts_with("http://"), "unexpected greeting {line:?}");
        Self { child, url }
    }

    /// Sets the clock of the servers.
    pub fn set_now(&self, now: &str) {
        self.put("/_fake/now", &format!("{{\"now\": \"{now}\"}}"));
    }

    /// Replaces the fault rules.
    pub fn set_faults(&self, rules: &str) {
        self.put("/_fake/faults", rules);
    }

    fn put(&self, path: &str, body: &str) {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the server listens");
        let length = body.len();
        write!(stream, "PUT {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}").expect("sent");
        let mut status = String::new();
        BufReader::new(stream).read_line(&mut status).expect("an answer");
        assert!(status.contains("200"), "{path} answered {status}");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
