//! Protocols of re-homing with one rule changed, each within bounds in which the checker shows what it is for.

use super::config::{Config, INITIAL, OLD};
use super::design::Design;
use super::properties::{CAN_END, NEVER_DOUBLED, NOTHING_LOST, OWNER_EXACT, READS_EXACT, SETTLED_EXACT};

/// Every mutant that fails, and the property that it violates.
pub fn all() -> Vec<(Config, &'static str)> {
    vec![
        (deliver_at_once(), NEVER_DOUBLED),
        (seen_across_crash(), NEVER_DOUBLED),
        (delivered_across_crash(), CAN_END),
        (delete_at_delivery(), NOTHING_LOST),
        (forget_record(), CAN_END),
        (out_and_in_together(), NEVER_DOUBLED),
        (in_without_wait(), NEVER_DOUBLED),
        (cleaned_across_crash(), NEVER_DOUBLED),
        (late_unchecked(), SETTLED_EXACT),
        (delivery_never_late(), SETTLED_EXACT),
        (no_rounds(), NOTHING_LOST),
        (own_run_unchecked(), CAN_END),
        (take_unchecked(), OWNER_EXACT),
        (no_max(), NOTHING_LOST),
        (deliver_while_read(), READS_EXACT),
    ]
}

const fn with(name: &'static str, design: Design, crashes: [u8; 3]) -> Config {
    Config { name, design, crashes, ..Config::BASE }
}

/// The source's crash brings back what was delivered.
pub fn deliver_at_once() -> Config {
    with("delivered at once", Design::DeliverAtOnce, [1, 0, 0])
}

/// A second crash takes what the first one left, though it was seen.
pub fn seen_across_crash() -> Config {
    Config { deep_crashes: true, ..with("seen mark across a crash", Design::SeenAcrossCrash, [2, 0, 0]) }
}

/// The destination loses a delivery twice.
pub fn delivered_across_crash() -> Config {
    with("delivered mark across a crash", Design::DeliveredAcrossCrash, [0, 2, 0])
}

/// The destination's crash takes the only copy.
pub fn delete_at_delivery() -> Config {
    with("move deleted at delivery", Design::DeleteAtDelivery, [0, 1, 0])
}

/// The source's crash brings a deleted move back.
pub fn forget_record() -> Config {
    with("move's writer forgotten", Design::ForgetRecord, [1, 0, 0])
}

/// The source's crash brings `out:` back.
pub fn out_and_in_together() -> Config {
    with("out and in cleaned together", Design::OutAndInTogether, [1, 0, 0])
}

/// The source's crash brings `out:` back, when `in:` has gone without the wait.
pub fn in_without_wait() -> Config {
    with("in cleaned without the wait", Design::InWithoutWait, [1, 0, 0])
}

/// A second crash takes what the first one left, though it was cleaned.
pub fn cleaned_across_crash() -> Config {
    Config { deep_crashes: true, ..with("cleaned mark across a crash", Design::CleanedAcrossCrash, [2, 0, 0]) }
}

/// A late visit stays where it is.
pub fn late_unchecked() -> Config {
    Config { visits: &[INITIAL, OLD], ..with("late writes unchecked", Design::LateUnchecked, [0; 3]) }
}

/// A delivery by a flusher with the new ring comes after the old ring's take pass on the destination.
pub fn delivery_never_late() -> Config {
    let config = with("deliveries never late", Design::DeliveryNeverLate, [0; 3]);
    Config { flushers: &[1, 2], announcements: [0, 1, 1, 0], last_ring: 1, ..config }
}

/// A late visit is taken with the number of those whose `in:` is still there.
pub fn no_rounds() -> Config {
    Config { visits: &[INITIAL, OLD], ..with("no rounds", Design::NoRounds, [0; 3]) }
}

/// A take that comes late, after the old ring has come into force again, takes the page from its owner.
pub fn take_unchecked() -> Config {
    Config { name: "take unchecked", design: Design::TakeUnchecked, ..super::configs::old_and_new_flusher() }
}

/// A cleaned `out:` beside an `in:` that is not.
pub fn no_max() -> Config {
    with("reader without the maximum", Design::NoMax, [0; 3])
}

/// A crash of the destination brings `in:` back after they were deleted.
pub fn own_run_unchecked() -> Config {
    with("own run unchecked", Design::OwnRunUnchecked, [0, 1, 0])
}

/// Delivered within a minute of the take: a reader sees it on both or on neither.
pub fn deliver_while_read() -> Config {
    Config { reads: 1, ..with("delivered while read", Design::DeliverAtOnce, [0; 3]) }
}

/// Not wrong within these bounds: takes before all shards are marked. Between flushers with different rings the rule
/// is needed all the same: two half-done announcements would send a page to and fro for ever.
pub fn take_before_all_marked() -> Vec<Config> {
    let base = [super::configs::three_shards(), super::configs::both_shards_crash()];
    let names = ["taken before all are marked, 3 shards", "taken before all are marked, both crash"];
    let design = Design::TakeBeforeAllMarked;
    base.into_iter().zip(names).map(|(config, name)| Config { name, design, ..config }).collect()
}
