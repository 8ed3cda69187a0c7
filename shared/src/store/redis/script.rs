//! The Lua scripts and how their arguments and answers are laid out.

use super::keys::Keys;
use super::routed::Connection;
use crate::applied::AppliedSet;
use crate::batch::Sequence;
use crate::store::{Applied, Apply, Incarnation, Rejected, Standing};
use crate::timing::Timing;
use redis::{Cmd, ErrorKind, FromRedisValue, ParsingError, RedisResult, Script, ServerErrorKind, Value};
use std::sync::LazyLock;
use std::time::Duration;

/// Version of the layout of the `apply` script's arguments.
const FORMAT: &str = "1";

/// A script whose digest is taken when it is first run: a start that runs none should not pay for it.
pub(super) type LazyScript = LazyLock<Script>;

/// The text of a script that checks its arguments, with what it checks them with before it.
macro_rules! with_checks {
    ($file:literal) => {
        concat!(include_str!("arguments.lua"), include_str!($file))
    };
}
pub(super) use with_checks;

#[derive(Debug)]
pub(super) struct Scripts {
    apply: LazyScript,
    tidy: LazyScript,
    timing: Timing,
}

impl Scripts {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            apply: LazyScript::new(|| Script::new(with_checks!("apply.lua"))),
            tidy: LazyScript::new(|| Script::new(include_str!("tidy.lua"))),
            timing,
        }
    }

    pub(super) async fn apply(&self, mut redis: Connection, keys: &Keys, call: &Apply) -> RedisResult<ApplyReply> {
        let command = self.apply_command(keys, call);
        match command.query_async(&mut redis).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.apply.load_async(&mut redis).await?;
                command.query_async(&mut redis).await
            }
            answer => answer,
        }
    }

    /// Built here and not by `Script`, which copies every key three times.
    fn apply_command(&self, keys: &Keys, call: &Apply) -> Cmd {
        let pages = call.batches.iter().map(|(batch, _)| batch.pages()).sum::<usize>();
        let mut command = Cmd::with_capacity(16 + 2 * pages, 256 + 64 * pages);
        command.arg("EVALSHA").arg(self.apply.get_hash()).arg(4 + pages);
        command.arg(keys.applied(&call.writer)).arg(keys.writers()).arg(keys.sets()).arg(keys.shard());
        let mut key = String::new();
        for (page, _) in call.batches.iter().flat_map(|(batch, _)| batch.increments()) {
            keys.page_into(&mut key, page);
            command.arg(&key);
        }
        command.arg(FORMAT).arg(call.writer.to_string()).arg(call.base.get());
        command.arg(millis(self.timing.max_batch_age)).arg(millis(call.standing.set_kept(&self.timing)));
        command.arg(listing(call.standing)).arg(call.batches.len());
        command.arg(call.ring.map(|ring| ring.to_string()).unwrap_or_default());
        for (batch, age) in &call.batches {
            let runs = || batch.increments().chunk_by(|(_, left), (_, right)| left == right);
            command.arg(batch.sequence().get()).arg(millis(*age)).arg(runs().count());
            for run in runs() {
                command.arg(run[0].1).arg(run.len());
            }
        }
        command
    }

    pub(super) async fn tidy(&self, mut redis: Connection, keys: &Keys, writers: &[String]) -> RedisResult<usize> {
        let mut script = self.tidy.prepare_invoke();
        script.key(keys.sets()).key(keys.writers()).arg(millis(self.timing.writer_listed));
        for writer in writers {
            script.key(keys.applied(writer)).arg(writer);
        }
        script.invoke_async(&mut redis).await
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
/// (number in the call, reason), sequences too old, sequences applied by this call.
type Layout = (u64, Vec<u64>, u64, u64, Vec<(usize, String)>, Vec<u64>, Vec<u64>);

pub(super) struct ApplyReply(Layout);

impl FromRedisValue for ApplyReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Layout::from_redis_value(value).map(Self)
    }
}

impl ApplyReply {
    pub(super) fn into_applied(self, call: &Apply, incarnation: Incarnation) -> Applied {
        let (floor, above, visits, rejected_visits, rejected, expired, fresh) = self.0;
        let set = AppliedSet { floor, above: above.into_iter().collect(), visits, rejected: rejected_visits };
        let increments: Vec<_> = call.batches.iter().flat_map(|(batch, _)| batch.increments()).collect();
        let rejected = rejected.into_iter().filter_map(|(number, reason)| {
            let (page, visits) = increments.get(number)?;
            Some(Rejected { page: page.clone(), visits: *visits, reason })
        });
        let sequences = |numbers: Vec<u64>| numbers.into_iter().filter_map(Sequence::new).collect();
        Applied { set, incarnation, fresh: sequences(fresh), rejected: rejected.collect(), expired: sequences(expired) }
    }
}
