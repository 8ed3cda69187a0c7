//! What a flusher does that takes more than one shard into account.

use super::super::config::Config;
use super::super::design::Design;
use super::super::shard::{Data, Mark, Move, Pass};
use super::super::state::{Stage, State};
use super::{cleaned_below, misplaced};

/// Reads a shard's record.
pub(super) fn look(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let (data, bit) = (&state.shards[shard].live, 1 << shard);
    let ring = state.flushers[flusher].ring;
    let settled_somewhere = state.shards[..config.shards].iter().any(|shard| shard.live.pass == Pass::Settled);
    let stage = &mut state.flushers[flusher].stage;
    let old = is_old(config.design, data.pass);
    let ended = matches!(data.pass, Pass::Settled | Pass::Done);
    let anew = data.ring != ring || (ended && data.late) || matches!(data.pass, Pass::Take { .. });
    *stage = match *stage {
        Stage::Idle if anew => Stage::Marking { seen: 0, anew: true },
        Stage::Idle if old => cleaning(config.design, 0, [0; 3], shard, data),
        Stage::Idle if ended => Stage::Settling { seen: bit },
        Stage::Idle if settled_somewhere => Stage::Marking { seen: 0, anew: false },
        Stage::Cleaning { seen, tags } if !anew && (old || data.pass == Pass::Done) => {
            cleaning(config.design, seen, tags, shard, data)
        }
        Stage::Cleaning { .. } if !anew && data.pass == Pass::Settled => Stage::Marking { seen: 0, anew: false },
        Stage::Settling { seen } if !anew && ended => Stage::Settling { seen: seen | bit },
        other => other,
    };
}

fn cleaning(design: Design, seen: u8, mut tags: [u8; 3], shard: usize, data: &Data) -> Stage {
    tags[shard] = cleaned_below(design, data.tag);
    Stage::Cleaning { seen: seen | 1 << shard, tags }
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

/// Marks a shard, if it is not under way to the same end already.
pub(super) fn mark(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let ring = state.flushers[flusher].ring;
    let Stage::Marking { seen, anew } = &mut state.flushers[flusher].stage else { return };
    let data = &mut state.shards[shard].live;
    let foreign = data.ring != ring;
    let left = &mut state.announcements[usize::from(ring)];
    if foreign && *left == 0 {
        return;
    }
    *seen |= 1 << shard;
    let ended = data.pass == Pass::Settled || (*anew && data.pass == Pass::Done);
    if foreign || ended && (config.design != Design::MarkOnlyForeign || data.late) {
        (data.ring, data.late, data.pass) = (ring, false, Pass::Take { scanned: false });
    }
    if foreign && *left < u8::MAX {
        *left -= 1;
    }
}

/// Scans a shard.
pub(super) fn take(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let ring = state.flushers[flusher].ring;
    let Stage::Marking { seen, .. } = state.flushers[flusher].stage else { return };
    let marked = config.design == Design::TakeBeforeAllMarked || all(config, seen);
    let data = &state.shards[shard].live;
    let taking = data.ring == ring && matches!(data.pass, Pass::Take { .. });
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
    let applied = state.shards.iter().flat_map(super::super::shard::Shard::states).fold(0, |bits, it| bits | it.applied);
    (0..16).filter(move |writer| applied & (1 << writer) != 0)
}

/// Deletes old `in:` fields. The call may be late: what it deletes may go at any later time as well.
pub(super) fn clean_in(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let ring = state.flushers[flusher].ring;
    let Stage::Cleaning { seen, tags } = state.flushers[flusher].stage else { return };
    if !all(config, seen) {
        return;
    }
    let data = &mut state.shards[shard].live;
    for (fields, tag) in data.page.into.iter_mut().zip(tags) {
        Data::clean(fields, tag);
    }
    let unchecked = config.design == Design::OwnMarkUnchecked && matches!(data.pass, Pass::Cleaned(_));
    if data.ring == ring && (unchecked || is_old(config.design, data.pass)) {
        data.pass = Pass::Done;
    }
}

/// Settles a shard. Late writes since its take pass are not forgotten.
pub(super) fn settle(config: &Config, state: &mut State, flusher: usize, shard: usize) {
    let ring = state.flushers[flusher].ring;
    let Stage::Settling { seen } = state.flushers[flusher].stage else { return };
    let data = &mut state.shards[shard].live;
    if all(config, seen) && data.ring == ring && data.pass == Pass::Done {
        data.pass = Pass::Settled;
    }
}

fn all(config: &Config, seen: u8) -> bool {
    usize::from(seen) + 1 == 1 << config.shards
}
