//! How a product type is split, as an operator writes it: `even`, `{by_usage: bytes_in}`, `{shares: {a: 0.5, …}}`.
//!
//! In: a word, or a section with one way to split. Out: an [`Override`] that is sound. Absent: what `detail` codes
//! mean, and whether the product type exists.

use serde_json::{Value as Json, json};

use super::super::super::kind::{Kind, List, Names, wrong_shape};
use super::super::super::scalar::{AsText, Choice, quoted};
use super::super::super::section::{Section, Value, describe};
use super::super::super::suggest;
use super::super::super::text::{Name, Text};
use super::super::super::yaml::Content;
use super::Vocabulary;
use super::words::{Few, OneOrMore, WAYS, WORDS, Word, word};
use crate::domain::CostType;
use crate::domain::rule::change::{Override, complete};
use crate::domain::rule::{Part, Resolver, Rule, RuleFault, Share, Split, Tier, Usage};

/// `allocator_overrides`: product type to its split.
pub(super) fn overrides(words: Vocabulary) -> Names<Form> {
    Names(Form { words, level: Level::Whole })
}

/// A split: one word, or a section with one way to split.
pub(super) struct Form {
    words: Vocabulary,
    level: Level,
}

/// Where a split stands decides what may stand beside it.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    /// Behind a product type.
    Whole,
    /// One of the parts of a mix.
    Part,
    /// One of several that are tried in turn.
    Tier,
}

/// A split that could be read.
pub(super) struct Read {
    pub tiers: Vec<Tier>,
    parts: Vec<Part>,
    /// Of a part.
    ratio: String,
    resolver: Option<Resolver>,
}

const RESOLVERS: Choice<Resolver> = Choice(&[
    ("keys_and_principals", Resolver::KeysAndPrincipals),
    ("connector_credentials", Resolver::ConnectorCredentials),
    ("resource_owner", Resolver::ResourceOwner),
    ("statement_owners", Resolver::StatementOwners),
    ("none", Resolver::None),
]);
const COST_TYPES: Choice<CostType> = Choice(&[("usage", CostType::Usage), ("shared", CostType::Shared)]);
/// What `by_usage` is given for the usage of statements, which their owners pay for.
const STATEMENTS: &str = "statements";

impl Read {
    /// As the rule of a product type.
    pub fn into_override(self) -> Override {
        let rule = match self.parts.is_empty() {
            true => Rule::FirstThatFits(complete(self.tiers)),
            false => Rule::Mix(self.parts),
        };
        Override { rule, resolver: self.resolver }
    }
}

impl Kind for Form {
    /// `None` after a fault, so that its neighbours are read too.
    type Out = Option<Read>;

    fn schema(&self) -> Json {
        json!({"anyOf": [{"enum": WORDS}, describe(|s| self.keys(s)).1]})
    }

    fn read(&self, value: &Value<'_>) -> Option<Self::Out> {
        Some(match &value.node.content {
            Content::Map(entries) => {
                let mut section = value.section(entries);
                let keys = self.keys(&mut section);
                let given: Vec<&str> = WAYS.into_iter().filter(|way| section.has(way)).collect();
                section.finish();
                // A faulty key is told already.
                if value.reader.faulty(&value.path) { None } else { self.one(value, keys, &given) }
            }
            Content::List(_) => {
                wrong_shape(value, "a split");
                None
            }
            Content::Scalar { .. } => word(value).map(|split| single(split.tier())),
        })
    }

    fn placeholder(&self) -> Self::Out {
        None
    }
}

/// Everything a section may say.
struct Keys {
    even: Option<Few>,
    by_usage: Option<Vec<String>>,
    shares: Option<Vec<(String, String)>>,
    to: Option<String>,
    split: Option<Split>,
    first_that_fits: Option<Vec<Option<Read>>>,
    mix: Option<Vec<Option<Read>>>,
    detail: Option<String>,
    cost_type: Option<CostType>,
    resolver: Option<Resolver>,
    ratio: Option<String>,
}

fn single(tier: Tier) -> Read {
    Read { tiers: vec![tier], parts: vec![], ratio: String::new(), resolver: None }
}

impl Form {
    fn keys(&self, s: &mut Section<'_>) -> Keys {
        let form = |level| List(Self { words: self.words, level });
        let several = self.level != Level::Tier;
        Keys {
            even: s
                .optional(
                    "even",
                    OneOrMore,
                    "`found`: who is found for the resource; `tenant`, or types of identities: all of the day",
                )
                .map(Few),
            by_usage: s.optional(
                "by_usage",
                OneOrMore,
                "a metric or several, by principal; `statements`: compute units of statements by their owners",
            ),
            shares: s.optional("shares", Names(AsText), "identity to its share; decimals that add up to 1"),
            to: s.optional("to", Name, "the whole amount to this identity"),
            split: s.optional("split", Word, "the same words that may stand alone, where labels are wanted too"),
            first_that_fits: several
                .then(|| {
                    s.optional(
                        "first_that_fits",
                        form(Level::Tier),
                        "splits in turn; the first that finds somebody takes it all",
                    )
                })
                .flatten(),
            mix: (self.level == Level::Whole)
                .then(|| {
                    s.optional("mix", form(Level::Part), "parts of the amount, each with a `ratio` and its own split")
                })
                .flatten(),
            detail: s.optional("detail", Text, "detail of its rows, a reason code of your own"),
            cost_type: s.optional("cost_type", COST_TYPES, "cost type of its rows"),
            resolver: (self.level == Level::Whole)
                .then(|| s.optional("identities", RESOLVERS, "how identities behind the resource are found"))
                .flatten(),
            ratio: (self.level == Level::Part).then(|| s.required("ratio", AsText, "part of the amount, a decimal")),
        }
    }

    /// The one way to split that a section names.
    fn one(&self, value: &Value<'_>, keys: Keys, given: &[&str]) -> Option<Read> {
        let [_] = given else {
            let ways: Vec<&str> = WAYS.into_iter().filter(|way| *way != "mix" || self.level == Level::Whole).collect();
            let problem = match given {
                [] => "does not say how to split".to_owned(),
                several => format!("says several ways to split at once: {}", suggest::list(several)),
            };
            value.fault(problem, format!("write one of {}", suggest::list(&ways)));
            return None;
        };
        let Keys { detail, cost_type, resolver, ratio, .. } = &keys;
        let (detail, cost_type, resolver, ratio) = (detail.clone(), *cost_type, *resolver, ratio.clone());
        let labelled = detail.is_some() || cost_type.is_some();
        let mut read = self.way(value, keys)?;
        match read.tiers.as_mut_slice() {
            [tier] => {
                tier.detail = detail.filter(|detail| !detail.is_empty()).or(tier.detail.take());
                tier.cost_type = cost_type.unwrap_or(tier.cost_type);
            }
            _ if labelled => {
                value.fault("has one label for several splits", "write `detail` and `cost_type` inside each of them");
                return None;
            }
            _ => {}
        }
        (read.resolver, read.ratio) = (resolver, ratio.unwrap_or_default());
        self.fits(value, &read).then_some(read)
    }

    fn way(&self, value: &Value<'_>, keys: Keys) -> Option<Read> {
        let told = |split: Option<Split>| split.map(|split| single(split.tier()));
        match keys {
            Keys { even: Some(few), .. } => told(self.even(value, few)),
            Keys { by_usage: Some(metrics), .. } => told(self.by_usage(value, metrics)),
            Keys { shares: Some(shares), .. } => told(self.shares(value, shares)),
            Keys { to: Some(id), .. } => told(Some(Split::ToIdentity { id })),
            Keys { split: Some(split), .. } => told(Some(split)),
            Keys { first_that_fits: Some(tiers), .. } => {
                let tiers: Option<Vec<Read>> = tiers.into_iter().collect();
                let tiers: Vec<Tier> = tiers?.into_iter().flat_map(|read| read.tiers).collect();
                if tiers.is_empty() {
                    value.fault("has nothing to try", "write at least one split in `first_that_fits`");
                    return None;
                }
                Some(Read { tiers, ..single(Split::Unallocated.tier()) })
            }
            Keys { mix: Some(parts), .. } => self.mix(value, parts.into_iter().collect::<Option<Vec<Read>>>()?),
            _ => None,
        }
    }

    fn even(&self, value: &Value<'_>, Few(few): Few) -> Option<Split> {
        let types = || self.words.owner_types.iter().map(|of| (*of).to_owned()).collect();
        match few.as_slice() {
            [word] if word == "found" => Some(Split::EvenActive),
            [word] if word == "tenant" => Some(Split::EvenTenant { types: types() }),
            few => match few.iter().find(|of| !self.words.owner_types.contains(&of.as_str())) {
                None => Some(Split::EvenTenant { types: few.to_vec() }),
                Some(stranger) => {
                    let remedy =
                        format!("use `found`, `tenant`, or types among {}", suggest::list(self.words.owner_types));
                    value
                        .fault(format!("{} is no type of identity that costs are booked to", quoted(stranger)), remedy);
                    None
                }
            },
        }
    }

    fn by_usage(&self, value: &Value<'_>, metrics: Vec<String>) -> Option<Split> {
        if self.words.statements && metrics == [STATEMENTS] {
            return Some(Split::ByUsage(Usage::Resolved { inferred_detail: "inferred_usage_ratio".to_owned() }));
        }
        let mut known = self.words.metrics.to_vec();
        let stranger = metrics.iter().find(|metric| !known.is_empty() && !known.contains(&metric.as_str()));
        if let Some(stranger) = stranger {
            known.extend(self.words.statements.then_some(STATEMENTS));
            let near = suggest::nearest(stranger, &known).map(|near| format!("did you mean `{near}`?"));
            let remedy = near.unwrap_or_else(|| format!("use one of {}", suggest::list(&known)));
            value.fault(format!("{} is no usage that can be asked for", quoted(stranger)), remedy);
            return None;
        }
        Some(Split::ByUsage(Usage::Metrics(metrics)))
    }

    fn shares(&self, value: &Value<'_>, shares: Vec<(String, String)>) -> Option<Split> {
        let shares = shares.into_iter().map(|(id, share)| Share { id, share }).collect();
        self.sound(value, Split::ByShares(shares), "write decimals such as `{team-a: 0.6, team-b: 0.4}`")
    }

    fn mix(&self, value: &Value<'_>, parts: Vec<Read>) -> Option<Read> {
        let part = |read: Read| Part { ratio: read.ratio, tiers: complete(read.tiers) };
        let parts: Vec<Part> = parts.into_iter().map(part).collect();
        let faulty = parts.iter().find_map(|part| part.ratio().err());
        let sum = || parts.iter().filter_map(|part| part.ratio().ok()).sum();
        let fault =
            faulty.or_else(|| Some(RuleFault::RatioSum(sum())).filter(|_| sum() != crate::domain::Amount::whole(1)));
        if let Some(fault) = fault {
            value.fault(fault.to_string(), "write ratios such as 0.7 and 0.3");
            return None;
        }
        Some(Read { tiers: vec![], parts, ratio: String::new(), resolver: None })
    }

    fn sound(&self, value: &Value<'_>, split: Split, remedy: &str) -> Option<Split> {
        match split.check_shares() {
            Ok(()) => Some(split),
            Err(fault) => {
                value.fault(fault.to_string(), remedy);
                None
            }
        }
    }

    /// Does the way identities are found go with what is split by?
    fn fits(&self, value: &Value<'_>, read: &Read) -> bool {
        let change = Override {
            rule: match read.parts.is_empty() {
                true => Rule::FirstThatFits(read.tiers.clone()),
                false => Rule::Mix(read.parts.clone()),
            },
            resolver: read.resolver,
        };
        let Some((given, needed)) = read.resolver.zip(change.demands()) else { return true };
        if given != needed {
            let name = |of: Resolver| RESOLVERS.0.iter().find(|(_, known)| *known == of).map_or("", |(name, _)| name);
            let problem = format!("splits by usage that `identities: {}` does not yield", name(given));
            value.fault(problem, format!("write `identities: {}`, or leave it out", name(needed)));
        }
        given == needed
    }
}
