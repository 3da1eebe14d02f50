//! Made-up days: a handful of records each, sound or not, and the rows they must lead to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::DateTime;
use tributary::allocate::lane::{Fact, KINDS, Kind};
use tributary::allocate::{OpenDay, RuleBooks, allocate};
use tributary::domain::rule::{Product, Resolver, Rule, RuleBook, Split, Tier, Usage};
use tributary::domain::{
    Amount, BillingLine, ChargebackRow, CostType, Day, DaySealed, Identity, MetricValue, MetricValueRef, Reason,
    Resource, Subject, TenantDay,
};
use tributary::ecosystem::UsageNeed;
use tributary::gather::plan::Content;

use crate::dice::Dice;

/// A record of a fact topic.
#[derive(Debug, Clone)]
pub enum Record {
    Line(BillingLine),
    Resource(Resource),
    Identity(Identity),
    Metric(MetricValue),
    Seal(DaySealed),
    /// Bytes that are no record; the key may be none either.
    Garbage(Option<TenantDay>),
    Tombstone,
    /// Of a transaction that was aborted: it has an offset, and nobody sees it.
    Aborted,
}

impl Record {
    /// What the worker would have decoded.
    pub fn fact(&self) -> Option<Fact<'_>> {
        Some(match self {
            Self::Line(line) => Fact::Line(line.clone()),
            Self::Resource(resource) => Fact::Resource(resource.clone()),
            Self::Identity(identity) => Fact::Identity(identity.clone()),
            Self::Metric(m) => Fact::Metric(MetricValueRef {
                tenant: &m.tenant,
                day: m.day,
                revision: m.revision,
                ordinal: m.ordinal,
                count: m.count,
                ecosystem: &m.ecosystem,
                resource_id: &m.resource_id,
                metric: &m.metric,
                subject_type: m.subject_type,
                subject: &m.subject,
                value: m.value,
            }),
            Self::Seal(seal) => Fact::Seal(seal.clone()),
            Self::Garbage(_) | Self::Tombstone | Self::Aborted => return None,
        })
    }

    /// Of which revision of whose day it is.
    pub fn revision(&self) -> Option<(&String, Day, u32)> {
        Some(match self {
            Self::Line(BillingLine { tenant, day, revision, .. })
            | Self::Resource(Resource { tenant, day, revision, .. })
            | Self::Identity(Identity { tenant, day, revision, .. })
            | Self::Metric(MetricValue { tenant, day, revision, .. })
            | Self::Seal(DaySealed { tenant, day, revision, .. }) => (tenant, *day, *revision),
            Self::Garbage(_) | Self::Tombstone | Self::Aborted => return None,
        })
    }
}

/// A revision as a gatherer writes it.
#[derive(Debug, Clone)]
pub struct Revision {
    pub key: TenantDay,
    pub revision: u32,
    /// By topic.
    pub records: [Vec<Record>; KINDS],
    pub quality: Quality,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quality {
    /// It can be allocated, to these rows.
    Sound(Vec<String>),
    /// It breaks a law.
    Unsound,
    /// One of its records cannot be read; false: nor can that record's key.
    Poisoned { keyed: bool },
    /// It is written in pieces, of which the last may never come: it has these rows, or is refused.
    Piecewise(Vec<String>),
}

impl Revision {
    pub fn is_sound(&self) -> bool {
        matches!(self.quality, Quality::Sound(_))
    }

    /// Must the log say in the end that it was refused? Not where nobody can know whose the bad record is.
    pub fn is_refused(&self) -> bool {
        let readable = self.records.iter().flatten().any(|record| record.fact().is_some());
        match self.quality {
            Quality::Sound(_) | Quality::Piecewise(_) => false,
            Quality::Unsound => true,
            Quality::Poisoned { keyed } => keyed && readable,
        }
    }

    /// A revision without faults.
    pub fn sound(dice: &mut Dice, key: &TenantDay, revision: u32) -> Self {
        let records = records(dice, key, revision);
        let rows = reference(key, revision, &records).expect("a sound day is allocated");
        Self { key: key.clone(), revision, records, quality: Quality::Sound(rows) }
    }

    /// Any revision.
    pub fn any(dice: &mut Dice, key: &TenantDay, revision: u32) -> Self {
        let mut made = Self::sound(dice, key, revision);
        match dice.below(20) {
            0 | 1 => made.break_a_law(dice),
            2 | 3 => made.poison(dice),
            4 | 5 => made.accompany(dice),
            _ => {}
        }
        made
    }

    /// The revision of what the outside world says of a day: all of it follows from the version of the bill. Without the
    /// usage of `failed`.
    pub fn gathered(key: &TenantDay, revision: u32, version: u64, failed: &[String]) -> Self {
        let mut records = of_version(key, revision, version);
        if !failed.is_empty() || needs(&records).is_empty() {
            records[Kind::Metrics as usize].clear();
        }
        let metrics = records[Kind::Metrics as usize].len() as u32;
        if let Some(Record::Seal(seal)) = records[Kind::Days as usize].first_mut() {
            seal.metrics = metrics;
            seal.metrics_failed = failed.to_vec();
        }
        let rows = reference(key, revision, &records).expect("what is gathered can be allocated");
        Self { key: key.clone(), revision, records, quality: Quality::Sound(rows) }
    }

    /// Tears a sound revision in two: what is written now, and what may follow.
    pub fn tear(&mut self, dice: &mut Dice) -> [Vec<Record>; KINDS] {
        if let Quality::Sound(rows) = &self.quality {
            self.quality = Quality::Piecewise(rows.clone());
        }
        let mut rest: [Vec<Record>; KINDS] = Default::default();
        for (records, rest) in self.records.iter_mut().zip(&mut rest) {
            *rest = records.extract_if(.., |_| dice.chance(40)).collect();
        }
        rest
    }

    /// Garbage stands beside a day of which nothing is missing.
    fn accompany(&mut self, dice: &mut Dice) {
        let kind = dice.below(KINDS);
        let place = dice.below(self.records[kind].len() + 1);
        let key = dice.chance(70).then(|| self.key.clone());
        self.records[kind].insert(place, Record::Garbage(key));
    }

    fn break_a_law(&mut self, dice: &mut Dice) {
        self.quality = Quality::Unsound;
        let lines = self.records[0].len() as u32;
        let Some(Record::Seal(seal)) = self.records[4].last_mut() else { return };
        match dice.below(3) {
            0 if lines > 0 => seal.billing_lines = lines + 1,
            1 if lines > 1 => {
                let Some(Record::Line(mut first)) = self.records[0].first().cloned() else { return };
                first.ordinal = lines - 1;
                self.records[0][lines as usize - 1] = Record::Line(first);
            }
            _ => seal.rules = "{".to_owned(),
        }
    }

    fn poison(&mut self, dice: &mut Dice) {
        let keyed = dice.chance(80);
        self.quality = Quality::Poisoned { keyed };
        let kinds: Vec<usize> = (0..KINDS).filter(|kind| !self.records[*kind].is_empty()).collect();
        let kind = dice.pick(&kinds).expect("there is a seal");
        let place = dice.below(self.records[kind].len());
        self.records[kind][place] = Record::Garbage(keyed.then(|| self.key.clone()));
    }
}

/// What a version of a bill says, before its usage is known.
pub fn content(key: &TenantDay, version: u64) -> Content {
    let records = of_version(key, 0, version);
    Content {
        day: key.day,
        bill_digest: version.to_string(),
        inventory_digest: "the same".to_owned(),
        billing_lines: records[Kind::Billing as usize].len() as u32,
        billed: true,
        needs: needs(&records),
    }
}

/// Has a version of a bill any usage?
pub fn is_used(key: &TenantDay, version: u64) -> bool {
    !of_version(key, 0, version)[Kind::Metrics as usize].is_empty()
}

fn of_version(key: &TenantDay, revision: u32, version: u64) -> [Vec<Record>; KINDS] {
    let seed = key.to_string().bytes().fold(version, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    records(&mut Dice::new(seed), key, revision)
}

/// The resources whose usage decides about a line.
fn needs(records: &[Vec<Record>; KINDS]) -> Vec<UsageNeed> {
    let used = records[Kind::Billing as usize].iter().filter_map(|record| match record {
        Record::Line(line) if line.product_type == "USED" => Some(line.resource_id.clone()),
        _ => None,
    });
    used.map(|resource_id| UsageNeed { resource_id, metrics: vec!["bytes".to_owned()] }).collect()
}

/// The rows of a revision, computed from its records in their order and nothing else.
fn reference(key: &TenantDay, revision: u32, records: &[Vec<Record>; KINDS]) -> Option<Vec<String>> {
    let mut day = OpenDay::new(key.clone(), revision);
    for fact in records.iter().flatten().filter_map(Record::fact) {
        match fact {
            Fact::Line(line) => day.add_line(&line),
            Fact::Resource(resource) => day.add_resource(&resource),
            Fact::Identity(identity) => day.add_identity(&identity),
            Fact::Metric(value) => day.add_metric(value),
            Fact::Seal(seal) => day.seal(seal),
        }
    }
    thread_local!(static BOOKS: std::cell::RefCell<RuleBooks> = std::cell::RefCell::default());
    let allocation = BOOKS.with_borrow_mut(|books| allocate(day, books)).ok()?;
    Some(allocation.iter().map(|row| text(&row)).collect())
}

/// Everything a row says, but its revision.
pub fn text(row: &ChargebackRow<'_>) -> String {
    format!(
        "{}/{} {} {} {} {} {} {:?} {} {} {:?}",
        row.ordinal,
        row.count,
        row.resource_id,
        row.product_type,
        row.identity_id,
        row.target.as_str(),
        row.allocation_method,
        row.allocation_detail,
        row.amount,
        row.share,
        row.usage
    )
}

/// A day of a tenant that writes its facts itself.
pub fn key(tenant: usize, day: u64) -> TenantDay {
    TenantDay::new(format!("t{tenant}"), date(day))
}

/// The days of all tenants; they lie in two months.
pub fn date(day: u64) -> Day {
    static FIRST: LazyLock<Day> = LazyLock::new(|| "2026-02-27".parse().expect("a date"));
    FIRST.plus(day)
}

static RULES: LazyLock<String> = LazyLock::new(|| {
    let tier = |split, method: &str| Tier { split, method: method.into(), detail: None, cost_type: CostType::Usage };
    let types = vec!["service_account".to_owned()];
    let even = || tier(Split::EvenTenant { types: types.clone() }, "even");
    let usage = Split::ByUsage(Usage::Metrics(vec!["bytes".into()]));
    let product = |resolver, metrics: &[&str], tiers| Product {
        service: "s".into(),
        resolver,
        metrics: metrics.iter().map(|m| (*m).to_owned()).collect(),
        rule: Rule::FirstThatFits(tiers),
    };
    let used = vec![tier(usage, "usage"), even(), tier(Split::ToResource, "resource")];
    let otherwise = vec![even(), tier(Split::Unallocated, "nobody")];
    let book = RuleBook {
        version: 1,
        products: BTreeMap::from([("USED".into(), product(Resolver::KeysAndPrincipals, &["bytes"], used))]),
        otherwise: product(Resolver::None, &[], otherwise),
        owner_types: types.clone(),
        identities: BTreeMap::new(),
        interval_rule: vec![],
        topics: None,
    };
    serde_json::to_string(&book).expect("rules are JSON")
});

fn records(dice: &mut Dice, key: &TenantDay, revision: u32) -> [Vec<Record>; KINDS] {
    // Every fourth revision of a kind is empty: a day that nobody used, or that was charged nothing.
    let counts: [u32; 4] = std::array::from_fn(|kind| dice.below([4, 2, 3, 4][kind]) as u32);
    let [lines, resources, identities, metrics] = counts;
    let (tenant, day, ecosystem) = (key.tenant.clone(), key.day, String::from("sim"));
    let line = |dice: &mut Dice, ordinal: u32| BillingLine {
        tenant: tenant.clone(),
        day,
        revision,
        ordinal,
        count: lines,
        ecosystem: ecosystem.clone(),
        env_id: String::new(),
        resource_id: format!("r{ordinal}"),
        resource_name: None,
        product_category: "C".into(),
        product_type: if dice.chance(60) { "USED".into() } else { "OTHER".into() },
        quantity: Amount::ZERO,
        unit_price: Amount::ZERO,
        amount: Amount::from_units((dice.below(2_000_000) as i128 - 500_000) * 10_i128.pow(10)),
        original_amount: None,
        currency: "USD".into(),
        granularity: "daily".into(),
        period_start: day.start(),
        period_end: day.end(),
        evidence: Vec::new(),
    };
    let resource = |ordinal: u32| Resource {
        tenant: tenant.clone(),
        day,
        revision,
        ordinal,
        count: resources,
        ecosystem: ecosystem.clone(),
        resource_id: format!("r{ordinal}"),
        resource_type: "cluster".into(),
        display_name: None,
        parent_id: None,
        owner_id: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
    };
    let identity = |ordinal: u32| Identity {
        tenant: tenant.clone(),
        day,
        revision,
        ordinal,
        count: identities,
        ecosystem: ecosystem.clone(),
        identity_id: format!("sa-{ordinal}"),
        identity_type: "service_account".into(),
        display_name: None,
        owner_id: None,
        resource_id: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
    };
    let metric = |dice: &mut Dice, ordinal: u32| MetricValue {
        tenant: tenant.clone(),
        day,
        revision,
        ordinal,
        count: metrics,
        ecosystem: ecosystem.clone(),
        resource_id: format!("r{}", ordinal / 2),
        metric: "bytes".into(),
        subject_type: Subject::Principal,
        subject: format!("sa-{}", ordinal % 2),
        value: dice.below(5) as f64,
    };
    let seal = DaySealed {
        tenant: tenant.clone(),
        day,
        revision,
        ecosystem: ecosystem.clone(),
        billing_lines: lines,
        resources,
        identities,
        metrics,
        digest: format!("{key} {revision}"),
        rules: RULES.clone(),
        metrics_failed: Vec::new(),
        quarantined: 0,
        reason: Reason::New,
        requested: None,
        gathered_at: DateTime::UNIX_EPOCH,
    };
    [
        (0..lines).map(|i| Record::Line(line(dice, i))).collect(),
        (0..resources).map(|i| Record::Resource(resource(i))).collect(),
        (0..identities).map(|i| Record::Identity(identity(i))).collect(),
        (0..metrics).map(|i| Record::Metric(metric(dice, i))).collect(),
        vec![Record::Seal(seal)],
    ]
}

/// The topic of a kind, for sources in the quarantine.
pub fn kind_name(kind: Kind) -> &'static str {
    ["billing", "resources", "identities", "metrics", "days"][kind as usize]
}
