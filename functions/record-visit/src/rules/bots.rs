//! Whether an agent is a bot's, remembered: a site sees the same few hundred agents again and again.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use visits_bots::{MAX_BYTES, is_bot};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Agents that are remembered, 8 bytes each; a power of two.
const SLOTS: usize = 1_024;

/// The lowest bit of a slot is the verdict, the others are the agent's hash.
const BOT: u64 = 1;

pub(super) struct Bots {
    slots: Box<[AtomicU64]>,
    /// Of this environment only: nobody outside knows which agents share a slot or a hash.
    seed: u64,
}

impl Bots {
    pub(super) fn new() -> Self {
        let slots = std::iter::repeat_with(|| AtomicU64::new(0)).take(SLOTS).collect();
        Self { slots, seed: RandomState::new().hash_one(0) }
    }

    /// Whether an agent is a bot's. A known one takes its hash and one load.
    pub(super) fn is_bot(&self, agent: &str) -> bool {
        let looked_at = &agent.as_bytes()[..agent.len().min(MAX_BYTES)];
        let hash = xxh3_64_with_seed(looked_at, self.seed);
        let known = hash & !BOT;
        let slot = &self.slots[usize::try_from(hash >> 1).unwrap_or_default() % SLOTS];
        // Each slot is whole by itself, and the order of slots means nothing.
        let last = slot.load(Ordering::Relaxed);
        if last & !BOT == known && last != 0 {
            return last & BOT != 0;
        }
        let bot = is_bot(agent);
        slot.store(known | u64::from(bot), Ordering::Relaxed);
        bot
    }
}

#[cfg(test)]
mod tests {
    use super::{Bots, SLOTS};
    use visits_bots::is_bot;

    #[test]
    fn a_remembered_verdict_is_the_first_one() {
        let bots = Bots::new();
        // More agents than there is room for, half of them bots'.
        let agents: Vec<String> =
            (0..SLOTS * 2)
                .map(|n| {
                    if n % 2 == 0 { format!("Mozilla/5.0 (X{n}) Gecko/1 Firefox/{n}.0") } else { format!("curl/{n}.0") }
                })
                .chain([String::new(), "é".repeat(1_000)])
                .collect();
        for _ in 0..3 {
            for agent in &agents {
                for _ in 0..2 {
                    assert_eq!(bots.is_bot(agent), is_bot(agent), "{agent}");
                }
            }
        }
    }

    #[test]
    fn no_two_environments_have_the_same_slots() {
        assert_ne!(Bots::new().seed, Bots::new().seed);
    }
}
