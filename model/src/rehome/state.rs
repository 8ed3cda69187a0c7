//! The whole system at one moment.

use super::config::Config;
use super::flusher::{Flusher, Stage};
use super::shard::{Data, Mark, ROUNDS, Shard};

/// Most shards.
pub const SHARDS: usize = 3;
/// A ring: 1 more than the shard that it gives the page to. 0 is none.
pub type Ring = u8;
/// Counts the times that all shards were marked. Each shard has the round that it was last marked for.
pub type Round = u8;

/// The shard that a ring gives the page to.
pub fn owner(ring: Ring) -> usize {
    usize::from(ring) - 1
}

/// A reader under way: what it has read, and between what its answer must lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reader {
    /// Bits: shards read.
    pub seen: u8,
    /// The sum of their totals.
    pub total: u8,
    /// `out - in` of each source and round.
    pub net: [[i8; ROUNDS]; SHARDS],
    /// The fewest visits there were meanwhile.
    pub least: u8,
    /// The most.
    pub most: u8,
}

impl Reader {
    /// Reads one shard.
    pub fn read(&mut self, shard: usize, data: &Data) {
        self.seen |= 1 << shard;
        self.total += data.page.total;
        for round in 0..ROUNDS {
            self.net[shard][round] += data.page.out[round].cast_signed();
            for (net, into) in self.net.iter_mut().zip(&data.page.into) {
                net[round] -= into[round].cast_signed();
            }
        }
    }

    /// The reader's formula.
    pub fn count(&self, max: bool) -> i8 {
        let moved = |net: &i8| if max { (*net).max(0) } else { *net };
        self.total.cast_signed() + self.net.iter().flatten().map(moved).sum::<i8>()
    }
}

/// The whole system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The shards.
    pub shards: [Shard; SHARDS],
    /// The flushers, sorted.
    pub flushers: Vec<Flusher>,
    /// Announcements that may still be made, for each ring.
    pub announcements: [u8; 4],
    /// The reader, if it is under way.
    pub reader: Option<Reader>,
    /// Reads that may still begin.
    pub reads: u8,
    /// Ghost: a read was wrong.
    pub misread: bool,
}

impl State {
    /// The beginning.
    pub fn initial(config: &Config) -> Self {
        let mut shards: [Shard; SHARDS] = std::array::from_fn(|shard| Shard {
            live: Data { ring: config.rings[shard], ..Data::default() },
            crashes_left: config.crashes[shard],
            ..Shard::default()
        });
        for (number, visit) in config.visits.iter().enumerate().filter(|(_, visit)| visit.initial) {
            shards[visit.shard].live.visits |= 1 << number;
            shards[visit.shard].live.page.total += 1;
        }
        shards.iter_mut().for_each(Shard::save);
        Self {
            shards,
            flushers: config.flushers.iter().map(|&ring| Flusher { ring, stage: Stage::Idle }).collect(),
            announcements: config.announcements,
            reader: None,
            reads: config.reads,
            misread: false,
        }
    }

    /// Visits applied, wherever they are now, that are not lost by a crash: what a read should give.
    pub fn expected(&self) -> u8 {
        self.applied(|_| true)
    }

    /// Counts the applied ones of some visits.
    pub fn applied(&self, which: impl Fn(usize) -> bool) -> u8 {
        let bits = self.shards.iter().fold(0, |bits, shard| bits | shard.live.visits);
        (0..8).filter(|&number| bits & (1 << number) != 0 && which(number)).fold(0, |sum, _| sum + 1)
    }

    /// Returns the count that a reader of all shards gets.
    pub fn counted(&self, max: bool) -> i8 {
        let mut reader = Reader::default();
        (0..).zip(&self.shards).for_each(|(number, shard)| reader.read(number, &shard.live));
        reader.count(max)
    }

    /// The moves that anybody knows of.
    pub fn known_moves(&self) -> impl Iterator<Item = (usize, u8)> {
        let stored = (0..).zip(&self.shards).flat_map(|(from, shard)| {
            shard.states().flat_map(move |data| data.moves.iter().map(move |it| (from, it.writer)))
        });
        let carried = self.flushers.iter().filter_map(|flusher| match flusher.stage {
            Stage::Carrying { from, it } => Some((from, it.writer)),
            Stage::Marks { from, writer, .. } | Stage::Deletes { from, writer } => Some((from, writer)),
            _ => None,
        });
        stored.chain(carried)
    }

    /// Changes every mark that tells of a run of the shard.
    pub fn marks_of(&mut self, shard: usize, mut change: impl FnMut(&mut Mark)) {
        self.shards[shard].states_mut().for_each(|data| data.own_marks(&mut change));
        for data in self.shards.iter_mut().flat_map(Shard::states_mut) {
            data.marks_of(shard, &mut change);
        }
        for flusher in &mut self.flushers {
            if let Stage::Carrying { it, .. } = &mut flusher.stage
                && it.to == shard
            {
                change(&mut it.delivered);
            }
        }
    }
}
