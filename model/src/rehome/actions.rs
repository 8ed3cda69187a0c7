//! The steps of the system.

/// One step. Flushers are named by their place, which may change with each step; shards by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A visit is applied: that of a batch, by any sender.
    Apply(usize),
    /// A flusher reads a shard's record. Having read all, it begins what they ask for.
    Look(usize, usize),
    /// A flusher marks a shard.
    Mark(usize, usize),
    /// All shards were marked: it scans a shard, and takes the page if it is misplaced.
    Take(usize, usize),
    /// All shards were cleaned for 60 s: `in:` fields go on one.
    CleanIn(usize, usize),
    /// They are gone on all: one is settled.
    Settle(usize, usize),
    /// An idle flusher reads a shard's move with its marks.
    Read(usize, usize, usize),
    /// A flusher delivers its move.
    Deliver(usize),
    /// A flusher delivers its move; the answer is lost, and it may try again.
    DeliverUnanswered(usize),
    /// A flusher marks or deletes the move, as the answer asks for. It may do so again.
    Conclude(usize),
    /// A flusher's run ends, or is cut off.
    CutOff(usize),
    /// The seen mark of a shard's move is of another run of its server: it is renewed.
    RenewSeen(usize, usize),
    /// The end of the first stage on a shard.
    EndTake(usize),
    /// `out:` fields go.
    CleanOut(usize),
    /// The cleaned mark is of another run: they may have come back.
    CleanOutAgain(usize),
    /// A minute is over for a shard: what it has is on disk, and marks of its run are old.
    Minute(usize),
    /// A shard's present state is one that a crash may leave.
    Keep(usize),
    /// Fault: a shard crashes, back to what is safe, or to what was kept.
    Crash(usize, bool),
    /// A reader asks a shard, perhaps as the first.
    Ask(usize),
    /// Mutant: a destination forgets a move that its source has deleted.
    Forget(usize, u8),
}
