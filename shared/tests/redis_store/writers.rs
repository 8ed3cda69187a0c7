//! The sweep's list of writers, how long a shard keeps an applied set, and its memory of imports.

use redis::{Commands, Script};
use std::collections::HashMap;
use std::time::Duration;
use visits_core::batch::WriterId;
use visits_core::clock::Timing;
use visits_core::shard::Weight;
use visits_core::store::imports::{ImportId, ImportRecord};
use visits_core::store::{Applied, Apply, Ledger, TIDY_AT_ONCE, WriterStatus};
use visits_core::tests::{Shards, WRITER, call, page, visit};

const REAL: Timing = Timing::REAL;

/// By how much a real clock may run on during a test.
const TOLERANCE: Duration = Duration::from_mins(1);

async fn apply(shards: &Shards, writer: WriterId, status: WriterStatus) -> Applied {
    shards.store().apply(0, &Apply { writer, status, ..visit() }).await.unwrap()
}

async fn listed(shards: &Shards) -> HashMap<WriterId, Duration> {
    shards.store().writers(0).await.unwrap()
}

async fn tidy(shards: &Shards) -> usize {
    shards.store().tidy(0).await.unwrap()
}

pub(crate) async fn a_writer_is_listed_while_it_is_active_with_the_time_since_its_last_flush(shards: &Shards) {
    let (silent, busy) = (WriterId::from_u128(2), WriterId::from_u128(3));
    apply(shards, silent, WriterStatus::Active).await;
    apply(shards, busy, WriterStatus::Active).await;
    shards.pass(Duration::from_mins(10));
    shards.store().apply(0, &Apply { writer: busy, ..call(&[]) }).await.unwrap();
    shards.pass(Duration::from_mins(5));
    let ages = listed(shards).await;
    for (writer, minutes) in [(silent, 15), (busy, 5)] {
        assert!((0..60).contains(&(ages[&writer].as_secs() - 60 * minutes)), "{ages:?}");
    }
    for status in [WriterStatus::Gone, WriterStatus::Settled] {
        apply(shards, busy, WriterStatus::Active).await;
        assert_eq!(listed(shards).await.len(), 2, "its next visit lists it again");
        apply(shards, busy, status).await;
        assert_eq!(listed(shards).await.keys().collect::<Vec<_>>(), [&silent], "{status:?}");
    }
    apply(shards, busy, WriterStatus::Active).await;
    shards.pass(REAL.settled_set_kept + TOLERANCE);
    assert_eq!(tidy(shards).await, 0, "its set is kept as long as any again");
}

pub(crate) async fn a_silent_writer_is_taken_off_the_list_and_keeps_its_set(shards: &Shards) {
    apply(shards, WRITER, WriterStatus::Active).await;
    shards.pass(REAL.writer_listed.saturating_sub(TOLERANCE));
    assert_eq!((tidy(shards).await, listed(shards).await.len()), (0, 1));
    shards.pass(2 * TOLERANCE);
    assert_eq!((tidy(shards).await, listed(shards).await.len()), (0, 0));
    assert_eq!(apply(shards, WRITER, WriterStatus::Settled).await.fresh, []);
}

pub(crate) async fn a_set_lives_14_days_after_the_last_flush_and_a_settled_writers_an_hour(shards: &Shards) {
    let day = Duration::from_hours(24);
    assert_eq!((REAL.set_kept, REAL.settled_set_kept), (14 * day, day / 24));
    let cases = [
        (WriterStatus::Active, REAL.set_kept),
        (WriterStatus::Gone, REAL.set_kept),
        (WriterStatus::Settled, REAL.settled_set_kept),
    ];
    for ((status, kept), counted) in cases.into_iter().zip([1, 3, 5]) {
        apply(shards, WRITER, status).await;
        shards.pass(kept.saturating_sub(TOLERANCE));
        assert_eq!(tidy(shards).await, 0, "{status:?}");
        shards.pass(2 * TOLERANCE);
        assert_eq!((tidy(shards).await, tidy(shards).await), (1, 0), "{status:?}");
        assert_eq!((listed(shards).await.len(), shards.sum(&page("home"))), (0, counted), "the count stays");
        assert_eq!(apply(shards, WRITER, WriterStatus::Settled).await.fresh.len(), 1, "the set is gone");
        shards.pass(REAL.settled_set_kept + TOLERANCE);
        assert_eq!(tidy(shards).await, 1);
    }
}

pub(crate) async fn a_delivery_neither_lists_a_writer_nor_shortens_the_time_its_set_is_kept(shards: &Shards) {
    for (status, listed_then) in [(WriterStatus::Delivered, 0), (WriterStatus::Active, 1), (WriterStatus::Delivered, 1)]
    {
        apply(shards, WRITER, status).await;
        assert_eq!(listed(shards).await.len(), listed_then, "{status:?}");
    }
    apply(shards, WRITER, WriterStatus::Settled).await;
    apply(shards, WRITER, WriterStatus::Delivered).await;
    shards.pass(REAL.settled_set_kept * 2);
    assert_eq!(tidy(shards).await, 0, "kept as long as any");
    shards.pass(REAL.set_kept);
    assert_eq!((tidy(shards).await, shards.sum(&page("home"))), (1, 1));
}

pub(crate) async fn the_set_of_an_import_is_kept_for_ever_and_never_swept(shards: &Shards) {
    apply(shards, WRITER, WriterStatus::Import).await;
    shards.pass(Duration::from_hours(24 * 365 * 100));
    assert_eq!((tidy(shards).await, listed(shards).await.len()), (0, 0));
    let again = apply(shards, WRITER, WriterStatus::Import).await;
    assert_eq!((again.fresh.len(), again.set.floor, shards.sum(&page("home"))), (0, 1, 1));
}

pub(crate) async fn tidying_takes_many_sets_in_several_calls(shards: &Shards) {
    for writer in 0..TIDY_AT_ONCE as u128 + 3 {
        apply(shards, WriterId::from_u128(writer), WriterStatus::Settled).await;
    }
    shards.pass(REAL.settled_set_kept + TOLERANCE);
    assert_eq!((tidy(shards).await, tidy(shards).await, tidy(shards).await), (TIDY_AT_ONCE, 3, 0));
}

pub(crate) async fn the_first_record_of_an_import_stays_until_it_is_done(shards: &Shards) {
    let (store, id, other) = (shards.store(), "march".parse::<ImportId>().unwrap(), "april".parse().unwrap());
    let record = |digest, done| {
        let ring = shards.names().iter().map(|name| (name.clone(), Weight::default())).collect();
        ImportRecord { digest, bytes: 10, ring, done }
    };
    assert_eq!(store.import(0, &id).await, Ok(None));
    for digest in [1, 2] {
        assert_eq!(store.begin_import(0, &id, &record(digest, false)).await, Ok(record(1, false)));
        assert_eq!(store.import(0, &id).await, Ok(Some(record(1, false))));
    }
    assert_eq!((store.import(0, &other).await, store.import(1, &id).await), (Ok(None), Ok(None)), "they know no other");
    for _ in 0..2 {
        store.finish_import(0, &id, &record(1, false)).await.unwrap();
        assert_eq!(store.import(0, &id).await, Ok(Some(record(1, true))));
    }
    assert_eq!(store.begin_import(0, &id, &record(1, false)).await, Ok(record(1, true)), "it does not begin again");
}

/// The script checks again, in one step with the deletion, what the caller has read as expired.
#[tokio::test]
async fn a_set_whose_writer_flushed_in_between_stays() {
    let shards = Shards::new(1);
    let mut redis = shards.connect();
    let [kept, old, none] = [1, 2, 3].map(WriterId::from_u128);
    for writer in [old, kept] {
        apply(&shards, writer, WriterStatus::Active).await;
    }
    let _: i64 = redis.zadd(shards.key(0, "sets"), old.to_string(), 1).unwrap();
    let set = |writer| shards.key(0, &format!("applied:{writer}"));
    let script = Script::new(concat!(
        include_str!("../../src/store/redis/prelude.lua"),
        include_str!("../../src/store/redis/tidy.lua")
    ));
    let mut tidy = script.key(shards.key(0, "sets"));
    tidy.key(shards.key(0, "writers")).arg(3_600_000);
    for writer in [kept, old, none] {
        tidy.key(set(writer)).arg(writer.to_string());
    }
    assert_eq!(tidy.invoke::<usize>(&mut redis), Ok(1));
    assert_eq!([kept, old].map(|writer| redis.exists(set(writer))), [Ok(true), Ok(false)]);
}

#[tokio::test]
async fn members_that_are_no_writers_hold_up_nothing() {
    let shards = Shards::new(1);
    let mut redis = shards.connect();
    apply(&shards, WRITER, WriterStatus::Active).await;
    let strangers: Vec<(u64, String)> = (0..600).map(|number| (0, format!("not a writer {number}"))).collect();
    for list in ["sets", "writers"] {
        let _: i64 = redis.zadd_multiple(shards.key(0, list), &strangers).unwrap();
    }
    assert_eq!(listed(&shards).await.len(), 1);
    let _: i64 = redis.zadd(shards.key(0, "sets"), WRITER.to_string(), 1).unwrap();
    for _ in 0..3 {
        tidy(&shards).await;
    }
    assert_eq!(shards.keys(0, "applied:*"), [""; 0]);
}
