//! Small values for this stage's tests.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::domain::{
    Amount, BillingLine, Day, EntityKind, GatheredEntity, Identity, Lifetime, MetricValue, Resource, Subject,
};

use super::inventory::Entities;

pub fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn lifetime(created_at: Option<&str>, deleted_at: Option<&str>) -> Lifetime {
    Lifetime { created_at: created_at.map(at), deleted_at: deleted_at.map(at) }
}

pub fn entities<const N: usize>(all: [GatheredEntity; N]) -> Entities {
    all.into_iter().map(|entity| ((entity.kind, entity.id.clone()), entity)).collect()
}

/// A remembered `kafka_cluster`.
pub fn resource<const N: usize>(id: &str, lifetimes: [Lifetime; N]) -> GatheredEntity {
    GatheredEntity {
        kind: EntityKind::Resource,
        id: id.to_owned(),
        entity_type: "kafka_cluster".to_owned(),
        display_name: None,
        parent_id: None,
        owner_id: None,
        resource_id: None,
        attributes: BTreeMap::new(),
        lifetimes: lifetimes.to_vec(),
    }
}

/// A remembered `api_key`.
pub fn key<const N: usize>(id: &str, owner: &str, opens: &str, lifetimes: [Lifetime; N]) -> GatheredEntity {
    GatheredEntity {
        kind: EntityKind::Identity,
        entity_type: "api_key".to_owned(),
        owner_id: Some(owner.to_owned()),
        resource_id: Some(opens.to_owned()),
        ..resource(id, lifetimes)
    }
}

/// A listed `kafka_cluster`, as a source drafts it.
pub fn listed(id: &str, created_at: Option<&str>) -> Resource {
    Resource {
        tenant: String::new(),
        day: day("1970-01-01"),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: String::new(),
        resource_id: id.to_owned(),
        resource_type: "kafka_cluster".to_owned(),
        display_name: None,
        parent_id: None,
        owner_id: None,
        created_at: created_at.map(at),
        deleted_at: None,
        attributes: BTreeMap::new(),
    }
}

/// A listed `service_account`, as a source drafts it.
pub fn account(id: &str) -> Identity {
    Identity {
        tenant: String::new(),
        day: day("1970-01-01"),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: String::new(),
        identity_id: id.to_owned(),
        identity_type: "service_account".to_owned(),
        display_name: None,
        owner_id: None,
        resource_id: None,
        created_at: None,
        deleted_at: None,
        attributes: BTreeMap::new(),
    }
}

pub fn line(resource_id: &str, product_type: &str, amount: &str) -> BillingLine {
    BillingLine {
        tenant: String::new(),
        day: day("2026-02-10"),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: String::new(),
        env_id: "env-1".to_owned(),
        resource_id: resource_id.to_owned(),
        resource_name: None,
        product_category: "KAFKA".to_owned(),
        product_type: product_type.to_owned(),
        quantity: Amount::whole(1),
        unit_price: Amount::ZERO,
        amount: Amount::parse(amount).unwrap(),
        original_amount: None,
        currency: "USD".to_owned(),
        granularity: "daily".to_owned(),
        period_start: at("2026-02-10T00:00:00Z"),
        period_end: at("2026-02-11T00:00:00Z"),
        evidence: Vec::new(),
    }
}

pub fn usage(resource_id: &str, metric: &str, subject: &str, value: f64) -> MetricValue {
    MetricValue {
        tenant: String::new(),
        day: day("2026-02-10"),
        revision: 0,
        ordinal: 0,
        count: 0,
        ecosystem: String::new(),
        resource_id: resource_id.to_owned(),
        metric: metric.to_owned(),
        subject_type: Subject::Principal,
        subject: subject.to_owned(),
        value,
    }
}
