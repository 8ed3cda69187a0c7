//! Simpler protocols that are wrong, each within bounds in which the checker shows it.

use crate::config::{Config, Faults};
use crate::design::Design;
use crate::properties::{LIVING_COUNTED, NEVER_TWICE, PARKED_COUNTED};

const NONE: Faults = Config::BASE.faults;

/// Every mutant that fails, and the property that it violates.
pub fn all() -> Vec<(Config, &'static str)> {
    vec![
        (high_water_mark(), LIVING_COUNTED),
        (base_at_first_sight(), LIVING_COUNTED),
        (delete_at_delivery(), PARKED_COUNTED),
        (forget_at_first_sight(), LIVING_COUNTED),
        (merge_back(), NEVER_TWICE),
        (mistake_late_answers(), LIVING_COUNTED),
        (deliverer_sends_base(), LIVING_COUNTED),
        (sight_across_crash(), LIVING_COUNTED),
        (mark_across_crash(), PARKED_COUNTED),
        (evict_at_once(), LIVING_COUNTED),
    ]
}

fn one_batch(name: &'static str, design: Design, faults: Faults) -> Config {
    Config { name, design, faults, batches: [[1, 0], [0, 0]], ..Config::BASE }
}

fn two_batches(name: &'static str, design: Design, faults: Faults) -> Config {
    Config { name, design, faults, batches: [[2, 0], [0, 0]], ..Config::BASE }
}

/// A plain high-water mark: a batch overtaken by a later one is taken for applied.
pub fn high_water_mark() -> Config {
    two_batches("high-water mark", Design::HighWaterMark, Faults { parks: 1, give_ups: 1, deaths: 1, ..NONE })
}

/// A base that passes a parked batch at first sight: the crash takes the batch, the base keeps it out.
pub fn base_at_first_sight() -> Config {
    one_batch("base at first sight", Design::BaseAtFirstSight, Faults { parks: 1, crashes: [1, 0], ..NONE })
}

/// A copy deleted on delivery: the crash takes the delivery, and the copy is gone.
pub fn delete_at_delivery() -> Config {
    let faults = Faults { parks: 1, crashes: [1, 0], deaths: 1, ..NONE };
    one_batch("delete at delivery", Design::DeleteAtDelivery, faults)
}

/// A batch forgotten at first sight: the crash takes it, and no copy is left.
pub fn forget_at_first_sight() -> Config {
    one_batch("forget at first sight", Design::ForgetAtFirstSight, Faults { crashes: [1, 0], ..NONE })
}

/// An unclear batch merged into a new one: both are applied.
pub fn merge_back() -> Config {
    one_batch("merge back after a timeout", Design::MergeBack, Faults { give_ups: 1, ..NONE })
}

/// An answer of a given-up call mistaken for the answer to the current one.
pub fn mistake_late_answers() -> Config {
    one_batch("mistaken late answer", Design::MistakeLateAnswers, Faults { give_ups: 1, crashes: [1, 0], ..NONE })
}

/// A deliverer that sends a base: what its writer still has below it is kept out.
pub fn deliverer_sends_base() -> Config {
    two_batches("deliverer sends a base", Design::DelivererSendsBase, Faults { parks: 1, ..NONE })
}

/// An old sight and an answer on the other side of a crash: the batch was lost between them and applied
/// again a moment ago. Two crashes.
pub fn sight_across_crash() -> Config {
    one_batch("sight across a crash", Design::SightAcrossCrash, Faults { parks: 1, crashes: [2, 0], ..NONE })
}

/// A mark of a copy that is trusted across a crash. Two crashes, and the writer's death.
pub fn mark_across_crash() -> Config {
    let faults = Faults { parks: 1, crashes: [2, 0], deaths: 1, ..NONE };
    one_batch("mark across a crash", Design::MarkAcrossCrash, faults)
}

/// Content dropped on the acknowledgement of its copy: the holder's crash takes the only copy.
pub fn evict_at_once() -> Config {
    let faults = Faults { parks: 1, evictions: 1, crashes: [0, 1], ..NONE };
    one_batch("evict at once", Design::EvictAtOnce, faults)
}

/// Not wrong: answers of given-up calls, each learnt from as an answer to its own call, cost only work.
pub fn harmless_late_answers() -> Vec<Config> {
    let one = Faults { parks: 1, give_ups: 2, crashes: [2, 0], ..NONE };
    let two = Faults { give_ups: 2, duplicates: 1, crashes: [2, 0], ..NONE };
    vec![
        one_batch("late answers, 1 batch", Design::LearnFromLateAnswers, one),
        two_batches("late answers, 2 batches", Design::LearnFromLateAnswers, two),
        two_batches(
            "mistaken late answers, no crash",
            Design::MistakeLateAnswers,
            Faults { parks: 1, give_ups: 1, duplicates: 1, ..NONE },
        ),
    ]
}
