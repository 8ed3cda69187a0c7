//! Runs a state in which only flushers act, in one fair schedule, to its end.

use super::actions::Action;
use super::config::Config;
use super::flusher::{Flusher, Stage};
use super::shard::Pass;
use super::state::{State, owner};
use super::step::take;

/// Minutes that are certainly enough: three rounds, of which each needs six.
const ROUNDS: usize = 30;

/// Whether a fair schedule without faults ends with everything settled and cleaned up, and the page on its owner.
pub fn can_end(config: &Config, state: &State) -> bool {
    let mut state = state.clone();
    state.reader = None;
    state.flushers = vec![Flusher { ring: config.last_ring, stage: Stage::Idle }];
    state.announcements[usize::from(config.last_ring)] = u8::MAX;
    for _ in 0..ROUNDS {
        let before = state.clone();
        run(config, &mut state);
        if state == before {
            return is_settled(config, &state) && is_clean(config, &state);
        }
    }
    false
}

/// Whether each shard is settled under the ring that remains.
fn is_settled(config: &Config, state: &State) -> bool {
    state.shards[..config.shards].iter().all(|shard| {
        let data = &shard.live;
        data.ring == config.last_ring && data.pass == Pass::Settled && !data.late
    })
}

/// Whether nothing is left of the change, and the owner has all.
fn is_clean(config: &Config, state: &State) -> bool {
    (0..).zip(&state.shards).all(|(number, shard)| {
        let page = &shard.live.page;
        let total = if number == owner(config.last_ring) { state.expected() } else { 0 };
        let fields = page.out.iter().chain(page.into.iter().flatten());
        page.total == total && shard.live.moves.is_empty() && fields.sum::<u8>() == 0
    })
}

/// A run of a flusher, and the minute after it.
fn run(config: &Config, state: &mut State) {
    for shard in 0..config.shards {
        for place in 0..state.shards[shard].live.moves.len() {
            take(config, state, Action::RenewSeen(shard, place));
        }
        deliver(config, state, shard);
    }
    all(config, state, &[Action::Look, Action::Mark, Action::Take]);
    for shard in 0..config.shards {
        for step in [Action::EndTake, Action::CleanOutAgain, Action::CleanOut] {
            take(config, state, step(shard));
        }
    }
    all(config, state, &[Action::Look, Action::CleanIn, Action::Settle]);
    (0..config.shards).for_each(|shard| take(config, state, Action::Minute(shard)));
}

/// Takes each of these steps on all shards.
fn all(config: &Config, state: &mut State, steps: &[fn(usize, usize) -> Action]) {
    for step in steps {
        (0..config.shards).for_each(|shard| take(config, state, step(0, shard)));
    }
    take(config, state, Action::CutOff(0));
}

fn deliver(config: &Config, state: &mut State, shard: usize) {
    for writer in state.shards[shard].live.moves.iter().map(|it| it.writer).collect::<Vec<_>>() {
        let place = state.shards[shard].live.moves.iter().position(|it| it.writer == writer);
        take(config, state, Action::Read(0, shard, place.unwrap_or_default()));
        for step in [Action::Deliver, Action::Conclude, Action::CutOff] {
            take(config, state, step(0));
        }
    }
}
