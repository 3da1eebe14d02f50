//! Topic rules made ready: numbered labels, places of metrics, patterns read once.

use std::collections::BTreeMap;

use crate::domain::TopicRules;
use crate::domain::attribution::{EVEN_SPLIT, FAILED, WithoutUsage};
use crate::domain::glob::Glob;

/// Topic rules made ready.
#[derive(Debug)]
pub struct TopicBook {
    rules: TopicRules,
    /// What rows are told to be split by.
    pub methods: Vec<String>,
    products: BTreeMap<String, Split>,
    excluded: Vec<Glob>,
}

/// How the lines of one product type are split.
#[derive(Debug)]
pub struct Split {
    /// Index of [`TopicBook::methods`].
    pub method: u16,
    /// Places among the rules' metrics; none: evenly.
    pub metrics: Vec<usize>,
}

/// The method of what could not be measured, in [`TopicBook::methods`].
pub const METHOD_FAILED: u16 = 0;
/// The method of a line that nobody used.
pub const METHOD_EVEN: u16 = 1;

impl TopicBook {
    /// From sound rules.
    pub fn compile(rules: &TopicRules) -> Self {
        let mut methods = vec![FAILED.to_owned(), EVEN_SPLIT.to_owned()];
        let mut products = BTreeMap::new();
        for (product_type, split) in &rules.products {
            let known = methods.iter().position(|method| *method == split.method);
            let method = known.unwrap_or_else(|| {
                methods.push(split.method.clone());
                methods.len() - 1
            });
            // A book has a few dozen product types.
            let method = u16::try_from(method).unwrap_or(METHOD_EVEN);
            let place = |metric: &String| rules.metrics.iter().position(|asked| asked == metric);
            let metrics = split.metrics.iter().filter_map(place).collect();
            products.insert(product_type.clone(), Split { method, metrics });
        }
        let excluded = rules.excluded.iter().map(|pattern| Glob::new(pattern)).collect();
        Self { rules: rules.clone(), methods, products, excluded }
    }

    /// How a line of this kind is split, if it is.
    pub fn split(&self, resource_id: &str, product_type: &str) -> Option<&Split> {
        let split = self.products.get(product_type)?;
        self.rules.is_cluster(resource_id).then_some(split)
    }

    /// Usage by topic, in the order of `Split::metrics`.
    pub fn metrics(&self) -> &[String] {
        &self.rules.metrics
    }

    /// Does a line that nobody used have no rows?
    pub fn skips_unused(&self) -> bool {
        self.rules.without_usage == WithoutUsage::Skip
    }

    /// Does the topic take no part?
    pub fn excludes(&self, name: &str) -> bool {
        name.is_empty() || self.excluded.iter().any(|pattern| pattern.matches(name))
    }
}
