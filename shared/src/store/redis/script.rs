//! The Lua scripts and how their arguments and answers are laid out.

use super::cluster::Connection;
use super::digest::sha1_hex;
use super::keys::Keys;
use crate::applied::AppliedSet;
use crate::batch::{Batch, Increment, Sequence};
use crate::day::Day;
use crate::store::statistics::TOP_KEPT;
use crate::store::{Applied, Apply, Incarnation, Rejected, Standing};
use crate::timing::Timing;
use crate::visit::Visitor;
use redis::{Cmd, ErrorKind, FromRedisValue, ParsingError, RedisResult, Script, ServerErrorKind, Value};
use std::sync::LazyLock;
use std::time::Duration;

/// Version of the layout of the `apply` script's arguments.
const FORMAT: &str = "2";

/// The text of a script that checks its arguments, with what it checks them with before it.
macro_rules! with_checks {
    ($file:literal) => {
        concat!(include_str!("prelude.lua"), include_str!($file))
    };
}
pub(super) use with_checks;

/// The text of the script that applies batches, and its digest.
const APPLY: &str = with_checks!("apply.lua");
const APPLY_DIGEST: [u8; 40] = sha1_hex(APPLY.as_bytes());

/// A script whose digest is taken when it is first run: a start that runs none should not pay for it.
pub(super) type LazyScript = LazyLock<Script>;

#[derive(Debug)]
pub(super) struct Scripts {
    tidy: LazyScript,
    timing: Timing,
    new_pages_a_day: u64,
}

impl Scripts {
    pub(super) fn new(timing: Timing, new_pages_a_day: u64) -> Self {
        Self { tidy: LazyScript::new(|| Script::new(include_str!("tidy.lua"))), timing, new_pages_a_day }
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
        let pages = call.batches.iter().map(|(batch, _)| batch.pages()).sum::<usize>();
        let mut command = Cmd::with_capacity(32 + 4 * pages, 256 + 160 * pages);
        let keys_of = |batch: &Batch| batch.increments().iter().map(|one| keys_for(one, batch.day())).sum::<usize>();
        let of_site = |batch: &Batch| if batch.day().is_some() { 3 } else { 0 };
        let more: usize = call.batches.iter().map(|(batch, _)| keys_of(batch) + of_site(batch)).sum();
        command.arg("EVALSHA").arg(&APPLY_DIGEST).arg(5 + more);
        command.arg(keys.applied(&call.writer)).arg(keys.writers()).arg(keys.sets()).arg(keys.shard()).arg(keys.site());
        call.batches.iter().for_each(|(batch, _)| name_keys(&mut command, keys, batch));
        command.arg(FORMAT).arg(call.writer.to_string()).arg(call.base.get());
        command.arg(millis(self.timing.max_batch_age)).arg(millis(call.standing.set_kept(&self.timing)));
        command.arg(listing(call.standing)).arg(call.batches.len());
        command.arg(call.ring.map(|ring| ring.to_string()).unwrap_or_default());
        // The bound is for strangers; an import is the owner's.
        let new_pages = if call.standing == Standing::Import { 0 } else { self.new_pages_a_day };
        command.arg(new_pages).arg(TOP_KEPT).arg(keys.page_prefix().len());
        for (batch, age) in &call.batches {
            command.arg(batch.sequence().get()).arg(millis(*age));
            describe(&mut command, batch);
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

/// How many keys belong to an increment.
fn keys_for(increment: &Increment, day: Option<Day>) -> usize {
    match day {
        None => 1,
        Some(_) if increment.visitors.is_empty() => 2,
        Some(_) => 3,
    }
}

/// The keys of a batch: the site's, then each page's.
fn name_keys(command: &mut Cmd, keys: &Keys, batch: &Batch) {
    let day = batch.day().map(|day| (day, day.month(), day.to_string()));
    if let Some((day, month, _)) = &day {
        command.arg(keys.site_month(*month)).arg(keys.top(*day)).arg(keys.site_visitors(*day));
    }
    let mut key = String::new();
    let month = day.as_ref().map(|(_, month, _)| month.to_string());
    for increment in batch.increments() {
        keys.page_into(&mut key, &increment.page);
        command.arg(&key);
        let (Some(month), Some((_, _, day))) = (&month, &day) else { continue };
        keys.days_into(&mut key, month, &increment.page);
        command.arg(&key);
        if !increment.visitors.is_empty() {
            keys.visitors_into(&mut key, day, &increment.page);
            command.arg(&key);
        }
    }
}

/// What a batch adds.
fn describe(command: &mut Cmd, batch: &Batch) {
    match batch.day() {
        None => {
            command.arg("");
        }
        Some(day) => {
            let site = batch.site();
            command.arg(day.of_month()).arg(packed(&site.visitors));
            command.arg(site.refused.origin).arg(site.refused.page).arg(site.refused.repeat);
        }
    }
    let runs = || batch.increments().chunk_by(|left, right| left.run() == right.run());
    command.arg(runs().count());
    for run in runs() {
        // Without a day there is no sketch that visitors could be in.
        let each = if batch.day().is_some() { run[0].visitors.len() } else { 0 };
        command.arg(run[0].visits).arg(run[0].bots).arg(run.len()).arg(each);
        if each > 0 {
            command.arg(packed(run.iter().flat_map(|increment| &increment.visitors)));
        }
    }
}

/// Visitors as the script takes them: 8 bytes each.
fn packed<'a>(visitors: impl IntoIterator<Item = &'a Visitor>) -> Vec<u8> {
    visitors.into_iter().flat_map(|visitor| visitor.0.to_be_bytes()).collect()
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
/// (number in the call, reason), sequences too old, sequences applied by this call, increments that were counted without
/// their day, visits of new pages that were too many, and the server's time in milliseconds.
type Layout = (u64, Vec<u64>, u64, u64, Vec<(usize, String)>, Vec<u64>, Vec<u64>, Vec<(usize, String)>, u64, u64);

pub(super) struct ApplyReply(Layout);

impl FromRedisValue for ApplyReply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Layout::from_redis_value(value).map(Self)
    }
}

impl ApplyReply {
    pub(super) fn into_applied(self, call: &Apply, incarnation: Incarnation) -> Applied {
        let (floor, above, visits, rejected_visits, rejected, expired, fresh, without_day, refused, now) = self.0;
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
            without_day: find(without_day),
            refused,
        }
    }
}
