//! An explanation as one English sentence.

use super::{Billed, Cause, Explanation, Found, Inputs, Part, Rounded, StandIn};
use crate::domain::billing::UNRESOLVED;
use crate::domain::inventory::UNALLOCATED;
use crate::domain::rule::{Resolver, Split, Usage};

/// All of it: who is charged what, how that was split, why so, what rounding did.
pub(super) fn sentence(billed: &Billed, of: &Part, told: &Explanation, cause: &Cause<'_>) -> String {
    let mut text = format!("{}: {}", charged(billed, of), how(billed, of, told, cause));
    for more in [why(of, cause), rounding(told.rounded)].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(&more);
    }
    text.push('.');
    text
}

/// Who is charged which part of what.
fn charged(billed: &Billed, of: &Part) -> String {
    let Billed { day, resource_id, resource_name, product_type, amount, currency } = billed;
    let part = match of.amount == *amount {
        true => format!("all {amount} {currency}"),
        false => format!("{} {currency} of the {amount} {currency}", of.amount),
    };
    let when = format!("on {day} for {product_type}");
    let payer = payer(billed, of);
    if resource_id.starts_with(UNRESOLVED) {
        let part = format!("{part} billed {when} without a resource");
        return match payer {
            Payer::Nobody => format!("{} are charged to nobody", capital(&part)),
            Payer::Itself => format!("{} stay under {resource_id}", capital(&part)),
            Payer::Identity(who) => format!("{who} is charged {part}"),
        };
    }
    let resource = named(resource_id, resource_name.as_deref());
    match payer {
        Payer::Nobody => format!("{} that {resource} cost {when} are charged to nobody", capital(&part)),
        Payer::Itself => format!("{resource} itself is charged {part} that it cost {when}"),
        Payer::Identity(who) => format!("{who} is charged {part} that {resource} cost {when}"),
    }
}

/// Whom a row is charged to, in words.
enum Payer {
    Nobody,
    /// The billed resource.
    Itself,
    Identity(String),
}

fn payer(billed: &Billed, of: &Part) -> Payer {
    match of.identity_id.as_str() {
        UNALLOCATED => Payer::Nobody,
        id if id == billed.resource_id => Payer::Itself,
        id => Payer::Identity(named(id, of.identity_name.as_deref())),
    }
}

/// How the line, or the row's part of it, was split.
fn how(billed: &Billed, of: &Part, told: &Explanation, cause: &Cause<'_>) -> String {
    let is_whole = told.split_amount == billed.amount;
    let what =
        if is_whole { "the line".to_owned() } else { format!("{} {} of it", told.split_amount, billed.currency) };
    let found = match cause {
        Cause::Tier(found) => found,
        Cause::Absence => return "for that part of its interval the resource did not exist".to_owned(),
        Cause::Failure => return format!("{what} could not be split by its rule"),
        Cause::Unknown => {
            return format!(
                "{what} is split by the method {}, among {}, a share of {}; the rules of its revision are not at hand",
                of.allocation_method,
                told.targets,
                percent(told.share)
            );
        }
    };
    let split = &found.tier.split;
    if let StandIn::Owner(key) = found.stand_in {
        return format!("{what} goes to whom the identity rules of {key} give the resource");
    }
    if *split == Split::Unallocated {
        return match found.before {
            [] => "that is the rule".to_owned(),
            _ => format!("{what} found nobody by its rule"),
        };
    }
    let is_itself = of.identity_id == billed.resource_id;
    if is_itself && billed.resource_id.starts_with(UNRESOLVED) {
        return format!("{what} is not split");
    }
    if told.targets == 1 {
        return format!("{what} goes {}", alone(of, is_itself, told, found));
    }
    let usage = match &told.inputs {
        Some(Inputs { usage, total, .. }) => format!(", {} of {}", number(*usage), number(*total)),
        None => String::new(),
    };
    let among = among(split, found.resolver, told.targets);
    format!("{what} is split {among}{usage}, a share of {}", percent(told.share))
}

/// Why it was split so, where the split alone does not tell.
fn why(of: &Part, cause: &Cause<'_>) -> Option<String> {
    let detail = of.allocation_detail.as_deref().unwrap_or_default();
    let Cause::Tier(found) = cause else {
        return match cause {
            Cause::Failure => reason(detail, true).map(str::to_owned),
            _ => None,
        };
    };
    let stands_for = match found.stand_in {
        StandIn::Others(key) => Some(format!("whoever is found is charged as the identity rules of {key} say")),
        StandIn::Nobody | StandIn::Owner(_) => None,
    };
    let rule = (!found.own_rule).then(|| "no rule is named after this product, so that of all others holds".to_owned());
    let unknown = unknown(found.service, &of.identity_id).map(str::to_owned);
    let all = [rule, because(detail, found), unknown, stands_for];
    Some(all.into_iter().flatten().collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
}

/// What a row's detail means at its tier.
fn because(detail: &str, found: &Found<'_>) -> Option<String> {
    let is_first = found.before.is_empty();
    let text = match detail {
        "no_metrics_located" if !found.asks_usage() && is_first => {
            "that is the rule of this product, whatever was used"
        }
        // There was nobody to look for, or it is said already.
        "no_identities_located" if is_first || found.tier.split == Split::Unallocated => return None,
        detail => reason(detail, found.asks_usage())?,
    };
    Some(text.to_owned())
}

/// What a detail means, where it is a reason why not the first tier was taken. `asks_usage`: the rule splits by usage, if it can.
fn reason(detail: &str, asks_usage: bool) -> Option<&'static str> {
    Some(match (detail, asks_usage) {
        ("no_usage_for_active_identities", _) => "those who have to do with it used nothing that was measured",
        ("metrics_fetch_failed", true) => "its usage could not be fetched",
        ("metrics_fetch_failed", false) => "the usage that shows who was there could not be fetched",
        ("no_metrics_located", true) => "no usage was measured",
        ("no_metrics_no_active_identities_located", true) => {
            "no usage was measured, and nobody was found who has to do with it"
        }
        ("no_metrics_located" | "no_metrics_no_active_identities_located" | "no_active_identities_located", _) => {
            "nobody was found who has to do with it"
        }
        ("no_identities_located", _) => "nobody was found who could be charged",
        ("inferred_usage_ratio", _) => "usage was not measured, so it is inferred from what was running",
        ("unresolved_principal", _) => "the principal is not in the inventory",
        ("usage_out_of_range", _) => "its usage adds up to more than can be counted",
        _ => return None,
    })
}

fn rounding(rounded: Rounded) -> Option<String> {
    let way = match rounded {
        Rounded::Up => "up",
        Rounded::Down => "down",
        Rounded::NotAtAll => return None,
    };
    Some(format!("rounded {way}, so that the rows add up to the line"))
}

/// Why somebody who is none is charged: what resolvers answer where they cannot know.
fn unknown(service: &str, id: &str) -> Option<&'static str> {
    Some(match id.strip_prefix(service)?.strip_prefix('_')? {
        "credentials_masked" | "deleted_when_calc_started" => "it is in no inventory, so nobody can say whose it was",
        "credentials_unknown" => "its configuration does not say whose credentials it has",
        "api_key_masked" => "its configuration hides the API key that it has",
        "api_key_not_found" => "the API key that it has is in no inventory",
        "owner_unknown" => "the inventory does not say who owns it",
        "stmt_owner_unknown" => "the inventory does not say who owns the statement",
        _ => return None,
    })
}

/// Those whom an even split over the active ones falls on, by how they are found.
fn active(resolver: Resolver) -> &'static str {
    match resolver {
        Resolver::None | Resolver::KeysAndPrincipals => "who hold its keys or used it",
        Resolver::ConnectorCredentials => "whose credentials it has",
        Resolver::ResourceOwner => "who own it",
        Resolver::StatementOwners => "whose statements ran on it",
    }
}

/// A way to split, in words that follow "is split".
pub(super) fn said(split: &Split, resolver: Resolver) -> String {
    match split {
        Split::EvenActive => format!("evenly among those {}", active(resolver)),
        Split::EvenTenant { types } => format!("evenly among the tenant's identities of type {}", listed(types, "or")),
        Split::EvenAmong { active: true, identities } if identities.is_empty() => {
            "evenly among those who were seen".to_owned()
        }
        Split::EvenAmong { active: true, .. } => "evenly among those who were seen or whom the rule names".to_owned(),
        Split::EvenAmong { .. } => "evenly among those whom the rule names".to_owned(),
        Split::ByUsage(Usage::Metrics(metrics)) => format!("by usage ({})", listed(metrics, "and")),
        Split::ByUsage(Usage::Resolved { .. }) => "by the usage of those whose statements ran on it".to_owned(),
        Split::ByShares(_) => "by fixed shares".to_owned(),
        Split::ToOwner => "to its owner".to_owned(),
        Split::ToIdentity { id } => format!("to {id}, whom the rule names"),
        Split::ToResource => "to the resource itself".to_owned(),
        Split::Unallocated => "to nobody".to_owned(),
    }
}

/// The same among so many.
fn among(split: &Split, resolver: Resolver, count: usize) -> String {
    match said(split, resolver) {
        text if text.contains("those who") => text.replacen("those", &format!("the {count}"), 1),
        text if text.contains("tenant's identities") => {
            text.replacen("tenant's identities", &format!("tenant's {count} identities"), 1)
        }
        text => format!("{text} among {count}"),
    }
}

/// The same where there is one to take all of it, in words that follow "goes".
fn alone(of: &Part, is_itself: bool, told: &Explanation, found: &Found<'_>) -> String {
    let used = match &told.inputs {
        // An inferred weight is no usage.
        Some(inputs) if of.allocation_detail.as_deref() != Some("inferred_usage_ratio") => {
            format!(" ({})", number(inputs.usage))
        }
        _ => String::new(),
    };
    match &found.tier.split {
        Split::EvenActive => match found.resolver {
            Resolver::None | Resolver::KeysAndPrincipals => "to the only one who holds its keys or used it".to_owned(),
            Resolver::ConnectorCredentials if is_itself => "to itself, as it has no account's credentials".to_owned(),
            Resolver::ConnectorCredentials => "to the one whose credentials it has".to_owned(),
            Resolver::ResourceOwner => "to its owner".to_owned(),
            Resolver::StatementOwners => "to the only one whose statements ran on it".to_owned(),
        },
        Split::EvenTenant { types } => format!("to the tenant's only identity of type {}", listed(types, "or")),
        Split::EvenAmong { .. } => "to the only one there is".to_owned(),
        Split::ByUsage(Usage::Metrics(metrics)) => {
            format!("to the only one who used it, by {}{used}", listed(metrics, "and"))
        }
        Split::ByUsage(Usage::Resolved { .. }) => format!("to the only one whose statements ran on it{used}"),
        Split::ByShares(_) => "to the only one whom the rule's fixed shares name".to_owned(),
        whole => said(whole, found.resolver),
    }
}

/// `a, b or c`.
fn listed(texts: &[String], last: &str) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}

/// A name with its id, where there is one that says more.
fn named(id: &str, name: Option<&str>) -> String {
    match name.filter(|name| *name != id && !name.is_empty()) {
        Some(name) => format!("{name} ({id})"),
        None => id.to_owned(),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A share as people write one.
fn percent(share: f64) -> String {
    let text = format!("{:.4}", share * 100.0);
    match trimmed(&text) {
        "0" | "-0" if share > 0.0 => "less than 0.0001 %".to_owned(),
        text => format!("{text} %"),
    }
}

/// A measured number without the digits that floats make up.
fn number(value: f64) -> String {
    let size = value.abs();
    if size > 0.0 && !(1e-3..1e15).contains(&size) {
        return format!("{value:.3e}");
    }
    trimmed(&format!("{value:.3}")).to_owned()
}

/// Without zeros at its end.
fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
