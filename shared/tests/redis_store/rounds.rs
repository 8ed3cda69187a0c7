//! One step at a time of a ring change: rounds and their stages, records that are taken, land and leave notes.

use redis::Commands;
use std::collections::{BTreeMap, BTreeSet};
use visits_core::batch::{BatchId, Sequence, WriterId};
use visits_core::handoff::{MAILBOX_BYTES, Mailbox, Payload, Records};
use visits_core::record::{Counter, PageRecord};
use visits_core::ring::Fingerprint;
use visits_core::shard::ShardName;
use visits_core::store::redis::keys::Key;
use visits_core::store::redis::pages::Scan;
use visits_core::store::redis::rehoming::{RingState, Stage, Taken};
use visits_core::store::{Apply, Ledger};
use visits_core::tests::{Shards, WRITER, batch, call, page};

fn ring() -> Fingerprint {
    "00000000000000aa".parse().unwrap()
}

fn other_ring() -> Fingerprint {
    "00000000000000bb".parse().unwrap()
}

/// Shard `a`, on which all of it is done but the landing.
fn source() -> ShardName {
    "a".parse().unwrap()
}

fn owner() -> ShardName {
    "b".parse().unwrap()
}

const ID: BatchId = BatchId { writer: WRITER, sequence: Sequence::FIRST };

fn names(records: &[&str]) -> Vec<Key> {
    records.iter().map(|record| record.parse().unwrap()).collect()
}

async fn state(shards: &Shards) -> RingState {
    shards.store().ring_state(0).await.unwrap()
}

async fn begin(shards: &Shards, ring: Fingerprint, round: u64) -> bool {
    let new = RingState { ring: Some(ring), round, ..RingState::default() };
    shards.store().advance(0, &new, Stage::Take, &[source(), owner()]).await.unwrap()
}

async fn advance_from(shards: &Shards, known: &RingState) -> bool {
    let next = if known.stage == Stage::Out { Stage::Cleaned } else { Stage::Out };
    shards.store().advance(0, known, next, &[]).await.unwrap()
}

/// Moves the shard on from where it is.
async fn advance(shards: &Shards) -> bool {
    advance_from(shards, &state(shards).await).await
}

async fn take(shards: &Shards, known: &RingState, records: &[&str]) -> Option<Taken> {
    shards.store().take(0, known, &owner(), &names(records), ID).await.unwrap()
}

/// The records that wait on the shard.
async fn waiting(shards: &Shards) -> Option<Records> {
    let mut page = shards.store().envelopes(0, &Mailbox::records(&owner()), 0).await.unwrap();
    let envelope = page.envelopes.pop()?;
    assert!(envelope.note.is_some_and(|note| !note.there && note.run == page.run), "{envelope:?}");
    let Payload::Records(records) = envelope.content else { panic!("a batch") };
    Some(records)
}

/// Page `a` has 3 visits, and round 5 begins.
async fn moving(shards: &Shards) -> RingState {
    shards.store().apply(0, &call(&[batch(1, &[("a", 3)])])).await.unwrap();
    assert!(begin(shards, ring(), 5).await);
    state(shards).await
}

/// States that are not the shard's.
fn others(known: &RingState) -> [RingState; 2] {
    [RingState { round: 4, ..known.clone() }, RingState { ring: Some(other_ring()), ..known.clone() }]
}

pub(crate) async fn a_round_begins_once_and_none_begins_after_a_later_one(shards: &Shards) {
    let is = async |ring, round, stage, members: &[ShardName]| {
        let known = state(shards).await;
        assert_eq!((known.ring, known.round, known.stage, &known.members[..]), (ring, round, stage, members));
    };
    let both = [source(), owner()];
    is(None, 0, Stage::Settled, &[]).await;
    assert!(begin(shards, ring(), 5).await && advance(shards).await);
    assert!(begin(shards, ring(), 5).await, "it is in this round");
    is(Some(ring()), 5, Stage::Out, &both).await;
    assert!(!begin(shards, other_ring(), 5).await && !begin(shards, ring(), 4).await);
    assert!(begin(shards, other_ring(), 6).await);
    is(Some(other_ring()), 6, Stage::Take, &both).await;
}

pub(crate) async fn a_shard_moves_on_only_from_where_it_is_known_to_be(shards: &Shards) {
    let (store, begun) = (shards.store(), moving(shards).await);
    assert!(advance(shards).await && !advance_from(shards, &begun).await);
    let out = state(shards).await;
    for known in others(&out) {
        assert!(!advance_from(shards, &known).await);
    }
    assert!(advance(shards).await);
    let cleaned = state(shards).await;
    assert_eq!((cleaned.stage, cleaned.cleaned.1), (Stage::Cleaned, cleaned.server_run));
    for (known, settles) in [(out, false), (cleaned, true)] {
        assert_eq!(store.advance(0, &known, Stage::Settled, &[owner()]).await, Ok(settles));
        assert_eq!(store.read(0, &page("a")).await.unwrap().settled, settles.then(ring));
    }
    assert_eq!(state(shards).await.members, [owner()]);
}

pub(crate) async fn a_visit_by_another_ring_keeps_a_shard_from_moving_on(shards: &Shards) {
    let begun = moving(shards).await;
    let visit = async |number, ring| {
        shards.store().apply(0, &Apply { ring, ..call(&[batch(number, &[("b", 1)])]) }).await.unwrap();
        state(shards).await.late
    };
    assert_eq!((visit(2, Some(ring())).await, visit(3, None).await), (0, 1));
    assert!(!advance_from(shards, &begun).await);
    assert!(advance(shards).await, "a scan that began after it sees it");
    assert_eq!(visit(4, Some(other_ring())).await, 1);
    assert!(!advance_from(shards, &RingState { late: 0, ..state(shards).await }).await);
}

pub(crate) async fn records_that_are_taken_wait_with_all_their_fields_and_a_page_keeps_a_note(shards: &Shards) {
    let known = moving(shards).await;
    shards.set_fields(0, "page:a", &[("bots", 1), ("out:2", 7)]);
    shards.set_fields(0, "days:2026-11:a", &[("24", 2), ("24b", 1), ("24u", 2), ("25", 0)]);
    shards.set_fields(0, "site:2026-11", &[("24", 2), ("24o", 9)]);
    assert!(shards.store().outgoing(0).await.unwrap().is_empty());
    let taken = take(shards, &known, &["page:a", "page:none", "days:2026-11:a", "site:2026-11"]).await;
    assert_eq!(taken, Some(Taken { looked_at: 4, pages: 1, visits: 3, rejected: Vec::new() }));
    let outgoing = shards.store().outgoing(0).await.unwrap();
    assert_eq!(
        outgoing.iter().map(|(name, _)| Mailbox::named(name)).collect::<Vec<_>>(),
        [Some(Mailbox::records(&owner()))]
    );
    let Records { round, records } = waiting(shards).await.unwrap();
    let records: BTreeMap<String, BTreeMap<String, u64>> =
        records.into_iter().map(|(name, fields)| (name.to_string(), fields.into_iter().collect())).collect();
    let expected = [
        ("days:2026-11:a", vec![("24", 2), ("24b", 1), ("24u", 2)]),
        ("page:a", vec![("bots", 1), ("total", 3)]),
        ("site:2026-11", vec![("24", 2), ("24o", 9)]),
    ];
    let owned = |fields: Vec<(&str, u64)>| fields.into_iter().map(|(field, n)| (field.to_owned(), n)).collect();
    assert_eq!((round, records), (5, expected.map(|(name, fields)| (name.to_owned(), owned(fields))).into()));
    let left = |moved_out| Counter { moved_out, ..Counter::default() };
    let left = PageRecord { visits: left([(2, 7), (5, 3)].into()), bots: left([(5, 1)].into()) };
    assert_eq!(shards.record(0, &page("a")), left);
    assert!(state(shards).await.taken);
    assert!(!advance(shards).await, "something waits");
}

pub(crate) async fn only_the_ring_in_force_takes_only_in_the_first_stage_and_only_what_a_mailbox_has_room_for(
    shards: &Shards,
) {
    let known = moving(shards).await;
    for known in others(&known) {
        assert_eq!(take(shards, &known, &["page:a"]).await, None);
    }
    shards.set_fields(0, "outgoing", &[("records:b", MAILBOX_BYTES)]);
    assert_eq!(take(shards, &known, &["page:a"]).await, None, "as much waits for this owner as a shard takes");
    shards.set_fields(0, "outgoing", &[("records:b", 0)]);
    assert!(!advance(shards).await, "something is listed");
    let _: i64 = shards.connect_to(0).hdel(shards.key(0, "outgoing"), "records:b").unwrap();
    assert!(advance(shards).await);
    assert_eq!(take(shards, &known, &["page:a"]).await, None);
    assert_eq!((waiting(shards).await, shards.record(0, &page("a")).visits.total), (None, 3));
}

pub(crate) async fn records_land_once_however_often_they_are_delivered(shards: &Shards) {
    let (store, source) = (shards.store(), source());
    let fields = [("bots", 1), ("total", 3)].map(|(field, number)| (field.to_owned(), number)).to_vec();
    let content = Records { round: 5, records: vec![("page:a".parse().unwrap(), fields)] };
    let new = RingState { ring: Some(ring()), round: 5, ..RingState::default() };
    assert!(store.advance(1, &new, Stage::Take, &[]).await.unwrap());
    for fresh in [true, false] {
        assert_eq!(store.land(1, &source, ID, &content, Some(ring())).await.unwrap().fresh, fresh);
    }
    let came = |total| Counter { total, moved_in: [(("a".to_owned(), 5), total)].into(), ..Counter::default() };
    assert_eq!(shards.record(1, &page("a")), PageRecord { visits: came(3), bots: came(1) });
    assert_eq!(store.ring_state(1).await.unwrap().late, 0);
    let id = BatchId { writer: WriterId::from_u128(9), ..ID };
    assert!(store.land(1, &source, id, &content, None).await.unwrap().fresh);
    assert_eq!(store.ring_state(1).await.unwrap().late, 1, "the ring places it elsewhere");
}

pub(crate) async fn notes_are_cleaned_up_to_the_round_and_in_their_stage(shards: &Shards) {
    let (store, begun) = (shards.store(), moving(shards).await);
    let notes = [("out:5", 1), ("out:5:bots", 1), ("out:6", 1), ("in:b:5", 1), ("in:b:5:bots", 1), ("in:b:6", 1)];
    shards.set_fields(0, "page:a", &notes);
    let records = names(&["page:a", "page:none", "site"]);
    let left = || shards.fields::<BTreeMap<String, u64>>(0, "page:a").into_keys().collect::<Vec<_>>();
    assert!(advance(shards).await);
    let out = state(shards).await;
    for known in [RingState { round: 4, ..out.clone() }, RingState { stage: Stage::Settled, ..out.clone() }] {
        assert_eq!(store.clean(0, &known, &records).await, Ok(None));
    }
    assert_eq!(store.clean(0, &out, &records).await, Ok(Some(2)));
    assert_eq!(left(), ["in:b:5", "in:b:5:bots", "in:b:6", "out:6", "total"]);
    assert!(advance(shards).await);
    let cleaned = state(shards).await;
    assert_eq!(store.clean(0, &out, &records).await, Ok(None));
    assert_eq!(store.clean(0, &cleaned, &records).await, Ok(Some(2)));
    assert_eq!(left(), ["in:b:6", "out:6", "total"]);
    assert!(!advance_from(shards, &begun).await);
}

pub(crate) async fn a_scan_finds_every_page_of_its_shard(shards: &Shards) {
    let names: Vec<String> = (0..500).map(|number| format!("page {number}")).collect();
    let pages: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    shards.store().apply(0, &call(&[batch(1, &pages)])).await.unwrap();
    let (mut found, mut cursor) = (BTreeSet::new(), 0);
    loop {
        let slice = shards.store().scan(0, Scan::Pages, cursor).await.unwrap();
        assert!(slice.unreadable.is_empty());
        found.extend(slice.keys.into_iter().filter_map(Key::into_page));
        cursor = slice.next;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(found, names.iter().map(|name| page(name)).collect());
    let records = shards.store().records(0, &[page("page 7"), page("none")]).await.unwrap();
    let totals: Vec<u64> = records.into_iter().map(|record| record.unwrap().visits.total).collect();
    assert_eq!(totals, [1, 0]);
}
