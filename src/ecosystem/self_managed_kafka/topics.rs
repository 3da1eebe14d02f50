//! Which lines of a cluster of one's own are broken down to topics, and by what.

use super::rules::{COMPUTE, EGRESS, INGRESS, STORAGE};
use crate::domain::TopicRules;
use crate::ecosystem::topics::{BOTH, BYTES_IN, BYTES_OUT, Choices, Method, Usual, rules};

const USUAL: [Usual; 4] = [
    Usual { product_type: COMPUTE, method: Method::BytesRatio, bytes: BOTH },
    Usual { product_type: STORAGE, method: Method::RetainedBytesRatio, bytes: BOTH },
    Usual { product_type: INGRESS, method: Method::BytesRatio, bytes: &[BYTES_IN] },
    Usual { product_type: EGRESS, method: Method::BytesRatio, bytes: &[BYTES_OUT] },
];

/// The rules for the topics of the cluster.
pub fn topic_rules(cluster_id: &str, choices: &Choices) -> TopicRules {
    rules(cluster_id, &USUAL, choices)
}
