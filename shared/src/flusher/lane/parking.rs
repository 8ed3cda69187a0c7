//! Copies of what a shard does not take: what of it is stored elsewhere, and when.

use super::{Lane, aged};
use crate::batch::{Batch, Sequence};
use crate::clock::Moment;
use crate::flusher::backoff::Backoff;
use crate::outbox::Refuge;
use crate::store::Standing;
use std::sync::Arc;
use std::time::Duration;

/// Batches that are parked in one call, in bytes of memory: what a shard takes in a few milliseconds.
const PARK_BYTES: usize = 1024 * 1024;

/// How copies for this shard can be stored elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parking {
    /// There is another shard.
    possible: bool,
    pub(super) under_way: bool,
    /// A copy may be, or have been, stored.
    ever: bool,
    backoff: Backoff,
}

impl Parking {
    pub(super) fn new(possible: bool) -> Self {
        Self { possible, under_way: false, ever: false, backoff: Backoff::default() }
    }
}

impl Lane {
    /// Visits not known to be applied of which a copy is parked.
    pub(in crate::flusher) fn parked_visits(&self) -> u64 {
        self.outbox.parked_visits()
    }

    /// Pages of parked content that could be let go.
    pub(in crate::flusher) fn can_shed(&self) -> usize {
        self.outbox.can_shed()
    }

    /// Lets a page's worth of parked content go; whether there was one.
    pub(in crate::flusher) fn shed(&mut self) -> bool {
        self.outbox.shed(1)
    }

    /// What the writer says to the shard when it leaves with nothing to send or to confirm. A copy that was
    /// parked may still be found, on a shard that was out of reach, long after the batch was applied: then the
    /// applied set must be there to tell, so it is to be kept for as long as any.
    pub(in crate::flusher) fn farewell(&self) -> Standing {
        if self.parking.ever { Standing::Gone } else { Standing::Settled }
    }

    /// The shard does not answer, and a copy may be tried elsewhere.
    pub(in crate::flusher) fn can_park(&self, now: Moment) -> bool {
        let Parking { possible, under_way, backoff, .. } = self.parking;
        self.backoff.is_failing() && possible && !under_way && backoff.left(now, &self.timing).is_none()
    }

    /// Chooses the batches to park next, and counts this as under way until [`Lane::end_parking`]. What is
    /// open up to `seal_up_to` is sealed for it. `impatient`: also before the shard is known to fail.
    pub(in crate::flusher) fn begin_parking(
        &mut self,
        seal_up_to: Option<Sequence>,
        impatient: bool,
        now: Moment,
    ) -> Option<Vec<(Arc<Batch>, Duration)>> {
        if !self.parking.possible || (!impatient && !self.can_park(now)) {
            return None;
        }
        if let Some(last) = seal_up_to {
            self.seal_up_to(last, now);
        }
        let batches = self.outbox.next_to_park(PARK_BYTES, now, &self.timing);
        if batches.is_empty() {
            return None;
        }
        self.parking.under_way = true;
        Some(aged(batches, now))
    }

    /// Copies of these batches were sent to another shard: to `refuge`, if one has answered that it has them.
    pub(in crate::flusher) fn parked(&mut self, batches: &[Arc<Batch>], refuge: Option<Refuge>, now: Moment) {
        self.parking.ever = true;
        self.outbox.parked(batches, refuge, now, &self.timing);
    }

    /// Takes note whether any shard took the copies.
    pub(in crate::flusher) fn end_parking(&mut self, taken: bool, now: Moment) {
        self.parking.under_way = false;
        if taken {
            self.parking.backoff.succeeded();
        } else {
            self.parking.backoff.failed(now);
        }
    }
}
