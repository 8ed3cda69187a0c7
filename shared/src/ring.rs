//! Which shard owns a page: rendezvous hashing, also called highest random weight (Thaler and
//! Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking, 1998).
//!
//! Every shard gets a score for the key, and the highest wins. So each shard's pages are a fair sample of
//! all, a new shard takes exactly its share, and nothing else moves. In full, since any change of it moves
//! pages away from their counts:
//!
//! - `key = XXH3-64(bytes of the key)`, with seed 0;
//! - a shard of weight `w` has the slots 0 to `w - 1`; `slot = XXH3-64("<name>#<slot in decimal>")`;
//! - `score = mix(key ^ slot)`, with the finalizer of `SplitMix64` as `mix`;
//! - a shard's score is the highest of its slots'; of equal scores the lesser name wins.
//!
//! All in 64-bit integers, so every machine agrees. `tests/ring_golden.txt` pins the placement.

use crate::batch::from_hex;
use crate::shard::{ShardName, Weight};
use std::cmp::Reverse;
use std::fmt;
use std::hint::select_unpredictable;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64;

/// Places keys on shards by the shards' names and weights. Order and endpoints have no influence.
///
/// ```
/// use visits_core::ring::Ring;
/// use visits_core::shard::Weight;
///
/// let shards = [("redis_7070".parse()?, Weight::default()), ("redis_7071".parse()?, Weight::default())];
/// let ring = Ring::new(shards)?;
/// assert_eq!(ring.name(ring.owner("home")).as_str(), "redis_7071");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ring {
    names: Vec<ShardName>,
    /// All slots, those of the lesser name first: the first of equal scores wins.
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    seed: u64,
    shard: usize,
}

/// Why shards do not make a ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// No shard would own the pages.
    #[error("there is no shard; at least one is needed")]
    NoShard,
    /// Both would own the same pages.
    #[error("the shard name {0} is given twice; names must differ")]
    DuplicateName(ShardName),
    /// Every shard is draining, so no shard would own the pages.
    #[error("every shard has weight 0; at least one must have more")]
    NoWeight,
}

impl Ring {
    /// A ring of these shards. Their order here is the index that the other functions answer with.
    pub fn new(shards: impl IntoIterator<Item = (ShardName, Weight)>) -> Result<Self, RingError> {
        let (names, weights): (Vec<_>, Vec<_>) = shards.into_iter().unzip();
        let mut by_name: Vec<usize> = (0..names.len()).collect();
        by_name.sort_by_key(|&shard| &names[shard]);
        if let Some(pair) = by_name.windows(2).find(|pair| names[pair[0]] == names[pair[1]]) {
            return Err(RingError::DuplicateName(names[pair[0]].clone()));
        }
        let slots_of = |&shard: &usize| slots(shard, &names[shard], weights[shard]);
        let slots: Vec<Slot> = by_name.iter().flat_map(slots_of).collect();
        match (names.is_empty(), slots.is_empty()) {
            (true, _) => Err(RingError::NoShard),
            (_, true) => Err(RingError::NoWeight),
            _ => Ok(Self { names, slots }),
        }
    }

    /// The index of the shard that owns `key`. No allocation; some 3 ns, and 1.3 ns for each unit of weight.
    pub fn owner(&self, key: &str) -> usize {
        let key = xxh3_64(key.as_bytes());
        let first = self.slots[0];
        let (mut best, mut owner) = (first.score(key), first.shard);
        for slot in &self.slots[1..] {
            let score = slot.score(key);
            // Which one wins is as random as a hash: a branch would be mispredicted half of the time.
            owner = select_unpredictable(score > best, slot.shard, owner);
            best = best.max(score);
        }
        owner
    }

    /// The indices of all shards with a weight above 0, the owner first, then who would own `key` if those
    /// before were gone.
    pub fn preference(&self, key: &str) -> Vec<usize> {
        let key = xxh3_64(key.as_bytes());
        // The slots of one shard are neighbours.
        let by_shard = self.slots.chunk_by(|left, right| left.shard == right.shard);
        let best = |slots: &[Slot]| slots.iter().map(|slot| (slot.score(key), slot.shard)).max();
        let mut scores: Vec<(u64, usize)> = by_shard.filter_map(best).collect();
        // Stable: of equals, the lesser name stays first.
        scores.sort_by_key(|(score, _)| Reverse(*score));
        scores.into_iter().map(|(_, shard)| shard).collect()
    }

    /// Whether the shard with this index owns no pages: its weight is 0.
    pub fn is_draining(&self, index: usize) -> bool {
        !self.slots.iter().any(|slot| slot.shard == index)
    }

    /// The names of all shards, draining ones too, by index.
    pub fn shards(&self) -> &[ShardName] {
        &self.names
    }

    /// The index of the shard with this name, if there is one.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|shard| shard.as_str() == name)
    }

    /// The name of the shard with this index.
    ///
    /// # Panics
    /// If the index is not below [`Ring::len`].
    pub fn name(&self, index: usize) -> &ShardName {
        &self.names[index]
    }

    /// Returns the number of shards, draining ones included.
    #[expect(clippy::len_without_is_empty, reason = "a ring is never empty")]
    pub fn len(&self) -> usize {
        self.names.len()
    }
}

fn slots(shard: usize, name: &ShardName, weight: Weight) -> impl Iterator<Item = Slot> {
    (0..weight.get()).map(move |slot| Slot { seed: xxh3_64(format!("{name}#{slot}").as_bytes()), shard })
}

impl Slot {
    fn score(self, key: u64) -> u64 {
        mix(key ^ self.seed)
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, 2014; constants by Stafford, "Mix13"): a bijection in
/// which each bit of the input changes each bit of the output about half of the time, so that the scores of
/// two slots for one key are as good as independent.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Identity of a ring's placing: two rings with the same fingerprint place every page on the shard of the
/// same name. Where the shards live has no part in it, and neither have draining shards. Shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u64);

/// A text that is not a fingerprint's 16 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ring's fingerprint: 16 lower-case hex digits are accepted")]
pub struct InvalidFingerprint;

impl Ring {
    /// The fingerprint of this ring.
    pub fn fingerprint(&self) -> Fingerprint {
        // The slots stand in the order of the names, whatever order the shards were given in, and there is one
        // for each unit of weight.
        let names = self.slots.iter().map(|slot| self.names[slot.shard].as_str());
        Fingerprint(xxh3_64(names.collect::<Vec<_>>().join(",").as_bytes()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

debug_as_shown!(Fingerprint);

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        from_hex(text, 16).and_then(|bits| bits.try_into().ok()).map(Self).ok_or(InvalidFingerprint)
    }
}

#[cfg(test)]
mod tests;
