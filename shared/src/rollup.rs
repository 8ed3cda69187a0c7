//! Rolls finished days up: sketches become numbers, months get their top lists, secrets are destroyed, and what is older
//! than the days kept goes.
//!
//! Every run destroys, in one call to each shard, the secrets of days that ended more than [`SECRET_KEPT`] ago. If a day has
//! newly been over for [`OVER_AFTER`], or the ring has changed, the run then goes through the shards' keys:
//!
//! 1. Sketches that another shard should count are *merged* into that one's, and deleted here if they have not changed
//!    since they were read. Those of the present day, too, so that they are read where they belong.
//! 2. Once all shards that answer are done with that, since a number cannot be merged as a sketch can, the sketches of
//!    finished days are *counted*: each becomes a field of its month and goes, in one step.
//! 3. A month that is over gets its top list from those of its days.
//! 4. What is out of the days kept is *dropped*: months once they are out as a whole.
//! 5. The shard notes the last day rolled up, and the ring by which it was.
//!
//! Nothing else is noted. A run that ends early begins again next time and finds less, since what is done is gone. Two runs
//! at once do no harm.
//!
//! **Visitors are an estimate.** A crash between two steps may lose or repeat a part of it. Visitors that come late, up to a
//! week after their day, are in a sketch of their own, which a later day's run counts: the number stays what it was unless
//! that sketch alone counts more. A shard that does not answer is waited for one day; what it has for others then comes
//! late. The visits themselves are counted exactly in any case.
//!
//! **Destroyed** is a secret on the server. An append-only file has it until it is next rewritten, and a snapshot until
//! the next one.
//!
//! **Days are UTC days of this function's clock**, as of the writers' (`Day::of`).

use crate::budget::{Budget, Step, Walk};
use crate::clock::{Clock, Moment};
use crate::day::{Day, Month};
use crate::ring::{Fingerprint, Ring};
use crate::store::ShardIndex;
use crate::store::redis::RedisStore;
use crate::store::redis::keys::Key;
use crate::store::redis::pages::Scan;
use crate::store::redis::statistics::{COUNTED_AT_ONCE, DROPPED_AT_ONCE, MERGED_AT_ONCE, RollupState};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// Time from the end of a day to its roll-up. The last visits of a day are flushed an interval later, or by the sweep of
/// the next minutes; copies of them that were parked come once their shard is back, most within an hour.
pub const OVER_AFTER: Duration = Duration::from_hours(2);

/// Time for which a day's secret is kept after its end: what is flushed until then still tells visitors apart.
pub const SECRET_KEPT: Duration = Duration::from_hours(1);

/// Days whose secrets are destroyed by name. An environment that slept for long may make one again.
const SECRET_DAYS: u32 = 10;

/// Days that are listed once more with their month: what was parked comes within a week.
const LATE_DAYS: u32 = 8;

/// Days before the first one kept whose lists are dropped by name.
const OLD_LISTS: u32 = 31;

/// Calls that are on their way to a shard together: it serves them one behind the other, in half a millisecond.
const SIDE_BY_SIDE: usize = 4;

/// The outcome of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollup {
    /// Whether every day that is over is rolled up on every shard.
    pub days_rolled_up: bool,
    /// Sketches that have become numbers.
    pub sketches_counted: usize,
    /// Sketches that were merged into their owners'.
    pub sketches_moved: usize,
    /// Sketches, or keys among them, that are damaged or hold something else. They stay, and are told in each run that
    /// finds them.
    pub sketches_rejected: usize,
    /// Records, lists and sketches that were out of the days kept.
    pub records_dropped: usize,
    /// Secrets of finished days that were destroyed.
    pub secrets_destroyed: usize,
    /// Calls to shards that failed.
    pub rollup_calls_failed: usize,
}

/// Makes one run, within its budget. `history_days` are kept, the present one included.
pub async fn roll_up(
    store: &RedisStore,
    ring: &Ring,
    clock: &Clock,
    history_days: u32,
    budget: impl Into<Budget>,
) -> Rollup {
    let step = Step::new("roll-up", (store, ring, clock), budget);
    let run = Run { step, fingerprint: ring.fingerprint(), history_days };
    run.step.run(run.run()).await;
    let (done, rollup_calls_failed) = run.step.end();
    Rollup { rollup_calls_failed, ..done }
}

/// The last day that has been over for so long.
fn last_over(now: Moment, since: Duration) -> Day {
    Day::of(now.before(since)).minus(1)
}

/// A run under way. A step that returns `None` did not get through: the next run begins again.
struct Run<'a> {
    step: Step<'a, RedisStore, Rollup>,
    fingerprint: Fingerprint,
    history_days: u32,
}

impl Run<'_> {
    async fn run(&self) -> Option<()> {
        let shards = self.begin().await;
        // A function that does not place sketches by the ring in force would take them away from where they belong.
        if shards.iter().flatten().any(|shard| shard.ring.is_some_and(|ring| ring != self.fingerprint)) {
            return None;
        }
        let all_answer = shards.iter().all(Option::is_some);
        let last = last_over(self.step.started, OVER_AFTER);
        // A shard that does not answer may have sketches for others. It is waited for one day.
        let through = if all_answer { last } else { last.minus(1) };
        let answering: Vec<(ShardIndex, Option<Day>)> = shards
            .iter()
            .enumerate()
            .filter_map(|(shard, state)| {
                let finished = (*state)?.finished;
                Some((shard, finished.filter(|(_, ring)| *ring == self.fingerprint).map(|(day, _)| day)))
            })
            .collect();
        let behind = |(_, day): &&(ShardIndex, Option<Day>)| day.is_none_or(|day| day < through);
        if answering.iter().any(|shard| behind(&shard)) {
            let merged = answering.iter().map(|(shard, _)| self.merge_misplaced(*shard, &shards, through));
            join_all(merged).await.into_iter().collect::<Option<Vec<()>>>()?;
            let finished = answering.iter().filter(behind).map(|(shard, _)| {
                let before = shards[*shard].and_then(|state| state.finished).map(|(day, _)| day);
                self.finish(*shard, before, through)
            });
            join_all(finished).await.into_iter().collect::<Option<Vec<()>>>()?;
        }
        self.step.done().days_rolled_up = all_answer;
        Some(())
    }

    /// Does what every run does, on all shards; none for one that does not answer.
    async fn begin(&self) -> Vec<Option<RollupState>> {
        let last = last_over(self.step.clock.now(), SECRET_KEPT);
        let days: Vec<Day> = last.minus(SECRET_DAYS - 1).to(last).collect();
        let shards = join_all(self.step.shards().map(|shard| self.step.store.begin_rollup(shard, &days))).await;
        let shards: Vec<_> = shards.into_iter().map(|shard| self.step.answer(shard)).collect();
        self.step.done().secrets_destroyed = shards.iter().flatten().map(|shard| shard.secrets_destroyed).sum();
        shards
    }

    /// The first day that is kept, for a roll-up through a day that the present one follows.
    fn first_kept(&self, through: Day) -> Day {
        through.plus(2).minus(self.history_days)
    }

    /// Merges the shard's sketches that others should count into theirs. Those for a shard that does not answer stay.
    async fn merge_misplaced(&self, shard: ShardIndex, shards: &[Option<RollupState>], through: Day) -> Option<()> {
        let first_kept = self.first_kept(through);
        let mut walk = Walk::new(shard, Scan::Sketches, None);
        while let Some((keys, unreadable)) = self.step.next(&mut walk).await? {
            self.step.done().sketches_rejected += unreadable;
            let mut owners: BTreeMap<ShardIndex, Vec<Key>> = BTreeMap::new();
            for key in keys {
                let owner = key.home(self.step.ring, shard);
                if owner != shard && shards[owner].is_some() && key.last_day() >= Some(first_kept) {
                    owners.entry(owner).or_default().push(key);
                }
            }
            for (owner, sketches) in owners {
                for sketches in sketches.chunks(MERGED_AT_ONCE) {
                    self.hand_over(shard, owner, sketches).await?;
                }
            }
        }
        Some(())
    }

    async fn hand_over(&self, shard: ShardIndex, owner: ShardIndex, sketches: &[Key]) -> Option<()> {
        let found = self.step.answer(self.step.store.sketches(shard, sketches).await)?;
        let found: Vec<(&Key, Vec<u8>)> =
            sketches.iter().zip(found).filter_map(|(sketch, content)| Some((sketch, content?))).collect();
        if found.is_empty() {
            return Some(());
        }
        let merged = self.step.answer(self.step.store.merge(owner, &found).await)?;
        let (merged, damaged): (Vec<_>, Vec<_>) = found.into_iter().zip(merged).partition(|(_, merged)| *merged);
        for ((sketch, _), _) in &damaged {
            let shard = self.step.name(shard);
            self.step.lines.write(|| {
                tracing::error!(shard, %sketch, "a sketch, or what its owner has in its place, is damaged");
            });
        }
        let merged: Vec<_> = merged.into_iter().map(|(copy, _)| copy).collect();
        // One that has changed meanwhile comes again with the next scan.
        let removed = self.step.answer(self.step.store.remove_unchanged(shard, &merged).await)?;
        let mut done = self.step.done();
        done.sketches_rejected += damaged.len();
        done.sketches_moved += removed;
        Some(())
    }

    /// Ends the days through this one on a shard, which had got through `before`.
    async fn finish(&self, shard: ShardIndex, before: Option<Day>, through: Day) -> Option<()> {
        let first_kept = self.first_kept(through);
        let mut walk = Walk::new(shard, Scan::Sketches, None);
        while let Some((keys, unreadable)) = self.step.next(&mut walk).await? {
            self.step.done().sketches_rejected += unreadable;
            self.count(shard, keys, through).await?;
        }
        let since = before.map_or(first_kept, |before| before.plus(1).min(through.minus(LATE_DAYS)));
        // Without all of its days, what was listed before is more.
        let is_listed = |month: &Month| month.first() >= first_kept && month.last() <= through;
        let days = since.max(first_kept).to(through);
        for month in days.filter(|day| *day == day.month().last()).map(Day::month).filter(is_listed) {
            self.step.answer(self.step.store.list_month(shard, month).await)?;
        }
        let lists = first_kept.minus(OLD_LISTS).to(first_kept).filter(|day| *day < first_kept);
        self.drop_keys(shard, lists.map(Key::Top).collect()).await?;
        // Months are looked for only when one more is out.
        if before.is_none_or(|before| self.first_kept(before).month() != first_kept.month()) {
            let mut walk = Walk::new(shard, Scan::Kept, None);
            while let Some((mut keys, _)) = self.step.next(&mut walk).await? {
                keys.retain(|key| match key {
                    Key::Secret(day) => *day < through,
                    // The site's totals are of no day.
                    key => key.last_day().is_some_and(|day| day < first_kept),
                });
                self.drop_keys(shard, keys).await?;
            }
        }
        self.step.answer(self.step.store.note_rolled_up(shard, through, self.fingerprint).await)
    }

    /// Counts the sketches of finished days among some that are where they belong. Those that are out of the days kept have
    /// no record to go to.
    async fn count(&self, shard: ShardIndex, keys: Vec<Key>, through: Day) -> Option<()> {
        let first_kept = self.first_kept(through);
        let (mut old, mut finished) = (Vec::new(), Vec::new());
        for key in keys {
            match key.last_day() {
                Some(day) if day < first_kept => old.push(key),
                Some(day) if day <= through && key.home(self.step.ring, shard) == shard => finished.push(key),
                _ => {}
            }
        }
        self.drop_keys(shard, old).await?;
        for sketches in finished.chunks(COUNTED_AT_ONCE * SIDE_BY_SIDE) {
            let calls: Vec<&[Key]> = sketches.chunks(COUNTED_AT_ONCE).collect();
            let answers = join_all(calls.iter().map(|sketches| self.step.store.count_visitors(shard, sketches))).await;
            for (sketches, answer) in calls.into_iter().zip(answers) {
                let (counted, rejected) = self.step.answer(answer)?;
                self.step.done().sketches_counted += counted;
                self.step.done().sketches_rejected += rejected.len();
                for (place, reason) in rejected {
                    let (shard, sketch) = (self.step.name(shard), sketches.get(place).map(ToString::to_string));
                    self.step.lines.write(|| tracing::error!(shard, sketch, reason, "a sketch cannot be counted"));
                }
            }
        }
        Some(())
    }

    async fn drop_keys(&self, shard: ShardIndex, keys: Vec<Key>) -> Option<()> {
        for keys in keys.chunks(DROPPED_AT_ONCE) {
            let dropped = self.step.answer(self.step.store.drop_keys(shard, keys).await)?;
            self.step.done().records_dropped += dropped;
        }
        Some(())
    }
}
