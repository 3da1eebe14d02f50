//! Splits each line by its product's rule.
//!
//! In: facts and rules of a day. Out: rows, line after line. Absent: how identities are found, how texts are kept.
//!
//! A line that no rule can be applied to goes to `UNALLOCATED` whole, with the reason; the rest of the day does not
//! mind. To try again would not help: the same facts and rules give the same answer.

use std::collections::hash_map::Entry;

use ahash::AHashMap;

use super::book::{Book, By, Compiled, Step as Tier};
use super::facts::Facts;
use super::interval;
use super::open_day::Line;
use super::refusal::Refusal;
use super::resolve::{Heads, Resolution, add_up};
use super::rows::Row;
use super::symbols::Sym;
use crate::domain::split::{Splitter, Step, evenly};
use crate::domain::{Amount, Target};

/// The rows of all lines, in the order of the lines.
///
/// # Errors
/// [`Refusal`] if the rows of a line do not add up to it, or cannot be numbered.
pub fn rows(facts: &Facts, book: &Book) -> Result<Vec<Row>, Refusal> {
    let mut allocator = Allocator {
        facts,
        book,
        tenants: vec![None; book.type_sets.len() * (book.mappings.len() + 1)],
        resolved: None,
        resolution: Resolution::default(),
        among: Heads::default(),
        weights: vec![],
        splitter: Splitter::default(),
        rows: vec![],
    };
    for (number, line) in (0_u32..).zip(&facts.lines) {
        allocator.line(number, line)?;
    }
    Ok(allocator.rows)
}

/// A line's number and what there is to know about it.
struct Billed<'a> {
    number: u32,
    line: &'a Line,
    step: Step,
    usage_failed: bool,
    mapping: Option<usize>,
}

/// Why no rule could be applied to a line.
enum Stuck {
    /// Its usage adds up to more than a float holds.
    UsageSum,
    /// No tier of its rule takes it; sound rules end in one that does.
    NoTier,
}

struct Allocator<'a> {
    facts: &'a Facts,
    book: &'a Book,
    /// For each mapping and none, and each of the book's sets of types, who has one of them.
    tenants: Vec<Option<Heads>>,
    /// Whose resolution is held: lines of one resource stand together.
    resolved: Option<(usize, Sym)>,
    resolution: Resolution,
    /// Those that the tier at hand splits evenly among.
    among: Heads,
    weights: Vec<(Sym, f64)>,
    splitter: Splitter,
    rows: Vec<Row>,
}

/// Over whom an even split goes.
enum Over {
    Active,
    /// Those at a place of `tenants`.
    Tenant(usize),
    Among,
}

impl Allocator<'_> {
    fn line(&mut self, number: u32, line: &Line) -> Result<(), Refusal> {
        let product = self.book.product(self.facts.texts.text(line.product));
        let asks_usage = !self.book.families[product.family].metrics.is_empty();
        let usage_failed = asks_usage && self.facts.usage_failed(line.resource);
        self.resolve(product.family, line.resource, usage_failed);
        let mapping = self.book.families[product.family].mapping;
        let billed = Billed { number, line, step: Step::of(line.amount), usage_failed, mapping };
        let first = self.rows.len();
        if let Err(why) = self.split(&billed, product) {
            self.rows.truncate(first);
            let label = match why {
                Stuck::UsageSum => self.book.usage_out_of_range,
                Stuck::NoTier => self.book.no_tier,
            };
            self.push_unallocated(&billed, line.amount, label);
        }
        self.check(line, first)
    }

    fn split(&mut self, billed: &Billed<'_>, product: &Compiled) -> Result<(), Stuck> {
        let first = self.rows.len();
        let (active, inactive) = match product.by_interval {
            true => interval::divide(self.facts, billed.line, billed.step, &mut self.splitter),
            false => (billed.line.amount, Amount::ZERO),
        };
        let mut labels = match product.parts.as_slice() {
            [tiers] => self.part(billed, tiers, active)?.into_iter().flatten().flatten().collect(),
            _ => self.mix(billed, product, active)?,
        };
        if !inactive.is_zero() {
            self.push_unallocated(billed, inactive, self.book.inactive);
            labels.push(self.book.inactive);
        }
        labels.sort_unstable();
        if labels.windows(2).any(|pair| pair[0] == pair[1]) {
            merge(&mut self.rows, first);
        }
        Ok(())
    }

    fn resolve(&mut self, family: usize, resource: Sym, usage_failed: bool) {
        if self.resolved != Some((family, resource)) {
            self.resolution.resolve(self.facts, &self.book.families[family], resource, usage_failed);
            self.resolved = Some((family, resource));
        }
    }

    /// Each part of an amount by its own tiers; the labels that rows got.
    fn mix(&mut self, billed: &Billed<'_>, product: &Compiled, amount: Amount) -> Result<Vec<u16>, Stuck> {
        let amounts = self.splitter.by_ratio(amount, billed.step, &product.ratios);
        // Sound rules have ratios that add up to 1.
        let amounts = amounts.map_or(vec![], <[Amount]>::to_vec);
        let mut labels = Vec::with_capacity(amounts.len());
        for (tiers, amount) in product.parts.iter().zip(amounts) {
            labels.extend(self.part(billed, tiers, amount)?.into_iter().flatten().flatten());
        }
        Ok(labels)
    }

    /// One part of a line by the first tier that fits; the labels its rows may have got, each once.
    fn part(&mut self, billed: &Billed<'_>, tiers: &[Tier], amount: Amount) -> Result<Option<[Option<u16>; 2]>, Stuck> {
        if amount.is_zero() {
            return Ok(None);
        }
        for (number, tier) in (0_u16..).zip(tiers) {
            let label = if billed.usage_failed { tier.label_failed } else { tier.label };
            let mut row = Row::new(billed.number, billed.line.resource, amount, label, number);
            match &tier.by {
                By::Active if self.resolution.active.ids.is_empty() => continue,
                By::Active => self.push_evenly(row, billed, Over::Active),
                By::Tenant(set) => {
                    let place = self.tenant(*set, billed.mapping);
                    if self.tenants[place].as_ref().is_none_or(|heads| heads.ids.is_empty()) {
                        continue;
                    }
                    self.push_evenly(row, billed, Over::Tenant(place));
                }
                By::Among { active, named } => {
                    self.gather_among(*active, named);
                    if self.among.ids.is_empty() {
                        continue;
                    }
                    self.push_evenly(row, billed, Over::Among);
                }
                By::Metrics(_) | By::Weights if billed.usage_failed || !self.weigh(&tier.by) => continue,
                By::Metrics(_) => self.push_by_usage(row, billed, tier.label_doubtful)?,
                By::Weights => {
                    if self.resolution.inferred {
                        row.label = tier.label_doubtful;
                    }
                    self.push_by_usage(row, billed, tier.label_doubtful)?;
                }
                By::Shares(named, shares) => self.push_shares(row, billed, named, shares),
                By::Owner => match self.resolution.owner {
                    Some(owner) => self.push_whole(row, billed, owner),
                    None => continue,
                },
                By::Named(named) => self.push_whole(row, billed, self.facts.named[*named]),
                By::Resource => {
                    let identity = self.resolution.resource.unwrap_or(billed.line.resource);
                    self.push_whole(row, billed, identity);
                }
                By::Unallocated => self.push_whole(row, billed, self.facts.unallocated),
            }
            let doubtful = matches!(tier.by, By::Metrics(_) | By::Weights) && tier.label_doubtful != row.label;
            return Ok(Some([Some(row.label), doubtful.then_some(tier.label_doubtful)]));
        }
        Err(Stuck::NoTier)
    }

    /// Where in `tenants` the identities of a set of types are; collects them the first time.
    fn tenant(&mut self, set: usize, mapping: Option<usize>) -> usize {
        let (facts, types) = (self.facts, &self.book.type_sets[set]);
        let place = set * (self.book.mappings.len() + 1) + mapping.map_or(0, |mapping| mapping + 1);
        self.tenants[place].get_or_insert_with(|| {
            let mut heads = Heads { ids: facts.of_types(types), parts: vec![] };
            if let Some(mapping) = mapping {
                heads.stand_in(&facts.stand_ins[mapping]);
            }
            heads
        });
        place
    }

    fn push_whole(&mut self, row: Row, billed: &Billed<'_>, identity: Sym) {
        self.rows.push(Row { identity, target: self.target(identity, billed.line), ..row });
    }

    fn push_unallocated(&mut self, billed: &Billed<'_>, amount: Amount, label: u16) {
        if !amount.is_zero() {
            let row = Row::new(billed.number, self.facts.unallocated, amount, label, 0);
            self.rows.push(Row { target: Target::Unallocated, ..row });
        }
    }

    fn push_evenly(&mut self, row: Row, billed: &Billed<'_>, over: Over) {
        let Self { rows, tenants, among, splitter, resolution, facts, .. } = self;
        let heads = match over {
            Over::Active => &resolution.active,
            Over::Tenant(place) => tenants[place].as_ref().unwrap_or(&resolution.active),
            Over::Among => among,
        };
        let mut push = |identity: Sym, amount: Amount, share: f64| {
            if !amount.is_zero() {
                rows.push(Row { identity, amount, target: target(facts, identity, billed.line), share, ..row });
            }
        };
        if heads.parts.is_empty() {
            let count = heads.ids.len() as u32;
            let share = 1.0 / f64::from(count);
            // The larger parts come first.
            let parts = evenly(row.amount, billed.step, count).take_while(|amount| !amount.is_zero());
            heads.ids.iter().zip(parts).for_each(|(identity, amount)| push(*identity, amount, share));
            return;
        }
        let all: u64 = heads.parts.iter().sum();
        // Some part is above zero.
        let amounts = splitter.by_ratio(row.amount, billed.step, &heads.parts).unwrap_or(&[]);
        for ((identity, parts), amount) in heads.ids.iter().zip(&heads.parts).zip(amounts) {
            push(*identity, *amount, *parts as f64 / all as f64);
        }
    }

    fn push_shares(&mut self, row: Row, billed: &Billed<'_>, named: &[usize], shares: &[u64]) {
        let Self { rows, splitter, facts, .. } = self;
        // Sound shares add up to 1.
        let amounts = splitter.by_ratio(row.amount, billed.step, shares).unwrap_or(&[]);
        for ((named, units), amount) in named.iter().zip(shares).zip(amounts) {
            if !amount.is_zero() {
                let (identity, share) = (facts.named[*named], *units as f64 / Amount::whole(1).units() as f64);
                let target = target(facts, identity, billed.line);
                rows.push(Row { identity, amount: *amount, target, share, ..row });
            }
        }
    }

    /// Those that a tier names, and the active ones if it wants them: each once, with the parts it has as an active one.
    fn gather_among(&mut self, active: bool, named: &[usize]) {
        let Self { among, resolution, facts, .. } = self;
        among.ids.clear();
        among.parts.clear();
        if active {
            among.ids.extend(&resolution.active.ids);
            among.parts.extend(&resolution.active.parts);
        }
        for identity in named.iter().map(|named| facts.named[*named]) {
            if let Err(at) = among.ids.binary_search(&identity) {
                among.ids.insert(at, identity);
                if !among.parts.is_empty() {
                    among.parts.insert(at, 1);
                }
            }
        }
    }

    /// Collects the weights of a usage tier; are there any?
    fn weigh(&mut self, by: &By) -> bool {
        self.weights.clear();
        match by {
            By::Metrics(metrics) => {
                for metric in metrics {
                    self.weights.extend_from_slice(&self.resolution.usage[*metric]);
                }
                add_up(&mut self.weights);
            }
            _ => self.weights.extend_from_slice(&self.resolution.weights),
        }
        !self.weights.is_empty()
    }

    /// Splits by the collected weights.
    fn push_by_usage(&mut self, row: Row, billed: &Billed<'_>, doubtful: u16) -> Result<(), Stuck> {
        let Self { rows, weights, splitter, resolution, facts, .. } = self;
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        if !sum.is_finite() {
            return Err(Stuck::UsageSum);
        }
        let parts = splitter.by_weight(row.amount, billed.step, weights.iter().map(|(_, weight)| *weight));
        let unresolved =
            |id: &Sym| !resolution.unresolved.is_empty() && resolution.unresolved.binary_search(id).is_ok();
        for ((identity, usage), amount) in weights.iter().zip(parts.map_err(|_| Stuck::UsageSum)?) {
            if !amount.is_zero() {
                let label = if unresolved(identity) { doubtful } else { row.label };
                let target = target(facts, *identity, billed.line);
                let (identity, amount, usage) = (*identity, *amount, *usage);
                rows.push(Row { identity, amount, target, label, share: usage / sum, usage, ..row });
            }
        }
        Ok(())
    }

    /// The law: the rows of a line add up to it.
    fn check(&self, line: &Line, first: usize) -> Result<(), Refusal> {
        if u32::try_from(self.rows.len()).is_err() {
            return Err(Refusal::TooManyRows);
        }
        let rows: Amount = self.rows[first..].iter().map(|row| row.amount).sum();
        if rows == line.amount {
            return Ok(());
        }
        Err(Refusal::Conservation { line: self.facts.describe(line), amount: line.amount, rows })
    }

    fn target(&self, id: Sym, line: &Line) -> Target {
        target(self.facts, id, line)
    }
}

/// An id that is the billed resource's own is the resource, wherever it was found; and nobody is nobody.
fn target(facts: &Facts, id: Sym, line: &Line) -> Target {
    match id {
        id if id == facts.unallocated => Target::Unallocated,
        id if id == line.resource => Target::Resource,
        _ => Target::Identity,
    }
}

/// Adds up rows of different parts that say the same: the place of the first is kept.
fn merge(rows: &mut Vec<Row>, first: usize) {
    let parts = rows.split_off(first);
    let mut places = AHashMap::with_capacity(parts.len());
    let mut wholes: AHashMap<u16, Amount> = AHashMap::new();
    for row in parts {
        *wholes.entry(row.label).or_default() += row.amount;
        match places.entry((row.identity, row.label)) {
            Entry::Occupied(place) => {
                let kept: &mut Row = &mut rows[*place.get()];
                kept.amount += row.amount;
            }
            Entry::Vacant(place) => {
                place.insert(rows.len());
                rows.push(row);
            }
        }
    }
    for row in &mut rows[first..] {
        row.share = row.amount.units() as f64 / wholes[&row.label].units() as f64;
    }
}
