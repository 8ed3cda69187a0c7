//! A batch counts once: however often, in whatever order and beside whatever else it is sent.

use crate::subject::{SHARD, Subject, WRITER, apply, batch, call, page, sequence, timeless, total};
use futures_util::future::join_all;
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use visits_core::batch::{MAX_BATCH_PAGES, WriterId};
use visits_core::store::AppliedSet;
use visits_core::store::{Applied, Apply, Ledger};

pub(crate) async fn a_batch_is_applied_once_however_often_it_is_sent(subject: &Subject) {
    let call = call(&[batch(1, &[("a", 2), ("b", 3)])]);
    let first = apply(subject, &call).await;
    assert_eq!((first.set.floor, first.set.visits), (1, 5));
    for _ in 0..3 {
        let again = apply(subject, &call).await;
        assert!(again.server_time >= first.server_time);
        assert_eq!(timeless(again), Applied { fresh: Vec::new(), ..timeless(first.clone()) });
    }
    assert_eq!((total(subject, "a").await, total(subject, "b").await), (2, 3));
}

pub(crate) async fn a_batch_sent_twice_in_one_call_is_applied_once(subject: &Subject) {
    let twice = batch(1, &[("a", 2)]);
    let applied = apply(subject, &call(&[twice.clone(), twice])).await;
    assert_eq!((applied.set.visits, total(subject, "a").await), (2, 2));
}

pub(crate) async fn batches_are_applied_in_any_order(subject: &Subject) {
    for number in [3, 1, 2] {
        apply(subject, &call(&[batch(number, &[("a", number)])])).await;
    }
    let applied = apply(subject, &call(&[batch(5, &[("a", 5)]), batch(4, &[("a", 4)])])).await;
    assert_eq!((applied.set.floor, applied.set.above.len(), applied.set.visits), (5, 0, 15));
    assert_eq!(total(subject, "a").await, 15);
}

pub(crate) async fn a_batch_overtaken_by_a_later_one_is_still_applied(subject: &Subject) {
    let gap = apply(subject, &call(&[batch(1, &[("a", 1)]), batch(3, &[("a", 100)])])).await;
    assert_eq!((gap.set.floor, gap.set.above), (1, [3].into()));
    let filled = apply(subject, &call(&[batch(2, &[("a", 10)])])).await;
    assert_eq!((filled.set.floor, filled.set.above.len()), (3, 0));
    assert_eq!(total(subject, "a").await, 111);
}

pub(crate) async fn copies_that_arrive_at_the_same_time_count_once(subject: &Subject) {
    let call = call(&[batch(1, &[("a", 1)]), batch(2, &[("a", 10)])]);
    let answers = join_all((0..20).map(|_| apply(subject, &call))).await;
    assert!(answers.iter().all(|answer| answer.set == answers[0].set), "{answers:?}");
    let fresh: Vec<_> = answers.into_iter().flat_map(|answer| answer.fresh).collect();
    assert_eq!(fresh, [sequence(1), sequence(2)], "one of them applied both");
    assert_eq!(total(subject, "a").await, 11);
}

pub(crate) async fn writers_do_not_know_of_each_others_batches(subject: &Subject) {
    let first = call(&[batch(1, &[("a", 1)])]);
    let second = Apply { writer: WriterId::from_u128(2), ..first.clone() };
    apply(subject, &first).await;
    assert_eq!(apply(subject, &second).await.set.visits, 1);
    assert_eq!(total(subject, "a").await, 2);
}

pub(crate) async fn shards_do_not_know_of_each_others_batches(subject: &Subject) {
    let call = call(&[batch(1, &[("a", 1)])]);
    apply(subject, &call).await;
    let other = subject.store().apply(SHARD + 1, &call).await.unwrap();
    assert_eq!((other.set.visits, total(subject, "a").await), (1, 1));
    assert_eq!(subject.store().total(SHARD + 1, &page("a")).await, Ok(1));
}

pub(crate) async fn a_full_batch_is_applied(subject: &Subject) {
    let ids: Vec<String> = (0..MAX_BATCH_PAGES).map(|number| format!("{number:0>512}")).collect();
    let increments: Vec<(&str, u64)> = ids.iter().map(|id| (id.as_str(), 7)).collect();
    let applied = apply(subject, &call(&[batch(1, &increments)])).await;
    assert_eq!(applied.set.visits, 7 * u64::try_from(MAX_BATCH_PAGES).unwrap());
    assert_eq!((total(subject, &ids[0]).await, total(subject, &ids[MAX_BATCH_PAGES - 1]).await), (7, 7));
}

/// Random calls with random sequences and bases, against the applied set as a plain value. A batch is
/// always the same one: number `n` is `n` visits.
pub(crate) async fn any_run_of_sends_gives_the_model_s_set(subject: &Subject) {
    let sends = proptest::collection::vec((1_u64..40, any::<u8>()), 0..4);
    let calls = proptest::collection::vec((sends, 0_u64..30), 120);
    let calls = calls.new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let (mut model, mut base) = (AppliedSet::default(), 1);
    for (sends, step) in calls {
        base += u64::from(step == 0);
        let batches: Vec<_> = sends.iter().map(|(number, _)| batch(*number, &[("a", *number)])).collect();
        for (number, _) in sends {
            if !model.contains(sequence(number)) {
                model.visits += number;
                model.insert(sequence(number));
            }
        }
        model.raise(base - 1);
        let call = Apply { base: sequence(base), writer: WRITER, ..call(&batches) };
        assert_eq!(apply(subject, &call).await.set, model);
    }
    assert!(model.floor > 5 && model.visits > 100, "the run is worth its time: {model:?}");
    assert_eq!(total(subject, "a").await, model.visits);
}
