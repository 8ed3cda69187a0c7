//! Re-homing after a ring change, in every order of its steps that a few bounded configurations allow. Like the model
//! of the batch protocol, it shares no code with the implementation.
//!
//! # The protocol
//!
//! A ring gives the page to a shard. A flusher ([`flusher`]) reads every shard's record, one after the other, and then:
//!
//! - **marks** all shards for a new *round* if in the highest round one has another ring, or was written to late since its first
//!   stage, or if the rounds differ and a shard of the highest is settled; for the highest round, those in a lower one. A shard in
//!   a later round, or in the same with another ring, refuses. Marked, a shard has the flusher's ring and is in its first stage.
//! - **takes**, when all shards are marked: a script on the source moves the page's `total` to `out:<round>` and stores a move.
//! - **delivers** a move 60 s after it was seen in one run of the source; deletes it 60 s after it was found applied in
//!   one run of the destination.
//! - when a scan has been at the page since the last late write, and the shard holds no move: the `out:` fields up to this round
//!   go, and it is *cleaned*.
//! - when all shards are cleaned for 60 s in one run each (those from which something was taken), or settled, in one round: deletes
//!   the `in:` fields up to this round on all, and then **settles** each that is still cleaned in the same run of its server.
//!
//! The stages have the names that the implementation gives them. Without rounds ([`Design::NoRounds`](design::Design::NoRounds))
//! what is taken later would be hidden by what came earlier.
//!
//! # What is modelled
//!
//! - **Flushers** act on what they have read, however old: so a call that arrives late, or twice, is a step of a
//!   flusher that has waited, or takes it again. They are cut off anywhere. A delivery's answer may be lost.
//! - **Writers and deliverers of batches** are one step: a visit is applied to the shard that its ring chose, once, and
//!   once more if a crash took it back. It counts as late where another ring is in force.
//! - **Readers**: one that asks a shard after the other, in any order; and one that trusts an owner, in every state.
//! - **Crashes**: back to what is safe. With `deep_crashes` also to a later state, after which the next crash may still
//!   go back to what is safe: what one crash leaves may be on no disk yet.
//!
//! # Visits under crashes
//!
//! Each shard keeps which visits were applied on it, as the batch protocol's applied sets do, and a crash rolls this
//! back with all else. What a read should give is the number of these visits, now and on whatever shard they are. So a
//! visit that its shard loses must not be left on the shard that it was moved to, nor the other way round.
//!
//! # Time
//!
//! There is no clock. A minute is a step of one shard: what it holds is safe from now on, and marks of its run are old.
//! This is sound. Let a mark really be 60 s old when it is trusted, and of the present run: then its shard has not
//! crashed meanwhile, what was there at the mark is safe, and the model can take the step right after the mark; the
//! crashes that follow can go back at most to the mark in both. A mark of an earlier run is void for ever, so runs need
//! no numbers. While a read is under way, a minute makes no mark old: a read lasts less than one.
//!
//! # What is not modelled
//!
//! - More than one page, fields besides `total`, batches of 500 pages: a scan is at the page or is not.
//! - A take and each cleaning of one page are one script, so no scan is cut off half-way.
//! - Shards that are not reachable, or that a configuration does not know.
//! - More than three shards, two flushers, three visits, two crashes of a shard.
//! - Rounds are renumbered and unused writers forgotten where that can make no difference.

pub mod actions;
pub mod config;
pub mod configs;
pub mod design;
pub mod drain;
pub mod flusher;
pub mod model;
pub mod mutants;
mod normal;
pub mod possible;
pub mod properties;
pub mod shard;
pub mod state;
pub mod step;
