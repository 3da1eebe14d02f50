//! Rule books made ready: texts looked up once instead of once a row.
//!
//! In: a rule book's JSON from a seal. Out: tiers with numbered labels. Absent: the day's facts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ahash::AHashMap;

use super::refusal::Refusal;
use super::topics::TopicBook;
use crate::domain::CostType;
use crate::domain::inventory::UNALLOCATED;
use crate::domain::rule::identity::{EvenSplit, Matcher};
use crate::domain::rule::{Product, RULES_VERSION, Resolver, Rule, RuleBook, RuleError, Share, Split, Tier, Usage};

/// Detail of rows whose line's usage could not be fetched.
const METRICS_FAILED: &str = "metrics_fetch_failed";
/// Detail of usage by an API key that is listed without an owner.
const UNRESOLVED: &str = "unresolved_principal";
/// Method of rows whose line no rule could be applied to, and why it could not.
const FAILED: &str = "ALLOCATION_FAILED";
const USAGE_OUT_OF_RANGE: &str = "usage_out_of_range";
const NO_TIER: &str = "no_tier_fits";
/// Detail of the part of a line in whose interval the resource did not exist.
const INACTIVE: &str = "resource_inactive";
/// Books kept; rules change seldom.
const KEPT: usize = 64;

/// Parsed rule books by the digest of their JSON.
#[derive(Debug, Default)]
pub struct RuleBooks(AHashMap<[u8; 32], Arc<Book>>);

impl RuleBooks {
    /// The book a JSON text holds.
    ///
    /// # Errors
    /// [`Refusal`] if it cannot be read or is not sound.
    pub fn read(&mut self, json: &str) -> Result<Arc<Book>, Refusal> {
        let digest = *blake3::hash(json.as_bytes()).as_bytes();
        if let Some(book) = self.0.get(&digest) {
            return Ok(Arc::clone(book));
        }
        let rules = parse(json)?;
        rules.validate()?;
        let book = Arc::new(Book::compile(&rules)?);
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert(digest, Arc::clone(&book));
        Ok(book)
    }
}

/// The format first: a later one is to be called by its name, not by the first word in it that is new.
fn parse(json: &str) -> Result<RuleBook, Refusal> {
    #[derive(serde::Deserialize)]
    struct Format {
        version: u32,
    }
    let unreadable = |error: serde_json::Error| Refusal::UnreadableRules(error.to_string());
    let format: Format = serde_json::from_str(json).map_err(unreadable)?;
    if format.version > RULES_VERSION {
        return Err(RuleError::Version(format.version).into());
    }
    serde_json::from_str(json).map_err(unreadable)
}

/// A rule book made ready.
#[derive(Debug)]
pub struct Book {
    pub labels: Vec<Label>,
    /// Sets of identity types that tiers split evenly over.
    pub type_sets: Vec<Vec<String>>,
    /// Families of products whose lines on one resource resolve to the same identities.
    pub families: Vec<Family>,
    /// Who is charged in place of whom is found.
    pub mappings: Vec<Mapping>,
    /// Identities that rules name, `UNALLOCATED` first.
    pub named: Vec<String>,
    /// Labels of rows for what no rule could be applied to, and for the part of a line that the interval rule keeps.
    pub usage_out_of_range: u16,
    pub no_tier: u16,
    pub inactive: u16,
    /// How lines are broken down to topics, if they are.
    pub topics: Option<TopicBook>,
    products: BTreeMap<String, Compiled>,
    otherwise: Compiled,
}

/// Why a row exists, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    pub method: String,
    pub detail: Option<String>,
    pub cost_type: CostType,
}

/// How identities are found, and by which usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    pub service: String,
    pub resolver: Resolver,
    pub metrics: Vec<String>,
    /// Index of [`Book::mappings`].
    pub mapping: Option<usize>,
}

/// Who is charged in place of whom is found.
#[derive(Debug)]
pub struct Mapping {
    pub matcher: Matcher,
    pub even_split: EvenSplit,
}

/// One product type's rule.
#[derive(Debug)]
pub struct Compiled {
    /// Index of [`Book::families`].
    pub family: usize,
    /// One for a plain rule.
    pub parts: Vec<Vec<Step>>,
    /// Ratios of the parts in units of 10⁻¹⁴; they add up to 1.
    pub ratios: Vec<u64>,
    /// Is only the part of the interval allocated in which the resource existed?
    pub by_interval: bool,
}

/// One tier.
#[derive(Debug)]
pub struct Step {
    pub by: By,
    /// Indexes of [`Book::labels`]: ordinarily,
    pub label: u16,
    /// where usage could not be fetched,
    pub label_failed: u16,
    /// and where the weight is inferred, or the principal unresolved.
    pub label_doubtful: u16,
}

/// Over whom, and in which proportion.
#[derive(Debug)]
pub enum By {
    Active,
    /// Index of [`Book::type_sets`].
    Tenant(usize),
    /// Those of [`Book::named`] at these indexes, and the active ones too if `active`.
    Among {
        active: bool,
        named: Vec<usize>,
    },
    /// Indexes of the family's metrics.
    Metrics(Vec<usize>),
    Weights,
    /// Indexes of [`Book::named`] in the order of the names, and their shares in units of 10⁻¹⁴.
    Shares(Vec<usize>, Vec<u64>),
    Owner,
    /// Index of [`Book::named`].
    Named(usize),
    Resource,
    Unallocated,
}

impl Book {
    /// The rule for a product type.
    pub fn product(&self, product_type: &str) -> &Compiled {
        self.products.get(product_type).unwrap_or(&self.otherwise)
    }

    fn compile(rules: &RuleBook) -> Result<Self, Refusal> {
        let mut compiler = Compiler { named: vec![UNALLOCATED.to_owned()], ..Compiler::default() };
        for (key, identities) in &rules.identities {
            let matcher = identities.compile();
            let matcher = matcher.map_err(|fault| RuleError::Identities { key: key.clone(), fault })?;
            compiler.mapping_of.push(key.clone());
            compiler.mappings.push(Mapping { matcher, even_split: identities.even_split });
        }
        // What an operator says of a product type that the book does not know makes it one of its own.
        let own = rules.identities.keys().chain(&rules.interval_rule).chain(rules.products.keys());
        let names: BTreeSet<&String> = own.collect();
        let products = names.into_iter().map(|name| Ok((name.clone(), compiler.product(rules, name)?)));
        let products = products.collect::<Result<_, Refusal>>()?;
        // No product type has an empty name.
        let otherwise = compiler.product(rules, "")?;
        let label = |compiler: &mut Compiler, method: &str, detail: &str| {
            let (method, detail) = (method.to_owned(), Some(detail.to_owned()));
            compiler.label(Label { method, detail, cost_type: CostType::Shared })
        };
        let usage_out_of_range = label(&mut compiler, FAILED, USAGE_OUT_OF_RANGE)?;
        let no_tier = label(&mut compiler, FAILED, NO_TIER)?;
        let inactive = label(&mut compiler, "terminal", INACTIVE)?;
        let Compiler { labels, type_sets, families, mappings, named, .. } = compiler;
        Ok(Self {
            labels,
            type_sets,
            families,
            mappings,
            named,
            usage_out_of_range,
            no_tier,
            inactive,
            topics: rules.topics.as_ref().map(TopicBook::compile),
            products,
            otherwise,
        })
    }
}

#[derive(Default)]
struct Compiler {
    labels: Vec<Label>,
    label_of: AHashMap<Label, u16>,
    type_sets: Vec<Vec<String>>,
    families: Vec<Family>,
    mappings: Vec<Mapping>,
    /// Whose the mappings are.
    mapping_of: Vec<String>,
    named: Vec<String>,
}

impl Compiler {
    fn product(&mut self, rules: &RuleBook, name: &str) -> Result<Compiled, Refusal> {
        let product = rules.product(name);
        let family = Family {
            service: product.service.clone(),
            resolver: product.resolver,
            metrics: product.metrics.clone(),
            mapping: rules.identities_key(name).and_then(|key| self.mapping_of.iter().position(|of| of == key)),
        };
        let family = place(&mut self.families, family);
        let (parts, ratios) = match &product.rule {
            Rule::FirstThatFits(tiers) => (vec![self.tiers(product, tiers)?], vec![1]),
            Rule::Mix(mix) => {
                let parts = mix.iter().map(|part| self.tiers(product, &part.tiers)).collect::<Result<_, _>>()?;
                // Validated: between 0 and 1, so the units fit.
                let ratio = |part: &crate::domain::rule::Part| part.ratio().map(|ratio| ratio.units() as u64);
                let ratios = mix.iter().map(ratio).collect::<Result<_, _>>();
                (parts, ratios.map_err(|fault| Refusal::UnreadableRules(fault.to_string()))?)
            }
        };
        Ok(Compiled { family, parts, ratios, by_interval: rules.by_interval(name) })
    }

    fn tiers(&mut self, product: &Product, tiers: &[Tier]) -> Result<Vec<Step>, Refusal> {
        tiers.iter().map(|tier| self.tier(product, tier)).collect()
    }

    fn tier(&mut self, product: &Product, tier: &Tier) -> Result<Step, Refusal> {
        let detailed = |detail: Option<&str>| Label {
            method: tier.method.clone(),
            detail: detail.map(str::to_owned),
            cost_type: tier.cost_type,
        };
        let doubtful = match &tier.split {
            Split::ByUsage(Usage::Resolved { inferred_detail }) => Some(inferred_detail.as_str()),
            Split::ByUsage(Usage::Metrics(_)) => Some(UNRESOLVED),
            _ => tier.detail.as_deref(),
        };
        let by = match &tier.split {
            Split::EvenActive => By::Active,
            Split::EvenTenant { types } => By::Tenant(place(&mut self.type_sets, types.clone())),
            Split::EvenAmong { active, identities } => By::Among {
                active: *active,
                named: identities.iter().map(|id| place(&mut self.named, id.clone())).collect(),
            },
            Split::ByUsage(Usage::Metrics(metrics)) => {
                let place = |metric: &String| product.metrics.iter().position(|asked| asked == metric);
                By::Metrics(metrics.iter().filter_map(place).collect())
            }
            Split::ByUsage(Usage::Resolved { .. }) => By::Weights,
            Split::ByShares(shares) => self.shares(shares)?,
            Split::ToOwner => By::Owner,
            Split::ToIdentity { id } => By::Named(place(&mut self.named, id.clone())),
            Split::ToResource => By::Resource,
            Split::Unallocated => By::Unallocated,
        };
        Ok(Step {
            by,
            label: self.label(detailed(tier.detail.as_deref()))?,
            label_failed: self.label(detailed(Some(METRICS_FAILED)))?,
            label_doubtful: self.label(detailed(doubtful))?,
        })
    }

    /// In the order of the names, as all targets are.
    fn shares(&mut self, shares: &[Share]) -> Result<By, Refusal> {
        let mut sorted: Vec<&Share> = shares.iter().collect();
        sorted.sort_by(|a, b| a.id.cmp(&b.id));
        let named = sorted.iter().map(|share| place(&mut self.named, share.id.clone())).collect();
        // Validated: between 0 and 1, so the units fit.
        let units =
            sorted.iter().map(|share| share.units().map(|share| share.units() as u64)).collect::<Result<_, _>>();
        Ok(By::Shares(named, units.map_err(|fault| Refusal::UnreadableRules(fault.to_string()))?))
    }

    fn label(&mut self, label: Label) -> Result<u16, Refusal> {
        if let Some(number) = self.label_of.get(&label) {
            return Ok(*number);
        }
        let number = u16::try_from(self.labels.len());
        let number = number.map_err(|_| Refusal::UnreadableRules("more than 65536 labels".into()))?;
        self.labels.push(label.clone());
        self.label_of.insert(label, number);
        Ok(number)
    }
}

/// Where it stands in the list, at the end if it was not in it.
fn place<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}
