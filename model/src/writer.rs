//! A writer: for each shard the batches that it has sealed and what it knows of each.

use crate::design::Design;
use crate::state::{SEQUENCES, SHARDS, Sequence, bit};

/// A writer's knowledge of a batch. The numbers are incarnations of its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// Not sealed yet.
    #[default]
    Unsealed,
    /// In the outbox, to be sent.
    Unresolved,
    /// In the outbox, seen in the applied set.
    Seen(u8),
    /// Applied for 60 s.
    Old(u8),
    /// No longer in the outbox.
    Forgotten,
}

/// A writer's knowledge of the copy of a batch. The numbers are incarnations of the shard that holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Parking {
    /// Never asked for.
    #[default]
    No,
    /// A call was given up: there may be a copy.
    Maybe,
    /// There was a copy when the shard answered.
    Acknowledged(u8),
    /// Parked for 60 s.
    Old(u8),
}

/// One batch in the eyes of its writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Whether it is applied.
    pub status: Status,
    /// Whether it is parked.
    pub parking: Parking,
    /// Its content has left memory.
    pub evicted: bool,
}

impl Entry {
    fn in_outbox(self) -> bool {
        matches!(self.status, Status::Unresolved | Status::Seen(_) | Status::Old(_))
    }

    fn holds_the_base(self, design: Design) -> bool {
        let passed = design == Design::BaseAtFirstSight
            && self.parking != Parking::No
            && matches!(self.status, Status::Seen(_) | Status::Old(_));
        self.in_outbox() && !passed
    }

    fn learn(&mut self, design: Design, held: bool, incarnation: u8, asked_when_old: bool) {
        let void = |sight: u8| design.sights_end_at_a_crash() && sight != incarnation;
        self.status = match self.status {
            Status::Unresolved if held && design == Design::ForgetAtFirstSight => Status::Forgotten,
            Status::Unresolved if held => Status::Seen(incarnation),
            Status::Seen(_) | Status::Old(_) if !held => Status::Unresolved,
            Status::Seen(sight) | Status::Old(sight) if void(sight) => Status::Seen(incarnation),
            Status::Old(_) if asked_when_old => Status::Forgotten,
            unchanged => unchanged,
        };
        if self.status == Status::Forgotten {
            *self = Self { status: Status::Forgotten, ..Self::default() };
        }
    }
}

/// A writer's state for one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lane {
    /// Every batch, by sequence.
    pub entries: [Entry; SEQUENCES],
    /// The call in flight, if any: bits of the sights that were old when it was asked.
    pub call: Option<u8>,
}

impl Lane {
    /// Number of batches sealed.
    pub fn sealed(&self) -> u8 {
        self.numbered().filter(|(_, entry)| entry.status != Status::Unsealed).fold(0, |count, _| count + 1)
    }

    /// Entries with their sequences.
    pub fn numbered(&self) -> impl Iterator<Item = (Sequence, Entry)> {
        (0..).zip(self.entries)
    }

    /// Bits of the entries that `wanted` accepts.
    pub fn bits(&self, wanted: impl Fn(Entry) -> bool) -> u8 {
        self.numbered().filter(|(_, entry)| wanted(*entry)).fold(0, |bits, (sequence, _)| bits | bit(sequence))
    }

    /// Bits of what a call carries.
    pub fn to_send(&self) -> u8 {
        self.bits(|entry| entry.status == Status::Unresolved && !entry.evicted)
    }

    /// Bits of the sights that are old.
    pub fn old(&self) -> u8 {
        self.bits(|entry| matches!(entry.status, Status::Old(_)))
    }

    /// Bits of the batches that are not forgotten.
    pub fn outbox(&self) -> u8 {
        self.bits(Entry::in_outbox)
    }

    /// The lowest sequence that could still be sent.
    pub fn base(&self, design: Design) -> u8 {
        let lowest = self.numbered().find(|(_, entry)| entry.holds_the_base(design));
        lowest.map_or(self.sealed(), |(sequence, _)| sequence)
    }

    /// Learns from an answer that holds these sequences, given in this incarnation of the shard to a call
    /// that was asked when the sights `asked` were old. Returns whether data was seen to be lost.
    pub fn learn(&mut self, design: Design, held: u8, incarnation: u8, asked: u8) -> bool {
        let unresolved = self.bits(|entry| entry.status == Status::Unresolved);
        for (sequence, entry) in (0..).zip(&mut self.entries) {
            entry.learn(design, held & bit(sequence) != 0, incarnation, asked & bit(sequence) != 0);
        }
        self.bits(|entry| entry.status == Status::Unresolved) & !unresolved != 0
    }

    /// The mutant [`Design::MergeBack`]: what is unresolved goes into a new batch.
    pub fn merge_back(&mut self) {
        let sealed = usize::from(self.sealed());
        if self.outbox() != 0 && sealed < SEQUENCES {
            for entry in self.entries.iter_mut().filter(|entry| entry.status == Status::Unresolved) {
                entry.status = Status::Forgotten;
            }
            self.entries[sealed].status = Status::Unresolved;
        }
    }
}

/// A writer. Dead, it knows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Whether the environment lives.
    pub alive: bool,
    /// Its state for each shard.
    pub lanes: [Lane; SHARDS],
}
