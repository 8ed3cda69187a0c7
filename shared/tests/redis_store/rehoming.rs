//! Records that move between real servers, which crash, are full, or hold something else where records belong.

use crate::helpers::{batch, call, configure, page, store, store_with};
use redis::{Commands, Connection};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::time::Duration;
use test_support::RedisServer;
use visits_core::clock::Clock;
use visits_core::handoff::{Delivery, deliver};
use visits_core::record;
use visits_core::rehome::{Rehome, rehome};
use visits_core::ring::Ring;
use visits_core::shard::{ShardName, Weight};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Apply, Ledger};
use visits_core::tests::{fold, fold_here};
use visits_core::timing::Timing;

/// A minute of the protocol.
const MINUTE: Duration = Duration::from_millis(60);

/// Longest wait for a change to settle, which takes some 300 ms.
const PATIENCE: Duration = Duration::from_secs(20);

const OLD: usize = 0;
const NEW: usize = 1;

const MAILBOX: &str = "visits:{old}:out:records:new";

/// Shard `old`, whose pages all move to `new`, each on a server of its own.
struct World {
    store: RedisStore,
    ring: Ring,
    old: RedisServer,
    new: RedisServer,
}

/// On disk before it answers: under `everysec` a busy disk may have it hold writes back for longer than a minute is here.
fn server() -> RedisServer {
    RedisServer::builder().append_only(true).option("appendfsync", "always").start()
}

/// `visits` of each of these pages are on the old shard.
async fn world(pages: &[(&str, u64)]) -> World {
    let (old, new) = (server(), server());
    let store = store(&format!("old={},new={}", old.url(), new.url()));
    let shard = |(name, weight): (&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
    let ring = Ring::new([("old", 0), ("new", 1)].map(shard)).unwrap();
    store.apply(OLD, &call(&[batch(1, pages)])).await.unwrap();
    fold_here(&store, OLD, &Clock::system()).await;
    World { store, ring, old, new }
}

/// What `flush-visits` does of it in one run.
#[derive(Debug)]
struct Run {
    delivery: Delivery,
    rehome: Rehome,
}

impl World {
    async fn run(&self) -> Run {
        let (timing, clock, budget) = (Timing::REAL.faster(1_000), Clock::system(), Duration::from_secs(10));
        let delivery = deliver(&self.store, &self.ring, &clock, timing, budget).await;
        fold(&self.store, &self.ring, &clock).await;
        Run { delivery, rehome: rehome(&self.store, &self.ring, &clock, timing, budget).await }
    }

    /// Runs until `enough` of what was done; each run a minute after the one before.
    async fn run_until(&self, enough: impl Fn(&Run) -> bool) -> Run {
        let runs = async {
            loop {
                let run = self.run().await;
                if enough(&run) {
                    return run;
                }
                tokio::time::sleep(MINUTE).await;
            }
        };
        tokio::time::timeout(PATIENCE, runs).await.expect("pages get on")
    }

    async fn settle(&self) {
        self.run_until(|run| run.rehome.ring_settled).await;
    }

    async fn count(&self, id: &str) -> u64 {
        let mut records = Vec::new();
        for shard in [OLD, NEW] {
            records.push(self.store.traces(shard, &page(id)).await.unwrap().record);
        }
        record::count(self.ring.shards().iter().zip(&records))
    }

    /// The part of it that is bots' visits.
    async fn bots(&self, id: &str) -> u64 {
        let mut records = Vec::new();
        for shard in [OLD, NEW] {
            records.push(self.store.traces(shard, &page(id)).await.unwrap().record);
        }
        record::count_bots(self.ring.shards().iter().zip(&records))
    }

    /// What the records of this name on both servers add up to.
    fn sum(&self, name: &str) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (server, shard) in [(&self.old, "old"), (&self.new, "new")] {
            for (field, number) in fields(&mut server.connect(), shard, name) {
                *sum.entry(field).or_default() += number;
            }
        }
        sum
    }

    fn old_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.old.connect().keys("*").unwrap();
        keys.sort();
        keys
    }
}

fn field(redis: &mut Connection, shard: &str, id: &str, field: &str) -> Option<u64> {
    redis.hget(format!("visits:{{{shard}}}:page:{id}"), field).unwrap()
}

fn fields(redis: &mut Connection, shard: &str, name: &str) -> BTreeMap<String, u64> {
    redis.hgetall(format!("visits:{{{shard}}}:{name}")).unwrap()
}

fn expected(fields: &[(&str, u64)]) -> BTreeMap<String, u64> {
    fields.iter().map(|(field, number)| ((*field).to_owned(), *number)).collect()
}

/// Fourteen months.
fn months() -> Vec<String> {
    (1..=14).map(|month| format!("20{}-{:02}", 25 + month / 13, (month - 1) % 12 + 1)).collect()
}

/// On every day of these months, page `home` has 2 visits by people and 1 by a bot, as a fold writes them.
fn write_many_days(world: &World) {
    let mut redis = redis::pipe();
    for month in months() {
        for of in ["days:MONTH:home", "site:MONTH"] {
            let key = format!("visits:{{old}}:{}", of.replace("MONTH", &month));
            for day in 1..=28 {
                redis.hset(&key, day, 2).hset(&key, format!("{day}b"), 1);
            }
        }
    }
    for (key, total) in [("page:home", 3 * DAYS + 5), ("site", 3 * DAYS + 5)] {
        redis.hset_multiple(format!("visits:{{old}}:{key}"), &[("total", total), ("bots", DAYS)]);
    }
    let () = redis.query(&mut world.old.connect()).unwrap();
}

/// Days of [`months`] that have visits.
const DAYS: u64 = 14 * 28;

/// Whether a key of the old shard is one of those that move.
fn is_record(key: &str) -> bool {
    ["page:", "days:", "site"].iter().any(|kind| key.starts_with(&format!("visits:{{old}}:{kind}")))
}

/// That all of it is on the new shard, and on the old one nothing.
async fn assert_all_days_moved(world: &World) {
    let mut new = world.new.connect();
    let days: BTreeMap<String, u64> = (1..=28).flat_map(|day| [(day.to_string(), 2), (format!("{day}b"), 1)]).collect();
    for month in months() {
        assert_eq!(fields(&mut new, "new", &format!("days:{month}:home")), days, "{month}");
        assert_eq!(fields(&mut new, "new", &format!("site:{month}")), days, "{month}");
    }
    let total = expected(&[("bots", DAYS), ("total", 5 + 3 * DAYS)]);
    assert_eq!(fields(&mut new, "new", "page:home"), total);
    assert_eq!(fields(&mut new, "new", "site"), total);
    assert_eq!((world.count("home").await, world.bots("home").await), (5 + 3 * DAYS, DAYS));
    let left = world.old_keys();
    assert!(!left.iter().any(|key| is_record(key)), "{left:?}");
}

#[tokio::test]
async fn a_page_moves_once_with_all_of_its_months_whoever_crashes_meanwhile() {
    let mut world = world(&[("home", 5)]).await;
    write_many_days(&world);
    let (count, bots) = (world.count("home").await, world.bots("home").await);
    // 28 records of some 60 fields are more than one take holds.
    world.run_until(|run| run.rehome.pages_taken == 1).await;
    assert!(world.old.connect().hlen::<_, u64>(MAILBOX).unwrap() > 1);
    assert_eq!((world.count("home").await, world.bots("home").await), (count, bots));
    world.old.kill();
    world.old.restart();
    let log = world.new.append_only_file();
    let before = fs::metadata(&log).unwrap().len();
    world.run_until(|run| run.delivery.pages_delivered == 1).await;
    assert_eq!((world.count("home").await, world.bots("home").await), (count, bots));
    // The old owner stops right after, and the new one loses all that had come.
    world.old.kill();
    world.new.kill();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(before).unwrap();
    world.new.restart();
    world.old.restart();
    assert_eq!((world.count("home").await, world.bots("home").await), (count, bots));
    world.settle().await;
    assert_all_days_moved(&world).await;
    let members: String = world.new.connect().hget("visits:{new}:shard", "members").unwrap();
    assert_eq!(members, "new", "the old shard is empty");
}

#[tokio::test]
async fn a_drained_shard_is_left_without_records_of_the_site_and_the_sums_stay() {
    let world = world(&[("home", 5)]).await;
    write_many_days(&world);
    let mut old = world.old.connect();
    for (field, number) in [("3o", 4), ("3p", 5), ("3r", 6), ("3n", 7), ("3u", 9)] {
        let _: i64 = old.hset("visits:{old}:site:2025-11", field, number).unwrap();
        let _: i64 = world.new.connect().hset("visits:{new}:site:2025-11", field, 1).unwrap();
    }
    let before = (world.sum("site"), world.sum("site:2025-11"), world.sum("site:2025-12"));
    world.settle().await;
    let after = (world.sum("site"), world.sum("site:2025-11"), world.sum("site:2025-12"));
    assert_eq!((&after.0, &after.2), (&before.0, &before.2));
    // Visitors of both may be the same: the greater number stays.
    let mut expected = before.1;
    expected.insert("3u".to_owned(), 9);
    assert_eq!(after.1, expected);
    assert!(!world.old_keys().iter().any(|key| key.contains(":site")), "{:?}", world.old_keys());
}

#[tokio::test]
async fn the_sites_records_stay_on_a_shard_that_is_not_draining() {
    let world = world(&[("home", 5)]).await;
    write_many_days(&world);
    // The page moves away, and the shard keeps a part of the ring.
    let shard = |(name, weight): (&str, u8)| (name.parse::<ShardName>().unwrap(), Weight::new(weight).unwrap());
    let rings = (1..=16).map(|weight| Ring::new([("old", 1), ("new", weight)].map(shard)).unwrap());
    let ring = rings.into_iter().find(|ring| ring.owner("home") == NEW).unwrap();
    let before = fields(&mut world.old.connect(), "old", "site:2025-11");
    let world = World { ring, ..world };
    world.settle().await;
    assert_eq!(fields(&mut world.old.connect(), "old", "site:2025-11"), before);
    assert_eq!(field(&mut world.old.connect(), "old", "home", "total"), None);
    assert_eq!(fields(&mut world.new.connect(), "new", "days:2025-11:home"), before);
}

#[tokio::test]
async fn numbers_of_visitors_are_not_added_up() {
    let world = world(&[("home", 5)]).await;
    let (mut old, mut new) = (world.old.connect(), world.new.connect());
    let old_days = [("1", 10), ("1u", 7), ("2u", 3), ("3u", 0), ("4b", 1)];
    let _: () = old.hset_multiple("visits:{old}:days:2025-11:home", &old_days).unwrap();
    let new_days = [("1", 1), ("1u", 5), ("2u", 6), ("4b", 1)];
    let _: () = new.hset_multiple("visits:{new}:days:2025-11:home", &new_days).unwrap();
    world.settle().await;
    let found = fields(&mut new, "new", "days:2025-11:home");
    assert_eq!(found, expected(&[("1", 11), ("1u", 7), ("2u", 6), ("4b", 2)]));
}

#[tokio::test]
async fn a_month_with_something_else_in_it_stays_and_stops_no_other() {
    let world = world(&[("home", 5)]).await;
    write_many_days(&world);
    let mut old = world.old.connect();
    let _: i64 = old.hset("visits:{old}:days:2025-03:home", "7", "many").unwrap();
    let _: () = old.set("visits:{old}:days:2025-04:text", "not a hash").unwrap();
    for key in ["days:2026-13:home", "days:2025-04", "site:soon"] {
        let _: i64 = old.hset(format!("visits:{{old}}:{key}"), "total", 1).unwrap();
    }
    let first = world.run().await.rehome;
    assert_eq!((first.pages_taken, first.records_rejected), (1, 2));
    world.settle().await;
    let left: Vec<String> =
        world.old_keys().into_iter().filter(|key| [":days:", ":site:"].iter().any(|kind| key.contains(kind))).collect();
    let kept = ["days:2025-03:home", "days:2025-04", "days:2025-04:text", "days:2026-13:home", "site:soon"];
    assert_eq!(left, kept.map(|key| format!("visits:{{old}}:{key}")));
    assert_eq!(fields(&mut world.new.connect(), "new", "days:2025-05:home").len(), 56);
    let members: String = world.new.connect().hget("visits:{new}:shard", "members").unwrap();
    assert_eq!(members, "old,new");
}

/// A cap on new pages must refuse no visit of a page that is only not there yet.
#[tokio::test]
async fn a_page_on_its_way_is_not_taken_for_a_new_one() {
    let world = world(&[("a", 1), ("b", 1), ("c", 1)]).await;
    let endpoints = format!("old={},new={}", world.old.url(), world.new.url());
    let capped = store_with(&[("REDIS_ENDPOINTS", &endpoints), ("VISITS_NEW_PAGES_A_DAY", "1")]);
    let visits = |number: u64, pages: &[&str]| {
        let pages: Vec<(&str, u64)> = pages.iter().map(|id| (*id, 1)).collect();
        Apply { ring: Some(world.ring.fingerprint()), ..call(&[batch(number, &pages)]) }
    };
    world.run_until(|run| run.rehome.pages_taken == 3).await;
    let applied = capped.apply(NEW, &visits(1, &["a", "b", "c"])).await.unwrap();
    assert_eq!((applied.refused, applied.rejected), (0, Vec::new()));
    world.settle().await;
    assert_eq!(world.count("a").await + world.count("b").await + world.count("c").await, 6);
    let applied = capped.apply(NEW, &visits(2, &["a", "d", "e"])).await.unwrap();
    assert_eq!((applied.refused, applied.rejected), (1, Vec::new()), "one new page a day, once nothing is on its way");
}

#[tokio::test]
async fn every_field_of_a_record_moves_and_nothing_is_left_behind() {
    let world = world(&[("home", 5), ("a/\"b\" é {x}", 7)]).await;
    let _: i64 = world.old.connect().hset("visits:{old}:page:home", "day:20261124", 3).unwrap();
    world.settle().await;
    let mut new = world.new.connect();
    assert_eq!(field(&mut new, "new", "home", "total"), Some(5));
    assert_eq!(field(&mut new, "new", "home", "day:20261124"), Some(3));
    assert_eq!(new.hlen("visits:{new}:page:home"), Ok(2));
    assert_eq!(world.count("a/\"b\" é {x}").await, 7);
    let left = world.old_keys();
    assert!(
        left.iter().all(|key| !key.contains(":page:") && !key.contains(":out") && !key.contains(":notes")),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_take_that_a_crash_undoes_is_not_delivered() {
    let mut world = world(&[("home", 5)]).await;
    let log = world.old.append_only_file();
    let before = fs::metadata(&log).unwrap().len();
    assert_eq!(world.run().await.rehome.pages_taken, 1);
    assert_eq!(world.count("home").await, 5);
    world.old.kill();
    OpenOptions::new().write(true).open(&log).unwrap().set_len(before).unwrap();
    world.old.restart();
    assert_eq!(field(&mut world.old.connect(), "old", "home", "total"), Some(5));
    world.settle().await;
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(5));
    assert_eq!(world.count("home").await, 5);
}

#[tokio::test]
async fn records_with_something_else_in_them_stay_and_stop_no_other() {
    let world = world(&[("home", 5), ("odd", 1)]).await;
    let mut old = world.old.connect();
    let _: i64 = old.hset("visits:{old}:page:odd", "note", "hello").unwrap();
    let _: () = old.set("visits:{old}:page:text", "not a hash").unwrap();
    let _: () = old.set(b"visits:{old}:page:\xff", "no page").unwrap();
    let first = world.run().await.rehome;
    assert_eq!((first.pages_taken, first.records_rejected), (1, 2));
    world.settle().await;
    assert_eq!(field(&mut old, "old", "odd", "total"), Some(1));
    assert_eq!(old.get("visits:{old}:page:text"), Ok("not a hash".to_owned()));
    // It still holds something: so it may not be removed.
    let members: String = world.new.connect().hget("visits:{new}:shard", "members").unwrap();
    assert_eq!(members, "old,new");
}

#[tokio::test]
async fn damaged_moves_are_put_aside_and_stop_no_other() {
    let world = world(&[("home", 5)]).await;
    assert_eq!(world.run().await.rehome.pages_taken, 1);
    let damaged = "000000000000000000000000000000ff:1";
    for name in [damaged, "no move"] {
        let _: i64 = world.old.connect().hset(MAILBOX, name, "9 1 []").unwrap();
    }
    world.run_until(|run| run.delivery.copies_set_aside == 2).await;
    world.settle().await;
    let kept: Vec<String> = world.old.connect().hkeys("visits:{old}:aside").unwrap();
    assert_eq!((kept.len(), world.count("home").await), (2, 5));
}

#[tokio::test]
async fn a_full_owner_gives_its_pages_to_a_new_one_and_forgets_them() {
    let world = world(&[("home", 5)]).await;
    configure(&mut world.old.connect(), "maxmemory", "1");
    world.settle().await;
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(5));
    assert!(
        !world.old_keys().iter().any(|key| key.contains(":page:") || key.contains(":out:")),
        "{:?}",
        world.old_keys()
    );
}

#[tokio::test]
async fn a_full_new_owner_takes_nothing_and_no_count_changes() {
    let world = world(&[("home", 5)]).await;
    let announce = rehome(&world.store, &world.ring, &Clock::system(), Timing::REAL, Duration::ZERO).await;
    assert_eq!((announce.pages_taken, announce.rehoming_calls_failed), (0, 0));
    configure(&mut world.new.connect(), "maxmemory", "1");
    let run = world.run_until(|run| run.delivery.calls_failed > 0).await;
    assert_eq!((run.delivery.pages_delivered, world.count("home").await), (0, 5));
    configure(&mut world.new.connect(), "maxmemory", "0");
    world.settle().await;
    assert_eq!(field(&mut world.new.connect(), "new", "home", "total"), Some(5));
}

#[tokio::test]
async fn no_more_waits_for_an_owner_than_a_shard_takes() {
    let world = world(&[("home", 5)]).await;
    let _: i64 = world.old.connect().hset("visits:{old}:outgoing", "records:new", 64 * 1024 * 1024).unwrap();
    assert_eq!(world.run().await.rehome.pages_taken, 0);
    assert_eq!(field(&mut world.old.connect(), "old", "home", "total"), Some(5));
}
