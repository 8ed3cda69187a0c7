//! From the buffer to the outbox, and how old what waits there is.

use super::Lane;
use crate::batch::{Batch, Sequence};
use crate::clock::Moment;
use std::time::Duration;

impl Lane {
    /// Seals what is open up to batch `last`.
    pub(in crate::flusher) fn seal_up_to(&mut self, last: Sequence, now: Moment) {
        while self.next <= last && self.seal_next(now) {}
    }

    pub(super) fn seal_next(&mut self, now: Moment) -> bool {
        let secrets = &self.secrets;
        let Some(content) = self.buffer.take_next(|day| secrets.of(day)) else { return false };
        let batch = Batch::of(self.next, content, now);
        self.outbox.push(batch, self.since.unwrap_or(now));
        if self.buffer.visits() == 0 {
            self.since = None;
        }
        self.next = self.next.plus(1);
        true
    }

    /// Age of the oldest visit here that is not known to be applied.
    pub(in crate::flusher) fn oldest(&self, now: Moment) -> Option<Duration> {
        let since = self.outbox.unresolved_since().chain(self.since);
        since.map(|since| now.since(since)).max()
    }
}
