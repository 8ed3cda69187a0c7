//! What shards remember of imports.

use crate::subject::{SHARD, Subject, WRITER, apply, batch, call, total};
use std::time::Duration;
use visits_core::shard::Weight;
use visits_core::store::imports::{ImportId, ImportRecord};
use visits_core::store::{Apply, Standing};

fn id() -> ImportId {
    "march".parse().unwrap()
}

fn record(digest: u128) -> ImportRecord {
    let ring = ["one", "two"].map(|name| (name.parse().unwrap(), Weight::default()));
    ImportRecord { digest, bytes: 10, ring: ring.to_vec(), done: false }
}

pub(crate) async fn what_was_never_begun_is_unknown(subject: &Subject) {
    assert_eq!(subject.store().import(SHARD, &id()).await, Ok(None));
    subject.store().begin_import(SHARD, &id(), &record(1)).await.unwrap();
    let other = "april".parse().unwrap();
    assert_eq!(subject.store().import(SHARD, &other).await, Ok(None));
    assert_eq!(subject.store().import(1, &id()).await, Ok(None), "shards know only what they were told");
}

pub(crate) async fn the_first_record_of_an_import_stays(subject: &Subject) {
    assert_eq!(subject.store().begin_import(SHARD, &id(), &record(1)).await, Ok(record(1)));
    assert_eq!(subject.store().begin_import(SHARD, &id(), &record(2)).await, Ok(record(1)));
    assert_eq!(subject.store().import(SHARD, &id()).await, Ok(Some(record(1))));
}

pub(crate) async fn a_finished_import_is_known_as_done(subject: &Subject) {
    let done = ImportRecord { done: true, ..record(1) };
    subject.store().begin_import(SHARD, &id(), &record(1)).await.unwrap();
    for _ in 0..2 {
        subject.store().finish_import(SHARD, &id(), &record(1)).await.unwrap();
        assert_eq!(subject.store().import(SHARD, &id()).await, Ok(Some(done.clone())));
    }
    assert_eq!(subject.store().begin_import(SHARD, &id(), &record(1)).await, Ok(done), "it does not begin again");
}

pub(crate) async fn the_set_of_an_import_is_kept_for_ever_and_never_swept(subject: &Subject) {
    let import = Apply { standing: Standing::Import, ..call(&[batch(1, &[("home", 2)])]) };
    apply(subject, &import).await;
    subject.pass(Duration::from_hours(24 * 365 * 100));
    assert_eq!(subject.store().tidy(SHARD).await, Ok(0));
    assert!(!subject.store().writers(SHARD).await.unwrap().contains_key(&WRITER));
    let again = apply(subject, &import).await;
    assert_eq!((again.fresh.len(), again.set.floor, total(subject, "home").await), (0, 1, 2));
}
