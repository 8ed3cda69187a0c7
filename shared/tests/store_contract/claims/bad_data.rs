//! What cannot be applied is reported, and holds up nothing else.

use crate::subject::{Subject, apply, batch, call, page, sequence, total};
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

pub(crate) async fn a_page_that_cannot_be_counted_is_reported_and_the_rest_applies(subject: &Subject) {
    subject.spoil(&page("bad"));
    let batches = [batch(1, &[("a", 1), ("bad", 20), ("b", 300)]), batch(2, &[("bad", 4_000), ("c", 50_000)])];
    let applied = apply(subject, &call(&batches)).await;
    let told: Vec<_> = applied.rejected.iter().map(|rejected| (rejected.page.as_str(), rejected.visits)).collect();
    assert_eq!(told, [("bad", 20), ("bad", 4_000)]);
    assert!(applied.rejected.iter().all(|rejected| rejected.reason.contains("WRONGTYPE")), "{applied:?}");
    assert_eq!((applied.set.floor, applied.set.visits, applied.set.rejected), (2, 54_321, 4_020));
    assert_eq!((total(subject, "a").await, total(subject, "b").await, total(subject, "c").await), (1, 300, 50_000));
}

pub(crate) async fn a_resend_does_not_report_a_rejected_page_again(subject: &Subject) {
    subject.spoil(&page("bad"));
    let call = call(&[batch(1, &[("a", 1), ("bad", 2)])]);
    let first = apply(subject, &call).await;
    let again = apply(subject, &call).await;
    assert_eq!((again.set, again.rejected.len(), total(subject, "a").await), (first.set, 0, 1));
}
