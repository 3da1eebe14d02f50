//! A whole day's facts, sorted and found by what resolvers ask for.
//!
//! In: the records of a day. Out: lookups by id, keys by the resource they open, statements by pool, usage by
//! resource. Absent: decisions about who pays.
//!
//! Numbers of texts are in the order of the texts from here on, so sorting by number is sorting by id.

use std::ops::Range;

use super::book::Book;
use super::open_day::{Attribute, Group, Line, Person, Records, Thing, Value, WholeDay};
use super::refusal::{Kind, Refusal};
use super::resolve::Sentinel;
use super::stand_in::{self, StandIn};
use super::symbols::{Renumbering, Sym, Symbols, Texts};
use crate::domain::attribution::{TOPIC, UNATTRIBUTED, topics_of};
use crate::domain::{DaySealed, Subject};

/// The facts of one day.
#[derive(Debug)]
pub struct Facts {
    pub texts: Texts,
    /// By key.
    pub lines: Vec<Line>,
    pub unallocated: Sym,
    /// Those that the rule book names, in its order.
    pub named: Vec<Sym>,
    /// Who is charged in place of whom is found, in the order of the book's mappings.
    pub stand_ins: Vec<StandIn>,
    pub unattributed: Sym,
    people: ById<Person>,
    things: ById<Thing>,
    keys: Vec<(Sym, Sym)>,
    statements: Vec<(Sym, Sym)>,
    /// (cluster, name) of the day's topics.
    topics: Vec<(Sym, Sym)>,
    groups: Vec<(Group, Range<usize>)>,
    values: Vec<(Sym, f64)>,
    /// Resources whose usage could not be fetched.
    failed: Vec<Sym>,
    api_key: Option<Sym>,
}

impl Facts {
    /// Sorts a day's records.
    ///
    /// # Errors
    /// [`Refusal::Duplicate`] if two records have the same key.
    pub fn index(day: WholeDay, book: &Book) -> Result<(Self, DaySealed), Refusal> {
        let WholeDay { mut records, seal, .. } = day;
        intern_targets(&mut records.symbols, book);
        let stand_ins = stand_in::find(&mut records, book);
        let mut failed: Vec<Sym> = seal.metrics_failed.iter().map(|id| records.symbols.intern(id)).collect();
        let Records { symbols, mut lines, mut things, mut people, mut groups, values } = records;
        let (texts, numbers) = symbols.sorted();
        lines.iter_mut().for_each(|line| line.renumber(&numbers));
        things.iter_mut().for_each(|thing| thing.renumber(&numbers));
        people.iter_mut().for_each(|person| person.renumber(&numbers));
        groups.iter_mut().for_each(|group| group.renumber(&numbers));
        failed.iter_mut().for_each(|id| numbers.apply(id));
        failed.sort_unstable();
        sort_lines(&mut lines, &texts)?;
        let things = ById::new(things, Kind::Resource, &texts, |thing| thing.id)?;
        let people = ById::new(people, Kind::Identity, &texts, |person| person.id)?;
        let (groups, values) = sort_values(groups, values, &numbers, &texts)?;
        let api_key = texts.find("api_key");
        let keys = keys(&people.items, api_key);
        let statements = statements(&things.items);
        let named: Vec<Sym> = book.named.iter().filter_map(|name| texts.find(name)).collect();
        let unallocated = *named.first().ok_or(Refusal::Incomplete)?;
        let stand_ins = stand_ins.renumbered(&numbers, &texts);
        let topics = topics(&things.items, texts.find(TOPIC));
        let unattributed = texts.find(UNATTRIBUTED).ok_or(Refusal::Incomplete)?;
        let facts = Self {
            texts,
            lines,
            unallocated,
            named,
            stand_ins,
            unattributed,
            people,
            things,
            keys,
            statements,
            topics,
            groups,
            values,
            failed,
            api_key,
        };
        Ok((facts, seal))
    }

    /// The identity, whenever it existed.
    pub fn person(&self, id: Sym) -> Option<&Person> {
        self.people.get(id)
    }

    /// The resource, whenever it existed.
    pub fn thing(&self, id: Sym) -> Option<&Thing> {
        self.things.get(id)
    }

    /// Is it an API key of the day?
    pub fn api_key(&self, id: Sym) -> Option<&Person> {
        self.person(id).filter(|person| person.overlaps && Some(person.kind) == self.api_key)
    }

    /// Owners of the day's API keys that open a resource, sorted.
    pub fn key_owners(&self, resource: Sym) -> impl Iterator<Item = Sym> {
        run(&self.keys, resource).iter().map(|(_, owner)| *owner)
    }

    /// The day's resources that say they belong to a compute pool, by id.
    pub fn in_pool(&self, pool: Sym) -> impl Iterator<Item = &Thing> {
        run(&self.statements, pool).iter().filter_map(|(_, id)| self.thing(*id))
    }

    /// Names of the day's topics that the inventory knows in a cluster, sorted.
    pub fn topics(&self, cluster: Sym) -> impl Iterator<Item = Sym> {
        run(&self.topics, cluster).iter().map(|(_, name)| *name)
    }

    /// The day's identities of these types, sorted.
    pub fn of_types(&self, types: &[String]) -> Vec<Sym> {
        let kinds: Vec<Sym> = types.iter().filter_map(|name| self.texts.find(name)).collect();
        let fits = |person: &&Person| person.overlaps && kinds.contains(&person.kind);
        let mut ids: Vec<Sym> = self.people.items.iter().filter(fits).map(|person| person.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Usage of a resource by subject, sorted by subject.
    pub fn usage(&self, resource: Sym, metric: &str, subject_type: Subject) -> &[(Sym, f64)] {
        let Some(metric) = self.texts.find(metric) else { return &[] };
        let sought = order(&Group { resource, metric, subject_type });
        let found = self.groups.binary_search_by_key(&sought, |(group, _)| order(group));
        found.map_or(&[], |at| &self.values[self.groups[at].1.clone()])
    }

    /// Could its usage not be fetched?
    pub fn usage_failed(&self, resource: Sym) -> bool {
        self.failed.binary_search(&resource).is_ok()
    }

    /// Could a cluster's usage by topic not be fetched?
    pub fn topic_usage_failed(&self, cluster: Sym) -> bool {
        !self.failed.is_empty()
            && self.texts.find(&topics_of(self.texts.text(cluster))).is_some_and(|id| self.usage_failed(id))
    }

    /// A line for a reader.
    pub fn describe(&self, line: &Line) -> String {
        describe(&self.texts, line)
    }
}

/// Things found by the number of their id.
#[derive(Debug)]
struct ById<T> {
    items: Vec<T>,
    /// One place for each text; [`NOWHERE`] if it is no id.
    places: Vec<u32>,
}

const NOWHERE: u32 = u32::MAX;

impl<T> ById<T> {
    fn new(items: Vec<T>, kind: Kind, texts: &Texts, id: impl Fn(&T) -> Sym) -> Result<Self, Refusal> {
        let mut places = vec![NOWHERE; texts.len()];
        for (place, item) in (0_u32..).zip(&items) {
            let id = id(item);
            if places[id.index()] != NOWHERE {
                return Err(Refusal::Duplicate { kind, key: texts.text(id).to_owned() });
            }
            places[id.index()] = place;
        }
        Ok(Self { items, places })
    }

    fn get(&self, id: Sym) -> Option<&T> {
        self.places.get(id.index()).and_then(|place| self.items.get(*place as usize))
    }
}

/// The pairs that begin with `first`, of a sorted list.
fn run(pairs: &[(Sym, Sym)], first: Sym) -> &[(Sym, Sym)] {
    let start = pairs.partition_point(|(key, _)| *key < first);
    let length = pairs[start..].partition_point(|(key, _)| *key == first);
    &pairs[start..start + length]
}

/// Targets that no record names must have numbers too.
fn intern_targets(symbols: &mut Symbols, book: &Book) {
    book.named.iter().for_each(|name| {
        symbols.intern(name);
    });
    symbols.intern(UNATTRIBUTED);
    for family in &book.families {
        for sentinel in Sentinel::of(family.resolver) {
            symbols.intern(&sentinel.id(&family.service));
        }
    }
}

fn line_key(line: &Line) -> [Sym; 5] {
    [line.env, line.resource, line.category, line.product, line.currency]
}

fn describe(texts: &Texts, line: &Line) -> String {
    line_key(line).map(|sym| texts.text(sym)).join(" | ")
}

fn sort_lines(lines: &mut [Line], texts: &Texts) -> Result<(), Refusal> {
    lines.sort_unstable_by_key(line_key);
    match lines.windows(2).find(|pair| line_key(&pair[0]) == line_key(&pair[1])) {
        Some(pair) => Err(Refusal::Duplicate { kind: Kind::Billing, key: describe(texts, &pair[0]) }),
        None => Ok(()),
    }
}

/// (resource, owner) of the day's API keys that have both.
fn keys(people: &[Person], api_key: Option<Sym>) -> Vec<(Sym, Sym)> {
    let keys = people.iter().filter(|person| person.overlaps && Some(person.kind) == api_key);
    let mut keys: Vec<(Sym, Sym)> = keys.filter_map(|key| Some((key.opens?, key.owner?))).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// (pool, id) of the day's resources that name a pool.
fn statements(things: &[Thing]) -> Vec<(Sym, Sym)> {
    let of_day = things.iter().filter(|thing| thing.overlaps);
    let mut statements: Vec<(Sym, Sym)> =
        of_day.filter_map(|thing| Some((thing.attribute(Attribute::ComputePool)?, thing.id))).collect();
    statements.sort_unstable();
    statements
}

/// (cluster, name) of the day's topics.
fn topics(things: &[Thing], topic: Option<Sym>) -> Vec<(Sym, Sym)> {
    let of_day = things.iter().filter(|thing| thing.overlaps && Some(thing.kind) == topic);
    let mut topics: Vec<(Sym, Sym)> = of_day.filter_map(|thing| Some((thing.parent?, thing.name?))).collect();
    topics.sort_unstable();
    topics
}

fn order(group: &Group) -> (Sym, Sym, u8) {
    (group.resource, group.metric, group.subject_type as u8)
}

type Usage = (Vec<(Group, Range<usize>)>, Vec<(Sym, f64)>);

/// Values by group, then by subject, in place of by arrival.
fn sort_values(groups: Vec<Group>, values: Vec<Value>, numbers: &Renumbering, texts: &Texts) -> Result<Usage, Refusal> {
    let mut counts = vec![0_usize; groups.len()];
    for value in &values {
        counts[value.group as usize] += 1;
    }
    let starts = |next: &mut usize, count: &usize| {
        *next += count;
        Some(*next - count)
    };
    let mut free: Vec<usize> = counts.iter().scan(0, starts).collect();
    let mut sorted = values.first().map_or(vec![], |first| vec![(first.subject, 0.0); values.len()]);
    for mut value in values {
        numbers.apply(&mut value.subject);
        let at = &mut free[value.group as usize];
        sorted[*at] = (value.subject, value.value);
        *at += 1;
    }
    let ranges = counts.iter().zip(&free).map(|(count, end)| end - count..*end);
    let mut groups: Vec<(Group, Range<usize>)> = groups.into_iter().zip(ranges).collect();
    groups.sort_unstable_by_key(|(group, _)| order(group));
    for (group, range) in &groups {
        let run = &mut sorted[range.clone()];
        run.sort_unstable_by_key(|(subject, _)| *subject);
        if let Some(pair) = run.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let key = [group.resource, group.metric, pair[0].0].map(|sym| texts.text(sym)).join(" | ");
            return Err(Refusal::Duplicate { kind: Kind::Metric, key });
        }
    }
    Ok((groups, sorted))
}

impl Line {
    fn renumber(&mut self, numbers: &Renumbering) {
        for sym in [
            &mut self.ecosystem,
            &mut self.env,
            &mut self.resource,
            &mut self.category,
            &mut self.product,
            &mut self.currency,
        ] {
            numbers.apply(sym);
        }
    }
}

impl Thing {
    fn renumber(&mut self, numbers: &Renumbering) {
        numbers.apply(&mut self.id);
        numbers.apply(&mut self.kind);
        numbers.apply_some(&mut self.name);
        numbers.apply_some(&mut self.parent);
        numbers.apply_some(&mut self.owner);
        self.attributes.iter_mut().for_each(|(_, value)| numbers.apply(value));
    }
}

impl Person {
    fn renumber(&mut self, numbers: &Renumbering) {
        numbers.apply(&mut self.id);
        numbers.apply(&mut self.kind);
        numbers.apply_some(&mut self.owner);
        numbers.apply_some(&mut self.opens);
    }
}

impl Group {
    fn renumber(&mut self, numbers: &Renumbering) {
        numbers.apply(&mut self.resource);
        numbers.apply(&mut self.metric);
    }
}
