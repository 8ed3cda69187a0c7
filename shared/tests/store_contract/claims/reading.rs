//! What a shard says when it is asked.

use crate::subject::{SHARD, Subject, apply, batch, call, page, sequence, timeless, total};
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, Increment, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::store::AppliedSet;
use visits_core::store::{Apply, Reading};

pub(crate) async fn an_unknown_page_has_count_0(subject: &Subject) {
    assert_eq!(total(subject, "nobody was here").await, 0);
}

pub(crate) async fn several_pages_are_read_as_each_of_them(subject: &Subject) {
    apply(subject, &call(&[batch(1, &[("a", 7), ("b", 300), ("%25", 1)])])).await;
    let pages = ["b", "nobody was here", "a", "%25", "b"].map(page);
    let readings = subject.store().read_all(SHARD, &pages).await.unwrap();
    let totals: Vec<u64> = readings.iter().map(|reading| reading.as_ref().unwrap().total).collect();
    assert_eq!(totals, [300, 0, 7, 1, 300]);
    for (page, reading) in pages.iter().zip(readings) {
        assert_eq!(subject.store().read(SHARD, page).await, reading);
    }
    assert_eq!(subject.store().read_all(SHARD, &[]).await, Ok(vec![]));
}

pub(crate) async fn a_reading_tells_bots_apart(subject: &Subject) {
    let visits = Increment { bots: 2, ..Increment::from((page("a"), 7)) };
    let batch = Batch::seal(Sequence::FIRST, vec![visits], Clock::system().now());
    apply(subject, &call(&[(Arc::new(batch), Duration::ZERO)])).await;
    let expected = Reading { total: 7, bots: 2, settled: None };
    assert_eq!(subject.store().read(SHARD, &page("a")).await, Ok(expected));
    assert_eq!(subject.store().read_all(SHARD, &[page("a")]).await, Ok(vec![Ok(expected)]));
}

pub(crate) async fn page_ids_are_kept_apart_byte_by_byte(subject: &Subject) {
    let long = "é".repeat(256);
    let ids = ["a", "A", "a/", "a ", " ", "a:b", ":", "{}", "{two}", "}{", "%25", "café", "cafe\u{301}", "🦀", &long];
    let increments: Vec<(&str, u64)> = ids.into_iter().zip(1..).collect();
    apply(subject, &call(&[batch(1, &increments)])).await;
    for (id, visits) in increments {
        assert_eq!(total(subject, id).await, visits, "{id:?}");
    }
}

pub(crate) async fn asking_without_batches_tells_the_set(subject: &Subject) {
    let applied = apply(subject, &call(&[batch(1, &[("a", 1)]), batch(3, &[("a", 2)])])).await;
    let asked = apply(subject, &call(&[])).await;
    assert_eq!((&asked.set, asked.set.contains(sequence(2))), (&applied.set, false));
    assert!(asked.fresh.is_empty());
    assert_eq!(timeless(apply(subject, &call(&[])).await), timeless(asked));
    assert_eq!(total(subject, "a").await, 3);
}

pub(crate) async fn asking_for_an_unknown_writer_tells_an_empty_set(subject: &Subject) {
    apply(subject, &call(&[batch(1, &[("a", 1)])])).await;
    let stranger = Apply { writer: WriterId::from_u128(2), ..call(&[]) };
    let answer = apply(subject, &stranger).await;
    assert_eq!((answer.set, answer.fresh.len()), (AppliedSet::default(), 0));
}

pub(crate) async fn the_sets_visits_are_the_sum_of_its_batches(subject: &Subject) {
    let mut visits = 0;
    for number in [1, 2, 4, 8] {
        visits += 11 * number;
        let applied = apply(subject, &call(&[batch(number, &[("a", number), ("b", 10 * number)])])).await;
        assert_eq!(applied.set.visits, visits);
    }
    assert_eq!(total(subject, "a").await + total(subject, "b").await, visits);
}
