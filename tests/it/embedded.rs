//! Kafka and Postgres that the program starts itself: one owner at a time, others attach, nothing is left behind.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Installation, Running, Upstream, World, fail, processes_in, succeed, until};

/// The program on a data folder of its own.
struct Embedded {
    installation: Installation,
    world: World,
    config: PathBuf,
    data: PathBuf,
    _upstream: Upstream,
}

impl Embedded {
    fn new(name: &str) -> Option<Self> {
        let world = World::named("tiny-ccloud")?;
        let installation = Installation::new(name);
        let upstream = Upstream::start(&world, &[]);
        let config = world.config(&installation, &upstream.url);
        let data = installation.dir.path().join("data");
        Some(Self { installation, world, config, data, _upstream: upstream })
    }

    fn tributary(&self, words: &[&str]) -> Command {
        let mut command = self.installation.tributary();
        command.env_remove("KAFKA_BOOTSTRAP_SERVERS").env_remove("DATABASE_URL");
        command.env("TRIBUTARY_DATA_DIR", &self.data).args(words).arg("--config").arg(&self.config);
        command
    }

    fn run(&self, name: &str) -> Running {
        let mut command = self.tributary(&["run", "--now", &self.world.runs[0]]);
        Running::start(&mut command, self.installation.dir.path(), name)
    }

    fn export(&self, table: &str) -> Vec<String> {
        let output = succeed(&mut self.tributary(&["export", table, "--tenant", &self.world.name]));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

/// Whose command line names a binary of this sort.
fn pids(data: &Path, program: &str) -> Vec<u32> {
    processes_in(data).into_iter().filter(|(_, line)| line.contains(program)).map(|(pid, _)| pid).collect()
}

#[test]
fn a_second_service_is_refused_and_other_commands_attach() {
    let Some(embedded) = Embedded::new("attach") else { return };
    let mut first = embedded.run("first");
    first.until("it works", |first| first.said().contains("\"gathered\""));

    let refused = fail(&mut embedded.tributary(&["run"]));
    let (pid, folder) = (first.pid().to_string(), embedded.data.display().to_string());
    for part in [pid.as_str(), &folder, "TRIBUTARY_DATA_DIR"] {
        assert!(refused.contains(part), "{part:?} is missing in\n{refused}");
    }

    let services = processes_in(&embedded.data).len();
    until("the chargebacks are there", || embedded.export("chargebacks").len() > 1);
    // Days are a projection of their own, and may come later.
    until("the status knows the tenant", || {
        let status = succeed(&mut embedded.tributary(&["status"]));
        let status = String::from_utf8_lossy(&status.stdout);
        status.contains("tiny-ccloud") && status.contains("open entries in quarantine: 0")
    });
    let listed = succeed(&mut embedded.tributary(&["quarantine", "list"]));
    assert!(String::from_utf8_lossy(&listed.stdout).contains("nothing is in quarantine"));
    assert!(processes_in(&embedded.data).len() <= services, "a command started services of its own");
    let rows = embedded.export("chargebacks").len();
    first.stop();
    assert!(processes_in(&embedded.data).is_empty());

    // Nobody holds the folder: a command starts what it needs for its own length, and leaves nothing.
    assert_eq!(embedded.export("chargebacks").len(), rows);
    assert!(processes_in(&embedded.data).is_empty());
}

#[test]
fn a_killed_service_leaves_no_orphan_and_the_next_one_goes_on() {
    let Some(embedded) = Embedded::new("orphans") else { return };
    let mut first = embedded.run("first");
    first.until("both services run", |first| first.said().contains("services are up"));
    assert!(!pids(&embedded.data, "kafka.Kafka").is_empty() && !pids(&embedded.data, "postgres").is_empty());
    first.until("it works", |first| first.said().contains("\"gathered\""));
    first.signal(Signal::SIGKILL);
    first.ended();
    // At once: the next one waits for what is still winding down, and takes over.
    let summary = succeed(&mut embedded.tributary(&["run", "--once", "--now", &embedded.world.runs[0]]));
    assert!(String::from_utf8_lossy(&summary.stdout).contains("tiny-ccloud"));
    until("nothing is left", || processes_in(&embedded.data).is_empty());

    let mut third = embedded.run("third");
    third.until("both services run", |third| third.said().contains("services are up"));
    third.signal(Signal::SIGKILL);
    third.ended();
    until("the kernel has ended what it started", || processes_in(&embedded.data).is_empty());
}
