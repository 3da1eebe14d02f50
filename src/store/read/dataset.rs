//! What can be asked of each kind of rows: the fields, and conditions over them.
//!
//! A field is one of a fixed list, so nothing a caller writes becomes SQL; values are always bound.

use sqlx::{Postgres, QueryBuilder};

use super::Selection;

/// A kind of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dataset {
    Billing,
    Chargebacks,
    TopicCosts,
}

/// One column that rows can be chosen and grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Field {
    /// As callers write it.
    pub name: &'static str,
    /// As SQL reads it.
    pub(super) column: &'static str,
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
    ($($name:literal => $column:literal),* $(,)?) => { &[$(Field { name: $name, column: $column }),*] };
}

const BILLING: &[Field] = fields! {
    "ecosystem" => "f.ecosystem",
    "env_id" => "f.env_id",
    "resource_id" => "f.resource_id",
    "product_category" => "f.product_category",
    "product_type" => "f.product_type",
    "currency" => "f.currency",
    "granularity" => "f.granularity",
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

    /// What its rows can be chosen and grouped by.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Billing => BILLING,
            Self::Chargebacks => CHARGEBACKS,
            Self::TopicCosts => TOPIC_COSTS,
        }
    }

    /// The field of that name.
    pub fn field(self, name: &str) -> Option<Field> {
        self.fields().iter().find(|field| field.name == name).copied()
    }

    /// The projection that writes it.
    pub fn projection(self) -> super::super::Projection {
        match self {
            Self::Billing => super::super::Projection::Billing,
            Self::Chargebacks => super::super::Projection::Chargebacks,
            Self::TopicCosts => super::super::Projection::TopicAttributions,
        }
    }

    /// `FROM … WHERE …` of the rows of whole slices; `f` are the facts, `d` the dimensions of chargebacks.
    pub(super) fn push_from(self, query: &mut QueryBuilder<Postgres>, selection: &Selection) {
        query.push(match self {
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
        });
        query.push(" WHERE f.tenant_key = (SELECT tenant_key FROM tenants WHERE tenant_id = ");
        query.push_bind(selection.tenant.clone());
        query.push(") AND f.day >= ").push_bind(selection.from.date());
        query.push(" AND f.day < ").push_bind(selection.to.date());
        for condition in &selection.conditions {
            condition.push(query);
        }
    }
}

impl Condition {
    fn push(&self, query: &mut QueryBuilder<Postgres>) {
        let column = self.field.column;
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
