//! Steps of a flusher that take more than one shard into account.

use super::super::config::Config;
use super::super::design::Design;
use super::super::flusher::{Flusher, Stage, View};
use super::super::shard::{Data, Mark, Move, Pass, Shard};
use super::super::state::State;
use super::misplaced;

/// Reads a shard's record, or all from this one on.
pub(super) fn look(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let last = if config.looks_at_once { config.shards - 1 } else { shard };
    (shard..=last).for_each(|shard| look_at(config, state, flusher, shard));
}

fn look_at(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let data = &state.shards[shard].live;
    let Flusher { ring, stage } = &mut state.flushers[flusher];
    let mut view = match *stage {
        Stage::Idle => View { round: data.round, ..View::default() },
        Stage::Looking(view) if view.seen & (1 << shard) == 0 => view,
        _ => return,
    };
    let (settled, taking) = (data.pass == Pass::Settled, matches!(data.pass, Pass::Take { .. }));
    let late = data.late && !taking && config.design != Design::LateUnchecked;
    view.seen |= 1 << shard;
    view.note(View::MIXED, view.round != data.round);
    if data.round > view.round {
        view.round = data.round;
        view.found &= !(View::DUE | View::ENDED);
    }
    let highest = data.round == view.round;
    view.note(View::DUE, highest && (data.ring != *ring || late));
    view.note(View::ENDED, highest && settled);
    view.note(View::TAKING, taking);
    view.note(View::UNCLEANED, !settled && !is_old(config.design, data));
    view.note(View::UNSETTLED, !settled);
    *stage = Stage::Looking(view);
    if all(config, view.seen) {
        begin(config, state, flusher, view);
    }
}

/// Begins what the records ask for.
fn begin(config: &Config, state: &mut State, flusher: usize, view: View) {
    let Flusher { ring, stage } = &mut state.flushers[flusher];
    let left = &mut state.announcements[usize::from(*ring)];
    let View { round, seen, void, .. } = view;
    let due = view.has(View::DUE) || (view.has(View::MIXED) && view.has(View::ENDED));
    *stage = if due && *left > 0 {
        *left -= u8::from(*left < u8::MAX);
        Stage::Marking { round: round + u8::from(config.design.has_rounds()), seen: 0 }
    } else if due {
        Stage::Idle
    } else if view.has(View::MIXED) || (!config.design.has_rounds() && view.has(View::TAKING) && view.has(View::ENDED))
    {
        Stage::Marking { round, seen: 0 }
    } else if view.has(View::TAKING) {
        Stage::Marking { round, seen }
    } else if !view.has(View::UNCLEANED) && view.has(View::UNSETTLED) {
        Stage::Cleaning { round, seen: 0, void }
    } else {
        Stage::Idle
    };
}

/// Whether no `out:` of a shard can come back: nothing was taken, or it is cleaned, for 60 s, in the same run of its server.
fn is_old(design: Design, data: &Data) -> bool {
    match data.pass {
        Pass::Cleaned(_) if !data.taken => true,
        Pass::Cleaned(Mark::Old) => true,
        Pass::Cleaned(Mark::Fresh) => design == Design::InWithoutWait,
        Pass::Cleaned(Mark::Void) => design == Design::CleanedAcrossCrash,
        _ => false,
    }
}

/// Marks a shard for the flusher's round, if it is not marked. One that is in a later round, or in the same with
/// another ring, ends the attempt.
pub(super) fn mark(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let Flusher { ring, stage } = &mut state.flushers[flusher];
    let Stage::Marking { round, seen } = stage else { return };
    let data = &mut state.shards[shard].live;
    let taking = matches!(data.pass, Pass::Take { .. });
    let foreign = data.ring != *ring;
    let marks = match config.design {
        Design::NoRounds => foreign || !taking,
        _ => data.round < *round,
    };
    if marks {
        (data.ring, data.late, data.round) = (*ring, false, *round);
        data.pass = Pass::Take { scanned: false };
    } else if data.round > *round || foreign {
        *stage = Stage::Idle;
        return;
    }
    *seen |= 1 << shard;
}

/// Scans a shard.
pub(super) fn take(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let ring = state.flushers[flusher].ring;
    let Stage::Marking { round, seen } = state.flushers[flusher].stage else { return };
    let marked = config.design == Design::TakeBeforeAllMarked || all(config, seen);
    let data = &state.shards[shard].live;
    let taking = (data.ring, data.round) == (ring, round) && matches!(data.pass, Pass::Take { .. });
    if !marked || (!taking && config.design != Design::TakeUnchecked) {
        return;
    }
    let known = state.known_moves().map(|(_, writer)| writer).chain(forgotten(state)).collect::<Vec<_>>();
    let data = &mut state.shards[shard].live;
    if taking {
        data.pass = Pass::Take { scanned: true };
    }
    if data.page.total > 0 && misplaced(ring, shard) {
        data.taken = true;
        let sum = std::mem::take(&mut data.page.total);
        data.page.out[usize::from(round)] += sum;
        let writer = (0..16).find(|writer| !known.contains(writer)).expect("few moves");
        let to = usize::from(ring) - 1;
        data.moves.push(Move { writer, to, sum, round, seen: Mark::Fresh, delivered: Mark::None });
    }
}

/// Writers that a shard remembers.
fn forgotten(state: &State) -> impl Iterator<Item = u8> {
    let applied = state.shards.iter().flat_map(Shard::states).fold(0, |bits, it| bits | it.applied);
    (0..16).filter(move |writer| applied & (1 << writer) != 0)
}

/// Deletes `in:` fields, unless the shard is elsewhere. The call may be late: what it deletes may go at any later time as well.
pub(super) fn clean_in(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let Stage::Cleaning { round, seen, void } = &mut state.flushers[flusher].stage else { return };
    let data = &mut state.shards[shard].live;
    if data.round == *round && matches!(data.pass, Pass::Cleaned(_) | Pass::Settled) {
        data.page.into.iter_mut().for_each(|fields| Data::clean(fields, *round));
        *seen |= (1 << shard) & if config.design == Design::OwnRunUnchecked { u8::MAX } else { !*void };
    }
}

/// Settles a shard, once all are clean, if it is where it was read, in the same run of its server.
pub(super) fn settle(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let Flusher { ring, stage } = state.flushers[flusher];
    let Stage::Cleaning { round, seen, void } = stage else { return };
    let data = &mut state.shards[shard].live;
    let same_run = void & (1 << shard) == 0 || config.design == Design::OwnRunUnchecked;
    let cleaned = matches!(data.pass, Pass::Cleaned(_));
    let late = data.late && config.design != Design::LateUnchecked;
    if all(config, seen) && same_run && (data.ring, data.round, cleaned, late) == (ring, round, true, false) {
        data.pass = Pass::Settled;
        data.taken = false;
    }
}

fn all(config: &Config, seen: u8) -> bool {
    usize::from(seen) + 1 == 1 << config.shards
}
