use super::*;
use crate::applied::AppliedSet;

const WRITER: WriterId = WriterId::from_u128(7);

fn at(milliseconds: u64) -> Moment {
    let time = Duration::from_millis(milliseconds);
    Moment::new(time, time)
}

fn lane(visits: usize) -> Lane {
    let mut lane = Lane::new();
    for n in 0..visits {
        lane.add(PageId::from_decoded(&format!("page-{n}")).unwrap(), true).unwrap();
    }
    lane
}

fn begin(lane: &mut Lane, now: Moment, impatient: bool) -> Option<Call> {
    let want = Want { seal_up_to: lane.last_open(), confirm: true, impatient, standing: Standing::Active };
    lane.begin(WRITER, want, now)
}

fn applied(floor: u64) -> Applied {
    Applied { set: AppliedSet { floor, ..AppliedSet::default() }, ..Applied::default() }
}

#[test]
fn an_answer_overtaken_by_a_newer_one_teaches_nothing() {
    let mut lane = lane(1);
    let first = begin(&mut lane, at(0), false).unwrap();
    let second = begin(&mut lane, at(1), true).unwrap();
    assert_eq!(lane.answered(&second, &applied(1), at(2)).applied, 1);
    // Read before the batch was applied: taken as news, it would be sent once more.
    assert_eq!(lane.answered(&first, &applied(0), at(3)), Learned::default());
    assert_eq!(lane.pending(at(3)).unresolved, 0);
}

#[test]
fn new_visits_do_not_join_a_sealed_batch() {
    let mut lane = lane(1);
    let first = begin(&mut lane, at(0), false).unwrap();
    lane.failed(&first, at(0));
    lane.add(PageId::from_decoded("new").unwrap(), true).unwrap();
    let again = begin(&mut lane, at(1_000), false).unwrap();
    assert_eq!(again.apply.batches.len(), 1);
    assert_eq!(again.apply.batches[0].0, first.apply.batches[0].0);
    assert_eq!(again.apply.batches[0].1, Duration::from_secs(1), "its age runs from sealing");
}

#[test]
fn pauses_double_from_a_fifth_of_a_second_to_half_a_minute() {
    let mut lane = lane(1);
    let pauses: Vec<u64> = (0..10)
        .map(|_| {
            let call = begin(&mut lane, at(0), true).unwrap();
            lane.failed(&call, at(0));
            u64::try_from(lane.pause(at(0)).unwrap().as_millis()).unwrap()
        })
        .collect();
    assert_eq!(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
    assert_eq!(lane.pause(at(29_999)), Some(Duration::from_millis(1)));
    assert_eq!(lane.pause(at(30_000)), None);
}

#[test]
fn after_an_answer_the_pauses_begin_anew() {
    let mut lane = lane(1);
    for _ in 0..5 {
        let call = begin(&mut lane, at(0), true).unwrap();
        lane.failed(&call, at(0));
    }
    let call = begin(&mut lane, at(0), true).unwrap();
    lane.answered(&call, &applied(1), at(0));
    let call = begin(&mut lane, at(0), true).unwrap();
    lane.failed(&call, at(0));
    assert_eq!(lane.pause(at(0)), Some(FIRST_PAUSE));
}

#[test]
fn a_waiting_visit_knows_where_it_stands() {
    let mut lane = Lane::new();
    let sequence = lane.add(PageId::from_decoded("home").unwrap(), true).unwrap();
    assert_eq!(lane.place(sequence, 0, at(0)), Place::Begin);
    let call = begin(&mut lane, at(0), false).unwrap();
    assert_eq!(lane.place(sequence, 0, at(0)), Place::Wait);
    let newcomer = lane.add(PageId::from_decoded("late").unwrap(), true).unwrap();
    lane.failed(&call, at(0));
    assert_eq!(lane.place(sequence, 0, at(0)), Place::Failed);
    assert_eq!(lane.place(newcomer, 0, at(199)), Place::Failed, "not in that call, but the shard pauses");
    assert_eq!(lane.place(newcomer, 0, at(200)), Place::Begin);
    assert_eq!(lane.place(sequence, 1, at(200)), Place::Begin, "that call was over before it came");
    let call = begin(&mut lane, at(1_000), false).unwrap();
    lane.answered(&call, &applied(1), at(1_000));
    assert_eq!(
        (lane.place(sequence, 0, at(1_000)), lane.place(newcomer, 0, at(1_000))),
        (Place::Applied, Place::Begin)
    );
}
