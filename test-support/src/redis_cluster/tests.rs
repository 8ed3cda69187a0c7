use super::*;
use redis::Commands;

const KEY: &str = "{some}:key";

#[test]
fn a_slot_moves_and_its_replica_takes_over_when_its_node_is_killed() {
    let mut cluster = RedisCluster::start();
    let from = cluster.primary(KEY);
    let _: () = cluster.node(from).connect().set(KEY, 1).unwrap();
    let to = (from + 1) % RedisCluster::PRIMARIES;
    let migration = cluster.migrate(KEY, to);
    assert_eq!((migration.move_keys(10), migration.move_keys(10)), (1, 0));
    migration.finish();
    assert_eq!((cluster.primary(KEY), cluster.node(to).connect().get(KEY)), (to, Ok(1)));

    let replica = cluster.replica(to);
    cluster.await_whole(3);
    cluster.node_mut(to).kill();
    assert_eq!(cluster.primary(KEY), replica);
    assert_eq!(cluster.node(replica).connect().get(KEY), Ok(1));
}

#[test]
fn a_replica_takes_over_when_it_is_told_to_and_a_node_comes_back_elsewhere() {
    let mut cluster = RedisCluster::start();
    let primary = cluster.primary(KEY);
    let replica = cluster.replica(primary);
    cluster.fail_over_to(replica);
    assert_eq!(cluster.primary(KEY), replica);
    let port = cluster.node(primary).port();
    cluster.node_mut(primary).restart_elsewhere();
    assert_ne!(cluster.node(primary).port(), port);
    cluster.await_whole(3);
    assert_eq!(cluster.replica(replica), primary);
}
