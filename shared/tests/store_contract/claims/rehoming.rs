//! Records on their way to another shard, one step at a time.

use crate::subject::{SHARD, Subject, WRITER, apply, batch, call, owner, page, total};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use visits_core::batch::{Batch, BatchId, Increment, Sequence, WriterId};
use visits_core::clock::Clock;
use visits_core::page::PageId;
use visits_core::record::{PageRecord, RecordName};
use visits_core::ring::Fingerprint;
use visits_core::shard::ShardName;
use visits_core::store::moving::{Found, Landing, Move, MoveMarks, Moving as _, Take, Taken};
use visits_core::store::pages::Pages;
use visits_core::store::rehoming::{Cleaned, Cleaning, Pass, Rehoming, RingState, Stage};
use visits_core::store::{Apply, Incarnation, Ledger};
use visits_core::visit::{Refused, Visitor};

const MOVER: WriterId = WriterId::from_u128(0xabc);
const ID: BatchId = BatchId { writer: MOVER, sequence: Sequence::FIRST };
const TAKEN: Pass = Pass { late: 0, stage: Stage::Taken };

fn ring() -> Fingerprint {
    "00000000000000aa".parse().unwrap()
}

fn other_ring() -> Fingerprint {
    "00000000000000bb".parse().unwrap()
}

fn source() -> ShardName {
    "one".parse().unwrap()
}

async fn state(subject: &Subject) -> RingState {
    subject.store().ring_state(SHARD).await.unwrap()
}

async fn announce(subject: &Subject) {
    subject.store().announce(SHARD, ring(), &[source(), owner()]).await.unwrap();
}

async fn advance(subject: &Subject, from: Pass, to: Pass) -> bool {
    subject.store().advance(SHARD, ring(), from, to).await.unwrap()
}

async fn take(subject: &Subject, pages: &[&str]) -> Taken {
    take_records(subject, pages.iter().map(|id| RecordName::Page(page(id))).collect()).await
}

async fn take_records(subject: &Subject, records: Vec<RecordName>) -> Taken {
    let take = Take { ring: ring(), owner: owner(), records, writer: MOVER };
    subject.store().take(SHARD, &take).await.unwrap()
}

fn record_name(text: &str) -> RecordName {
    text.parse().unwrap()
}

fn fields(fields: &[(&str, u64)]) -> Vec<(String, u64)> {
    fields.iter().map(|(field, amount)| ((*field).to_owned(), *amount)).collect()
}

async fn marks(subject: &Subject) -> Vec<MoveMarks> {
    subject.store().move_marks(SHARD, &owner()).await.unwrap().0
}

async fn record(subject: &Subject, id: &str) -> PageRecord {
    subject.store().traces(SHARD, &page(id)).await.unwrap().record
}

/// Two pages with 5 and 7 visits, the ring announced.
async fn begin(subject: &Subject) {
    apply(subject, &call(&[batch(1, &[("café \"a\"", 5), ("b", 7)])])).await;
    announce(subject).await;
}

/// Both taken; the move that they make.
async fn taken(subject: &Subject) -> Move {
    begin(subject).await;
    let taken = take(subject, &["café \"a\"", "b", "unknown"]).await;
    assert_eq!(taken, Taken::Moved { looked_at: 3, pages: 2, visits: 12, rejected: Vec::new() });
    subject.store().moves(SHARD, &owner(), &[ID]).await.unwrap().moves.remove(0)
}

pub(crate) async fn a_shard_knows_of_no_ring_at_first(subject: &Subject) {
    let RingState { ring, moving, members, late, pass, tag, .. } = state(subject).await;
    assert_eq!((ring, moving, members, late, pass, tag), (None, false, vec![], 0, None, None));
    assert_eq!(subject.store().read(SHARD, &page("a")).await.unwrap().settled, None);
}

pub(crate) async fn an_announced_ring_is_in_force_and_its_pass_goes_on_when_it_is_announced_again(subject: &Subject) {
    announce(subject).await;
    let RingState { ring: in_force, moving, members, pass, .. } = state(subject).await;
    assert_eq!((in_force, moving, members), (Some(ring()), true, vec![source(), owner()]));
    assert_eq!(pass, Some(Pass::begin(0)));
    assert!(advance(subject, Pass::begin(0), TAKEN).await);
    announce(subject).await;
    assert_eq!(state(subject).await.pass, Some(TAKEN));
    subject.store().announce(SHARD, other_ring(), &[]).await.unwrap();
    assert_eq!(state(subject).await.pass, Some(Pass::begin(0)));
}

pub(crate) async fn a_pass_moves_on_only_from_where_it_is(subject: &Subject) {
    announce(subject).await;
    let further = Pass::begin(0).at(Stage::Take { cursor: 7, run: Incarnation(3) });
    assert!(advance(subject, Pass::begin(0), further).await);
    assert!(!advance(subject, Pass::begin(0), TAKEN).await, "another run has moved it on");
    assert!(!subject.store().advance(SHARD, other_ring(), further, TAKEN).await.unwrap(), "another ring is in force");
    assert_eq!(state(subject).await.pass, Some(further));
}

pub(crate) async fn what_comes_by_another_ring_keeps_a_pass_from_ending(subject: &Subject) {
    announce(subject).await;
    let by = |number, ring| Apply { ring, ..call(&[batch(number, &[("a", 1)])]) };
    subject.store().apply(SHARD, &by(1, Some(ring()))).await.unwrap();
    assert_eq!(state(subject).await.late, 0);
    subject.store().apply(SHARD, &by(2, Some(other_ring()))).await.unwrap();
    subject.store().apply(SHARD, &by(2, Some(other_ring()))).await.unwrap();
    assert_eq!(state(subject).await.late, 1, "a duplicate brings nothing");
    subject.store().apply(SHARD, &by(3, None)).await.unwrap();
    assert_eq!(state(subject).await.late, 2);
    assert!(!advance(subject, Pass::begin(0), TAKEN).await);
    let further = Pass::begin(0).at(Stage::Take { cursor: 7, run: Incarnation(3) });
    assert!(advance(subject, Pass::begin(0), further).await, "the pass goes on to its end");
    assert!(!advance(subject, further, TAKEN).await);
    assert!(advance(subject, further, Pass::begin(2)).await);
    assert!(advance(subject, Pass::begin(2), Pass::begin(2).at(Stage::Taken)).await);
}

pub(crate) async fn what_is_taken_waits_as_a_move_and_leaves_a_trace(subject: &Subject) {
    let content = taken(subject).await;
    assert_eq!((total(subject, "b").await, total(subject, "café \"a\"").await), (0, 0));
    assert_eq!(record(subject, "b").await.moved_out.into_values().collect::<Vec<_>>(), [7]);
    assert_eq!(state(subject).await.tag, Some(content.tag));
    let mut records = content.records;
    records.sort();
    let total = |id, visits| (RecordName::Page(page(id)), fields(&[("total", visits)]));
    assert_eq!(records, [total("b", 7), total("café \"a\"", 5)]);
    let marks = marks(subject).await;
    assert_eq!((marks.len(), marks[0].id, marks[0].arrived), (1, ID, None));
    let (_, run) = subject.store().move_marks(SHARD, &owner()).await.unwrap();
    assert_eq!(marks[0].seen.unwrap().owner, run);
    let owners = subject.store().moving_owners(SHARD).await.unwrap();
    assert_eq!(owners.iter().map(|(owner, _)| owner.as_str()).collect::<Vec<_>>(), ["two"]);
}

/// A batch of a day: page `b` has 5 visits, 2 of them by bots.
fn on_a_day(number: u64) -> Apply {
    let increment = Increment { page: page("b"), visits: 5, bots: 2, visitors: vec![Visitor(7)] };
    let refused = Refused { origin: 4, ..Refused::default() };
    let day = Some("2026-11-24".parse().unwrap());
    let batch = Batch::of_day(Sequence::new(number).unwrap(), day, vec![increment], refused, Clock::system().now());
    call(&[(Arc::new(batch), Duration::ZERO)])
}

const OF_A_DAY: [&str; 4] = ["page:b", "days:2026-11:b", "site", "site:2026-11"];

/// Takes the four records of that day; what they had.
async fn take_the_day(subject: &Subject) -> BTreeMap<RecordName, Vec<(String, u64)>> {
    let mut left: Vec<RecordName> = OF_A_DAY.iter().map(|name| record_name(name)).collect();
    let (mut found, mut writer) = (BTreeMap::new(), 100);
    while !left.is_empty() {
        writer += 1;
        let id = BatchId { writer: WriterId::from_u128(writer), sequence: Sequence::FIRST };
        let take = Take { ring: ring(), owner: owner(), records: left.clone(), writer: id.writer };
        let Taken::Moved { looked_at, .. } = subject.store().take(SHARD, &take).await.unwrap() else { panic!() };
        let content = subject.store().moves(SHARD, &owner(), &[id]).await.unwrap().moves.remove(0);
        subject.store().land(SHARD + 1, &Landing { source: &source(), content: &content, ring: None }).await.unwrap();
        found.extend(content.records);
        left.drain(..looked_at);
    }
    found
}

pub(crate) async fn months_and_the_sites_records_are_taken_with_all_their_fields(subject: &Subject) {
    apply(subject, &on_a_day(1)).await;
    announce(subject).await;
    assert_eq!(records_on(subject, SHARD).await, OF_A_DAY.map(record_name).into());
    let mut found = take_the_day(subject).await;
    for fields in found.values_mut() {
        fields.sort();
    }
    let expected = [
        fields(&[("bots", 2), ("total", 5)]),
        fields(&[("24", 3), ("24b", 2)]),
        fields(&[("bots", 2), ("total", 5)]),
        fields(&[("24", 3), ("24b", 2), ("24o", 4)]),
    ];
    assert_eq!(found, OF_A_DAY.map(record_name).into_iter().zip(expected).collect());
    // What it was stays as a note of the page.
    assert_eq!(records_on(subject, SHARD).await, [record_name("page:b")].into());
    assert_eq!(records_on(subject, SHARD + 1).await, OF_A_DAY.map(record_name).into());
}

pub(crate) async fn bots_visits_on_their_way_leave_and_bring_a_note_too(subject: &Subject) {
    apply(subject, &on_a_day(1)).await;
    announce(subject).await;
    take_the_day(subject).await;
    let tag = state(subject).await.tag.unwrap();
    let here = record(subject, "b").await;
    let there = subject.store().traces(SHARD + 1, &page("b")).await.unwrap().record;
    assert_eq!((here.total, here.bots, here.moved_out, here.bots_out), (0, 0, [(tag, 5)].into(), [(tag, 2)].into()));
    let came = |visits| BTreeMap::from([(("one".to_owned(), tag), visits)]);
    assert_eq!((there.total, there.bots, there.moved_in, there.bots_in), (5, 2, came(5), came(2)));
    clean(subject, SHARD, &Cleaning::Out { before: tag + 1 }).await;
    clean(subject, SHARD + 1, &Cleaning::In { before: vec![(source(), tag + 1)] }).await;
    assert_eq!(record(subject, "b").await, PageRecord::default());
    let there = subject.store().traces(SHARD + 1, &page("b")).await.unwrap().record;
    assert_eq!(there, PageRecord { total: 5, bots: 2, ..PageRecord::default() });
}

/// The names that a scan finds, each once.
async fn records_on(subject: &Subject, shard: usize) -> BTreeSet<RecordName> {
    let (mut found, mut cursor) = (BTreeSet::new(), 0);
    loop {
        let slice = subject.store().scan_records(shard, cursor).await.unwrap();
        assert_eq!(slice.unreadable, Vec::<Vec<u8>>::new());
        found.extend(slice.records);
        cursor = slice.next;
        if cursor == 0 {
            return found;
        }
    }
}

pub(crate) async fn only_the_ring_in_force_takes_and_only_during_its_take_pass(subject: &Subject) {
    apply(subject, &call(&[batch(1, &[("a", 1)])])).await;
    assert_eq!(take(subject, &["a"]).await, Taken::Superseded);
    subject.store().announce(SHARD, other_ring(), &[]).await.unwrap();
    assert_eq!(take(subject, &["a"]).await, Taken::Superseded);
    announce(subject).await;
    assert!(advance(subject, Pass::begin(0), TAKEN).await);
    assert_eq!(take(subject, &["a"]).await, Taken::Superseded);
    assert_eq!(total(subject, "a").await, 1);
}

pub(crate) async fn a_move_lands_once_however_often_it_is_delivered(subject: &Subject) {
    let content = taken(subject).await;
    let landing = Landing { source: &source(), content: &content, ring: None };
    let home = SHARD + 1;
    for fresh in [true, false, false] {
        let landed = subject.store().land(home, &landing).await.unwrap();
        assert_eq!((landed.fresh, landed.rejected.len()), (fresh, 0));
    }
    let record = subject.store().traces(home, &page("b")).await.unwrap().record;
    assert_eq!((record.total, record.moved_in.get(&("one".to_owned(), content.tag))), (7, Some(&7)));
    let unknown = BatchId { writer: WRITER, sequence: Sequence::FIRST };
    assert_eq!(subject.store().arrived(home, &[ID, unknown]).await.unwrap().0, [true, false]);
}

pub(crate) async fn a_move_that_the_ring_places_elsewhere_is_noted_as_late(subject: &Subject) {
    let content = taken(subject).await;
    let late_after = async |ring: Option<Fingerprint>, mover: u128| {
        let id = BatchId { writer: WriterId::from_u128(mover), sequence: Sequence::FIRST };
        let content = Move { id, ..content.clone() };
        subject.store().land(SHARD, &Landing { source: &owner(), content: &content, ring }).await.unwrap();
        state(subject).await.late
    };
    assert_eq!(late_after(Some(ring()), 1).await, 0);
    assert_eq!(late_after(None, 2).await, 1);
    assert_eq!(late_after(Some(other_ring()), 3).await, 2);
}

pub(crate) async fn a_move_is_removed_only_with_the_mark_that_it_bears(subject: &Subject) {
    taken(subject).await;
    let arrived = [(ID, Incarnation(7))];
    subject.store().mark_moves(SHARD, &owner(), Found::AtOwner, &arrived).await.unwrap();
    let mark = marks(subject).await[0].arrived.unwrap();
    assert_eq!(mark.owner, Incarnation(7));
    let another = visits_core::store::parking::Mark { owner: Incarnation(8), ..mark };
    assert_eq!(subject.store().remove_moves(SHARD, &owner(), &[(ID, another)]).await, Ok(0));
    assert_eq!(subject.store().remove_moves(SHARD, &owner(), &[(ID, mark)]).await, Ok(1));
    assert_eq!(marks(subject).await, []);
    assert_eq!(subject.store().moving_owners(SHARD).await.unwrap(), []);
    subject.store().mark_moves(SHARD, &owner(), Found::Here, &arrived).await.unwrap();
    assert_eq!(marks(subject).await, [], "a mark for a move that is gone leaves nothing");
}

pub(crate) async fn the_tag_is_renewed_once_no_move_is_left(subject: &Subject) {
    let tag = taken(subject).await.tag;
    let out = TAKEN.at(Stage::OUT);
    assert!(advance(subject, Pass::begin(0), TAKEN).await);
    assert!(!advance(subject, TAKEN, out).await, "a move is left");
    subject.store().mark_moves(SHARD, &owner(), Found::AtOwner, &[(ID, Incarnation(7))]).await.unwrap();
    let mark = marks(subject).await[0].arrived.unwrap();
    subject.store().remove_moves(SHARD, &owner(), &[(ID, mark)]).await.unwrap();
    assert!(advance(subject, TAKEN, out).await);
    assert!(state(subject).await.tag.unwrap() > tag);
}

pub(crate) async fn cleaning_deletes_the_notes_under_earlier_tags(subject: &Subject) {
    let content = taken(subject).await;
    let home = SHARD + 1;
    subject.store().land(home, &Landing { source: &source(), content: &content, ring: None }).await.unwrap();
    let out = async |before| clean(subject, SHARD, &Cleaning::Out { before }).await;
    let came = async |before| clean(subject, home, &Cleaning::In { before }).await;
    // The site's own record is one, too.
    assert_eq!(out(content.tag).await, 3, "not before the tag");
    assert_eq!(out(content.tag + 1).await, 1);
    assert_eq!(record(subject, "b").await, PageRecord::default());
    assert_eq!(came(vec![(source(), content.tag), (owner(), content.tag + 1)]).await, 2);
    assert!(!subject.store().traces(home, &page("b")).await.unwrap().record.moved_in.is_empty());
    assert_eq!(came(vec![(source(), content.tag + 1)]).await, 2, "the pages themselves stay");
    let left = subject.store().traces(home, &page("b")).await.unwrap().record;
    assert_eq!(left, PageRecord { total: 7, ..PageRecord::default() });
}

/// Cleans all of a shard; the records that are still there.
async fn clean(subject: &Subject, shard: usize, cleaning: &Cleaning) -> u64 {
    let (mut cursor, mut pages) = (0, 0);
    loop {
        let Cleaned { next, kept, .. } = subject.store().clean(shard, cursor, cleaning).await.unwrap();
        pages += kept;
        cursor = next;
        if cursor == 0 {
            return pages;
        }
    }
}

pub(crate) async fn a_settled_ring_is_told_with_every_read(subject: &Subject) {
    begin(subject).await;
    let done = Pass::begin(0).at(Stage::Done { kept: 2 });
    assert_eq!(subject.store().read(SHARD, &page("b")).await.unwrap().settled, None);
    assert!(advance(subject, Pass::begin(0), done).await);
    assert_eq!(subject.store().settle(SHARD, other_ring(), done, &[]).await, Ok(false));
    assert_eq!(subject.store().settle(SHARD, ring(), TAKEN, &[]).await, Ok(false));
    assert_eq!(subject.store().settle(SHARD, ring(), done, &[owner()]).await, Ok(true));
    let reading = subject.store().read(SHARD, &page("b")).await.unwrap();
    assert_eq!((reading.total, reading.settled), (7, Some(ring())));
    assert_eq!(subject.store().traces(SHARD, &page("b")).await.unwrap().members, [owner()]);
    assert!(!advance(subject, done, TAKEN).await, "there is nothing to move on");
}

pub(crate) async fn a_scan_finds_every_page_of_its_shard(subject: &Subject) {
    let ids: Vec<String> = (0..300).map(|number| format!("page {number}")).collect();
    let increments: Vec<(&str, u64)> = ids.iter().map(|id| (id.as_str(), 1)).collect();
    apply(subject, &call(&[batch(1, &increments)])).await;
    subject.store().apply(SHARD + 1, &call(&[batch(1, &[("elsewhere", 1)])])).await.unwrap();
    let (mut found, mut cursor) = (Vec::<PageId>::new(), 0);
    loop {
        let slice = subject.store().scan(SHARD, cursor).await.unwrap();
        assert_eq!(slice.unreadable, Vec::<Vec<u8>>::new());
        found.extend(slice.pages);
        cursor = slice.next;
        if cursor == 0 {
            break;
        }
    }
    let mut expected: Vec<PageId> = ids.iter().map(|id| page(id)).collect();
    expected.sort();
    found.sort();
    found.dedup();
    assert_eq!(found, expected);
    let records = subject.store().records(SHARD, &[page("page 7"), page("unknown")]).await.unwrap();
    let totals: Vec<u64> = records.into_iter().map(|record| record.unwrap().total).collect();
    assert_eq!(totals, [1, 0]);
}
