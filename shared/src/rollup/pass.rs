//! One shard's way, as far as it depends on no other.

use super::{LATE_DAYS, Run};
use crate::day::Day;
use crate::store::rollup::{
    COUNTED_AT_ONCE, Counted, DROPPED_AT_ONCE, DatedKey, KeySlice, Pass, RollUp, Scan, Sketch, Stage, TRIMMED_AT_ONCE,
};
use crate::store::{Incarnation, ShardIndex};
use futures_util::future::join_all;

/// Days before the first one kept whose lists are looked for by name.
const OLD_LISTS: u32 = 31;

/// Calls that are on their way to a shard together: it serves them one behind the other, in half a millisecond.
const SIDE_BY_SIDE: usize = 4;

/// Whether a scan that goes on at a cursor of one run was answered by another run of the server, which may pass over
/// keys then.
pub(super) fn begins_anew((cursor, of): (u64, Incarnation), answered: Incarnation) -> bool {
    cursor != 0 && of != answered
}

impl<S: RollUp> Run<'_, S> {
    /// Moves the shard on until it must wait for others, for a minute, or for the next run. One that has got behind
    /// makes the pass that it was in, and then another one.
    pub(super) async fn pass(&self, shard: ShardIndex, known: Option<Pass>, through: Day) {
        let mut known = known;
        while let Some(mut pass) = self.begin(shard, known, through).await {
            while pass.stage != Stage::Done {
                if self.is_over() {
                    return;
                }
                let Some(next) = self.step(shard, pass).await else { return };
                if !self.advance(shard, Some(pass), next).await {
                    return;
                }
                pass = next;
            }
            known = Some(pass);
        }
    }

    /// The pass that the shard is in, or a new one; none if there is nothing to do, or another run was faster.
    async fn begin(&self, shard: ShardIndex, known: Option<Pass>, through: Day) -> Option<Pass> {
        let new = match known {
            _ if self.is_over() => return None,
            Some(pass) if self.is_done(pass, through) => return None,
            Some(pass) if pass.ring == self.fingerprint && pass.stage != Stage::Done => return Some(pass),
            Some(pass) => {
                // One that was interrupted had not got to the lists.
                let since = if pass.stage == Stage::Done { pass.through } else { pass.since };
                let through = through.max(pass.through);
                Pass { through, since, ring: self.fingerprint, swept: pass.swept, stage: Stage::MOVE }
            }
            None => {
                let since = self.first_kept(through).minus(1).min(through);
                Pass { through, since, ring: self.fingerprint, swept: None, stage: Stage::MOVE }
            }
        };
        self.advance(shard, known, new).await.then_some(new)
    }

    /// One step: where the pass stands then, or nothing if it must wait.
    async fn step(&self, shard: ShardIndex, pass: Pass) -> Option<Pass> {
        match pass.stage {
            Stage::Move { cursor, run, left } => self.move_slice(shard, pass, (cursor, run), left).await,
            Stage::Count { cursor, run } => {
                let slice = self.slice(shard, Scan::Sketches, cursor).await?;
                let (run, next) = match slice.next {
                    _ if begins_anew((cursor, run), slice.run) => return Some(pass.at(Stage::COUNT)),
                    next => (slice.run, next),
                };
                self.count(shard, pass, slice).await?;
                let lists = || Stage::List { day: self.first_list(pass) };
                Some(pass.at(if next == 0 { lists() } else { Stage::Count { cursor: next, run } }))
            }
            Stage::List { day } if day <= pass.through => self.list(shard, pass, day).await,
            Stage::List { .. } => self.after_the_lists(shard, pass).await,
            Stage::Drop { cursor, run } => {
                let slice = self.slice(shard, Scan::Kept, cursor).await?;
                if begins_anew((cursor, run), slice.run) {
                    return Some(pass.at(Stage::DROP));
                }
                let (run, next) = (slice.run, slice.next);
                let first_kept = self.first_kept(pass.through);
                let is_old = |key: &DatedKey| match key {
                    DatedKey::Secret(day) => *day < pass.through,
                    key => key.last_day() < first_kept,
                };
                self.drop_keys(shard, slice.keys.into_iter().filter(is_old).collect()).await?;
                let swept = Some(first_kept.month());
                Some(if next == 0 {
                    Pass { swept, stage: Stage::Done, ..pass }
                } else {
                    pass.at(Stage::Drop { cursor: next, run })
                })
            }
            Stage::Moved | Stage::Done => None,
        }
    }

    /// A slice; what is unreadable in it is told.
    pub(super) async fn slice(&self, shard: ShardIndex, scan: Scan, cursor: u64) -> Option<KeySlice> {
        let slice = self.answer(self.store.scan_days(shard, scan, cursor).await)?;
        for key in &slice.unreadable {
            let key = String::from_utf8_lossy(key);
            let shard = self.ring.name(shard).as_str();
            self.lines.write(|| tracing::error!(%key, shard, "a key among the sketches is no sketch's"));
        }
        self.lock().sketches_rejected += slice.unreadable.len();
        Some(slice)
    }

    /// Counts the sketches of finished days in a slice that are where they belong. Those that are out of the days
    /// kept have no record to go to.
    async fn count(&self, shard: ShardIndex, pass: Pass, slice: KeySlice) -> Option<()> {
        let first_kept = self.first_kept(pass.through);
        let (mut old, mut finished) = (Vec::new(), Vec::new());
        for key in slice.keys {
            match key {
                DatedKey::Visitors(Sketch { day, .. }) if day < first_kept => old.push(key),
                DatedKey::Visitors(sketch) if sketch.day <= pass.through && sketch.owner(self.ring) == shard => {
                    finished.push(sketch);
                }
                _ => {}
            }
        }
        self.drop_keys(shard, old).await?;
        for sketches in finished.chunks(COUNTED_AT_ONCE * SIDE_BY_SIDE) {
            let calls: Vec<&[Sketch]> = sketches.chunks(COUNTED_AT_ONCE).collect();
            let answers = join_all(calls.iter().map(|sketches| self.store.count(shard, sketches))).await;
            for (sketches, answer) in calls.into_iter().zip(answers) {
                self.note_counted(shard, sketches, self.answer(answer)?);
            }
        }
        Some(())
    }

    fn note_counted(&self, shard: ShardIndex, sketches: &[Sketch], counted: Counted) {
        let mut done = self.lock();
        done.sketches_counted += counted.counted;
        done.sketches_rejected += counted.rejected.len();
        drop(done);
        for (place, reason) in counted.rejected {
            let (shard, sketch) = (self.ring.name(shard).as_str(), sketches.get(place).map(ToString::to_string));
            self.lines.write(|| tracing::error!(shard, sketch, reason, "a sketch cannot be counted"));
        }
    }

    /// The first day whose list is looked at in this pass.
    fn first_list(&self, pass: Pass) -> Day {
        pass.since.plus(1).min(pass.through.minus(LATE_DAYS)).max(self.first_kept(pass.through))
    }

    async fn list(&self, shard: ShardIndex, pass: Pass, first: Day) -> Option<Pass> {
        let days: Vec<Day> = first.to(pass.through).take(TRIMMED_AT_ONCE).collect();
        self.answer(self.store.trim_finished(shard, &days).await)?;
        for day in days.iter().filter(|day| **day == day.month().last()) {
            let month = day.month();
            // Without all of its days, what was listed before is more.
            if month.first() >= self.first_kept(pass.through) {
                self.answer(self.store.list_month(shard, month).await)?;
            }
        }
        Some(pass.at(Stage::List { day: days.last()?.plus(1) }))
    }

    /// Day lists go day by day. Months are looked for only when one more is out.
    async fn after_the_lists(&self, shard: ShardIndex, pass: Pass) -> Option<Pass> {
        let first_kept = self.first_kept(pass.through);
        let old = first_kept.minus(OLD_LISTS).to(first_kept).filter(|day| *day < first_kept);
        self.drop_keys(shard, old.map(DatedKey::TopOfDay).collect()).await?;
        let swept = pass.swept == Some(first_kept.month());
        Some(pass.at(if swept { Stage::Done } else { Stage::DROP }))
    }

    async fn drop_keys(&self, shard: ShardIndex, keys: Vec<DatedKey>) -> Option<()> {
        for keys in keys.chunks(DROPPED_AT_ONCE) {
            let dropped = self.answer(self.store.drop_keys(shard, keys).await)?;
            self.lock().records_dropped += dropped;
        }
        Some(())
    }
}
