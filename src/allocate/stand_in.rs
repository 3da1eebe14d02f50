//! Who is charged in place of whom is found: each id of a day looked up once, not once a row.
//!
//! In: a day's records, the mappings of a rule book. Out: [`StandIn`]s by number. Absent: who is found, and when.
//!
//! This happens before texts are numbered in their order, because whom a mapping names may be new to the day.

use super::book::Book;
use super::open_day::{Attribute, Records};
use super::resolve::Sentinel;
use super::symbols::{Renumbering, Sym, Symbols, Texts};
use crate::domain::Subject;
use crate::domain::rule::identity::{EvenSplit, Matcher};

/// One mapping of the rule book, for the ids of one day.
#[derive(Debug)]
pub struct StandIn {
    /// By the number of the id that was found; one that no step knows stands for itself.
    principals: Vec<Sym>,
    /// (resource, identity), sorted.
    resources: Vec<(Sym, Sym)>,
    pub even_split: EvenSplit,
}

impl StandIn {
    /// Whom the part of a found identity is booked to.
    pub fn principal(&self, id: Sym) -> Sym {
        self.principals[id.index()]
    }

    /// Whom a billed resource belongs to, if the mapping says so.
    pub fn resource(&self, id: Sym) -> Option<Sym> {
        let found = self.resources.binary_search_by_key(&id, |(resource, _)| *resource);
        found.ok().map(|at| self.resources[at].1)
    }
}

/// The mappings' answers, numbered by arrival.
#[derive(Debug, Default)]
pub struct Found(Vec<Answers>);

#[derive(Debug)]
struct Answers {
    principals: Vec<(Sym, Sym)>,
    resources: Vec<(Sym, Sym)>,
    even_split: EvenSplit,
}

/// Asks each mapping for every id that could be charged.
pub fn find(records: &mut Records, book: &Book) -> Found {
    if book.mappings.is_empty() {
        return Found::default();
    }
    let principals = principals(records, book);
    let mut resources: Vec<Sym> = records.lines.iter().map(|line| line.resource).collect();
    resources.sort_unstable();
    resources.dedup();
    let symbols = &mut records.symbols;
    let answers = book.mappings.iter().map(|mapping| Answers {
        principals: answers(symbols, &principals, &mapping.matcher, Matcher::principal),
        resources: answers(symbols, &resources, &mapping.matcher, Matcher::resource),
        even_split: mapping.even_split,
    });
    Found(answers.collect())
}

impl Found {
    /// The mappings, numbered as `texts` are.
    pub fn renumbered(self, numbers: &Renumbering, texts: &Texts) -> Vec<StandIn> {
        let stand_in = |mut answers: Answers| {
            for (id, identity) in answers.principals.iter_mut().chain(&mut answers.resources) {
                numbers.apply(id);
                numbers.apply(identity);
            }
            let mut principals: Vec<Sym> = texts.all().collect();
            for (id, identity) in answers.principals {
                principals[id.index()] = identity;
            }
            answers.resources.sort_unstable();
            StandIn { principals, resources: answers.resources, even_split: answers.even_split }
        };
        self.0.into_iter().map(stand_in).collect()
    }
}

fn answers(
    symbols: &mut Symbols,
    ids: &[Sym],
    matcher: &Matcher,
    ask: impl Fn(&Matcher, &str) -> Option<String>,
) -> Vec<(Sym, Sym)> {
    let told: Vec<(Sym, String)> = ids.iter().filter_map(|id| Some((*id, ask(matcher, symbols.text(*id))?))).collect();
    told.into_iter().map(|(id, identity)| (id, symbols.intern(&identity))).collect()
}

/// Every id that a resolver may answer, once.
fn principals(records: &Records, book: &Book) -> Vec<Sym> {
    let mut seen = vec![false; records.symbols.len()];
    let mut see = |id: Sym| seen[id.index()] = true;
    for person in &records.people {
        see(person.id);
        person.owner.into_iter().for_each(&mut see);
    }
    for thing in &records.things {
        let named = [thing.owner, thing.attribute(Attribute::Owner), thing.attribute(Attribute::ServiceAccount)];
        named.into_iter().flatten().for_each(&mut see);
    }
    for value in &records.values {
        if records.groups[value.group as usize].subject_type == Subject::Principal {
            see(value.subject);
        }
    }
    // A connector may stand for itself.
    records.lines.iter().for_each(|line| see(line.resource));
    for family in book.families.iter().filter(|family| family.mapping.is_some()) {
        let sentinels = Sentinel::of(family.resolver).iter();
        sentinels.filter_map(|sentinel| records.symbols.find(&sentinel.id(&family.service))).for_each(&mut see);
    }
    records.symbols.all().filter(|id| seen[id.index()]).collect()
}
