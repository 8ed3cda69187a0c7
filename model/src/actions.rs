//! The steps of the system.

use crate::network::Message;
use crate::state::Batch;

/// One step. `Message`s and `Batch`es are named in full, so that a counterexample can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The writer seals its next batch for a shard.
    Seal(usize, usize),
    /// The writer calls a shard, with everything unresolved that it still has, perhaps nothing.
    Ask(usize, usize),
    /// A call arrives. Its answer sets out.
    Execute(Message),
    /// Fault: a call arrives, and will once more.
    ExecuteTwice(Message),
    /// The answer arrives.
    Receive(Message),
    /// Fault: the writer waits no longer for the answer of a shard.
    GiveUp(usize, usize),
    /// Fault: the writer parks a copy and learns so.
    Park(Batch),
    /// Fault: the writer parks a copy and hears nothing; the call arrives later, or never.
    ParkUnanswered(Batch),
    /// The writer makes sure of a copy whose holder has crashed since.
    ParkAgain(Batch),
    /// 60 s are over since the copy was acknowledged.
    AgeParking(Batch),
    /// Fault: the content of a parked batch leaves the writer's memory.
    Evict(Batch),
    /// 60 s are over since the writer saw the batch in the set.
    AgeSight(Batch),
    /// 60 s are over since the copy was marked.
    AgeMark(Batch),
    /// A shard saves its state.
    Save(usize),
    /// Fault: a shard crashes and comes back with its last saved state.
    Crash(usize),
    /// Fault: a writer dies.
    Die(usize),
    /// An idle deliverer reads a copy.
    Read(Batch),
    /// The deliverer calls the owner.
    Deliver(usize),
    /// Fault: the deliverer calls the owner and dies; the call arrives later, or never.
    DeliverLate(usize),
    /// The deliverer does to the copy what the answer asks for.
    Conclude(usize),
    /// The deliverer dies before it does.
    Abandon(usize),
}
