//! What can be asked of each kind of rows: the fields, and conditions over them.
//!
//! A field is one of a fixed list or a tag's key, which takes no other characters than letters, digits, `_` and `-`; so nothing
//! else a caller writes becomes SQL. Values are always bound.
//!
//! A tag of a row is that of its resource, or where that has none of the key, that of its identity. `cloud` and `region` are those of
//! its resource.

use std::collections::BTreeSet;

use sqlx::{Postgres, QueryBuilder};

use super::{Selection, known};
use crate::domain::{Tag, TagKey};

/// What fields that are tags begin with.
const TAG: &str = "tag.";

/// A kind of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dataset {
    Billing,
    Chargebacks,
    TopicCosts,
}

/// One column that rows can be chosen and grouped by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    Column {
        /// As callers write it.
        name: &'static str,
        /// As SQL reads it.
        sql: &'static str,
    },
    /// `tag.<key>`.
    Tag(TagKey),
}

impl Field {
    /// As callers write it.
    pub fn name(&self) -> String {
        match self {
            Self::Column { name, .. } => (*name).to_owned(),
            Self::Tag(key) => format!("{TAG}{key}"),
        }
    }

    /// As SQL reads it: null where a row has no value.
    pub(super) fn sql(&self, dataset: Dataset) -> String {
        match (self, dataset) {
            (Self::Column { sql, .. }, _) => (*sql).to_owned(),
            (Self::Tag(key), Dataset::Chargebacks) => {
                format!("coalesce(\"resource {key}\".value, \"identity {key}\".value)")
            }
            (Self::Tag(key), Dataset::Billing | Dataset::TopicCosts) => format!("\"resource {key}\".value"),
        }
    }

    /// As rows are grouped by it: rows without the tag are a group of their own.
    pub(super) fn grouped(&self, dataset: Dataset) -> String {
        match self {
            Self::Column { sql, .. } => (*sql).to_owned(),
            Self::Tag(_) => format!("coalesce({}, '{}')", self.sql(dataset), Tag::UNTAGGED),
        }
    }
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    In,
    Prefix,
    /// Letter case has no say.
    Contains,
    /// With the value `true` or `false`.
    Exists,
}

/// One condition; `values` has one element but for [`Operator::In`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    pub field: Field,
    pub operator: Operator,
    pub values: Vec<String>,
}

macro_rules! fields {
    ($($name:literal => $column:expr),* $(,)?) => { &[$(Field::Column { name: $name, sql: $column }),*] };
}

const BILLING: &[Field] = fields! {
    "ecosystem" => "f.ecosystem",
    "env_id" => "f.env_id",
    "resource_id" => "f.resource_id",
    "product_category" => "f.product_category",
    "product_type" => "f.product_type",
    "currency" => "f.currency",
    "granularity" => "f.granularity",
    "cloud" => "place.cloud",
    "region" => "place.region",
};

const CHARGEBACKS: &[Field] = fields! {
    "ecosystem" => "d.ecosystem",
    "env_id" => "d.env_id",
    "resource_id" => "d.resource_id",
    "product_category" => "d.product_category",
    "product_type" => "d.product_type",
    "identity_id" => "d.identity_id",
    "target" => "d.target",
    "cost_type" => "d.cost_type",
    "allocation_method" => "d.allocation_method",
    "allocation_detail" => "d.allocation_detail",
    "currency" => "d.currency",
    "confidence" => super::rows::CHARGEBACK_CONFIDENCE,
    "cloud" => "place.cloud",
    "region" => "place.region",
};

const TOPIC_COSTS: &[Field] = fields! {
    "ecosystem" => "f.ecosystem",
    "env_id" => "f.env_id",
    "cluster_resource_id" => "f.cluster_resource_id",
    "topic_name" => "f.topic_name",
    "product_category" => "f.product_category",
    "product_type" => "f.product_type",
    "attribution_method" => "f.attribution_method",
    "currency" => "f.currency",
    "cloud" => "place.cloud",
    "region" => "place.region",
};

impl Dataset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Billing, Self::Chargebacks, Self::TopicCosts];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Billing => "billing",
            Self::Chargebacks => "chargebacks",
            Self::TopicCosts => "topic_costs",
        }
    }

    /// What its rows can be chosen and grouped by, besides tags.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Billing => BILLING,
            Self::Chargebacks => CHARGEBACKS,
            Self::TopicCosts => TOPIC_COSTS,
        }
    }

    /// The field of that name.
    pub fn field(self, name: &str) -> Option<Field> {
        match name.strip_prefix(TAG) {
            Some(key) => key.parse().ok().map(Field::Tag),
            None => self.fields().iter().find(|field| field.name() == name).cloned(),
        }
    }

    /// Where the tags of its rows' resources and identities are: the kind of entity, the tenant, the id.
    fn tagged(self) -> &'static [(&'static str, &'static str, &'static str)] {
        match self {
            Self::Billing => &[("resource", "f.tenant_key", "f.resource_id")],
            Self::Chargebacks => {
                &[("resource", "d.tenant_key", "d.resource_id"), ("identity", "d.tenant_key", "d.identity_id")]
            }
            Self::TopicCosts => &[("resource", "f.tenant_key", "(f.cluster_resource_id || ':topic:' || f.topic_name)")],
        }
    }

    /// The id of the resource that its rows are about.
    pub(super) fn resource_id(self) -> &'static str {
        self.tagged()[0].2
    }

    /// The resource that its rows are about: the tenant, the id.
    fn resource(self) -> (&'static str, &'static str) {
        match self {
            Self::Billing => ("f.tenant_key", "f.resource_id"),
            Self::Chargebacks => ("d.tenant_key", "d.resource_id"),
            Self::TopicCosts => ("f.tenant_key", "f.cluster_resource_id"),
        }
    }

    /// Joins what `fields` name that is no column of the rows, each once: tags, and where the resource is.
    pub(super) fn push_joined<'a>(self, query: &mut QueryBuilder<Postgres>, fields: impl Iterator<Item = &'a Field>) {
        let (mut keys, mut placed) = (BTreeSet::new(), false);
        for field in fields {
            match field {
                Field::Tag(key) => drop(keys.insert(key)),
                Field::Column { sql, .. } => placed |= sql.starts_with("place."),
            }
        }
        if placed {
            let (tenant, id) = self.resource();
            query.push(format_args!(
                " LEFT JOIN (SELECT DISTINCT ON (tenant_key, resource_id) tenant_key, resource_id,
                      nullif(cloud, '') AS cloud, nullif(region, '') AS region FROM resource_places
                      ORDER BY tenant_key, resource_id, day DESC, revision DESC, cloud DESC, region DESC) place
                  ON place.tenant_key = {tenant} AND place.resource_id = {id}"
            ));
        }
        for key in keys {
            for (kind, tenant, id) in self.tagged() {
                query.push(format_args!(
                    " LEFT JOIN tag_facts \"{kind} {key}\" ON \"{kind} {key}\".tenant_key = {tenant}
                      AND \"{kind} {key}\".entity_type = '{kind}' AND \"{kind} {key}\".entity_id = {id}
                      AND \"{kind} {key}\".key = '{key}'"
                ));
            }
        }
    }

    /// The projection that writes it.
    pub fn projection(self) -> super::super::Projection {
        match self {
            Self::Billing => super::super::Projection::Billing,
            Self::Chargebacks => super::super::Projection::Chargebacks,
            Self::TopicCosts => super::super::Projection::TopicAttributions,
        }
    }

    /// `FROM …`: the rows of whole slices.
    fn visible(self) -> &'static str {
        match self {
            Self::Billing => {
                " FROM billing_facts f JOIN slices s ON s.projection = 'billing' AND s.tenant_key = f.tenant_key
                  AND s.day = f.day AND s.revision = f.revision AND s.complete"
            }
            Self::Chargebacks => {
                " FROM chargeback_facts f JOIN slices s ON s.projection = 'chargebacks' AND s.tenant_key = f.tenant_key
                  AND s.day = f.day AND s.revision = f.revision AND s.complete
                  JOIN chargeback_dimensions d ON d.dimension_key = f.dimension_key"
            }
            Self::TopicCosts => {
                " FROM topic_attribution_facts f JOIN slices s ON s.projection = 'topic-attributions'
                  AND s.tenant_key = f.tenant_key AND s.day = f.day AND s.revision = f.revision AND s.complete"
            }
        }
    }

    /// `FROM … WHERE …` of the rows of whole slices, or of billing lines as they were known once; `f` are the facts, `d` the
    /// dimensions of chargebacks.
    pub(super) fn push_from(self, query: &mut QueryBuilder<Postgres>, selection: &Selection) {
        self.push_from_with(query, selection, &[]);
    }

    /// The same with what `more` names joined, for what is read of the rows.
    pub(super) fn push_from_with(self, query: &mut QueryBuilder<Postgres>, selection: &Selection, more: &[Field]) {
        let fields = || selection.conditions.iter().map(|condition| &condition.field).chain(more);
        if let (Self::Billing, Some(moment)) = (self, selection.as_of) {
            known::push_lines(query, selection, moment);
            self.push_joined(query, fields());
            query.push(" WHERE true");
        } else {
            query.push(self.visible());
            self.push_joined(query, fields());
            query.push(" WHERE f.tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ");
            query.push_bind(selection.tenant.clone());
            query.push(")");
            // Of slices, too: Postgres does not see that theirs are the same days.
            for day in ["f.day", "s.day"] {
                query.push(format_args!(" AND {day} >= ")).push_bind(selection.from.date());
                query.push(format_args!(" AND {day} < ")).push_bind(selection.to.date());
            }
        }
        for condition in &selection.conditions {
            condition.push(self, query);
        }
    }
}

impl Condition {
    pub(super) fn push(&self, dataset: Dataset, query: &mut QueryBuilder<Postgres>) {
        let column = self.field.sql(dataset);
        let value = || self.values.first().cloned().unwrap_or_default();
        match self.operator {
            Operator::Equal => query.push(format_args!(" AND {column} = ")).push_bind(value()),
            Operator::NotEqual => query.push(format_args!(" AND {column} IS DISTINCT FROM ")).push_bind(value()),
            Operator::In => query.push(format_args!(" AND {column} = ANY(")).push_bind(self.values.clone()).push(")"),
            Operator::Prefix => query.push(format_args!(" AND starts_with({column}, ")).push_bind(value()).push(")"),
            Operator::Contains => {
                query.push(format_args!(" AND strpos(lower({column}), lower(")).push_bind(value()).push(")) > 0")
            }
            Operator::Exists => {
                let missing = if value() == "false" { "" } else { "NOT" };
                query.push(format_args!(" AND {missing} ({column} IS NULL OR {column} = '')"))
            }
        };
    }
}
