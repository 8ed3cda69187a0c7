//! A shard: its part of the page, its moves, its record of the change, and what a crash leaves of them.

use super::state::{Ring, Round, SHARDS};

/// Rounds that can be told apart; they are renumbered as they go out of use.
pub const ROUNDS: usize = 8;

/// A time mark, and the run of the server it belongs to. Runs need no numbers: what is not of the present
/// run never counts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mark {
    /// No mark.
    #[default]
    None,
    /// Of an earlier run.
    Void,
    /// Of this run, less than 60 s old.
    Fresh,
    /// Of this run, 60 s old or more.
    Old,
}

impl Mark {
    /// 60 s are over.
    pub fn age(&mut self) {
        if *self == Self::Fresh {
            *self = Self::Old;
        }
    }

    /// The server has crashed.
    pub fn void(&mut self) {
        if *self != Self::None {
            *self = Self::Void;
        }
    }
}

/// The page's record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Page {
    /// `total`.
    pub total: u8,
    /// `out:<round>`.
    pub out: [u8; ROUNDS],
    /// `in:<shard>:<round>`.
    pub into: [[u8; ROUNDS]; SHARDS],
}

/// Records that were taken, and wait to be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Move {
    /// Its writer: fresh and random.
    pub writer: u8,
    /// Where it goes.
    pub to: usize,
    /// Visits in it.
    pub sum: u8,
    /// The round that it was taken in.
    pub round: Round,
    /// When the take was seen, by the clock and run of the shard it is on.
    pub seen: Mark,
    /// When it was found delivered, in the run of its destination.
    pub delivered: Mark,
}

/// Where a shard is in the change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pass {
    /// Nothing to do: not `moving`.
    #[default]
    Settled,
    /// Misplaced pages are being taken; moves may be left.
    Take {
        /// A scan has been at the page since the last late write.
        scanned: bool,
    },
    /// No move is left; `out:` fields are being deleted.
    Out,
    /// They are gone, since then; `in:` fields are being deleted.
    Cleaned(Mark),
}

/// Everything that a crash rolls back together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Data {
    /// The page.
    pub page: Page,
    /// Moves, sorted.
    pub moves: Vec<Move>,
    /// Bits: writers of moves that were delivered here.
    pub applied: u16,
    /// Bits: visits that were applied here. They are what the batch protocol guarantees.
    pub visits: u8,
    /// The ring in force, 0 for none.
    pub ring: Ring,
    /// Something was taken since it was settled last.
    pub taken: bool,
    /// The `late` counter is above 0.
    pub late: bool,
    /// The round that it was marked for.
    pub round: Round,
    /// Where it is in it.
    pub pass: Pass,
}

impl Data {
    /// All its marks of its own clock and run.
    pub fn own_marks(&mut self, mut change: impl FnMut(&mut Mark)) {
        self.moves.iter_mut().for_each(|it| change(&mut it.seen));
        if let Pass::Cleaned(mark) = &mut self.pass {
            change(mark);
        }
    }

    /// All its marks that tell of a run of another shard.
    pub fn marks_of(&mut self, shard: usize, mut change: impl FnMut(&mut Mark)) {
        self.moves.iter_mut().filter(|it| it.to == shard).for_each(|it| change(&mut it.delivered));
    }

    /// Deletes what a scan deletes of fields up to a round.
    pub fn clean(fields: &mut [u8; ROUNDS], round: Round) {
        fields[..=usize::from(round)].fill(0);
    }
}

/// A shard now, and what a crash may leave of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shard {
    /// The data that calls see.
    pub live: Data,
    /// No crash goes back behind this. Empty once the shard cannot crash any more.
    pub safe: Data,
    /// A later state to which a crash may go back as well. Being left by a crash makes nothing safe.
    pub kept: Option<Data>,
    /// Crashes to come, at most.
    pub crashes_left: u8,
}

impl Shard {
    /// The states that it is in or may come back in.
    pub fn states(&self) -> impl Iterator<Item = &Data> {
        [&self.live, &self.safe].into_iter().chain(&self.kept)
    }

    /// Returns all states of the data, to change them.
    pub fn states_mut(&mut self) -> impl Iterator<Item = &mut Data> {
        [&mut self.live, &mut self.safe].into_iter().chain(&mut self.kept)
    }

    /// Saves the data: what was written until now survives every later crash.
    pub fn save(&mut self) {
        self.kept = None;
        self.safe = if self.crashes_left > 0 { self.live.clone() } else { Data::default() };
    }

    /// Comes back as it was kept, or as it is safe.
    pub fn crash(&mut self, kept: bool) {
        let left = if kept { self.kept.clone() } else { Some(self.safe.clone()) };
        if !kept {
            self.kept = None;
        }
        self.live = left.unwrap_or_default();
        self.crashes_left -= 1;
        if self.crashes_left == 0 {
            self.save();
        }
    }
}
