//! What happens to the tenants of every round, whatever goes wrong at the same time.
//!
//! First two tenants are gathered, one is refused again and again, one is refused until it is suspended, and of one no usage
//! can be had, so that its days are held. Then comes the turn: a bill is corrected, providers answer again, the suspension
//! is lifted, and the oldest day becomes too old. One tenant is refused to the end.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tributary::store::Store;

use crate::harness::{Installation, Upstream, World};

/// What a request to a vendor takes, so that there is work for as long as faults come.
const LATENCY: &str = "0.1";
/// Gathered from the beginning; their bill is corrected.
const GATHERED: [&str; 2] = ["tiny-ccloud", "tiny-ccloud-1"];
const REFUSED: &str = "refused";
const SUSPENDED: &str = "suspended";
const HELD: &str = "held";
/// A line of the bill of `2026-02-27`, and what it is corrected to.
const CORRECTED: (&str, &str, f64) = ("2026-02-27", "SUPPORT", 50.25);
/// When that is, by the vendor's clock.
const CORRECTED_AT: &str = "2026-03-06T07:00:00Z";
/// The first day that is kept at the moment of [`LATER`]: 68 days before.
pub const FIRST_KEPT: &str = "2026-02-27";
const LATER: &str = "2026-05-06T06:00:00Z";
const NO_BILL: &str = r#"{"match": "GET /billing/", "status": 401}"#;
const NO_USAGE: &str = r#"{"match": "/api/v1/query", "status": 422}"#;

/// The vendors and what is configured of them.
pub struct Story {
    world: World,
    billed: Upstream,
    refusing: Upstream,
    suspended: Upstream,
    held: Upstream,
    _dir: TempDir,
}

impl Story {
    pub fn of(world: World) -> Self {
        let dir = TempDir::with_prefix("tributary-story-").expect("a folder");
        let corrected = corrected(&world, dir.path());
        let options = ["--latency", LATENCY];
        let of_corrected = [options[0], options[1], "--world", corrected.to_str().expect("UTF-8")];
        Self {
            billed: Upstream::start(&world, &of_corrected),
            refusing: Upstream::start(&world, &[options[0], options[1], "--fault", NO_BILL]),
            suspended: Upstream::start(&world, &options),
            held: Upstream::start(&world, &options),
            world,
            _dir: dir,
        }
    }

    /// The moment that the processes are told.
    pub fn now(&self) -> &str {
        &self.world.runs[0]
    }

    /// The tenant that must be what the test kit says, before its bill is corrected.
    pub fn judged(&self) -> &World {
        &self.world
    }

    pub fn tenants(&self) -> Vec<String> {
        GATHERED.iter().chain(&[REFUSED, SUSPENDED, HELD]).map(|name| (*name).to_owned()).collect()
    }

    /// The configuration of all of them, with a gatherer that begins again every second.
    pub fn configure(&self, installation: &Installation) -> PathBuf {
        let tenants = [
            (GATHERED[0], &self.billed, ""),
            (GATHERED[1], &self.billed, ""),
            (REFUSED, &self.refusing, "    gather_failure_threshold: 1000000\n"),
            (SUSPENDED, &self.suspended, "    gather_failure_threshold: 2\n"),
            // Held until somebody asks: it is gathered once by itself.
            (HELD, &self.held, "    allocation_retry_limit: 10\n    topic_attribution_retry_limit: 10\n"),
        ];
        let (mut text, mut head, mut tail) = (String::new(), String::new(), String::new());
        for (name, upstream, settings) in tenants {
            let config = self.world.config(installation, &upstream.url);
            let one = std::fs::read_to_string(&config).expect("the configuration");
            let (before, rest) = one.split_once("tenants:\n").expect("tenants");
            let (block, after) = rest.split_once("topics:\n").expect("topics");
            let limits = "    allocation_retry_limit: 3\n    topic_attribution_retry_limit: 3\n";
            let kept = "        enabled: true\n";
            assert!(block.contains(limits) && block.contains(kept));
            let mut block = block.replace(&self.world.name, name);
            block = block.replace(kept, &format!("{kept}        retention_days: 68\n"));
            if name == HELD {
                block = block.replace(limits, settings);
                block = block.replace("min_refresh_gap_seconds: 0", "min_refresh_gap_seconds: 3600");
            } else {
                block.insert_str(block.find(limits).expect("limits"), settings);
            }
            text += &block;
            (head, tail) = (before.to_owned(), after.to_owned());
        }
        let often = "enable_periodic_refresh: true\n  refresh_interval: 1\n  max_parallel_tenants: 2";
        let head = head.replace("enable_periodic_refresh: false", often);
        let path = self.world.config(installation, "unused");
        std::fs::write(&path, format!("{head}tenants:\n{text}topics:\n{tail}")).expect("written");
        path
    }

    /// As it is in the beginning of a round.
    pub fn begin(&self) {
        self.billed.set_now(self.now());
        self.suspended.set_faults(&format!("[{NO_BILL}]"));
        self.held.set_faults(&format!("[{NO_USAGE}]"));
    }

    /// The bill is corrected.
    pub fn correct(&self) {
        self.billed.set_now(CORRECTED_AT);
    }

    /// Everybody answers, but for the one that refuses.
    pub fn mend(&self) {
        self.suspended.set_faults("[]");
        self.held.set_faults("[]");
    }

    /// Has everything happened that comes before the turn?
    pub async fn is_ripe(&self, store: &Store) -> bool {
        let ripe = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM days WHERE tenant_id = ANY($1) AND sealed_revision = 1) = 6
                AND (SELECT count(*) FROM days WHERE tenant_id = $2 AND held IS NOT NULL) = 3
                AND EXISTS (SELECT FROM runs WHERE tenant_id = $3 AND suspended IS NOT NULL)
                AND EXISTS (SELECT FROM runs WHERE tenant_id = $4 AND status = 'failed')",
        );
        let ripe = ripe.bind(GATHERED.map(str::to_owned).to_vec()).bind(HELD).bind(SUSPENDED).bind(REFUSED);
        // The tables may not be there yet.
        ripe.fetch_one(store.pool()).await.unwrap_or(false)
    }

    /// The commands of whoever looks after the installation.
    pub fn wishes(installation: &Installation, config: &Path) -> [Command; 2] {
        let (mut resume, mut gather) = (installation.tributary(), installation.tributary());
        resume.args(["resume", SUSPENDED, "--config"]).arg(config);
        gather.args(["gather", "--tenant", HELD, "--force", "--config"]).arg(config);
        [resume, gather]
    }

    /// Removes what is too old long after.
    pub fn retention(installation: &Installation, config: &Path) -> Command {
        let mut retention = installation.tributary();
        retention.args(["retention", "--now", LATER, "--config"]).arg(config);
        retention
    }
}

/// The world with a line of its bill that is another one from a moment on.
fn corrected(world: &World, dir: &Path) -> PathBuf {
    let text = std::fs::read_to_string(world.dir.join("world.json")).expect("a world");
    let mut world: Value = serde_json::from_str(&text).expect("JSON");
    let costs = world["costs"].as_array_mut().expect("a bill");
    let (day, line, amount) = CORRECTED;
    let row = costs.iter_mut().find(|row| row["start_date"] == day && row["line_type"] == line).expect("the line");
    let mut other = row.clone();
    row["_until"] = json!(CORRECTED_AT);
    (other["_from"], other["amount"]) = (json!(CORRECTED_AT), json!(amount));
    costs.push(other);
    let path = dir.join("world.json");
    std::fs::write(&path, world.to_string()).expect("written");
    path
}
