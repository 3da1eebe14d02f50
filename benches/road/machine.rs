//! What a phase took of the machine: wall clock, processor time by who used it, memory. And which machine it is.

use std::process::Command;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The processes that share the machine with this one.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Others {
    pub kafka: u32,
    pub postgres: u32,
}

/// What a phase took. Processor time in seconds of one core.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Taken {
    pub seconds: f64,
    pub cpu_ours: f64,
    pub cpu_kafka: f64,
    pub cpu_postgres: f64,
    /// The most memory this process ever held, MB of 2²⁰ bytes.
    pub peak_mb: u64,
}

impl Taken {
    /// Processor time of everybody who took part, seconds of one core.
    pub fn cpu(&self) -> f64 {
        self.cpu_ours + self.cpu_kafka + self.cpu_postgres
    }
}

/// The machine, and how busy others keep it.
pub fn description() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    json!({
        "processor": field(&read("/proc/cpuinfo"), "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": field(&read("/proc/meminfo"), "MemTotal"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_before": load(),
    })
}

/// Processes that ran or waited to run, the average of a minute.
pub fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// What `git` says of the sources, nothing outside of a clone.
pub fn commit() -> Option<String> {
    let mut asked = Command::new("git");
    asked.args(["describe", "--always", "--dirty", "--abbrev=12"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = asked.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// A stopwatch for all of it.
#[derive(Debug, Clone)]
pub struct Watch {
    others: Others,
    pub began: Instant,
    cpu: [f64; 3],
}

impl Watch {
    /// Begins now.
    pub fn start(others: Others) -> Self {
        Self { others, cpu: cpu(others), began: Instant::now() }
    }

    /// What was taken since.
    pub fn read(&self) -> Taken {
        let seconds = self.began.elapsed().as_secs_f64();
        let now = cpu(self.others);
        let [cpu_ours, cpu_kafka, cpu_postgres] = [0, 1, 2].map(|i| now[i] - self.cpu[i]);
        Taken { seconds, cpu_ours, cpu_kafka, cpu_postgres, peak_mb: peak_mb() }
    }
}

fn cpu(others: Others) -> [f64; 3] {
    [spent(std::process::id(), false), spent(others.kafka, false), postgres(others.postgres)]
}

/// The server's processes: those alive, and in the parent's own account those that ended.
fn postgres(parent: u32) -> f64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = pids.filter(|pid| fields(*pid).is_some_and(|f| f.get(1).is_some_and(|p| *p == parent.to_string())));
    spent(parent, true) + children.map(|pid| spent(pid, false)).sum::<f64>()
}

/// Seconds of processor time of a process; with `ended`, of its children that ended too.
fn spent(pid: u32, ended: bool) -> f64 {
    /// Ticks a second that Linux shows to programs, whatever it counts by.
    const TICKS: f64 = 100.0;
    let Some(fields) = fields(pid) else { return 0.0 };
    let last = if ended { 14 } else { 12 };
    let ticks = fields.get(11..=last).unwrap_or_default().iter().filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// The fields of `/proc/PID/stat` behind the name, which may contain spaces.
fn fields(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or_default() / 1024
}
