//! Which records of a revision have arrived, as ranges.

use std::fmt;

/// A set of ordinals. Records come in order, so it is one range nearly always.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ordinals(Vec<(u32, u32)>);

impl Ordinals {
    /// Adds one; false if it was there already.
    pub fn insert(&mut self, ordinal: u32) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < ordinal);
        match self.0.get_mut(at) {
            Some((start, end)) if *start <= ordinal && ordinal < *end => return false,
            Some((_, end)) if *end == ordinal => *end += 1,
            Some((start, _)) if *start == ordinal + 1 => *start = ordinal,
            _ => self.0.insert(at, (ordinal, ordinal + 1)),
        }
        self.join(at);
        true
    }

    /// How many there are.
    pub fn len(&self) -> u32 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a Postgres multirange, `{[0,5),[7,9)}`.
    pub fn parse(text: &str) -> Option<Self> {
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        if inner.is_empty() {
            return Some(Self::default());
        }
        let ranges = inner.strip_prefix('[')?.strip_suffix(')')?.split("),[").map(|range| {
            let (start, end) = range.split_once(',')?;
            Some((start.parse().ok()?, end.parse().ok()?))
        });
        ranges.collect::<Option<_>>().map(Self)
    }

    fn join(&mut self, at: usize) {
        if let (Some((_, end)), Some((next, next_end))) = (self.0.get(at).copied(), self.0.get(at + 1).copied())
            && end == next
        {
            self.0[at].1 = next_end;
            self.0.remove(at + 1);
        }
    }
}

/// As a Postgres multirange.
impl fmt::Display for Ordinals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<String> = self.0.iter().map(|(start, end)| format!("[{start},{end})")).collect();
        write!(f, "{{{}}}", ranges.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ordinals: &[u32]) -> Ordinals {
        let mut set = Ordinals::default();
        for ordinal in ordinals {
            set.insert(*ordinal);
        }
        set
    }

    #[test]
    fn neighbours_become_one_range_whatever_the_order() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3], [2, 0, 3, 1]] {
            assert_eq!(of(&order).to_string(), "{[0,4)}", "{order:?}");
        }
        assert_eq!(of(&[5, 0, 1, 7]).to_string(), "{[0,2),[5,6),[7,8)}");
    }

    #[test]
    fn a_repeated_ordinal_counts_once() {
        let mut set = of(&[0, 1, 5]);
        assert!(!set.insert(1) && !set.insert(5) && !set.insert(0));
        assert_eq!(set.len(), 3);
    }

    #[test]
    fn reads_what_it_writes() {
        for set in [of(&[]), of(&[0]), of(&[0, 1, 5, 9])] {
            assert_eq!(Ordinals::parse(&set.to_string()), Some(set));
        }
        assert_eq!(Ordinals::parse("{[0,x)}"), None);
    }
}
