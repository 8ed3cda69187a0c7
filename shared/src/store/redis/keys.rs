//! The names of a shard's keys. All carry the shard's name as hash tag, so that a script's keys share one
//! slot of a cluster.

mod statistics;

use crate::page::PageId;
use crate::shard::{Namespace, ShardName};

/// Key names of one shard.
#[derive(Debug)]
pub(crate) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(namespace: &Namespace, shard: &ShardName) -> Self {
        Self { prefix: format!("{namespace}:{{{shard}}}") }
    }

    /// Hash: `total`, the page's visits, and `bots`, those of them by bots.
    pub(super) fn page(&self, page: &PageId) -> String {
        let mut key = String::new();
        self.page_into(&mut key, page);
        key
    }

    /// The same in the place of what `key` holds: a flush names hundreds of pages.
    pub(super) fn page_into(&self, key: &mut String, page: &PageId) {
        key.clear();
        for part in [self.prefix.as_str(), ":page:", page.as_str()] {
            key.push_str(part);
        }
    }

    /// What the keys of all pages begin with.
    pub(super) fn page_prefix(&self) -> String {
        format!("{}:page:", self.prefix)
    }

    /// Hash: a writer's applied set.
    pub(super) fn applied(&self, writer: &impl std::fmt::Display) -> String {
        format!("{}:applied:{writer}", self.prefix)
    }

    /// Sorted set: writers that the sweep must visit, by their last flush (ms of the server's clock).
    pub(super) fn writers(&self) -> String {
        format!("{}:writers", self.prefix)
    }

    /// Sorted set: writers with an applied set, by the time from which it may be deleted.
    pub(super) fn sets(&self) -> String {
        format!("{}:sets", self.prefix)
    }

    /// Hash: copies that wait here for another shard, by batch id.
    pub(super) fn parked(&self, owner: &ShardName) -> String {
        format!("{}:parked:{owner}", self.prefix)
    }

    /// Hash: when each of these copies was first found in its owner's applied set (ms of this server's clock).
    pub(super) fn delivered(&self, owner: &ShardName) -> String {
        format!("{}:delivered:{owner}", self.prefix)
    }

    /// Hash: the bytes of the copies for each owner.
    pub(super) fn parking(&self) -> String {
        format!("{}:parking", self.prefix)
    }

    /// Hash: records that were taken from here for another shard, by move.
    pub(super) fn moves(&self, owner: &ShardName) -> String {
        format!("{}:moves:{owner}", self.prefix)
    }

    /// Hash: since when each of these moves is known to be here (ms of this server's clock, run of this server).
    pub(super) fn seen(&self, owner: &ShardName) -> String {
        format!("{}:seen:{owner}", self.prefix)
    }

    /// Hash: when each of these moves was first found on its owner, as in [`Keys::delivered`].
    pub(super) fn arrived(&self, owner: &ShardName) -> String {
        format!("{}:arrived:{owner}", self.prefix)
    }

    /// Hash: the bytes of the moves for each owner.
    pub(super) fn moving(&self) -> String {
        format!("{}:moving", self.prefix)
    }

    /// Length of what the key of a page's month begins with: the name of any month is as long.
    pub(super) fn month_prefix_len(&self) -> usize {
        self.prefix.len() + ":days:2026-11:".len()
    }

    /// Hash: copies that can never be delivered, for the operator.
    pub(super) fn aside(&self) -> String {
        format!("{}:aside", self.prefix)
    }

    /// Hash: imports that were begun here, by import id.
    pub(super) fn imports(&self) -> String {
        format!("{}:imports", self.prefix)
    }

    /// Hash: which shard this is.
    pub(super) fn shard(&self) -> String {
        format!("{}:shard", self.prefix)
    }
}

/// Set of the names of all shards that live on one server: the only key that belongs to no shard.
pub(super) fn roster(namespace: &Namespace) -> String {
    format!("{namespace}:shards")
}
