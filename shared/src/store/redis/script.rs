//! The Lua scripts and how their arguments and answers are laid out.

use super::cluster::Connection;
use super::keys::{Key, Keys};
use super::{RedisStore, Shard};
use crate::batch::{Increment, Sequence};
use crate::store::{Applied, AppliedSet, Apply, Rejected, ServerRun, StoreError, WriterStatus};
use redis::{Cmd, ErrorKind, FromRedisValue, Script, ScriptInvocation, ServerErrorKind};
use std::sync::LazyLock;
use std::time::Duration;

/// Version of the layout of the `apply` script's arguments.
const FORMAT: &str = "3";

/// Most bytes of a shard's journal. Beyond it the statistics of further batches are left out; totals are counted on.
pub(super) const JOURNAL_BYTES: u64 = 64 << 20;

/// The text of a script that checks its arguments, with what it checks them with before it.
macro_rules! with_checks {
    ($file:literal) => {
        concat!(include_str!("prelude.lua"), include_str!($file))
    };
}
pub(super) use with_checks;

/// A script that checks its arguments.
macro_rules! script {
    ($file:literal) => {
        LazyScript::new(|| redis::Script::new(with_checks!($file)))
    };
}
pub(super) use script;

/// The text of the script that applies batches, and its digest.
const APPLY: &str = with_checks!("apply.lua");
const APPLY_DIGEST: &str = env!("APPLY_DIGEST");

/// Answer of `apply.lua`: floor, sequences above it, visits and rejected visits, rejected increments (their places in the call,
/// reasons), sequences too old, sequences applied by this call, visits of new pages that were too many and the server's time in
/// milliseconds.
type Answer = (u64, Vec<u64>, [u64; 2], Vec<(usize, String)>, Vec<u64>, Vec<u64>, [u64; 2]);

/// A script whose digest is taken when it is first run: a start that runs none should not pay for it.
pub(super) type LazyScript = LazyLock<Script>;

pub(super) static TIDY: LazyScript = script!("tidy.lua");

impl RedisStore {
    pub(super) async fn apply_batches(&self, shard: &Shard, call: &Apply) -> Result<Applied, StoreError> {
        let command = &self.apply_command(&shard.keys, call);
        let send = |mut redis: Connection| async move {
            match command.query_async::<Answer>(&mut redis).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                    let _: String = redis::cmd("SCRIPT").arg("LOAD").arg(APPLY).query_async(&mut redis).await?;
                    command.query_async(&mut redis).await
                }
                answer => answer,
            }
        };
        let ((floor, above, [visits, rejected], places, expired, fresh, [refused, now]), server_run) =
            self.with_server_run(shard, send).await?;
        let increments: Vec<_> = call.batches.iter().flat_map(|(batch, _)| batch.increments()).collect();
        let rejected_page = |(place, reason): (usize, String)| {
            let Increment { page, visits, .. } = increments.get(place)?;
            Some(Rejected { page: page.clone(), visits: *visits, reason })
        };
        let sequences = |numbers: Vec<u64>| numbers.into_iter().filter_map(Sequence::new).collect();
        Ok(Applied {
            set: AppliedSet { floor, above: above.into_iter().collect(), visits, rejected },
            server_run,
            server_time: Duration::from_millis(now),
            fresh: sequences(fresh),
            rejected: places.into_iter().filter_map(rejected_page).collect(),
            expired: sequences(expired),
            refused,
        })
    }

    /// Built here and not by `Script`, which copies every key three times.
    fn apply_command(&self, keys: &Keys, call: &Apply) -> Cmd {
        let batches = || call.batches.iter().map(|(batch, _)| batch);
        let pages = batches().map(|batch| batch.pages()).sum::<usize>();
        let mut command = Cmd::with_capacity(32 + 3 * pages, 256 + 128 * pages);
        command.arg("EVALSHA").arg(APPLY_DIGEST).arg(5 + pages);
        for key in [Key::Applied(call.writer), Key::Writers, Key::Sets, Key::Shard, Key::Journal] {
            command.arg(keys.of(&key));
        }
        let mut key = String::new();
        for increment in batches().flat_map(|batch| batch.increments()) {
            keys.page_into(&mut key, &increment.page);
            command.arg(&key);
        }
        command.arg(FORMAT).arg(call.writer.to_string()).arg(call.base.get());
        command.arg(millis(self.timing.max_batch_age)).arg(millis(call.status.set_kept(&self.timing)));
        command.arg(listing(call.status)).arg(call.ring.map(|ring| ring.to_string()).unwrap_or_default());
        // The bound is for strangers; an import is the owner's.
        let new_pages = if call.status == WriterStatus::Import { 0 } else { self.new_pages_a_day };
        command.arg(new_pages).arg(self.journal_bytes);
        for (batch, age) in &call.batches {
            let bytes = if self.journal_bytes > 0 { batch.encode() } else { Vec::new() };
            let numbers = |one: &Increment| (one.visits, one.bots);
            let runs = || batch.increments().chunk_by(|left, right| numbers(left) == numbers(right));
            command.arg(batch.sequence().get()).arg(millis(*age)).arg(bytes).arg(runs().count());
            for run in runs() {
                command.arg(run[0].visits).arg(run[0].bots).arg(run.len());
            }
        }
        command
    }

    /// Runs a script on a shard.
    pub(super) async fn invoke<T: FromRedisValue + Send>(
        &self,
        shard: &Shard,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, StoreError> {
        Ok(self.invoke_in_run(shard, script).await?.0)
    }

    /// Runs a script on a shard. Returns its answer, and the run of the server that gave it.
    pub(super) async fn invoke_in_run<T: FromRedisValue + Send>(
        &self,
        shard: &Shard,
        script: &ScriptInvocation<'_>,
    ) -> Result<(T, ServerRun), StoreError> {
        self.with_server_run(shard, |mut redis: Connection| async move { script.invoke_async(&mut redis).await }).await
    }

    /// Runs one command on a shard.
    pub(super) async fn command<T: FromRedisValue + Send>(
        &self,
        shard: &Shard,
        command: &Cmd,
    ) -> Result<T, StoreError> {
        self.with_shard(shard, |mut redis: Connection| async move { command.query_async(&mut redis).await }).await
    }
}

/// Returns the argument that says what becomes of the writer on the sweep's list.
fn listing(status: WriterStatus) -> &'static str {
    match status {
        WriterStatus::Active => "1",
        WriterStatus::Gone | WriterStatus::Settled => "0",
        WriterStatus::Delivered | WriterStatus::Import => "2",
    }
}

/// Milliseconds, at most what the scripts take as a number (15 digits).
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(999_999_999_999_999)
}
