//! What may happen in a schedule, and how often.

use proptest::prelude::*;
use visits_core::tests::Fault;

pub(crate) const WRITERS: usize = 3;
pub(crate) const SHARDS: usize = 3;
pub(crate) const PAGES: u8 = 6;
pub(crate) const RINGS: usize = 3;

/// Who visits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Unknown,
    Visitor(u8),
    Bot,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Visit {
        writer: usize,
        page: u8,
        by: By,
    },
    FlushIfDue {
        writer: usize,
    },
    Sweep {
        writer: usize,
    },
    /// The environment is killed, with nothing said. A new one takes its place.
    Kill {
        writer: usize,
    },
    /// SIGTERM: the environment has 450 ms. A new one takes its place.
    Shutdown {
        writer: usize,
    },
    /// So many runs of flush-visits' delivery at the same time.
    Deliver {
        deliverers: usize,
    },
    /// All functions are given this ring. Environments that run keep the one that they were started with.
    ChangeRing {
        ring: usize,
    },
    Tidy {
        shard: usize,
    },
    Fail {
        shard: usize,
        fault: Fault,
    },
    Down {
        shard: usize,
        fault: Fault,
    },
    Up {
        shard: usize,
    },
    DeliverLate {
        shard: usize,
    },
    Save {
        shard: usize,
    },
    Crash {
        shard: usize,
    },
    Pass {
        seconds: u64,
    },
    /// So that visits are of several days.
    PassHours {
        hours: u64,
    },
    Freeze {
        seconds: u64,
    },
    /// The wall clock of the environments is set by a time service. The shards have clocks of their own.
    SetClock {
        seconds: i64,
    },
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Unreachable), Just(Fault::AnswerLost), Just(Fault::Mute), Just(Fault::Late)]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![Just(By::Unknown), (0..3_u8).prop_map(By::Visitor), Just(By::Bot)]
}

/// Steps in which no environment dies.
pub(crate) fn peaceful() -> impl Strategy<Value = Step> {
    let (writer, shard) = (0..WRITERS, 0..SHARDS);
    prop_oneof![
        8 => (writer.clone(), 0..PAGES, by()).prop_map(|(writer, page, by)| Step::Visit { writer, page, by }),
        6 => writer.clone().prop_map(|writer| Step::FlushIfDue { writer }),
        2 => writer.prop_map(|writer| Step::Sweep { writer }),
        3 => (1..3_usize).prop_map(|deliverers| Step::Deliver { deliverers }),
        1 => shard.clone().prop_map(|shard| Step::Tidy { shard }),
        1 => (0..RINGS).prop_map(|ring| Step::ChangeRing { ring }),
        3 => (shard.clone(), fault()).prop_map(|(shard, fault)| Step::Fail { shard, fault }),
        2 => (shard.clone(), fault()).prop_map(|(shard, fault)| Step::Down { shard, fault }),
        2 => shard.clone().prop_map(|shard| Step::Up { shard }),
        2 => shard.clone().prop_map(|shard| Step::DeliverLate { shard }),
        2 => shard.prop_map(|shard| Step::Save { shard }),
        3 => (0..70_u64).prop_map(|seconds| Step::Pass { seconds }),
        1 => (1..30_u64).prop_map(|hours| Step::PassHours { hours }),
        1 => (0..10_000_u64).prop_map(|seconds| Step::Freeze { seconds }),
        2 => (-120..=120_i64).prop_map(|seconds| Step::SetClock { seconds }),
    ]
}

pub(crate) fn with_crashes() -> impl Strategy<Value = Step> {
    prop_oneof![9 => peaceful(), 1 => (0..SHARDS).prop_map(|shard| Step::Crash { shard })]
}

pub(crate) fn with_deaths() -> impl Strategy<Value = Step> {
    let kill = (0..WRITERS).prop_map(|writer| Step::Kill { writer });
    let shutdown = (0..WRITERS).prop_map(|writer| Step::Shutdown { writer });
    prop_oneof![12 => peaceful(), 1 => kill, 1 => shutdown]
}

pub(crate) fn with_everything() -> impl Strategy<Value = Step> {
    prop_oneof![12 => with_deaths(), 1 => (0..SHARDS).prop_map(|shard| Step::Crash { shard })]
}
