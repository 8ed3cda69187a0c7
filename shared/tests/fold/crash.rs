//! A server that is killed between any two writes: days, journal and totals fall back together.

use crate::world::{World, first_day};
use test_support::RedisServer;
use visits_core::tests::{Shards, increment};
use visits_core::visit::Refused;

const BATCHES: u64 = 60;

fn pages_total(world: &World) -> u64 {
    world.shards.counts().values().sum()
}

fn of_days(world: &World) -> u64 {
    world.days().values().map(|(people, bots)| people + bots).sum()
}

#[tokio::test]
async fn wherever_the_append_only_file_ends_a_fold_makes_days_and_totals_agree() {
    let mut server = RedisServer::builder().append_only(true).start();
    let mut world = World::with(Shards::on(&[server.url()], &[]));
    for number in 0..BATCHES {
        let pages = [number % 7, 7 + number % 2]
            .map(|page| increment(&format!("page {page}"), 1 + number, number % 2, &[number]));
        world.seal(0, Some(first_day().plus(u32::from(number % 3 == 0))), pages.to_vec(), Refused::default());
    }
    for place in 0..world.batches[0].len() {
        world.send(0, &[place]).await.unwrap();
        if place % 5 == 4 {
            world.fold().await;
        }
    }
    let all = pages_total(&world);
    let mut before = u64::MAX;
    // Cuts of many lengths, so that they fall on every part of a script's writes, of batches and of folds.
    for cut in [0_u64, 1, 20, 77, 150, 333, 512, 700, 1_000, 2_048, 3_333, 9_000, 15_000] {
        server.lose_log_beyond(server.log_length() - cut);
        // The connections of the run before are broken.
        world.shards = Shards::on(&[server.url()], &[]);
        let counted = pages_total(&world);
        assert!(counted <= before, "{cut}");
        before = counted;
        assert!(of_days(&world) <= counted, "{cut}: no day before its total");
        let folded = world.fold().await;
        assert_eq!(
            (of_days(&world), world.site("site", &["total"]), folded.fold_calls_failed),
            (counted, counted, 0),
            "{cut}"
        );
    }
    assert!(0 < before && before < all, "something was lost and something left: {before} of {all}");
    world.send_all().await;
    world.fold().await;
    assert_eq!((world.days(), pages_total(&world)), (world.expected(|_, _| false), all));
}
