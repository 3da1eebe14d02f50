//! Texts as numbers: a day repeats the same few ids a million times.
//!
//! In: texts in any order. Out: a number for each, and at the end numbers in the order of the texts.
//! Absent: what the texts mean.

use std::cmp::Ordering;

use ahash::RandomState;
use hashbrown::HashTable;

/// The number of a text. Numbers of [`Texts`] compare as the texts do, those of [`Symbols`] do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sym(u32);

impl Sym {
    /// As an index of arrays with one place for each text.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Texts end to end in one string, each once.
#[derive(Debug, Default)]
struct Arena {
    text: String,
    ends: Vec<usize>,
}

impl Arena {
    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    #[inline]
    fn get(&self, place: u32) -> &str {
        let place = place as usize;
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[place]]
    }
}

/// A growing set of texts, numbered in order of arrival.
#[derive(Debug)]
pub struct Symbols {
    arena: Arena,
    table: HashTable<u32>,
    hasher: RandomState,
}

impl Default for Symbols {
    fn default() -> Self {
        Self { arena: Arena::default(), table: HashTable::new(), hasher: RandomState::new() }
    }
}

impl Symbols {
    /// The number of `text`, a new one if it was not known.
    pub fn intern(&mut self, text: &str) -> Sym {
        let Self { arena, table, hasher } = self;
        let hash = hasher.hash_one(text);
        let entry = table.entry(hash, |place| arena.get(*place) == text, |place| hasher.hash_one(arena.get(*place)));
        // A day's records are limited far below 2³² texts (`open_day::LIMIT`).
        let next = arena.ends.len() as u32;
        let place = *entry.or_insert(next).get();
        if place == next {
            arena.push(text);
        }
        Sym(place)
    }

    /// The number of a text that is not empty.
    pub fn intern_some(&mut self, text: Option<&str>) -> Option<Sym> {
        text.filter(|text| !text.is_empty()).map(|text| self.intern(text))
    }

    /// The text of a number given out by this set.
    pub fn text(&self, sym: Sym) -> &str {
        self.arena.get(sym.0)
    }

    /// The number of a text, if it has one.
    pub fn find(&self, text: &str) -> Option<Sym> {
        let found = self.table.find(self.hasher.hash_one(text), |place| self.arena.get(*place) == text);
        found.map(|place| Sym(*place))
    }

    /// The numbers given out so far, in order of arrival.
    pub fn all(&self) -> impl Iterator<Item = Sym> + use<> {
        (0..self.len() as u32).map(Sym)
    }

    /// How many numbers were given out.
    pub fn len(&self) -> usize {
        self.arena.ends.len()
    }

    /// Was none given out?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory held, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.arena.text.capacity() + self.arena.ends.capacity() * 8 + self.table.capacity() * 6
    }

    /// Ends the growth and numbers the texts in their order (that of their bytes, which is that of code points).
    pub fn sorted(self) -> (Texts, Renumbering) {
        let arena = self.arena;
        let mut keyed: Vec<(u128, u32)> =
            (0..arena.ends.len() as u32).map(|place| (prefix(arena.get(place)), place)).collect();
        keyed.sort_unstable_by(|a, b| match a.0.cmp(&b.0) {
            Ordering::Equal => arena.get(a.1).cmp(arena.get(b.1)),
            unequal => unequal,
        });
        // Copied in their order: rows name texts in that order, and looking them up here and there was a seventh of
        // the allocation.
        let mut sorted =
            Arena { text: String::with_capacity(arena.text.len()), ends: Vec::with_capacity(arena.ends.len()) };
        let mut numbers = vec![Sym(0); keyed.len()];
        for (number, (_, place)) in (0_u32..).zip(keyed) {
            sorted.push(arena.get(place));
            numbers[place as usize] = Sym(number);
        }
        (Texts(sorted), Renumbering(numbers))
    }
}

/// The first sixteen bytes as a number that compares as they do: most ids differ there.
fn prefix(text: &str) -> u128 {
    let mut bytes = [0; 16];
    let length = text.len().min(16);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    u128::from_be_bytes(bytes)
}

/// From numbers by arrival to numbers by text.
#[derive(Debug)]
pub struct Renumbering(Vec<Sym>);

impl Renumbering {
    /// Replaces a number by arrival.
    pub fn apply(&self, sym: &mut Sym) {
        *sym = self.0[sym.index()];
    }

    /// Replaces a number by arrival, if there is one.
    pub fn apply_some(&self, sym: &mut Option<Sym>) {
        if let Some(sym) = sym {
            self.apply(sym);
        }
    }
}

/// A finished set of texts, numbered in their order.
#[derive(Debug, Default)]
pub struct Texts(Arena);

impl Texts {
    /// The text of a number.
    pub fn text(&self, sym: Sym) -> &str {
        self.0.get(sym.0)
    }

    /// The number of a text, if it is among them.
    pub fn find(&self, text: &str) -> Option<Sym> {
        let (mut low, mut high) = (0, self.len() as u32);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.0.get(middle).cmp(text) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(Sym(middle)),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The numbers of all texts, in order.
    pub fn all(&self) -> impl Iterator<Item = Sym> {
        (0..self.len() as u32).map(Sym)
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.0.ends.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_compare_as_texts_do(texts in prop::collection::vec("[a-c\0é]{0,20}", 0..40)) {
            let mut symbols = Symbols::default();
            let mut syms: Vec<Sym> = texts.iter().map(|text| symbols.intern(text)).collect();
            for (sym, text) in syms.iter().zip(&texts) {
                prop_assert_eq!(symbols.text(*sym), text);
                prop_assert_eq!(symbols.intern(text), *sym);
            }
            let (sorted, numbers) = symbols.sorted();
            syms.iter_mut().for_each(|sym| numbers.apply(sym));
            for (a, x) in syms.iter().zip(&texts) {
                prop_assert_eq!(sorted.text(*a), x);
                prop_assert_eq!(sorted.find(x), Some(*a));
                for (b, y) in syms.iter().zip(&texts) {
                    prop_assert_eq!(a.cmp(b), x.cmp(y));
                }
            }
            prop_assert_eq!(sorted.find("absent"), None);
        }
    }
}
