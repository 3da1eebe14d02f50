//! Rule books made ready: texts looked up once instead of once a row.
//!
//! In: a rule book's JSON from a seal. Out: tiers with numbered labels. Absent: the day's facts.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::AHashMap;

use super::refusal::Refusal;
use crate::domain::CostType;
use crate::domain::rule::{Product, Resolver, Rule, RuleBook, Split, Tier, Usage};

/// Detail of rows whose line's usage could not be fetched.
const METRICS_FAILED: &str = "metrics_fetch_failed";
/// Detail of usage by an API key that is listed without an owner.
const UNRESOLVED: &str = "unresolved_principal";
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
        let rules: RuleBook = serde_json::from_str(json).map_err(|e| Refusal::UnreadableRules(e.to_string()))?;
        rules.validate()?;
        let book = Arc::new(Book::compile(&rules)?);
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert(digest, Arc::clone(&book));
        Ok(book)
    }
}

/// A rule book made ready.
#[derive(Debug)]
pub struct Book {
    pub labels: Vec<Label>,
    /// Sets of identity types that tiers split evenly over.
    pub type_sets: Vec<Vec<String>>,
    /// Sets of identities that tiers name themselves.
    pub named: Vec<Vec<String>>,
    /// Families of products whose lines on one resource resolve to the same identities.
    pub families: Vec<Family>,
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
    /// Those of [`Book::named`] at this index, and the active ones too if `active`.
    Among {
        active: bool,
        named: usize,
    },
    /// Indexes of the family's metrics.
    Metrics(Vec<usize>),
    Weights,
    Resource,
    Unallocated,
}

impl Book {
    /// The rule for a product type.
    pub fn product(&self, product_type: &str) -> &Compiled {
        self.products.get(product_type).unwrap_or(&self.otherwise)
    }

    fn compile(rules: &RuleBook) -> Result<Self, Refusal> {
        let mut compiler = Compiler::default();
        let products = rules.products.iter().map(|(name, product)| Ok((name.clone(), compiler.product(product)?)));
        let products = products.collect::<Result<_, Refusal>>()?;
        let otherwise = compiler.product(&rules.otherwise)?;
        let Compiler { labels, type_sets, named, families, .. } = compiler;
        Ok(Self { labels, type_sets, named, families, products, otherwise })
    }
}

#[derive(Default)]
struct Compiler {
    labels: Vec<Label>,
    label_of: AHashMap<Label, u16>,
    type_sets: Vec<Vec<String>>,
    named: Vec<Vec<String>>,
    families: Vec<Family>,
}

impl Compiler {
    fn product(&mut self, product: &Product) -> Result<Compiled, Refusal> {
        let family =
            Family { service: product.service.clone(), resolver: product.resolver, metrics: product.metrics.clone() };
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
        Ok(Compiled { family, parts, ratios })
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
            Split::EvenAmong { active, identities } => {
                By::Among { active: *active, named: place(&mut self.named, identities.clone()) }
            }
            Split::ByUsage(Usage::Metrics(metrics)) => {
                let place = |metric: &String| product.metrics.iter().position(|asked| asked == metric);
                By::Metrics(metrics.iter().filter_map(place).collect())
            }
            Split::ByUsage(Usage::Resolved { .. }) => By::Weights,
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
