//! Failovers by hand: a primary that dies or is replaced, and a replica that takes its place at the same address.

use crate::load::Load;
use crate::world::{PATIENCE, World, counted, socket, wait_until_counted};
use fault_proxy::{Fault, FaultProxy};
use test_support::{RedisServer, wait_for};

/// Visits that make a difference that chance does not make.
const SOME: u64 = 200;

fn primary() -> RedisServer {
    RedisServer::builder().append_only(true).start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_is_sent_again_what_it_had_not_got() {
    let mut primary = primary();
    let link = FaultProxy::start(socket(primary.port()));
    let replica = RedisServer::start();
    replica.follow(&primary, link.address().port());
    let world = World::new(&primary);
    let load = Load::start(&world);
    wait_until_counted(&replica, SOME);

    link.set(Fault::Mute);
    let has = counted(&replica);
    wait_until_counted(&primary, has + SOME);
    primary.kill();
    replica.promote();
    world.lead_to(&replica);
    wait_until_counted(&replica, has + SOME);
    let healed = load.ends_exact(&world).await;
    assert!(healed >= SOME, "{healed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_not_promoted_yet_takes_nothing_and_nothing_is_lost() {
    let mut primary = primary();
    let replica = primary.start_replica();
    let world = World::new(&primary);
    let load = Load::start(&world);
    wait_until_counted(&replica, SOME);

    primary.kill();
    world.lead_to(&replica);
    assert!(wait_for(PATIENCE, || world.has_parked()), "copies are parked on the other shard");
    let has = counted(&replica);
    // The other shard goes on: so do the writers.
    wait_until_more_on_two(&world);
    assert_eq!(counted(&replica), has);
    replica.promote();
    wait_until_counted(&replica, has + SOME);
    load.ends_exact(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_primary_that_comes_back_at_another_address_is_never_called() {
    let mut primary = primary();
    let replica = primary.start_replica();
    let world = World::new(&primary);
    let load = Load::start(&world);
    wait_until_counted(&replica, SOME);

    primary.kill();
    replica.promote();
    world.lead_to(&replica);
    primary.restart();
    let stale = counted(&primary);
    wait_until_counted(&replica, stale + SOME);
    load.ends_exact(&world).await;
    assert_eq!(counted(&primary), stale);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_is_back_at_the_address_is_sent_again_what_its_successor_had_counted() {
    let mut primary = primary();
    let mut replica = primary.start_replica();
    let world = World::new(&primary);
    let load = Load::start(&world);
    wait_until_counted(&replica, SOME);

    primary.kill();
    replica.promote();
    world.lead_to(&replica);
    wait_until_counted(&replica, counted(&replica) + SOME);
    replica.kill();
    primary.restart();
    world.lead_to(&primary);
    wait_until_counted(&primary, counted(&primary) + SOME);
    let healed = load.ends_exact(&world).await;
    assert!(healed >= SOME, "{healed}");
}

/// As in a planned switch, or after a partition: the old primary lives, and what is open stays open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_leave_a_primary_that_became_a_replica_and_bring_its_successor_what_it_had_not_got() {
    let primary = primary();
    let replica = primary.start_replica();
    let world = World::new(&primary);
    let load = Load::start(&world);
    wait_until_counted(&replica, SOME);

    replica.promote();
    world.lead_to(&replica);
    let has = counted(&replica);
    wait_until_counted(&primary, has + SOME);
    assert_eq!(counted(&replica), has, "the writers' connections still lead to the old primary");
    primary.follow(&replica, replica.port());
    wait_until_counted(&replica, has + SOME);
    let healed = load.ends_exact(&world).await;
    assert!(healed >= SOME, "{healed}");
}

fn wait_until_more_on_two(world: &World) {
    let visits = || world.two.info("stats", "total_commands_processed").unwrap().parse::<u64>().unwrap();
    let before = visits();
    assert!(wait_for(PATIENCE, || visits() > before + 100));
}
