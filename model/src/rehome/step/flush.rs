//! What a flusher does that takes more than one shard into account.

use super::super::config::Config;
use super::super::design::Design;
use super::super::flusher::{Flusher, Stage, View};
use super::super::shard::{Data, Mark, Move, Pass, Shard};
use super::super::state::State;
use super::{cleaned_below, misplaced};

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
    let ended = matches!(data.pass, Pass::Settled | Pass::Done);
    view.seen |= 1 << shard;
    view.note(View::MIXED, view.round != data.round);
    if data.round > view.round {
        view.round = data.round;
        view.found &= !(View::DUE | View::ENDED);
    }
    let highest = data.round == view.round;
    view.note(View::DUE, highest && (data.ring != *ring || (ended && data.late)));
    view.note(View::ENDED, highest && ended);
    view.note(View::TAKING, matches!(data.pass, Pass::Take { .. }));
    view.note(View::UNCLEANED, !ended && !is_old(config.design, data.pass));
    view.note(View::UNDONE, !ended);
    view.note(View::DONE, data.pass == Pass::Done);
    view.tags[shard] = cleaned_below(config.design, data.tag);
    *stage = Stage::Looking(view);
    if all(config, view.seen) {
        begin(config, state, flusher, view);
    }
}

/// Begins what the records ask for.
fn begin(config: &Config, state: &mut State, flusher: usize, view: View) {
    let rounds = config.design.has_rounds();
    let Flusher { ring, stage } = &mut state.flushers[flusher];
    let left = &mut state.announcements[usize::from(*ring)];
    let View { round, tags, seen, .. } = view;
    let due = view.has(View::DUE) || (view.has(View::MIXED) && view.has(View::ENDED));
    *stage = if due && *left > 0 {
        *left -= u8::from(*left < u8::MAX);
        Stage::Marking { round: round + u8::from(rounds), seen: 0 }
    } else if due {
        Stage::Idle
    } else if view.has(View::MIXED) || (!rounds && view.has(View::TAKING) && view.has(View::ENDED)) {
        Stage::Marking { round, seen: 0 }
    } else if view.has(View::TAKING) {
        Stage::Marking { round, seen }
    } else if !view.has(View::UNDONE) && view.has(View::DONE) {
        Stage::Settling { round }
    } else if !view.has(View::UNCLEANED) && view.has(View::UNDONE) {
        Stage::Cleaning { round, tags }
    } else {
        Stage::Idle
    };
}

/// Whether a shard is cleaned, for 60 s, in the same run of its server.
fn is_old(design: Design, pass: Pass) -> bool {
    match pass {
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
    let ended = matches!(data.pass, Pass::Settled | Pass::Done);
    let foreign = data.ring != *ring;
    let marks = match config.design {
        Design::NoRounds | Design::OwnMarkUnchecked => foreign || ended,
        Design::MarkOnlyForeign => foreign || (ended && data.late),
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
        data.tag = data.tag.max(1);
        let sum = std::mem::take(&mut data.page.total);
        data.page.out[usize::from(data.tag)] += sum;
        let writer = (0..16).find(|writer| !known.contains(writer)).expect("few moves");
        let to = usize::from(ring) - 1;
        data.moves.push(Move { writer, to, sum, tag: data.tag, seen: Mark::Fresh, delivered: Mark::None });
    }
}

/// Writers that a shard remembers.
fn forgotten(state: &State) -> impl Iterator<Item = u8> {
    let applied = state.shards.iter().flat_map(Shard::states).fold(0, |bits, it| bits | it.applied);
    (0..16).filter(move |writer| applied & (1 << writer) != 0)
}

/// Deletes old `in:` fields. The call may be late: what it deletes may go at any later time as well.
pub(super) fn clean_in(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let ring = state.flushers[flusher].ring;
    let Stage::Cleaning { round, tags } = state.flushers[flusher].stage else { return };
    let data = &mut state.shards[shard].live;
    for (fields, tag) in data.page.into.iter_mut().zip(tags) {
        Data::clean(fields, tag);
    }
    let unchecked = config.design == Design::OwnMarkUnchecked && matches!(data.pass, Pass::Cleaned(_));
    if (data.ring, data.round) == (ring, round) && (unchecked || is_old(config.design, data.pass)) {
        data.pass = Pass::Done;
    }
}

/// Settles a shard. Late writes since its take pass are not forgotten.
pub(super) fn settle(state: &mut State, flusher: usize, shard: usize) {
    let ring = state.flushers[flusher].ring;
    let Stage::Settling { round } = state.flushers[flusher].stage else { return };
    let data = &mut state.shards[shard].live;
    if (data.ring, data.round, data.pass) == (ring, round, Pass::Done) {
        data.pass = Pass::Settled;
    }
}

fn all(config: &Config, seen: u8) -> bool {
    usize::from(seen) + 1 == 1 << config.shards
}
