//! Faults of the calls to a shard.

use crate::store::{ServerRun, ShardIndex, StoreError};
use redis::Cmd;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A fault of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The shard cannot be reached: nothing is sent.
    Unreachable,
    /// The call is applied and its answer lost.
    AnswerLost,
    /// The call is applied at once, and its answer takes this long.
    Slow(Duration),
    /// No answer comes within the store's time, and the call is not applied.
    Mute,
    /// No answer comes within the store's time; the call's first command is applied when the test says so.
    Late,
    /// The call is applied twice, and answered as the second time.
    Duplicate,
}

/// The faults of a store's calls, by shard.
#[derive(Clone, Debug)]
pub struct Faults {
    shards: Arc<Vec<Mutex<Planned>>>,
}

#[derive(Debug, Default)]
struct Planned {
    next: VecDeque<Option<Fault>>,
    standing: Option<Fault>,
    calls: u64,
    crashes: u64,
    late: Arc<Mutex<Vec<Cmd>>>,
}

/// The commands of one call, which are not sent.
#[derive(Clone, Debug)]
pub(crate) struct HeldBack(Option<Arc<Mutex<Vec<Cmd>>>>);

impl HeldBack {
    /// Keeps a command for later, if this is what happens to it, and gives no answer.
    pub(crate) async fn hold(&self, command: &Cmd) -> ! {
        if let Some(late) = &self.0 {
            lock(late).push(command.clone());
        }
        std::future::pending::<std::convert::Infallible>().await;
        unreachable!("a pending future never ends")
    }
}

impl Faults {
    /// No faults for so many shards.
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: Arc::new((0..shards).map(|_| Mutex::default()).collect()) }
    }

    /// The next calls to `shard` go wrong like this, in order; `None` lets one through.
    pub fn fail_next(&self, shard: ShardIndex, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.of(shard).next.extend(faults);
    }

    /// Until further notice, every call to `shard` goes wrong like this, or none does.
    pub fn set_down(&self, shard: ShardIndex, fault: Option<Fault>) {
        self.of(shard).standing = fault;
    }

    /// Forgets the faults of the next calls to `shard`.
    pub fn clear_faults(&self, shard: ShardIndex) {
        self.of(shard).next.clear();
    }

    /// Calls made to `shard` so far, failed ones included.
    pub fn calls(&self, shard: ShardIndex) -> u64 {
        self.of(shard).calls
    }

    /// Has answers of `shard` come from another run of its server from now on.
    pub fn begin_run(&self, shard: ShardIndex) {
        self.of(shard).crashes += 1;
    }

    /// Counts a call, and takes what happens to it.
    pub(crate) fn next(&self, shard: ShardIndex) -> Option<Fault> {
        let mut planned = self.of(shard);
        planned.calls += 1;
        planned.next.pop_front().unwrap_or(planned.standing)
    }

    /// Takes the commands that are late, the newest first: the order in which a network delivers is any.
    pub(crate) fn take_late(&self, shard: ShardIndex) -> Vec<Cmd> {
        let late = Arc::clone(&self.of(shard).late);
        let mut commands = std::mem::take(&mut *lock(&late));
        commands.reverse();
        commands
    }

    /// The run to tell in place of `run`.
    pub(crate) fn run(&self, shard: ShardIndex, run: ServerRun) -> ServerRun {
        ServerRun(run.0.wrapping_add(self.of(shard).crashes))
    }

    /// Makes one call as planned. `send` makes it, with its commands held back or not.
    pub(crate) async fn call<T, F>(
        &self,
        shard: ShardIndex,
        name: &str,
        send: impl Fn(Option<HeldBack>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let (fault, late) = (self.next(shard), Arc::clone(&self.of(shard).late));
        let (shard, reason) = (name.to_owned(), "a planned fault".to_owned());
        match fault {
            None => send(None).await,
            Some(Fault::Unreachable) => Err(StoreError::Unreachable { shard, reason }),
            Some(Fault::AnswerLost) => {
                send(None).await?;
                Err(StoreError::Unknown { shard, reason })
            }
            Some(Fault::Slow(time)) => {
                let answer = send(None).await;
                tokio::time::sleep(time).await;
                answer
            }
            Some(Fault::Mute) => send(Some(HeldBack(None))).await,
            Some(Fault::Late) => send(Some(HeldBack(Some(late)))).await,
            Some(Fault::Duplicate) => {
                send(None).await?;
                send(None).await
            }
        }
    }

    fn of(&self, shard: ShardIndex) -> MutexGuard<'_, Planned> {
        lock(&self.shards[shard])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
