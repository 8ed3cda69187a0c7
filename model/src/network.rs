//! The network: what is on its way.

use crate::shard::Shard;
use crate::state::{Batch, SHARDS, bit};

/// A message in the network. It stays until it is received; one that never is, is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// A writer's call.
    Call {
        /// The caller.
        writer: usize,
        /// Whom.
        shard: usize,
        /// Bits of the batches in it.
        batches: u8,
        /// The writer's base when it called.
        base: u8,
        /// The writer still waits for the answer.
        awaited: bool,
        /// Bits of the sights that were old; kept only for designs that believe late answers.
        asked: u8,
    },
    /// The answer to a writer's call.
    Answer {
        /// The caller.
        writer: usize,
        /// The shard that answers.
        shard: usize,
        /// Bits of the sequences in the applied set.
        held: u8,
        /// The shard's incarnation.
        incarnation: u8,
        /// The writer still waits for it.
        awaited: bool,
        /// As in the call.
        asked: u8,
    },
    /// A call that parks a copy, given up by the writer.
    Park(Batch),
    /// A call of a deliverer that died.
    Deliver(Batch),
}

impl Message {
    /// Whether a writer waits for this, or for the answer to this.
    pub fn is_awaited(&self) -> bool {
        matches!(self, Self::Call { awaited: true, .. } | Self::Answer { awaited: true, .. })
    }

    /// A late call that can change nothing any more, now or after a crash.
    pub fn is_spent(&self, shards: &[Shard; SHARDS]) -> bool {
        let (writer, owner, batches, base) = match *self {
            Self::Call { writer, shard, batches, base, awaited: false, asked: 0 } => (writer, shard, batches, base),
            Self::Deliver(batch) => (batch.writer, batch.owner, bit(batch.sequence), 0),
            _ => return false,
        };
        let applied = &shards[owner].durable().applied[writer];
        applied.held() & batches == batches && base <= applied.floor
    }
}
