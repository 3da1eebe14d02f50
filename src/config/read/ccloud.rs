//! `plugin_settings` of a Confluent Cloud organisation.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::super::address::HttpUrl;
use super::super::kind::{List, Names, object};
use super::super::number::Int;
use super::super::scalar::{Free, quoted};
use super::super::section::{Inner, Section};
use super::super::text::{Name, SecretText};
use super::super::{CcloudApi, ConfluentCloud, FlinkRegion, Param, suggest};
use super::emitter::{self, GRANULARITIES};
use super::metrics;
use super::rules::{CONFLUENT_WORDS, rules};
use super::topic_attribution::topic_attribution;
use crate::domain::granularity::MONTHLY;

/// The longest granularity, hours: no charge may be longer than a year.
const LONGEST_HOURS: u32 = 366 * 24;

pub(super) fn settings(s: &mut Section<'_>) -> ConfluentCloud {
    let rules = rules(s, CONFLUENT_WORDS);
    let granularity_durations = durations(s);
    s.ignored("chargeback_granularity", GRANULARITIES, emitter::BY_DAY);
    let params = s.default("allocator_params", Names(Free), vec![], "kafka_cku_usage_ratio and kafka_cku_shared_ratio");
    let params: BTreeMap<_, _> = params.into_iter().collect();
    let ratios = ratios(s, &params);
    let api = s.required("ccloud_api", object(api), "the Cloud API key, with `key` and `secret`");
    let metrics = s.optional("metrics", object(metrics::metrics), "a Prometheus with the metrics of Confluent Cloud");
    let topics = s.section("topic_attribution", topic_attribution, "cluster costs down to topics");
    if topics.enabled && metrics.is_none() && s.sound(&["metrics", "topic_attribution"]) {
        let remedy = "add a `metrics` section, or set `enabled: false`";
        s.fault("topic_attribution", "is enabled, but there is no `metrics` section to measure topics with", remedy);
    }
    let emitters = s.default("emitters", List(object(emitter::of_chargebacks)), vec![], "where rows are written to");
    emitter::compare(s, "emitters", &emitters);
    ConfluentCloud {
        api,
        days_per_query: s.section("billing_api", billing, "how bills are asked for"),
        metrics,
        flink: flink(s),
        cku_usage_ratio: ratios.usage,
        cku_shared_ratio: ratios.shared,
        allocator_params: params,
        rules,
        granularity_durations,
        topic_attribution: topics,
        min_refresh_gap_seconds: s.default(
            "min_refresh_gap_seconds",
            Int(0..=u64::MAX),
            1800,
            "least time between two gathers",
        ),
        metrics_step_seconds: s.default("metrics_step_seconds", Int(1..=u32::MAX), 3600, "step of range queries"),
        emitters,
    }
}

/// Lengths of granularities, of charges that do not say their end.
fn durations(s: &mut Section<'_>) -> BTreeMap<String, u32> {
    let key = "granularity_durations";
    let doc = "granularity to whole hours, for charges that do not say their end; `monthly` is the calendar's";
    let read = s.default(key, Names(Int(1..=LONGEST_HOURS)), vec![], doc);
    for (name, _) in &read {
        if name.trim().eq_ignore_ascii_case(MONTHLY) {
            let remedy = "remove it, or give your period another name";
            s.fault_inside(key, Inner::Key(name), "a month is as long as the calendar says", remedy);
        }
    }
    read.into_iter().map(|(name, hours)| (name.trim().to_lowercase(), hours)).collect()
}

fn billing(s: &mut Section<'_>) -> u32 {
    s.default("days_per_query", Int(1..=30), 15, "days of one billing request")
}

fn api(s: &mut Section<'_>) -> CcloudApi {
    CcloudApi {
        key: s.required("key", Name, "Cloud API key"),
        secret: s.required("secret", SecretText, "its secret, best as `${NAME}`"),
        base_url: s.default("base_url", HttpUrl, "https://api.confluent.cloud".into(), "address of the management API"),
    }
}

fn flink(s: &mut Section<'_>) -> Vec<FlinkRegion> {
    let read = s.optional("flink", List(object(region)), "API keys for Flink, one per region").unwrap_or_default();
    let mut regions: Vec<FlinkRegion> = Vec::new();
    for region in read {
        if let Some(at) = regions.iter().position(|earlier| earlier.region_id == region.region_id) {
            s.warn("flink", format!("region {} is there twice; the later entry holds", quoted(&region.region_id)));
            regions.remove(at);
        }
        regions.push(region);
    }
    regions
}

fn region(s: &mut Section<'_>) -> FlinkRegion {
    FlinkRegion {
        region_id: s.required("region_id", Name, "region, such as us-east-2").trim().to_lowercase(),
        key: s.required("key", Name, "Flink API key of the region"),
        secret: s.required("secret", SecretText, "its secret, best as `${NAME}`"),
        base_url: s.optional("base_url", HttpUrl, "default: https://flink.<region>.<cloud>.confluent.cloud"),
    }
}

/// How a CKU line is divided, as decimal texts.
struct Ratios {
    usage: String,
    shared: String,
}

const USAGE: &str = "kafka_cku_usage_ratio";
const SHARED: &str = "kafka_cku_shared_ratio";

fn ratios(s: &Section<'_>, params: &BTreeMap<String, Param>) -> Ratios {
    let mut sound = true;
    for (name, param) in params {
        let known = [USAGE, SHARED].contains(&name.as_str());
        if let Err((problem, remedy)) = check_param(name, param, known) {
            s.fault_inside("allocator_params", Inner::Key(name), problem, remedy);
            sound = false;
        } else if !known {
            let hint = suggest::nearest(name, &[USAGE, SHARED])
                .map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            s.warn("allocator_params", format!("`{name}` has no effect: no allocation rule reads it{hint}"));
        }
    }
    let given = |name: &str, default: &str| match params.get(name) {
        Some(Param::Number(text)) => text.clone(),
        _ => default.to_owned(),
    };
    let ratios = Ratios { usage: given(USAGE, "0.7"), shared: given(SHARED, "0.3") };
    if sound && !ratios.complete() {
        ratios.explain(s, params);
    }
    ratios
}

fn check_param(name: &str, param: &Param, known: bool) -> Result<(), (String, String)> {
    let example = format!("write a number, without quotes and not from a variable: `{name}: 0.7`");
    match param {
        Param::Number(_) if !known => Ok(()),
        Param::Number(text) => {
            let fits = decimal(text).is_some_and(|ratio| (Decimal::ZERO..=Decimal::ONE).contains(&ratio));
            if fits { Ok(()) } else { Err((format!("{text} is not a ratio between 0 and 1"), example)) }
        }
        Param::Flag(flag) if name.ends_with("_ratio") => {
            Err((format!("{flag} is a truth value, not a number"), example))
        }
        Param::Text(text) if name.ends_with("_ratio") => {
            Err((format!("{} is text, not a number", quoted(text)), example))
        }
        _ => Ok(()),
    }
}

/// At most 14 decimals, the precision of our amounts.
fn decimal(text: &str) -> Option<Decimal> {
    Decimal::from_str_exact(text).ok().filter(|number| number.normalize().scale() <= 14)
}

impl Ratios {
    /// Do the two add up to 1, within 0.0001?
    fn complete(&self) -> bool {
        let sum = decimal(&self.usage).zip(decimal(&self.shared)).map(|(usage, shared)| usage + shared);
        sum.is_some_and(|sum| (sum - Decimal::ONE).abs() <= Decimal::new(1, 4))
    }

    fn explain(&self, s: &Section<'_>, params: &BTreeMap<String, Param>) {
        let (Some(usage), Some(shared)) = (decimal(&self.usage), decimal(&self.shared)) else { return };
        let default = |name: &str| if params.contains_key(name) { "" } else { " (its default)" };
        let problem = format!(
            "{USAGE} {usage}{} and {SHARED} {shared}{} add up to {}, not 1",
            default(USAGE),
            default(SHARED),
            usage + shared
        );
        let rest = (Decimal::ONE - usage).normalize();
        s.fault(
            "allocator_params",
            problem,
            format!("write both, for example `{USAGE}: {usage}` and `{SHARED}: {rest}`"),
        );
    }
}
