//! Failovers under load: a primary that dies or is replaced, and a replica that takes its place at the same address. Whichever
//! server answers there, counts end exact.

use crate::load::{Load, PATIENCE};
use fault_proxy::{Fault, FaultProxy};
use redis::Commands;
use std::net::{Ipv4Addr, SocketAddr};
use test_support::{RedisServer, Sentinels, wait_for};
use visits_core::config::Config;

/// Visits that make a difference that chance does not make.
const SOME: u64 = 200;

/// Two shards: `one` behind an address that can be given to another server, and `two`, which is always there.
///
/// The counter speaks no Sentinel protocol. It knows one address for a shard, which in production is a DNS name or a
/// proxy that follows the primary; here it is a proxy that the test leads from one server to the next.
struct World {
    /// The address of shard `one`.
    address: FaultProxy,
    /// The server of shard `two`.
    two: RedisServer,
}

impl World {
    /// Shard `one` is at `primary`.
    fn new(primary: &RedisServer) -> Self {
        Self { address: FaultProxy::start(socket(primary.port())), two: RedisServer::start() }
    }

    /// Gives the address to another server. Connections stay open, as after a change of DNS.
    fn lead_to(&self, port: u16) {
        self.address.redirect(socket(port));
    }

    fn load(&self) -> Load {
        let endpoints = format!("one={},two={}", self.address.url(), self.two.url());
        Load::start(&Config::from_vars(|name| (name == "REDIS_ENDPOINTS").then(|| endpoints.clone().into())).unwrap())
    }

    /// Whether copies for shard `one` wait on the other one.
    fn has_parked(&self) -> bool {
        self.two.connect().hlen("visits:{two}:out:batches:one").is_ok_and(|copies: usize| copies > 0)
    }
}

fn socket(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Visits that a server has counted for shard `one`.
fn counted(server: &RedisServer) -> u64 {
    let mut redis = server.connect();
    let pages: Vec<String> = redis.keys("visits:{one}:page:*").unwrap();
    pages.into_iter().map(|page| redis.hget::<_, _, u64>(page, "total").unwrap()).sum()
}

/// Waits until a server has counted more than `visits`.
fn wait_until_counted(server: &RedisServer, visits: u64) {
    assert!(wait_for(PATIENCE, || counted(server) > visits), "{} of {visits}", counted(server));
}

fn primary() -> RedisServer {
    RedisServer::builder().append_only(true).start()
}

/// Starts a primary of shard `one` and its replica, under load of which the replica has got some.
fn replicated() -> (RedisServer, RedisServer, World, Load) {
    let primary = primary();
    let replica = primary.start_replica();
    let world = World::new(&primary);
    let load = world.load();
    wait_until_counted(&replica, SOME);
    (primary, replica, world, load)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_replica_is_sent_again_what_it_had_not_got() {
    let mut primary = primary();
    let link = FaultProxy::start(socket(primary.port()));
    let replica = RedisServer::start();
    replica.follow(&primary, link.address().port());
    let world = World::new(&primary);
    let load = world.load();
    wait_until_counted(&replica, SOME);

    link.set(Fault::Mute);
    let has = counted(&replica);
    wait_until_counted(&primary, has + SOME);
    primary.kill();
    replica.promote();
    world.lead_to(replica.port());
    wait_until_counted(&replica, has + SOME);
    let healed = load.ends_exact().await.healed;
    assert!(healed >= SOME, "{healed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_not_promoted_yet_takes_nothing_and_nothing_is_lost() {
    let (mut primary, replica, world, load) = replicated();

    primary.kill();
    world.lead_to(replica.port());
    assert!(wait_for(PATIENCE, || world.has_parked()), "copies are parked on the other shard");
    let has = counted(&replica);
    // The other shard goes on: so do the writers.
    wait_until_more_on_two(&world);
    assert_eq!(counted(&replica), has);
    replica.promote();
    wait_until_counted(&replica, has + SOME);
    load.ends_exact().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_primary_that_comes_back_at_another_address_is_never_called() {
    let (mut primary, replica, world, load) = replicated();

    primary.kill();
    replica.promote();
    world.lead_to(replica.port());
    primary.restart();
    let stale = counted(&primary);
    wait_until_counted(&replica, stale + SOME);
    load.ends_exact().await;
    assert_eq!(counted(&primary), stale);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_primary_that_is_back_at_the_address_is_sent_again_what_its_successor_had_counted() {
    let (mut primary, mut replica, world, load) = replicated();

    primary.kill();
    replica.promote();
    world.lead_to(replica.port());
    wait_until_counted(&replica, counted(&replica) + SOME);
    replica.kill();
    primary.restart();
    world.lead_to(primary.port());
    wait_until_counted(&primary, counted(&primary) + SOME);
    let healed = load.ends_exact().await.healed;
    assert!(healed >= SOME, "{healed}");
}

/// As in a planned switch, or after a partition: the old primary lives, and what is open stays open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_leave_a_primary_that_became_a_replica_and_bring_its_successor_what_it_had_not_got() {
    let (primary, replica, world, load) = replicated();

    replica.promote();
    world.lead_to(replica.port());
    let has = counted(&replica);
    wait_until_counted(&primary, has + SOME);
    assert_eq!(counted(&replica), has, "the writers' connections still lead to the old primary");
    primary.follow(&replica, replica.port());
    wait_until_counted(&replica, has + SOME);
    let healed = load.ends_exact().await.healed;
    assert!(healed >= SOME, "{healed}");
}

fn wait_until_more_on_two(world: &World) {
    let visits = || world.two.info("stats", "total_commands_processed").unwrap().parse::<u64>().unwrap();
    let before = visits();
    assert!(wait_for(PATIENCE, || visits() > before + 100));
}

/// Redis Sentinel makes it by itself. What stands for DNS follows its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinel_costs_no_visit_where_the_address_follows_its_answer() {
    let mut primary = primary();
    let replica = primary.start_replica();
    let sentinels = Sentinels::start(&primary, 3);
    let world = World::new(&primary);
    let load = world.load();
    wait_until_counted(&replica, SOME);

    primary.kill();
    let moved = || {
        let port = sentinels.primary().port();
        world.lead_to(port);
        port == replica.port()
    };
    assert!(wait_for(PATIENCE, moved), "Sentinel promotes the replica");
    wait_until_counted(&replica, counted(&replica) + SOME);

    // The old primary comes back with its old data; Sentinel makes it a replica of the new one.
    primary.restart();
    let follows = || primary.info("replication", "master_port") == Some(replica.port().to_string());
    assert!(wait_for(PATIENCE, follows), "Sentinel demotes the old primary");
    assert_eq!(sentinels.primary().port(), replica.port());
    load.ends_exact().await;
}
