//! Copies: parked, delivered, marked, deleted.

use super::lane;
use crate::actions::Action;
use crate::config::Config;
use crate::design::Design;
use crate::network::Message;
use crate::shard::Slot;
use crate::state::{Batch, Deliverer, State, Witness, bit};
use crate::writer::Parking;

pub(super) fn put(state: &mut State, batch: Batch) {
    let slot = state.slot_mut(batch);
    if *slot == Slot::Empty {
        *slot = Slot::Unmarked;
    }
}

/// The deliverer's call. Returns whether the batch was applied freshly.
pub(super) fn apply_copy(config: &Config, state: &mut State, batch: Batch) -> bool {
    let base = if config.design == Design::DelivererSendsBase { batch.sequence } else { 0 };
    let applied = &mut state.shards[batch.owner].live.applied[batch.writer];
    let fresh = applied.apply(config.design, bit(batch.sequence), base) != 0;
    let writer = &state.writers[batch.writer];
    if fresh && !writer.alive {
        state.witness.0 |= Witness::DELIVERED;
    }
    if fresh && writer.lanes[batch.owner].entries[batch.index()].evicted {
        state.witness.0 |= Witness::EVICTED;
    }
    fresh
}

pub(super) fn park(state: &mut State, action: Action) {
    let (Action::Park(batch) | Action::ParkUnanswered(batch) | Action::ParkAgain(batch) | Action::AgeParking(batch)) =
        action
    else {
        return;
    };
    let incarnation = state.shards[batch.holder()].incarnation;
    if matches!(action, Action::Park(_) | Action::ParkUnanswered(_)) {
        state.faults.parks -= 1;
    }
    let entry = &mut lane(state, batch).entries[batch.index()];
    entry.parking = match (action, entry.parking) {
        (Action::ParkUnanswered(_), _) => Parking::Maybe,
        (Action::AgeParking(_), Parking::Acknowledged(incarnation)) => Parking::Old(incarnation),
        _ => Parking::Acknowledged(incarnation),
    };
    match action {
        Action::Park(_) | Action::ParkAgain(_) => put(state, batch),
        Action::ParkUnanswered(_) => state.network.push(Message::Park(batch)),
        _ => {}
    }
}

pub(super) fn age_mark(state: &mut State, batch: Batch) {
    let Slot::Fresh(incarnation) = state.slot(batch) else { return };
    *state.slot_mut(batch) = Slot::Old(incarnation);
    // Time passes for the saved copy too.
    let saved = &mut state.shards[batch.holder()].saved.copies[batch.writer][batch.index()];
    if *saved == Slot::Fresh(incarnation) {
        *saved = Slot::Old(incarnation);
    }
}

pub(super) fn deliver(config: &Config, state: &mut State, place: usize) {
    let Deliverer::Read(batch, mark) = state.deliverers[place] else { return };
    let fresh = apply_copy(config, state, batch);
    let incarnation = state.shards[batch.owner].incarnation;
    state.deliverers[place] = Deliverer::Answered { batch, mark, fresh, incarnation };
    if conclusion(config.design, mark, fresh, incarnation) == mark {
        state.deliverers[place] = Deliverer::Idle;
    }
}

/// Returns the slot of a copy that was read with this mark, after this answer.
fn conclusion(design: Design, mark: Slot, fresh: bool, incarnation: u8) -> Slot {
    match mark {
        _ if design == Design::DeleteAtDelivery => Slot::Empty,
        _ if fresh => Slot::Fresh(incarnation),
        Slot::Fresh(of) | Slot::Old(of) if design.marks_end_at_a_crash() && of != incarnation => {
            Slot::Fresh(incarnation)
        }
        Slot::Old(_) => Slot::Empty,
        Slot::Unmarked => Slot::Fresh(incarnation),
        Slot::Fresh(_) | Slot::Empty => mark,
    }
}

pub(super) fn conclude(config: &Config, state: &mut State, place: usize) {
    let Deliverer::Answered { batch, mark, fresh, incarnation } = std::mem::take(&mut state.deliverers[place]) else {
        return;
    };
    let slot = state.slot_mut(batch);
    let conclusion = conclusion(config.design, mark, fresh, incarnation);
    let delete = conclusion == Slot::Empty;
    if *slot != Slot::Empty && (!delete || *slot == mark) {
        *slot = conclusion;
        if delete {
            state.witness.0 |= Witness::DELETED;
        }
    }
}
