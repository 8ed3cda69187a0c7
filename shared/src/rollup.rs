//! Rolls finished days up: sketches become numbers, secrets are destroyed, top lists stay short, and what is older than
//! the days kept goes.
//!
//! Every run, in one call to each shard, trims the top lists of the days that are still counted, and destroys the
//! secrets of days that ended more than [`SECRET_KEPT`] ago. If a day is over for [`OVER_AFTER`], or the ring has changed,
//! each shard makes a *pass*:
//!
//! 1. Sketches that another shard should count are *copied* to it. Merging one again changes nothing, so all that matters
//!    is that none is lost: it is deleted here when its owner has had the same content for a minute in one run of its
//!    server. Those of the present day are copied, too, so that they are read where they belong; nobody waits for them.
//! 2. When all shards are done with that, since a number cannot be merged as a sketch can, those of finished days are
//!    *counted*: each becomes a field of its month, and goes, in one step.
//! 3. Finished days' *top lists* are trimmed, and a month's list is made of its days'.
//! 4. What is out of the days kept is *dropped*: months once they are out as a whole.
//!
//! How far a shard has got is kept in the shard, as in re-homing: any run goes on where another one stopped, and two at
//! once do no harm. A run with nothing to do costs each shard one short script.
//!
//! **What comes late.** Visits parked away from their shard may come up to a week after their day: their sketch appears
//! anew, and a later day's pass counts it. The number stays what it was unless that sketch alone counts more, since the
//! sketch of the others is gone. The visits themselves are counted exactly in any case. The same is true of sketches on
//! a shard that does not answer: the others wait for it for a day.
//!
//! **Destroyed** is a secret on the server. An append-only file has it until it is next rewritten, and a snapshot until
//! the next one.
//!
//! **Days are UTC days of this function's clock**, as of the writers' (`Day::of`).

mod moves;
mod pass;
mod report;
#[cfg(test)]
mod tests;

pub use report::Rollup;

use crate::budget::Budget;
use crate::clock::{Clock, Moment};
use crate::day::Day;
use crate::ring::{Fingerprint, Ring};
use crate::store::rollup::{Pass, RollUp, Stage, Tidied, Tidying};
use crate::store::{ShardIndex, StoreError};
use crate::telemetry::Lines;
use crate::timing::Timing;
use futures_util::future::join_all;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long after its end a day is rolled up. The last visits of a day are flushed an interval later, or by the sweep of
/// the next minutes; copies of them that were parked come once their shard is back, most within an hour.
pub const OVER_AFTER: Duration = Duration::from_hours(2);

/// How long after its end a day's secret is kept: what is flushed until then still tells visitors apart.
pub const SECRET_KEPT: Duration = Duration::from_hours(1);

/// Days whose secrets are looked for by name. An environment that slept for long may make one again.
const SECRET_DAYS: u32 = 10;

/// Days that are looked at once more: what was parked comes within a week.
const LATE_DAYS: u32 = 8;

/// A roll-up's settings.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Days that are kept, the present one included.
    pub history_days: u32,
    /// Durations of the protocol.
    pub timing: Timing,
    /// The time of the run.
    pub budget: Budget,
}

/// What the parts of a run share.
struct Run<'a, S> {
    store: &'a S,
    ring: &'a Ring,
    fingerprint: Fingerprint,
    clock: &'a Clock,
    settings: Settings,
    started: Moment,
    done: Mutex<Rollup>,
    lines: Lines,
}

/// The last day that has been over for so long.
fn last_over(now: Moment, since: Duration) -> Day {
    Day::of(now.before(since)).minus(1)
}

/// What every run does at this time.
fn tidying(now: Moment) -> Tidying {
    let (today, last) = (Day::of(now), last_over(now, SECRET_KEPT));
    // Its list is trimmed to less once it is rolled up.
    let counted = last_over(now, OVER_AFTER).plus(1);
    Tidying { trim: counted.to(today).collect(), destroy: last.minus(SECRET_DAYS - 1).to(last).collect() }
}

/// One run, within its budget.
pub async fn roll_up<S: RollUp>(store: &S, ring: &Ring, clock: &Clock, settings: Settings) -> Rollup {
    let (fingerprint, started) = (ring.fingerprint(), clock.now());
    let run =
        Run { store, ring, fingerprint, clock, settings, started, done: Mutex::default(), lines: Lines::default() };
    settings.budget.cut_off("roll-up", run.run()).await;
    run.done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl<S: RollUp> Run<'_, S> {
    async fn run(&self) {
        let mut shards = self.shards().await;
        loop {
            let through = self.through(&shards);
            // Who does not place sketches by the ring in force would take them away from where they belong.
            let other = |shard: &Tidied| shard.ring.is_some_and(|ring| ring != self.fingerprint);
            if shards.iter().flatten().any(other) {
                return;
            }
            let is_done = |pass: Option<Pass>| pass.is_some_and(|pass| self.is_done(pass, through));
            if shards.iter().flatten().all(|shard| is_done(shard.pass)) {
                self.lock().days_rolled_up = shards.iter().all(Option::is_some);
                return;
            }
            let passes = shards.iter().enumerate().filter_map(|(shard, known)| Some((shard, (*known)?.pass)));
            join_all(passes.map(|(shard, pass)| self.pass(shard, pass, through))).await;
            shards = self.shards().await;
            if self.is_over() || !self.turn(&shards).await {
                let is_done = |shard: &Option<Tidied>| shard.is_some_and(|shard| is_done(shard.pass));
                self.lock().days_rolled_up = shards.iter().all(is_done);
                return;
            }
            shards = self.shards().await;
        }
    }

    /// What every run does, on all shards; none for one that does not answer.
    async fn shards(&self) -> Vec<Option<Tidied>> {
        let tidying = tidying(self.clock.now());
        let shards = join_all((0..self.ring.len()).map(|shard| self.store.tidy_days(shard, &tidying))).await;
        let shards: Vec<_> = shards.into_iter().map(|shard| self.answer(shard)).collect();
        self.lock().secrets_destroyed += shards.iter().flatten().map(|shard| shard.destroyed).sum::<usize>();
        shards
    }

    /// The last day to roll up. While a shard does not answer, which may have sketches for others, a day less: so long it
    /// is waited for.
    fn through(&self, shards: &[Option<Tidied>]) -> Day {
        let last = last_over(self.started, OVER_AFTER);
        if shards.iter().all(Option::is_some) { last } else { last.minus(1) }
    }

    fn is_done(&self, pass: Pass, through: Day) -> bool {
        pass.ring == self.fingerprint && pass.stage == Stage::Done && pass.through >= through
    }

    /// The first day that is kept, in a pass through a day that the present one follows.
    fn first_kept(&self, through: Day) -> Day {
        through.plus(2).minus(self.settings.history_days)
    }

    /// The step that depends on all shards: none counts before all have moved. Whether any was made.
    async fn turn(&self, shards: &[Option<Tidied>]) -> bool {
        let through = self.through(shards);
        let passes: Vec<(ShardIndex, Option<Pass>)> =
            shards.iter().enumerate().filter_map(|(shard, known)| Some((shard, (*known)?.pass))).collect();
        let mut turned = false;
        for (shard, pass) in &passes {
            let Some(pass) = pass.filter(|pass| pass.stage == Stage::Moved && pass.through <= through) else {
                continue;
            };
            let ready = |other: &Pass| {
                other.ring == pass.ring
                    && other.through >= pass.through
                    && (other.has_moved() || other.through > pass.through)
            };
            if passes.iter().all(|(_, other)| other.as_ref().is_some_and(ready)) {
                turned |= self.advance(*shard, Some(pass), pass.at(Stage::COUNT)).await;
            }
        }
        turned
    }

    async fn advance(&self, shard: ShardIndex, from: Option<Pass>, to: Pass) -> bool {
        self.answer(self.store.advance_days(shard, from, to).await).unwrap_or(false)
    }

    fn is_over(&self) -> bool {
        self.settings.budget.is_over(self.started, self.clock.now())
    }

    /// The answer, or nothing for an error, which is counted and logged.
    fn answer<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        answer
            .inspect_err(|error| {
                self.lock().rollup_calls_failed += 1;
                tracing::warn!(%error, "rolling days up: a call failed");
            })
            .ok()
    }

    fn lock(&self) -> MutexGuard<'_, Rollup> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
