//! Services of a test's own, which it may kill and start again.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tributary::embedded::{self, Services};

use super::Addresses;

/// A Kafka and a Postgres that nobody else uses; they end when it is dropped.
pub struct Own {
    pub runtime: Runtime,
    services: Option<Services>,
    _dir: TempDir,
}

impl Own {
    pub fn start() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let dir = TempDir::with_prefix("tributary-own-").expect("a folder");
        let settings = embedded::Settings::both_in(dir.path());
        let services = runtime.block_on(embedded::start(settings, &|_| ())).expect("services start");
        Self { runtime, services: Some(services), _dir: dir }
    }

    fn services(&mut self) -> &mut Services {
        self.services.as_mut().expect("they run")
    }

    pub fn addresses(&mut self) -> Addresses {
        let services = self.services();
        let (kafka, postgres) = (services.kafka_bootstrap(), services.database_url());
        Addresses { kafka: kafka.expect("asked for"), postgres: postgres.expect("asked for") }
    }

    /// Ends the broker without a word.
    pub fn kill_kafka(&mut self) {
        end(self.services().kafka_pid().expect("it runs"));
    }

    /// Ends Postgres without a word: the server and the process of each connection, whatever it is at.
    pub fn kill_postgres(&mut self) {
        let server = self.services().postgres_pid().expect("it runs");
        let backends = children(server);
        end(server);
        backends.into_iter().for_each(end);
    }

    /// Starts Postgres again; one that still runs is asked to end first.
    pub fn restart_postgres(&mut self) {
        let services = self.services.as_mut().expect("they run");
        self.runtime.block_on(services.restart_postgres()).expect("Postgres starts again");
    }

    /// Starts the broker again; one that still runs is asked to end first.
    pub fn restart_kafka(&mut self) {
        let services = self.services.as_mut().expect("they run");
        self.runtime.block_on(services.restart_kafka()).expect("Kafka starts again");
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(services) = self.services.take() {
            self.runtime.block_on(services.stop());
        }
    }
}

fn end(pid: u32) {
    // The only failure is that it has ended meanwhile.
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").expect("/proc").filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may hold anything: the state, then the parent.
        let of: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        (of == parent).then_some(pid)
    });
    pids.collect()
}
