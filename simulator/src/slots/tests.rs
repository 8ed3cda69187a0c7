use super::*;

fn event(request_id: &str) -> (Event, oneshot::Receiver<Answer>) {
    let (answer, client) = oneshot::channel();
    (Event { request_id: request_id.into(), payload: Bytes::from("{}"), answer }, client)
}

fn no_timer(_: &str) -> OwnedTask {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    OwnedTask(runtime.spawn(async {}).abort_handle())
}

fn answer() -> Answer {
    Answer { payload: Bytes::from("1"), function_error: None }
}

#[test]
fn an_event_takes_its_slot_until_the_next_poll() {
    let mut slots = Slots::new(1);
    let mut poll = slots.poll().unwrap();
    let (first, mut client) = event("first");
    slots.push(first);
    assert!(!slots.has_room());
    assert!(slots.deliver(5, no_timer));
    assert_eq!(poll.try_recv().unwrap().deadline, 5);
    assert_eq!(slots.poll().unwrap_err(), Refused::InvalidTransition);
    slots.answer("first", answer()).unwrap();
    assert_eq!(client.try_recv().unwrap().payload, "1");
    assert!(!slots.has_room());
    let _poll = slots.poll().unwrap();
    assert!(slots.has_room());
    assert_eq!(slots.answer("first", answer()), Err(Refused::UnknownRequest));
}

#[test]
fn an_event_is_answered_once() {
    let mut slots = Slots::new(1);
    let _poll = slots.poll().unwrap();
    let (first, _client) = event("first");
    slots.push(first);
    slots.deliver(0, no_timer);
    slots.answer("first", answer()).unwrap();
    assert_eq!(slots.answer("first", answer()), Err(Refused::InvalidTransition));
}

#[test]
fn a_poll_whose_connection_has_gone_gets_no_event() {
    let mut slots = Slots::new(2);
    let (mut alive, gone) = (slots.poll().unwrap(), slots.poll().unwrap());
    drop(gone);
    slots.push(event("first").0);
    assert!(slots.deliver(0, no_timer));
    assert!(alive.try_recv().is_ok());
    slots.push(event("second").0);
    assert!(!slots.deliver(0, no_timer));
    assert!(slots.is_waited_for());
}

#[test]
fn several_slots_take_several_events() {
    let mut slots = Slots::new(2);
    let _polls = [slots.poll().unwrap(), slots.poll().unwrap()];
    for id in ["first", "second"] {
        slots.push(event(id).0);
        assert!(slots.deliver(0, no_timer));
    }
    assert!(!slots.has_room());
    slots.answer("second", answer()).unwrap();
    let _poll = slots.poll().unwrap();
    assert!(slots.has("first") && !slots.has("second"));
}

#[test]
fn the_end_answers_all_that_wait() {
    let mut slots = Slots::new(1);
    let _poll = slots.poll().unwrap();
    let ((first, mut one), (second, mut two)) = (event("first"), event("second"));
    slots.push(first);
    slots.deliver(0, no_timer);
    slots.push(second);
    slots.clear(|id| Answer::not_started(id, "gone"));
    for client in [&mut one, &mut two] {
        assert_eq!(client.try_recv().unwrap().function_error.as_deref(), Some("Unhandled"));
    }
    assert_eq!(slots.load(), 0);
}
