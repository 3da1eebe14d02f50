//! Splits each line by its product's rule.
//!
//! In: facts and rules of a day. Out: rows, line after line. Absent: how identities are found, how texts are kept.

use std::collections::hash_map::Entry;

use ahash::AHashMap;

use super::book::{Book, By, Compiled, Step as Tier};
use super::facts::Facts;
use super::open_day::Line;
use super::refusal::Refusal;
use super::resolve::{Resolution, add_up};
use super::rows::Row;
use super::symbols::Sym;
use crate::domain::split::{Splitter, Step, evenly};
use crate::domain::{Amount, Target};

/// The rows of all lines, in the order of the lines.
///
/// # Errors
/// [`Refusal`] if the rows of a line do not add up to it, or its usage to a number.
pub fn rows(facts: &Facts, book: &Book) -> Result<Vec<Row>, Refusal> {
    let mut allocator = Allocator {
        facts,
        book,
        tenants: vec![None; book.type_sets.len()],
        resolved: None,
        resolution: Resolution::default(),
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
}

struct Allocator<'a> {
    facts: &'a Facts,
    book: &'a Book,
    /// For each of the book's sets of types, who has one of them.
    tenants: Vec<Option<Vec<Sym>>>,
    /// Whose resolution is held: lines of one resource stand together.
    resolved: Option<(usize, Sym)>,
    resolution: Resolution,
    weights: Vec<(Sym, f64)>,
    splitter: Splitter,
    rows: Vec<Row>,
}

impl Allocator<'_> {
    fn line(&mut self, number: u32, line: &Line) -> Result<(), Refusal> {
        let product = self.book.product(self.facts.texts.text(line.product));
        let asks_usage = !self.book.families[product.family].metrics.is_empty();
        let usage_failed = asks_usage && self.facts.usage_failed(line.resource);
        self.resolve(product.family, line.resource, usage_failed);
        let billed = Billed { number, line, step: Step::of(line.amount), usage_failed };
        let first = self.rows.len();
        match product.parts.as_slice() {
            [tiers] => {
                self.part(&billed, tiers, line.amount)?;
            }
            _ => self.mix(&billed, product)?,
        }
        self.check(line, first)
    }

    fn resolve(&mut self, family: usize, resource: Sym, usage_failed: bool) {
        if self.resolved != Some((family, resource)) {
            self.resolution.resolve(self.facts, &self.book.families[family], resource, usage_failed);
            self.resolved = Some((family, resource));
        }
    }

    fn mix(&mut self, billed: &Billed<'_>, product: &Compiled) -> Result<(), Refusal> {
        let first = self.rows.len();
        let amounts = self.splitter.by_ratio(billed.line.amount, billed.step, &product.ratios);
        // Sound rules have ratios that add up to 1.
        let amounts = amounts.map_or(vec![], <[Amount]>::to_vec);
        let mut labels = Vec::with_capacity(amounts.len());
        for (tiers, amount) in product.parts.iter().zip(amounts) {
            labels.extend(self.part(billed, tiers, amount)?);
        }
        labels.sort_unstable();
        if labels.windows(2).any(|pair| pair[0] == pair[1]) {
            merge(&mut self.rows, first);
        }
        Ok(())
    }

    /// One part of a line by the first tier that fits; the label its rows got.
    fn part(&mut self, billed: &Billed<'_>, tiers: &[Tier], amount: Amount) -> Result<Option<u16>, Refusal> {
        if amount.is_zero() {
            return Ok(None);
        }
        for (number, tier) in (0_u16..).zip(tiers) {
            let label = if billed.usage_failed { tier.label_failed } else { tier.label };
            let mut row = Row::new(billed.number, billed.line.resource, amount, label, number);
            match &tier.by {
                By::Active if !self.resolution.active.is_empty() => {
                    push_evenly(&mut self.rows, row, billed, &self.resolution.active);
                }
                By::Tenant(set) => {
                    let facts = self.facts;
                    let types = &self.book.type_sets[*set];
                    let targets = self.tenants[*set].get_or_insert_with(|| facts.of_types(types));
                    if targets.is_empty() {
                        continue;
                    }
                    push_evenly(&mut self.rows, row, billed, targets);
                }
                By::Among { active, named } => {
                    let targets = self.among(*active, &self.book.named[*named]);
                    if targets.is_empty() {
                        continue;
                    }
                    push_evenly(&mut self.rows, row, billed, &targets);
                }
                By::Metrics(_) | By::Weights if billed.usage_failed || !self.weigh(&tier.by) => continue,
                By::Metrics(_) => self.push_by_usage(row, billed, tier.label_doubtful)?,
                By::Weights => {
                    if self.resolution.inferred {
                        row.label = tier.label_doubtful;
                    }
                    self.push_by_usage(row, billed, tier.label_doubtful)?;
                }
                By::Resource => self.rows.push(Row { target: Target::Resource, ..row }),
                By::Unallocated => {
                    row.identity = self.facts.unallocated;
                    self.rows.push(Row { target: Target::Unallocated, ..row });
                }
                By::Active => continue,
            }
            return Ok(Some(row.label));
        }
        Err(self.no_tier(billed))
    }

    /// Those that a tier names, and the active ones if it wants them: sorted, each once.
    fn among(&self, active: bool, named: &[String]) -> Vec<Sym> {
        let found = if active { self.resolution.active.as_slice() } else { &[] };
        let named = named.iter().filter_map(|id| self.facts.texts.find(id));
        let mut all: Vec<Sym> = named.chain(found.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        all
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
    fn push_by_usage(&mut self, row: Row, billed: &Billed<'_>, doubtful: u16) -> Result<(), Refusal> {
        let Self { rows, weights, splitter, resolution, facts, .. } = self;
        let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let no_sum = || Refusal::UsageSum { line: facts.describe(billed.line) };
        if !sum.is_finite() {
            return Err(no_sum());
        }
        let parts = splitter.by_weight(row.amount, billed.step, weights.iter().map(|(_, weight)| *weight));
        let unresolved =
            |id: &Sym| !resolution.unresolved.is_empty() && resolution.unresolved.binary_search(id).is_ok();
        for ((identity, usage), amount) in weights.iter().zip(parts.map_err(|_| no_sum())?) {
            if !amount.is_zero() {
                let label = if unresolved(identity) { doubtful } else { row.label };
                let target = target(*identity, billed.line);
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

    fn no_tier(&self, billed: &Billed<'_>) -> Refusal {
        Refusal::NoTier { line: self.facts.describe(billed.line) }
    }
}

fn push_evenly(rows: &mut Vec<Row>, row: Row, billed: &Billed<'_>, targets: &[Sym]) {
    let count = targets.len() as u32;
    let share = 1.0 / f64::from(count);
    for (identity, amount) in targets.iter().zip(evenly(row.amount, billed.step, count)) {
        if amount.is_zero() {
            // The larger parts come first.
            break;
        }
        rows.push(Row { identity: *identity, amount, target: target(*identity, billed.line), share, ..row });
    }
}

/// An id that is the billed resource's own is the resource, wherever it was found.
fn target(id: Sym, line: &Line) -> Target {
    if id == line.resource { Target::Resource } else { Target::Identity }
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
