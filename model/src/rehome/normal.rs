//! Brings what is the same in effect into one form, so that it counts as one state.

use super::config::Config;
use super::flusher::{Stage, View};
use super::shard::{Data, Move, ROUNDS, Shard};
use super::state::{Round, State};

/// Sorts what has no order, forgets writers that nothing names any more, renumbers rounds.
pub(super) fn normalise(config: &Config, state: &mut State) {
    for data in state.shards.iter_mut().flat_map(Shard::states_mut) {
        data.moves.sort_unstable();
    }
    state.flushers.sort_unstable();
    forget_writers(state);
    renumber_rounds(config, state);
}

/// The applied sets keep a writer for a year: here as long as its move is stored or carried anywhere.
fn forget_writers(state: &mut State) {
    let known = state.known_moves().fold(0, |bits, (_, writer)| bits | 1_u16 << writer);
    for data in state.shards.iter_mut().flat_map(Shard::states_mut) {
        data.applied &= known;
    }
}

/// Rounds are only compared, and a new one is above all: a gap among them means nothing.
fn renumber_rounds(config: &Config, state: &mut State) {
    let mut used = [false; ROUNDS];
    rounds(config, state, |round| used[usize::from(*round)] = true);
    fields(config, state, |fields| {
        for round in (0..ROUNDS).filter(|&round| fields[round] != 0) {
            used[round] = true;
        }
    });
    if (0..ROUNDS).skip_while(|&round| used[round]).all(|round| !used[round]) {
        return;
    }
    let mut names = [0; ROUNDS];
    for (name, round) in (0..ROUNDS).filter(|&round| used[round]).enumerate() {
        names[round] = name;
    }
    rounds(config, state, |round| *round = Round::try_from(names[usize::from(*round)]).unwrap_or_default());
    fields(config, state, |fields| {
        let before = std::mem::take(fields);
        for round in (0..ROUNDS).filter(|&round| used[round]) {
            fields[names[round]] = before[round];
        }
    });
}

/// Everything that a crash may leave, or that is there.
fn all_data<'a>(config: &Config, state: &'a mut State) -> impl Iterator<Item = &'a mut Data> {
    state.shards[..config.shards].iter_mut().flat_map(|shard| {
        let crashes = shard.crashes_left > 0;
        let Shard { live, safe, kept, .. } = shard;
        [live].into_iter().chain(crashes.then_some(safe)).chain(kept)
    })
}

/// Every round that is written or read somewhere.
fn rounds(config: &Config, state: &mut State, mut each: impl FnMut(&mut Round)) {
    for data in all_data(config, state) {
        each(&mut data.round);
        data.moves.iter_mut().for_each(|it| each(&mut it.round));
    }
    for flusher in &mut state.flushers {
        match &mut flusher.stage {
            Stage::Looking(View { round, .. })
            | Stage::Marking { round, .. }
            | Stage::Cleaning { round, .. }
            | Stage::Carrying { it: Move { round, .. }, .. } => each(round),
            _ => {}
        }
    }
}

/// All fields by round, as numbers with a sign.
fn fields(config: &Config, state: &mut State, mut each: impl FnMut(&mut [i8; ROUNDS])) {
    let mut unsigned = |fields: &mut [u8; ROUNDS]| {
        let mut signed = fields.map(u8::cast_signed);
        each(&mut signed);
        *fields = signed.map(i8::cast_unsigned);
    };
    for data in all_data(config, state) {
        unsigned(&mut data.page.out);
        data.page.into.iter_mut().for_each(&mut unsigned);
    }
    if let Some(reader) = &mut state.reader {
        reader.net.iter_mut().for_each(each);
    }
}
