//! The sweep's list of writers, and how long a shard keeps an applied set.

use crate::subject::{SHARD, Subject, WRITER, apply, batch, call, total};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use visits_core::batch::WriterId;
use visits_core::store::{Apply, Standing, TIDY_AT_ONCE};
use visits_core::timing::{SET_KEPT, SETTLED_SET_KEPT, WRITER_LISTED};

/// By how much a real clock may run on during a test.
const TOLERANCE: Duration = Duration::from_mins(1);

async fn listed(subject: &Subject) -> HashMap<WriterId, Duration> {
    subject.store().writers(SHARD).await.unwrap()
}

async fn tidy(subject: &Subject) -> usize {
    subject.store().tidy(SHARD).await.unwrap()
}

/// A call with one visit of batch 1.
fn visit(writer: WriterId, standing: Standing) -> Apply {
    Apply { writer, standing, ..call(&[batch(1, &[("a", 1)])]) }
}

/// Whether the shard still knows that batch 1 of [`WRITER`] is applied. It is asked with the same batch,
/// so the count tells.
async fn remembers(subject: &Subject) -> bool {
    let before = total(subject, "a").await;
    apply(subject, &visit(WRITER, Standing::Settled)).await;
    total(subject, "a").await == before
}

pub(crate) async fn an_active_writer_is_listed_with_the_time_since_its_last_flush(subject: &Subject) {
    let (silent, busy) = (WriterId::from_u128(2), WriterId::from_u128(3));
    apply(subject, &visit(silent, Standing::Active)).await;
    apply(subject, &visit(busy, Standing::Active)).await;
    subject.pass(Duration::from_mins(10));
    apply(subject, &Apply { batches: Vec::new(), ..visit(busy, Standing::Active) }).await;
    subject.pass(Duration::from_mins(5));
    let listed = listed(subject).await;
    let age = |writer| listed[&writer].saturating_sub(TOLERANCE)..=listed[&writer];
    assert_eq!(listed.len(), 2);
    assert!(age(silent).contains(&Duration::from_mins(15)), "{listed:?}");
    assert!(age(busy).contains(&Duration::from_mins(5)), "{listed:?}");
}

pub(crate) async fn a_writer_that_is_gone_or_settled_is_not_listed(subject: &Subject) {
    for standing in [Standing::Gone, Standing::Settled] {
        apply(subject, &visit(WRITER, Standing::Active)).await;
        assert_eq!(listed(subject).await.len(), 1);
        apply(subject, &visit(WRITER, standing)).await;
        assert_eq!(listed(subject).await.len(), 0, "{standing:?}");
    }
}

pub(crate) async fn a_writer_is_listed_again_with_its_next_visit(subject: &Subject) {
    apply(subject, &visit(WRITER, Standing::Settled)).await;
    apply(subject, &Apply { standing: Standing::Active, ..call(&[batch(2, &[("a", 1)])]) }).await;
    assert_eq!(listed(subject).await.into_keys().collect::<HashSet<_>>(), [WRITER].into());
    subject.pass(SETTLED_SET_KEPT + TOLERANCE);
    assert_eq!(tidy(subject).await, 0, "its set is kept as long as any again");
}

pub(crate) async fn a_silent_writer_is_taken_off_the_list_and_keeps_its_set(subject: &Subject) {
    apply(subject, &visit(WRITER, Standing::Active)).await;
    subject.pass(WRITER_LISTED.saturating_sub(TOLERANCE));
    assert_eq!((tidy(subject).await, listed(subject).await.len()), (0, 1));
    subject.pass(2 * TOLERANCE);
    assert_eq!((tidy(subject).await, listed(subject).await.len()), (0, 0));
    assert!(remembers(subject).await);
}

pub(crate) async fn a_set_lives_14_days_after_the_last_flush_and_a_settled_writers_an_hour(subject: &Subject) {
    for (number, standing, kept) in
        [(1, Standing::Active, SET_KEPT), (2, Standing::Gone, SET_KEPT), (3, Standing::Settled, SETTLED_SET_KEPT)]
    {
        let writer = WriterId::from_u128(number);
        let counted = total(subject, "a").await;
        apply(subject, &visit(writer, standing)).await;
        subject.pass(kept.saturating_sub(TOLERANCE));
        assert_eq!(tidy(subject).await, 0, "{standing:?}");
        subject.pass(2 * TOLERANCE);
        assert_eq!((tidy(subject).await, tidy(subject).await), (1, 0), "{standing:?}");
        assert_eq!((listed(subject).await.len(), total(subject, "a").await), (0, counted + 1), "the count stays");
        let again = apply(subject, &visit(writer, Standing::Settled)).await;
        assert_eq!(again.fresh.len(), 1, "the set is gone");
        subject.pass(SETTLED_SET_KEPT + TOLERANCE);
        tidy(subject).await;
    }
}

pub(crate) async fn tidying_takes_many_sets_in_several_calls(subject: &Subject) {
    let writers = u128::try_from(TIDY_AT_ONCE).unwrap() + 3;
    for writer in 0..writers {
        apply(subject, &visit(WriterId::from_u128(writer), Standing::Settled)).await;
    }
    subject.pass(SETTLED_SET_KEPT + TOLERANCE);
    assert_eq!((tidy(subject).await, tidy(subject).await, tidy(subject).await), (TIDY_AT_ONCE, 3, 0));
}
