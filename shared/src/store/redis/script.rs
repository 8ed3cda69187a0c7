//! The Lua scripts and how their arguments and answers are laid out.

use super::cluster::Connection;
use super::keys::{Key, Keys};
use super::{RedisStore, Shard};
use crate::batch::{Increment, Sequence};
use crate::config::Config;
use crate::store::AppliedSet;
use crate::store::{Applied, Apply, Incarnation, Rejected, Standing, StoreError};
use crate::timing::Timing;
use redis::{
    Cmd, ErrorKind, FromRedisValue, ParsingError, RedisResult, Script, ScriptInvocation, ServerErrorKind, Value,
};
use std::sync::LazyLock;
use std::time::Duration;

/// Version of the layout of the `apply` script's arguments.
const FORMAT: &str = "3";

/// Most bytes of a shard's journal. Beyond it the statistics of further batches are left out; totals are counted on.
const JOURNAL_BYTES: u64 = 64 << 20;

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

/// A script whose digest is taken when it is first run: a start that runs none should not pay for it.
pub(super) type LazyScript = LazyLock<Script>;

static TIDY: LazyScript = script!("tidy.lua");

#[derive(Debug)]
pub(super) struct Scripts {
    timing: Timing,
    new_pages_a_day: u64,
    /// Most bytes of the journal; 0 where no days are kept.
    journal_bytes: u64,
}

impl Scripts {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            timing: config.testing.timing,
            new_pages_a_day: config.new_pages_a_day,
            journal_bytes: if config.history_days > 0 { JOURNAL_BYTES } else { 0 },
        }
    }

    pub(super) async fn apply(&self, mut redis: Connection, keys: &Keys, call: &Apply) -> RedisResult<ApplyReply> {
        let command = self.apply_command(keys, call);
        match command.query_async(&mut redis).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let _: String = redis::cmd("SCRIPT").arg("LOAD").arg(APPLY).query_async(&mut redis).await?;
                command.query_async(&mut redis).await
            }
            answer => answer,
        }
    }

    /// Built here and not by `Script`, which copies every key three times.
    fn apply_command(&self, keys: &Keys, call: &Apply) -> Cmd {
        let batches = || call.batches.iter().map(|(batch, _)| batch);
        let pages = batches().map(|batch| batch.pages()).sum::<usize>();
        let mut command = Cmd::with_capacity(32 + 3 * pages, 256 + 128 * pages);
        command.arg("EVALSHA").arg(APPLY_DIGEST).arg(5 + pages);
        command
            .arg(keys.of(&Key::Applied(call.writer)))
            .arg(keys.of(&Key::Writers))
            .arg(keys.of(&Key::Sets))
            .arg(keys.of(&Key::Shard))
            .arg(keys.of(&Key::Journal));
        let mut key = String::new();
        for increment in batches().flat_map(|batch| batch.increments()) {
            keys.page_into(&mut key, &increment.page);
            command.arg(&key);
        }
        command.arg(FORMAT).arg(call.writer.to_string()).arg(call.base.get());
        command.arg(millis(self.timing.max_batch_age)).arg(millis(call.standing.set_kept(&self.timing)));
        command.arg(listing(call.standing)).arg(call.ring.map(|ring| ring.to_string()).unwrap_or_default());
        // The bound is for strangers; an import is the owner's.
        let new_pages = if call.standing == Standing::Import { 0 } else { self.new_pages_a_day };
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

    pub(super) async fn tidy(&self, mut redis: Connection, keys: &Keys, writers: &[String]) -> RedisResult<usize> {
        let mut script = TIDY.prepare_invoke();
        script.key(keys.of(&Key::Sets)).key(keys.of(&Key::Writers)).arg(millis(self.timing.writer_listed));
        // Some may be no writer's id: they go as well.
        for writer in writers {
            script.key(keys.prefix() + "applied:" + writer).arg(writer);
        }
        script.invoke_async(&mut redis).await
    }
}

impl RedisStore {
    /// Runs a script on a shard. Returns its answer, and the run of the server that gave it.
    pub(super) async fn invoke<T: FromRedisValue + Send>(
        &self,
        shard: &Shard,
        script: &ScriptInvocation<'_>,
    ) -> Result<(T, Incarnation), StoreError> {
        self.with_incarnation(shard, |mut redis: Connection| async move { script.invoke_async(&mut redis).await }).await
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

/// What becomes of the writer on the sweep's list.
fn listing(standing: Standing) -> &'static str {
    match standing {
        Standing::Active => "1",
        Standing::Gone | Standing::Settled => "0",
        Standing::Delivered | Standing::Import => "2",
    }
}

/// Milliseconds, at most what the scripts take as a number (15 digits).
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(999_999_999_999_999)
}

/// The answer of `apply.lua`: floor, sequences above it, visits, rejected visits, rejected increments
/// (number in the call, reason), sequences too old, sequences applied by this call, visits of new pages that were too many,
/// and the server's time in milliseconds.
type Layout = (u64, Vec<u64>, u64, u64, Vec<(usize, String)>, Vec<u64>, Vec<u64>, u64, u64);

pub(super) struct ApplyReply(Layout);

impl FromRedisValue for ApplyReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Layout::from_redis_value(value).map(Self)
    }
}

impl ApplyReply {
    pub(super) fn into_applied(self, call: &Apply, incarnation: Incarnation) -> Applied {
        let (floor, above, visits, rejected_visits, rejected, expired, fresh, refused, now) = self.0;
        let set = AppliedSet { floor, above: above.into_iter().collect(), visits, rejected: rejected_visits };
        let increments: Vec<_> = call.batches.iter().flat_map(|(batch, _)| batch.increments()).collect();
        let find = |found: Vec<(usize, String)>| {
            let rejected = found.into_iter().filter_map(|(number, reason)| {
                let increment = increments.get(number)?;
                Some(Rejected { page: increment.page.clone(), visits: increment.visits, reason })
            });
            rejected.collect()
        };
        let sequences = |numbers: Vec<u64>| numbers.into_iter().filter_map(Sequence::new).collect();
        Applied {
            set,
            incarnation,
            server_time: Duration::from_millis(now),
            fresh: sequences(fresh),
            rejected: find(rejected),
            expired: sequences(expired),
            refused,
        }
    }
}
