//! What one environment sends to one of two shards in an interval, put together by the counter's own ring and
//! buffer.

use super::zipf::Zipf;
use crate::server::page;
use fastrand::Rng;
use visits_core::batch::{Increment, MAX_BATCH_PAGES};
use visits_core::buffer::Buffer;
use visits_core::ring::Ring;

/// The increments of the batches, in their order.
pub(super) type Interval = Vec<Vec<Increment>>;

/// A site and its visitors.
pub(super) struct Site {
    zipf: Zipf,
    random: Rng,
}

impl Site {
    /// A site whose visits follow Zipf's law with exponent 1.0.
    pub(super) fn new(pages: u32) -> Self {
        Self { zipf: Zipf::new(pages, 1.0), random: Rng::with_seed(u64::from(pages)) }
    }

    /// An interval with so many `visits`, of which the first shard gets its pages'. A batch goes as soon as it is
    /// full, the last one at the end.
    pub(super) fn interval(&mut self, ring: &Ring, visits: u32) -> Interval {
        let (mut buffer, mut batches) = (Buffer::default(), Vec::new());
        for _ in 0..visits {
            let page = page(self.zipf.sample(&mut self.random));
            if ring.owner(page.as_str()) == 0 {
                buffer.add(page.into(), None, true);
            }
            if buffer.pages() >= MAX_BATCH_PAGES {
                batches.extend(buffer.take_next(|_| None).map(|content| content.increments));
            }
        }
        batches.extend(buffer.take_next(|_| None).map(|content| content.increments));
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use visits_core::shard::Weight;

    #[test]
    fn a_busy_interval_is_sent_in_full_batches_and_a_quiet_one_in_one() {
        let shards = ["a", "b"].map(|name| (name.parse().unwrap(), Weight::default()));
        let (ring, mut site) = (Ring::new(shards).unwrap(), Site::new(10_000));
        let quiet = site.interval(&ring, 300);
        assert_eq!(quiet.len(), 1);
        let sizes: Vec<usize> = site.interval(&ring, 10_000).iter().map(Vec::len).collect();
        assert!(sizes.len() > 2, "{sizes:?}");
        assert!(sizes[..sizes.len() - 1].iter().all(|&size| size == MAX_BATCH_PAGES), "{sizes:?}");
    }
}
