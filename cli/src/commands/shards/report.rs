//! The document that `visits shards` answers with.

use crate::shards::Shards;
use crate::share;
use serde::Serialize;
use visits_core::handoff::Kind;
use visits_core::ring::Fingerprint;
use visits_core::store::redis::facts::ShardFacts;
use visits_core::store::redis::rehoming::RingState;
use visits_core::store::{ShardIndex, StoreError};

/// All shards.
#[derive(Serialize)]
pub(super) struct Document {
    pub(super) namespace: String,
    pub(super) shards: Vec<ShardReport>,
    pub(super) warnings: Vec<String>,
}

/// One shard.
#[derive(Serialize)]
pub(super) struct ShardReport {
    pub(super) shard: String,
    /// Its password is masked.
    pub(super) endpoint: String,
    pub(super) weight: u8,
    /// The part of all pages that the ring gives it, from 0 to 1.
    pub(super) share: f64,
    pub(super) state: State,
    /// Why the state is not `ok`.
    pub(super) error: Option<String>,
    /// What was found, if it is.
    #[serde(flatten)]
    pub(super) content: Option<Content>,
}

/// Whether the shard can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// No connection.
    Unreachable,
    /// No answer over it.
    Silent,
    /// It answered with an error.
    Refused,
    /// Another server than the name stands for, or one that may evict counts.
    Unfit,
}

/// What is on a shard.
#[derive(Serialize)]
pub(super) struct Content {
    pub(super) round_trip_us: u64,
    pub(super) pages: u64,
    /// Pages with visits here that the ring places elsewhere.
    pub(super) misplaced: u64,
    pub(super) ring: Ring,
    pub(super) writers: u64,
    pub(super) parked: Vec<ParkedFor>,
    /// Pages on their way from here.
    pub(super) moves: Vec<MovesFor>,
    pub(super) memory_bytes: Option<u64>,
    /// 0: no limit.
    pub(super) memory_limit_bytes: Option<u64>,
    pub(super) eviction_policy: Option<String>,
}

/// What a shard knows of the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Ring {
    /// The configured one, and every page is where it belongs.
    Settled,
    /// The configured one, and pages are moving.
    Moving,
    /// Another one than the configured one.
    Other,
    /// None was announced yet.
    None,
}

/// Pages on their way to another shard.
#[derive(Serialize)]
pub(super) struct MovesFor {
    pub(super) owner: String,
    pub(super) bytes: u64,
}

/// Copies that wait here for another shard.
#[derive(Serialize)]
pub(super) struct ParkedFor {
    pub(super) owner: String,
    pub(super) copies: u64,
    pub(super) bytes: u64,
}

/// What asking a shard gave.
pub(super) struct Found {
    pub(super) facts: ShardFacts,
    pub(super) ring: Ring,
    pub(super) pages: u64,
    pub(super) misplaced: u64,
}

impl Document {
    pub(super) fn new(shards: &Shards, reports: Vec<ShardReport>, warnings: Vec<String>) -> Self {
        Self { namespace: shards.config.namespace.to_string(), shards: reports, warnings }
    }

    /// Why shards could not be asked, each in a sentence that names the shard.
    pub(super) fn errors(&self) -> Vec<&str> {
        self.shards.iter().filter_map(|shard| shard.error.as_deref()).collect()
    }
}

impl ShardReport {
    pub(super) fn new(shards: &Shards, shard: ShardIndex, found: Result<Found, StoreError>) -> Self {
        let config = &shards.config.shards[shard];
        let (state, error, content) = match found {
            Ok(found) => (State::Ok, None, Some(Content::from(found))),
            Err(error) => (State::from(&error), Some(error.to_string()), None),
        };
        Self {
            shard: config.name.to_string(),
            endpoint: config.endpoint.to_string(),
            weight: config.weight.get(),
            share: share::ideal(&shards.config.shards)[shard],
            state,
            error,
            content,
        }
    }

    /// Whether nothing is known of it.
    pub(super) fn failed(&self) -> bool {
        self.state != State::Ok
    }
}

impl Ring {
    /// What `state` says of the ring with this fingerprint.
    pub(super) fn new(state: &RingState, configured: Fingerprint) -> Self {
        match state.ring {
            None => Self::None,
            Some(ring) if ring != configured => Self::Other,
            Some(_) if state.is_moving() => Self::Moving,
            Some(_) => Self::Settled,
        }
    }
}

impl From<&StoreError> for State {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unreachable { .. } => Self::Unreachable,
            StoreError::Unknown { .. } => Self::Silent,
            StoreError::Refused { .. } => Self::Refused,
            StoreError::UnfitServer { .. } => Self::Unfit,
        }
    }
}

impl From<Found> for Content {
    fn from(found: Found) -> Self {
        let Found { facts, ring, pages, misplaced } = found;
        let number = |name| facts.info(name).and_then(|value| value.parse().ok());
        let of = |kind| facts.parked.iter().filter(move |parked| parked.kind == kind);
        let parked = of(Kind::Batches).map(|parked| ParkedFor {
            owner: parked.owner.clone(),
            copies: parked.copies,
            bytes: parked.bytes,
        });
        let moves = of(Kind::Records).map(|parked| MovesFor { owner: parked.owner.clone(), bytes: parked.bytes });
        Self {
            round_trip_us: u64::try_from(facts.round_trip.as_micros()).unwrap_or(u64::MAX),
            pages,
            misplaced,
            ring,
            writers: facts.writers,
            parked: parked.collect(),
            moves: moves.collect(),
            memory_bytes: number("used_memory"),
            memory_limit_bytes: number("maxmemory"),
            eviction_policy: facts.health().eviction_policy,
        }
    }
}
