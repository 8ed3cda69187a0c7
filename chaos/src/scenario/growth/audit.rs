//! What the servers hold in the end, against what the clients were told.

use super::deployment::Deployment;
use super::pages::{page, preloaded};
use crate::counts::{self, of_days, records};
use std::collections::HashMap;
use std::time::Duration;
use visits_core::ring::Ring;

/// What was moved, and how long the runs that took something lasted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub(super) taken: u64,
    pub(super) busy: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verdict {
    pub(super) acknowledged: u64,
    pub(super) counted: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    /// Records of pages and their months that their owner does not have, or that another shard has, too.
    pub(super) misplaced: u64,
    /// Visits of the site, over all shards.
    pub(super) of_site: u64,
    /// Visits of all days of the site.
    pub(super) of_site_days: u64,
    /// Visits that pages' days have too few or too many of.
    pub(super) undated: u64,
    /// Those that have no day: the ones from the start.
    pub(super) preloaded: u64,
    /// Fields of records that tell of moves.
    pub(super) notes_left: u64,
}

/// Pages that must move, if shards of one weight are added or drained: the share of those that come or go.
pub(super) fn ideal(pages: usize, from: usize, to: usize) -> f64 {
    number(pages as u64) * number(from.abs_diff(to) as u64) / number(from.max(to) as u64)
}

/// Pages that two rings place on different shards.
pub(super) fn differently_placed(pages: usize, one: &Ring, other: &Ring) -> u64 {
    (0..pages).map(page).filter(|page| one.owner(page) != other.owner(page)).count() as u64
}

/// A count for a ratio. None here comes near four billion.
pub(super) fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl Moved {
    /// What was moved since then.
    pub(super) fn since(self, before: Self) -> Self {
        Self { taken: self.taken - before.taken, busy: self.busy.saturating_sub(before.busy) }
    }

    /// Pages a second, while some were taken.
    pub(super) fn rate(self) -> f64 {
        number(self.taken) / self.busy.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

pub(super) fn compare(deployment: &Deployment) -> Verdict {
    let (ring, mut verdict) = (deployment.ring(), Verdict::default());
    let (mut counts, mut days): (HashMap<String, u64>, HashMap<String, u64>) = Default::default();
    for (shard, server) in deployment.servers.iter().enumerate() {
        let mut redis = server.connect();
        for (page, fields) in records(&mut redis, &format!("visits:{{shard_{shard}}}:page:")) {
            verdict.misplaced += u64::from(ring.owner(&page) != shard);
            let is_note = |field: &&String| field.starts_with("in:") || field.starts_with("out:");
            verdict.notes_left += fields.keys().filter(is_note).count() as u64;
            *counts.entry(page).or_default() += counts::number(&fields, "total");
        }
        for (name, fields) in records(&mut redis, &format!("visits:{{shard_{shard}}}:days:")) {
            let (_, page) = name.split_once(':').expect("a month, and a page");
            verdict.misplaced += u64::from(ring.owner(page) != shard);
            *days.entry(page.to_owned()).or_default() += of_days(&fields);
        }
        for (name, fields) in records(&mut redis, &format!("visits:{{shard_{shard}}}:site")) {
            verdict.misplaced += u64::from(ring.is_draining(shard));
            if name.is_empty() {
                verdict.of_site += counts::number(&fields, "total");
            } else {
                verdict.of_site_days += of_days(&fields);
            }
        }
    }
    for (number, told) in deployment.told.iter().enumerate() {
        let count = counts.get(&page(number)).copied().unwrap_or(0);
        let dated = days.get(&page(number)).copied().unwrap_or(0) + preloaded(number);
        verdict.undated += dated.abs_diff(count);
        let (least, most) = (preloaded(number) + told.acknowledged(), preloaded(number) + told.sent());
        verdict.acknowledged += least;
        verdict.preloaded += preloaded(number);
        verdict.counted += count;
        verdict.lost += least.saturating_sub(count);
        verdict.doubled += count.saturating_sub(most);
    }
    verdict
}
