//! Moves: read, delivered, marked, deleted.

use super::super::config::Config;
use super::super::design::Design;
use super::super::flusher::Stage;
use super::super::shard::{Mark, Move};
use super::super::state::State;
use super::{differs, misplaced, write_late};

pub(super) fn read(config: &Config, state: &mut State, flusher: usize, from: usize, place: usize) {
    let Some(it) = state.shards[from].live.moves.get(place).copied() else { return };
    let ready = match it.seen {
        Mark::Old => true,
        Mark::Void => config.design == Design::SeenAcrossCrash,
        _ => config.design == Design::DeliverAtOnce,
    };
    let idle = &mut state.flushers[flusher].stage;
    if ready && *idle == Stage::Idle {
        // Once it may be delivered it may be so for ever.
        let it = Move { seen: Mark::Old, ..it };
        *idle = Stage::Carrying { from, it };
    }
}

pub(super) fn deliver(config: &Config, state: &mut State, flusher: usize, answered: bool) {
    let ring = state.flushers[flusher].ring;
    let Stage::Carrying { from, it } = state.flushers[flusher].stage else { return };
    let data = &mut state.shards[it.to].live;
    let fresh = data.applied & (1 << it.writer) == 0;
    if fresh {
        data.applied |= 1 << it.writer;
        data.page.total += it.sum;
        data.page.into[from][usize::from(it.round)] += it.sum;
        let late = differs(ring, data.ring) || (data.ring != 0 && misplaced(ring, it.to));
        if late && config.design != Design::DeliveryNeverLate {
            write_late(config.design, data);
        }
    }
    if !answered {
        return;
    }
    let writer = it.writer;
    state.flushers[flusher].stage = match it.delivered {
        _ if config.design == Design::DeleteAtDelivery => Stage::Deletes { from, writer },
        Mark::Old if !fresh => Stage::Deletes { from, writer },
        Mark::Void if !fresh && config.design == Design::DeliveredAcrossCrash => Stage::Deletes { from, writer },
        Mark::Fresh if !fresh => Stage::Idle,
        _ => Stage::Marks { from, writer, to: it.to, void: false },
    };
}

pub(super) fn conclude(state: &mut State, flusher: usize) {
    match state.flushers[flusher].stage {
        Stage::Marks { from, writer, void, .. } => {
            let moves = &mut state.shards[from].live.moves;
            if let Some(it) = moves.iter_mut().find(|it| it.writer == writer) {
                it.delivered = if void { Mark::Void } else { Mark::Fresh };
            }
        }
        Stage::Deletes { from, writer } => state.shards[from].live.moves.retain(|it| it.writer != writer),
        _ => {}
    }
}

pub(super) fn renew_seen(state: &mut State, shard: usize, place: usize) {
    if let Some(it) = state.shards[shard].live.moves.get_mut(place)
        && it.seen == Mark::Void
    {
        it.seen = Mark::Fresh;
    }
}
