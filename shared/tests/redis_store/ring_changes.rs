//! Random schedules of ring changes on real shards: writers with old and new rings, runs at once, faults of any call, calls that
//! arrive late or twice, and crashes. No count is ever wrong, and in the end all is where the ring places it.

use futures_util::future::join_all;
use proptest::prelude::*;
use redis::Commands;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, Content, Sequence, WriterId};
use visits_core::cache::CountCache;
use visits_core::clock::{Clock, Timing};
use visits_core::handoff::deliver;
use visits_core::page::PageId;
use visits_core::rehome::rehome;
use visits_core::ring::Ring;
use visits_core::store::{Apply, Ledger, WriterStatus};
use visits_core::tests::{Fault, Shards, fold, page};
use visits_core::visit::Refused;

const SHARDS: usize = 3;
const PAGES: u8 = 5;
const RINGS: [[u8; SHARDS]; 3] = [[1, 1, 1], [1, 1, 0], [1, 0, 3]];
const BUDGET: Duration = Duration::from_secs(5);

/// Shards and rings come as their numbers.
#[derive(Clone, Debug)]
enum Step {
    /// A writer with this ring has a visit of a page applied.
    Visit(usize, u8),
    /// All functions are given this ring. Writers that run keep theirs.
    ChangeRing(usize),
    /// Runs of the hand-off and of re-homing at the same time, each by the present ring or by another one.
    Run(bool, Vec<Option<usize>>),
    /// The journals are folded by the present ring or by another one.
    Fold(Option<usize>),
    /// The call after so many more goes wrong.
    Fail(usize, Fault, usize),
    DeliverLate(usize),
    /// The shards' data is on disk, and their notes are a minute old.
    Minute,
    /// The shard's data is on disk.
    Save(usize),
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (shard, ring) = (|| 0..SHARDS, 0..RINGS.len());
    let by = prop_oneof![8 => Just(None), 1 => ring.clone().prop_map(Some)].boxed();
    let fault = prop_oneof![
        2 => Just(Fault::Unreachable), 3 => Just(Fault::AnswerLost), 1 => Just(Fault::Late), 2 => Just(Fault::Duplicate)
    ];
    prop_oneof![
        4 => (ring.clone(), 0..PAGES).prop_map(|(ring, page)| Step::Visit(ring, page)),
        1 => ring.prop_map(Step::ChangeRing),
        4 => by.clone().prop_map(Step::Fold),
        8 => (any::<bool>(), prop::collection::vec(by, 0..3)).prop_map(|(deliver, rings)| Step::Run(deliver, rings)),
        3 => (shard(), fault, 0..8_usize).prop_map(|(shard, fault, after)| Step::Fail(shard, fault, after)),
        1 => shard().prop_map(Step::DeliverLate),
        5 => Just(Step::Minute),
        1 => shard().prop_map(Step::Save),
        1 => shard().prop_map(Step::Crash),
    ]
}

struct World {
    shards: Shards,
    rings: Vec<Ring>,
    ring: usize,
    /// Each visit: its shard, its page and its writer's ring. Its number is its writer.
    visits: Vec<(usize, PageId, usize)>,
    expected: BTreeMap<PageId, u64>,
}

impl World {
    async fn new() -> Self {
        let shards = Shards::with(SHARDS, &[("REDIS_TIMEOUT", "100ms"), ("VISITS_CACHE_TTL", "0s")]);
        let rings: Vec<Ring> = RINGS.iter().map(|weights| shards.ring_of(weights)).collect();
        let mut world = Self { shards, rings, ring: 0, visits: Vec::new(), expected: BTreeMap::new() };
        for number in 0..PAGES {
            world.visit(0, number).await;
        }
        world.minute();
        world
    }

    async fn visit(&mut self, ring: usize, number: u8) {
        let page = page(&format!("page-{number}"));
        let shard = self.rings[ring].owner(page.as_str());
        self.visits.push((shard, page.clone(), ring));
        *self.expected.entry(page).or_default() += 1;
        self.send(self.visits.len() - 1).await;
    }

    /// Has a visit applied, unless it is: on its shard, whatever ring that has.
    async fn send(&self, number: usize) {
        let (shard, page, ring) = &self.visits[number];
        let (day, increments) = ("2026-11-24".parse().unwrap(), vec![(page.clone(), 1).into()]);
        let (refused, now) = (Refused::default(), Clock::system().now());
        let batch = Batch::of(Sequence::FIRST, Content { day: Some(day), increments, refused }, now);
        let call = Apply {
            writer: WriterId::from_u128(number as u128),
            base: Sequence::FIRST,
            batches: vec![(Arc::new(batch), Duration::ZERO)],
            status: WriterStatus::Gone,
            ring: Some(self.rings[*ring].fingerprint()),
        };
        // Until it is applied: the faults are for the runs.
        while self.shards.store().apply(*shard, &call).await.is_err() {}
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Visit(ring, page) => self.visit(*ring, *page).await,
            Step::ChangeRing(ring) => self.ring = *ring,
            Step::Run(deliver, rings) => {
                let runs = join_all(rings.iter().map(|ring| self.rehome(ring.unwrap_or(self.ring))));
                let deliver = async {
                    if *deliver {
                        self.deliver().await;
                    }
                };
                tokio::join!(runs, deliver, self.read_meanwhile());
            }
            Step::Fold(ring) => self.fold(ring.unwrap_or(self.ring)).await,
            Step::Fail(shard, fault, after) => {
                self.shards.clear_faults(*shard);
                self.shards.fail_next(*shard, (0..*after).map(|_| None).chain([Some(*fault)]));
            }
            Step::DeliverLate(shard) => self.shards.deliver_late(*shard),
            Step::Minute => self.minute(),
            Step::Save(shard) => self.shards.save(*shard),
            Step::Crash(shard) => {
                self.shards.crash(*shard);
                // Writers send again what it has lost.
                for number in 0..self.visits.len() {
                    if self.visits[number].0 == *shard {
                        self.send(number).await;
                    }
                }
            }
        }
        self.assert_counts();
    }

    async fn deliver(&self) {
        let (store, ring) = (self.shards.store(), &self.rings[self.ring]);
        deliver(&**store, ring, &Clock::system(), Timing::REAL, BUDGET).await;
    }

    async fn fold(&self, ring: usize) {
        fold(self.shards.store(), &self.rings[ring], &Clock::system()).await;
    }

    async fn rehome(&self, ring: usize) -> bool {
        rehome(self.shards.store(), &self.rings[ring], &Clock::system(), Timing::REAL, BUDGET).await.ring_settled
    }

    /// Reads while runs move pages, by each ring: a count has all visits but those that writers with another ring have brought
    /// where a reader that trusts the owner does not look yet.
    async fn read_meanwhile(&self) {
        for (number, ring) in self.rings.iter().enumerate() {
            let cache =
                CountCache::new(self.shards.another_store(), ring.clone(), Clock::system(), self.shards.config());
            for (page, expected) in &self.expected {
                let owed = |(of, by): (usize, &(usize, PageId, usize))| {
                    by.1 == *page && (by.2 == number || of < usize::from(PAGES))
                };
                let owed = self.visits.iter().enumerate().filter(|visit| owed(*visit)).count() as u64;
                if let Ok(known) = cache.get(page).await {
                    assert!((owed..=*expected).contains(&known.count), "{page}: {known:?}, {owed} to {expected}");
                }
            }
        }
    }

    /// A minute passes: what the shards have is on disk, and what they noted is older.
    fn minute(&self) {
        self.shards.pass(Duration::from_secs(61));
        (0..SHARDS).for_each(|shard| self.shards.save(shard));
    }

    fn assert_counts(&self) {
        for (page, expected) in &self.expected {
            let records: Vec<_> = (0..SHARDS).map(|shard| self.shards.record(shard, page)).collect();
            assert_eq!(self.shards.sum(page), *expected, "{page}: {records:?}");
        }
    }

    /// Runs without faults until the ring is settled; then all is where it belongs.
    async fn come_to_rest(&self) {
        for shard in 0..SHARDS {
            self.shards.clear_faults(shard);
            self.shards.deliver_late(shard);
        }
        for _ in 0..30 {
            self.deliver().await;
            self.fold(self.ring).await;
            if self.rehome(self.ring).await {
                return self.assert_all_at_home();
            }
            self.assert_counts();
            self.minute();
        }
        let states = (0..SHARDS).map(|shard| self.shards.keys(shard, "*")).collect::<Vec<_>>();
        panic!("the ring does not settle: {states:?}");
    }

    fn assert_all_at_home(&self) {
        self.assert_counts();
        let (mut redis, ring, mut site) = (self.shards.connect(), &self.rings[self.ring], 0);
        for shard in 0..SHARDS {
            for (page, expected) in &self.expected {
                let here = if ring.owner(page.as_str()) == shard { *expected } else { 0 };
                let fields: BTreeMap<String, u64> =
                    redis.hgetall(self.shards.key(shard, &format!("page:{page}"))).unwrap();
                let kept: BTreeMap<String, u64> = (here > 0).then(|| ("total".to_owned(), here)).into_iter().collect();
                assert_eq!(fields, kept, "{page} on {shard}");
                let days: Option<u64> =
                    redis.hget(self.shards.key(shard, &format!("days:2026-11:{page}")), "24").unwrap();
                assert_eq!(days.unwrap_or(0), here, "days of {page} on {shard}");
            }
            let of_site: Option<u64> = redis.hget(self.shards.key(shard, "site:2026-11"), "24").unwrap();
            assert!(of_site.is_none() || !ring.is_draining(shard), "{shard}");
            site += of_site.unwrap_or(0);
            assert!(self.shards.keys(shard, "out*").is_empty() && self.shards.keys(shard, "notes:*").is_empty());
        }
        assert_eq!(site, self.visits.len() as u64);
    }
}

fn run(steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new().await;
        for step in steps {
            world.take(step).await;
        }
        world.come_to_rest().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_count_is_ever_wrong_while_rings_change_and_all_is_home_in_the_end(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(&steps);
    }
}
