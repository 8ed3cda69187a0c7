//! Runs a state without further faults, in one fair schedule, to its end.

use crate::actions::Action;
use crate::config::Config;
use crate::network::Message;
use crate::possible::{may_age_mark, may_age_sight, may_ask};
use crate::state::{Batch, Deliverer, State};
use crate::step::take;

/// Rounds that are certainly enough: seen, old, forgotten, told; delivered, marked, old, deleted.
const ROUNDS: usize = 12;

/// The state in which a fair schedule without faults ends, or `None` if it does not. From a state at rest.
pub fn drained(config: &Config, state: &State) -> Option<State> {
    let mut state = state.clone();
    for _ in 0..ROUNDS {
        let before = state.clone();
        round(config, &mut state);
        if state == before {
            return Some(state);
        }
    }
    None
}

/// Everyone does once what they can do.
fn round(config: &Config, state: &mut State) {
    for (writer, shard) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        if state.writers[writer].alive && may_ask(state, writer, shard) {
            ask(config, state, writer, shard);
        }
    }
    for (batch, _) in state.copies().collect::<Vec<_>>() {
        take(config, state, Action::Read(batch));
        let busy = |state: &State| state.deliverers.iter().position(|d| *d != Deliverer::Idle);
        for step in [Action::Deliver, Action::Conclude] {
            if let Some(place) = busy(state) {
                take(config, state, step(place));
            }
        }
    }
    for shard in 0..state.shards.len() {
        if state.shards[shard].crashes_left > 0 {
            take(config, state, Action::Save(shard));
        }
    }
    age(config, state);
}

fn ask(config: &Config, state: &mut State, writer: usize, shard: usize) {
    take(config, state, Action::Ask(writer, shard));
    for _ in ["the call", "the answer"] {
        let awaited = state.network.iter().find(|message| message.is_awaited());
        match awaited.copied() {
            Some(message @ Message::Answer { .. }) => take(config, state, Action::Receive(message)),
            Some(message) => take(config, state, Action::Execute(message)),
            None => {}
        }
    }
}

fn age(config: &Config, state: &mut State) {
    for (writer, owner) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        for sequence in 0..3 {
            let batch = Batch { writer, owner, sequence };
            let entry = state.writers[writer].lanes[owner].entries[batch.index()];
            if may_age_sight(state, batch, entry) {
                take(config, state, Action::AgeSight(batch));
            }
            if may_age_mark(state, batch, state.slot(batch)) {
                take(config, state, Action::AgeMark(batch));
            }
        }
    }
}
