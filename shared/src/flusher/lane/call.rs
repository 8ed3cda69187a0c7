//! A call to a shard: how it is chosen, what it carries, and where a visit that waits for it stands.

use crate::batch::Sequence;
use crate::clock::Moment;
use crate::store::{Apply, Standing};

/// How a call is to be chosen.
#[derive(Clone, Copy, Debug)]
pub(in crate::flusher) struct Want {
    /// Seal open batches up to this one; those sealed before are always sent.
    pub(in crate::flusher) seal_up_to: Sequence,
    /// With nothing to send, ask whether applied batches are still there.
    pub(in crate::flusher) confirm: bool,
    /// Do not wait for a call in flight or for the end of a pause.
    pub(in crate::flusher) impatient: bool,
    /// What the writer tells the shard about itself.
    pub(in crate::flusher) standing: Standing,
}

/// A call to the shard, from begin to end.
#[derive(Clone, Debug)]
pub(in crate::flusher) struct Call {
    pub(in crate::flusher) number: u64,
    pub(in crate::flusher) asked: Moment,
    pub(in crate::flusher) apply: Apply,
}

impl Call {
    pub(super) fn covers(&self) -> Option<Sequence> {
        self.apply.batches.last().map(|(batch, _)| batch.sequence())
    }
}

/// Where a visit that waits for its batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flusher) enum Place {
    /// Its batch is applied, or parked.
    Safe,
    /// A call that carried its batch failed, or the shard pauses after one that did not, and no copy could
    /// be parked.
    Failed,
    /// A call is on its way; another one may be begun after it.
    Wait,
    /// Nothing is on its way: begin a call.
    Begin,
}
