//! Records that move from shard to shard while the ring changes.

use crate::subject::{SHARD, Subject, WRITER, batch, call, owner, page, sequence};
use redis::Commands;
use std::collections::BTreeMap;
use std::time::Duration;
use visits_core::batch::BatchId;
use visits_core::handoff::{Kind, Landing, Mailbox, Payload, Records};
use visits_core::record::PageRecord;
use visits_core::ring::Fingerprint;
use visits_core::shard::ShardName;
use visits_core::store::redis::keys::Key;
use visits_core::store::redis::pages::Scan;
use visits_core::store::redis::rehoming::{RingState, Stage, Taken};
use visits_core::store::{Apply, Ledger};

const OTHER: usize = 1;

fn ring() -> Fingerprint {
    "00000000000000aa".parse().unwrap()
}

fn other_ring() -> Fingerprint {
    "00000000000000bb".parse().unwrap()
}

fn source() -> ShardName {
    "one".parse().unwrap()
}

fn id() -> BatchId {
    BatchId { writer: WRITER, sequence: sequence(1) }
}

fn name(text: &str) -> Key {
    text.parse().unwrap()
}

async fn state(subject: &Subject) -> RingState {
    subject.store().ring_state(SHARD).await.unwrap()
}

async fn begin(subject: &Subject, ring: Fingerprint, round: u64) -> bool {
    subject.store().begin_round(SHARD, ring, round, &[source(), owner()]).await.unwrap()
}

/// Moves the shard on from where it is.
async fn advance(subject: &Subject) -> bool {
    subject.store().advance(SHARD, &state(subject).await).await.unwrap()
}

async fn take(subject: &Subject, known: &RingState, records: &[&str]) -> Taken {
    let records: Vec<Key> = records.iter().map(|record| name(record)).collect();
    subject.store().take(SHARD, known, &owner(), &records, id()).await.unwrap()
}

/// The records that wait on the shard.
async fn waiting(subject: &Subject) -> Option<Records> {
    let mut page = subject.store().envelopes(SHARD, &Mailbox::records(&owner()), 0).await.unwrap();
    let envelope = page.envelopes.pop()?;
    assert!(envelope.note.is_some_and(|note| !note.there && note.run == page.run), "{envelope:?}");
    let Payload::Records(records) = envelope.content else { panic!("a batch") };
    Some(records)
}

async fn record(subject: &Subject, shard: usize, id: &str) -> PageRecord {
    subject.store().traces(shard, &page(id)).await.unwrap().record
}

/// Page `a` has 3 visits, and round 5 begins.
async fn moving(subject: &Subject) -> RingState {
    subject.store().apply(SHARD, &call(&[batch(1, &[("a", 3)])])).await.unwrap();
    assert!(begin(subject, ring(), 5).await);
    state(subject).await
}

pub(crate) async fn a_round_begins_once_and_none_begins_after_a_later_one(subject: &Subject) {
    let first = state(subject).await;
    assert_eq!((first.ring, first.round, first.stage, first.members.len()), (None, 0, Stage::Settled, 0));
    assert!(begin(subject, ring(), 5).await);
    assert!(advance(subject).await);
    assert!(begin(subject, ring(), 5).await, "it is in this round");
    let known = state(subject).await;
    assert_eq!(
        (known.ring, known.round, known.stage, known.members),
        (Some(ring()), 5, Stage::Out, vec![source(), owner()])
    );
    assert!(!begin(subject, other_ring(), 5).await && !begin(subject, ring(), 4).await);
    assert!(begin(subject, other_ring(), 6).await);
    let known = state(subject).await;
    assert_eq!((known.ring, known.round, known.stage), (Some(other_ring()), 6, Stage::Take));
}

pub(crate) async fn a_shard_moves_on_only_from_where_it_is_known_to_be(subject: &Subject) {
    let store = subject.store();
    let begun = moving(subject).await;
    assert!(advance(subject).await);
    assert_eq!(store.advance(SHARD, &begun).await, Ok(false));
    let out = state(subject).await;
    for known in [RingState { round: 4, ..out.clone() }, RingState { ring: Some(other_ring()), ..out.clone() }] {
        assert_eq!(store.advance(SHARD, &known).await, Ok(false));
    }
    assert!(advance(subject).await);
    let cleaned = state(subject).await;
    assert!(matches!(cleaned.stage, Stage::Cleaned { run, .. } if run == cleaned.incarnation), "{cleaned:?}");
    assert_eq!(store.settle(SHARD, &out, &[owner()]).await, Ok(false));
    assert_eq!(store.read(SHARD, &page("a")).await.unwrap().settled, None);
    assert_eq!(store.settle(SHARD, &cleaned, &[owner()]).await, Ok(true));
    assert_eq!(store.read(SHARD, &page("a")).await.unwrap().settled, Some(ring()));
    assert_eq!(state(subject).await.members, [owner()]);
}

pub(crate) async fn a_visit_by_another_ring_keeps_a_shard_from_moving_on(subject: &Subject) {
    let begun = moving(subject).await;
    let late = |number, ring| Apply { ring, ..call(&[batch(number, &[("b", 1)])]) };
    subject.store().apply(SHARD, &late(2, Some(ring()))).await.unwrap();
    assert_eq!(state(subject).await.late, 0);
    subject.store().apply(SHARD, &late(3, None)).await.unwrap();
    assert_eq!(subject.store().advance(SHARD, &begun).await, Ok(false));
    assert!(advance(subject).await, "a scan that began after it sees it");
    subject.store().apply(SHARD, &late(4, Some(other_ring()))).await.unwrap();
    let known = RingState { late: 0, ..state(subject).await };
    assert_eq!(subject.store().advance(SHARD, &known).await, Ok(false));
    assert_eq!(state(subject).await.late, 1);
}

pub(crate) async fn records_that_are_taken_wait_with_all_their_fields_and_a_page_keeps_a_note(subject: &Subject) {
    let known = moving(subject).await;
    for (key, fields) in [
        ("page:a", vec![("bots", 1), ("out:2", 7)]),
        ("days:2026-11:a", vec![("24", 2), ("24b", 1), ("24u", 2), ("25", 0)]),
        ("site:2026-11", vec![("24", 2), ("24o", 9)]),
    ] {
        let (key, mut redis) = subject.key("one", key);
        let _: () = redis.hset_multiple(key, &fields).unwrap();
    }
    let records = ["page:a", "page:none", "days:2026-11:a", "site:2026-11"];
    let taken = take(subject, &known, &records).await;
    assert_eq!(taken, Taken::Moved { looked_at: 4, pages: 1, visits: 3, rejected: Vec::new() });
    let Records { round, records } = waiting(subject).await.unwrap();
    let records: BTreeMap<String, BTreeMap<String, u64>> =
        records.into_iter().map(|(name, fields)| (name.to_string(), fields.into_iter().collect())).collect();
    let expected = [
        ("days:2026-11:a", vec![("24", 2), ("24b", 1), ("24u", 2)]),
        ("page:a", vec![("bots", 1), ("total", 3)]),
        ("site:2026-11", vec![("24", 2), ("24o", 9)]),
    ];
    let owned = |fields: Vec<(&str, u64)>| fields.into_iter().map(|(field, n)| (field.to_owned(), n)).collect();
    let expected = expected.map(|(name, fields)| (name.to_owned(), owned(fields))).into();
    assert_eq!((round, records), (5, expected));
    let left = PageRecord { moved_out: [(2, 7), (5, 3)].into(), bots_out: [(5, 1)].into(), ..PageRecord::default() };
    assert_eq!(record(subject, SHARD, "a").await, left);
    assert!(state(subject).await.taken);
    assert!(!advance(subject).await, "something waits");
}

pub(crate) async fn only_the_ring_in_force_takes_and_only_in_the_first_stage(subject: &Subject) {
    let known = moving(subject).await;
    for known in [RingState { round: 4, ..known.clone() }, RingState { ring: Some(other_ring()), ..known.clone() }] {
        assert_eq!(take(subject, &known, &["page:a"]).await, Taken::Superseded);
    }
    assert!(advance(subject).await);
    assert_eq!(take(subject, &known, &["page:a"]).await, Taken::Superseded);
    assert_eq!((waiting(subject).await, record(subject, SHARD, "a").await.total), (None, 3));
}

pub(crate) async fn records_land_once_however_often_they_are_delivered(subject: &Subject) {
    let store = subject.store();
    let fields = [("bots", 1), ("total", 3)].map(|(field, number)| (field.to_owned(), number)).to_vec();
    let content = Records { round: 5, records: vec![(name("page:a"), fields)] };
    let source = source();
    let landing = Landing { id: id(), source: &source, content: &content, ring: Some(ring()) };
    assert!(store.begin_round(OTHER, ring(), 5, &[]).await.unwrap());
    assert!(store.land(OTHER, &landing).await.unwrap().fresh);
    assert!(!store.land(OTHER, &landing).await.unwrap().fresh);
    let came = PageRecord {
        total: 3,
        bots: 1,
        moved_in: [(("one".to_owned(), 5), 3)].into(),
        bots_in: [(("one".to_owned(), 5), 1)].into(),
        ..PageRecord::default()
    };
    assert_eq!(record(subject, OTHER, "a").await, came);
    assert_eq!(store.ring_state(OTHER).await.unwrap().late, 0);
    let id = BatchId { sequence: sequence(1), writer: visits_core::batch::WriterId::from_u128(9) };
    assert!(store.land(OTHER, &Landing { id, ring: None, ..landing }).await.unwrap().fresh);
    assert_eq!(store.ring_state(OTHER).await.unwrap().late, 1, "the ring places it elsewhere");
}

pub(crate) async fn notes_are_cleaned_up_to_the_round_and_in_their_stage(subject: &Subject) {
    let store = subject.store();
    let begun = moving(subject).await;
    let (key, mut redis) = subject.key("one", "page:a");
    let notes = [("out:5", 1), ("out:5:bots", 1), ("out:6", 1), ("in:two:5", 1), ("in:two:5:bots", 1), ("in:two:6", 1)];
    let _: () = redis.hset_multiple(&key, &notes).unwrap();
    let records = [name("page:a"), name("page:none"), name("site")];
    let mut fields = || {
        let mut fields: Vec<String> = redis.hkeys(&key).unwrap();
        fields.sort();
        fields
    };
    assert!(advance(subject).await);
    let out = state(subject).await;
    assert_eq!(store.clean(SHARD, &RingState { round: 4, ..out.clone() }, &records).await, Ok(None));
    assert_eq!(store.clean(SHARD, &RingState { stage: Stage::Settled, ..out.clone() }, &records).await, Ok(None));
    assert_eq!(store.clean(SHARD, &out, &records).await, Ok(Some(2)));
    assert_eq!(fields(), ["in:two:5", "in:two:5:bots", "in:two:6", "out:6", "total"]);
    assert!(advance(subject).await);
    let cleaned = state(subject).await;
    assert_eq!(store.clean(SHARD, &out, &records).await, Ok(None));
    assert_eq!(store.clean(SHARD, &cleaned, &records).await, Ok(Some(2)));
    assert_eq!(fields(), ["in:two:6", "out:6", "total"]);
    assert_eq!(store.advance(SHARD, &begun).await, Ok(false));
}

pub(crate) async fn a_mailbox_is_listed_while_something_waits_in_it(subject: &Subject) {
    let known = moving(subject).await;
    assert!(subject.store().outgoing(SHARD).await.unwrap().is_empty());
    take(subject, &known, &["page:a"]).await;
    let listed = subject.store().outgoing(SHARD).await.unwrap();
    assert_eq!(listed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["records:two"]);
    assert_eq!("records:two".parse(), Ok(Mailbox { kind: Kind::Records, owner: owner() }));
    subject.pass(Duration::ZERO);
}

pub(crate) async fn a_scan_finds_every_page_of_its_shard(subject: &Subject) {
    let names: Vec<String> = (0..500).map(|number| format!("page {number}")).collect();
    let pages: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    subject.store().apply(SHARD, &call(&[batch(1, &pages)])).await.unwrap();
    let (mut found, mut cursor) = (std::collections::BTreeSet::new(), 0);
    loop {
        let slice = subject.store().scan(SHARD, Scan::Pages, cursor).await.unwrap();
        assert!(slice.unreadable.is_empty());
        found.extend(slice.keys.into_iter().filter_map(Key::into_page));
        cursor = slice.next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found, names.iter().map(|name| page(name)).collect());
    let records = subject.store().records(SHARD, &[page("page 7"), page("none")]).await.unwrap();
    let totals: Vec<u64> = records.into_iter().map(|record| record.unwrap().total).collect();
    assert_eq!(totals, [1, 0]);
}
