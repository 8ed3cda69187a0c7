//! Which steps may be possible in a state. [`super::step`] looks closer: a step that changes nothing is none.

use super::actions::Action;
use super::config::Config;
use super::design::Design;
use super::flusher::Stage;
use super::shard::Pass;
use super::state::State;

/// All steps that may be possible.
pub fn possible(config: &Config, state: &State, actions: &mut Vec<Action>) {
    actions.extend((0..config.visits.len()).map(Action::Apply));
    for shard in 0..config.shards {
        of_shard(config, state, shard, actions);
    }
    for (place, flusher) in state.flushers.iter().enumerate() {
        // Of flushers that are alike, one will do.
        if place == 0 || state.flushers[place - 1] != *flusher {
            of_flusher(config, state, place, actions);
        }
    }
}

fn of_shard(config: &Config, state: &State, shard: usize, actions: &mut Vec<Action>) {
    let it = &state.shards[shard];
    actions.push(Action::Minute(shard));
    if it.crashes_left > 0 {
        actions.push(Action::Crash(shard, false));
        actions.extend(it.kept.as_ref().map(|_| Action::Crash(shard, true)));
    }
    if config.deep_crashes && it.crashes_left > 1 && it.live != it.safe {
        actions.push(Action::Keep(shard));
    }
    actions.extend((0..it.live.moves.len()).map(|place| Action::RenewSeen(shard, place)));
    if state.flushers.iter().any(|flusher| flusher.ring == it.live.ring) {
        actions.extend(match it.live.pass {
            Pass::Take { .. } => Some(Action::EndTake(shard)),
            Pass::Out => Some(Action::CleanOut(shard)),
            Pass::Cleaned(_) => Some(Action::CleanOutAgain(shard)),
            Pass::Settled => None,
        });
    }
    match &state.reader {
        None if state.reads > 0 => actions.push(Action::Ask(shard)),
        Some(reader) if reader.seen & (1 << shard) == 0 => actions.push(Action::Ask(shard)),
        _ => {}
    }
    if config.design == Design::ForgetRecord {
        let deleted = |writer| !state.shards.iter().any(|shard| shard.live.moves.iter().any(|it| it.writer == writer));
        let writers = (0..16).filter(|writer| it.live.applied & (1 << writer) != 0);
        actions.extend(writers.filter(|&writer| deleted(writer)).map(|writer| Action::Forget(shard, writer)));
    }
}

fn of_flusher(config: &Config, state: &State, place: usize, actions: &mut Vec<Action>) {
    let shards = 0..config.shards;
    match state.flushers[place].stage {
        Stage::Idle => {
            for shard in shards {
                if shard == 0 || !config.looks_at_once {
                    actions.push(Action::Look(place, shard));
                }
                let moves = 0..state.shards[shard].live.moves.len();
                actions.extend(moves.map(|it| Action::Read(place, shard, it)));
            }
            return;
        }
        Stage::Looking(view) => {
            let left = shards.filter(|shard| view.seen & (1 << shard) == 0);
            actions.extend(left.map(|shard| Action::Look(place, shard)));
        }
        Stage::Marking { .. } => {
            for shard in shards {
                actions.extend([Action::Mark(place, shard), Action::Take(place, shard)]);
            }
        }
        Stage::Cleaning { .. } => {
            for shard in shards {
                actions.extend([Action::CleanIn(place, shard), Action::Settle(place, shard)]);
            }
        }
        Stage::Carrying { .. } => actions.extend([Action::Deliver(place), Action::DeliverUnanswered(place)]),
        Stage::Marks { .. } | Stage::Deletes { .. } => actions.push(Action::Conclude(place)),
    }
    actions.push(Action::CutOff(place));
}
