//! The same flush with the owner's statistics: days, visitors and bots.

use crate::server::page;
use visits_core::batch::{Batch, Content, Increment, Sequence};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::visit::{Refused, Visitor};

/// Visitors whom the most visited page has in a day; the n-th has an n-th of them.
const MAX_VISITORS: u64 = 10_000;

/// One page in so many has a visit by a bot among its own.
const BOT_ON: usize = 10;

/// Traffic of a site, repeatable: visitors are drawn from those whom a page has in a day.
pub(super) struct Traffic {
    random: u64,
    pub(super) day: Day,
}

impl Traffic {
    pub(super) fn new() -> Self {
        Self { random: 1, day: Day::of(Clock::system().now()) }
    }

    /// The day after: all sketches will be new, and the month's records get a field.
    pub(super) fn begin_next_day(&mut self) {
        self.day = self.day.plus(1);
    }

    /// A flush of `pages` pages, with one or two visitors each.
    pub(super) fn flush(&mut self, sequence: u64, pages: usize) -> Batch {
        let increments = (1..=pages).map(|rank| self.increment(rank, 1 + rank % 2)).collect();
        self.seal(sequence, increments)
    }

    /// One of `parts` flushes after which half of a day's visitors have come.
    pub(super) fn fill(&mut self, sequence: u64, pages: usize, part: usize, parts: usize) -> Batch {
        let share = |visitors: u64| {
            let half = usize::try_from(visitors / 2).unwrap_or(usize::MAX);
            (half * (part + 1) / parts - half * part / parts).max(1)
        };
        let increments = (1..=pages).map(|rank| self.increment(rank, share(visitors_of(rank)))).collect();
        self.seal(sequence, increments)
    }

    fn seal(&self, sequence: u64, increments: Vec<Increment>) -> Batch {
        let sequence = Sequence::new(sequence).expect("they count from 1");
        Batch::of(
            sequence,
            Content { day: Some(self.day), increments, refused: Refused::default() },
            Clock::system().now(),
        )
    }

    fn increment(&mut self, rank: usize, visitors: usize) -> Increment {
        let bots = u64::from(rank.is_multiple_of(BOT_ON));
        let visits = 1 + 300 / rank as u64 + bots;
        Increment { page: page(rank), visits, bots, visitors: self.visitors(rank as u64, visitors_of(rank), visitors) }
    }

    /// Some of the visitors of a page, distinct and in order.
    fn visitors(&mut self, page: u64, known: u64, count: usize) -> Vec<Visitor> {
        let mut visitors: Vec<Visitor> =
            (0..count).map(|_| Visitor(mixed((page << 32) + self.next() % known))).collect();
        visitors.sort_unstable();
        visitors.dedup();
        visitors
    }

    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.random)
    }
}

fn visitors_of(rank: usize) -> u64 {
    (MAX_VISITORS / rank as u64).max(4)
}

/// The last step of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): as even as a keyed hash.
fn mixed(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
