//! Calls of writers: asked, arriving, answered, given up.

use super::copies::{apply_copy, put};
use crate::config::Config;
use crate::design::Design;
use crate::network::Message;
use crate::state::{State, Witness};

pub(super) fn forget(state: &mut State, message: Message) {
    if let Some(place) = state.network.iter().position(|other| *other == message) {
        state.network.remove(place);
    }
}

pub(super) fn ask(config: &Config, state: &mut State, writer: usize, shard: usize) {
    let lane = &mut state.writers[writer].lanes[shard];
    let asked = lane.old();
    lane.call = Some(asked);
    state.network.push(Message::Call {
        writer,
        shard,
        batches: lane.to_send(),
        base: lane.base(config.design),
        awaited: true,
        asked: if config.design == Design::LearnFromLateAnswers { asked } else { 0 },
    });
}

pub(super) fn execute(config: &Config, state: &mut State, message: Message) {
    match message {
        Message::Call { writer, shard, batches, base, awaited, asked } => {
            let owner = &mut state.shards[shard];
            let applied = &mut owner.live.applied[writer];
            let fresh = applied.apply(config.design, batches, base);
            let held = applied.held();
            if awaited || config.design.believes_late_answers() {
                let incarnation = owner.incarnation;
                state.network.push(Message::Answer { writer, shard, held, incarnation, awaited, asked });
            }
            if !awaited && fresh != 0 {
                state.witness.0 |= Witness::LATE;
            }
        }
        Message::Park(batch) => put(state, batch),
        Message::Deliver(batch) => {
            apply_copy(config, state, batch);
        }
        Message::Answer { .. } => {}
    }
}

pub(super) fn receive(config: &Config, state: &mut State, message: Message) {
    let Message::Answer { writer, shard, held, incarnation, awaited, asked } = message else { return };
    forget(state, message);
    let lane = &mut state.writers[writer].lanes[shard];
    let own = config.design == Design::LearnFromLateAnswers && !awaited;
    let asked = if own { asked } else { lane.call.unwrap_or_default() };
    if lane.learn(config.design, held, incarnation, asked) {
        state.witness.0 |= Witness::HEALING;
    }
    renew(state, writer, shard);
    if !own {
        stop_waiting(config, state, writer, shard);
    }
}

/// A sight that is new was not old when any call on its way was asked.
fn renew(state: &mut State, of_writer: usize, of_shard: usize) {
    let lane = &mut state.writers[of_writer].lanes[of_shard];
    let old = lane.old();
    lane.call = lane.call.map(|asked| asked & old);
    for message in &mut state.network {
        if let Message::Call { writer, shard, asked, .. } | Message::Answer { writer, shard, asked, .. } = message
            && (*writer, *shard) == (of_writer, of_shard)
        {
            *asked &= old;
        }
    }
}

/// From now on the messages of the lane's call are late.
pub(super) fn stop_waiting(config: &Config, state: &mut State, of_writer: usize, of_shard: usize) {
    state.writers[of_writer].lanes[of_shard].call = None;
    let late_answers = config.design.believes_late_answers();
    state.network.retain_mut(|message| match message {
        Message::Call { writer, shard, awaited, .. } if (*writer, *shard) == (of_writer, of_shard) => {
            *awaited = false;
            true
        }
        Message::Answer { writer, shard, awaited, .. } if (*writer, *shard) == (of_writer, of_shard) => {
            *awaited = false;
            late_answers
        }
        _ => true,
    });
}
