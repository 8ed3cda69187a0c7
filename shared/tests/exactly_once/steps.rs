//! The steps of a schedule, and how often each comes.

use proptest::prelude::*;
use visits_core::tests::Fault;

pub(crate) const WRITERS: usize = 3;
pub(crate) const SHARDS: usize = 3;
pub(crate) const PAGES: u8 = 6;
pub(crate) const RINGS: usize = 3;

/// The visitor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Unknown,
    Visitor(u8),
    Bot,
}

/// Writers and shards come as their numbers, times in seconds.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Visit(usize, u8, By),
    FlushIfDue(usize),
    Sweep(usize),
    /// A sweep of this environment that is given up while this shard is mute.
    Cut(usize, usize),
    /// The environment is killed, with nothing said. A new one takes its place.
    Kill(usize),
    /// SIGTERM: the environment has 450 ms. A new one takes its place.
    Shutdown(usize),
    /// So many runs of flush-visits' delivery at the same time.
    Deliver(usize),
    /// All functions are given this ring. Environments that run keep the one that they were started with.
    ChangeRing(usize),
    Tidy(usize),
    Fail(usize, Fault),
    Down(usize, Fault),
    Up(usize),
    DeliverLate(usize),
    Save(usize),
    Crash(usize),
    Pass(u64),
    /// So that visits are of several days.
    PassHours(u64),
    Freeze(u64),
    /// The wall clock of the environments is set by a time service. The shards have clocks of their own.
    SetClock(i64),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Unreachable), Just(Fault::AnswerLost), Just(Fault::Mute), Just(Fault::Late)]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![Just(By::Unknown), (0..3_u8).prop_map(By::Visitor), Just(By::Bot)]
}

/// Steps in which no environment dies.
pub(crate) fn peaceful() -> impl Strategy<Value = Step> {
    let (writer, shard) = (0..WRITERS, || 0..SHARDS);
    prop_oneof![
        8 => (writer.clone(), 0..PAGES, by()).prop_map(|(writer, page, by)| Step::Visit(writer, page, by)),
        6 => writer.clone().prop_map(Step::FlushIfDue),
        2 => writer.clone().prop_map(Step::Sweep),
        1 => (writer, shard()).prop_map(|(writer, shard)| Step::Cut(writer, shard)),
        3 => (1..3_usize).prop_map(Step::Deliver),
        1 => shard().prop_map(Step::Tidy),
        1 => (0..RINGS).prop_map(Step::ChangeRing),
        3 => (shard(), fault()).prop_map(|(shard, fault)| Step::Fail(shard, fault)),
        2 => (shard(), fault()).prop_map(|(shard, fault)| Step::Down(shard, fault)),
        2 => shard().prop_map(Step::Up),
        2 => shard().prop_map(Step::DeliverLate),
        2 => shard().prop_map(Step::Save),
        3 => (0..70_u64).prop_map(Step::Pass),
        1 => (1..30_u64).prop_map(Step::PassHours),
        1 => (0..10_000_u64).prop_map(Step::Freeze),
        2 => (-120..=120_i64).prop_map(Step::SetClock),
    ]
}

pub(crate) fn with_crashes() -> impl Strategy<Value = Step> {
    prop_oneof![9 => peaceful(), 1 => (0..SHARDS).prop_map(Step::Crash)]
}

pub(crate) fn with_deaths() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => peaceful(),
        1 => (0..WRITERS).prop_map(Step::Kill),
        1 => (0..WRITERS).prop_map(Step::Shutdown),
    ]
}

pub(crate) fn with_everything() -> impl Strategy<Value = Step> {
    prop_oneof![12 => with_deaths(), 1 => (0..SHARDS).prop_map(Step::Crash)]
}
