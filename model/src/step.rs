//! The steps.

mod calls;
mod copies;

use crate::actions::Action;
use crate::config::Config;
use crate::design::Design;
use crate::network::Message;
use crate::state::{Batch, Deliverer, State, Witness};
use crate::writer::{Lane, Status, Writer};
use calls::{ask, execute, forget, receive, stop_waiting};
use copies::{age_mark, conclude, deliver, park};

/// Takes a step that is possible.
pub fn take(config: &Config, state: &mut State, action: Action) {
    match action {
        Action::Seal(writer, shard) => {
            let lane = &mut state.writers[writer].lanes[shard];
            let next = usize::from(lane.sealed());
            lane.entries[next].status = Status::Unresolved;
        }
        Action::Ask(writer, shard) => ask(config, state, writer, shard),
        Action::Execute(message) => {
            forget(state, message);
            execute(config, state, message);
        }
        Action::ExecuteTwice(message) => {
            state.faults.duplicates -= 1;
            execute(config, state, message);
        }
        Action::Receive(message) => receive(config, state, message),
        Action::GiveUp(writer, shard) => {
            state.faults.give_ups -= 1;
            stop_waiting(config, state, writer, shard);
            if config.design == Design::MergeBack {
                state.writers[writer].lanes[shard].merge_back();
            }
        }
        Action::Save(shard) => state.shards[shard].saved = state.shards[shard].live,
        Action::Crash(shard) => state.shards[shard].crash(),
        Action::Die(writer) => die(config, state, writer),
        Action::Park(_) | Action::ParkUnanswered(_) | Action::ParkAgain(_) | Action::AgeParking(_) => {
            park(state, action);
        }
        Action::Evict(batch) => {
            state.faults.evictions -= 1;
            lane(state, batch).entries[batch.index()].evicted = true;
        }
        Action::AgeSight(batch) => age_sight(state, batch),
        Action::AgeMark(batch) => age_mark(state, batch),
        Action::Read(batch) => {
            let mark = state.slot(batch);
            if let Some(idle) = state.deliverers.iter_mut().find(|deliverer| **deliverer == Deliverer::Idle) {
                *idle = Deliverer::Read(batch, mark);
            }
        }
        Action::Deliver(place) => deliver(config, state, place),
        Action::DeliverLate(place) => {
            state.faults.give_ups -= 1;
            if let Deliverer::Read(batch, _) = std::mem::take(&mut state.deliverers[place]) {
                state.network.push(Message::Deliver(batch));
            }
        }
        Action::Conclude(place) => conclude(config, state, place),
        Action::Abandon(place) => state.deliverers[place] = Deliverer::Idle,
    }
    if !config.witness {
        state.witness = Witness::default();
    }
    state.normalise(config.design);
}

fn lane(state: &mut State, batch: Batch) -> &mut Lane {
    &mut state.writers[batch.writer].lanes[batch.owner]
}

fn die(config: &Config, state: &mut State, writer: usize) {
    state.faults.deaths -= 1;
    for shard in 0..state.shards.len() {
        stop_waiting(config, state, writer, shard);
    }
    state.writers[writer] = Writer::default();
    state.network.retain(|message| !matches!(message, Message::Answer { writer: of, .. } if *of == writer));
}

fn age_sight(state: &mut State, batch: Batch) {
    let status = &mut lane(state, batch).entries[batch.index()].status;
    if let Status::Seen(incarnation) = *status {
        *status = Status::Old(incarnation);
    }
}
