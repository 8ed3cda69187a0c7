//! When to flush: a pure decision from what is pending and the time.

use crate::batch::MAX_BATCH_PAGES;
use crate::clock::Moment;
use std::fmt;
use std::time::Duration;

/// Work that is left for one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// Distinct pages with visits that are not sealed yet; 1 where only something else is.
    pub pages: usize,
    /// Batches whose outcome is not known.
    pub unresolved: usize,
    /// Batches among them of which no copy is parked.
    pub unparked: usize,
    /// Batches of which the shard must be asked: applied and to be confirmed, or to be delivered by others.
    pub unconfirmed: usize,
    /// A call is on its way: its caller will see to the rest.
    pub in_flight: bool,
    /// The last call failed and its pause is not over.
    pub pausing: bool,
    /// The last call failed, and copies may be stored on another shard now.
    pub can_park: bool,
}

/// Why a flush is due; it is logged with the flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A shard has a full batch.
    Full,
    /// A call failed earlier: its batches are sent again.
    Retry,
    /// Nothing was flushed yet, or not for an interval.
    Interval,
    /// The scheduled sweep asked for it.
    Sweep,
    /// A visit waits for it (`direct`).
    Direct,
    /// The environment ends.
    Shutdown,
}

impl Reason {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Retry => "retry",
            Self::Interval => "interval",
            Self::Sweep => "sweep",
            Self::Direct => "direct",
            Self::Shutdown => "shutdown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decides whether to flush now. `last_flush` is when this environment last flushed all its shards, `None`
/// if never or if it has been unregistered since: the first visit after a quiet time goes out at once.
pub fn due(
    shards: impl IntoIterator<Item = Pending>,
    last_flush: Option<Moment>,
    interval: Duration,
    now: Moment,
) -> Option<Reason> {
    let interval_over = last_flush.is_none_or(|last| now.since(last) >= interval);
    let reasons = shards.into_iter().filter_map(|shard| reason(shard, interval_over));
    reasons.min_by_key(|reason| *reason != Reason::Interval)
}

fn reason(shard: Pending, interval_over: bool) -> Option<Reason> {
    let Pending { pages, unresolved, unparked, unconfirmed, in_flight, pausing, can_park } = shard;
    // While the shard pauses, all that can be done is to park what is not parked yet.
    let (retry, confirm) = if pausing { (unparked, 0) } else { (unresolved, unconfirmed) };
    if in_flight || (pausing && !can_park) || pages + retry + confirm == 0 {
        None
    } else if interval_over {
        Some(Reason::Interval)
    } else if retry > 0 {
        Some(Reason::Retry)
    } else {
        (pages >= MAX_BATCH_PAGES).then_some(Reason::Full)
    }
}

/// Whether a shard takes part in a flush for this reason. Only those with a full batch or one to retry do
/// where that is the reason: the others would get a call for a few visits, out of turn.
pub fn takes_part(shard: Pending, reason: Reason) -> bool {
    match reason {
        Reason::Full | Reason::Retry => shard.unresolved > 0 || shard.pages >= MAX_BATCH_PAGES,
        Reason::Interval | Reason::Sweep | Reason::Direct | Reason::Shutdown => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Moment {
        let time = Duration::from_secs(seconds);
        Moment::new(time, time)
    }

    fn decide(shard: Pending, last_flush: Option<u64>, now: u64) -> Option<Reason> {
        due([Pending::default(), shard], last_flush.map(at), INTERVAL, at(now))
    }

    const SOME: Pending = Pending {
        pages: 1,
        unresolved: 0,
        unparked: 0,
        unconfirmed: 0,
        in_flight: false,
        pausing: false,
        can_park: false,
    };

    #[test]
    fn nothing_pending_is_never_due() {
        assert_eq!(decide(Pending::default(), None, 1_000), None);
    }

    #[test]
    fn the_first_visit_after_a_quiet_time_goes_out_at_once() {
        assert_eq!(decide(SOME, None, 0), Some(Reason::Interval));
        assert_eq!(decide(SOME, Some(0), 3_600), Some(Reason::Interval));
    }

    #[test]
    fn a_busy_environment_flushes_once_an_interval() {
        assert_eq!(decide(SOME, Some(100), 129), None);
        assert_eq!(decide(SOME, Some(100), 130), Some(Reason::Interval));
    }

    #[test]
    fn a_full_batch_does_not_wait() {
        let full = Pending { pages: MAX_BATCH_PAGES, ..SOME };
        assert_eq!(decide(full, Some(100), 100), Some(Reason::Full));
        assert!(takes_part(full, Reason::Full) && !takes_part(SOME, Reason::Full));
    }

    #[test]
    fn an_unresolved_batch_is_retried_as_soon_as_its_pause_is_over() {
        let failed = Pending { unresolved: 1, pages: 0, ..SOME };
        assert_eq!(decide(failed, Some(100), 100), Some(Reason::Retry));
        assert!(takes_part(failed, Reason::Retry) && !takes_part(SOME, Reason::Retry));
        assert_eq!(decide(Pending { pausing: true, ..failed }, Some(100), 100), None);
    }

    #[test]
    fn while_a_shard_pauses_what_can_be_parked_is() {
        let down = Pending { pausing: true, can_park: true, pages: 0, unresolved: 2, ..SOME };
        assert_eq!(decide(Pending { unparked: 1, ..down }, Some(100), 100), Some(Reason::Retry));
        assert_eq!(decide(down, Some(100), 1_000), None, "all is parked");
        assert_eq!(decide(Pending { pages: 1, ..down }, Some(100), 129), None);
        assert_eq!(decide(Pending { pages: 1, ..down }, Some(100), 130), Some(Reason::Interval));
        assert_eq!(decide(Pending { pages: MAX_BATCH_PAGES, ..down }, Some(100), 100), Some(Reason::Full));
        assert_eq!(decide(Pending { pages: 1, unparked: 1, can_park: false, ..down }, None, 1_000), None);
    }

    #[test]
    fn a_batch_to_confirm_is_asked_for_once_an_interval() {
        let unconfirmed = Pending { unconfirmed: 1, pages: 0, ..SOME };
        assert_eq!(decide(unconfirmed, Some(100), 129), None);
        assert_eq!(decide(unconfirmed, Some(100), 130), Some(Reason::Interval));
    }

    #[test]
    fn an_interval_that_is_over_takes_all_shards_along() {
        let full = Pending { pages: MAX_BATCH_PAGES, ..SOME };
        assert_eq!(due([full, SOME], None, INTERVAL, at(0)), Some(Reason::Interval));
        assert!(takes_part(SOME, Reason::Interval));
    }

    #[test]
    fn one_call_at_a_time_goes_to_a_shard() {
        let full = Pending { pages: MAX_BATCH_PAGES, in_flight: true, ..SOME };
        assert_eq!(decide(full, None, 100), None);
    }
}
