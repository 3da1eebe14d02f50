//! Why a chargeback row is what it is: which rule, which inputs, which share, what rounding did.
//!
//! In: a row, all rows of its line, the line's amount, the rules of its day. Out: [`Explanation`], with one sentence for
//! people. Pure; where rows, line and rules come from is the reader's business.

mod words;

use super::inventory::UNALLOCATED;
use super::rule::{Resolver, Rule, RuleBook, Split, Tier, Usage};
use super::{Amount, Day};

/// One row of a line, as far as explaining needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub identity_id: String,
    /// What people call the identity, if it is known.
    pub identity_name: Option<String>,
    pub cost_type: String,
    pub allocation_method: String,
    pub allocation_detail: Option<String>,
    pub tier: u32,
    pub amount: Amount,
    /// Of what was split in the same way, 0 to 1.
    pub share: f64,
    pub usage: Option<f64>,
}

/// The line that was split.
#[derive(Debug, Clone, PartialEq)]
pub struct Billed {
    pub day: Day,
    pub resource_id: String,
    /// What people call the resource, if it is known.
    pub resource_name: Option<String>,
    pub product_type: String,
    pub amount: Amount,
    pub currency: String,
}

/// Why a row is what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// All of it in words.
    pub sentence: String,
    /// `None` where no tier of a rule made the row, or the rules are not at hand.
    pub rule: Option<Applied>,
    /// What was split in the same way as this row's amount, of the line.
    pub split_amount: Amount,
    /// How many share it, also those whose part is too small for a unit.
    pub targets: usize,
    /// This row's share of it, 0 to 1.
    pub share: f64,
    pub inputs: Option<Inputs>,
    pub rounded: Rounded,
}

/// The rule that was applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// Is there a rule for just this product type? If not, it is the one for all others.
    pub own_rule: bool,
    /// Which part of the line it splits, a decimal from 0 to 1; `None` where several parts ended alike.
    pub ratio: Option<String>,
    /// Place of the tier that fits among those of the rule, from 0.
    pub tier: u32,
    /// The tiers before it, which found nobody.
    pub passed_over: Vec<String>,
    /// How it splits.
    pub split: String,
}

/// The usage that a share rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// The metrics that are added up; empty for weights that the resolver worked out.
    pub metrics: Vec<String>,
    pub usage: f64,
    /// Of everybody who shares.
    pub total: f64,
}

/// What making whole units of shares did to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounded {
    Up,
    Down,
    NotAtAll,
}

/// What made a row.
enum Cause<'r> {
    /// A tier of the product's rule.
    Tier(Found<'r>),
    /// The interval rule: for this part of its interval the resource did not exist.
    Absence,
    /// No tier could be applied to the line.
    Failure,
    /// The rules of the row's revision are not at hand.
    Unknown,
}

/// A tier with what stands around it.
struct Found<'r> {
    own_rule: bool,
    service: &'r str,
    resolver: Resolver,
    ratio: Option<&'r str>,
    before: &'r [Tier],
    tier: &'r Tier,
    stand_in: StandIn<'r>,
}

/// Who is charged in place of whom is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StandIn<'r> {
    Nobody,
    /// Whom the identity rules of this key give the billed resource to.
    Owner(&'r str),
    /// Whom the identity rules of this key make of those who are found.
    Others(&'r str),
}

/// Explains `of`, one of the line's `parts`. `rules`: those of the row's revision, if they are at hand.
pub fn explain(billed: &Billed, parts: &[Part], of: &Part, rules: Option<&RuleBook>) -> Explanation {
    let alike: Vec<&Part> = parts.iter().filter(|part| is_alike(part, of)).collect();
    let split_amount = alike.iter().fold(Amount::ZERO, |sum, part| sum + part.amount);
    let mut cause = cause(billed, of, rules);
    if let Cause::Tier(found) = &mut cause {
        // Parts that ended alike are one row.
        found.ratio = found.ratio.filter(|ratio| is_part(ratio, billed.amount, split_amount));
    }
    let (rule, metrics) = match &cause {
        Cause::Tier(found) => (Some(applied(found, of.tier)), metrics(&found.tier.split)),
        _ => (None, Vec::new()),
    };
    let inputs = of.usage.map(|usage| Inputs { metrics, usage, total: total(&alike, usage, of.share) });
    let mut told = Explanation {
        sentence: String::new(),
        rule,
        split_amount,
        targets: targets(&alike, of),
        share: of.share,
        inputs,
        rounded: rounded(of, split_amount),
    };
    told.sentence = words::sentence(billed, of, &told, &cause);
    told
}

/// The usage of everybody who shares.
fn total(alike: &[&Part], usage: f64, share: f64) -> f64 {
    /// What sums of shares are off by because they are floats.
    const NOISE: f64 = 1e-6;
    let all: f64 = alike.iter().map(|part| part.share).sum();
    // Whose part was too small for a unit has no row.
    let is_whole = (1.0 - all).abs() <= NOISE || share <= 0.0;
    if is_whole { alike.iter().filter_map(|part| part.usage).sum() } else { usage / share }
}

fn targets(alike: &[&Part], of: &Part) -> usize {
    let is_even = of.usage.is_none() && of.share > 0.0 && alike.iter().all(|part| part.share == of.share);
    if is_even { alike.len().max((1.0 / of.share).round() as usize) } else { alike.len() }
}

/// Is it this part of the whole, but for the rounding of parts?
fn is_part(ratio: &str, whole: Amount, part: Amount) -> bool {
    /// Amounts are split in units of 0.0001, or finer.
    const UNIT: i128 = 10_i128.pow(10);
    let exact = Amount::parse(ratio).ok().and_then(|ratio| whole.times(ratio));
    exact.is_some_and(|exact| (exact - part).units().abs() <= UNIT)
}

/// Rows of one tier of one part of the rule: a usage tier has details of its own for those it could not resolve.
fn is_alike(part: &Part, of: &Part) -> bool {
    let labels = |part: &Part| (part.tier, part.allocation_method.clone(), part.cost_type.clone());
    labels(part) == labels(of) && (of.usage.is_some() || part.allocation_detail == of.allocation_detail)
}

fn cause<'r>(billed: &Billed, of: &Part, rules: Option<&'r RuleBook>) -> Cause<'r> {
    let detail = of.allocation_detail.as_deref();
    if of.identity_id == UNALLOCATED && detail == Some("resource_inactive") {
        return Cause::Absence;
    }
    if of.allocation_method == "ALLOCATION_FAILED" {
        return Cause::Failure;
    }
    rules.and_then(|rules| found(rules, billed, of)).map_or(Cause::Unknown, Cause::Tier)
}

/// The tier that made the row. Of a mix it is the part whose tier of that place has the row's labels.
fn found<'r>(rules: &'r RuleBook, billed: &Billed, of: &Part) -> Option<Found<'r>> {
    let own_rule = rules.products.contains_key(&billed.product_type);
    let at = of.tier as usize;
    let fits = |tiers: &[Tier]| {
        let tier = tiers.get(at);
        tier.is_some_and(|tier| tier.method == of.allocation_method && tier.cost_type.as_str() == of.cost_type)
    };
    let product = rules.product(&billed.product_type);
    let (ratio, tiers) = match &product.rule {
        Rule::FirstThatFits(tiers) if fits(tiers) => (Some("1"), tiers),
        Rule::FirstThatFits(_) => return None,
        Rule::Mix(parts) => {
            let fitting: Vec<_> = parts.iter().filter(|part| fits(&part.tiers)).collect();
            // The detail tells parts apart, unless it says that something went wrong.
            let same = |part: &&&super::rule::Part| part.tiers[at].detail == of.allocation_detail;
            let part = fitting.iter().find(same).or(fitting.first())?;
            let only = fitting.len() == 1 || fitting.iter().filter(same).count() == 1;
            (only.then_some(part.ratio.as_str()), &part.tiers)
        }
    };
    let tier = &tiers[at];
    let stand_in = stand_in(rules, billed, of, &tier.split);
    let (service, resolver) = (product.service.as_str(), product.resolver);
    Some(Found { own_rule, service, resolver, ratio, before: &tiers[..at], tier, stand_in })
}

/// What identity rules did to a row of such a split.
fn stand_in<'r>(rules: &'r RuleBook, billed: &Billed, of: &Part, split: &Split) -> StandIn<'r> {
    let Some(key) = rules.identities_key(&billed.product_type) else { return StandIn::Nobody };
    let of_key = &rules.identities[key];
    // A book with a pattern that is none would have refused the day.
    let owner = of_key.compile().ok().and_then(|matcher| matcher.resource(&billed.resource_id));
    match split {
        Split::EvenActive | Split::EvenAmong { active: true, .. } | Split::ToOwner | Split::ToResource
            if owner.as_ref() == Some(&of.identity_id) =>
        {
            StandIn::Owner(key)
        }
        Split::EvenActive | Split::EvenTenant { .. } | Split::EvenAmong { active: true, .. } | Split::ByUsage(_)
            if !of_key.principals.is_empty() || of_key.otherwise.is_some() =>
        {
            StandIn::Others(key)
        }
        _ => StandIn::Nobody,
    }
}

fn applied(found: &Found<'_>, tier: u32) -> Applied {
    Applied {
        own_rule: found.own_rule,
        ratio: found.ratio.map(str::to_owned),
        tier,
        passed_over: found.before.iter().map(|tier| words::said(&tier.split, found.resolver)).collect(),
        split: words::said(&found.tier.split, found.resolver),
    }
}

fn metrics(split: &Split) -> Vec<String> {
    if let Split::ByUsage(Usage::Metrics(metrics)) = split { metrics.clone() } else { Vec::new() }
}

fn rounded(of: &Part, split_amount: Amount) -> Rounded {
    // A share is a float: what differs by less than it can say is no rounding.
    const NOTHING: f64 = 1e-9;
    let unit = Amount::whole(1).units() as f64;
    let exact = split_amount.units() as f64 / unit * of.share;
    let off = of.amount.units() as f64 / unit - exact;
    match off {
        off if off > NOTHING * exact.abs().max(1.0) => Rounded::Up,
        off if off < -NOTHING * exact.abs().max(1.0) => Rounded::Down,
        _ => Rounded::NotAtAll,
    }
}

impl Found<'_> {
    /// Was usage wanted, by this tier or one that was passed over?
    fn asks_usage(&self) -> bool {
        self.before.iter().chain([self.tier]).any(|tier| matches!(tier.split, Split::ByUsage(_)))
    }
}

impl Rounded {
    /// `up`, `down` or `not_at_all`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::NotAtAll => "not_at_all",
        }
    }
}

#[cfg(test)]
mod tests;
