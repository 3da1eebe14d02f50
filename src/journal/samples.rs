//! A value of every record, for the tests of the log; the golden messages of version 1 are made of them.
//!
//! They cover both sides of every optional field between them and every digit of an amount.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::quarantine::{Stage, Status};
use crate::domain::run::{RunStatus, Trigger};
use crate::domain::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn day() -> Day {
    "2026-02-28".parse().unwrap()
}

fn attributes() -> BTreeMap<String, String> {
    BTreeMap::from([("cloud".into(), "aws".into()), ("région".into(), "eu-west-3".into())])
}

pub fn billing_line() -> BillingLine {
    BillingLine {
        tenant: "acme".into(),
        day: day(),
        revision: 3,
        ordinal: 0,
        count: 2,
        ecosystem: "confluent_cloud".into(),
        env_id: "env-1".into(),
        resource_id: "lkc-abc".into(),
        resource_name: Some("orders ✓".into()),
        product_category: "KAFKA".into(),
        product_type: "KAFKA_STORAGE".into(),
        quantity: amount("1234.5"),
        unit_price: amount("0.00000000000001"),
        amount: amount("-19.20268146"),
        original_amount: Some(amount("99999999999999.99999999999999")),
        currency: "USD".into(),
        granularity: "daily".into(),
        period_start: at("2026-02-28T00:00:00Z"),
        period_end: at("2026-03-01T00:00:00Z"),
        evidence: vec![r#"{"amount":-19.20268146}"#.into(), String::new()],
    }
}

pub fn resource() -> Resource {
    Resource {
        tenant: "acme".into(),
        day: day(),
        revision: u32::MAX,
        ordinal: 1,
        count: 2,
        ecosystem: "confluent_cloud".into(),
        resource_id: "lkc-abc".into(),
        resource_type: "kafka_cluster".into(),
        display_name: Some("orders".into()),
        parent_id: Some("env-1".into()),
        owner_id: None,
        created_at: Some(at("2024-01-02T03:04:05.678901Z")),
        deleted_at: None,
        attributes: attributes(),
    }
}

pub fn identity() -> Identity {
    Identity {
        tenant: "acme".into(),
        day: day(),
        revision: 1,
        ordinal: 0,
        count: 1,
        ecosystem: "confluent_cloud".into(),
        identity_id: "ABCDEF".into(),
        identity_type: "api_key".into(),
        display_name: None,
        owner_id: Some("sa-1".into()),
        resource_id: Some("lkc-abc".into()),
        created_at: None,
        deleted_at: Some(at("1969-12-31T23:59:59.999999Z")),
        attributes: BTreeMap::new(),
    }
}

pub fn metric_value() -> MetricValue {
    MetricValue {
        tenant: "acme".into(),
        day: day(),
        revision: 1,
        ordinal: 7,
        count: 1_000_000,
        ecosystem: "confluent_cloud".into(),
        resource_id: "lkc-abc".into(),
        metric: "bytes_in".into(),
        subject_type: Subject::Principal,
        subject: "sa-1".into(),
        value: 3.25e12,
    }
}

pub fn day_sealed() -> DaySealed {
    DaySealed {
        tenant: "acme".into(),
        day: day(),
        revision: 3,
        ecosystem: "confluent_cloud".into(),
        billing_lines: 2,
        resources: 2,
        identities: 1,
        metrics: 1_000_000,
        digest: "d1".into(),
        rules: r#"{"version":1}"#.into(),
        metrics_failed: vec!["lkc-def".into()],
        quarantined: 1,
        reason: Reason::Usage,
        requested: Some("c1".into()),
        gathered_at: at("2026-03-02T04:05:06.000007Z"),
    }
}

pub fn chargeback_row() -> ChargebackRow<'static> {
    ChargebackRow {
        tenant: "acme",
        day: day(),
        revision: 3,
        ordinal: 1,
        count: 4,
        ecosystem: "confluent_cloud",
        env_id: "",
        resource_id: "lkc-abc",
        product_category: "KAFKA",
        product_type: "KAFKA_NETWORK_WRITE",
        identity_id: "sa-1",
        target: Target::Identity,
        cost_type: CostType::Shared,
        allocation_method: "usage_ratio",
        allocation_detail: Some("usage_ratio_allocation"),
        amount: amount("-0.1234"),
        currency: "EUR",
        tier: 1,
        share: 0.125,
        usage: Some(3.0),
    }
}

pub fn topic_attribution_row() -> TopicAttributionRow<'static> {
    TopicAttributionRow {
        tenant: "acme",
        day: day(),
        revision: 3,
        ordinal: 0,
        count: 1,
        ecosystem: "confluent_cloud",
        env_id: "env-1",
        cluster_resource_id: "lkc-abc",
        topic_name: "orders.v1",
        product_category: "KAFKA",
        product_type: "KAFKA_STORAGE",
        attribution_method: "even_split",
        amount: amount("0"),
        currency: "USD",
        share: 1.0,
        usage: None,
    }
}

pub fn day_allocated() -> DayAllocated {
    DayAllocated {
        tenant: "acme".into(),
        day: day(),
        revision: 3,
        ecosystem: "confluent_cloud".into(),
        outcome: Outcome::Refused,
        reason: Some("the rows of line 0 do not add up to it".into()),
        billing_lines: 2,
        rows: 0,
        topic_rows: Some(3),
        amount: amount("12.5"),
        facts_digest: "d1".into(),
        rows_digest: String::new(),
        allocated_at: at("2026-03-02T04:05:07Z"),
    }
}

pub fn gather_state() -> GatherState {
    GatherState {
        tenant: "acme".into(),
        entity: Some(GatheredEntity {
            kind: EntityKind::Identity,
            id: "sa-1".into(),
            entity_type: "service_account".into(),
            display_name: Some("loader".into()),
            parent_id: None,
            owner_id: None,
            resource_id: None,
            attributes: attributes(),
            lifetimes: vec![
                Lifetime { created_at: None, deleted_at: Some(at("2025-01-01T00:00:00Z")) },
                Lifetime { created_at: Some(at("2025-06-01T00:00:00Z")), deleted_at: None },
            ],
        }),
        ..GatherState::default()
    }
}

fn gathered_tenant() -> GatheredTenant {
    GatheredTenant {
        run_id: "20260302T040506.000Z-00ff".into(),
        instance: "one".into(),
        trigger: Trigger::Periodic,
        started_at: at("2026-03-02T04:05:06Z"),
        ended_at: None,
        finished: false,
        failures_in_a_row: 2,
        suspended: Some("why".into()),
        settings_digest: "5e77".into(),
    }
}

/// The other parts of a [`GatherState`].
pub fn gather_state_parts() -> [GatherState; 4] {
    let tenant = || "acme".to_owned();
    let gathered = GatheredDay {
        day: day(),
        revision: 0,
        bill_digest: "b".into(),
        inventory_digest: "i".into(),
        usage_digest: "u".into(),
        usage_settled: true,
        usage_attempts: 2,
        held: Some("usage of lkc-abc".into()),
        billing_lines: 5,
        metrics_failed: vec!["lkc-abc".into()],
    };
    let listing =
        GatheredListing { name: "flink".into(), empty_in_a_row: 1, last_complete_at: at("2026-03-02T00:00:00Z") };
    [
        GatherState { tenant: tenant(), day: Some(gathered), ..GatherState::default() },
        GatherState { tenant: tenant(), listing: Some(listing), ..GatherState::default() },
        GatherState { tenant: tenant(), bad_row: Some("f00d".into()), ..GatherState::default() },
        GatherState { tenant: tenant(), cycles: Some(gathered_tenant()), ..GatherState::default() },
    ]
}

pub fn command() -> Command {
    Command {
        id: "c-1".into(),
        tenant: "acme".into(),
        kind: CommandKind::Gather,
        from: Some(day()),
        to: None,
        force: true,
        requested_at: at("2026-03-02T04:05:06Z"),
        requested_by: "ops@laptop".into(),
        cancels: vec!["c-0".into()],
    }
}

pub fn run() -> Run {
    Run {
        tenant: "acme".into(),
        id: "20260302T040506.000Z-00ff".into(),
        instance: "one".into(),
        trigger: Trigger::Command,
        commands: vec!["c-1".into()],
        started_at: at("2026-03-02T04:05:06Z"),
        ended_at: Some(at("2026-03-02T04:05:36.5Z")),
        status: RunStatus::Failed,
        from: Some(day()),
        to: None,
        wanted: Some(12),
        sealed: 2,
        unchanged: 9,
        held: 1,
        quarantined: 0,
        errors: vec!["bill: HTTP 503".into()],
        failures_in_a_row: 5,
        suspended: Some("5 runs in a row brought nothing".into()),
        next_due_at: None,
    }
}

pub fn quarantined() -> Quarantined {
    Quarantined {
        id: "f00d".into(),
        tenant: Some("acme".into()),
        day: Some(day()),
        stage: Stage::Allocate,
        source: "billing[3]@1207".into(),
        topic: Some("billing".into()),
        partition: Some(3),
        offset: Some(1207),
        key: Some(b"acme/2026-02-28".to_vec()),
        payload: vec![0, 255, 1],
        reason: "not in Confluent's wire format".into(),
        status: Status::Open,
        at: at("2026-03-02T04:05:06Z"),
    }
}

/// A provider's row, which never stood in Kafka.
pub fn quarantined_row() -> Quarantined {
    Quarantined {
        tenant: None,
        day: None,
        stage: Stage::Gather,
        topic: None,
        partition: None,
        offset: None,
        key: None,
        status: Status::Resent,
        ..quarantined()
    }
}

pub fn emission() -> Emission {
    Emission {
        tenant: "acme".into(),
        dataset: EmittedRows::TopicAttributions,
        emitter: "csv".into(),
        aggregation: Aggregation::Monthly,
        day: day(),
        revision: 31,
        outcome: EmissionOutcome::Failed,
        attempts: 2,
        error: Some("no space left on device".into()),
        rows: 0,
        target: Some("/srv/costs/acme_2026-02-01.csv".into()),
        at: at("2026-03-02T04:05:06Z"),
    }
}

pub fn audit_event() -> AuditEvent {
    AuditEvent {
        id: "01957d2a-1-0".into(),
        tenant: Some("acme".into()),
        at: at("2026-03-02T04:05:06Z"),
        actor: "token:tk-7f3a".into(),
        action: "tag.set".into(),
        entity_type: "resource".into(),
        entity_id: "lkc-abc".into(),
        before: None,
        after: Some("{\"team\":\"données\"}".into()),
        request_id: "01957d2a-1".into(),
    }
}

pub fn tag() -> Tag {
    Tag {
        tenant: "acme".into(),
        entity_type: EntityType::Identity,
        entity_id: "sa-1".into(),
        key: "team".into(),
        value: "données".into(),
        at: at("2026-03-02T04:05:06Z"),
        by: "token:tk-7f3a".into(),
    }
}

pub fn api_token() -> ApiToken {
    ApiToken {
        id: "trib_7f3ac2d1".into(),
        name: "Grafana".into(),
        hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".into(),
        scopes: vec!["costs:read".into(), "tags:write".into()],
        tenants: Some(vec!["acme".into()]),
        created_at: at("2026-03-02T04:05:06Z"),
        created_by: "cli:root".into(),
        expires_at: None,
    }
}

pub fn tenant_event() -> TenantEvent {
    TenantEvent {
        tenant: "acme".into(),
        kind: TenantEventKind::Forgotten,
        last_revision: 17,
        at: at("2026-03-02T04:05:06Z"),
    }
}
