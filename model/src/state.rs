//! The whole system at one moment.

use crate::config::{Config, Faults};
use crate::design::Design;
use crate::network::Message;
use crate::shard::{Shard, Slot};
use crate::writer::{Status, Writer};

/// Number of writers.
pub const WRITERS: usize = 2;
/// Number of shards. A copy for one is parked on the other.
pub const SHARDS: usize = 2;
/// Most batches of one writer for one shard.
pub const SEQUENCES: usize = 3;
/// Most deliverers.
pub const DELIVERERS: usize = 2;

/// A batch's number, from 0.
pub type Sequence = u8;

/// The bit of a sequence.
pub fn bit(sequence: Sequence) -> u8 {
    1 << sequence
}

/// The sequences of a bit set, in order.
pub fn sequences_in(bits: u8) -> impl Iterator<Item = Sequence> {
    (0..8).filter(move |&sequence| bits & bit(sequence) != 0)
}

/// A batch, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Batch {
    /// The writer that sealed it.
    pub writer: usize,
    /// The shard that it is for.
    pub owner: usize,
    /// Its number.
    pub sequence: Sequence,
}

impl Batch {
    /// The shard where copies of it are parked.
    pub fn holder(self) -> usize {
        1 - self.owner
    }

    /// Its place in a writer's or holder's array.
    pub fn index(self) -> usize {
        usize::from(self.sequence)
    }
}

/// A deliverer, between its steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Deliverer {
    /// Has nothing in hand.
    #[default]
    Idle,
    /// Has read a copy and its mark.
    Read(Batch, Slot),
    /// Has called the owner as well.
    Answered {
        /// The batch.
        batch: Batch,
        /// The mark as it was read.
        mark: Slot,
        /// Whether the owner applied it just now.
        fresh: bool,
        /// The owner's incarnation.
        incarnation: u8,
    },
}

/// Things that happened, to show that the model can do them. Recorded only in a configuration that has no
/// other purpose than showing: they would multiply the states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witness(pub u8);

impl Witness {
    /// A batch was seen, then lost by its shard.
    pub const HEALING: u8 = 1;
    /// A parked batch of a dead writer was applied by a deliverer.
    pub const DELIVERED: u8 = 2;
    /// A copy was deleted.
    pub const DELETED: u8 = 4;
    /// A batch was applied whose content had left its writer's memory.
    pub const EVICTED: u8 = 8;
    /// A given-up call arrived and changed counts.
    pub const LATE: u8 = 16;
}

/// The whole system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The writers.
    pub writers: [Writer; WRITERS],
    /// The shards.
    pub shards: [Shard; SHARDS],
    /// The network, sorted: its order means nothing.
    pub network: Vec<Message>,
    /// The deliverers, sorted: they are all alike.
    pub deliverers: [Deliverer; DELIVERERS],
    /// Faults that may still happen; `crashes` are counted in the shards.
    pub faults: Faults,
    /// `insured[writer][owner]`, bits: batches that had a saved copy and must be counted, whichever environment dies.
    /// Ghost: no part of the protocol.
    pub insured: [[u8; SHARDS]; WRITERS],
    /// Ghost: see [`Witness`].
    pub witness: Witness,
}

impl State {
    /// The beginning.
    pub fn initial(config: &Config) -> Self {
        let shard = |crashes_left| Shard { crashes_left, ..Shard::default() };
        Self {
            writers: [Writer { alive: true, ..Writer::default() }; WRITERS],
            shards: config.faults.crashes.map(shard),
            network: Vec::new(),
            deliverers: [Deliverer::Idle; DELIVERERS],
            faults: Faults { crashes: [0; SHARDS], ..config.faults },
            insured: [[0; SHARDS]; WRITERS],
            witness: Witness::default(),
        }
    }

    /// Every copy, with its mark.
    pub fn copies(&self) -> impl Iterator<Item = (Batch, Slot)> {
        let batches = (0..SHARDS).flat_map(|owner| (0..WRITERS).map(move |writer| (owner, writer)));
        let batches = batches.flat_map(|(owner, writer)| (0..3).map(move |sequence| Batch { writer, owner, sequence }));
        batches.map(|batch| (batch, self.slot(batch))).filter(|(_, slot)| *slot != Slot::Empty)
    }

    /// Where a copy of the batch would be.
    pub fn slot(&self, batch: Batch) -> Slot {
        self.shards[batch.holder()].live.copies[batch.writer][batch.index()]
    }

    /// Returns a batch's slot, to change it.
    pub fn slot_mut(&mut self, batch: Batch) -> &mut Slot {
        &mut self.shards[batch.holder()].live.copies[batch.writer][batch.index()]
    }

    /// No call is on its way that anyone waits for, and everything is sealed.
    pub fn at_rest(&self, config: &Config) -> bool {
        self.deliverers.iter().all(|deliverer| *deliverer == Deliverer::Idle)
            && !self.network.iter().any(Message::is_awaited)
            && self.writers.iter().zip(&config.batches).filter(|(writer, _)| writer.alive).all(|(writer, batches)| {
                writer.lanes.iter().zip(batches).all(|(lane, &batches)| {
                    let unsealed = lane.entries.iter().take(usize::from(batches));
                    lane.call.is_none() && unsealed.clone().all(|entry| entry.status != Status::Unsealed)
                })
            })
    }

    /// Whether nothing differs but what is saved.
    pub fn same_but_saves(&self, other: &Self) -> bool {
        let mut saved = other.clone();
        for (shard, from) in saved.shards.iter_mut().zip(&self.shards) {
            shard.saved = from.saved;
        }
        saved.insured = self.insured;
        *self == saved
    }

    /// Brings what is the same in effect into one form.
    pub fn normalise(&mut self, design: Design) {
        self.network.sort_unstable();
        self.deliverers.sort_unstable();
        let shards = self.shards;
        for (writer, owner) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let copies = &shards[1 - owner].durable().copies[writer];
            let saved = (0..).zip(copies).filter(|(_, slot)| **slot != Slot::Empty);
            let insured = saved.fold(self.insured[writer][owner], |bits, (sequence, _)| bits | bit(sequence));
            // What is counted and saved needs no insurance any more.
            self.insured[writer][owner] = insured & !shards[owner].durable().applied[writer].counted;
        }
        if !design.believes_late_answers() {
            self.network.retain(|message| !message.is_spent(&shards));
        }
    }
}
