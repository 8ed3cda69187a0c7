//! A batch counts once: however often, in whatever order and beside whatever else it is sent.

use futures_util::future::join_all;
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use redis::Commands;
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, MAX_BATCH_PAGES, Sequence, WriterId};
use visits_core::clock::{Clock, Timing};
use visits_core::page::PageId;
use visits_core::store::{Applied, AppliedSet, Apply, Ledger, Reading};
use visits_core::tests::{Shards, WRITER, batch, call, increment, page};

fn sequence(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

async fn apply(shards: &Shards, call: &Apply) -> Applied {
    shards.store().apply(0, call).await.unwrap()
}

async fn total(shards: &Shards, id: &str) -> u64 {
    shards.store().total(0, &page(id)).await.unwrap()
}

pub(crate) async fn a_batch_is_applied_once_however_often_and_by_whomever_it_is_sent(shards: &Shards) {
    // Twice in one call, and copies that arrive at the same time.
    let twice = batch(1, &[("a", 2), ("b", 3)]);
    let sent = call(&[twice.clone(), twice, batch(2, &[("a", 10)])]);
    let answers = join_all((0..20).map(|_| apply(shards, &sent))).await;
    assert!(answers.iter().all(|answer| answer.set == answers[0].set), "{answers:?}");
    let fresh: Vec<_> = answers.into_iter().flat_map(|answer| answer.fresh).collect();
    assert_eq!(fresh, [sequence(1), sequence(2)], "one of them applied both");
    // Another writer's and another shard's are others.
    let stranger = |batches| Apply { writer: WriterId::from_u128(2), batches, ..call(&[]) };
    assert_eq!(apply(shards, &stranger(Vec::new())).await.set, AppliedSet::default());
    assert_eq!(apply(shards, &stranger(vec![batch(1, &[("a", 100)])])).await.set.visits, 100);
    let other = shards.store().apply(1, &sent).await.unwrap();
    assert_eq!((other.set.visits, shards.store().total(1, &page("a")).await), (15, Ok(12)));
    // The answer is the same but for its time, with batches and without.
    let [again, asked] = [apply(shards, &sent).await, apply(shards, &call(&[])).await];
    assert!(asked.server_time >= again.server_time);
    assert_eq!(
        Applied { server_time: Duration::ZERO, ..asked },
        Applied { server_time: Duration::ZERO, ..again.clone() }
    );
    assert_eq!((again.set.floor, again.set.visits, again.fresh.len()), (2, 15, 0));
    assert_eq!((total(shards, "a").await, total(shards, "b").await), (112, 3));
}

/// Random calls with random sequences and bases, against the applied set as a plain value. A batch is always the same one:
/// number `n` is `n` visits. Bases come that lie below an earlier one, and batches that lie below their call's.
pub(crate) async fn any_run_of_sends_gives_the_models_set(shards: &Shards) {
    let sends = proptest::collection::vec(0_u64..40, 0..4);
    let calls = proptest::collection::vec((sends, any::<proptest::sample::Index>()), 160);
    let calls = calls.new_tree(&mut TestRunner::deterministic()).unwrap().current();
    let (mut model, mut late, mut gaps) = (AppliedSet::default(), 0, 0);
    for (number, (sends, base)) in calls.into_iter().enumerate() {
        let base = 1 + base.index(2 + 2 * number) as u64;
        let sends: Vec<u64> = sends.into_iter().map(|ahead| (base + ahead).saturating_sub(10).max(1)).collect();
        let batches: Vec<_> = sends.iter().map(|number| batch(*number, &[("a", *number)])).collect();
        let mut fresh = Vec::new();
        for number in sends {
            if !model.contains(sequence(number)) {
                model.visits += number;
                model.insert(sequence(number));
                late += u64::from(number < base);
                fresh.push(sequence(number));
            }
        }
        model.raise(base - 1);
        gaps += model.above.len();
        let applied = apply(shards, &Apply { base: sequence(base), ..call(&batches) }).await;
        assert_eq!((applied.set, applied.fresh), (model.clone(), fresh));
    }
    assert!(model.floor > 5 && model.visits > 100 && late > 0 && gaps > 50, "worth its time: {model:?} {late} {gaps}");
    assert_eq!(total(shards, "a").await, model.visits);
}

pub(crate) async fn a_full_batch_is_applied(shards: &Shards) {
    let ids: Vec<String> = (0..MAX_BATCH_PAGES).map(|number| format!("{number:0>512}")).collect();
    let increments: Vec<(&str, u64)> = ids.iter().map(|id| (id.as_str(), 7)).collect();
    let applied = apply(shards, &call(&[batch(1, &increments)])).await;
    assert_eq!(applied.set.visits, 7 * u64::try_from(MAX_BATCH_PAGES).unwrap());
    assert_eq!((total(shards, &ids[0]).await, total(shards, &ids[MAX_BATCH_PAGES - 1]).await), (7, 7));
}

pub(crate) async fn a_batch_too_old_is_refused_and_neither_others_nor_a_duplicate_is(shards: &Shards) {
    let [first, old, third] = [(1, 1), (2, 10), (3, 100)].map(|(number, visits)| batch(number, &[("a", visits)]).0);
    let longest = Timing::REAL.max_batch_age;
    let too_old = longest + Duration::from_millis(1);
    let mixed = call(&[(first.clone(), longest), (old, too_old), (third, Duration::ZERO)]);
    for _ in 0..2 {
        let applied = apply(shards, &mixed).await;
        assert_eq!(applied.expired, [sequence(2)]);
        assert_eq!((applied.set.floor, applied.set.above, applied.set.visits), (1, [3].into(), 101));
    }
    assert_eq!(apply(shards, &call(&[(first, Duration::MAX)])).await.expired, []);
    assert_eq!(total(shards, "a").await, 101);
}

pub(crate) async fn a_page_that_cannot_be_counted_is_reported_once_and_the_rest_applies(shards: &Shards) {
    for (id, field) in [("word", "many"), ("full", "9223372036854775807")] {
        shards.set_fields(0, &format!("page:{id}"), &[("total", field)]);
    }
    shards.break_page(0, &page("text"));
    let batches = [
        batch(1, &[("text", 1), ("a", 20), ("word", 300), ("full", 4_000), ("b", 50_000)]),
        batch(2, &[("text", 600_000), ("c", 7_000_000)]),
    ];
    let applied = apply(shards, &call(&batches)).await;
    let told: Vec<_> = applied.rejected.iter().map(|r| (r.page.as_str(), r.visits, r.reason.as_str())).collect();
    assert!(
        matches!(told[..], [("text", 1, wrong), ("word", 300, word), ("full", 4_000, full), ("text", 600_000, again)]
            if wrong.contains("WRONGTYPE") && word.contains("not an integer") && full.contains("overflow")
                && again == wrong),
        "{told:?}"
    );
    assert_eq!((applied.set.floor, applied.set.visits, applied.set.rejected), (2, 7_654_321, 604_301));
    for _ in 0..2 {
        let counted = [total(shards, "a").await, total(shards, "b").await, total(shards, "c").await];
        assert_eq!(counted, [20, 50_000, 7_000_000]);
        let again = apply(shards, &call(&batches)).await;
        assert_eq!((again.rejected.len(), again.set.rejected), (0, 604_301));
    }
}

pub(crate) async fn pages_are_kept_apart_byte_by_byte_and_read_one_by_one_or_together(shards: &Shards) {
    let (ascii, wide) = ("x".repeat(PageId::MAX_BYTES), "🦀".repeat(PageId::MAX_BYTES / 4));
    let of_writer = format!("applied:{WRITER}");
    let ids = [
        "a",
        "A",
        "a/",
        "a ",
        " ",
        "a:b",
        ":",
        "{}",
        "{b}",
        "}{",
        "%25",
        "café",
        "cafe\u{301}",
        "日本",
        "*",
        "[a]",
        "\\",
        "'\"",
        "page:home",
        &ascii,
        &wide,
        &of_writer,
        "writers",
        "sets",
        "shard",
    ];
    let visits: Vec<(&str, u64)> = ids.into_iter().zip(3..).collect();
    let increments = visits.iter().map(|(id, visits)| increment(id, *visits, 2, &[])).collect();
    let sealed = Batch::seal(Sequence::FIRST, increments, Clock::system().now());
    let applied = apply(shards, &call(&[(Arc::new(sealed), Duration::ZERO)])).await;
    assert_eq!((applied.rejected.len(), shards.store().writers(0).await.unwrap().len()), (0, 1));
    let pages: Vec<PageId> = visits.iter().map(|(id, _)| page(id)).chain([page("unknown"), page("a")]).collect();
    let together = shards.store().read_all(0, &pages).await.unwrap();
    for ((id, total), reading) in visits.iter().copied().chain([("unknown", 0), ("a", 3)]).zip(together) {
        let expected = Reading { total, bots: total.min(2), settled: None };
        assert_eq!((reading, shards.store().read(0, &page(id)).await), (Ok(expected), Ok(expected)), "{id:?}");
        let kept: Option<u64> = shards.connect_to(0).hget(shards.key(0, &format!("page:{id}")), "total").unwrap();
        assert_eq!(kept.unwrap_or(0), total, "a page's id is the end of its key: {id:?}");
    }
    assert_eq!(shards.store().read_all(0, &[]).await, Ok(vec![]));
}
