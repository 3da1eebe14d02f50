//! How far commands are done: a position that never passes one that is not.

use std::collections::BTreeMap;

/// Commands that were read, per partition by offset, and whether they are done.
#[derive(Debug, Default)]
pub struct Offsets(BTreeMap<i32, BTreeMap<i64, bool>>);

impl Offsets {
    /// A command was read.
    pub fn read(&mut self, (partition, offset): (i32, i64)) {
        self.0.entry(partition).or_default().entry(offset).or_insert(false);
    }

    /// A command is done. Returns the offset to read next, if that moved.
    pub fn done(&mut self, (partition, offset): (i32, i64)) -> Option<(i32, i64)> {
        let known = self.0.get_mut(&partition)?;
        *known.get_mut(&offset)? = true;
        let mut next = None;
        while let Some(first) = known.first_entry().filter(|first| *first.get()) {
            next = Some((partition, first.key() + 1));
            first.remove();
        }
        next
    }

    /// Partitions were handed out anew: what is not committed is read again.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_waits_for_the_slowest_command() {
        let mut offsets = Offsets::default();
        [(0, 5), (0, 7), (0, 9), (1, 3)].into_iter().for_each(|place| offsets.read(place));
        assert_eq!(offsets.done((0, 7)), None);
        assert_eq!(offsets.done((1, 3)), Some((1, 4)));
        assert_eq!(offsets.done((0, 5)), Some((0, 8)));
        assert_eq!((offsets.done((0, 5)), offsets.done((2, 1))), (None, None), "told twice, or of somebody else's");
        offsets.read((0, 9));
        assert_eq!(offsets.done((0, 9)), Some((0, 10)));
    }
}
