//! The pages of the site, and the visits that they have from the start.

use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger, WriterStatus};

pub(super) fn page(number: usize) -> String {
    format!("page-{number}")
}

/// Visits that a page has from the start.
pub(super) fn preloaded(number: usize) -> u64 {
    1 + number as u64 % 7
}

/// Counts these visits of `pages` pages, as one writer would.
pub(super) async fn preload(config: &Config, pages: usize) {
    let (store, ring, clock) = (RedisStore::new(config).expect("good endpoints"), config.ring(), config.clock());
    let mut owned: Vec<Vec<(PageId, u64)>> = vec![Vec::new(); ring.len()];
    for number in 0..pages {
        let id = PageId::from_decoded(&page(number)).expect("a page id");
        owned[ring.owner(id.as_str())].push((id, preloaded(number)));
    }
    for (owner, pages) in owned.into_iter().enumerate() {
        for (number, pages) in (1..).zip(pages.chunks(MAX_BATCH_PAGES)) {
            let batch = Batch::seal(Sequence::new(number).expect("from 1"), pages.to_vec(), clock.now());
            let call = Apply {
                writer: WriterId::from_u128(1),
                base: Sequence::FIRST,
                batches: vec![(Arc::new(batch), Duration::ZERO)],
                status: WriterStatus::Gone,
                ring: Some(ring.fingerprint()),
            };
            store.apply(owner, &call).await.expect("the server takes it");
        }
    }
}
