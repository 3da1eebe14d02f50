//! The words of the ecosystems' rules, so that a slip of the pen is told before anything starts.
//!
//! The rules themselves are the ecosystems'; a test of `cli::rules` holds the two together.

/// The words of an ecosystem's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vocabulary {
    pub products: &'static [&'static str],
    pub services: &'static [&'static str],
    /// Metrics by principal that rules may split by; empty: any.
    pub metrics: &'static [&'static str],
    /// Has it statements, whose owners have usage of their own?
    pub statements: bool,
    /// Identity types that an even split over the tenant may fall on.
    pub owner_types: &'static [&'static str],
}

/// The words of the rules of Confluent Cloud.
pub const CONFLUENT_WORDS: Vocabulary = Vocabulary {
    products: &[
        "AUDIT_LOG_READ",
        "CLUSTER_LINKING_PER_LINK",
        "CLUSTER_LINKING_READ",
        "CLUSTER_LINKING_WRITE",
        "CONNECT_CAPACITY",
        "CONNECT_NUM_TASKS",
        "CONNECT_THROUGHPUT",
        "CUSTOM_CONNECT_NUM_TASKS",
        "CUSTOM_CONNECT_PLUGIN",
        "CUSTOM_CONNECT_THROUGHPUT",
        "FLINK_NUM_CFU",
        "FLINK_NUM_CFUS",
        "GOVERNANCE_BASE",
        "KAFKA_BASE",
        "KAFKA_NETWORK_READ",
        "KAFKA_NETWORK_WRITE",
        "KAFKA_NUM_CKU",
        "KAFKA_NUM_CKUS",
        "KAFKA_PARTITION",
        "KAFKA_STORAGE",
        "KSQL_NUM_CSU",
        "KSQL_NUM_CSUS",
        "NUM_RULES",
        "SCHEMA_REGISTRY",
        "SUPPORT",
        "TABLEFLOW_DATA_PROCESSED",
        "TABLEFLOW_NUM_TOPICS",
        "TABLEFLOW_STORAGE",
    ],
    services: &["connector", "default", "flink", "kafka", "ksqldb", "org_wide", "schema_registry", "unknown"],
    metrics: &["bytes_in", "bytes_out"],
    statements: true,
    owner_types: &["service_account", "user", "identity_pool", "principal"],
};

/// The words of the rules of a Kafka cluster of one's own.
pub const SELF_MANAGED_WORDS: Vocabulary = Vocabulary {
    products: &["SELF_KAFKA_COMPUTE", "SELF_KAFKA_NETWORK_EGRESS", "SELF_KAFKA_NETWORK_INGRESS", "SELF_KAFKA_STORAGE"],
    services: &["kafka"],
    metrics: &["bytes_in", "bytes_out"],
    statements: false,
    owner_types: &["principal"],
};

/// The words of measured systems: the product types are the operator's own.
pub const GENERIC_WORDS: Vocabulary =
    Vocabulary { products: &[], services: &[], metrics: &[], statements: false, owner_types: &["principal"] };

/// The words of tenants whose days another program writes: any product type, any metric.
pub const EXTERNAL_WORDS: Vocabulary = Vocabulary {
    products: &[],
    services: &[],
    metrics: &[],
    statements: true,
    owner_types: CONFLUENT_WORDS.owner_types,
};
