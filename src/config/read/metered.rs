//! What `self_managed_kafka` and `generic_metrics_only` have in common.

use std::collections::BTreeSet;

use super::super::Emitter;
use super::super::kind::{List, Names, object};
use super::super::metered::{IdentityOrigin, IdentitySource, Metered, StaticIdentity};
use super::super::number::{Int, Price};
use super::super::scalar::{Choice, quoted};
use super::super::section::{Inner, Section};
use super::super::text::{Name, Text};
use super::emitter::{self, GRANULARITIES};
use super::metrics;
use super::rules::{Vocabulary, rules};
use crate::domain::Amount;

/// The settings that both have.
pub(super) fn metered(s: &mut Section<'_>, words: Vocabulary) -> Metered {
    let rules = rules(s, words);
    s.ignored("granularity_durations", Names(Int(1..=u32::MAX)), "every line is for a day");
    s.ignored("allocator_params", Names(super::super::scalar::Free), "no rule of this ecosystem reads any");
    s.ignored(
        "metrics_step_seconds",
        Int(1..=u32::MAX),
        "quantities do not depend on a step: an expression is asked for as often as its own range says",
    );
    let metrics = s.required("metrics", object(metrics::metrics), "a server with the Prometheus query API");
    let gap = s.default("min_refresh_gap_seconds", Int(0..=u64::MAX), 1800, "least time between two gathers");
    let (minimum_coverage, wait_days) = s.section("completeness", completeness, "when a day counts as measured");
    Metered {
        metrics,
        currency: currency(s),
        minimum_coverage,
        wait_days,
        min_refresh_gap_seconds: gap,
        rules,
        emitters: emitters(s),
    }
}

fn emitters(s: &mut Section<'_>) -> Vec<Emitter> {
    s.ignored("chargeback_granularity", GRANULARITIES, emitter::BY_DAY);
    let emitters = s.default("emitters", List(object(emitter::of_chargebacks)), vec![], "where rows are written to");
    emitter::compare(s, "emitters", &emitters);
    emitters
}

fn completeness(s: &mut Section<'_>) -> (Amount, u32) {
    const NINE_TENTHS: Amount = Amount::from_units(9 * 10_i128.pow(13));
    let doc = "part of a day, 0 to 1, that has to be measured; with less the day waits, then is billed and flagged";
    let coverage = s.default("minimum_coverage", Price, NINE_TENTHS, doc);
    if coverage > Amount::whole(1) {
        s.fault("minimum_coverage", format!("{coverage} is more than the whole day"), "write 0 to 1, such as 0.9");
    }
    let doc = "days after its end that a day with a gap waits for late samples";
    (coverage, s.default("wait_days", Int(0..=730), 3, doc))
}

fn currency(s: &mut Section<'_>) -> String {
    let currency = s.default("currency", Text, "USD".into(), "currency of the rates, three letters");
    let letters = currency.trim().to_uppercase();
    if letters.len() != 3 || !letters.bytes().all(|b| b.is_ascii_alphabetic()) {
        s.fault("currency", format!("{} is not a currency", quoted(&currency)), "write three letters, such as USD");
    }
    letters
}

const ORIGINS: Choice<IdentityOrigin> = Choice(&[
    ("prometheus", IdentityOrigin::Prometheus),
    ("static", IdentityOrigin::Static),
    ("both", IdentityOrigin::Both),
]);

/// The part of `identity_source` that both have.
pub(super) fn identities(s: &mut Section<'_>) -> IdentitySource {
    let doc = "`prometheus` (labels of metrics), `static` (those below), or `both`";
    let origin = s.default("source", ORIGINS, IdentityOrigin::Prometheus, doc);
    let teams = s.default("principal_to_team", Names(Text), vec![], "principal to the name of its team");
    let default_team = s.default("default_team", Text, "UNASSIGNED".into(), "team of principals that are not listed");
    let fixed = s.default("static_identities", List(object(identity)), vec![], "identities that are always there");
    let mut seen = BTreeSet::new();
    for (at, identity) in fixed.iter().enumerate().filter(|_| s.sound(&["static_identities"])) {
        if !seen.insert(identity.id.as_str()) {
            let problem = format!("{} is there twice", quoted(&identity.id));
            s.fault_inside("static_identities", Inner::Item(at), problem, "keep one of them");
        }
    }
    if origin == IdentityOrigin::Static && fixed.is_empty() && s.sound(&["source", "static_identities"]) {
        s.warn("static_identities", "is empty with `source: static`: all costs go to UNALLOCATED");
    }
    if origin == IdentityOrigin::Prometheus && !fixed.is_empty() {
        s.warn("static_identities", "has no effect with `source: prometheus`; write `both`");
    }
    IdentitySource { origin, principal_to_team: teams.into_iter().collect(), default_team, static_identities: fixed }
}

fn identity(s: &mut Section<'_>) -> StaticIdentity {
    StaticIdentity {
        id: s.required("identity_id", Name, "id that costs are booked to"),
        kind: s.required("identity_type", Name, "any word, such as `team` or `principal`"),
        display_name: s.optional("display_name", Text, "name for people; default: the id"),
        team: s.optional("team", Text, "its team"),
    }
}
