use super::*;
use crate::outbox::ParkedAt;
use crate::page::PageId;
use crate::store::AppliedSet;
use crate::store::ServerRun;

const WRITER: WriterId = WriterId::from_u128(7);

fn at(milliseconds: u64) -> Moment {
    let time = Duration::from_millis(milliseconds);
    Moment::new(time, time)
}

fn ring() -> Fingerprint {
    "0123456789abcdef".parse().unwrap()
}

fn lane(visits: usize) -> Lane {
    let mut lane = Lane::new(Timing::REAL, ring(), true);
    for n in 0..visits {
        lane.add(PageId::from_decoded(&format!("page-{n}")).unwrap().into(), None, at(0));
    }
    lane
}

fn begin(lane: &mut Lane, now: Moment, impatient: bool) -> Option<Call> {
    let want = CallOptions { seal_up_to: lane.last_open(), confirm: true, impatient, status: WriterStatus::Active };
    lane.begin(WRITER, want, now)
}

fn applied(floor: u64) -> Applied {
    Applied { set: AppliedSet { floor, visits: floor, ..AppliedSet::default() }, ..Applied::default() }
}

#[test]
fn an_answer_overtaken_by_a_newer_one_teaches_nothing() {
    let mut lane = lane(1);
    let first = begin(&mut lane, at(0), false).unwrap();
    let second = begin(&mut lane, at(1), true).unwrap();
    assert_eq!(lane.answered(&second, &applied(1), at(2)).visits, 1);
    // Read before the batch was applied: taken as news, it would be sent once more.
    assert_eq!(lane.answered(&first, &applied(0), at(3)), FlushReport::default());
    assert_eq!(lane.pending(at(3)).unresolved, 0);
}

#[test]
fn new_visits_do_not_join_a_sealed_batch() {
    let mut lane = lane(1);
    let first = begin(&mut lane, at(0), false).unwrap();
    lane.failed(&first, at(0));
    lane.add(PageId::from_decoded("new").unwrap().into(), None, at(0));
    let again = begin(&mut lane, at(1_000), false).unwrap();
    assert_eq!(again.apply.batches.len(), 1);
    assert_eq!(again.apply.batches[0].0, first.apply.batches[0].0);
    assert_eq!(again.apply.batches[0].1, Duration::from_secs(1), "its age runs from sealing");
}

#[test]
fn a_waiting_visit_knows_where_it_stands() {
    let mut lane = Lane::new(Timing::REAL, ring(), false);
    let sequence = lane.add(PageId::from_decoded("home").unwrap().into(), None, at(0));
    assert_eq!(lane.place(sequence, 0, at(0)), VisitState::Begin);
    let call = begin(&mut lane, at(0), false).unwrap();
    assert_eq!(lane.place(sequence, 0, at(0)), VisitState::Wait);
    let newcomer = lane.add(PageId::from_decoded("late").unwrap().into(), None, at(0));
    lane.failed(&call, at(0));
    assert_eq!(lane.place(sequence, 0, at(0)), VisitState::Failed);
    assert_eq!(lane.place(newcomer, 0, at(199)), VisitState::Failed, "not in that call, but the shard pauses");
    assert_eq!(lane.place(newcomer, 0, at(200)), VisitState::Begin);
    assert_eq!(lane.place(sequence, 1, at(200)), VisitState::Begin, "that call was over before it came");
    let call = begin(&mut lane, at(1_000), false).unwrap();
    lane.answered(&call, &applied(1), at(1_000));
    assert_eq!(
        (lane.place(sequence, 0, at(1_000)), lane.place(newcomer, 0, at(1_000))),
        (VisitState::Safe, VisitState::Begin)
    );
}

#[test]
fn a_visit_waits_for_copies_under_way_and_is_safe_with_them_or_fails_until_they_are_tried_again() {
    for refuge in [None, Some(ParkedAt { shard: 1, server_run: ServerRun(1), server_time: Duration::ZERO })] {
        let mut lane = lane(1);
        assert!(lane.begin_parking(Some(lane.last_open()), false, at(0)).is_none(), "while the shard answers");
        let call = begin(&mut lane, at(0), false).unwrap();
        let sequence = call.apply.batches[0].0.sequence();
        lane.failed(&call, at(0));
        let copies = lane.begin_parking(None, false, at(0)).unwrap();
        assert_eq!(lane.place(sequence, 0, at(0)), VisitState::Wait);
        assert!(lane.begin_parking(None, false, at(0)).is_none(), "one at a time");
        lane.parked(&copies, refuge, at(0));
        lane.end_parking(refuge.is_some(), at(0));
        let state = if refuge.is_some() { VisitState::Safe } else { VisitState::Failed };
        assert_eq!(lane.place(sequence, 0, at(0)), state, "{refuge:?}");
        assert!(lane.begin_parking(None, false, at(199)).is_none(), "all is parked, or pauses");
        assert_eq!(lane.begin_parking(None, false, at(200)).is_some(), refuge.is_none());
    }
    let mut at_shutdown = lane(2);
    assert_eq!(
        at_shutdown.begin_parking(Some(at_shutdown.last_open()), true, at(0)).map(|copies| copies.len()),
        Some(1)
    );
}

#[test]
fn pauses_double_from_a_fifth_of_a_second_to_half_a_minute() {
    let (mut backoff, timing) = (Backoff::default(), Timing::REAL);
    let pauses = [(); 10].map(|()| {
        backoff.failed(at(0));
        backoff.left(at(0), &timing).unwrap().as_millis()
    });
    assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    assert_eq!(backoff.left(at(29_999), &timing), Some(Duration::from_millis(1)));
    assert_eq!((backoff.left(at(30_000), &timing), backoff.is_failing()), (None, true));
    // After an answer they begin anew.
    backoff.succeeded();
    assert_eq!((backoff.left(at(0), &timing), backoff.is_failing()), (None, false));
    backoff.failed(at(0));
    assert_eq!(backoff.left(at(0), &timing), Some(timing.first_pause));
}

const INTERVAL: Duration = Duration::from_secs(30);

fn decide(shard: Pending, last_flush: Option<u64>, now: u64) -> Option<Reason> {
    due([Pending::default(), shard], last_flush.map(|seconds| at(1_000 * seconds)), INTERVAL, at(1_000 * now))
}

const SOME: Pending =
    Pending { pages: 1, unresolved: 0, unparked: 0, unconfirmed: 0, in_flight: false, pausing: false, can_park: false };

#[test]
fn a_flush_is_due_once_an_interval_and_at_once_for_a_full_batch_or_one_to_retry() {
    let full = Pending { pages: MAX_BATCH_PAGES, ..SOME };
    let failed = Pending { unresolved: 1, pages: 0, ..SOME };
    let unconfirmed = Pending { unconfirmed: 1, pages: 0, ..SOME };
    let down = Pending { pausing: true, can_park: true, pages: 0, unresolved: 2, ..SOME };
    let table = [
        ("nothing is pending", Pending::default(), None, 1_000, None),
        ("the first visit", SOME, None, 0, Some(Reason::Interval)),
        ("the first after a quiet time", SOME, Some(0), 3_600, Some(Reason::Interval)),
        ("within the interval", SOME, Some(100), 129, None),
        ("the interval is over", SOME, Some(100), 130, Some(Reason::Interval)),
        ("a full batch", full, Some(100), 100, Some(Reason::Full)),
        ("one call at a time", Pending { in_flight: true, ..full }, None, 100, None),
        ("a failed batch after its pause", failed, Some(100), 100, Some(Reason::Retry)),
        ("and within it", Pending { pausing: true, ..failed }, Some(100), 100, None),
        ("to be parked", Pending { unparked: 1, ..down }, Some(100), 100, Some(Reason::Retry)),
        ("all is parked", down, Some(100), 1_000, None),
        ("later visits are parked once an interval", Pending { pages: 1, ..down }, Some(100), 129, None),
        ("and then", Pending { pages: 1, ..down }, Some(100), 130, Some(Reason::Interval)),
        ("or full", Pending { pages: MAX_BATCH_PAGES, ..down }, Some(100), 100, Some(Reason::Full)),
        ("nowhere to park", Pending { pages: 1, unparked: 1, can_park: false, ..down }, None, 1_000, None),
        ("a confirmation within the interval", unconfirmed, Some(100), 129, None),
        ("a confirmation", unconfirmed, Some(100), 130, Some(Reason::Interval)),
    ];
    for (case, shard, last_flush, now, expected) in table {
        assert_eq!(decide(shard, last_flush, now), expected, "{case}");
    }
    // An interval that is over takes all shards along; the other reasons only those that they are of.
    assert_eq!(due([full, SOME], None, INTERVAL, at(0)), Some(Reason::Interval));
    for (shard, reason, expected) in [
        (SOME, Reason::Interval, true),
        (full, Reason::Full, true),
        (SOME, Reason::Full, false),
        (failed, Reason::Retry, true),
        (SOME, Reason::Retry, false),
    ] {
        assert_eq!(takes_part(shard, reason), expected, "{shard:?} {reason}");
    }
}
