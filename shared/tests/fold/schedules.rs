//! Random schedules: batches that are sent once or again, folds of which calls fail or are repeated, several at once, and
//! shards that crash. In the end each visit is in its day once.

use crate::world::{World, first_day};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use std::collections::BTreeSet;
use tokio::runtime::Builder;
use visits_core::batch::Increment;
use visits_core::clock::Clock;
use visits_core::store::ShardIndex;
use visits_core::tests::{Fault, Shards, fold, increment, page};
use visits_core::visit::Refused;

const SHARDS: usize = 2;

#[derive(Clone, Debug)]
enum Step {
    /// Seals a batch with these pages and refused repetitions; its day, counted from the first, or none.
    Seal(ShardIndex, Option<u32>, Vec<(u8, u64, bool)>, u64),
    /// Seals and sends more batches than one commit takes.
    Burst(ShardIndex),
    /// Sends a batch, perhaps again.
    Send(ShardIndex, usize),
    Fold,
    /// Two folds at once, over connections of their own.
    FoldTwice,
    /// The next calls to a shard, and then a fold.
    FoldWith(ShardIndex, Vec<Option<Fault>>),
    Save(ShardIndex),
    /// Puts a shard back to what it was at the last save.
    Crash(ShardIndex),
}

fn step() -> impl Strategy<Value = Step> {
    let shard = || 0..SHARDS;
    let fault = prop_oneof![
        2 => Just(None),
        1 => Just(Some(Fault::Unreachable)),
        1 => Just(Some(Fault::AnswerLost)),
        1 => Just(Some(Fault::Duplicate)),
    ];
    let pages = prop::collection::vec((0..6_u8, 1..4_u64, any::<bool>()), 0..5);
    prop_oneof![
        4 => (shard(), prop::option::of(0..4_u32), pages, 1..3_u64)
            .prop_map(|(shard, day, pages, repeats)| Step::Seal(shard, day, pages, repeats)),
        6 => (shard(), 0..40_usize).prop_map(|(shard, place)| Step::Send(shard, place)),
        1 => shard().prop_map(Step::Burst),
        2 => Just(Step::Fold),
        1 => Just(Step::FoldTwice),
        3 => (shard(), prop::collection::vec(fault, 1..5)).prop_map(|(shard, faults)| Step::FoldWith(shard, faults)),
        1 => shard().prop_map(Step::Save),
        1 => shard().prop_map(Step::Crash),
    ]
}

fn increments(pages: &[(u8, u64, bool)]) -> Vec<Increment> {
    let mut seen = BTreeSet::new();
    let one = |&(page, visits, is_bot): &(u8, u64, bool)| {
        increment(&format!("page {page}"), visits, u64::from(is_bot), &[u64::from(page) + visits])
    };
    pages.iter().filter(|(page, ..)| seen.insert(*page)).map(one).collect()
}

async fn run(world: &mut World, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Seal(shard, day, pages, repeats) => {
                let refused = Refused { repeat: *repeats, ..Refused::default() };
                world.seal(*shard, day.map(|day| first_day().plus(day)), increments(pages), refused);
            }
            Step::Burst(shard) => {
                let first = world.batches[*shard].len();
                for number in 0..40_u8 {
                    let one = increments(&[(number % 6, 1, false)]);
                    world.seal(*shard, Some(first_day()), one, Refused::default());
                }
                let places: Vec<usize> = (first..first + 40).collect();
                world.send(*shard, &places).await.unwrap();
            }
            Step::Send(shard, place) => {
                if let Some(last) = world.batches[*shard].len().checked_sub(1) {
                    world.send(*shard, &[(*place).min(last)]).await.unwrap();
                }
            }
            Step::Fold => {
                world.fold().await;
            }
            Step::FoldTwice => {
                let (one, other, clock) = (world.shards.store(), world.shards.another_store(), Clock::system());
                futures_util::future::join(fold(one, &world.ring, &clock), fold(&other, &world.ring, &clock)).await;
            }
            Step::FoldWith(shard, faults) => {
                world.shards.fail_next(*shard, faults.clone());
                world.fold().await;
                world.shards.clear_faults(*shard);
            }
            Step::Save(shard) => world.shards.save(*shard),
            Step::Crash(shard) => world.shards.crash(*shard),
        }
    }
}

/// That all is where it belongs once everything has been sent again and folded.
async fn check(world: &World, broken: Option<u8>) -> Result<(), TestCaseError> {
    world.send_all().await;
    world.fold().await;
    let is_broken = |page: &str| broken.is_some_and(|broken| page == format!("page {broken}"));
    let expected = world.expected(|shard, page| shard == 0 && is_broken(page.as_str()));
    prop_assert_eq!(&world.days(), &expected);
    prop_assert_eq!(world.waiting(), 0);
    let repeats =
        world.batches.iter().flatten().filter(|batch| batch.day().is_some()).map(|batch| batch.refused().repeat);
    let fields = |kind: &str| (1..=31).map(|day| format!("{day}{kind}")).collect::<Vec<_>>();
    let of_months = |kind: &str| -> u64 {
        let fields = fields(kind);
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        ["site:2026-11", "site:2026-12"].iter().map(|month| world.site(month, &fields)).sum()
    };
    prop_assert_eq!(of_months("r"), repeats.sum::<u64>());
    prop_assert_eq!(of_months(""), expected.values().map(|count| count.0).sum::<u64>());
    prop_assert_eq!(of_months("b"), expected.values().map(|count| count.1).sum::<u64>());
    // A page's days and its visits without one are its total, and all pages' are the site's.
    let mut site = 0;
    for id in (0..6).map(|page| format!("page {page}")) {
        let of_days: u64 =
            expected.iter().filter(|((_, page), _)| page.as_str() == id).map(|(_, (people, bots))| people + bots).sum();
        let mut without_day = 0;
        for batches in &world.batches[usize::from(is_broken(&id))..] {
            let of_page = batches.iter().filter(|batch| batch.day().is_none()).flat_map(|batch| batch.increments());
            without_day += of_page.filter(|one| one.page.as_str() == id).map(|one| one.visits).sum::<u64>();
        }
        site += of_days + without_day;
        if !is_broken(&id) {
            prop_assert_eq!(world.shards.sum(&page(&id)), of_days + without_day, "{}", id);
        }
    }
    prop_assert_eq!(world.site("site", &["total"]), site);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn each_visit_is_in_its_day_once_whatever_fails_and_whoever_folds(
        steps in prop::collection::vec(step(), 1..60),
        broken in prop::option::of(0..6_u8),
    ) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::with(Shards::new(SHARDS));
            if let Some(broken) = broken {
                world.shards.break_page(0, &page(&format!("page {broken}")));
                for shard in 0..SHARDS {
                    world.shards.save(shard);
                }
            }
            run(&mut world, &steps).await;
            check(&world, broken).await
        })?;
    }
}
