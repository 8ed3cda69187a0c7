//! What the shards know of the ring: whether pages are moving, and whether a shard is missing from the settings.

use crate::shards::Shards;
use crate::warnings::Warnings;
use futures_util::future::try_join_all;
use std::collections::BTreeSet;
use visits_core::shard::ShardName;
use visits_core::store::StoreError;
use visits_core::store::redis::rehoming::RingState;

/// The states of shards.
pub(crate) struct Rings(pub(crate) Vec<RingState>);

impl Rings {
    /// Asks all shards.
    pub(crate) async fn ask(shards: &Shards) -> Result<Self, StoreError> {
        Ok(Self(try_join_all((0..shards.len()).map(|shard| shards.store.ring_state(shard))).await?))
    }

    /// Whether pages may have moved between the two times of asking.
    pub(crate) fn have_moved(&self, later: &Self) -> bool {
        let rings = |states: &[RingState]| states.iter().map(|state| state.ring).collect::<Vec<_>>();
        self.are_moving() || later.are_moving() || rings(&self.0) != rings(&later.0)
    }

    /// Whether a ring change is under way.
    pub(crate) fn are_moving(&self) -> bool {
        self.0.iter().any(RingState::is_moving)
    }

    /// Counts are too low if a shard that holds some is not asked, or is asked under another namespace.
    pub(crate) fn warn(&self, shards: &Shards, warnings: &mut Warnings) {
        let namespace = &shards.config.namespace;
        for shard in (0..shards.len()).filter(|&shard| shards.store.is_new(shard)) {
            let name = shards.ring.name(shard);
            warnings.add(format!("shard {name} is new: nothing was ever counted on it in the namespace {namespace}"));
        }
        let members: BTreeSet<&ShardName> = self.0.iter().flat_map(|state| &state.members).collect();
        for name in members.into_iter().filter(|name| shards.ring.index(name.as_str()).is_none()) {
            warnings
                .add(format!("shard {name} may hold counts and is not listed: list it, with ;weight=0 if it is to go"));
        }
    }
}
