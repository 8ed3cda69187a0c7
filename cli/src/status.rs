//! `visits shards`: the state of each shard, and what of it wants attention.

use crate::output::{Failure, Outcome, Output, counted, percent, share, table};
use crate::shards::Shards;
use futures_util::future::join_all;
use serde::Serialize;
use std::fmt::Write as _;
use visits_core::handoff::Kind;
use visits_core::ring::Fingerprint;
use visits_core::store::redis::facts::ShardFacts;
use visits_core::store::redis::rehoming::RingState;
use visits_core::store::{ShardIndex, StoreError};

/// All shards.
#[derive(Serialize)]
struct Document {
    namespace: String,
    shards: Vec<ShardStatus>,
    warnings: Vec<String>,
}

/// One shard.
#[derive(Serialize)]
struct ShardStatus {
    shard: String,
    /// Its password is masked.
    endpoint: String,
    weight: u8,
    /// The part of all pages that the ring gives it, from 0 to 1.
    share: f64,
    /// Whether the shard can be used.
    state: &'static str,
    /// Why the state is not `ok`.
    error: Option<String>,
    /// Its content, if it is.
    #[serde(flatten)]
    content: Option<Content>,
}

/// Content of a shard.
#[derive(Serialize)]
struct Content {
    round_trip_us: u64,
    pages: u64,
    /// Pages with visits here that the ring places elsewhere.
    misplaced: u64,
    /// State of the ring, as the shard knows it.
    ring: &'static str,
    writers: u64,
    /// Copies that wait here for another shard.
    parked: Vec<Waiting>,
    /// Pages on their way from here.
    moves: Vec<Waiting>,
    memory_bytes: Option<u64>,
    /// 0: no limit.
    memory_limit_bytes: Option<u64>,
    eviction_policy: Option<String>,
}

/// Envelopes that wait on a shard for another one.
#[derive(Serialize)]
struct Waiting {
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<u64>,
    bytes: u64,
}

/// Asks all shards. One that does not answer hides none of the others.
pub(crate) async fn run(shards: &Shards, output: &mut Output) -> Result<Outcome, Failure> {
    let facts = join_all((0..shards.len()).map(|shard| shards.store.facts(shard))).await;
    let weight = shards.config.shards.iter().map(|shard| u64::from(shard.weight.get())).sum();
    let mut found = Vec::new();
    for ((shard, config), facts) in shards.config.shards.iter().enumerate().zip(facts) {
        let (state, error, content) = match look(shards, shard, facts).await {
            Ok(content) => ("ok", None, Some(content)),
            Err(error) => (state(&error), Some(error.to_string()), None),
        };
        let (name, endpoint, weight_of) = (config.name.to_string(), config.endpoint.to_string(), config.weight.get());
        let part = share(weight_of.into(), weight);
        found.push(ShardStatus { shard: name, endpoint, weight: weight_of, share: part, state, error, content });
    }
    let namespace = shards.config.namespace.to_string();
    let document = Document { namespace, shards: found, warnings: shards.finish() };
    let errors: Vec<&str> = document.shards.iter().filter_map(|shard| shard.error.as_deref()).collect();
    output.document(&document, &text(&document.shards), &errors, &document.warnings)
}

/// Counts the shard's pages, and gathers warnings.
async fn look(
    shards: &Shards,
    shard: ShardIndex,
    facts: Result<ShardFacts, StoreError>,
) -> Result<Content, StoreError> {
    let (facts, name) = (facts?, shards.ring.name(shard));
    let health = facts.health();
    for warning in health.warnings() {
        shards.warn(format!("shard {name}: {warning}"));
    }
    if health.eviction_policy.is_none() {
        shards.warn(format!("shard {name}: its maxmemory-policy cannot be read: see that it evicts no counts"));
    }
    if facts.aside > 0 {
        let (aside, namespace) = (counted(facts.aside, "copy", "copies"), &shards.config.namespace);
        shards.warn(format!("shard {name}: {aside} set aside, see the key {namespace}:{{{name}}}:aside"));
    }
    let state = shards.store.ring_state(shard).await?;
    let ring = ring(&state, shards.ring.fingerprint());
    if ring == "other" {
        shards.warn(format!(
            "shard {name}: another ring is in force; re-homing with these settings puts this one in its place"
        ));
    }
    shards.warn_of_missing(&[state]);
    let (mut pages, mut misplaced) = (0, 0);
    let count = |page: &_| {
        pages += 1;
        misplaced += u64::from(!shards.owns(shard, page));
    };
    shards.walk_held(shard, count).await?;
    if misplaced > 0 {
        shards.warn(format!("shard {name}: the ring places {misplaced} of its pages elsewhere; re-homing moves them"));
    }
    let number = |name| facts.info(name).and_then(|value| value.parse().ok());
    let waiting = |kind, copies: fn(u64) -> Option<u64>| {
        let of_kind = facts.parked.iter().filter(|one| one.kind == kind);
        of_kind.map(|one| Waiting { owner: one.owner.clone(), copies: copies(one.copies), bytes: one.bytes }).collect()
    };
    Ok(Content {
        round_trip_us: u64::try_from(facts.round_trip.as_micros()).unwrap_or(u64::MAX),
        pages,
        misplaced,
        ring,
        writers: facts.writers,
        parked: waiting(Kind::Batches, Some),
        moves: waiting(Kind::Records, |_| None),
        memory_bytes: number("used_memory"),
        memory_limit_bytes: number("maxmemory"),
        eviction_policy: health.eviction_policy,
    })
}

/// Returns how a shard that cannot be used fails: without a connection, without an answer over it, with an error, or since its
/// server is another one than the name stands for, or may evict counts.
fn state(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable { .. } => "unreachable",
        StoreError::Unknown { .. } => "silent",
        StoreError::Refused { .. } => "refused",
        StoreError::UnfitServer { .. } => "unfit",
    }
}

/// Returns how a shard's ring compares with the configured one.
fn ring(state: &RingState, configured: Fingerprint) -> &'static str {
    match state.ring {
        None => "none",
        Some(ring) if ring != configured => "other",
        Some(_) if state.is_moving() => "moving",
        Some(_) => "settled",
    }
}

/// Returns a row for each shard, and a line for what waits on one for another.
fn text(shards: &[ShardStatus]) -> String {
    let columns = [
        "SHARD",
        "STATE",
        ">PING",
        ">SHARE",
        ">PAGES",
        ">MISPLACED",
        "RING",
        ">WRITERS",
        ">PARKED",
        ">MEMORY",
        "EVICTION",
        "ENDPOINT",
    ];
    let mut text = table(columns, shards.iter().map(row));
    for (ShardStatus { shard, .. }, content) in shards.iter().filter_map(|shard| Some((shard, shard.content.as_ref()?)))
    {
        for Waiting { owner, copies, bytes: size } in content.parked.iter().chain(&content.moves) {
            let size = bytes(*size);
            let _ = match copies {
                Some(copies) => writeln!(text, "{shard} keeps {copies} parked copies ({size}) for {owner}"),
                None => writeln!(text, "{shard} keeps {size} of pages on their way to {owner}"),
            };
        }
    }
    text
}

fn row(shard: &ShardStatus) -> [String; 12] {
    let known = |value: &dyn Fn(&Content) -> Option<String>| {
        shard.content.as_ref().and_then(value).unwrap_or_else(|| "-".to_owned())
    };
    [
        shard.shard.clone(),
        shard.state.to_owned(),
        known(&|content| Some(milliseconds(content.round_trip_us))),
        percent(shard.share),
        known(&|content| Some(content.pages.to_string())),
        known(&|content| Some(content.misplaced.to_string())),
        known(&|content| Some(content.ring.to_owned())),
        known(&|content| Some(content.writers.to_string())),
        known(&|content| Some(content.parked.iter().filter_map(|parked| parked.copies).sum::<u64>().to_string())),
        known(&|content| content.memory_bytes.map(bytes)),
        known(&|content| content.eviction_policy.clone()),
        shard.endpoint.clone(),
    ]
}

fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:02}ms", microseconds / 1000, microseconds % 1000 / 10)
}

/// Bytes in the largest unit of which there is at least one, cut to a tenth.
fn bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.into_iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes}B"),
        |(size, unit)| format!("{}.{}{unit}", bytes / size, bytes % size * 10 / size),
    )
}

#[cfg(test)]
mod tests {
    use super::{bytes, milliseconds};

    #[test]
    fn bytes_are_shown_in_the_largest_unit_that_fits() {
        let shown = [0, 1023, 1024, 1536, 1_048_575, 64 << 20, 3 << 30].map(bytes);
        assert_eq!(shown, ["0B", "1023B", "1.0KiB", "1.5KiB", "1023.9KiB", "64.0MiB", "3.0GiB"]);
    }

    #[test]
    fn a_round_trip_is_shown_in_hundredths_of_a_millisecond() {
        assert_eq!([0, 86, 1234].map(milliseconds), ["0.00ms", "0.08ms", "1.23ms"]);
    }
}
