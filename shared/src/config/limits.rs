//! The ranges of the settings, each with its reason.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Zero turns the cache off. Above an hour a count would look stuck rather than cached.
pub(super) const CACHE_TTL: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

/// A cached page takes some 150 bytes with its id, so the most that is accepted needs 1.5 GB: more than a
/// function that answers counts should be given. A TTL of 0 turns the cache off, so 0 pages is a mistake.
pub(super) const CACHE_PAGES: RangeInclusive<usize> = 1..=10_000_000;

/// Below 100 ms a busy environment would write with nearly every visit: that is what `direct` is for. Above
/// 10 minutes Lambda often ends an idle environment (after some 5 to 15) before the flush is due.
pub(super) const FLUSH_INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(10);

/// A buffered page takes up to 600 bytes, so the most that is accepted needs 600 MB.
pub(super) const BUFFER_PAGES: RangeInclusive<usize> = 1..=1_000_000;

/// Each is an invocation at the same moment; an account has 1,000 by default, and the site needs them too.
pub(super) const SWEEP_CONCURRENCY: RangeInclusive<usize> = 1..=100;

/// Below 10 ms a healthy Redis in another zone would be given up; above 10 s the function itself is.
pub(super) const REDIS_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);

/// Longest name or ARN, in bytes, that Lambda's `Invoke` takes.
pub(super) const FUNCTION_NAME_BYTES: RangeInclusive<usize> = 1..=170;

/// Most days that are kept, and that may be asked for: a year, and the same days of the year before to compare with.
pub const MAX_HISTORY_DAYS: u32 = 400;

/// Days beyond those that may be asked for would be kept and never shown.
pub(super) const HISTORY_DAYS: RangeInclusive<usize> = 0..=MAX_HISTORY_DAYS as usize;

/// Zero is no limit; a shard with more pages than the most that is accepted would need gigabytes a day.
pub(super) const NEW_PAGES_A_DAY: RangeInclusive<usize> = 0..=10_000_000;

/// Above an hour a reload is a visit by any measure, and an environment would have to remember it for that long.
pub(super) const REPEAT_WINDOW: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);
