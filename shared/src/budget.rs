//! The time that a step of `flush-visits` may take: deliveries, the sweep, the roll-up, re-homing.
//!
//! A step begins no call once its time to begin is over, and what is under way then has a grace: an answer that comes
//! is taken note of. After that the step is cut off, as by the end of the environment. All steps survive that: the
//! next run goes on where this one stopped.

use crate::clock::Moment;
use std::time::Duration;

/// Longest grace: a call of a silent shard, with its connection, and a note of what was learned before it.
const GRACE: Duration = Duration::from_secs(3);

/// The time of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    begin: Duration,
    grace: Duration,
}

impl Budget {
    /// Returns the budget of a step that ends within `time`: it begins nothing in the last third of it, at most three
    /// seconds.
    pub fn within(time: Duration) -> Self {
        let grace = (time / 3).min(GRACE);
        Self { begin: time.saturating_sub(grace), grace }
    }

    /// Whether a step that began at `started` may begin no further call.
    pub fn is_over(self, started: Moment, now: Moment) -> bool {
        now.since(started) >= self.begin
    }

    /// Returns all of it.
    pub fn whole(self) -> Duration {
        self.begin.saturating_add(self.grace)
    }

    /// Runs a step and cuts it off at the end of its grace.
    pub async fn cut_off(self, name: &'static str, step: impl Future<Output = ()>) {
        if tokio::time::timeout(self.whole(), step).await.is_err() {
            tracing::warn!(step = name, after = ?self.whole(), "a step was cut off; the next run goes on");
        }
    }
}

impl From<Duration> for Budget {
    /// A step begins calls for this long, and has the longest grace after it.
    fn from(begin: Duration) -> Self {
        Self { begin, grace: GRACE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_begins_nothing_in_the_last_third_of_its_time_or_the_last_three_seconds() {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        for (time, begin) in [(ms(600), ms(400)), (s(9), s(6)), (s(30), s(27)), (s(0), s(0))] {
            let (budget, started) = (Budget::within(time), Moment::new(s(5), s(5)));
            let at = |after: Duration| Moment::new(s(5) + after, s(5) + after);
            assert_eq!(budget.whole(), time);
            assert!(budget.is_over(started, at(begin)));
            assert!(begin.is_zero() || !budget.is_over(started, at(begin.saturating_sub(ms(1)))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_cut_off() {
        let began = tokio::time::Instant::now();
        Budget::within(Duration::from_secs(2)).cut_off("test", std::future::pending()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(2));
    }
}
