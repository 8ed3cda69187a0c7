//! Finished days: sketches that are counted, merged and moved, and secrets that go.

use crate::subject::{SHARD, Subject, WRITER, page, sequence};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, Increment, SiteIncrement};
use visits_core::clock::Clock;
use visits_core::day::Day;
use visits_core::store::rollup::{DatedKey, Pass, RollUp, Scan, Sketch, SketchCopy, Stage, Tidied, Tidying};
use visits_core::store::{Apply, Ledger, ShardIndex, Standing, Store};
use visits_core::visit::{Secret, Visitor};

const OTHER: ShardIndex = 1;

fn day() -> Day {
    "2026-11-24".parse().unwrap()
}

fn of_page(id: &str) -> Sketch {
    Sketch { day: day(), page: Some(page(id)) }
}

/// Visitors of these pages, in batch number `number`, and the same of the site.
async fn visit(subject: &impl Subject, shard: ShardIndex, number: u64, pages: &[&str], visitors: &[u64]) {
    let visitors: Vec<Visitor> = visitors.iter().copied().map(Visitor).collect();
    let visits = visitors.len() as u64;
    let increment = |id: &&str| Increment { page: page(id), visits, bots: 0, visitors: visitors.clone() };
    let site = SiteIncrement { visitors: visitors.clone(), ..SiteIncrement::default() };
    let increments = pages.iter().map(increment).collect();
    let batch = Batch::of_day(sequence(number), Some(day()), increments, site, Clock::system().now());
    let batches = vec![(Arc::new(batch), Duration::ZERO)];
    let call = Apply { writer: WRITER, base: sequence(1), batches, standing: Standing::Active, ring: None };
    subject.store().apply(shard, &call).await.unwrap();
}

async fn read(subject: &impl Subject, shard: ShardIndex, sketch: &Sketch) -> Option<SketchCopy> {
    subject.store().sketches(shard, std::slice::from_ref(sketch)).await.unwrap().pop().unwrap()
}

async fn tidied(subject: &impl Subject, destroy: Vec<Day>) -> Tidied {
    subject.store().tidy_days(SHARD, &Tidying { trim: vec![day()], destroy }).await.unwrap()
}

fn pass(stage: Stage) -> Pass {
    let ring = "0123456789abcdef".parse().unwrap();
    Pass { through: day(), since: day().minus(1), ring, swept: None, stage }
}

pub(crate) async fn a_shard_knows_of_no_roll_up_at_first(subject: &impl Subject) {
    assert_eq!(tidied(subject, vec![day()]).await, Tidied::default());
}

pub(crate) async fn a_roll_up_moves_on_only_from_where_it_is(subject: &impl Subject) {
    let store = subject.store();
    let (begun, moved) = (pass(Stage::MOVE), pass(Stage::Moved));
    assert!(!store.advance_days(SHARD, Some(begun), moved).await.unwrap());
    assert!(store.advance_days(SHARD, None, begun).await.unwrap());
    assert!(!store.advance_days(SHARD, None, begun).await.unwrap());
    assert!(!store.advance_days(SHARD, Some(moved), pass(Stage::COUNT)).await.unwrap());
    assert!(store.advance_days(SHARD, Some(begun), moved).await.unwrap());
    assert_eq!(tidied(subject, vec![]).await.pass, Some(moved));
}

pub(crate) async fn a_sketch_is_counted_once_and_goes(subject: &impl Subject) {
    visit(subject, SHARD, 1, &["home"], &[1, 2, 3]).await;
    let (home, site) = (of_page("home"), Sketch { day: day(), page: None });
    let sketches = [home.clone(), site.clone(), of_page("unknown")];
    for counted in [2, 0] {
        let answer = subject.store().count(SHARD, &sketches).await.unwrap();
        assert_eq!((answer.counted, answer.rejected), (counted, vec![]));
    }
    assert_eq!((read(subject, SHARD, &home).await, read(subject, SHARD, &site).await), (None, None));
    assert_eq!(subject.store().total(SHARD, &page("home")).await.unwrap(), 3);
}

pub(crate) async fn merging_a_sketch_again_changes_nothing(subject: &impl Subject) {
    visit(subject, SHARD, 1, &["home"], &[1, 2, 3]).await;
    visit(subject, OTHER, 1, &["home"], &[3, 4]).await;
    let home = of_page("home");
    let copy = read(subject, SHARD, &home).await.unwrap();
    let mut merged = BTreeSet::new();
    for _ in 0..2 {
        let (done, run) = subject.store().merge(OTHER, &[(&home, &copy)]).await.unwrap();
        assert_eq!((done, run.0 != 0), (vec![true], true));
        merged.insert(read(subject, OTHER, &home).await.unwrap().digest);
    }
    assert_eq!(merged.len(), 1);
    // The same visitors make the same sketch, whatever way they came.
    visit(subject, SHARD, 2, &["all"], &[1, 2, 3, 4]).await;
    let all = read(subject, SHARD, &of_page("all")).await.unwrap();
    let (done, _) = subject.store().merge(OTHER, &[(&home, &all)]).await.unwrap();
    assert_eq!(done, [true]);
    assert!(merged.contains(&read(subject, OTHER, &home).await.unwrap().digest));
}

pub(crate) async fn a_copied_sketch_bears_its_mark_until_it_changes(subject: &impl Subject) {
    visit(subject, SHARD, 1, &["home"], &[1]).await;
    let (home, store) = (of_page("home"), subject.store());
    let copy = read(subject, SHARD, &home).await.unwrap();
    assert_eq!(copy.copied, None);
    let (_, run) = store.merge(OTHER, &[(&home, &copy)]).await.unwrap();
    store.mark_copied(SHARD, &[(&home, &copy)], run).await.unwrap();
    assert_eq!(read(subject, SHARD, &home).await.unwrap().copied.map(|mark| mark.owner), Some(run));
    // A visitor who is known there changes nothing.
    visit(subject, SHARD, 2, &["home"], &[1]).await;
    assert!(read(subject, SHARD, &home).await.unwrap().copied.is_some());
    visit(subject, SHARD, 3, &["home"], &[2]).await;
    assert_eq!(read(subject, SHARD, &home).await.unwrap().copied, None);
}

pub(crate) async fn a_sketch_that_has_changed_is_not_removed(subject: &impl Subject) {
    visit(subject, SHARD, 1, &["home"], &[1]).await;
    let home = of_page("home");
    let old = read(subject, SHARD, &home).await.unwrap();
    visit(subject, SHARD, 2, &["home"], &[2]).await;
    assert_eq!(subject.store().remove_copied(SHARD, &[(&home, &old)]).await.unwrap(), 0);
    let new = read(subject, SHARD, &home).await.unwrap();
    for removed in [1, 0] {
        assert_eq!(subject.store().remove_copied(SHARD, &[(&home, &new)]).await.unwrap(), removed);
    }
    assert_eq!(read(subject, SHARD, &home).await, None);
}

pub(crate) async fn what_cannot_be_found_is_no_sketch(subject: &impl Subject) {
    visit(subject, SHARD, 1, &["b"], &[1]).await;
    let sketches = ["a", "b", "c"].map(of_page);
    let found = subject.store().sketches(SHARD, &sketches).await.unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
}

pub(crate) async fn a_scan_finds_every_sketch_of_its_shard(subject: &impl Subject) {
    let pages: Vec<String> = (0..20).map(|number| format!("page:{number}")).collect();
    let ids: Vec<&str> = pages.iter().map(String::as_str).collect();
    visit(subject, SHARD, 1, &ids, &[1]).await;
    visit(subject, OTHER, 1, &["elsewhere"], &[1]).await;
    let (mut found, mut cursor) = (BTreeSet::new(), 0);
    loop {
        let slice = subject.store().scan_days(SHARD, Scan::Sketches, cursor).await.unwrap();
        found.extend(slice.keys);
        cursor = slice.next;
        if cursor == 0 {
            break;
        }
    }
    let mut expected: BTreeSet<DatedKey> = ids.iter().map(|id| DatedKey::Visitors(of_page(id))).collect();
    expected.insert(DatedKey::Visitors(Sketch { day: day(), page: None }));
    assert_eq!(found, expected);
}

pub(crate) async fn a_destroyed_secret_is_gone(subject: &impl Subject) {
    let (old, new) = (Secret::random().unwrap(), Secret::random().unwrap());
    assert_eq!(subject.store().secret(SHARD, day(), old).await.unwrap(), old);
    assert_eq!(tidied(subject, vec![day().minus(1)]).await.destroyed, 0);
    assert_eq!(tidied(subject, vec![day()]).await.destroyed, 1);
    assert_eq!(subject.store().secret(SHARD, day(), new).await.unwrap(), new);
}
