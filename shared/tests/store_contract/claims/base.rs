//! The base: how a writer has a shard forget what it will never send again.

use crate::subject::{Subject, apply, batch, call, sequence, timeless, total};
use visits_core::store::Apply;

fn from(base: u64, apply: Apply) -> Apply {
    Apply { base: sequence(base), ..apply }
}

pub(crate) async fn the_base_moves_the_floor_and_drops_what_is_below(subject: &Subject) {
    let gaps = [3, 5, 9].map(|number| batch(number, &[("a", 1)]));
    assert_eq!(apply(subject, &call(&gaps)).await.set.above, [3, 5, 9].into());
    let moved = apply(subject, &from(7, call(&[]))).await;
    assert_eq!((moved.set.floor, moved.set.above, moved.set.visits), (6, [9].into(), 3));
}

pub(crate) async fn a_batch_below_the_floor_changes_nothing(subject: &Subject) {
    let before = apply(subject, &from(5, call(&[]))).await;
    let after = apply(subject, &call(&[batch(4, &[("a", 1)])])).await;
    assert_eq!((timeless(after), total(subject, "a").await), (timeless(before), 0));
}

/// The base is about calls to come: it says nothing of those in its own call.
pub(crate) async fn a_batch_below_the_base_it_comes_with_is_applied(subject: &Subject) {
    let applied = apply(subject, &from(3, call(&[batch(1, &[("a", 1)])]))).await;
    assert_eq!((applied.set.floor, applied.set.visits, total(subject, "a").await), (2, 1, 1));
}

pub(crate) async fn a_base_moved_back_changes_nothing(subject: &Subject) {
    let before = apply(subject, &from(8, call(&[]))).await;
    assert_eq!(timeless(apply(subject, &from(2, call(&[]))).await), timeless(before));
}

pub(crate) async fn the_floor_rises_over_what_follows_the_base(subject: &Subject) {
    apply(subject, &call(&[3, 4, 6].map(|number| batch(number, &[("a", 1)])))).await;
    let moved = apply(subject, &from(3, call(&[]))).await;
    assert_eq!((moved.set.floor, moved.set.above), (4, [6].into()));
    let filled = apply(subject, &from(3, call(&[batch(5, &[("a", 1)])]))).await;
    assert_eq!((filled.set.floor, filled.set.above.len(), filled.set.visits), (6, 0, 4));
}
