use super::*;
use crate::page::PageId;
use crate::store::AppliedSet;
use crate::store::ServerRun;
use std::time::Duration;

fn at(seconds: u64) -> Moment {
    let time = Duration::from_secs(seconds);
    Moment::new(time, time)
}

fn sequence(number: u64) -> Sequence {
    Sequence::new(number).unwrap()
}

fn batch(number: u64, pages: usize) -> Batch {
    let page = |n: usize| (PageId::from_decoded(&format!("page-{n}")).unwrap(), 1);
    Batch::seal(sequence(number), (0..pages).map(page).collect(), at(0))
}

fn outbox(batches: impl IntoIterator<Item = u64>) -> Outbox {
    let mut outbox = Outbox::default();
    batches.into_iter().for_each(|number| outbox.push(batch(number, 2), at(0)));
    outbox
}

/// The answer of a shard that has applied the batches 1 to `floor`, of 2 visits each.
fn has(floor: u64) -> Applied {
    has_visits(floor, 2 * floor)
}

fn has_visits(floor: u64, visits: u64) -> Applied {
    Applied { set: AppliedSet { floor, visits, ..AppliedSet::default() }, ..Applied::default() }
}

/// The shard's clock shows what ours does.
fn learn(outbox: &mut Outbox, answer: &Applied, asked: u64, now: u64) -> FlushReport {
    let answer = Applied { server_time: Duration::from_secs(asked), ..answer.clone() };
    outbox.learn(&answer, at(asked), at(now), &Timing::REAL)
}

/// A shard in one run of its server.
const REFUGE: ParkedAt = ParkedAt { shard: 1, server_run: ServerRun(1), server_time: Duration::ZERO };

/// Notes that copies of the batches with these numbers were sent elsewhere, and that a shard has them.
fn park(outbox: &mut Outbox, numbers: &[u64], refuge: Option<ParkedAt>, now: u64) {
    let batches: Vec<_> = numbers.iter().map(|&number| (Arc::new(batch(number, 2)), Duration::ZERO)).collect();
    let refuge = refuge.map(|refuge| ParkedAt { server_time: Duration::from_secs(now), ..refuge });
    outbox.parked(&batches, refuge, at(now), &Timing::REAL);
}

/// Parks batches a minute ago and once more now.
fn park_for_good(outbox: &mut Outbox, numbers: &[u64]) {
    park(outbox, numbers, Some(REFUGE), 0);
    park(outbox, numbers, Some(REFUGE), 60);
}

fn to_park(outbox: &Outbox, now: u64) -> Vec<u64> {
    let batches = outbox.next_to_park(1 << 20, at(now), &Timing::REAL);
    batches.iter().map(|batch| batch.sequence().get()).collect()
}

fn to_send(outbox: &Outbox) -> Vec<u64> {
    outbox.next_to_send(500).iter().map(|batch| batch.sequence().get()).collect()
}

#[test]
fn what_the_set_holds_is_not_sent_again() {
    let mut outbox = outbox(1..=3);
    let set = AppliedSet { floor: 1, above: [3].into(), visits: 4, ..AppliedSet::default() };
    let learned = learn(&mut outbox, &Applied { set, ..Applied::default() }, 0, 1);
    assert_eq!(learned, FlushReport { visits: 4, ..FlushReport::default() });
    assert_eq!(to_send(&outbox), [2]);
    assert_eq!((outbox.unresolved(), outbox.unconfirmed()), (1, 2));
}

#[test]
fn a_batch_that_redis_lost_is_sent_again() {
    let mut outbox = outbox([1, 2]);
    learn(&mut outbox, &has(2), 0, 1);
    let learned = learn(&mut outbox, &has(1), 5, 6);
    assert_eq!(learned, FlushReport { visits_healing: 2, gaps: 1, ..FlushReport::default() });
    assert_eq!(to_send(&outbox), [2]);
    let healed = learn(&mut outbox, &has(2), 7, 8);
    assert_eq!(healed, FlushReport { visits: 2, visits_healed: 2, ..FlushReport::default() });
}

#[test]
fn the_base_never_passes_a_batch_that_may_be_sent_again() {
    let mut outbox = outbox([4, 5]);
    assert_eq!(outbox.base(sequence(6)), sequence(4));
    learn(&mut outbox, &has_visits(5, 4), 0, 0);
    assert_eq!(outbox.base(sequence(6)), sequence(4), "applied, but not confirmed");
    learn(&mut outbox, &has_visits(5, 4), 60, 60);
    assert_eq!(outbox.base(sequence(6)), sequence(6));
}

#[test]
fn for_room_the_oldest_applied_go_and_are_counted_and_none_that_is_unresolved() {
    let mut outbox = Outbox::default();
    let one = batch(1, 500).bytes();
    let count = (UNCONFIRMED_BYTES / one + 2) as u64;
    (1..=count).for_each(|number| outbox.push(batch(number, 500), at(0)));
    assert_eq!(learn(&mut outbox, &has(0), 0, 0), FlushReport::default());
    assert_eq!(outbox.unresolved() as u64, count);
    let learned = learn(&mut outbox, &has_visits(count, 500 * count), 0, 0);
    assert_eq!(learned.visits_unconfirmed, 1000, "two batches of 500 visits too many");
    assert_eq!(outbox.base(sequence(count + 1)), sequence(3));
}

#[test]
fn a_batch_too_old_is_given_up_and_reported() {
    let mut outbox = outbox([1, 2]);
    let expired = Applied { expired: vec![sequence(1)], ..has(0) };
    let learned = learn(&mut outbox, &expired, 0, 0);
    assert_eq!(learned, FlushReport { visits_expired: 2, ..FlushReport::default() });
    assert_eq!(to_send(&outbox), [2]);
}

#[test]
fn a_call_takes_whole_batches_up_to_its_pages_and_at_least_one() {
    let mut outbox = Outbox::default();
    [300, 200, 1].into_iter().zip(1..).for_each(|(pages, n)| outbox.push(batch(n, pages), at(0)));
    assert_eq!(to_send(&outbox), [1, 2]);
    assert_eq!(outbox.next_to_send(10).len(), 1);
}

#[test]
fn a_parked_batch_is_still_sent_and_is_not_parked_again() {
    let mut outbox = outbox([1, 2]);
    park(&mut outbox, &[1], Some(REFUGE), 0);
    park(&mut outbox, &[2], None, 0);
    assert_eq!(to_send(&outbox), [1, 2]);
    assert_eq!((to_park(&outbox, 59), outbox.unparked(at(59), &Timing::REAL)), (vec![2], 1), "2 may not be there");
    assert_eq!((outbox.is_safe(sequence(1)), outbox.is_safe(sequence(2))), (true, false));
    assert_eq!((outbox.unresolved_visits(), outbox.parked_visits()), (4, 2));
}

#[test]
fn for_room_a_parked_batch_loses_its_content_and_keeps_its_place() {
    let mut outbox = outbox([1, 2, 3]);
    park_for_good(&mut outbox, &[1, 3]);
    assert!(outbox.shed(3), "two batches of two pages");
    assert_eq!(to_send(&outbox), [2]);
    assert_eq!((outbox.unresolved_pages(), outbox.unresolved_visits()), (2, 6));
    assert_eq!((outbox.base(sequence(4)), outbox.unconfirmed()), (sequence(1), 2), "the shard is asked for them");
    assert!(!outbox.shed(1), "what is not parked stays");
    // A deliverer has brought them.
    assert_eq!(learn(&mut outbox, &has(3), 1, 1).visits, 6);
    learn(&mut outbox, &has(3), 61, 61);
    assert!(outbox.is_empty());
}

#[test]
fn an_applied_batch_that_may_be_parked_is_never_forgotten_for_room() {
    let mut outbox = Outbox::default();
    let count = (UNCONFIRMED_BYTES / batch(1, 500).bytes() + 3) as u64;
    (1..=count).for_each(|number| outbox.push(batch(number, 500), at(0)));
    park(&mut outbox, &[1], Some(REFUGE), 0);
    park(&mut outbox, &[2], None, 0);
    let learned = learn(&mut outbox, &has_visits(count, 500 * count), 0, 0);
    assert_eq!(learned.visits_unconfirmed, 500, "of the first three only the third is forgotten");
    assert_eq!(outbox.base(sequence(count + 1)), sequence(1));
    // Lost again and not here any more, they are left to the deliverer.
    let learned = learn(&mut outbox, &has_visits(0, 0), 1, 1);
    assert_eq!(learned.visits_healing, 500 * (count - 1));
    assert_eq!(to_send(&outbox), [3 + 1]);
}

#[test]
fn what_a_shard_lost_and_no_writer_remembers_is_counted_once() {
    let mut outbox = outbox([1, 2]);
    learn(&mut outbox, &has(2), 0, 0);
    learn(&mut outbox, &has(2), 60, 60);
    assert!(outbox.is_empty());
    let lost = |visits| FlushReport { visits_lost: visits, ..FlushReport::default() };
    assert_eq!(learn(&mut outbox, &has_visits(2, 1), 70, 70), lost(3));
    assert_eq!(learn(&mut outbox, &has_visits(2, 1), 80, 80), lost(0));
    outbox.push(batch(3, 2), at(0));
    let learned = learn(&mut outbox, &has_visits(3, 3), 90, 90);
    assert_eq!((learned.visits, learned.visits_lost), (2, 0));
}

#[test]
fn a_set_that_was_deleted_with_consent_is_no_loss() {
    let mut outbox = outbox([1]);
    learn(&mut outbox, &has(1), 0, 0);
    learn(&mut outbox, &has(1), 60, 60);
    outbox.settle();
    outbox.push(batch(2, 2), at(0));
    assert_eq!(learn(&mut outbox, &has_visits(2, 2), 9_000, 9_000).visits_lost, 0);
    assert_eq!(learn(&mut outbox, &has_visits(2, 1), 9_001, 9_001).visits_lost, 1, "from there on it is");
}

#[test]
fn with_healing_off_an_applied_batch_is_forgotten_at_its_first_sight() {
    let timing = Timing { confirm_after: Duration::ZERO, ..Timing::REAL };
    let mut outbox = outbox([1]);
    assert_eq!(outbox.learn(&has(1), at(0), at(0), &timing).visits, 2);
    assert!(outbox.is_empty());
    assert_eq!(outbox.learn(&has_visits(1, 0), at(1), at(1), &timing).visits_lost, 2);
}

/// A step of one clock is believed only if the other says so, too.
#[test]
fn a_clock_that_is_set_forward_here_or_at_the_shard_forgets_nothing_and_sheds_nothing() {
    let second = Duration::from_secs;
    for (here, server) in [(3_600, 1), (1, 3_600)] {
        let mut outbox = outbox([1, 2]);
        park(&mut outbox, &[2], Some(REFUGE), 0);
        let mut answer = has(1);
        outbox.learn(&answer, at(0), at(0), &Timing::REAL);
        answer.server_time = second(server);
        outbox.learn(&answer, at(here), at(here), &Timing::REAL);
        let again = ParkedAt { server_time: second(server), ..REFUGE };
        outbox.parked(&[(Arc::new(batch(2, 2)), Duration::ZERO)], Some(again), at(here), &Timing::REAL);
        assert!(!outbox.shed(1), "{here} {server}");
        assert_eq!(outbox.base(sequence(3)), sequence(1), "{here} {server}");
        assert!(to_park(&outbox, here + 59).is_empty(), "its shard is not asked again and again");
    }
}

/// The last case was found by the model check: the shard crashes, a copy or a late call brings the batch again, the shard
/// crashes once more. An old sight and a new answer do not show that it was there all the time.
#[test]
fn a_batch_is_forgotten_on_an_answer_asked_a_minute_after_its_first_sight_in_the_same_run() {
    // Run of the server, batches that it has, when it was asked and has answered, and whether the batch is still here.
    type Answer = (u64, u64, u64, u64, bool);
    let table: [(&str, &[Answer]); 3] = [
        ("asked 59 s after", &[(1, 1, 0, 10, true), (1, 1, 69, 99, true), (1, 1, 70, 99, false)]),
        (
            "lost and healed",
            &[
                (1, 1, 0, 0, true),
                (1, 0, 50, 50, true),
                (1, 1, 51, 51, true),
                (1, 1, 70, 70, true),
                (1, 1, 111, 111, false),
            ],
        ),
        ("another run", &[(1, 1, 0, 0, true), (2, 1, 60, 60, true), (2, 1, 119, 119, true), (2, 1, 120, 120, false)]),
    ];
    for (case, answers) in table {
        let mut outbox = outbox([1]);
        for &(run, floor, asked, now, is_here) in answers {
            learn(&mut outbox, &Applied { server_run: ServerRun(run), ..has(floor) }, asked, now);
            assert_eq!(!outbox.is_empty(), is_here, "{case}: asked at {asked}");
        }
    }
}

#[test]
fn a_copy_is_there_for_good_when_the_same_run_of_its_shard_has_it_a_minute_on() {
    let mut outbox = outbox([1]);
    let restarted = ParkedAt { server_run: ServerRun(2), ..REFUGE };
    for (refuge, now) in [(REFUGE, 0), (restarted, 60)] {
        park(&mut outbox, &[1], Some(refuge), now);
        assert!(to_park(&outbox, now + 59).is_empty());
        assert_eq!(to_park(&outbox, now + 60), [1], "stored once more, which tells");
        assert!(!outbox.shed(1), "a crash of the shard could still take it");
    }
    park(&mut outbox, &[1], Some(restarted), 120);
    assert!(to_park(&outbox, 1_000).is_empty() && outbox.shed(1));
}

/// The shard's clock tells; the one here may have been set forward.
#[test]
fn what_left_memory_is_given_up_when_no_deliverer_may_bring_it_any_more() {
    let mut outbox = outbox([1]);
    park_for_good(&mut outbox, &[1]);
    assert!(outbox.shed(1));
    let week = Timing::REAL.max_batch_age.as_secs();
    for (server, here, expired) in
        [(60, 60, 0), (60, 60 + 5 * week, 0), (60 + week, 60 + week, 0), (61 + week, 61 + week, 2)]
    {
        let answer = Applied { server_time: Duration::from_secs(server), ..has(0) };
        let learned = outbox.learn(&answer, at(here), at(here), &Timing::REAL);
        assert_eq!(learned, FlushReport { visits_expired: expired, ..FlushReport::default() }, "{server} {here}");
    }
    assert!(outbox.is_empty());
}
