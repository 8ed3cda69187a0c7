//! The steps. One that is not possible does nothing.

mod flush;
mod moves;

use super::actions::Action;
use super::config::Config;
use super::design::Design;
use super::flusher::{Stage, View};
use super::shard::{Data, Mark, Pass};
use super::state::{Reader, Ring, Round, State, owner};

/// Takes a step.
pub fn take(config: &Config, state: &mut State, action: Action) {
    match action {
        Action::Apply(visit) => apply(config, state, visit),
        Action::Look(flusher, shard) => flush::look(config, state, flusher, shard),
        Action::Mark(flusher, shard) => flush::mark(config, state, flusher, shard),
        Action::Take(flusher, shard) => flush::take(config, state, flusher, shard),
        Action::CleanIn(flusher, shard) => flush::clean_in(config, state, flusher, shard),
        Action::Settle(flusher, shard) => flush::settle(config, state, flusher, shard),
        Action::Read(flusher, shard, place) => moves::read(config, state, flusher, shard, place),
        Action::Deliver(flusher) => moves::deliver(config, state, flusher, true),
        Action::DeliverUnanswered(flusher) => moves::deliver(config, state, flusher, false),
        Action::Conclude(flusher) => moves::conclude(state, flusher),
        Action::CutOff(flusher) => state.flushers[flusher].stage = Stage::Idle,
        Action::RenewSeen(shard, place) => moves::renew_seen(state, shard, place),
        Action::EndTake(shard) => end_take(&mut state.shards[shard].live),
        Action::CleanOut(shard) => clean_out(config.design, state, shard),
        Action::CleanOutAgain(shard) => {
            let pass = &mut state.shards[shard].live.pass;
            if *pass == Pass::Cleaned(Mark::Void) {
                *pass = Pass::Out;
            }
        }
        Action::Minute(shard) => {
            state.shards[shard].save();
            // A read lasts less than a minute: no mark that is made meanwhile becomes old meanwhile.
            if state.reader.is_none() {
                state.marks_of(shard, Mark::age);
            }
        }
        Action::Keep(shard) => state.shards[shard].kept = Some(state.shards[shard].live.clone()),
        Action::Crash(shard, kept) => crash(state, shard, kept),
        Action::Ask(shard) => ask(config, state, shard),
        Action::Forget(shard, writer) => state.shards[shard].live.applied &= !(1 << writer),
    }
    let expected = state.expected();
    if let Some(reader) = &mut state.reader {
        (reader.least, reader.most) = (reader.least.min(expected), reader.most.max(expected));
    }
    super::normal::normalise(config, state);
}

/// The batch protocol's promise: once on its shard, unless a crash has taken it back.
fn apply(config: &Config, state: &mut State, number: usize) {
    let visit = config.visits[number];
    let data = &mut state.shards[visit.shard].live;
    if data.visits & (1 << number) == 0 {
        data.visits |= 1 << number;
        data.page.total += 1;
        if differs(visit.ring, data.ring) {
            write_late(config.design, data);
        }
    }
}

/// Notes a write by another ring.
fn write_late(design: Design, data: &mut Data) {
    data.late = true;
    if let Pass::Take { scanned } = &mut data.pass {
        *scanned &= design == Design::LateUnchecked;
    }
}

/// Returns whether a call by the first ring counts as late where the second is in force.
fn differs(mine: Ring, in_force: Ring) -> bool {
    in_force != 0 && mine != in_force
}

/// The end of the first stage: no move is left, and nothing was written late since the scan.
fn end_take(data: &mut Data) {
    if data.pass == (Pass::Take { scanned: true }) && data.moves.is_empty() {
        data.pass = Pass::Out;
        data.late = false;
    }
}

fn clean_out(design: Design, state: &mut State, shard: usize) {
    let data = &mut state.shards[shard].live;
    if data.pass != Pass::Out || (data.late && design != Design::LateUnchecked) {
        return;
    }
    let round: Round = data.round;
    Data::clean(&mut data.page.out, round);
    data.pass = Pass::Cleaned(Mark::Fresh);
    if design == Design::OutAndInTogether {
        state.shards.iter_mut().for_each(|other| Data::clean(&mut other.live.page.into[shard], round));
    }
}

fn crash(state: &mut State, shard: usize, kept: bool) {
    state.shards[shard].crash(kept);
    state.marks_of(shard, Mark::void);
    for flusher in &mut state.flushers {
        match &mut flusher.stage {
            Stage::Marks { to, void, .. } => *void |= *to == shard,
            Stage::Looking(View { seen, void, .. }) => *void |= *seen & (1 << shard),
            Stage::Cleaning { void, .. } => *void |= 1 << shard,
            _ => {}
        }
    }
}

fn ask(config: &Config, state: &mut State, shard: usize) {
    let expected = state.expected();
    let mut reader = state.reader.take().unwrap_or_else(|| {
        state.reads -= 1;
        Reader { least: expected, most: expected, ..Reader::default() }
    });
    reader.read(shard, &state.shards[shard].live);
    if usize::from(reader.seen) + 1 < 1 << config.shards {
        state.reader = Some(reader);
        return;
    }
    let count = reader.count(config.design != Design::NoMax);
    state.misread |= count < reader.least.cast_signed() || count > reader.most.cast_signed();
}

/// Whether the ring places the page elsewhere than on this shard.
fn misplaced(ring: Ring, shard: usize) -> bool {
    owner(ring) != shard
}
