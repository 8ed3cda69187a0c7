//! Pauses after calls that failed, doubling with each one in a row. Pure: time is an argument.

use crate::clock::Moment;
use crate::timing::Timing;
use std::time::Duration;

/// How a shard has answered lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff(Option<Failures>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    last: Moment,
    in_a_row: u32,
}

impl Backoff {
    pub(super) fn succeeded(&mut self) {
        self.0 = None;
    }

    pub(super) fn failed(&mut self, now: Moment) {
        let before = self.0.map_or(0, |failures| failures.in_a_row);
        self.0 = Some(Failures { last: now, in_a_row: before.saturating_add(1) });
    }

    /// The last call failed.
    pub(super) fn is_failing(&self) -> bool {
        self.0.is_some()
    }

    /// What is left of the pause; `None` if calls may be made.
    pub(super) fn left(&self, now: Moment, timing: &Timing) -> Option<Duration> {
        let Failures { last, in_a_row } = self.0?;
        let pause = timing.first_pause.saturating_mul(1 << (in_a_row - 1).min(16)).min(timing.longest_pause);
        let left = pause.saturating_sub(now.since(last));
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Moment {
        let time = Duration::from_millis(milliseconds);
        Moment::new(time, time)
    }

    #[test]
    fn pauses_double_from_a_fifth_of_a_second_to_half_a_minute() {
        let (mut backoff, timing) = (Backoff::default(), Timing::REAL);
        let pauses = [(); 10].map(|()| {
            backoff.failed(at(0));
            backoff.left(at(0), &timing).unwrap().as_millis()
        });
        assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(backoff.left(at(29_999), &timing), Some(Duration::from_millis(1)));
        assert_eq!((backoff.left(at(30_000), &timing), backoff.is_failing()), (None, true));
    }

    #[test]
    fn after_an_answer_the_pauses_begin_anew() {
        let mut backoff = Backoff::default();
        (0..5).for_each(|_| backoff.failed(at(0)));
        backoff.succeeded();
        assert_eq!((backoff.left(at(0), &Timing::REAL), backoff.is_failing()), (None, false));
        backoff.failed(at(0));
        assert_eq!(backoff.left(at(0), &Timing::REAL), Some(Timing::REAL.first_pause));
    }
}
