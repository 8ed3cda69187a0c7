//! What cannot be applied is reported, and holds up nothing else.

use crate::subject::{Subject, apply, batch, call, page, sequence, total};
use redis::Commands;
use std::time::Duration;
use visits_core::timing::MAX_BATCH_AGE;

pub(crate) async fn a_batch_too_old_is_refused_and_the_others_apply(subject: &Subject) {
    let (old, _) = batch(2, &[("a", 10)]);
    let old = (old, MAX_BATCH_AGE + Duration::from_millis(1));
    let mixed = call(&[batch(1, &[("a", 1)]), old, batch(3, &[("a", 100)])]);
    let applied = apply(subject, &mixed).await;
    assert_eq!(applied.expired, [sequence(2)]);
    assert_eq!((applied.set.floor, applied.set.above, applied.set.visits), (1, [3].into(), 101));
    assert_eq!(apply(subject, &mixed).await.expired, [sequence(2)]);
    assert_eq!(total(subject, "a").await, 101);
}

pub(crate) async fn a_batch_of_the_greatest_age_is_applied(subject: &Subject) {
    let (batch, _) = batch(1, &[("a", 1)]);
    let applied = apply(subject, &call(&[(batch, MAX_BATCH_AGE)])).await;
    assert_eq!((applied.expired.len(), total(subject, "a").await), (0, 1));
}

pub(crate) async fn a_duplicate_is_never_too_old(subject: &Subject) {
    let (batch, age) = batch(1, &[("a", 1)]);
    apply(subject, &call(&[(batch.clone(), age)])).await;
    let again = apply(subject, &call(&[(batch, Duration::MAX)])).await;
    assert_eq!((again.expired.len(), again.set.floor, total(subject, "a").await), (0, 1, 1));
}

pub(crate) async fn a_page_that_cannot_be_counted_is_reported_once_and_the_rest_applies(subject: &Subject) {
    for (id, field) in [("word", "many"), ("full", "9223372036854775807")] {
        let (key, mut redis) = subject.key("one", &format!("page:{id}"));
        let _: () = redis.hset(key, "total", field).unwrap();
    }
    subject.spoil(&page("text"));
    let batches = [
        batch(1, &[("text", 1), ("a", 20), ("word", 300), ("full", 4_000), ("b", 50_000)]),
        batch(2, &[("text", 600_000), ("c", 7_000_000)]),
    ];
    let applied = apply(subject, &call(&batches)).await;
    let told: Vec<_> = applied.rejected.iter().map(|r| (r.page.as_str(), r.visits, r.reason.as_str())).collect();
    assert!(
        matches!(told[..], [("text", 1, wrong), ("word", 300, word), ("full", 4_000, full), ("text", 600_000, again)]
            if wrong.contains("WRONGTYPE") && word.contains("not an integer") && full.contains("overflow")
                && again == wrong),
        "{told:?}"
    );
    assert_eq!((applied.set.floor, applied.set.visits, applied.set.rejected), (2, 7_654_321, 604_301));
    for _ in 0..2 {
        assert_eq!(
            (total(subject, "a").await, total(subject, "b").await, total(subject, "c").await),
            (20, 50_000, 7_000_000)
        );
        let again = apply(subject, &call(&batches)).await;
        assert_eq!((&again.set, again.rejected.len()), (&applied.set, 0));
    }
}
