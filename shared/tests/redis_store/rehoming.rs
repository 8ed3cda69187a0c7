//! Records that move between real servers, which crash, are full, or hold something else where records belong.

use crate::helpers::configure;
use redis::{Commands, Connection};
use std::collections::BTreeMap;
use std::time::Duration;
use test_support::RedisServer;
use visits_core::clock::{Clock, Timing};
use visits_core::handoff::{Delivery, deliver};
use visits_core::rehome::{Rehome, rehome};
use visits_core::ring::Ring;
use visits_core::store::{Apply, Ledger};
use visits_core::tests::{Shards, batch, call, fold, page};

/// A minute of the protocol.
const MINUTE: Duration = Duration::from_millis(60);

/// Longest wait for a change to settle, which takes some 300 ms.
const PATIENCE: Duration = Duration::from_secs(20);

const OLD: usize = 0;
const NEW: usize = 1;

/// Fields of a record.
type Fields = BTreeMap<String, u64>;

fn expected(fields: &[(&str, u64)]) -> Fields {
    fields.iter().map(|(field, number)| ((*field).to_owned(), *number)).collect()
}

/// Two shards, each on a server of its own; all pages move from the first to the second.
struct World {
    shards: Shards,
    ring: Ring,
    servers: [RedisServer; 2],
}

/// Done by `flush-visits` in one run.
#[derive(Debug)]
struct Run {
    delivery: Delivery,
    rehome: Rehome,
}

impl World {
    /// `visits` of each of these pages are on the old shard.
    async fn with(pages: &[(&str, u64)]) -> Self {
        // On disk before it answers: under `everysec` a busy disk may have it hold writes back for longer than a minute is here.
        let server = || RedisServer::builder().append_only(true).option("appendfsync", "always").start();
        let servers = [server(), server()];
        let shards = Shards::on(&servers.each_ref().map(RedisServer::url), &[]);
        shards.store().apply(OLD, &call(&[batch(1, pages)])).await.unwrap();
        let ring = shards.ring_of(&[0, 1]);
        fold(shards.store(), &ring, &Clock::system()).await;
        Self { shards, ring, servers }
    }

    async fn run(&self) -> Run {
        let (timing, clock, budget) = (Timing::REAL.faster(1_000), Clock::system(), Duration::from_secs(10));
        let delivery = deliver(&**self.shards.store(), &self.ring, &clock, timing, budget).await;
        fold(self.shards.store(), &self.ring, &clock).await;
        Run { delivery, rehome: rehome(self.shards.store(), &self.ring, &clock, timing, budget).await }
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

    /// A page's count, and the part of it that is bots' visits.
    fn count(&self, id: &str) -> (u64, u64) {
        (self.shards.sum(&page(id)), self.shards.sum_bots(&page(id)))
    }

    fn redis(&self, shard: usize) -> Connection {
        self.shards.connect_to(shard)
    }

    /// The old shard's keys of these kinds, without what all keys of a shard begin with.
    fn left(&self, kinds: &[&str]) -> Vec<String> {
        let prefix = self.shards.key(OLD, "");
        let keys = kinds.iter().flat_map(|kind| self.shards.keys(OLD, &format!("{kind}*")));
        let mut keys: Vec<String> = keys.map(|key| key[prefix.len()..].to_owned()).collect();
        keys.sort();
        keys
    }

    /// The shards that may hold visits, as the new one knows them.
    fn members(&self) -> String {
        self.redis(NEW).hget(self.shards.key(NEW, "shard"), "members").unwrap()
    }

    /// On every day of [`months`], page `home` has 2 visits by people and 1 by a bot, as a fold writes them.
    fn write_many_days(&self) {
        let days = one_month();
        let days: Vec<_> = days.iter().map(|(field, number)| (field.as_str(), *number)).collect();
        for month in months() {
            self.shards.set_fields(OLD, &format!("days:{month}:home"), &days);
            self.shards.set_fields(OLD, &format!("site:{month}"), &days);
        }
        for key in ["page:home", "site"] {
            self.shards.set_fields(OLD, key, &[("total", 3 * DAYS + 5), ("bots", DAYS)]);
        }
    }
}

/// Fourteen months.
fn months() -> impl Iterator<Item = String> {
    (1..=14).map(|month| format!("20{}-{:02}", 25 + month / 13, (month - 1) % 12 + 1))
}

/// Days of [`months`] that have visits.
const DAYS: u64 = 14 * 28;

fn one_month() -> Fields {
    (1..=28).flat_map(|day| [(day.to_string(), 2), (format!("{day}b"), 1)]).collect()
}

#[tokio::test]
async fn a_page_moves_once_with_all_of_its_months_whoever_crashes_meanwhile() {
    let mut world = World::with(&[("home", 5)]).await;
    world.write_many_days();
    let (all, before) = ((5 + 3 * DAYS, DAYS), world.servers[OLD].log_length());
    // 28 records of some 60 fields are more than one take holds. A crash undoes the first ones.
    for is_kept in [false, true] {
        world.run_until(|run| run.rehome.pages_taken == 1).await;
        assert!(world.redis(OLD).hlen::<_, u64>(world.shards.key(OLD, "out:records:b")).unwrap() > 1);
        assert_eq!(world.count("home"), all);
        let kept = if is_kept { world.servers[OLD].log_length() } else { before };
        world.servers[OLD].lose_log_beyond(kept);
        assert_eq!((world.count("home"), world.shards.record(OLD, &page("home")).visits.total > 0), (all, !is_kept));
    }
    let before = world.servers[NEW].log_length();
    world.run_until(|run| run.delivery.pages_delivered == 1).await;
    assert_eq!(world.count("home"), all);
    // The old owner stops right after, and the new one loses all that had come.
    world.servers[OLD].kill();
    world.servers[NEW].lose_log_beyond(before);
    world.servers[OLD].restart();
    assert_eq!(world.count("home"), all);
    world.settle().await;
    for month in months() {
        for key in [format!("days:{month}:home"), format!("site:{month}")] {
            assert_eq!(world.shards.fields::<Fields>(NEW, &key), one_month(), "{key}");
        }
    }
    for key in ["page:home", "site"] {
        assert_eq!(world.shards.fields::<Fields>(NEW, key), expected(&[("bots", all.1), ("total", all.0)]));
    }
    assert_eq!((world.count("home"), world.left(&["page:", "days:", "site", "out", "notes"])), (all, Vec::new()));
    assert_eq!(world.members(), "b", "the old shard is empty");
}

/// Visitors of two shards may be the same: their greater number stays.
#[tokio::test]
async fn every_field_of_a_record_moves_and_adds_up_with_what_is_there_but_numbers_of_visitors() {
    let world = World::with(&[("home", 5), ("a/\"b\" é {x}", 7)]).await;
    let cases = [
        ("page:home", &[("total", 5), ("day:20261124", 3)][..], &[][..], &[("total", 5), ("day:20261124", 3)][..]),
        ("page:a/\"b\" é {x}", &[("total", 7)], &[], &[("total", 7)]),
        (
            "days:2025-11:home",
            &[("1", 10), ("1u", 7), ("2u", 3), ("3u", 0), ("4b", 1)],
            &[("1", 1), ("1u", 5), ("2u", 6), ("4b", 1)],
            &[("1", 11), ("1u", 7), ("2u", 6), ("4b", 2)],
        ),
        (
            "site:2025-11",
            &[("3", 2), ("3b", 8), ("3o", 4), ("3p", 5), ("3r", 6), ("3n", 7), ("3u", 9)],
            &[("3o", 1), ("3p", 1), ("3r", 1), ("3n", 1), ("3u", 1)],
            &[("3", 2), ("3b", 8), ("3o", 5), ("3p", 6), ("3r", 7), ("3n", 8), ("3u", 9)],
        ),
        ("site", &[("total", 12)], &[("total", 30), ("bots", 1)], &[("total", 42), ("bots", 1)]),
    ];
    for (key, old, new, _) in cases {
        world.shards.set_fields(OLD, key, old);
        if !new.is_empty() {
            world.shards.set_fields(NEW, key, new);
        }
    }
    world.settle().await;
    for (key, .., sum) in cases {
        assert_eq!(world.shards.fields::<Fields>(NEW, key), expected(sum), "{key}");
    }
    assert_eq!(world.left(&["page:", "days:", "site", "out", "notes"]), [""; 0]);
}

#[tokio::test]
async fn the_sites_records_stay_on_a_shard_that_is_not_draining() {
    let mut world = World::with(&[("home", 5)]).await;
    world.write_many_days();
    // The page moves away, and the shard keeps a part of the ring.
    let mut rings = (1..=16).map(|weight| world.shards.ring_of(&[1, weight]));
    world.ring = rings.find(|ring| ring.owner("home") == NEW).unwrap();
    world.settle().await;
    assert_eq!(world.shards.fields::<Fields>(OLD, "site:2025-11"), one_month());
    assert_eq!(world.left(&["page:", "days:"]), [""; 0]);
    assert_eq!(world.shards.fields::<Fields>(NEW, "days:2025-11:home"), one_month());
}

#[tokio::test]
async fn what_is_no_record_stays_where_it_is_and_stops_no_other() {
    let world = World::with(&[("home", 5), ("odd", 1)]).await;
    world.write_many_days();
    world.shards.break_page(OLD, &page("text"));
    let mut old = world.redis(OLD);
    let _: () = old.set(b"visits:{a}:page:\xff", "no page").unwrap();
    let _: () = old.set(world.shards.key(OLD, "days:2025-04:text"), "not a hash").unwrap();
    for (key, field, value) in [
        ("page:odd", "note", "hello"),
        ("days:2025-03:home", "7", "many"),
        ("days:2026-13:home", "total", "1"),
        ("days:2025-04", "total", "1"),
        ("site:soon", "total", "1"),
    ] {
        world.shards.set_fields(OLD, key, &[(field, value)]);
    }
    let first = world.run().await.rehome;
    assert_eq!((first.pages_taken, first.records_rejected), (1, 4));
    // Nor do damaged envelopes, which are put aside.
    for name in ["000000000000000000000000000000ff:1", "no move"] {
        world.shards.set_fields(OLD, "out:records:b", &[(name, "9 1 []")]);
    }
    world.run_until(|run| run.delivery.copies_set_aside == 2).await;
    world.settle().await;
    assert_eq!(old.hlen(world.shards.key(OLD, "aside")), Ok(2));
    let kept = ["days:2025-03:home", "days:2025-04", "days:2025-04:text", "days:2026-13:home", "site:soon"];
    assert_eq!(world.left(&["days:", "site"]), kept);
    assert_eq!(old.get(world.shards.key(OLD, "page:text")), Ok("not a hash".to_owned()));
    assert_eq!(world.redis(OLD).hget(world.shards.key(OLD, "page:odd"), "total"), Ok(1));
    assert_eq!(world.shards.fields::<Fields>(NEW, "days:2025-05:home"), one_month());
    assert_eq!(world.members(), "a,b", "it still holds something: so it may not be removed");
}

/// A cap on new pages must refuse no visit of a page that is only not there yet.
#[tokio::test]
async fn a_page_on_its_way_is_not_taken_for_a_new_one() {
    let world = World::with(&[("a", 1), ("b", 1), ("c", 1)]).await;
    let urls = world.servers.each_ref().map(RedisServer::url);
    let capped = Shards::on(&urls, &[("VISITS_NEW_PAGES_A_DAY", "1")]);
    let visit = async |number: u64, pages: &[&str]| {
        let pages: Vec<(&str, u64)> = pages.iter().map(|id| (*id, 1)).collect();
        let visits = Apply { ring: Some(world.ring.fingerprint()), ..call(&[batch(number, &pages)]) };
        let applied = capped.store().apply(NEW, &visits).await.unwrap();
        (applied.refused, applied.rejected.len())
    };
    world.run_until(|run| run.rehome.pages_taken == 3).await;
    assert_eq!(visit(1, &["a", "b", "c"]).await, (0, 0));
    world.settle().await;
    assert_eq!(["a", "b", "c"].map(|id| world.count(id).0), [2, 2, 2]);
    assert_eq!(visit(2, &["a", "d", "e"]).await, (1, 0), "one new page a day, once nothing is on its way");
}

#[tokio::test]
async fn a_full_owner_gives_its_pages_to_a_new_one_and_forgets_them() {
    let world = World::with(&[("home", 5)]).await;
    configure(&mut world.redis(OLD), "maxmemory", "1");
    world.settle().await;
    assert_eq!(world.shards.record(NEW, &page("home")).visits.total, 5);
    assert_eq!(world.left(&["page:", "out:"]), [""; 0]);
}

#[tokio::test]
async fn a_full_new_owner_takes_nothing_and_no_count_changes() {
    let world = World::with(&[("home", 5)]).await;
    let announce = rehome(world.shards.store(), &world.ring, &Clock::system(), Timing::REAL, Duration::ZERO).await;
    assert_eq!((announce.pages_taken, announce.rehoming_calls_failed), (0, 0));
    configure(&mut world.redis(NEW), "maxmemory", "1");
    let run = world.run_until(|run| run.delivery.calls_failed > 0).await;
    assert_eq!((run.delivery.pages_delivered, world.count("home").0), (0, 5));
    configure(&mut world.redis(NEW), "maxmemory", "0");
    world.settle().await;
    assert_eq!(world.shards.record(NEW, &page("home")).visits.total, 5);
}
