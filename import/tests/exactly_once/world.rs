//! Inputs, imports and settings of the tests.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::store::redis::RedisStore;
use visits_import::{Blocks, Bounds, Import, ImportError, LogOptions, Outcome, Patience, Source, import};

/// Settings with these shards.
pub(crate) fn config(endpoints: &str) -> Config {
    Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.into())).unwrap()
}

/// Settings with the shards `a`, `b`, … of these weights, somewhere.
pub(crate) fn config_of(weights: &[u8]) -> Config {
    let shard = |(name, weight): (char, &u8)| format!("{name}=redis://{name};weight={weight}");
    config(&('a'..).zip(weights).map(shard).collect::<Vec<_>>().join(","))
}

/// A log of `lines` requests for some pages; which ones follows from `seed`.
pub(crate) fn log(lines: u64, pages: u64, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let line = |_| {
        let page = next() % pages;
        format!("192.0.2.1 - - [10/Oct/2025:13:55:36 +0000] \"GET /p{page} HTTP/1.1\" 200 1\n")
    };
    (0..lines).map(line).collect::<String>().into_bytes()
}

/// An import of a log, in small blocks, that waits briefly for each shard.
pub(crate) fn march() -> Import {
    let patience =
        Patience { calls: 2, first_pause: Duration::from_millis(1), longest_pause: Duration::from_millis(1) };
    let bounds = Bounds { names: 20, ..Bounds::default() };
    Import { bounds, patience, ..Import::new("march".parse().unwrap(), Source::AccessLog(LogOptions::default())) }
}

pub(crate) async fn run(
    store: &RedisStore,
    config: &Config,
    what: &Import,
    input: &[u8],
) -> Result<Outcome, ImportError> {
    import(store, config, what, &mut Cursor::new(input), &mut |_| {}).await
}

/// Returns the counts of the input, added up in one block.
pub(crate) fn truth(what: &Import, input: &[u8]) -> BTreeMap<PageId, u64> {
    let mut blocks = Blocks::new(&what.source, input, Bounds::default()).unwrap();
    let block = blocks.next_block(&mut |_| {}).unwrap().unwrap_or_default();
    block.into_iter().map(|one| (one.page, one.visits)).collect()
}
