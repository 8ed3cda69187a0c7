//! Copies that wait on a shard for another.

use crate::subject::{SHARD, Subject, WRITER, batch, call, owner, sequence, total};
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, BatchId, WriterId};
use visits_core::handoff::{Envelope, MAILBOX_BYTES, Mailbox, Note, Park, Parked, Payload, Removal, Unreadable};
use visits_core::store::{Apply, Incarnation, Ledger, Standing};
use visits_core::timing::{SET_KEPT, SETTLED_SET_KEPT};

/// By how much a real clock may run on during a test.
const TOLERANCE: Duration = Duration::from_secs(50);

fn mailbox() -> Mailbox {
    Mailbox::batches(&owner())
}

fn content(copy: &Envelope) -> Arc<Batch> {
    let Payload::Batch(batch) = &copy.content else { panic!("no batch: {copy:?}") };
    Arc::clone(batch)
}

fn id(number: u64) -> BatchId {
    BatchId { writer: WRITER, sequence: sequence(number) }
}

/// A call that parks batches with these numbers, each of one page.
fn park(numbers: impl IntoIterator<Item = u64>) -> Park {
    // Long enough that Redis keeps many of them as a table, which it hands out in pages.
    let name = |number| format!("page {number} of a site with rather long names for everything that it has");
    let batches = numbers.into_iter().map(|number| batch(number, &[(&name(number), number)])).collect();
    Park { owner: owner(), writer: WRITER, batches }
}

async fn parked(subject: &Subject, park: &Park) -> Parked {
    subject.store().park(SHARD, park).await.unwrap()
}

async fn is_taken(subject: &Subject, park: &Park) -> bool {
    matches!(parked(subject, park).await, Parked::Taken { .. })
}

/// All copies for the owner, by number.
async fn copies(subject: &Subject) -> Vec<Envelope> {
    let (mut copies, mut cursor) = (Vec::new(), 0);
    loop {
        let page = subject.store().envelopes(SHARD, &mailbox(), cursor).await.unwrap();
        assert!(page.unreadable.is_empty(), "{page:?}");
        copies.extend(page.envelopes);
        cursor = page.next;
        if cursor == 0 {
            copies.sort_by_key(|copy| copy.id);
            copies.dedup_by_key(|copy| copy.id);
            return copies;
        }
    }
}

async fn numbers(subject: &Subject) -> Vec<u64> {
    copies(subject).await.iter().map(|copy| copy.id.sequence.get()).collect()
}

async fn mark(subject: &Subject, number: u64) -> Note {
    subject.store().mark(SHARD, &mailbox(), true, &[(id(number), Incarnation(7))]).await.unwrap();
    let copies = copies(subject).await;
    let mark = copies.iter().find(|copy| copy.id == id(number)).unwrap().note.unwrap();
    assert_eq!((mark.run, mark.there), (Incarnation(7), true));
    mark
}

async fn remove(subject: &Subject, number: u64, mark: Note) -> usize {
    subject.store().remove(SHARD, &mailbox(), &[Removal::Delivered(id(number), mark)]).await.unwrap()
}

pub(crate) async fn a_parked_copy_reads_back(subject: &Subject) {
    let batches = [batch(3, &[("café \"a\"", 2), ("b", 1)]), batch(7, &[("{two}", 999_999_999)])];
    let park = Park { batches: batches.to_vec(), ..park([]) };
    assert!(is_taken(subject, &park).await);
    let copies = copies(subject).await;
    assert_eq!(copies.iter().map(|copy| copy.id).collect::<Vec<_>>(), [id(3), id(7)]);
    for (copy, (batch, _)) in copies.iter().zip(&batches) {
        let sorted = |increments: &[_]| {
            let mut increments = increments.to_vec();
            increments.sort();
            increments
        };
        assert_eq!(sorted(content(copy).increments()), sorted(batch.increments()));
        assert_eq!(copy.note, None);
    }
}

pub(crate) async fn parking_again_changes_nothing(subject: &Subject) {
    parked(subject, &park([1, 2])).await;
    mark(subject, 1).await;
    subject.pass(Duration::from_mins(5));
    assert!(is_taken(subject, &park([1, 2, 3])).await);
    let copies = copies(subject).await;
    assert_eq!(copies.len(), 3);
    assert!(copies[0].age >= Duration::from_mins(5) && copies[0].note.is_some());
    assert!(copies[2].age < TOLERANCE);
}

pub(crate) async fn a_copy_ages_from_its_sealing_by_the_shards_clock(subject: &Subject) {
    let (sealed, _) = batch(1, &[("a", 1)]);
    parked(subject, &Park { batches: vec![(sealed, Duration::from_hours(2))], ..park([]) }).await;
    subject.pass(Duration::from_hours(1));
    let age = copies(subject).await[0].age;
    assert!((Duration::from_hours(3)..Duration::from_hours(3) + TOLERANCE).contains(&age), "{age:?}");
}

pub(crate) async fn a_shard_takes_all_copies_of_a_call_or_none(subject: &Subject) {
    parked(subject, &park([1])).await;
    subject.take_parking_room(MAILBOX_BYTES - 200);
    assert_eq!(parked(subject, &park([2, 3])).await, Parked::Full);
    assert_eq!(numbers(subject).await, [1]);
    assert!(is_taken(subject, &park([1])).await, "what is there needs no room");
}

pub(crate) async fn owners_and_writers_are_kept_apart(subject: &Subject) {
    parked(subject, &park([1])).await;
    let other = Park { owner: "third".parse().unwrap(), ..park([1, 2]) };
    subject.store().park(SHARD, &other).await.unwrap();
    parked(subject, &Park { writer: WriterId::from_u128(9), ..park([1]) }).await;
    assert_eq!(copies(subject).await.len(), 2);
    let mut owners: Vec<String> =
        subject.store().outgoing(SHARD).await.unwrap().into_iter().map(|(name, _)| name).collect();
    owners.sort();
    assert_eq!(owners, ["batches:third", "batches:two"]);
    assert!(subject.store().outgoing(1).await.unwrap().is_empty(), "the other shard holds none");
}

pub(crate) async fn an_owner_is_listed_while_it_has_copies(subject: &Subject) {
    assert!(subject.store().outgoing(SHARD).await.unwrap().is_empty());
    parked(subject, &park([1])).await;
    assert_eq!(subject.store().outgoing(SHARD).await.unwrap().len(), 1);
    let mark = mark(subject, 1).await;
    assert_eq!(remove(subject, 1, mark).await, 1);
    assert!(subject.store().outgoing(SHARD).await.unwrap().is_empty());
}

pub(crate) async fn many_copies_come_in_pages(subject: &Subject) {
    for first in [1, 101, 201] {
        parked(subject, &park(first..first + 100)).await;
    }
    assert_eq!(numbers(subject).await, (1..=300).collect::<Vec<u64>>());
    let first = subject.store().envelopes(SHARD, &mailbox(), 0).await.unwrap();
    assert!(first.envelopes.len() < 300 && first.next != 0);
}

pub(crate) async fn a_copy_is_removed_only_with_the_mark_that_it_bears(subject: &Subject) {
    parked(subject, &park([1, 2])).await;
    let old = mark(subject, 1).await;
    subject.pass(Duration::from_mins(2));
    let copy = copies(subject).await[0].clone();
    let seen = copy.note.unwrap();
    assert!(seen.age >= Duration::from_mins(2), "{seen:?}");
    let new = mark(subject, 1).await;
    assert!(new.age < TOLERANCE && new.at != seen.at, "{old:?} {new:?}");
    assert_eq!(remove(subject, 1, seen).await, 0, "somebody has found it lost and delivered it once more");
    assert_eq!(remove(subject, 2, new).await, 0, "this one bears none");
    assert_eq!(remove(subject, 1, new).await, 1);
    assert_eq!(remove(subject, 1, new).await, 0);
    assert_eq!(numbers(subject).await, [2]);
}

pub(crate) async fn a_mark_for_a_copy_that_is_gone_leaves_nothing(subject: &Subject) {
    subject.store().mark(SHARD, &mailbox(), true, &[(id(1), Incarnation(7))]).await.unwrap();
    parked(subject, &park([1])).await;
    assert_eq!(copies(subject).await[0].note, None);
}

pub(crate) async fn what_is_set_aside_is_read_no_more(subject: &Subject) {
    parked(subject, &park([1, 2])).await;
    let aside = Unreadable { field: id(1).to_string().into_bytes(), reason: "too old".to_owned() };
    for removed in [1, 0] {
        let done = subject.store().remove(SHARD, &mailbox(), &[Removal::Aside(aside.clone())]).await;
        assert_eq!(done, Ok(removed));
    }
    assert_eq!(numbers(subject).await, [2]);
}

pub(crate) async fn a_delivery_leaves_the_sweeps_list_as_it_is(subject: &Subject) {
    let store = subject.store();
    let visit = |number, standing| Apply { standing, ..call(&[batch(number, &[("a", 1)])]) };
    store.apply(SHARD, &visit(1, Standing::Delivered)).await.unwrap();
    assert!(store.writers(SHARD).await.unwrap().is_empty());
    store.apply(SHARD, &visit(2, Standing::Active)).await.unwrap();
    let answer = store.apply(SHARD, &visit(1, Standing::Delivered)).await.unwrap();
    assert_eq!((answer.fresh.len(), store.writers(SHARD).await.unwrap().len()), (0, 1));
    assert_eq!(total(subject, "a").await, 2);
}

pub(crate) async fn a_delivery_never_shortens_the_time_a_set_is_kept(subject: &Subject) {
    let visit = |standing| Apply { standing, ..call(&[batch(1, &[("a", 1)])]) };
    subject.store().apply(SHARD, &visit(Standing::Settled)).await.unwrap();
    subject.store().apply(SHARD, &visit(Standing::Delivered)).await.unwrap();
    subject.pass(SETTLED_SET_KEPT * 2);
    assert_eq!(subject.store().tidy(SHARD).await, Ok(0), "kept as long as any");
    subject.pass(SET_KEPT);
    assert_eq!(subject.store().tidy(SHARD).await, Ok(1));
}

pub(crate) async fn an_answer_tells_what_this_call_applied(subject: &Subject) {
    let apply = |numbers: &[u64]| {
        let batches: Vec<_> = numbers.iter().map(|&number| batch(number, &[("a", 1)])).collect();
        call(&batches)
    };
    let fresh = |numbers: Vec<u64>| numbers.into_iter().map(sequence).collect::<Vec<_>>();
    let first = subject.store().apply(SHARD, &apply(&[2, 5])).await.unwrap();
    assert_eq!(first.fresh, fresh(vec![2, 5]));
    let second = subject.store().apply(SHARD, &apply(&[2, 3, 5])).await.unwrap();
    assert_eq!(second.fresh, fresh(vec![3]));
}
