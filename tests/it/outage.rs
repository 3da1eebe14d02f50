//! Services that go away while the program works on them, and come back: nothing is lost, nothing is doubled.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::{Installation, Own, Running, Upstream, World, processes_in, succeed, until};
use crate::worlds::{differences, tables};

const WORLD: &str = "small-ccloud";

/// What an undisturbed run exports, and how many days it sealed.
struct Expected {
    tables: Vec<(String, String)>,
    days: String,
    rows: usize,
}

fn undisturbed(world: &World) -> &'static Expected {
    static EXPECTED: OnceLock<Expected> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let installation = Installation::new("undisturbed");
        let upstream = Upstream::start(world, &[]);
        let config = world.config(&installation, &upstream.url);
        succeed(&mut installation.once(&config, &world.runs[0]));
        Expected {
            tables: tables(&installation.export(&config, &world.name, "out")),
            days: installation.sql("SELECT count(*) FROM day_facts"),
            rows: installation.records("chargebacks"),
        }
    })
}

impl Expected {
    /// The tables of an installation, once the services rest, are those of an undisturbed run.
    #[track_caller]
    fn check(&self, installation: &Installation, config: &Path, world: &World) {
        let found = tables(&installation.export(config, &world.name, "out"));
        // Moments of a service are those of its clock, which does not stand still.
        let told = differences(&without_moments(&self.tables), &without_moments(&found));
        assert!(told.is_empty(), "other tables\n{told}");
        assert_eq!(installation.records("chargebacks"), self.rows, "rows in the topic");
    }
}

fn without_moments(tables: &[(String, String)]) -> Vec<(String, String)> {
    tables.iter().filter(|(name, _)| name != "days.csv").cloned().collect()
}

/// A service that gathers again and again, on services of its own.
fn gathering(world: &World, own: &mut Own, name: &str) -> (Installation, Upstream, std::path::PathBuf, Running) {
    let installation = Installation::on(&own.addresses(), name);
    let upstream = Upstream::start(world, &[]);
    let config = world.config(&installation, &upstream.url);
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let often = "enable_periodic_refresh: true\n  refresh_interval: 1";
    std::fs::write(&config, text.replace("enable_periodic_refresh: false", often)).expect("written");
    let mut command = installation.service(&config, "gather,allocate,project", "service");
    let running = Running::start(command.args(["--now", &world.runs[0]]), installation.dir.path(), "service");
    (installation, upstream, config, running)
}

/// Days that are allocated and whole in each of the five tables.
const DONE: &str = "SELECT count(*) FROM (
    SELECT FROM day_facts JOIN slices USING (tenant_key, day)
    WHERE allocated_revision = sealed_revision AND complete AND revision = sealed_revision
    GROUP BY tenant_key, day HAVING count(*) = 5) AS day";

#[test]
fn postgres_goes_away_and_comes_back() {
    let Some(world) = World::named(WORLD) else { return };
    let expected = undisturbed(&world);
    let mut own = Own::start();
    let (installation, _upstream, config, mut service) = gathering(&world, &mut own, "postgres_gone");
    service.until("it works", |service| service.said().contains("allocating"));
    // Killed, not asked: connections break in the middle of whatever they do.
    own.kill_postgres();
    let days: usize = expected.days.parse().expect("a number");
    service.until("all days are allocated without Postgres", |_| installation.records("allocations") == days);
    own.restart_postgres();
    service.until("the tables have it all", |_| installation.sql(DONE) == expected.days);
    // Politely, while nothing goes on: nobody minds.
    own.restart_postgres();
    service.stop();
    expected.check(&installation, &config, &world);
}

#[test]
fn kafka_goes_away_and_comes_back() {
    let Some(world) = World::named(WORLD) else { return };
    let expected = undisturbed(&world);
    let mut own = Own::start();
    let (installation, _upstream, config, mut service) = gathering(&world, &mut own, "kafka_gone");
    service.until("something is sealed", |_| installation.has("day_facts") && sealed(&installation) > 0);
    own.restart_kafka();
    service.until("there is more", |_| sealed(&installation) > 2);
    own.kill_kafka();
    own.restart_kafka();
    service.until("the tables have it all", |_| installation.sql(DONE) == expected.days);
    service.stop();
    expected.check(&installation, &config, &world);
}

/// How long Postgres stays away in the test of a long absence; `TRIBUTARY_OUTAGE_SECONDS=60` for a minute.
fn long() -> Duration {
    let asked = std::env::var("TRIBUTARY_OUTAGE_SECONDS").ok();
    Duration::from_secs(asked.map_or(5, |text| text.parse().expect("TRIBUTARY_OUTAGE_SECONDS is a number")))
}

#[test]
fn kafka_restarts_while_postgres_is_away_for_long() {
    let Some(world) = World::named(WORLD) else { return };
    let expected = undisturbed(&world);
    let mut own = Own::start();
    let (installation, _upstream, config, mut service) = gathering(&world, &mut own, "both_gone");
    service.until("something is sealed", |_| installation.has("day_facts") && sealed(&installation) > 0);
    own.kill_postgres();
    let gone = Instant::now();
    // In the middle of the absence, whatever the service is at.
    std::thread::park_timeout(long() / 2);
    own.kill_kafka();
    own.restart_kafka();
    let days: usize = expected.days.parse().expect("a number");
    service.until("all days are allocated without Postgres", |_| installation.records("allocations") == days);
    std::thread::park_timeout(long().saturating_sub(gone.elapsed()));
    own.restart_postgres();
    service.until("the tables have it all", |_| installation.sql(DONE) == expected.days);
    service.stop();
    expected.check(&installation, &config, &world);
}

fn sealed(installation: &Installation) -> usize {
    installation.sql("SELECT count(*) FROM day_facts").parse().expect("a number")
}

/// Ctrl-C and SIGTERM end the service and everything it started, at any moment.
#[test]
fn a_signal_ends_the_service_and_what_it_started() {
    let Some(world) = World::named("tiny-ccloud") else { return };
    let installation = Installation::new("signals");
    let upstream = Upstream::start(&world, &[]);
    let config = world.config(&installation, &upstream.url);
    let data = installation.dir.path().join("data");
    for (signal, moment) in
        [(Signal::SIGTERM, "\"gathered\""), (Signal::SIGINT, "checking topics"), (Signal::SIGTERM, "starting Kafka")]
    {
        let mut command = installation.service(&config, "gather,allocate,project", "service");
        command.args(["--now", &world.runs[0]]).env("TRIBUTARY_DATA_DIR", &data);
        command.env_remove("KAFKA_BOOTSTRAP_SERVERS").env_remove("DATABASE_URL");
        let mut service = Running::start(&mut command, installation.dir.path(), "service");
        service.until(moment, |service| service.said().contains(moment));
        service.signal(signal);
        let status = service.ended();
        assert!(status.success(), "{signal} at {moment}: {status}; it said\n{}", service.said());
        until("nothing of it is left", || processes_in(&data).is_empty());
    }
}
