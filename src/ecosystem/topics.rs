//! The rules by which an ecosystem's Kafka lines are broken down to topics.
//!
//! In: the ecosystem's product types with their usual methods, what an operator chose. Out: [`TopicRules`], which
//! travel in every seal. Absent: the algorithm (`allocate::topics`), how usage by topic is asked for.

use std::collections::BTreeMap;

use crate::domain::TopicRules;
use crate::domain::attribution::{EVEN_SPLIT, TopicSplit, WithoutUsage};

/// Names by which the rules ask for usage by topic: bytes written and read over the day, the most bytes kept.
pub const BYTES_IN: &str = "topic_bytes_in";
pub const BYTES_OUT: &str = "topic_bytes_out";
pub const RETAINED: &str = "topic_retained_bytes";

/// How a line is split over the topics of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By the bytes the product type is charged for; where it is charged for none, by written and read bytes.
    BytesRatio,
    RetainedBytesRatio,
    EvenSplit,
    /// The product type takes no part.
    Disabled,
}

/// A product type with its usual method.
#[derive(Debug, Clone, Copy)]
pub struct Usual {
    pub product_type: &'static str,
    pub method: Method,
    /// What [`Method::BytesRatio`] means for it.
    pub bytes: &'static [&'static str],
}

/// Written and read bytes.
pub const BOTH: &[&str] = &[BYTES_IN, BYTES_OUT];

/// What an operator chose.
#[derive(Debug, Clone)]
pub struct Choices {
    /// By product type, also of types that usually take no part.
    pub methods: BTreeMap<String, Method>,
    /// Patterns of topics' names that take no part.
    pub excluded: Vec<String>,
    pub without_usage: WithoutUsage,
}

/// The usual methods with the operator's choices put over them.
pub fn rules(cluster_prefix: &str, usual: &[Usual], choices: &Choices) -> TopicRules {
    let mut methods: BTreeMap<&str, Method> = usual.iter().map(|usual| (usual.product_type, usual.method)).collect();
    methods.extend(choices.methods.iter().map(|(product_type, method)| (product_type.as_str(), *method)));
    let bytes = |product_type: &str| {
        usual.iter().find(|usual| usual.product_type == product_type).map_or(BOTH, |usual| usual.bytes)
    };
    let products = methods
        .into_iter()
        .filter_map(|(product_type, method)| Some((product_type.to_owned(), split(method, bytes(product_type))?)));
    TopicRules {
        cluster_prefix: cluster_prefix.to_owned(),
        // All of them whatever is split by: together they say which topics there were.
        metrics: [BYTES_IN, BYTES_OUT, RETAINED].map(str::to_owned).to_vec(),
        products: products.collect(),
        excluded: choices.excluded.clone(),
        without_usage: choices.without_usage,
    }
}

fn split(method: Method, bytes: &[&str]) -> Option<TopicSplit> {
    let (method, metrics) = match method {
        Method::BytesRatio => ("bytes_ratio", bytes),
        Method::RetainedBytesRatio => ("retained_bytes_ratio", &[RETAINED][..]),
        Method::EvenSplit => (EVEN_SPLIT, &[][..]),
        Method::Disabled => return None,
    };
    Some(TopicSplit { method: method.to_owned(), metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: [Usual; 3] = [
        Usual { product_type: "WRITE", method: Method::BytesRatio, bytes: &[BYTES_IN] },
        Usual { product_type: "STORAGE", method: Method::RetainedBytesRatio, bytes: BOTH },
        Usual { product_type: "BASE", method: Method::EvenSplit, bytes: BOTH },
    ];

    fn split_by(chosen: &[(&str, Method)], product_type: &str) -> Option<(String, Vec<String>)> {
        let methods = chosen.iter().map(|(name, method)| ((*name).to_owned(), *method)).collect();
        let choices = Choices { methods, excluded: vec![], without_usage: WithoutUsage::EvenSplit };
        let split = rules("lkc-", &USUAL, &choices).products.remove(product_type)?;
        Some((split.method, split.metrics))
    }

    fn expected(method: &str, metrics: &[&str]) -> Option<(String, Vec<String>)> {
        Some((method.to_owned(), metrics.iter().map(|metric| (*metric).to_owned()).collect()))
    }

    #[test]
    fn every_override_works_for_every_type() {
        assert_eq!(split_by(&[], "WRITE"), expected("bytes_ratio", &[BYTES_IN]));
        assert_eq!(split_by(&[], "BASE"), expected("even_split", &[]));
        for base in ["BASE", "STORAGE", "NEW"] {
            assert_eq!(split_by(&[(base, Method::BytesRatio)], base), expected("bytes_ratio", BOTH));
        }
        assert_eq!(split_by(&[("WRITE", Method::BytesRatio)], "WRITE"), expected("bytes_ratio", &[BYTES_IN]));
        let retained = expected("retained_bytes_ratio", &[RETAINED]);
        assert_eq!(split_by(&[("NEW", Method::RetainedBytesRatio)], "NEW"), retained);
        assert_eq!(split_by(&[("WRITE", Method::Disabled)], "WRITE"), None);
        assert_eq!(split_by(&[], "NEW"), None);
    }
}
