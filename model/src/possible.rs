//! Which steps are possible in a state.

use crate::actions::Action;
use crate::config::Config;
use crate::design::Design;
use crate::network::Message;
use crate::shard::{Data, Slot};
use crate::state::{Batch, Deliverer, SHARDS, State, WRITERS};
use crate::writer::{Entry, Lane, Parking, Status};

/// All steps possible.
pub fn possible(config: &Config, state: &State, actions: &mut Vec<Action>) {
    for writer in 0..WRITERS {
        of_writer(config, state, writer, actions);
    }
    for shard in 0..SHARDS {
        of_shard(state, shard, actions);
    }
    of_network(config, state, actions);
    of_deliverers(config, state, actions);
}

/// Whether the writer has a reason to call the shard, and no call in flight. With nothing in its outbox it
/// calls only to tell its base, as long as the shard's floor is behind it.
pub fn may_ask(state: &State, writer: usize, shard: usize) -> bool {
    let lane = &state.writers[writer].lanes[shard];
    let behind = state.shards[shard].live.applied[writer].floor < lane.sealed();
    lane.call.is_none() && (lane.outbox() != 0 || behind)
}

fn of_writer(config: &Config, state: &State, writer: usize, actions: &mut Vec<Action>) {
    if !state.writers[writer].alive {
        return;
    }
    if state.faults.deaths > 0 {
        actions.push(Action::Die(writer));
    }
    for (shard, lane) in state.writers[writer].lanes.iter().enumerate() {
        if lane.sealed() < config.batches[writer][shard] {
            actions.push(Action::Seal(writer, shard));
        }
        if may_ask(state, writer, shard) {
            actions.push(Action::Ask(writer, shard));
        }
        if lane.call.is_some() && state.faults.give_ups > 0 {
            actions.push(Action::GiveUp(writer, shard));
        }
        of_lane(config, state, writer, shard, lane, actions);
    }
}

fn of_lane(config: &Config, state: &State, writer: usize, owner: usize, lane: &Lane, actions: &mut Vec<Action>) {
    for (sequence, entry) in lane.numbered() {
        let batch = Batch { writer, owner, sequence };
        if may_age_sight(state, batch, entry) {
            actions.push(Action::AgeSight(batch));
        }
        of_parking(config, state, batch, entry, actions);
    }
}

/// Whether 60 s may be over since the sight: see the crate's documentation.
pub fn may_age_sight(state: &State, batch: Batch, entry: Entry) -> bool {
    let Status::Seen(incarnation) = entry.status else { return false };
    state.shards[batch.owner].may_be_old(incarnation, |saved| saved.applied[batch.writer].contains(batch.sequence))
}

fn of_parking(config: &Config, state: &State, batch: Batch, entry: Entry, actions: &mut Vec<Action>) {
    let holder = &state.shards[batch.holder()];
    let unknown = matches!(entry.parking, Parking::No | Parking::Maybe);
    if entry.status == Status::Unresolved && !entry.evicted && unknown && state.faults.parks > 0 {
        actions.extend([Action::Park(batch), Action::ParkUnanswered(batch)]);
    }
    let remembered = !matches!(entry.status, Status::Unsealed | Status::Forgotten);
    if !remembered || entry.evicted || state.faults.evictions == 0 {
        return;
    }
    let patient = config.design.content_waits_for_an_old_copy();
    match entry.parking {
        Parking::Acknowledged(_) if !patient => actions.push(Action::Evict(batch)),
        Parking::Acknowledged(incarnation) | Parking::Old(incarnation) if incarnation != holder.incarnation => {
            actions.push(Action::ParkAgain(batch));
        }
        Parking::Acknowledged(incarnation) => {
            let deleted = state.slot(batch) == Slot::Empty;
            let saved = |data: &Data| data.copies[batch.writer][batch.index()] != Slot::Empty;
            if deleted || holder.may_be_old(incarnation, saved) {
                actions.push(Action::AgeParking(batch));
            }
        }
        Parking::Old(_) => actions.push(Action::Evict(batch)),
        Parking::No | Parking::Maybe => {}
    }
}

fn of_shard(state: &State, shard: usize, actions: &mut Vec<Action>) {
    let it = &state.shards[shard];
    if it.crashes_left > 0 {
        actions.push(Action::Crash(shard));
        if it.live != it.saved {
            actions.push(Action::Save(shard));
        }
    }
    for (batch, slot) in state.copies().filter(|(batch, _)| batch.holder() == shard) {
        if may_age_mark(state, batch, slot) {
            actions.push(Action::AgeMark(batch));
        }
    }
}

/// Whether 60 s may be over since the copy was marked.
pub fn may_age_mark(state: &State, batch: Batch, slot: Slot) -> bool {
    let Slot::Fresh(incarnation) = slot else { return false };
    state.shards[batch.owner].may_be_old(incarnation, |saved| saved.applied[batch.writer].contains(batch.sequence))
}

fn of_network(config: &Config, state: &State, actions: &mut Vec<Action>) {
    for (place, &message) in state.network.iter().enumerate() {
        if place > 0 && state.network[place - 1] == message {
            continue;
        }
        if let Message::Answer { writer, shard, awaited, .. } = message {
            // A mistaken answer needs a call in flight that it can be mistaken for.
            let lane = &state.writers[writer].lanes[shard];
            let own = config.design == Design::LearnFromLateAnswers;
            if awaited || own || lane.call.is_some() {
                actions.push(Action::Receive(message));
            }
            continue;
        }
        actions.push(Action::Execute(message));
        if state.faults.duplicates > 0 {
            actions.push(Action::ExecuteTwice(message));
        }
    }
}

fn of_deliverers(config: &Config, state: &State, actions: &mut Vec<Action>) {
    let busy = state.deliverers.iter().filter(|deliverer| **deliverer != Deliverer::Idle).count();
    if busy < config.deliverers {
        actions.extend(state.copies().map(|(batch, _)| Action::Read(batch)));
    }
    for (place, deliverer) in state.deliverers.iter().enumerate() {
        match deliverer {
            Deliverer::Idle => {}
            Deliverer::Read(..) => {
                actions.push(Action::Deliver(place));
                if state.faults.give_ups > 0 {
                    actions.push(Action::DeliverLate(place));
                }
            }
            Deliverer::Answered { .. } => actions.extend([Action::Conclude(place), Action::Abandon(place)]),
        }
    }
}
