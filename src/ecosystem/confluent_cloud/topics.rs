//! Which lines of Confluent Cloud are broken down to topics, and by what.

use crate::domain::TopicRules;
use crate::ecosystem::topics::{BOTH, BYTES_IN, BYTES_OUT, Choices, Method, Usual, rules};

const fn usual(product_type: &'static str, method: Method, bytes: &'static [&'static str]) -> Usual {
    Usual { product_type, method, bytes }
}

const USUAL: [Usual; 7] = [
    usual("KAFKA_NETWORK_WRITE", Method::BytesRatio, &[BYTES_IN]),
    usual("KAFKA_NETWORK_READ", Method::BytesRatio, &[BYTES_OUT]),
    usual("KAFKA_NUM_CKU", Method::BytesRatio, BOTH),
    usual("KAFKA_NUM_CKUS", Method::BytesRatio, BOTH),
    usual("KAFKA_STORAGE", Method::RetainedBytesRatio, BOTH),
    usual("KAFKA_PARTITION", Method::EvenSplit, BOTH),
    usual("KAFKA_BASE", Method::EvenSplit, BOTH),
];

/// The rules for the topics of Kafka clusters.
pub fn topic_rules(choices: &Choices) -> TopicRules {
    rules("lkc-", &USUAL, choices)
}

#[cfg(test)]
mod tests {
    use super::super::rules::rule_book;
    use super::super::usage::metric;
    use super::*;
    use crate::domain::attribution::WithoutUsage;

    #[test]
    fn the_book_with_topics_is_sound_and_its_metrics_are_exported() {
        let choices = Choices { methods: Default::default(), excluded: vec![], without_usage: WithoutUsage::Skip };
        let mut book = rule_book("0.7", "0.3");
        let topics = book.topics.insert(topic_rules(&choices));
        assert!(topics.metrics.iter().all(|name| metric(name).is_some()));
        assert_eq!(topics.products.len(), USUAL.len());
        assert_eq!(book.validate(), Ok(()));
    }
}
