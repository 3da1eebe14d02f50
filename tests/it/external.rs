//! Days that another program writes: the contract of `docs/src/external-gatherers.md`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tributary::domain::{Amount, BillingLine, Day, DaySealed, TenantDay};

use super::quarantine::{Writer, bytes, line, seal};
use crate::harness::{Installation, Running, succeed};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/external-gatherer");

/// An installation with the example's configuration, and the roles that allocate and project.
fn started(name: &str) -> (Installation, PathBuf, Running) {
    let installation = Installation::new(name);
    let text = std::fs::read_to_string(format!("{EXAMPLE}/tributary.yaml")).expect("the example");
    let config = installation.write_config(&text);
    let service = &mut installation.service(&config, "gather,allocate,project", "service");
    let mut service = Running::start(service, installation.dir.path(), "service");
    service.until("the tables are there", |_| installation.has("quarantine"));
    (installation, config, service)
}

fn rules(installation: &Installation, config: &Path) -> String {
    let mut command = installation.tributary();
    let shown = succeed(command.args(["rules", "show", "--tenant", "lab", "--config"]).arg(config));
    String::from_utf8_lossy(&shown.stdout).trim().to_owned()
}

fn python() -> PathBuf {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/python-env.sh");
    let made = succeed(Command::new("bash").arg(script));
    PathBuf::from(String::from_utf8_lossy(&made.stdout).trim())
}

/// The example as its README runs it, then with a corrected bill.
#[test]
fn a_program_in_python_is_a_gatherer() {
    let (installation, config, mut service) = started("lab");
    let folder = installation.dir.path();
    std::fs::write(folder.join("rules.json"), rules(&installation, &config)).expect("written");
    let costs = std::fs::read_to_string(format!("{EXAMPLE}/costs.csv")).expect("the example");
    let python = python();
    let gather = |costs: &str| {
        std::fs::write(folder.join("costs.csv"), costs).expect("written");
        let mut gather = Command::new(&python);
        gather.arg(format!("{EXAMPLE}/gather.py")).args(["--bootstrap", &installation.kafka]);
        gather.args(["--prefix", &installation.prefix, "--tenant", "lab", "--rules", "rules.json"]);
        gather.args(["--schemas", concat!(env!("CARGO_MANIFEST_DIR"), "/schemas"), "--costs", "costs.csv"]);
        let gathered = succeed(gather.args(["--usage", &format!("{EXAMPLE}/usage.csv")]).current_dir(folder));
        String::from_utf8_lossy(&gathered.stdout).trim().to_owned()
    };
    let shares = || {
        installation.sql(
            "SELECT identity_id, trim_scale(sum(amount)), currency FROM chargebacks WHERE day = '2026-02-01' \
             GROUP BY identity_id, currency ORDER BY identity_id COLLATE \"C\"",
        )
    };
    assert_eq!(gather(&costs), "2 days written, 0 known before");
    let expected = "UNALLOCATED|10|EUR\ncheckout|4.165|EUR\nsearch|11.665|EUR";
    service.until("the first day is allocated", |_| shares() == expected);
    let second = "SELECT product_type, identity_id, trim_scale(amount), allocation_method FROM chargebacks \
                  WHERE day = '2026-02-02' ORDER BY 1";
    let expected = "LICENCE|checkout|7|direct_owner\nVM|search|12.5|direct_owner";
    service.until("the second day is allocated", |_| installation.sql(second) == expected);

    assert_eq!(gather(&costs), "0 days written, 2 known before");
    assert_eq!(gather(&costs.replace("RENT,1,10.00", "RENT,1,11.00")), "1 days written, 2 known before");
    let expected = "UNALLOCATED|11|EUR\ncheckout|4.165|EUR\nsearch|11.665|EUR";
    service.until("the corrected day replaces the first", |_| shares() == expected);
    let revisions = "SELECT day, allocated_revision FROM day_facts ORDER BY day";
    service.until("only that day is new", |_| installation.sql(revisions) == "2026-02-01|2\n2026-02-02|1");
    service.stop();
}

/// Whatever is wrong with a day, none of its rows is there, somebody is told why, and its neighbours do not mind.
#[test]
fn bad_days_are_refused_whole_with_a_reason() {
    let (installation, config, mut service) = started("bad_days");
    let writer = Writer::to(&installation);
    let tenant = "lab";
    let first: Day = "2026-02-01".parse().expect("a day");
    let rules = rules(&installation, &config);
    let two = |day: Day| -> (Vec<BillingLine>, DaySealed) {
        let other = |ordinal| BillingLine { product_type: format!("P{ordinal}"), ..line(tenant, day, ordinal, 2) };
        (vec![other(0), other(1)], DaySealed { billing_lines: 2, rules: rules.clone(), ..seal(tenant, day) })
    };
    let write_line = |day: Day, line: &BillingLine| {
        writer.write("billing", TenantDay::new(tenant, day).to_string().as_bytes(), &bytes(line));
    };
    let write = |n: u64, change: &dyn Fn(&mut Vec<BillingLine>, &mut DaySealed)| {
        let day = first.plus(n);
        let (mut lines, mut seal) = two(day);
        change(&mut lines, &mut seal);
        lines.iter().for_each(|line| write_line(day, line));
        writer.write("days", TenantDay::new(tenant, day).to_string().as_bytes(), &bytes(&seal));
    };
    type Change = fn(&mut Vec<BillingLine>, &mut DaySealed);
    let bad: [(Change, &str); 8] = [
        (|_, seal| seal.billing_lines = 3, "billing line records disagree on how many there are"),
        (|lines, _| lines[1].count = 7, "billing line records disagree on how many there are"),
        (|lines, _| lines[1].ordinal = 2, "number 2 of 2"),
        (|lines, _| lines[1].product_type = "P0".into(), "two billing line records have the key"),
        (|_, seal| seal.rules = "{".into(), "rules cannot be read"),
        (|_, seal| seal.rules = seal.rules.replace("by_shares", "by_magic"), "unknown variant `by_magic`"),
        (|_, seal| seal.rules = seal.rules.replace("0.5", "0.4"), "the shares add up to 0.8, not to 1"),
        (|_, seal| seal.rules = seal.rules.replace("\"version\":2", "\"version\":3"), "run a newer one"),
    ];
    for (n, (change, _)) in (0..).zip(&bad) {
        write(n, change);
    }
    // One record twice in place of the other: the day waits for what is missing.
    let waits = first.plus(20);
    write(20, &|lines, _| lines[1] = lines[0].clone());
    write(21, &|_, _| {});

    let sums =
        |day: Day| installation.sql(&format!("SELECT trim_scale(sum(amount)) FROM chargebacks WHERE day = '{day}'"));
    service.until("the sound day is allocated", |_| sums(first.plus(21)) == "2");
    service.until("all others are refused", |_| {
        installation.sql("SELECT count(*) FROM day_facts WHERE refused_revision = 1") == bad.len().to_string()
    });
    for (n, (_, reason)) in (0..).zip(&bad) {
        let day = first.plus(n);
        let told = format!("SELECT reason FROM quarantine WHERE day = '{day}'");
        service.until("it is in quarantine", |_| installation.sql(&told).contains(reason));
        assert_eq!(sums(day), "", "{day} is half allocated");
    }
    assert_eq!(sums(waits), "", "a record is missing");
    assert_eq!(installation.sql(&format!("SELECT count(*) FROM quarantine WHERE day = '{waits}'")), "0");
    write_line(waits, &two(waits).0[1]);
    service.until("what was missing completes the day", |_| sums(waits) == "2");

    // A correct revision heals a refused day.
    let heals = |lines: &mut Vec<BillingLine>, seal: &mut DaySealed| {
        lines.iter_mut().for_each(|line| line.revision = 2);
        lines[0].amount = Amount::whole(5);
        seal.revision = 2;
    };
    write(0, &heals);
    service.until("the next revision heals the day", |_| sums(first) == "6");
    service.stop();
}

/// Numbers that a forgotten tenant's days had before are not taken again, and that is told.
#[test]
fn who_comes_back_after_being_forgotten_counts_on() {
    let (installation, config, mut service) = started("counts_on");
    let writer = Writer::to(&installation);
    let (tenant, day): (_, Day) = ("lab", "2026-02-01".parse().expect("a day"));
    let rules = rules(&installation, &config);
    let write = |revision: u32| {
        let key = TenantDay::new(tenant, day).to_string();
        writer.write("billing", key.as_bytes(), &bytes(&BillingLine { revision, ..line(tenant, day, 0, 1) }));
        let seal = DaySealed { billing_lines: 1, rules: rules.clone(), revision, ..seal(tenant, day) };
        writer.write("days", key.as_bytes(), &bytes(&seal));
    };
    let seen = || installation.sql("SELECT revision, trim_scale(sum(amount)) FROM chargebacks GROUP BY 1");
    write(1);
    service.until("the day is there", |_| seen() == "1|1");
    service.stop();
    let without = installation.dir.path().join("without.yaml");
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let (_, rest) = text.split_once("\ntopics:").expect("topics");
    std::fs::write(&without, format!("tenants: {{}}\ntopics:{rest}")).expect("written");
    succeed(installation.tributary().args(["tenant", "forget", "lab", "--yes", "--config"]).arg(&without));

    let mut service = installation.service(&config, "allocate,project", "service");
    let mut service = Running::start(&mut service, installation.dir.path(), "service");
    write(1);
    let told = "SELECT reason FROM quarantine WHERE tenant_id = 'lab' AND topic = 'days'";
    service.until("it is told what is wrong", |_| installation.sql(told).contains("number revisions from 2 on"));
    assert_eq!(seen(), "");
    write(2);
    service.until("the day is back", |_| seen() == "2|1");
    service.stop();
}
