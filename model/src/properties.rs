//! Properties that must hold.

use crate::drain::drained;
use crate::model::ProtocolModel;
use crate::state::{State, Witness, bit};
use crate::writer::Status;
use stateright::Property;

/// Each (writer, sequence) is counted at most once on its shard, in every state.
pub const NEVER_TWICE: &str = "no batch is counted twice";
/// In every quiescent state each sealed batch of a living writer is counted.
pub const LIVING_COUNTED: &str = "at the end every batch of a living writer is counted";
/// In every quiescent state each batch that ever had a saved copy is counted, its writer dead or not.
pub const PARKED_COUNTED: &str = "at the end every batch that was safely parked is counted";
/// The sequences above the floor are few, in every state; in a quiescent one there are none.
pub const SET_BOUNDED: &str = "the applied set stays small";
/// From every state, if no more faults happen, a quiescent state is reached in which all this holds.
pub const CAN_END: &str = "without further faults everything is counted and confirmed";

/// All properties of a configuration.
pub fn all(witness: bool) -> Vec<Property<ProtocolModel>> {
    let mut properties = vec![
        Property::always(NEVER_TWICE, |_, state| never_twice(state)),
        Property::always(LIVING_COUNTED, |model: &ProtocolModel, state| {
            !is_quiescent(model, state) || living_counted(model, state)
        }),
        Property::always(PARKED_COUNTED, |model: &ProtocolModel, state| {
            !is_quiescent(model, state) || parked_counted(state)
        }),
        Property::always(SET_BOUNDED, |model: &ProtocolModel, state| {
            set_bounded(state) && (!is_quiescent(model, state) || sets_empty(state))
        }),
        Property::always(CAN_END, |model: &ProtocolModel, state| can_end(model, state)),
    ];
    if witness {
        properties.extend([
            Property::sometimes("a lost batch is healed", |model: &ProtocolModel, state| {
                saw(state, Witness::HEALING) && living_counted(model, state)
            }),
            Property::sometimes("a parked batch of a dead writer is delivered", |_, state| {
                saw(state, Witness::DELIVERED)
            }),
            Property::sometimes("a copy is deleted", |_, state| saw(state, Witness::DELETED)),
            Property::sometimes("a batch without content is delivered", |_, state| saw(state, Witness::EVICTED)),
            Property::sometimes("a late call changes counts", |_, state| saw(state, Witness::LATE)),
            Property::sometimes("a quiescent state", |model: &ProtocolModel, state| is_quiescent(model, state)),
        ]);
    }
    properties
}

fn saw(state: &State, what: u8) -> bool {
    state.witness.0 & what != 0
}

fn never_twice(state: &State) -> bool {
    state.shards.iter().all(|shard| shard.live.applied.iter().all(|applied| applied.twice == 0))
}

/// Nothing is on its way, no copy is left, and no writer has anything to do that would change something.
fn is_quiescent(model: &ProtocolModel, state: &State) -> bool {
    let waiting = |status| matches!(status, Status::Seen(_) | Status::Old(_));
    let lanes = || state.writers.iter().flat_map(|writer| &writer.lanes);
    let busy = lanes().any(|lane| lane.to_send() != 0 || lane.bits(|entry| waiting(entry.status)) != 0);
    !busy
        && state.at_rest(&model.config)
        && state.copies().next().is_none()
        && drained(&model.config, state).is_some_and(|end| end.same_but_saves(state))
}

/// Every sealed batch of every living writer is counted.
fn living_counted(model: &ProtocolModel, state: &State) -> bool {
    lanes(state).all(|(writer, shard)| {
        let sealed = model.config.design.visits(bit(state.writers[writer].lanes[shard].sealed()) - 1);
        state.shards[shard].live.applied[writer].counted & sealed == sealed
    })
}

/// Every batch that had a saved copy is counted.
fn parked_counted(state: &State) -> bool {
    lanes(state).all(|(writer, shard)| {
        let insured = state.insured[writer][shard];
        state.shards[shard].live.applied[writer].counted & insured == insured
    })
}

/// A sequence that is missing below an applied one is always a batch that the writer still answers for. So the set
/// holds fewer sequences than there are from the writer's base to its last batch. (Not: at most as many as
/// its outbox. One gap that stays, because the batch's content is gone or because a crash took it back,
/// keeps all later ones in the set, also those already forgotten by the writer.)
fn set_bounded(state: &State) -> bool {
    lanes(state).filter(|(writer, _)| state.writers[*writer].alive).all(|(writer, shard)| {
        let lane = &state.writers[writer].lanes[shard];
        let applied = &state.shards[shard].live.applied[writer];
        applied.above == 0 || lane.outbox() & bit(applied.floor) != 0
    })
}

/// No sequence is kept for a living writer.
fn sets_empty(state: &State) -> bool {
    lanes(state).filter(|(writer, _)| state.writers[*writer].alive).all(|(writer, shard)| {
        let applied = &state.shards[shard].live.applied[writer];
        let lane = &state.writers[writer].lanes[shard];
        lane.outbox() != 0 || (applied.above == 0 && applied.floor == lane.sealed())
    })
}

fn can_end(model: &ProtocolModel, state: &State) -> bool {
    if !state.at_rest(&model.config) {
        return true;
    }
    drained(&model.config, state).is_some_and(|end| {
        let nothing_left =
            end.copies().next().is_none() && lanes(&end).all(|(w, s)| end.writers[w].lanes[s].outbox() == 0);
        nothing_left && never_twice(&end) && living_counted(model, &end) && parked_counted(&end) && sets_empty(&end)
    })
}

fn lanes(state: &State) -> impl Iterator<Item = (usize, usize)> {
    let shards = state.shards.len();
    (0..state.writers.len()).flat_map(move |writer| (0..shards).map(move |shard| (writer, shard)))
}
