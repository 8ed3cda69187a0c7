//! Days, visitors and refusals on their way to the shards.

use super::*;
use crate::batch::Batch;
use crate::store::redis::statistics::DayCount;
use crate::visit::{self, Fingerprint, Refused, Visitor};
use std::collections::BTreeSet;

const HOUR: Duration = Duration::from_hours(1);

fn by(address: &str, page: &PageId) -> Visit {
    Visit { page: page.clone(), bot: false, visitor: Some(Fingerprint::of(address, "Mozilla")) }
}

fn bot(page: &PageId) -> Visit {
    Visit { page: page.clone(), bot: true, visitor: None }
}

fn counted(people: u64, bots: u64, visitors: u64) -> DayCount {
    DayCount { people, bots, visitors }
}

impl World {
    fn today(&self) -> Day {
        Day::of(self.time.clock().now())
    }

    /// The batches of a day, of all shards.
    fn batches(&self, day: Day) -> Vec<Arc<Batch>> {
        let batches = (0..self.ring.len()).flat_map(|shard| self.store.journal(shard));
        batches.filter(|batch| batch.day() == Some(day)).collect()
    }

    /// A day of some pages together, as their batches say, and the pseudonyms of its visitors.
    fn day_of(&self, day: Day, is_one: impl Fn(&PageId) -> bool) -> (DayCount, BTreeSet<Visitor>) {
        let (mut count, mut visitors) = (DayCount::default(), BTreeSet::new());
        for batch in self.batches(day) {
            for increment in batch.increments().iter().filter(|increment| is_one(&increment.page)) {
                count.people += increment.people();
                count.bots += increment.bots;
                visitors.extend(increment.visitors.iter().copied());
            }
        }
        (DayCount { visitors: visitors.len() as u64, ..count }, visitors)
    }

    fn page_day(&self, page: &PageId, day: Day) -> DayCount {
        self.day_of(day, |one| one == page).0
    }

    fn site_today(&self) -> DayCount {
        self.day_of(self.today(), |_| true).0
    }

    fn refused_today(&self) -> Refused {
        let mut refused = Refused::default();
        self.batches(self.today()).iter().for_each(|batch| refused.add_all(*batch.refused()));
        refused
    }

    /// A visit of this visitor goes out.
    async fn sweep_visit_by(&self, address: &str, page: &PageId) -> FlushReport {
        self.flusher.record(by(address, page)).unwrap();
        self.flusher.sweep(BUDGET).await
    }

    fn secret_shard(&self) -> ShardIndex {
        self.ring.owner(&visit::secret_key(self.today()))
    }
}

#[tokio::test]
async fn a_visitor_of_two_environments_and_two_pages_is_one() {
    let world = world();
    let pages = [world.page_of(0, 0), world.page_of(1, 0)];
    let other = world.another();
    for flusher in [&*world.flusher, &other] {
        for page in &pages {
            flusher.record(by("192.0.2.1", page)).unwrap();
            flusher.record(by("192.0.2.2", &pages[0])).unwrap();
        }
        flusher.record(bot(&pages[1])).unwrap();
        flusher.sweep(BUDGET).await;
    }
    let today = world.today();
    assert_eq!(world.page_day(&pages[0], today), counted(6, 0, 2));
    assert_eq!(world.page_day(&pages[1], today), counted(2, 2, 1));
    assert_eq!(world.site_today(), counted(8, 2, 2));
}

#[tokio::test]
async fn a_ring_change_makes_no_second_secret() {
    let world = world();
    let page = world.page_of(0, 0);
    world.sweep_visit_by("192.0.2.1", &page).await;
    let secret = world.secret_shard();
    // The shard that keeps it drains.
    let weights = if secret == 0 { [0, 1] } else { [1, 0] };
    let ring = ring_of(["a", "b"].into_iter().zip(weights));
    let other = flusher(&world.store, &ring, &world.time, 10);
    other.record(by("192.0.2.1", &page)).unwrap();
    other.sweep(BUDGET).await;
    assert_eq!(world.page_day(&page, world.today()).visitors, 1);
    assert_eq!(world.store.secrets_on(1 - secret), 1, "the new owner keeps it, too");
}

#[tokio::test]
async fn two_days_of_one_visitor_have_nothing_in_common() {
    let world = world();
    let page = world.page_of(0, 0);
    for _ in 0..2 {
        world.sweep_visit_by("192.0.2.1", &page).await;
        world.time.advance(24 * HOUR);
    }
    let (second, first) = (world.today().minus(1), world.today().minus(2));
    let sealed = [first, second].map(|day| world.day_of(day, |one| *one == page).1);
    assert!(sealed[0].len() == 1 && sealed[1].len() == 1 && sealed[0] != sealed[1], "{sealed:?}");
}

#[tokio::test]
async fn visits_on_both_sides_of_midnight_are_each_of_their_day() {
    let world = world();
    let page = world.page_of(0, 0);
    world.flusher.record(by("192.0.2.1", &page)).unwrap();
    world.time.advance(24 * HOUR);
    world.flusher.record(by("192.0.2.1", &page)).unwrap();
    world.flusher.record(bot(&page)).unwrap();
    assert_eq!(world.flusher.sweep(BUDGET).await.visits, 3);
    let today = world.today();
    let days = [world.page_day(&page, today.minus(1)), world.page_day(&page, today)];
    assert_eq!(days, [counted(1, 0, 1), counted(1, 1, 1)]);
    assert_eq!(world.store.sum(&page), 3);
}

#[tokio::test]
async fn without_the_days_secret_visits_are_sent_and_visitors_left_out() {
    let world = world();
    let secret = world.secret_shard();
    let page = world.page_of(1 - secret, 0);
    world.store.set_down(secret, Some(Fault::Unreachable));
    world.sweep_visit_by("192.0.2.1", &page).await;
    assert_eq!(world.page_day(&page, world.today()), counted(1, 0, 0));
    world.store.set_down(secret, None);
    world.time.advance(Duration::from_secs(6));
    world.sweep_visit_by("192.0.2.1", &page).await;
    assert_eq!(world.page_day(&page, world.today()), counted(2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_mute_shard_with_the_secret_holds_a_flush_up_for_a_moment_only() {
    let world = world();
    let secret = world.secret_shard();
    let page = world.page_of(1 - secret, 0);
    world.store.set_down(secret, Some(Fault::Mute));
    world.flusher.record_direct(by("192.0.2.1", &page)).await.unwrap();
    let started = Instant::now();
    world.flusher.record_direct(by("192.0.2.2", &page)).await.unwrap();
    assert!(started.elapsed() < SECRET_WAIT, "it is not asked for again at once");
    assert_eq!(world.page_day(&page, world.today()), counted(2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_mute_shard_without_the_secret_keeps_no_visitor_from_being_counted() {
    let world = world();
    let secret = world.secret_shard();
    let page = world.page_of(secret, 0);
    world.store.set_down(1 - secret, Some(Fault::Mute));
    world.flusher.record_direct(by("192.0.2.1", &page)).await.unwrap();
    assert_eq!(world.page_day(&page, world.today()), counted(1, 0, 1));
}

#[tokio::test]
async fn an_environment_that_ends_sends_its_visitors_too() {
    let world = world();
    let page = world.page_of(0, 0);
    world.flusher.record(by("192.0.2.1", &page)).unwrap();
    world.flusher.shutdown().await;
    assert_eq!(world.page_day(&page, world.today()), counted(1, 0, 1));
    assert_eq!(world.site_today(), counted(1, 0, 1));
}

#[tokio::test]
async fn what_is_refused_is_counted_and_costs_no_visit() {
    let world = world();
    for refusal in [Refusal::Origin, Refusal::Page, Refusal::Page, Refusal::Repeat] {
        world.flusher.refuse(refusal);
    }
    let report = world.flush().await;
    assert_eq!((report.visits, report.pages, report.batches), (0, 0, 1));
    let told = (world.site_today(), world.refused_today());
    assert_eq!(told, (counted(0, 0, 0), Refused { origin: 1, page: 2, repeat: 1, new_page: 0 }));
    world.flusher.shutdown().await;
    world.flusher.refuse(Refusal::Origin);
}

#[tokio::test]
async fn several_visits_are_all_taken_or_none() {
    let world = world_of(&["a", "b"], 3);
    let visits = |range: std::ops::Range<usize>| range.map(|n| world.page_of(n % 2, n).into()).collect::<Vec<Visit>>();
    assert!(matches!(world.flusher.record(visits(0..4)), Err(RecordError::Full { .. })));
    world.flusher.record(visits(0..3)).unwrap();
    assert!(matches!(world.flusher.record(visits(2..4)), Err(RecordError::Full { .. })));
    world.flusher.record(visits(0..3)).unwrap();
    assert_eq!(world.flusher.sweep(BUDGET).await.visits, 6);
    world.flusher.record_direct(visits(0..3)).await.unwrap();
    assert_eq!(world.store.sum(&world.page_of(0, 0)), 3);
    world.flusher.shutdown().await;
    assert!(matches!(world.flusher.record(visits(0..1)), Err(RecordError::Stopping)));
}

#[tokio::test]
async fn without_days_nothing_but_totals_is_sent() {
    let world = world();
    let page = world.page_of(0, 0);
    let limits = Limits { interval: INTERVAL, pages: 10, timing: Timing::REAL, days: false };
    let flusher = Flusher::new(Arc::new(world.store.clone()), world.ring.clone(), world.time.clock(), limits);
    flusher.record(by("192.0.2.1", &page)).unwrap();
    flusher.record(bot(&page)).unwrap();
    flusher.refuse(Refusal::Origin);
    flusher.sweep(BUDGET).await;
    assert_eq!(world.page_day(&page, world.today()), counted(0, 0, 0));
    assert_eq!(world.store.count(0, &page), (2, 1));
    assert_eq!(world.refused_today(), Refused::default());
}

#[tokio::test(start_paused = true)]
async fn all_that_is_done_at_sigterm_and_in_a_sweep_shares_one_budget_the_days_secret_included() {
    for (at_sigterm, budget) in [(true, SHUTDOWN_BUDGET), (false, BUDGET)] {
        let world = world();
        for shard in [0, 1] {
            world.flusher.record(by("192.0.2.1", &world.page_of(shard, 0))).unwrap();
            world.store.set_down(shard, Some(Fault::Mute));
        }
        let began = Instant::now();
        if at_sigterm {
            world.flusher.shutdown().await;
        } else {
            world.flusher.sweep(BUDGET).await;
        }
        assert_eq!(began.elapsed(), budget, "at SIGTERM: {at_sigterm}");
    }
}
