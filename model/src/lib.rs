//! Checks the exactly-once protocol of the visit counter in every order of steps that a few bounded
//! configurations allow. `ARCHITECTURE.md` tells what the protocol is for; this crate shares no code with it.
//!
//! # What is modelled
//!
//! - **Writers** ([`writer`]) seal batches for a shard, numbered in order, and keep each in the outbox: unresolved,
//!   seen in the applied set, seen for 60 s, forgotten. One call in flight for each shard; a call that is given
//!   up may still arrive, and its answer is ignored. A writer may park a copy of an unresolved batch and then
//!   drop its content. It may die at any moment.
//! - **Shards** ([`shard`]) keep counts, applied sets and parked copies. A call is one atom. A crash brings back
//!   the last saved state: counts, sets (floors too), copies and marks together.
//! - **Deliverers** ([`state::Deliverer`]) read a copy, call its owner without a base, and mark or delete the copy;
//!   two at a time, each step interleaved with everything else, each able to die between any two.
//! - **Network** ([`network::Message`]): messages in no order. A call may arrive twice, late or never. A loss is a call
//!   that is given up and then never arrives: the writer cannot tell the two apart, so there is no other loss.
//!
//! # Incarnations
//!
//! In [`Design::Meant`](design::Design::Meant) an answer tells the shard's incarnation (for Redis its `run_id` and
//! `master_replid`), and a sight or a mark counts only within one. Without that, a batch is lost if its shard
//! crashes twice, once on each side of an application that was none of its writer's resolved calls: see
//! [`mutants`]. With at most one crash of each shard the rules without incarnations hold too
//! ([`Design::AsWritten`](design::Design::AsWritten)).
//!
//! # Time
//!
//! There is no clock. The one use of time is: what is older than 60 s has been saved, so a sight (a mark, an
//! acknowledged copy) may be trusted 60 s later. The step "60 s are over" is possible when the shard has since
//! saved a state in which the sight was true, **or** has crashed since, or cannot crash any more.
//!
//! Why this is sound: let 60 s really be over since a sight. If the shard has not crashed since, the state
//! at the sight is saved, and what was seen is in it (sets only grow between crashes), so the step is possible
//! here. If it has crashed, the step is possible too. So every real run is a run of the model. The model has
//! more: it allows the step as soon as the save is done, it lets any crash lose everything since the last save,
//! and it lets time stand still for one sight and pass for another. A property that holds here therefore holds
//! there; a counterexample has to be read with a clock in mind.
//!
//! # The end
//!
//! Faults are bounded, progress is not: writers may ask and deliverers may try for ever. "In the end" is said
//! without liveness, which the checker cannot judge in cycles. A state is *quiescent* if no step of progress
//! changes it, and what must be true in the end is an invariant of the quiescent states. Because a protocol that
//! never comes to rest would satisfy that, there is a second invariant ([`properties::CAN_END`]): from every state
//! at rest one fair schedule without faults ([`drain`]) ends in a quiescent state where everything is counted,
//! confirmed and cleaned up. This finds a loss as soon as it can no longer be helped.
//!
//! # What is not modelled
//!
//! - Forgetting an applied batch for room before it is confirmed: it gives up healing, and is counted as such.
//! - Ages of batches (7 days) and of sets (14 days, one hour if settled), and pages that cannot be counted up.
//! - Re-homing: it has a model of its own, [`rehome`].
//! - The call at shutdown that does not wait for the one in flight: to the shard it is another late call.
//! - More than two writers, two shards, two deliverers, three batches. A copy has one place to be parked: the
//!   other shard.
//! - Hash collisions: the checker tells states apart by 64 bits.

pub mod actions;
pub mod check;
pub mod config;
pub mod configs;
pub mod design;
pub mod drain;
pub mod model;
pub mod mutants;
pub mod network;
pub mod possible;
pub mod properties;
pub mod rehome;
pub mod shard;
pub mod state;
pub mod step;
pub mod writer;
