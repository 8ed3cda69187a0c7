//! Two lists of shards compared: which are new, which go, and what is likely to be a mistake.

use crate::share;
use serde::Serialize;
use visits_core::shard::{ShardConfig, ShardName};

/// The shards of both lists, those of the old one first.
pub(super) struct Change {
    pub(super) shards: Vec<Member>,
}

/// A shard before and after.
pub(super) struct Member {
    pub(super) name: ShardName,
    pub(super) before: Option<ShardConfig>,
    pub(super) after: Option<ShardConfig>,
    /// The part of all pages that the new ring gives it, from 0 to 1.
    pub(super) share_before: f64,
    pub(super) share_after: f64,
}

/// What becomes of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Fate {
    Kept,
    /// It is kept with another weight.
    Reweighted,
    New,
    /// Its weight becomes 0, or is: it owns nothing.
    Draining,
    Removed,
}

impl Change {
    pub(super) fn new(before: &[ShardConfig], after: &[ShardConfig]) -> Self {
        let find = |list: &[ShardConfig], shares: &[f64], name: &ShardName| {
            let index = list.iter().position(|shard| shard.name == *name);
            index.map_or((None, 0.0), |index| (Some(list[index].clone()), shares[index]))
        };
        let shares = [before, after].map(share::ideal);
        let new = after.iter().filter(|shard| before.iter().all(|old| old.name != shard.name));
        let member = |shard: &ShardConfig| {
            let name = shard.name.clone();
            let (before, share_before) = find(before, &shares[0], &name);
            let (after, share_after) = find(after, &shares[1], &name);
            Member { name, before, after, share_before, share_after }
        };
        Self { shards: before.iter().chain(new).map(member).collect() }
    }

    /// How many shards there are in both lists together.
    pub(super) fn len(&self) -> usize {
        self.shards.len()
    }

    /// Where a shard of either list stands among all.
    ///
    /// # Panics
    /// If neither list has it.
    pub(super) fn index(&self, name: &ShardName) -> usize {
        self.shards.iter().position(|shard| shard.name == *name).expect("all shards of both lists are here")
    }

    /// The part of the pages that must move for the new weights at least, from 0 to 1: what shards get on top.
    pub(super) fn least_share(&self) -> f64 {
        self.shards.iter().map(|shard| (shard.share_after - shard.share_before).max(0.0)).sum()
    }

    /// What may lose pages, or is no ring change at all. `pages` are on the shards now.
    pub(super) fn warnings(&self, pages: &[u64]) -> Vec<String> {
        let mut warnings = Vec::new();
        for (shard, &pages) in self.shards.iter().zip(pages) {
            let name = &shard.name;
            if shard.fate() == Fate::Removed && pages > 0 {
                warnings.push(format!(
                    "shard {name} still holds {pages} pages, and nothing moves them once it is not listed: list it with \
                     ;weight=0 until it is empty"
                ));
            }
            warnings.extend(shard.renamed(&self.shards));
            warnings.extend(shard.relocated());
        }
        warnings
    }
}

impl Member {
    /// What becomes of it.
    pub(super) fn fate(&self) -> Fate {
        match (&self.before, &self.after) {
            (_, None) => Fate::Removed,
            (_, Some(after)) if after.weight.get() == 0 => Fate::Draining,
            (None, _) => Fate::New,
            (Some(before), Some(after)) if before.weight != after.weight => Fate::Reweighted,
            _ => Fate::Kept,
        }
    }

    /// A server that goes on under another name.
    fn renamed(&self, all: &[Self]) -> Option<String> {
        let before = self.before.as_ref().filter(|_| self.after.is_none())?;
        let is_heir = |other: &&Self| {
            let after = other.after.as_ref().filter(|_| other.before.is_none());
            after.is_some_and(|after| after.endpoint == before.endpoint)
        };
        let (old, new) = (&self.name, &all.iter().find(is_heir)?.name);
        Some(format!("shard {new} is at the address of shard {old}: a shard's name decides over its pages, so keep it"))
    }

    /// A shard that is to be found elsewhere.
    fn relocated(&self) -> Option<String> {
        let (before, after) = (self.before.as_ref()?, self.after.as_ref()?);
        let (name, from, to) = (&self.name, &before.endpoint, &after.endpoint);
        (from != to).then(|| format!("shard {name} goes from {from} to {to}: its data must have been brought there"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Fate, share};
    use visits_core::config::Config;
    use visits_core::shard::ShardConfig;

    fn shards(list: &str) -> Vec<ShardConfig> {
        Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| list.into())).unwrap().shards
    }

    fn change(before: &str, after: &str) -> Change {
        Change::new(&shards(before), &shards(after))
    }

    #[test]
    fn what_becomes_of_each_shard_is_told() {
        let change = change(
            "a=redis://a,b=redis://b,c=redis://c,d=redis://d",
            "e=redis://e,f=redis://f;weight=0,c=redis://c;weight=2,b=redis://b;weight=0,a=redis://a",
        );
        let fates: Vec<_> = change.shards.iter().map(|shard| (shard.name.as_str(), shard.fate())).collect();
        let expected = [
            ("a", Fate::Kept),
            ("b", Fate::Draining),
            ("c", Fate::Reweighted),
            ("d", Fate::Removed),
            ("e", Fate::New),
            ("f", Fate::Draining),
        ];
        assert_eq!(fates, expected);
    }

    #[test]
    fn at_least_what_shards_get_on_top_must_move() {
        let least = |before, after| share::percent(change(before, after).least_share());
        assert_eq!(least("a=redis://a", "a=redis://a"), "0.0%");
        assert_eq!(least("a=redis://a,b=redis://b", "a=redis://a,b=redis://b,c=redis://c"), "33.3%");
        assert_eq!(least("a=redis://a,b=redis://b", "a=redis://a,b=redis://b;weight=0"), "50.0%");
    }

    #[test]
    fn what_may_lose_pages_is_warned_of() {
        let warnings = |before, after, pages: &[u64]| change(before, after).warnings(pages).join("\n");
        let (two, one) = ("a=redis://a,b=redis://:SECRET@b", "a=redis://a");
        assert!(warnings(two, one, &[1, 2]).contains("shard b still holds 2 pages, and nothing moves them"));
        assert_eq!(warnings(two, one, &[1, 0]), "");
        assert_eq!(warnings(two, "a=redis://a,b=redis://:SECRET@b;weight=0", &[1, 2]), "");
        assert!(warnings(two, "a=redis://a,c=redis://:SECRET@b", &[1, 0, 0]).contains("at the address of shard b"));
        let moved = warnings(two, "a=redis://a,b=redis://:SECRET@c", &[1, 1]);
        assert!(moved.contains("from redis://:***@b:6379/0 to redis://:***@c:6379/0"), "{moved}");
    }
}
