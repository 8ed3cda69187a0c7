//! Properties that must hold.

use super::config::Config;
use super::design::Design;
use super::drain::can_end;
use super::flusher::Stage;
use super::model::RehomeModel;
use super::shard::Pass;
use super::state::{Ring, State, owner};
use stateright::Property;

/// A read of all shards at once is never above the visits applied and not lost by a crash.
pub const NEVER_DOUBLED: &str = "no move counts anything twice";
/// A count is never below the visits.
pub const NOTHING_LOST: &str = "no move loses anything";
/// A read of one shard after the other lies between what there was at its start and at its end.
pub const READS_EXACT: &str = "reads of one shard after the other are exact";
/// A read of the owner alone, allowed by its ring and no `moving`, has all but visits of other rings' writers.
pub const OWNER_EXACT: &str = "an owner's count that a reader may trust is exact";
/// When every shard is settled under one ring, and none knows of late writes, the owner has everything.
pub const SETTLED_EXACT: &str = "settled shards hold everything where it belongs";
/// From every state, fair runs of flushers without further crashes end with everything settled and cleaned up.
pub const CAN_END: &str = "without further faults the change ends";

type Claim = Property<RehomeModel>;

/// All properties of a configuration.
pub fn all(witness: bool) -> Vec<Claim> {
    let mut properties = vec![
        Claim::always(NEVER_DOUBLED, |model, state| counted(model, state) <= state.expected().cast_signed()),
        Claim::always(NOTHING_LOST, |model, state| counted(model, state) >= state.expected().cast_signed()),
        Claim::always(READS_EXACT, |_, state| !state.misread),
        Claim::always(OWNER_EXACT, owners_exact),
        Claim::always(SETTLED_EXACT, settled_exact),
        Claim::always(CAN_END, |model, state| {
            let at_rest = state.flushers.iter().all(|flusher| flusher.stage == Stage::Idle) && state.reader.is_none();
            !at_rest || can_end(&model.config, state)
        }),
    ];
    if witness {
        properties.extend(witnesses());
    }
    properties
}

fn counted(model: &RehomeModel, state: &State) -> i8 {
    state.counted(model.config.design != Design::NoMax)
}

fn owners_exact(model: &RehomeModel, state: &State) -> bool {
    let rings = 1..=u8::try_from(model.config.shards).unwrap_or(0);
    rings.into_iter().all(|ring| {
        let data = &state.shards[owner(ring)].live;
        let trusted = data.ring == ring && data.pass == Pass::Settled;
        !trusted || (owed(model, state, ring) <= data.page.total && data.page.total <= state.expected())
    })
}

/// The visits that a reader with this ring must see: those of before on shards with a ring, and those of writers
/// with its own.
fn owed(model: &RehomeModel, state: &State, ring: Ring) -> u8 {
    let Config { visits, rings, .. } = &model.config;
    state.applied(|number| {
        let visit = visits[number];
        visit.ring == ring || (visit.initial && rings[visit.shard] != 0)
    })
}

fn settled_exact(model: &RehomeModel, state: &State) -> bool {
    let ring = state.shards[0].live.ring;
    let shards = || state.shards[..model.config.shards].iter().map(|shard| &shard.live);
    let settled = ring != 0 && shards().all(|it| it.ring == ring && it.pass == Pass::Settled && !it.late);
    // Before any announcement, writers with a new ring do their work unseen.
    let from_the_start = ring == model.config.rings[0] && ring != model.config.last_ring;
    !settled || from_the_start || state.shards[owner(ring)].live.page.total == state.expected()
}

fn witnesses() -> Vec<Claim> {
    vec![
        Claim::sometimes("everything settled under the last ring", |model, state| {
            let settled = |it: &super::shard::Data| it.ring == model.config.last_ring && it.pass == Pass::Settled;
            state.shards[..model.config.shards].iter().all(|shard| settled(&shard.live))
        }),
        Claim::sometimes("a crash brings a deleted move back", |_, state| {
            state.shards.iter().any(|shard| shard.live.moves.is_empty() && !shard.safe.moves.is_empty())
        }),
        Claim::sometimes("a late write makes a new round begin", |_, state| {
            state.shards.iter().any(|shard| shard.live.late && matches!(shard.live.pass, Pass::Cleaned(_)))
        }),
        Claim::sometimes("a moved page is below zero without the maximum", |_, state| {
            state.counted(false) < state.counted(true)
        }),
    ]
}
