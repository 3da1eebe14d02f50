//! Owners of the statements that ran in a compute pool, by what the statements used.
//!
//! In: statements of the pool, usage by statement. Out: weights by owner. Where there is no usage, every statement
//! that was not stopped counts for one, and the weights say that they are inferred.

use super::{Resolution, Sentinel, add_up};
use crate::allocate::book::Family;
use crate::allocate::facts::Facts;
use crate::allocate::open_day::{Attribute, Thing};
use crate::allocate::symbols::Sym;
use crate::domain::Subject;

/// The first metric that has any samples counts, the others are other names of the same.
pub fn resolve(facts: &Facts, family: &Family, metrics: &[String], pool: Sym, out: &mut Resolution) {
    let samples = metrics.iter().map(|metric| facts.usage(pool, metric, Subject::Statement));
    let samples = samples.into_iter().find(|samples| !samples.is_empty()).unwrap_or_default();
    out.weights.extend(samples.iter().filter(|(_, value)| *value > 0.0));
    if out.weights.is_empty() {
        out.weights.extend(inferred(facts, family, pool));
        out.inferred = true;
    } else {
        let names = names(facts, family, pool);
        let unknown = Sentinel::StatementOwnerUnknown.sym(facts, &family.service);
        for (id, _) in &mut out.weights {
            *id = owner(&names, *id).unwrap_or(unknown);
        }
    }
    add_up(&mut out.weights);
    out.active.ids.extend(out.weights.iter().map(|(id, _)| *id));
}

/// (name, owner) of the pool's statements, sorted by name; of a name used again the highest id counts.
fn names(facts: &Facts, family: &Family, pool: Sym) -> Vec<(Sym, Option<Sym>)> {
    let named = |thing: &Thing| thing.name.or_else(|| thing.attribute(Attribute::StatementName));
    let statements = statements(facts, family, pool);
    let mut names: Vec<(Sym, Option<Sym>)> =
        statements.filter_map(|thing| Some((named(thing)?, thing.owner))).collect();
    names.sort_by_key(|(name, _)| *name);
    names
}

fn owner(names: &[(Sym, Option<Sym>)], name: Sym) -> Option<Sym> {
    let end = names.partition_point(|(known, _)| *known <= name);
    let last = end.checked_sub(1).map(|at| names[at]);
    last.filter(|(known, _)| *known == name).and_then(|(_, owner)| owner)
}

fn inferred(facts: &Facts, family: &Family, pool: Sym) -> impl Iterator<Item = (Sym, f64)> {
    let stopped = |thing: &&Thing| {
        let flag = thing.attribute(Attribute::Stopped);
        flag.is_some_and(|flag| facts.texts.text(flag).eq_ignore_ascii_case("true"))
    };
    let running = statements(facts, family, pool).filter(move |thing| !stopped(thing));
    running.filter_map(|thing| Some((thing.owner.or_else(|| thing.attribute(Attribute::Owner))?, 1.0)))
}

/// The pool's statements, by id.
fn statements<'a>(facts: &'a Facts, family: &Family, pool: Sym) -> impl Iterator<Item = &'a Thing> {
    let kind = facts.texts.find(&format!("{}_statement", family.service));
    facts.in_pool(pool).filter(move |thing| Some(thing.kind) == kind)
}
