//! What one environment sends to one of two shards in an interval, put together by the counter's own ring and
//! buffer.

use super::zipf::Zipf;
use crate::server::page;
use fastrand::Rng;
use visits_core::batch::{Content, MAX_BATCH_PAGES};
use visits_core::buffer::Buffer;
use visits_core::day::Day;
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::visit::{Fingerprint, Secret, Visit};

/// The contents of the batches, in their order.
pub(super) type Interval = Vec<Content>;

/// Visitors of a day. Each request is another environment's, so that few visits of an interval are by the same one.
const VISITORS: u32 = 10_000_000;

/// One visit in so many is a bot's.
const BOT: u32 = 10;

/// A site and its visitors.
pub(super) struct Site {
    zipf: Zipf,
    random: Rng,
    secret: Secret,
}

impl Site {
    /// A site whose visits follow Zipf's law with exponent 1.0.
    pub(super) fn new(pages: u32) -> Self {
        let secret = "000102030405060708090a0b0c0d0e0f".parse().expect("this is a secret");
        Self { zipf: Zipf::new(pages, 1.0), random: Rng::with_seed(u64::from(pages)), secret }
    }

    /// An interval with so many `visits`, of which the first shard gets its pages'. A batch goes as soon as it is
    /// full, the last one at the end. With a `day` they are of it, with visitors and bots.
    pub(super) fn interval(&mut self, ring: &Ring, visits: u32, day: Option<Day>) -> Interval {
        let (mut buffer, mut batches) = (Buffer::default(), Vec::new());
        for _ in 0..visits {
            let page = page(self.zipf.sample(&mut self.random));
            if ring.owner(page.as_str()) == 0 {
                buffer.add(self.visit(page, day.is_some()), day);
            }
            if buffer.pages() >= MAX_BATCH_PAGES {
                batches.extend(buffer.take_next(|_| Some(&self.secret)));
            }
        }
        batches.extend(buffer.take_next(|_| Some(&self.secret)));
        batches
    }

    fn visit(&mut self, page: PageId, told_apart: bool) -> Visit {
        let bot = told_apart && self.random.u32(..BOT) == 0;
        let visitor = (told_apart && !bot).then(|| self.random.u32(..VISITORS).to_string());
        Visit { page, bot, visitor: visitor.map(|address| Fingerprint::of(&address, "an agent")) }
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
        let quiet = site.interval(&ring, 300, None);
        assert_eq!(quiet.len(), 1);
        let sizes: Vec<usize> = site.interval(&ring, 10_000, None).iter().map(|batch| batch.increments.len()).collect();
        assert!(sizes.len() > 2, "{sizes:?}");
        assert!(sizes[..sizes.len() - 1].iter().all(|&size| size == MAX_BATCH_PAGES), "{sizes:?}");
    }
}
