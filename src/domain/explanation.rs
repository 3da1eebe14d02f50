//! Why a chargeback row is what it is: which rule, which inputs, which share, what rounding did.
//!
//! In: a row, all rows of its line, the line's amount, the rules of its day. Out: [`Explanation`], with one sentence for
//! people. Pure; where rows, line and rules come from is the reader's business.

use super::rule::{Rule, RuleBook, Split, Tier, Usage};
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
    pub rule: Option<Applied>,
    /// What was split in the same way as this row's amount, of the line.
    pub split_amount: Amount,
    /// How many share it.
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

/// Explains `of`, one of the line's `parts`. `rules`: those of the row's revision, if they are at hand.
pub fn explain(billed: &Billed, parts: &[Part], of: &Part, rules: Option<&RuleBook>) -> Explanation {
    let alike: Vec<&Part> = parts.iter().filter(|part| is_alike(part, of)).collect();
    let split_amount = alike.iter().fold(Amount::ZERO, |sum, part| sum + part.amount);
    let total: f64 = alike.iter().filter_map(|part| part.usage).sum();
    let mut found = rules.and_then(|rules| tiers(rules, &billed.product_type, of));
    if let Some(found) = &mut found {
        // Parts that ended alike are one row.
        found.ratio = found.ratio.filter(|ratio| is_part(ratio, billed.amount, split_amount));
    }
    let metrics = found.as_ref().map(|found| metrics(&found.tier.split)).unwrap_or_default();
    let inputs = of.usage.map(|usage| Inputs { metrics, usage, total });
    let rule = found.as_ref().map(|found| applied(found, of.tier));
    let mut told = Explanation {
        sentence: String::new(),
        rule,
        split_amount,
        targets: alike.len(),
        share: of.share,
        inputs,
        rounded: rounded(of, split_amount),
    };
    told.sentence = sentence(billed, of, &told, found.as_ref());
    told
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

/// A tier with what stands around it.
struct Found<'r> {
    own_rule: bool,
    ratio: Option<&'r str>,
    before: &'r [Tier],
    tier: &'r Tier,
}

/// The tier that made the row. Of a mix it is the part whose tier of that place has the row's labels.
fn tiers<'r>(rules: &'r RuleBook, product_type: &str, of: &Part) -> Option<Found<'r>> {
    let own_rule = rules.products.contains_key(product_type);
    let at = of.tier as usize;
    let fits = |tiers: &[Tier]| {
        let tier = tiers.get(at);
        tier.is_some_and(|tier| tier.method == of.allocation_method && tier.cost_type.as_str() == of.cost_type)
    };
    match &rules.product(product_type).rule {
        Rule::FirstThatFits(tiers) if fits(tiers) => {
            Some(Found { own_rule, ratio: Some("1"), before: &tiers[..at], tier: &tiers[at] })
        }
        Rule::FirstThatFits(_) => None,
        Rule::Mix(parts) => {
            let fitting: Vec<_> = parts.iter().filter(|part| fits(&part.tiers)).collect();
            // The detail tells parts apart, unless it says that something went wrong.
            let same = |part: &&&super::rule::Part| part.tiers[at].detail == of.allocation_detail;
            let part = fitting.iter().find(same).or(fitting.first())?;
            let only = fitting.len() == 1 || fitting.iter().filter(same).count() == 1;
            let ratio = only.then_some(part.ratio.as_str());
            Some(Found { own_rule, ratio, before: &part.tiers[..at], tier: &part.tiers[at] })
        }
    }
}

fn applied(found: &Found<'_>, tier: u32) -> Applied {
    Applied {
        own_rule: found.own_rule,
        ratio: found.ratio.map(str::to_owned),
        tier,
        passed_over: found.before.iter().map(|tier| said(&tier.split)).collect(),
        split: said(&found.tier.split),
    }
}

fn metrics(split: &Split) -> Vec<String> {
    if let Split::ByUsage(Usage::Metrics(metrics)) = split { metrics.clone() } else { Vec::new() }
}

/// A way to split in words that follow "is split".
fn said(split: &Split) -> String {
    match split {
        Split::EvenActive => "evenly among those who were active on it".to_owned(),
        Split::EvenTenant { types } => format!("evenly among the tenant's identities of type {}", types.join(", ")),
        Split::EvenAmong { .. } => "evenly among the identities that the rule names".to_owned(),
        Split::ByUsage(Usage::Metrics(metrics)) => format!("by usage of {}", metrics.join(" and ")),
        Split::ByUsage(Usage::Resolved { .. }) => "by the usage of those whose work ran on it".to_owned(),
        Split::ByShares(_) => "by fixed shares".to_owned(),
        Split::ToOwner => "to its owner".to_owned(),
        Split::ToIdentity { id } => format!("to {id}"),
        Split::ToResource => "to the resource itself".to_owned(),
        Split::Unallocated => "to nobody".to_owned(),
    }
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

fn sentence(billed: &Billed, of: &Part, told: &Explanation, found: Option<&Found<'_>>) -> String {
    let split = found.map(|found| &found.tier.split);
    let Billed { day, resource_id, resource_name, product_type, amount, currency } = billed;
    let resource = named(resource_id, resource_name.as_deref());
    let who = if of.identity_id == super::inventory::UNALLOCATED { "Nobody" } else { of.identity_id.as_str() };
    let payer = named(who, of.identity_name.as_deref());
    let mut text = format!(
        "{payer} is charged {} {currency} of the {amount} {currency} that {resource} cost on {day} for {product_type}",
        of.amount
    );
    let whole = told.split_amount == *amount;
    let what = if whole { "the line".to_owned() } else { format!("{} {currency} of it", told.split_amount) };
    match split {
        Some(split) if told.targets == 1 && told.inputs.is_none() => {
            let whole =
                if goes(split) { said(split) } else { format!("to {who} alone when it is split {}", said(split)) };
            text += &format!(": {what} goes {whole}");
        }
        Some(split) => text += &format!(": {what} is split {} ({} of them)", said(split), told.targets),
        None => text += &format!(": {what} is split by the method {}", of.allocation_method),
    }
    if let Some(Inputs { usage, total, .. }) = &told.inputs {
        text += &format!(", {usage} of {total} used");
    }
    if told.targets > 1 {
        text += &format!(", a share of {:.4} %", told.share * 100.0);
    }
    if found.is_some_and(Found::asks_no_usage) && is_without_usage(of) {
        text += "; that is the rule of this product, whatever was used";
    } else if let Some(why) = of.allocation_detail.as_deref().and_then(reason) {
        text += &format!("; {why}");
    }
    match told.rounded {
        Rounded::Up => text += "; rounded up, so that the rows add up to the line",
        Rounded::Down => text += "; rounded down, so that the rows add up to the line",
        Rounded::NotAtAll => {}
    }
    text + "."
}

/// A name with its id, where there is one that says more.
fn named(id: &str, name: Option<&str>) -> String {
    match name.filter(|name| *name != id && !name.is_empty()) {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}

/// Is the detail that of a split for want of usage?
fn is_without_usage(of: &Part) -> bool {
    of.allocation_detail.as_deref() == Some("no_metrics_located")
}

impl Found<'_> {
    /// Is it what the rule wants in the first place, and no stand-in for usage that was not there?
    fn asks_no_usage(&self) -> bool {
        self.before.is_empty() && !matches!(self.tier.split, Split::ByUsage(_))
    }
}

/// Does it go somewhere whole?
fn goes(split: &Split) -> bool {
    matches!(split, Split::ToOwner | Split::ToIdentity { .. } | Split::ToResource | Split::Unallocated)
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

/// What a detail means, where it is a reason why not the first tier was taken.
fn reason(detail: &str) -> Option<&'static str> {
    Some(match detail {
        "no_usage_for_active_identities" => "those who were active used nothing that was measured",
        "metrics_fetch_failed" => "its usage could not be fetched",
        "no_metrics_located" => "no usage was measured",
        "no_active_identities_located" => "nobody was found to be active",
        "no_metrics_no_active_identities_located" => "no usage was measured and nobody was found to be active",
        "no_identities_located" => "no identity was found",
        "inferred_usage_ratio" => "usage was not measured, so it is inferred from what was running",
        "unresolved_principal" => "the principal is not in the inventory",
        "resource_inactive" => "the resource did not exist for that part of the line's interval",
        "usage_out_of_range" => "its usage adds up to more than can be counted",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::CostType;
    use super::super::rule::{Part as Mixed, Product, Resolver};
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn part(id: &str, money: &str, share: f64, usage: Option<f64>) -> Part {
        Part {
            identity_id: id.into(),
            identity_name: None,
            cost_type: if usage.is_some() { "usage" } else { "shared" }.into(),
            allocation_method: if usage.is_some() { "usage_ratio" } else { "even_split" }.into(),
            allocation_detail: None,
            tier: 0,
            amount: amount(money),
            share,
            usage,
        }
    }

    fn billed() -> Billed {
        Billed {
            day: "2026-02-01".parse().unwrap(),
            resource_id: "lkc-1".into(),
            resource_name: None,
            product_type: "KAFKA_NUM_CKU".into(),
            amount: amount("10"),
            currency: "USD".into(),
        }
    }

    fn tier(split: Split, method: &str, cost_type: CostType) -> Tier {
        Tier { split, method: method.into(), detail: None, cost_type }
    }

    fn book(rule: Rule) -> RuleBook {
        let product = |rule| Product { service: "kafka".into(), resolver: Resolver::None, metrics: vec![], rule };
        RuleBook {
            version: 1,
            products: BTreeMap::from([("KAFKA_NUM_CKU".into(), product(rule))]),
            otherwise: product(Rule::FirstThatFits(vec![tier(Split::ToResource, "to_resource", CostType::Shared)])),
            owner_types: vec![],
            identities: BTreeMap::new(),
            interval_rule: vec![],
            topics: None,
        }
    }

    fn cku() -> RuleBook {
        let usage = Split::ByUsage(Usage::Metrics(vec!["bytes_in".into(), "bytes_out".into()]));
        book(Rule::Mix(vec![
            Mixed { ratio: "0.7".into(), tiers: vec![tier(usage, "usage_ratio", CostType::Usage)] },
            Mixed { ratio: "0.3".into(), tiers: vec![tier(Split::EvenActive, "even_split", CostType::Shared)] },
        ]))
    }

    #[test]
    fn a_mix_is_told_by_its_parts() {
        let parts = [
            part("sa-1", "5.25", 0.75, Some(30.0)),
            part("sa-2", "1.75", 0.25, Some(10.0)),
            part("sa-1", "1.5", 0.5, None),
            part("sa-2", "1.5", 0.5, None),
        ];
        let told = explain(&billed(), &parts, &parts[0], Some(&cku()));
        assert_eq!(
            told.sentence,
            "sa-1 is charged 5.25 USD of the 10 USD that lkc-1 cost on 2026-02-01 for KAFKA_NUM_CKU: 7 USD of it is split by \
             usage of bytes_in and bytes_out (2 of them), 30 of 40 used, a share of 75.0000 %."
        );
        assert_eq!((told.split_amount, told.targets, told.rounded), (amount("7"), 2, Rounded::NotAtAll));
        let rule = told.rule.unwrap();
        assert_eq!((rule.ratio.as_deref(), rule.tier, rule.own_rule), (Some("0.7"), 0, true));
        let told = explain(&billed(), &parts, &parts[3], Some(&cku()));
        assert_eq!(told.rule.unwrap().ratio.as_deref(), Some("0.3"));
    }

    #[test]
    fn rounding_and_reasons_are_told() {
        let mut parts = [
            part("a", "3.3334", 1.0 / 3.0, None),
            part("b", "3.3333", 1.0 / 3.0, None),
            part("c", "3.3333", 1.0 / 3.0, None),
        ];
        parts.iter_mut().for_each(|part| part.allocation_detail = Some("no_metrics_located".into()));
        parts.iter_mut().for_each(|part| part.tier = 1);
        let usage = Split::ByUsage(Usage::Metrics(vec!["bytes_in".into()]));
        let rules = book(Rule::FirstThatFits(vec![
            tier(usage, "usage_ratio", CostType::Usage),
            tier(Split::EvenActive, "even_split", CostType::Shared),
        ]));
        let told = explain(&billed(), &parts, &parts[0], Some(&rules));
        assert_eq!(told.rounded, Rounded::Up);
        assert!(told.sentence.ends_with(
            "the line is split evenly among those who were active on it (3 of them), a share of 33.3333 %; no usage was \
             measured; rounded up, so that the rows add up to the line."
        ), "{}", told.sentence);
        assert_eq!(explain(&billed(), &parts, &parts[1], Some(&rules)).rounded, Rounded::Down);
    }

    #[test]
    fn an_even_split_by_rule_is_no_stand_in_for_usage_and_names_stand_beside_ids() {
        let mut parts = [part("sa-1", "5", 0.5, None), part("sa-2", "5", 0.5, None)];
        parts.iter_mut().for_each(|part| part.allocation_detail = Some("no_metrics_located".into()));
        parts[0].identity_name = Some("orders".into());
        let rules = book(Rule::FirstThatFits(vec![tier(Split::EvenActive, "even_split", CostType::Shared)]));
        let billed = Billed { resource_name: Some("shop".into()), ..billed() };
        assert_eq!(
            explain(&billed, &parts, &parts[0], Some(&rules)).sentence,
            "orders (sa-1) is charged 5 USD of the 10 USD that shop (lkc-1) cost on 2026-02-01 for KAFKA_NUM_CKU: the line is \
             split evenly among those who were active on it (2 of them), a share of 50.0000 %; that is the rule of this \
             product, whatever was used."
        );
    }

    #[test]
    fn what_goes_whole_and_what_has_no_rules_at_hand_is_told_too() {
        let whole = [part("lkc-1", "10", 1.0, None)];
        let told = explain(&billed(), &whole, &whole[0], None);
        assert!(
            told.rule.is_none() && told.sentence.ends_with("the line is split by the method even_split."),
            "{told:?}"
        );
        let mut to_resource = whole.clone();
        to_resource[0].allocation_method = "to_resource".into();
        let other = Billed { product_type: "NEW".into(), ..billed() };
        let told = explain(&other, &to_resource, &to_resource[0], Some(&cku()));
        assert!(told.sentence.ends_with("the line goes to the resource itself."), "{}", told.sentence);
        assert!(!told.rule.unwrap().own_rule);
    }
}
