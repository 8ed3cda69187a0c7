//! Memory that days, visitors and top lists take.

use crate::figures::Row;
use crate::server::{Server, apply, call_with, fold_all, page};
use test_support::RedisServer;
use tokio::runtime::Runtime;
use visits_core::batch::{Batch, Content, Increment, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::store::redis::RedisStore;
use visits_core::store::statistics::TOP_KEPT;
use visits_core::visit::{Fingerprint, Refused, Secret, Visitor};

/// Pages, for the mean.
const PAGES: usize = 100;

const DAYS: u32 = 400;

/// What days take.
pub(super) fn rows(runtime: &Runtime) -> Vec<Row> {
    let mut rows = vec![days(runtime), list(runtime), journal(runtime)];
    rows.extend([1, 100, 10_000].map(|visitors| sketch(runtime, visitors)));
    rows
}

/// A page's months: people and bots on each day.
fn days(runtime: &Runtime) -> Row {
    let mut world = World::new(runtime);
    for day in 0..DAYS {
        world.flush(day, (0..PAGES).map(|number| (number, Vec::new())));
    }
    world.fold();
    Row::alone(format!("A page's {DAYS} days: people and bots"), "bytes", world.usage("*:days:*") / PAGES as f64, None)
}

/// A full list of the present day.
fn list(runtime: &Runtime) -> Row {
    let mut world = World::new(runtime);
    world.flush(0, (0..TOP_KEPT).map(|number| (number, Vec::new())));
    world.fold();
    Row::alone(format!("A day's top list, {TOP_KEPT} pages"), "bytes", world.usage("*:top:*"), None)
}

/// An entry that is not folded yet.
fn journal(runtime: &Runtime) -> Row {
    let mut world = World::new(runtime);
    for _ in 0..PAGES {
        world.flush(0, (0..MAX_BATCH_PAGES).map(|number| (number, vec![Visitor(number as u64)])));
    }
    let bytes = world.usage("*:journal") / PAGES as f64;
    Row::alone(format!("A batch in the journal, {MAX_BATCH_PAGES} pages with a visitor each"), "bytes", bytes, None)
}

/// A page's visitors of one day.
fn sketch(runtime: &Runtime, visitors: u64) -> Row {
    let mut world = World::new(runtime);
    let secret = "000102030405060708090a0b0c0d0e0f".parse::<Secret>().expect("this is a secret");
    let pseudonym = |number: u64| secret.pseudonym(Fingerprint::of(&number.to_string(), "an agent"));
    let visitors_of =
        |page: usize| (0..visitors).map(move |visitor| pseudonym(((page as u64) << 32) + visitor)).collect();
    // Redis makes room for more than it needs at once: as many flushes as in use.
    for part in 0..visitors.div_ceil(100) {
        let of = |number: usize| {
            let all: Vec<Visitor> = visitors_of(number);
            let first = usize::try_from(part * 100).unwrap_or(usize::MAX);
            all[first..all.len().min(first + 100)].to_vec()
        };
        world.flush(0, (0..10).map(|number| (number, of(number))));
        world.fold();
    }
    let what = format!("A page's visitors of a day that is not rolled up, {visitors} of them");
    Row::alone(what, "bytes", world.usage("*:visitors:*:*") / 10.0, None)
}

/// A server, and flushes of some days that end with the present one.
struct World<'a> {
    runtime: &'a Runtime,
    server: Server,
    store: RedisStore,
    today: Day,
    sequence: u64,
}

impl<'a> World<'a> {
    fn new(runtime: &'a Runtime) -> Self {
        let server = Server::new(RedisServer::start());
        let (store, today) = (server.counting(), Day::of(Clock::system().now()));
        Self { runtime, server, store, today, sequence: 0 }
    }

    fn flush(&mut self, day: u32, pages: impl Iterator<Item = (usize, Vec<Visitor>)>) {
        self.sequence += 1;
        let day = self.today.minus(day);
        let increment = |(number, visitors)| Increment { page: page(number), visits: 30, bots: 5, visitors };
        let sequence = Sequence::new(self.sequence).expect("they count from 1");
        let increments = pages.map(increment).collect();
        let batch = Batch::of(
            sequence,
            Content { day: Some(day), increments, refused: Refused::default() },
            Clock::system().now(),
        );
        self.runtime.block_on(apply(&self.store, &call_with(WriterId::from_u128(1), batch)));
    }

    fn fold(&self) {
        self.runtime.block_on(fold_all(&self.store, &self.server.config().ring()));
    }

    fn usage(&mut self, pattern: &str) -> f64 {
        self.server.usage(pattern)
    }
}
