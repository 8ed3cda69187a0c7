//! A failover that Redis Sentinel makes by itself. What stands for DNS follows its answer.

use crate::load::Load;
use crate::world::{PATIENCE, World, wait_until_counted};
use test_support::{RedisServer, Sentinels, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinel_costs_no_visit_where_the_address_follows_its_answer() {
    let mut primary = RedisServer::builder().append_only(true).start();
    let replica = primary.start_replica();
    let sentinels = Sentinels::start(&primary, 3);
    let world = World::new(&primary);
    let load = Load::start(&world);
    wait_until_counted(&replica, 200);

    primary.kill();
    let moved = || {
        let port = sentinels.primary().port();
        world.lead_to_port(port);
        port == replica.port()
    };
    assert!(wait_for(PATIENCE, moved), "Sentinel promotes the replica");
    wait_until_counted(&replica, crate::world::counted(&replica) + 200);

    // The old primary comes back with its old data; Sentinel makes it a replica of the new one.
    primary.restart();
    let follows = || primary.info("replication", "master_port") == Some(replica.port().to_string());
    assert!(wait_for(PATIENCE, follows), "Sentinel demotes the old primary");
    assert_eq!(sentinels.primary().port(), replica.port());
    load.ends_exact(&world).await;
}
