//! Brings what is the same in effect into one form, so that it counts as one state.

use super::config::Config;
use super::flusher::{Stage, View};
use super::shard::{Shard, TAGS};
use super::state::{Round, State};

/// Sorts what has no order, forgets writers that nobody can name any more, renumbers tags.
pub(super) fn normalise(config: &Config, state: &mut State) {
    for data in state.shards.iter_mut().flat_map(Shard::states_mut) {
        data.moves.sort_unstable();
    }
    state.flushers.sort_unstable();
    forget_writers(state);
    renumber_rounds(config, state);
    for source in 0..config.shards {
        renumber_tags(state, source);
    }
}

/// The applied sets keep a writer for a year: here as long as its move is stored or carried anywhere.
fn forget_writers(state: &mut State) {
    let known = state.known_moves().fold(0, |bits, (_, writer)| bits | 1_u16 << writer);
    for data in state.shards.iter_mut().flat_map(Shard::states_mut) {
        data.applied &= known;
    }
}

/// Rounds are only compared and counted on: the lowest may be 0.
fn renumber_rounds(config: &Config, state: &mut State) {
    let mut lowest = Round::MAX;
    rounds(config, state, |round| lowest = lowest.min(*round));
    if lowest > 0 {
        rounds(config, state, |round| *round -= lowest);
    }
}

/// Every round that is written or read somewhere.
fn rounds(config: &Config, state: &mut State, mut each: impl FnMut(&mut Round)) {
    for shard in &mut state.shards[..config.shards] {
        let crashes = shard.crashes_left > 0;
        let Shard { live, safe, kept, .. } = shard;
        let safe = crashes.then_some(safe);
        [live].into_iter().chain(safe).chain(kept).for_each(|data| each(&mut data.round));
    }
    for flusher in &mut state.flushers {
        match &mut flusher.stage {
            Stage::Looking(View { round, .. })
            | Stage::Marking { round, .. }
            | Stage::Cleaning { round, .. }
            | Stage::Settling { round } => each(round),
            _ => {}
        }
    }
}

/// Tags are only compared, so that a gap among those of one source means nothing.
fn renumber_tags(state: &mut State, source: usize) {
    let used = used_tags(state, source);
    if (1..TAGS).skip_while(|&tag| used[tag]).all(|tag| !used[tag]) {
        return;
    }
    let mut names = [0_u8; TAGS];
    for tag in 1..TAGS {
        names[tag] = names[tag - 1] + u8::from(used[tag]);
    }
    let rename = |tag: &mut u8| *tag = names[usize::from(*tag)];
    let shift = |fields: &mut [u8; TAGS]| {
        for tag in (1..TAGS).filter(|&tag| used[tag] && usize::from(names[tag]) != tag) {
            fields[usize::from(names[tag])] = std::mem::take(&mut fields[tag]);
        }
    };
    for (number, shard) in (0..).zip(&mut state.shards) {
        for data in shard.states_mut() {
            shift(&mut data.page.into[source]);
            if number == source {
                shift(&mut data.page.out);
                rename(&mut data.tag);
                data.moves.iter_mut().for_each(|it| rename(&mut it.tag));
            }
        }
    }
    for flusher in &mut state.flushers {
        match &mut flusher.stage {
            Stage::Carrying { from, it } if *from == source => rename(&mut it.tag),
            Stage::Cleaning { tags, .. } | Stage::Looking(View { tags, .. }) => rename(&mut tags[source]),
            _ => {}
        }
    }
    if let Some(reader) = &mut state.reader {
        for tag in (1..TAGS).filter(|&tag| used[tag] && usize::from(names[tag]) != tag) {
            reader.net[source][usize::from(names[tag])] = std::mem::take(&mut reader.net[source][tag]);
        }
    }
}

fn used_tags(state: &State, source: usize) -> [bool; TAGS] {
    let mut used = [false; TAGS];
    for data in state.shards.iter().flat_map(Shard::states) {
        for tag in (1..TAGS).filter(|&tag| data.page.into[source][tag] > 0) {
            used[tag] = true;
        }
    }
    for data in state.shards[source].states() {
        used[usize::from(data.tag)] = true;
        data.moves.iter().for_each(|it| used[usize::from(it.tag)] = true);
        for tag in (1..TAGS).filter(|&tag| data.page.out[tag] > 0) {
            used[tag] = true;
        }
    }
    for flusher in &state.flushers {
        match flusher.stage {
            Stage::Carrying { from, it } if from == source => used[usize::from(it.tag)] = true,
            Stage::Cleaning { tags, .. } | Stage::Looking(View { tags, .. }) => used[usize::from(tags[source])] = true,
            _ => {}
        }
    }
    if let Some(reader) = &state.reader {
        for tag in (1..TAGS).filter(|&tag| reader.net[source][tag] != 0) {
            used[tag] = true;
        }
    }
    used
}
