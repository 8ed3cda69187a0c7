//! A site with its history on real servers.

use crate::server::{call_with, config, fold_all, one_thread, page};
use crate::subject::{endpoints, servers};
use std::sync::Arc;
use std::time::Duration;
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{Batch, Content, Increment, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::page::PageId;
use visits_core::ring::Ring;
use visits_core::rollup::{Settings, roll_up};
use visits_core::statistics::{Figures, TopQuery};
use visits_core::store::Ledger;
use visits_core::store::redis::RedisStore;
use visits_core::visit::{Fingerprint, Refused, Secret, Visitor, site_key};

/// Pages that have visitors: enough for a roll-up to have work, few enough for the servers' memory.
const WITH_VISITORS: usize = 20;

/// Longest time for the roll-up of everything.
const ROLL_UP: Duration = Duration::from_mins(5);

pub(super) struct Site {
    runtime: Runtime,
    store: Arc<RedisStore>,
    ring: Ring,
    figures: Figures,
    today: Day,
    _servers: Vec<RedisServer>,
}

impl Site {
    /// Every page has visits on each of the days that end with the present one.
    pub(super) fn new(shards: usize, pages: usize, days: u32) -> Self {
        let servers = servers(shards);
        let config = config(&endpoints(&servers));
        let (runtime, clock, ring) = (one_thread(), config.clock(), config.ring());
        let store = Arc::new(RedisStore::new(&config).expect("the servers' addresses are some"));
        let figures = Figures::new(Arc::clone(&store), ring.clone(), clock.clone(), &config);
        let today = Day::of(clock.now());
        let site = Self { runtime, store, ring, figures, today, _servers: servers };
        site.fill(pages, days);
        let settings = Settings { history_days: config.history_days, budget: ROLL_UP.into() };
        let rolled_up = site.runtime.block_on(roll_up(&site.store, &site.ring, &clock, settings));
        assert!(rolled_up.days_rolled_up, "{rolled_up:?}");
        site
    }

    fn fill(&self, pages: usize, days: u32) {
        let mut of_shard: Vec<Vec<(usize, PageId)>> = vec![Vec::new(); self.ring.len()];
        for (number, page) in (0..pages).map(|number| (number, page(number))) {
            of_shard[self.ring.owner(page.as_str())].push((number, page));
        }
        for (shard, pages) in of_shard.iter().enumerate() {
            let mut sequence = 0;
            for day in self.today.minus(days - 1).to(self.today) {
                for pages in pages.chunks(MAX_BATCH_PAGES) {
                    sequence += 1;
                    let increments = pages.iter().map(|(number, page)| increment(*number, page, day)).collect();
                    self.apply(shard, sequence, day, increments);
                }
            }
        }
        self.fold();
    }

    fn apply(&self, shard: usize, sequence: u64, day: Day, increments: Vec<Increment>) {
        let sequence = Sequence::new(sequence).expect("they count from 1");
        let batch = Batch::of(
            sequence,
            Content { day: Some(day), increments, refused: Refused::default() },
            Clock::system().now(),
        );
        let applied = self.runtime.block_on(self.store.apply(shard, &call_with(WriterId::from_u128(2), batch)));
        assert!(applied.is_ok_and(|applied| applied.rejected.is_empty() && applied.fresh.len() == 1), "it is applied");
    }

    pub(super) fn history(&self, number: usize, days: u32) {
        let history = self.runtime.block_on(self.figures.history(&page(number), days)).expect("its shard answers");
        assert!(history.visits >= u64::from(days), "{history:?}");
    }

    pub(super) fn top(&self, query: &TopQuery) {
        let top = self.runtime.block_on(self.figures.top(query)).expect("the shards answer");
        assert!(!top.pages.is_empty() && top.pages.len() <= 100, "{top:?}");
    }

    pub(super) fn summary(&self, days: u32) {
        assert!(self.runtime.block_on(self.figures.summary(days)).complete, "all shards answer");
    }

    /// Folds what was applied into days.
    fn fold(&self) {
        self.runtime.block_on(fold_all(&self.store, &self.ring));
    }

    /// How far off the visitors of a day are, in percent, on each of so many days.
    pub(super) fn errors(&self, visitors: u64, days: u32) -> Vec<f64> {
        let mut sequence = 1_000_000;
        let day_after = |number| self.today.plus(1 + number);
        let error = |number: u32| {
            let (day, secret) =
                (day_after(number), format!("{number:032x}").parse::<Secret>().expect("this is a secret"));
            let mut known: Vec<Visitor> = (0..visitors)
                .map(|visitor| secret.pseudonym(Fingerprint::of(&visitor.to_string(), "an agent")))
                .collect();
            known.sort_unstable();
            for visitors in known.chunks(10_000) {
                sequence += 1;
                let increment = Increment { visitors: visitors.to_vec(), ..(page(0), visitors.len() as u64).into() };
                self.apply(self.ring.owner(page(0).as_str()), sequence, day, vec![increment]);
            }
            self.fold();
            let found = self
                .runtime
                .block_on(self.store.days(self.ring.owner(&site_key(day)), None, day, day))
                .expect("the shard answers");
            (found.days[0].visitors as f64 / visitors as f64 - 1.0) * 100.0
        };
        (0..days).map(error).collect()
    }
}

/// A page's visits of a day: more for the first pages, and not the same every day.
fn increment(number: usize, page: &PageId, day: Day) -> Increment {
    let visits = 1 + (1_000 + u64::from(day.number()) % 97) / (1 + number as u64);
    let visitors = if number < WITH_VISITORS {
        vec![Visitor(number as u64), Visitor(u64::from(day.number()) << 32)]
    } else {
        Vec::new()
    };
    Increment { page: page.clone(), visits, bots: u64::from(visits > 1), visitors }
}
