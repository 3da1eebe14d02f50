//! Days as short texts, and rows as tables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tributary::allocate::{Allocation, OpenDay, Refusal, RuleBooks, allocate};
use tributary::cli::rules;
use tributary::config;
use tributary::domain::attribution::WithoutUsage;
use tributary::domain::{
    Amount, BillingLine, Day, DaySealed, Identity, MetricValue, MetricValueRef, Reason, Resource, RuleBook, Subject,
    Target, TenantDay,
};
use tributary::ecosystem::confluent_cloud::rules::rule_book;
use tributary::ecosystem::confluent_cloud::topics::topic_rules;
use tributary::ecosystem::topics::{Choices, Method};

/// A golden case; `tests/golden/allocation/README.md` explains its columns.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub why: String,
    #[serde(default)]
    ratios: Option<[String; 2]>,
    /// Keys of `plugin_settings` as in a configuration file: rules of an operator's own.
    #[serde(default)]
    settings: String,
    #[serde(default)]
    usage_failed: Vec<String>,
    #[serde(default)]
    identities: String,
    #[serde(default)]
    resources: String,
    #[serde(default)]
    usage: String,
    topics: Option<TopicCase>,
    line: Vec<Billed>,
}

/// How lines are broken down to topics, where a case is about that.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicCase {
    #[serde(default)]
    methods: BTreeMap<String, String>,
    #[serde(default)]
    excluded: Vec<String>,
    #[serde(default)]
    skip_unused: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Billed {
    bill: String,
    #[serde(default)]
    rows: String,
    #[serde(default)]
    topics: String,
}

/// All facts of a day.
#[derive(Debug, Clone)]
pub struct Facts {
    pub lines: Vec<BillingLine>,
    pub resources: Vec<Resource>,
    pub identities: Vec<Identity>,
    pub metrics: Vec<MetricValue>,
    pub seal: DaySealed,
}

/// The rules of a Confluent Cloud tenant with these lines in its `plugin_settings`.
pub fn configured(settings: &str) -> RuleBook {
    let head = "tenants:\n  t:\n    ecosystem: confluent_cloud\n    tenant_id: t\n    plugin_settings:\n      \
                ccloud_api: {key: k, secret: s}\n";
    let lines = settings.lines().map(|line| format!("      {line}\n"));
    let text = head.to_owned() + &lines.collect::<String>();
    let loaded = config::parse(&text, &|_| None).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    rules::of(&loaded.config.tenants[0])
}

pub fn day() -> Day {
    "2026-02-01".parse().unwrap()
}

pub fn key() -> TenantDay {
    TenantDay::new("acme", day())
}

impl Case {
    pub fn read(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/allocation");
        toml::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    }

    pub fn facts(&self) -> Facts {
        let words = |text: &str| -> Vec<Vec<String>> {
            text.lines()
                .map(|l| l.split_whitespace().map(str::to_owned).collect())
                .filter(|l: &Vec<_>| !l.is_empty())
                .collect()
        };
        let topics = self.topics.as_ref().map(|topics| topic_rules(&topics.choices()));
        let mut facts = Facts::new(&serde_json::to_string(&self.rules().with_topics(topics)).unwrap());
        facts.seal.metrics_failed = self.usage_failed.clone();
        facts.lines = self.line.iter().map(|line| bill(&words(&line.bill)[0])).collect();
        facts.resources = words(&self.resources).iter().map(|words| resource(words)).collect();
        facts.identities = words(&self.identities).iter().map(|words| identity(words)).collect();
        facts.metrics = words(&self.usage).iter().flat_map(|words| usage(words)).collect();
        facts.number();
        facts
    }

    fn rules(&self) -> RuleBook {
        if let Some([usage, shared]) = &self.ratios {
            return rule_book(usage, shared);
        }
        configured(&self.settings)
    }

    /// Is it about topics, and not about who pays?
    pub fn is_of_topics(&self) -> bool {
        self.topics.is_some()
    }

    /// What is expected: the lines' tables in the order of the lines' keys.
    pub fn expected(&self) -> String {
        let mut lines: Vec<(String, String)> = self
            .line
            .iter()
            .map(|line| {
                let rows = if self.is_of_topics() { &line.topics } else { &line.rows };
                (title(&bill(&line.bill.split_whitespace().map(str::to_owned).collect::<Vec<_>>())), tidy(rows))
            })
            .collect();
        lines.sort();
        lines.into_iter().filter(|(_, rows)| !rows.is_empty()).map(|(title, rows)| format!("{title}\n{rows}")).collect()
    }
}

impl TopicCase {
    fn choices(&self) -> Choices {
        let method = |name: &str| match name {
            "bytes_ratio" => Method::BytesRatio,
            "retained_bytes_ratio" => Method::RetainedBytesRatio,
            "even_split" => Method::EvenSplit,
            "disabled" => Method::Disabled,
            other => panic!("no method {other}"),
        };
        Choices {
            methods: self.methods.iter().map(|(product, name)| (product.clone(), method(name))).collect(),
            excluded: self.excluded.clone(),
            without_usage: if self.skip_unused { WithoutUsage::Skip } else { WithoutUsage::EvenSplit },
        }
    }
}

impl Facts {
    pub fn new(rules: &str) -> Self {
        let seal = DaySealed {
            tenant: key().tenant,
            day: day(),
            revision: 1,
            ecosystem: "confluent_cloud".into(),
            billing_lines: 0,
            resources: 0,
            identities: 0,
            metrics: 0,
            digest: String::new(),
            rules: rules.into(),
            metrics_failed: vec![],
            quarantined: 0,
            reason: Reason::New,
            requested: None,
            gathered_at: day().end(),
        };
        Self { lines: vec![], resources: vec![], identities: vec![], metrics: vec![], seal }
    }

    /// Ordinals and counts as a gatherer sets them.
    pub fn number(&mut self) {
        macro_rules! number {
            ($records:expr, $count:expr) => {
                let count = $records.len() as u32;
                for (ordinal, record) in (0..).zip(&mut $records) {
                    (record.ordinal, record.count) = (ordinal, count);
                }
                $count = count;
            };
        }
        number!(self.lines, self.seal.billing_lines);
        number!(self.resources, self.seal.resources);
        number!(self.identities, self.seal.identities);
        number!(self.metrics, self.seal.metrics);
    }

    pub fn collect(&self) -> OpenDay {
        let mut day = OpenDay::new(key(), 1);
        self.lines.iter().for_each(|line| day.add_line(line));
        self.resources.iter().for_each(|resource| day.add_resource(resource));
        self.identities.iter().for_each(|identity| day.add_identity(identity));
        self.metrics.iter().for_each(|value| day.add_metric(borrowed(value)));
        assert!(!day.is_complete());
        day.seal(self.seal.clone());
        day
    }

    pub fn allocate(&self) -> Result<Allocation, Refusal> {
        let day = self.collect();
        assert!(day.is_complete());
        allocate(day, &mut RuleBooks::default())
    }
}

/// The rows as golden cases write them.
pub fn table(allocation: &Allocation) -> String {
    let (mut text, mut last) = (String::new(), String::new());
    for row in allocation.iter() {
        let title = format!("{} {} {}", row.env_id, row.resource_id, row.product_type);
        if title != last {
            text += &format!("{title}\n");
            last = title;
        }
        let kind = if row.target == Target::Identity { String::new() } else { format!(" ({})", row.target.as_str()) };
        let detail = row.allocation_detail.unwrap_or("-");
        let (who, amount, cost, method) = (row.identity_id, row.amount, row.cost_type.as_str(), row.allocation_method);
        text += &format!("{who} {amount} {cost} {method} {detail} {}{kind}\n", row.tier);
    }
    text
}

/// The rows by topic as golden cases write them.
pub fn topic_table(allocation: &Allocation) -> String {
    let (mut text, mut last) = (String::new(), String::new());
    for row in allocation.topics() {
        let title = format!("{} {} {}", row.env_id, row.cluster_resource_id, row.product_type);
        if title != last {
            text += &format!("{title}\n");
            last = title;
        }
        text += &format!("{} {} {}\n", row.topic_name, row.amount, row.attribution_method);
    }
    text
}

fn tidy(rows: &str) -> String {
    let lines = rows.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

fn title(line: &BillingLine) -> String {
    format!("{} {} {}", line.env_id, line.resource_id, line.product_type)
}

pub fn line(product: &str, resource: &str, amount: Amount) -> BillingLine {
    BillingLine {
        tenant: key().tenant,
        day: day(),
        revision: 1,
        ordinal: 0,
        count: 0,
        ecosystem: "confluent_cloud".into(),
        env_id: "env-1".into(),
        resource_id: resource.into(),
        resource_name: None,
        product_category: product.split('_').next().unwrap().into(),
        product_type: product.into(),
        quantity: Amount::ZERO,
        unit_price: Amount::ZERO,
        amount,
        original_amount: None,
        currency: "USD".into(),
        granularity: "daily".into(),
        period_start: day().start(),
        period_end: day().end(),
        evidence: vec![],
    }
}

fn bill(words: &[String]) -> BillingLine {
    line(&words[0], &words[1], words[2].parse().unwrap())
}

/// `id type key=value…`
fn parse(words: &[String]) -> (String, String, BTreeMap<String, String>) {
    let pairs = words[2..].iter().map(|word| word.split_once('=').unwrap());
    (words[0].clone(), words[1].clone(), pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

fn moment(text: Option<String>) -> Option<DateTime<Utc>> {
    text.map(|text| text.parse().unwrap())
}

fn resource(words: &[String]) -> Resource {
    let (resource_id, resource_type, mut more) = parse(words);
    Resource {
        tenant: key().tenant,
        day: day(),
        revision: 1,
        ordinal: 0,
        count: 0,
        ecosystem: "confluent_cloud".into(),
        resource_id,
        resource_type,
        display_name: more.remove("name"),
        parent_id: more.remove("parent"),
        owner_id: more.remove("owner"),
        created_at: moment(more.remove("from")),
        deleted_at: moment(more.remove("until")),
        attributes: more,
    }
}

fn identity(words: &[String]) -> Identity {
    let (id, kind, mut more) = parse(words);
    Identity {
        owner_id: more.remove("owner"),
        resource_id: more.remove("opens"),
        created_at: moment(more.remove("from")),
        deleted_at: moment(more.remove("until")),
        ..person(&id, &kind)
    }
}

pub fn person(id: &str, kind: &str) -> Identity {
    Identity {
        tenant: key().tenant,
        day: day(),
        revision: 1,
        ordinal: 0,
        count: 0,
        ecosystem: "confluent_cloud".into(),
        identity_id: id.into(),
        identity_type: kind.into(),
        display_name: None,
        owner_id: None,
        resource_id: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
    }
}

/// `resource metric subject=value…`
fn usage(words: &[String]) -> Vec<MetricValue> {
    let (resource, metric, _) = parse(&words[..2]);
    let pairs = words[2..].iter().map(|word| word.split_once('=').unwrap());
    pairs.map(|(subject, amount)| value(&resource, &metric, subject, amount.parse().unwrap())).collect()
}

pub fn value(resource: &str, metric: &str, subject: &str, value: f64) -> MetricValue {
    let subject_type = match metric {
        metric if metric.starts_with("flink") => Subject::Statement,
        metric if metric.starts_with("topic") => Subject::Topic,
        _ => Subject::Principal,
    };
    MetricValue {
        tenant: key().tenant,
        day: day(),
        revision: 1,
        ordinal: 0,
        count: 0,
        ecosystem: "confluent_cloud".into(),
        resource_id: resource.into(),
        metric: metric.into(),
        subject_type,
        subject: subject.into(),
        value,
    }
}

/// As it is read from the log.
pub fn borrowed(value: &MetricValue) -> MetricValueRef<'_> {
    MetricValueRef {
        tenant: &value.tenant,
        day: value.day,
        revision: value.revision,
        ordinal: value.ordinal,
        count: value.count,
        ecosystem: &value.ecosystem,
        resource_id: &value.resource_id,
        metric: &value.metric,
        subject_type: value.subject_type,
        subject: &value.subject,
        value: value.value,
    }
}
