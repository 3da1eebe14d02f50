//! The rules of a tenant, and `tributary rules show`.
//!
//! In: a tenant's configuration. Out: its ecosystem's rule book with the operator's changes. Absent: the changes'
//! form in the file, and what allocation does with them.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result};

use super::measured;
use crate::config::{
    BaseBook, ConfluentCloud, Ecosystem, External, MissingMetrics, SelfManagedKafka, Tenant, TopicAttribution,
    TopicMethod,
};
use crate::domain::RuleBook;
use crate::domain::attribution::WithoutUsage;
use crate::ecosystem::confluent_cloud::{rules, topics};
use crate::ecosystem::topics::{Choices, Method};
use crate::ecosystem::{generic_metrics, self_managed_kafka};

/// The book that a tenant's days are sealed with.
pub fn of(tenant: &Tenant) -> RuleBook {
    match &tenant.ecosystem {
        Ecosystem::ConfluentCloud(cloud) => confluent_cloud(cloud),
        Ecosystem::SelfManagedKafka(cluster) => self_managed(cluster),
        Ecosystem::GenericMetrics(system) => {
            generic_metrics::rules::rule_book(&measured::generic(system)).changed(&system.metered.rules.changes)
        }
        Ecosystem::External(external) => self::external(external),
    }
}

fn confluent_cloud(cloud: &ConfluentCloud) -> RuleBook {
    let topics = choices(&cloud.topic_attribution).map(|choices| topics::topic_rules(&choices));
    let book = rules::rule_book(&cloud.cku_usage_ratio, &cloud.cku_shared_ratio);
    book.changed(&cloud.rules.changes).with_topics(topics)
}

fn self_managed(cluster: &SelfManagedKafka) -> RuleBook {
    let topics = choices(&cluster.topic_attribution);
    let topics = topics.map(|choices| self_managed_kafka::topics::topic_rules(&cluster.cluster_id, &choices));
    let book = self_managed_kafka::rules::rule_book(&measured::self_managed(cluster).people);
    book.changed(&cluster.metered.rules.changes).with_topics(topics)
}

/// What the operator chose for topics; `None`: costs are not broken down to them.
fn choices(chosen: &TopicAttribution) -> Option<Choices> {
    let method = |method: TopicMethod| match method {
        TopicMethod::BytesRatio => Method::BytesRatio,
        TopicMethod::RetainedBytesRatio => Method::RetainedBytesRatio,
        TopicMethod::EvenSplit => Method::EvenSplit,
        TopicMethod::Disabled => Method::Disabled,
    };
    chosen.enabled.then(|| Choices {
        methods: chosen.cost_mapping_overrides.iter().map(|(name, chosen)| (name.clone(), method(*chosen))).collect(),
        excluded: chosen.exclude_topic_patterns.clone(),
        without_usage: match chosen.missing_metrics_behavior {
            MissingMetrics::EvenSplit => WithoutUsage::EvenSplit,
            MissingMetrics::Skip => WithoutUsage::Skip,
        },
    })
}

fn external(external: &External) -> RuleBook {
    let built_in = rules::rule_book("0.7", "0.3");
    let base = match external.starts_from {
        BaseBook::ConfluentCloud => built_in,
        // What is left sends every product type to its resource.
        BaseBook::None => RuleBook { products: BTreeMap::new(), ..built_in },
    };
    base.changed(&external.rules.changes)
}

/// Prints a tenant's rule book as it travels in its seals; with `pretty` for people.
///
/// # Errors
/// If `out` cannot be written.
pub fn show(tenant: &Tenant, pretty: bool, out: &mut impl Write) -> Result<()> {
    let book = of(tenant);
    let json = if pretty { serde_json::to_string_pretty(&book) } else { serde_json::to_string(&book) };
    writeln!(out, "{}", json.context("rules are JSON")?).context("writing the rules")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CONFLUENT_WORDS, SELF_MANAGED_WORDS, Vocabulary, parse};
    use crate::domain::rule::Resolver;

    fn book(settings: &str) -> RuleBook {
        let text = format!("tenants: {{a: {{ecosystem: external, tenant_id: t, plugin_settings: {{{settings}}}}}}}");
        of(&parse(&text, &|_| None).unwrap_or_else(|faults| panic!("{faults}")).config.tenants[0])
    }

    /// The words that a book uses, and those that the configuration knows.
    #[track_caller]
    fn agree(book: &RuleBook, words: Vocabulary) {
        let texts = |found: std::collections::BTreeSet<&str>| found.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let products = book.products.keys().map(String::as_str).collect();
        assert_eq!(texts(products), words.products);
        let all = book.products.values().chain([&book.otherwise]);
        assert_eq!(texts(all.map(|product| product.service.as_str()).collect()), words.services);
        assert_eq!(book.owner_types, words.owner_types);
        let principals = book.products.values().filter(|product| product.resolver == Resolver::KeysAndPrincipals);
        assert_eq!(texts(principals.flat_map(|p| p.metrics.iter().map(String::as_str)).collect()), words.metrics);
    }

    #[test]
    fn the_configuration_knows_the_words_of_the_books() {
        agree(&rules::rule_book("0.7", "0.3"), CONFLUENT_WORDS);
        let text = include_str!("../../examples/self-managed-kafka/tributary.yaml");
        let address = |name: &str| (name == "PROMETHEUS_URL").then(|| "http://127.0.0.1:9090".to_owned());
        let config = parse(text, &address).unwrap_or_else(|faults| panic!("{faults}")).config;
        agree(&of(&config.tenants[0]), SELF_MANAGED_WORDS);
    }

    #[test]
    fn an_external_tenant_has_the_rules_it_writes_and_no_others() {
        let plain = book("");
        assert_eq!((plain.products.len(), plain.version, plain.validate()), (0, 1, Ok(())));
        let own = book("allocator_overrides: {VM: {by_usage: cpu_seconds}, otherwise: {to: platform}}");
        assert_eq!((own.products["VM"].metrics.as_slice(), own.validate()), (&["cpu_seconds".to_owned()][..], Ok(())));
        assert_eq!(book("rules_of: confluent_cloud").products.len(), 28);
    }
}
