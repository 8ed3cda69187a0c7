//! Copies that wait on a shard for another one, and what else may be found in their place.

use crate::helpers::configure;
use redis::{Commands, Connection};
use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use test_support::RedisServer;
use visits_core::batch::{Batch, BatchId, Sequence, WriterId};
use visits_core::clock::{Clock, Timing};
use visits_core::handoff::{
    Delivery, Envelope, MAILBOX_BYTES, Mailbox, Note, Park, Parked, Payload, Undeliverable, Update, deliver,
};
use visits_core::store::redis::RedisStore;
use visits_core::store::{Ledger, ServerRun, StoreError};
use visits_core::tests::{Shards, WRITER, batch, page};

/// The shard on which copies wait here, for [`OWNER`].
const REFUGE: usize = 0;
const OWNER: usize = 1;

/// By how much a real clock may run on during a test.
const TOLERANCE: Duration = Duration::from_secs(50);

fn mailbox() -> Mailbox {
    Mailbox::batches(&"b".parse().unwrap())
}

fn id(number: u64) -> BatchId {
    BatchId { writer: WRITER, sequence: Sequence::new(number).unwrap() }
}

/// A call that parks batches with these numbers, each of one page.
fn park(numbers: impl IntoIterator<Item = u64>) -> Park {
    // Long enough that Redis keeps many of them as a table, which it hands out in pages.
    let name = |number| format!("page {number} of a site with rather long names for everything that it has");
    let batches = numbers.into_iter().map(|number| batch(number, &[(&name(number), number)])).collect();
    Park { owner: "b".parse().unwrap(), writer: WRITER, batches }
}

async fn parked(shards: &Shards, park: &Park) -> Parked {
    shards.store().park(REFUGE, park).await.unwrap()
}

async fn is_taken(shards: &Shards, park: &Park) -> bool {
    matches!(parked(shards, park).await, Parked::Taken { .. })
}

/// All copies for the owner, by number.
async fn copies(shards: &Shards) -> Vec<Envelope> {
    let (mut copies, mut cursor) = (Vec::new(), 0);
    loop {
        let page = shards.store().envelopes(REFUGE, &mailbox(), cursor).await.unwrap();
        assert!(page.unreadable.is_empty(), "{page:?}");
        copies.extend(page.envelopes);
        cursor = page.next;
        if cursor == 0 {
            copies.sort_by_key(|copy| copy.id);
            copies.dedup_by_key(|copy| copy.id);
            return copies;
        }
    }
}

async fn numbers(shards: &Shards) -> Vec<u64> {
    copies(shards).await.iter().map(|copy| copy.id.sequence.get()).collect()
}

async fn outgoing(shards: &Shards, shard: usize) -> Vec<String> {
    let mut owners: Vec<String> =
        shards.store().outgoing(shard).await.unwrap().into_iter().map(|(name, _)| name).collect();
    owners.sort();
    owners
}

async fn mark(shards: &Shards, number: u64) -> Option<Note> {
    let found = Update::Found { id: id(number), run: ServerRun(7), there: true };
    shards.store().update(REFUGE, &mailbox(), &[found]).await.unwrap();
    let note = copies(shards).await.iter().find(|copy| copy.id == id(number))?.note;
    assert!(note.is_none_or(|note| note.run == ServerRun(7) && note.there), "{note:?}");
    note
}

async fn remove(shards: &Shards, number: u64, mark: Note) -> bool {
    shards.store().update(REFUGE, &mailbox(), &[Update::Delivered(id(number), mark)]).await.unwrap()[0]
}

pub(crate) async fn a_parked_copy_reads_back_and_parking_again_changes_nothing(shards: &Shards) {
    let batches = [batch(3, &[("café \"a\"", 2), ("b", 1)]), batch(7, &[("{two}", 999_999_999)])];
    assert_eq!(mark(shards, 3).await, None, "a mark for a copy that is not there leaves nothing");
    assert!(is_taken(shards, &Park { batches: batches.to_vec(), ..park([]) }).await);
    let held = copies(shards).await;
    assert_eq!(held.iter().map(|copy| (copy.id, copy.note)).collect::<Vec<_>>(), [(id(3), None), (id(7), None)]);
    for (copy, (batch, _)) in held.iter().zip(&batches) {
        let Payload::Batch(content) = &copy.content else { panic!("no batch: {copy:?}") };
        let [mut held, mut sent] = [content, batch].map(|batch| batch.increments().to_vec());
        held.sort();
        sent.sort();
        assert_eq!(held, sent);
    }
    mark(shards, 3).await;
    shards.pass(Duration::from_mins(5));
    assert!(is_taken(shards, &park([3, 7, 8])).await);
    let held = copies(shards).await;
    assert!(held.len() == 3 && held[0].age >= Duration::from_mins(5) && held[0].note.is_some(), "{held:?}");
    assert!(held[2].age < TOLERANCE);
}

pub(crate) async fn a_copy_ages_from_its_sealing_by_the_shards_clock(shards: &Shards) {
    let (sealed, _) = batch(1, &[("a", 1)]);
    parked(shards, &Park { batches: vec![(sealed, Duration::from_hours(2))], ..park([]) }).await;
    shards.pass(Duration::from_hours(1));
    let age = copies(shards).await[0].age;
    assert!((Duration::from_hours(3)..Duration::from_hours(3) + TOLERANCE).contains(&age), "{age:?}");
}

pub(crate) async fn a_shard_takes_all_copies_of_a_call_or_none(shards: &Shards) {
    parked(shards, &park([1])).await;
    shards.set_fields(REFUGE, "outgoing", &[(&mailbox().to_string(), MAILBOX_BYTES - 200)]);
    assert_eq!(parked(shards, &park([2, 3])).await, Parked::Full);
    assert_eq!(numbers(shards).await, [1]);
    assert!(is_taken(shards, &park([1])).await, "what is there needs no room");
}

pub(crate) async fn owners_and_writers_are_kept_apart_and_an_owner_is_listed_while_it_has_copies(shards: &Shards) {
    assert_eq!(outgoing(shards, REFUGE).await, [""; 0]);
    parked(shards, &park([1])).await;
    parked(shards, &Park { owner: "third".parse().unwrap(), ..park([1, 2]) }).await;
    parked(shards, &Park { writer: WriterId::from_u128(9), ..park([1]) }).await;
    assert_eq!(copies(shards).await.len(), 2);
    assert_eq!(outgoing(shards, REFUGE).await, ["batches:b", "batches:third"]);
    assert_eq!(outgoing(shards, OWNER).await, [""; 0], "the other shard holds none");
    let other = copies(shards).await[1].id.to_string().into();
    let other = Update::Aside(Undeliverable { field: other, reason: String::new(), visits: 1 });
    shards.store().update(REFUGE, &mailbox(), &[other]).await.unwrap();
    let mark = mark(shards, 1).await.unwrap();
    assert!(remove(shards, 1, mark).await);
    assert_eq!(outgoing(shards, REFUGE).await, ["batches:third"]);
}

pub(crate) async fn many_copies_come_in_pages(shards: &Shards) {
    for first in [1, 101, 201] {
        parked(shards, &park(first..first + 100)).await;
    }
    assert_eq!(numbers(shards).await, (1..=300).collect::<Vec<u64>>());
    let first = shards.store().envelopes(REFUGE, &mailbox(), 0).await.unwrap();
    assert!(first.envelopes.len() < 300 && first.next != 0);
}

pub(crate) async fn a_copy_is_removed_only_with_the_mark_that_it_bears(shards: &Shards) {
    parked(shards, &park([1, 2])).await;
    mark(shards, 1).await.unwrap();
    shards.pass(Duration::from_mins(2));
    let seen = copies(shards).await[0].note.unwrap();
    assert!(seen.age >= Duration::from_mins(2), "{seen:?}");
    let new = mark(shards, 1).await.unwrap();
    assert!(new.age < TOLERANCE && new.at != seen.at, "{new:?}");
    assert!(!remove(shards, 1, seen).await, "it was found lost and delivered once more");
    assert!(!remove(shards, 2, new).await, "this one bears none");
    assert!(remove(shards, 1, new).await && !remove(shards, 1, new).await);
    assert_eq!(numbers(shards).await, [2]);
}

pub(crate) async fn what_is_set_aside_is_read_no_more(shards: &Shards) {
    parked(shards, &park([1, 2])).await;
    let aside = Undeliverable { field: id(1).to_string().into_bytes(), reason: "too old".to_owned(), visits: 1 };
    for removed in [true, false] {
        let done = shards.store().update(REFUGE, &mailbox(), &[Update::Aside(aside.clone())]).await;
        assert_eq!(done, Ok(vec![removed]));
    }
    assert_eq!(numbers(shards).await, [2]);
}

/// The refuge's keys of copies for the owner.
const COPIES: &str = "visits:{a}:out:batches:b";
const MARKS: &str = "visits:{a}:notes:batches:b";
const OWNERS: &str = "visits:{a}:outgoing";
const ASIDE: &str = "visits:{a}:aside";

/// Two shards, each on a server of its own.
struct World {
    shards: Shards,
    servers: [RedisServer; 2],
}

impl World {
    /// So many copies wait, each of one visit of `home`.
    async fn with(copies: u64) -> Self {
        let servers = [RedisServer::start(), RedisServer::start()];
        let world = Self { shards: Shards::on(&servers.each_ref().map(RedisServer::url), &[]), servers };
        for number in 1..=copies {
            assert!(matches!(world.park(number).await, Ok(Parked::Taken { .. })));
        }
        world
    }

    fn redis(&self) -> Connection {
        self.shards.connect_to(REFUGE)
    }

    async fn park(&self, number: u64) -> Result<Parked, StoreError> {
        let batches = vec![batch(number, &[("home", 1)])];
        self.shards.store().park(REFUGE, &Park { batches, ..park([]) }).await
    }

    async fn deliver(&self) -> Delivery {
        deliver_by(self.shards.store(), &self.shards).await
    }

    fn counted(&self) -> u64 {
        self.shards.record(OWNER, &page("home")).visits.total
    }
}

async fn deliver_by(store: &RedisStore, shards: &Shards) -> Delivery {
    deliver(store, &shards.ring(), &Clock::system(), Timing::REAL, Duration::from_secs(10)).await
}

/// A shard that takes connections and never answers a login holds its one connection for as long as the attempt lasts.
#[tokio::test]
async fn an_owner_that_is_silent_at_its_login_keeps_no_other_owner_from_its_copies() {
    let (world, silent) = (World::with(1).await, TcpListener::bind("127.0.0.1:0").unwrap());
    let [refuge, owner] = world.servers.each_ref().map(RedisServer::url);
    let silent = format!("redis://:password@{}", silent.local_addr().unwrap());
    let timeouts = [("REDIS_TIMEOUT", "200ms"), ("REDIS_CONNECT_TIMEOUT", "200ms")];
    let shards = Shards::on(&[refuge, owner, silent], &timeouts);
    let batches = vec![batch(1, &[("home", 1)])];
    assert!(is_taken(&shards, &Park { owner: "c".parse().unwrap(), batches, ..park([]) }).await);
    let began = Instant::now();
    let done = deliver_by(shards.store(), &shards).await;
    assert_eq!((done.visits_delivered, done.owners_waiting), (1, 1), "{done:?}");
    assert_eq!(world.counted(), 1);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn delivered_copies_leave_a_shard_that_is_full_or_not_and_two_deliverers_bring_each_once() {
    for memory in ["0", "1"] {
        let world = World::with(60).await;
        configure(&mut world.redis(), "maxmemory", memory);
        let (one, two) = tokio::join!(world.deliver(), world.deliver());
        assert_eq!((one.visits_delivered + two.visits_delivered, one.calls_failed + two.calls_failed), (60, 0));
        configure(&mut world.redis(), "maxmemory", "0");
        assert_eq!(world.redis().hlen(MARKS), Ok(60));
        world.shards.pass(Duration::from_secs(61));
        // The owner is full as well, and says what it has.
        (0..2).for_each(|shard| configure(&mut world.shards.connect_to(shard), "maxmemory", memory));
        let second = world.deliver().await;
        assert_eq!((second.copies_removed, second.visits_delivered, second.calls_failed), (60, 0, 0));
        assert_eq!((world.redis().exists(&[COPIES, MARKS, OWNERS, ASIDE]), world.counted()), (Ok(0), 60));
    }
}

#[tokio::test]
async fn copies_that_a_full_owner_refuses_wait_for_it() {
    let world = World::with(2).await;
    configure(&mut world.shards.connect_to(OWNER), "maxmemory", "1");
    let refused = world.deliver().await;
    assert_eq!((refused.visits_delivered, refused.copies_set_aside, refused.owners_waiting), (0, 0, 1), "{refused:?}");
    configure(&mut world.shards.connect_to(OWNER), "maxmemory", "0");
    let taken = world.deliver().await;
    assert_eq!((taken.visits_delivered, taken.owners_waiting, world.counted()), (2, 0, 2), "{taken:?}");
}

#[tokio::test]
async fn damaged_copies_are_set_aside_with_the_reason_and_the_others_are_delivered() {
    let world = World::with(1).await;
    let mut redis = world.redis();
    let now = "1700000000000";
    let batch = Batch::seal(Sequence::FIRST, vec![(page("home"), 1)], Clock::system().now());
    let home = String::from_utf8(batch.encode()).unwrap();
    let damaged = [
        (id(3).to_string(), format!("{now} {}", &home[..8]), "not the encoding"),
        (id(4).to_string(), "1".to_owned(), "not begin with a time"),
        (id(5).to_string(), format!("{now} {}", home.replace("home", "h\u{7}me")), "control character"),
        (id(7).to_string(), format!(r#"{now} [["home",1]]"#), "of version 2"),
        ("nonsense".to_owned(), format!("{now} {home}"), "its name"),
        (id(8).to_string(), format!("{now} {home}"), "older than"),
    ];
    for (field, value, _) in &damaged {
        let _: i64 = redis.hset(COPIES, field, value).unwrap();
    }
    let delivery = world.deliver().await;
    assert_eq!((delivery.visits_delivered, delivery.copies_set_aside), (1, damaged.len()));
    for (field, value, reason) in &damaged {
        let aside: String = redis.hget(ASIDE, format!("batches:b:{field}")).unwrap();
        let (why, kept) = aside.split_once('\n').unwrap();
        assert!(why.contains(reason) && kept == value, "{field}: {aside}");
    }
    assert_eq!((redis.hlen(COPIES), world.counted()), (Ok(1), 1));
    assert_eq!(world.deliver().await.copies_set_aside, 0);
}

#[tokio::test]
async fn a_key_of_another_type_is_moved_out_of_the_way() {
    let world = World::with(0).await;
    let mut redis = world.redis();
    let moved = |redis: &mut Connection| redis.keys::<_, Vec<String>>(format!("{ASIDE}:batches:b:*")).unwrap();
    let _: () = redis.set(COPIES, "not a hash").unwrap();
    assert_eq!(world.deliver().await, Delivery::default());
    let aside = moved(&mut redis);
    assert_eq!(redis.get(&aside[0]), Ok("not a hash".to_owned()));
    let _: () = redis.set(COPIES, "again").unwrap();
    world.park(1).await.unwrap();
    let _: () = redis.set(MARKS, "no marks").unwrap();
    assert_eq!(world.deliver().await, Delivery { copies_tried: 1, visits_delivered: 1, ..Delivery::default() });
    assert_eq!((moved(&mut redis).len(), redis.hlen(MARKS)), (3, Ok(1)));
}

#[tokio::test]
async fn an_applied_set_of_another_type_sets_aside_its_writers_copies_and_stops_no_other() {
    let world = World::with(1).await;
    let (writer, batches) = (WriterId::from_u128(u128::MAX), vec![batch(1, &[("home", 1)])]);
    parked(&world.shards, &Park { writer, batches, ..park([]) }).await;
    let set = world.shards.key(OWNER, &format!("applied:{WRITER}"));
    let _: () = world.shards.connect_to(OWNER).set(set, "not a hash").unwrap();
    let delivery = world.deliver().await;
    assert_eq!((delivery.visits_delivered, delivery.copies_set_aside, delivery.owners_waiting), (1, 1, 0));
    let aside: HashMap<String, String> = world.shards.fields(REFUGE, "aside");
    assert!(aside[&format!("batches:b:{}", id(1))].contains("WRONGTYPE"), "{aside:?}");
}

#[tokio::test]
async fn a_damaged_list_of_owners_hides_no_copies() {
    let world = World::with(1).await;
    let _: () = world.redis().set(OWNERS, "not a hash").unwrap();
    assert_eq!(world.deliver().await.visits_delivered, 1);
    assert!(matches!(world.park(2).await, Err(StoreError::Refused { .. })), "no room can be told: another shard may");
    let _: i64 = world.redis().del(OWNERS).unwrap();
    world.park(2).await.unwrap();
}

#[tokio::test]
async fn a_shard_out_of_memory_takes_no_part_of_the_copies() {
    let world = World::with(1).await;
    let before = numbers(&world.shards).await;
    configure(&mut world.redis(), "maxmemory", "1");
    assert!(matches!(world.park(2).await, Err(StoreError::Refused { .. })));
    assert_eq!(numbers(&world.shards).await, before);
    configure(&mut world.redis(), "maxmemory", "0");
    assert_eq!(world.deliver().await.visits_delivered, 1);
}
