//! What a shard says of one writer: which of its batches are applied.

use crate::batch::Sequence;
use std::collections::BTreeSet;

/// The applied set of a writer on a shard, as it stood when a call was answered: all sequences up to a
/// floor and a few above it, kept like TCP's selective acknowledgements (RFC 2018), and sums.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedSet {
    /// Every sequence up to this number is applied, or will never be sent again. 0: none.
    pub floor: u64,
    /// The applied sequences above the floor.
    pub above: BTreeSet<u64>,
    /// Visits in all batches applied, as the shard added them up.
    pub visits: u64,
    /// Visits among them that met a key which could not be counted up.
    pub rejected: u64,
}

impl AppliedSet {
    /// Whether the batch with this number is applied.
    pub fn contains(&self, sequence: Sequence) -> bool {
        sequence.get() <= self.floor || self.above.contains(&sequence.get())
    }

    /// Adds `sequence` and lets the floor rise over what is now without a gap.
    pub fn insert(&mut self, sequence: Sequence) {
        if !self.contains(sequence) {
            self.above.insert(sequence.get());
            self.raise(self.floor);
        }
    }

    /// Moves the floor up to at least `floor`, and over whatever follows it without a gap.
    pub fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        while self.above.remove(&(self.floor + 1)) {
            self.floor += 1;
        }
        self.above = self.above.split_off(&(self.floor + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(number: u64) -> Sequence {
        Sequence::new(number).unwrap()
    }

    #[test]
    fn the_floor_rises_only_over_what_has_no_gap() {
        let mut set = AppliedSet::default();
        set.insert(sequence(1));
        set.insert(sequence(3));
        assert_eq!((set.floor, set.contains(sequence(2)), set.contains(sequence(3))), (1, false, true));
        set.insert(sequence(2));
        assert_eq!((set.floor, set.above.len()), (3, 0));
    }

    #[test]
    fn raising_the_floor_forgets_what_is_below_and_joins_what_follows() {
        let mut set = AppliedSet { floor: 1, above: [3, 6, 9].into(), ..AppliedSet::default() };
        set.raise(5);
        assert_eq!((set.floor, set.above), (6, [9].into()));
    }
}
