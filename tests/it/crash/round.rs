//! One round: its processes, its faults one after the other, and the judgement.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tributary::domain::Day;
use tributary::journal::{Connection, Topic};
use tributary::store::{DayState, Store};

use super::crew::Crew;
use super::faults::{Fault, Plan};
use super::groups::Groups;
use super::story::{FIRST_KEPT, Story};
use super::truth::Truth;
use crate::harness::{Addresses, Installation, Own, Proxy, Running, Wire, World, fail, sql, succeed};

/// How long a trap is waited for; a round that is over springs none.
const TRAP: Duration = Duration::from_secs(4);
/// How long the group may take to give away the partitions of one that is silent.
const TAKE_OVER: Duration = Duration::from_secs(60);
/// How long everything may take to be done after the last repair.
const DONE: Duration = Duration::from_secs(180);

/// What all rounds share.
pub struct Stage {
    own: Own,
    direct: Addresses,
    kafka: Proxy,
    postgres: Proxy,
    story: Story,
    expected: Truth,
}

/// How a round went.
pub struct Round {
    /// Each fault, and whether it was met by anything.
    pub faults: Vec<(Fault, bool)>,
    /// From the start of its processes to the last row, without the time that something was kept away; or what is wrong.
    pub took: Result<Duration, String>,
    /// The last words of processes that ended by themselves.
    pub ended: Vec<String>,
    /// Kept when the round failed.
    pub logs: PathBuf,
}

impl Stage {
    /// Starts the services, and lets one process do alone what every round must come to.
    pub fn start(world: World) -> Self {
        let mut own = Own::start();
        let direct = own.addresses();
        let kafka = Proxy::start(&own.runtime, Wire::Kafka, port(&direct.kafka));
        let postgres = Proxy::start(&own.runtime, Wire::Postgres, port(server(&direct.postgres)));
        let (story, expected) = (Story::of(world), Truth::default());
        let mut stage = Self { own, direct, kafka, postgres, story, expected };

        let installation = Installation::on(&stage.direct, "alone");
        let config = stage.story.configure(&installation);
        stage.story.begin();
        stage.story.mend();
        let once = || {
            let text = fail(&mut installation.once(&config, stage.story.now()));
            assert!(text.contains("401"), "one tenant is refused to the end\n{text}");
        };
        once();
        let judged = stage.story.judged();
        judged.check(&installation.export(&config, &judged.name, "out"));
        stage.story.correct();
        once();
        succeed(&mut Story::retention(&installation, &config));
        stage.expected = stage.truth(&installation);

        let round = stage.round(&Plan::none());
        let lasted = |what| panic!("an undisturbed round: {what}, logs in {}", round.logs.display());
        let whole = round.took.unwrap_or_else(lasted);
        println!("undisturbed: {:.1} s", whole.as_secs_f64());
        assert_eq!(round.ended, Vec::<String>::new(), "undisturbed, nobody ends");
        stage
    }

    /// One round of this plan, on topics and a database of its own, which are gone afterwards.
    pub fn round(&mut self, plan: &Plan) -> Round {
        let installation = Installation::on(&self.direct, "round");
        let config = self.story.configure(&installation);
        self.story.begin();
        succeed(installation.tributary().args(["topology", "apply", "--config"]).arg(&config));
        let (kafka, postgres) = (self.kafka.port(), self.postgres.port());
        let direct = port(server(&installation.database_url)).to_string();
        let through = installation.database_url.replace(&direct, &postgres.to_string());
        let now = self.story.now().to_owned();
        let mut crew = Crew::start(installation.dir.path(), |name, role| {
            let mut command = installation.service(&config, role, name);
            command.args(["--now", &now]).env("DATABASE_URL", &through);
            command.env("KAFKA_BOOTSTRAP_SERVERS", format!("127.0.0.1:{kafka}"));
            command
        });
        let (mut faults, mut away, begun) = (Vec::new(), Duration::ZERO, Instant::now());
        let (before, after) = plan.faults.split_at(plan.before);
        let mut meet = |stage: &mut Self, of: &[(Duration, Fault)], crew: &mut Crew<'_>| {
            for (pause, fault) in of {
                crew.watch_until(*pause, || false);
                let met = stage.inject(*fault, crew, &installation.prefix);
                faults.push((*fault, met.is_some()));
                away += met.unwrap_or_default();
            }
        };
        meet(self, before, &mut crew);
        let turned = self.turn(&installation, &config, &mut crew);
        // It, too, may be cut and stalled; what it left is found the next time.
        let mut retention = Story::retention(&installation, &config);
        retention.env("DATABASE_URL", &through).env("KAFKA_BOOTSTRAP_SERVERS", format!("127.0.0.1:{kafka}"));
        let retention = Running::start(&mut retention, installation.dir.path(), "retention");
        meet(self, after, &mut crew);
        let done = turned.and_then(|()| self.wait_until_done(&installation, &mut crew));
        let took = done.map(|()| begun.elapsed().saturating_sub(away));
        drop(retention);
        let ended = std::mem::take(&mut crew.ended);
        // Judged when nobody works any more: what is doubled late is doubled, too.
        let stopped = crew.stop();
        let took = took.and_then(|took| stopped.map(|()| took)).and_then(|took| {
            succeed(&mut Story::retention(&installation, &config));
            let told = self.expected.differences(&self.truth(&installation));
            if told.is_empty() { Ok(took) } else { Err(told) }
        });
        self.clean_up(&installation);
        let logs = if took.is_err() { installation.dir.keep() } else { PathBuf::new() };
        Round { faults, took, ended, logs }
    }

    /// Waits for the turn of the story, and lets it come.
    fn turn(&self, installation: &Installation, config: &Path, crew: &mut Crew<'_>) -> Result<(), String> {
        let store = self.store(installation);
        let ripe = crew.watch_until(DONE, || self.own.runtime.block_on(self.story.is_ripe(&store)));
        self.own.runtime.block_on(store.close());
        if !ripe {
            return Err(format!("{} s after the last repair the turn has not come", DONE.as_secs()));
        }
        self.story.correct();
        self.story.mend();
        for mut wish in Story::wishes(installation, config) {
            let said = wish.output().expect("it starts");
            if !said.status.success() {
                return Err(format!("{wish:?} was not heard: {}", String::from_utf8_lossy(&said.stderr)));
            }
        }
        Ok(())
    }

    /// Does a fault and repairs what it broke. How long was something kept away? `None` if the fault met nothing.
    fn inject(&mut self, fault: Fault, crew: &mut Crew<'_>, prefix: &str) -> Option<Duration> {
        let since = Instant::now();
        match fault {
            Fault::Kill { member, back } => {
                let lived = crew.lives(member);
                crew.kill(member, Some(back));
                crew.watch_until(back, || false);
                lived.then(|| since.elapsed())
            }
            // Nobody is kept away: a twin is there.
            Fault::TakenOver { member } | Fault::Zombie { member } => {
                let (joined, dies) = (self.joined(crew, member, prefix), matches!(fault, Fault::TakenOver { .. }));
                if dies {
                    crew.kill(member, None)
                } else {
                    crew.signal(member, Signal::SIGSTOP)
                }
                let over = self.taken_over(crew, member, prefix);
                if dies {
                    crew.bring_back(member)
                } else {
                    crew.signal(member, Signal::SIGCONT)
                }
                (joined && over).then_some(Duration::ZERO)
            }
            Fault::Down { service, back } => {
                match service {
                    Wire::Kafka => self.own.kill_kafka(),
                    Wire::Postgres => self.own.kill_postgres(),
                }
                crew.watch_until(back, || false);
                match service {
                    Wire::Kafka => self.own.restart_kafka(),
                    Wire::Postgres => self.own.restart_postgres(),
                }
                Some(since.elapsed())
            }
            Fault::CutAt { service, message, moment } => {
                let sprung = self.proxy(service).cut_at(message, moment);
                let met = crew.watch_until(TRAP, || sprung.yet());
                self.proxy(service).disarm();
                met.then_some(Duration::ZERO)
            }
            Fault::CutAll { service } => {
                self.proxy(service).cut_all();
                Some(Duration::ZERO)
            }
            Fault::Stall { service, lasts } => {
                self.proxy(service).stall(true);
                crew.watch_until(lasts, || false);
                self.proxy(service).stall(false);
                Some(since.elapsed())
            }
        }
    }

    fn proxy(&self, service: Wire) -> &Proxy {
        match service {
            Wire::Kafka => &self.kafka,
            Wire::Postgres => &self.postgres,
        }
    }

    /// Looks after the processes until every sealed day is allocated and in the tables.
    fn wait_until_done(&self, installation: &Installation, crew: &mut Crew<'_>) -> Result<(), String> {
        let store = self.store(installation);
        let first: Day = FIRST_KEPT.parse().expect("a day");
        let kept: Vec<_> = self.expected.sealed.iter().filter(|(_, day, _)| *day >= first).cloned().collect();
        let mut waiting = String::new();
        let done = crew.watch_until(DONE, || {
            let progress = self.own.runtime.block_on(store.progress(&kept));
            let progress = progress.expect("Postgres answers again");
            let mut left = progress.iter().filter(|day| !matches!(day.state, DayState::Done));
            waiting = left.next().map(|day| format!("{} {}: {:?}", day.tenant, day.day, day.state)).unwrap_or_default();
            // Tables say nothing of days that are too old.
            let (rows, enough) = (|| installation.records("chargebacks"), self.expected.rows);
            if waiting.is_empty() && rows() < enough {
                waiting = format!("{} of {enough} rows are in topic chargebacks", rows());
            }
            waiting.is_empty()
        });
        self.own.runtime.block_on(store.close());
        if done { Ok(()) } else { Err(format!("not done {} s after the last repair: {waiting}", DONE.as_secs())) }
    }

    fn truth(&self, installation: &Installation) -> Truth {
        let store = self.store(installation);
        let tenants = self.story.tenants();
        let truth = Truth::read(&connection(installation), &self.own.runtime, &store, &tenants);
        self.own.runtime.block_on(store.close());
        truth
    }

    fn store(&self, installation: &Installation) -> Store {
        let patience = Duration::from_secs(120);
        let store = Store::connect_within(&installation.database_url, 2, patience);
        self.own.runtime.block_on(store).expect("Postgres answers")
    }

    /// Has it partitions, in every group of its role? Waits for that a little.
    fn joined(&self, crew: &mut Crew<'_>, member: usize, prefix: &str) -> bool {
        let groups = Groups::of(&self.direct.kafka);
        crew.watch_until(TRAP, || groups.have(prefix, member) == Some(true))
    }

    /// Waits until the groups have given away the partitions of one that does not answer.
    fn taken_over(&self, crew: &mut Crew<'_>, member: usize, prefix: &str) -> bool {
        let groups = Groups::of(&self.direct.kafka);
        crew.watch_until(TAKE_OVER, || groups.have(prefix, member) == Some(false))
    }

    /// Removes the topics and the database of a round, so that the thousandth finds what the first one found.
    fn clean_up(&self, installation: &Installation) {
        let name = installation.prefix.trim_end_matches('.');
        sql(&self.direct.postgres, &format!("DROP DATABASE \"{name}\" WITH (FORCE)"));
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.direct.kafka).create().expect("a client");
        let (connection, options) = (connection(installation), AdminOptions::new());
        let topics: Vec<String> = Topic::all().iter().map(|topic| connection.topic(*topic)).collect();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.own.runtime.block_on(admin.delete_topics(&topics, &options)).expect("topics are deleted");
        let groups = Groups::of(&self.direct.kafka).named(&installation.prefix);
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        self.own.runtime.block_on(admin.delete_groups(&groups, &options)).expect("groups are deleted");
    }
}

fn connection(installation: &Installation) -> Connection {
    let Installation { kafka, prefix, .. } = installation;
    Connection::new(kafka.clone(), BTreeMap::new(), prefix.clone(), "judge".to_owned()).expect("plain settings")
}

/// An address of Postgres without the database.
fn server(url: &str) -> &str {
    url.rsplit_once('/').expect("a database in the address").0
}

fn port(address: &str) -> u16 {
    address.rsplit_once(':').expect("a port").1.parse().expect("a number")
}
