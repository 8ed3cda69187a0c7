//! Pages by where they are and where they belong afterwards, and the document that is made of it.

use super::change::{Change, Fate};
use crate::share;
use serde::Serialize;

/// Pages for each pair of shards.
pub(super) struct Tally {
    shards: usize,
    pages: Vec<u64>,
}

impl Tally {
    pub(super) fn new(shards: usize) -> Self {
        Self { shards, pages: vec![0; shards * shards] }
    }

    /// A page that is on one shard and belongs to the other afterwards.
    pub(super) fn add(&mut self, from: usize, to: usize) {
        self.pages[from * self.shards + to] += 1;
    }

    fn get(&self, from: usize, to: usize) -> u64 {
        self.pages[from * self.shards + to]
    }

    /// The pages on each shard now.
    pub(super) fn before(&self) -> Vec<u64> {
        (0..self.shards).map(|from| (0..self.shards).map(|to| self.get(from, to)).sum()).collect()
    }

    fn after(&self) -> Vec<u64> {
        (0..self.shards).map(|to| (0..self.shards).map(|from| self.get(from, to)).sum()).collect()
    }

    fn moves(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        let pairs = (0..self.shards).flat_map(|from| (0..self.shards).map(move |to| (from, to)));
        pairs.map(|(from, to)| (from, to, self.get(from, to))).filter(|&(from, to, pages)| from != to && pages > 0)
    }
}

/// What a change would do. Shares are from 0 to 1.
#[derive(Serialize)]
pub(super) struct Document {
    pub(super) pages: u64,
    pub(super) moving: u64,
    pub(super) moving_share: f64,
    /// What must move for the new weights at least.
    pub(super) least_share: f64,
    pub(super) shards: Vec<PlannedShard>,
    pub(super) moves: Vec<Move>,
    pub(super) warnings: Vec<String>,
}

/// A shard before and after.
#[derive(Serialize)]
pub(super) struct PlannedShard {
    pub(super) shard: String,
    pub(super) change: Fate,
    /// None: it is not listed there.
    pub(super) weight_before: Option<u8>,
    pub(super) weight_after: Option<u8>,
    pub(super) pages_before: u64,
    pub(super) pages_after: u64,
    pub(super) share_after: f64,
    /// Its part of all weight.
    pub(super) ideal_share: f64,
}

/// Pages that go from one shard to another.
#[derive(Serialize)]
pub(super) struct Move {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) pages: u64,
    /// Of all pages.
    pub(super) share: f64,
}

impl Document {
    pub(super) fn new(change: &Change, tally: &Tally, warnings: Vec<String>) -> Self {
        let pages = tally.before().iter().sum();
        let moving = tally.moves().map(|(_, _, pages)| pages).sum();
        let moves = tally.moves().map(|(from, to, moved)| Move {
            from: change.shards[from].name.to_string(),
            to: change.shards[to].name.to_string(),
            pages: moved,
            share: share::of(moved, pages),
        });
        Self {
            pages,
            moving,
            moving_share: share::of(moving, pages),
            least_share: change.least_share(),
            shards: planned(change, tally, pages),
            moves: moves.collect(),
            warnings,
        }
    }
}

fn planned(change: &Change, tally: &Tally, all: u64) -> Vec<PlannedShard> {
    let pages = tally.before().into_iter().zip(tally.after());
    let shards = change.shards.iter().zip(pages).map(|(shard, (before, after))| PlannedShard {
        shard: shard.name.to_string(),
        change: shard.fate(),
        weight_before: shard.before.as_ref().map(|shard| shard.weight.get()),
        weight_after: shard.after.as_ref().map(|shard| shard.weight.get()),
        pages_before: before,
        pages_after: after,
        share_after: share::of(after, all),
        ideal_share: shard.share_after,
    });
    shards.collect()
}
