//! The ledger's calls in Redis: batches are applied; envelopes are stored, listed, noted, removed and taken in.
//!
//! A mailbox is a hash from id to `<ms> <bytes>`: the time of sealing by this server's clock and a batch's encoding, or the
//! time of taking, the round and the records as JSON, which `take.lua` makes. Its notes are a hash from id to
//! `<ms> <run of a server> <here or there>`. One more hash counts the bytes of each mailbox, and so lists them.

use super::cluster::Connection;
use super::keys::Keys;
use super::pages::parsed;
use super::script::{LazyScript, millis, script, with_checks};
use super::{RedisStore, millis_of, time_question};
use crate::batch::{self, Batch, BatchId};
use crate::clock::Moment;
use crate::day::Day;
use crate::handoff::{
    Envelope, EnvelopePage, Kind, Landed, MAILBOX_BYTES, Mailbox, Note, Park, Parked, Payload, Records, RejectedRecord,
    Undeliverable, Update,
};
use crate::ring::Fingerprint;
use crate::shard::ShardName;
use crate::store::imports::{ImportId, ImportRecord};
use crate::store::redis::keys::Key;
use crate::store::{Applied, Apply, Ledger, Nearness, ServerRun, ShardIndex, StoreError};
use crate::visit::Secret;
use redis::{AsyncCommands, Cmd};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Envelopes that one read asks for, so that it stays below a few megabytes; Redis may return some more.
const PAGE: usize = 10;

static PARK: LazyScript = script!("park.lua");
static UPDATE: LazyScript = script!("update.lua");
static LAND: LazyScript = script!("land.lua");

impl Ledger for RedisStore {
    async fn apply(&self, shard: ShardIndex, call: &Apply) -> Result<Applied, StoreError> {
        self.apply_batches(&self.shards[shard], call).await
    }

    async fn secret(&self, shard: ShardIndex, day: Day, offer: Option<Secret>) -> Result<Option<Secret>, StoreError> {
        let shard = &self.shards[shard];
        let key = shard.keys.of(&Key::Secret(day));
        // Two commands: before Redis 7.0, SET takes NX or GET. A day that has a secret keeps it until it is over.
        let call = |mut redis: Connection| {
            let key = &key;
            async move {
                if let Some(offer) = offer {
                    let _: bool = redis.set_nx(key, offer.to_hex()).await?;
                }
                redis.get::<_, Option<String>>(key).await
            }
        };
        let kept = self.with_shard(shard, call).await?;
        kept.map(|kept| kept.parse().map_err(|_| shard.refused(&format!("{key} holds no secret")))).transpose()
    }

    async fn park(&self, shard: ShardIndex, park: &Park) -> Result<Parked, StoreError> {
        let (shard, mailbox) = (&self.shards[shard], Mailbox::batches(&park.owner));
        let mut script = PARK.key(shard.keys.of(&Key::Out(mailbox.clone())));
        script.key(shard.keys.of(&Key::Outgoing)).key(aside_key(&shard.keys, &mailbox));
        script.arg(mailbox.to_string()).arg(MAILBOX_BYTES);
        for (batch, age) in &park.batches {
            let id = BatchId { writer: park.writer, sequence: batch.sequence() };
            script.arg(id.to_string()).arg(millis(*age)).arg(batch.encode());
        }
        let (now, server_run) = self.invoke_in_run(shard, &script).await?;
        let server_time = Duration::from_millis(now);
        Ok(if now > 0 { Parked::Taken { server_run, server_time } } else { Parked::Full })
    }

    async fn outgoing(&self, shard: ShardIndex) -> Result<Vec<(String, u64)>, StoreError> {
        let shard = &self.shards[shard];
        let owners = self.shards.iter().map(|other| &other.config.name);
        let all: Vec<Mailbox> = owners.flat_map(|owner| [Mailbox::batches(owner), Mailbox::records(owner)]).collect();
        let exist = all.iter().map(|mailbox| Cmd::exists(shard.keys.of(&Key::Out(mailbox.clone()))));
        let list = Cmd::hgetall(shard.keys.of(&Key::Outgoing));
        let mut answers = self.each(shard, &exist.chain([list]).collect::<Vec<_>>()).await?;
        // The list may itself be damaged: the mailboxes of configured shards are looked at all the same.
        let listed = answers.pop().map_or_else(|| Ok(HashMap::new()), parsed::<HashMap<String, u64>>);
        let listed = listed.unwrap_or_else(|error| {
            tracing::error!(error, key = shard.keys.of(&Key::Outgoing), "the list of mailboxes is unreadable");
            HashMap::new()
        });
        let exist = answers.into_iter().map(|exists| parsed(exists) == Ok(true));
        let found = all.iter().zip(exist).filter(|(_, exists)| *exists).map(|(mailbox, _)| mailbox.to_string());
        let names: BTreeSet<String> = listed.keys().cloned().chain(found).collect();
        Ok(names.into_iter().map(|name| (name.clone(), listed.get(&name).copied().unwrap_or(0))).collect())
    }

    async fn envelopes(&self, shard: ShardIndex, mailbox: &Mailbox, cursor: u64) -> Result<EnvelopePage, StoreError> {
        type Scanned = (u64, Vec<(Vec<u8>, Vec<u8>)>);
        let (index, shard) = (shard, &self.shards[shard]);
        let (key, notes) = (shard.keys.of(&Key::Out(mailbox.clone())), shard.keys.of(&Key::Notes(mailbox.clone())));
        let read = |mut redis: Connection| {
            let (key, notes) = (&key, &notes);
            async move {
                let now = millis_of(time_question().query_async(&mut redis).await?);
                let (next, found): Scanned =
                    redis::cmd("HSCAN").arg(key).arg(cursor).arg("COUNT").arg(PAGE).query_async(&mut redis).await?;
                let fields: Vec<&[u8]> = found.iter().map(|(field, _)| field.as_slice()).collect();
                let notes: Vec<Option<String>> = if fields.is_empty() {
                    Vec::new()
                } else {
                    // Damaged notes count as none: then the envelopes are only delivered once more.
                    redis.hmget(notes, fields.as_slice()).await.unwrap_or_else(|_| vec![None; found.len()])
                };
                Ok((now, next, found, notes))
            }
        };
        let ((now, next, found, notes), run) = match self.with_server_run(shard, read).await {
            Err(StoreError::Refused { reason, .. }) if reason.contains("WRONGTYPE") => {
                tracing::error!(key, "a key of another type where a mailbox belongs is moved out of the way");
                self.update(index, mailbox, &[]).await?;
                return Ok(EnvelopePage::default());
            }
            answer => answer?,
        };
        let mut page = EnvelopePage { next, run, ..EnvelopePage::default() };
        for ((field, value), note) in found.into_iter().zip(notes) {
            match envelope(mailbox.kind, &field, &value, note.as_deref(), now) {
                Ok(envelope) => page.envelopes.push(envelope),
                Err(reason) => page.unreadable.push(Undeliverable { field, reason, visits: 0 }),
            }
        }
        Ok(page)
    }

    async fn update(&self, shard: ShardIndex, mailbox: &Mailbox, updates: &[Update]) -> Result<Vec<bool>, StoreError> {
        let shard = &self.shards[shard];
        let keys = [Key::Out(mailbox.clone()), Key::Notes(mailbox.clone()), Key::Outgoing, Key::Aside];
        let mut script = UPDATE.prepare_invoke();
        script.key(shard.keys.all(keys)).key(aside_key(&shard.keys, mailbox)).key(aside_key(&shard.keys, mailbox));
        script.arg(mailbox.to_string());
        for update in updates {
            match update {
                Update::Found { id, run, there } => {
                    script.arg("note").arg(id.to_string()).arg(format!("{} {}", run.0, place(*there)))
                }
                Update::Delivered(id, note) => script.arg("delete").arg(id.to_string()).arg(note_text(note)),
                Update::Aside(aside) => script.arg("aside").arg(&aside.field).arg(&aside.reason),
            };
        }
        self.invoke(shard, &script).await
    }

    async fn land(
        &self,
        shard: ShardIndex,
        source: &ShardName,
        id: BatchId,
        moved: &Records,
        ring: Option<Fingerprint>,
    ) -> Result<Landed, StoreError> {
        let shard = &self.shards[shard];
        let fields: Vec<_> = moved.records.iter().map(|(_, fields)| fields).collect();
        let mut script = LAND.key(shard.keys.of(&Key::Applied(id.writer)));
        script.key(shard.keys.of(&Key::Sets)).key(shard.keys.of(&Key::Shard));
        for (record, _) in &moved.records {
            script.key(shard.keys.of(record));
        }
        script.arg(id.writer.to_string()).arg(millis(self.timing.move_kept));
        script.arg(ring.map(|ring| ring.to_string()).unwrap_or_default());
        script.arg(source.as_str()).arg(moved.round).arg(shard.keys.prefix().len());
        // Texts and numbers: this cannot fail.
        script.arg(serde_json::to_string(&fields).unwrap_or_default());
        let ((fresh, rejected), server_run): ((bool, Vec<(usize, String)>), _) =
            self.invoke_in_run(shard, &script).await?;
        let rejected = rejected.into_iter().filter_map(|(number, reason)| {
            let (record, fields) = moved.records.get(number)?;
            Some(RejectedRecord { record: record.clone(), visits: visits(record, fields), reason })
        });
        Ok(Landed { fresh, rejected: rejected.collect(), server_run })
    }

    fn nearness(&self, one: ShardIndex, other: ShardIndex) -> Nearness {
        let (one, other) = (&self.shards[one], &self.shards[other]);
        match Arc::ptr_eq(&one.nodes, &other.nodes) {
            true if Arc::ptr_eq(&one.last_node(), &other.last_node()) => Nearness::OneServer,
            true => Nearness::OneEndpoint,
            false => Nearness::Apart,
        }
    }
}

/// Records of imports.
impl RedisStore {
    /// Reads what this shard knows of an import; `None` if it was never begun here.
    ///
    /// # Errors
    /// As for every call, and [`StoreError::Refused`] for a record that this program cannot read.
    pub async fn import(&self, shard: ShardIndex, id: &ImportId) -> Result<Option<ImportRecord>, StoreError> {
        let shard = &self.shards[shard];
        let key = shard.keys.of(&Key::Imports);
        let record: Option<Vec<u8>> = self.command(shard, &Cmd::hget(&key, id.as_str())).await?;
        // Nothing is imported over a record that cannot be read: what it stands for may have been counted.
        let bad = |error| shard.refused(&format!("{key} has a bad record of {id}: {error}"));
        record.map(|record| ImportRecord::decode(&record).map_err(bad)).transpose()
    }

    /// Notes that an import begins, unless it is noted already. Returns what is noted now: the first one stays.
    ///
    /// # Errors
    /// As for [`RedisStore::import`].
    pub async fn begin_import(
        &self,
        index: ShardIndex,
        id: &ImportId,
        record: &ImportRecord,
    ) -> Result<ImportRecord, StoreError> {
        let shard = &self.shards[index];
        let note = Cmd::hset_nx(shard.keys.of(&Key::Imports), id.as_str(), record.encode());
        let _: bool = self.command(shard, &note).await?;
        // A record is never deleted, so the two commands need not be one step.
        self.import(index, id).await?.ok_or_else(|| shard.refused(&"the record of an import is gone again"))
    }

    /// Notes that an import is done. To be called once all shards have all of its batches.
    ///
    /// # Errors
    /// As for every call.
    pub async fn finish_import(
        &self,
        shard: ShardIndex,
        id: &ImportId,
        record: &ImportRecord,
    ) -> Result<(), StoreError> {
        let (shard, done) = (&self.shards[shard], ImportRecord { done: true, ..record.clone() });
        self.command(shard, &Cmd::hset(shard.keys.of(&Key::Imports), id.as_str(), done.encode())).await
    }
}

/// A name that no key has yet, to move a key to that is in the way.
fn aside_key(keys: &Keys, mailbox: &Mailbox) -> String {
    static MOVED: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{}:{mailbox}:{nanos}.{}", keys.of(&Key::Aside), MOVED.fetch_add(1, Ordering::Relaxed))
}

fn place(there: bool) -> &'static str {
    if there { "there" } else { "here" }
}

/// A note as `update.lua` writes it.
fn note_text(note: &Note) -> String {
    format!("{} {} {}", note.at, note.run.0, place(note.there))
}

/// Reads a note; none where it is damaged.
fn note(text: &str, now: u64) -> Option<Note> {
    let (stamped, place) = text.rsplit_once(' ')?;
    let there = ["here", "there"].iter().position(|known| *known == place)? == 1;
    let (at, run) = stamp(stamped)?;
    Some(Note { at, run, there, age: Duration::from_millis(now.saturating_sub(at)) })
}

/// Reads `<ms> <run of a server>`.
pub(super) fn stamp(text: &str) -> Option<(u64, ServerRun)> {
    let (at, run) = text.split_once(' ')?;
    Some((at.parse().ok()?, ServerRun(run.parse().ok()?)))
}

/// Reads an envelope, `now` on the clock of the shard that holds it; the error says what is wrong with it.
fn envelope(kind: Kind, field: &[u8], value: &[u8], noted: Option<&str>, now: u64) -> Result<Envelope, String> {
    let id = std::str::from_utf8(field).ok().and_then(|id| id.parse::<BatchId>().ok());
    let id = id.ok_or("its name is not the id of a batch")?;
    let (at, bytes) = number(value).ok_or("it does not begin with a time")?;
    let content = match kind {
        Kind::Batches => {
            let content = batch::Content::decode(bytes).map_err(|error| error.to_string())?;
            // Its age is what counts; the moment of sealing is another clock's.
            let sealed_at = Moment::new(Duration::ZERO, Duration::ZERO);
            Payload::Batch(Arc::new(Batch::of(id.sequence, content, sealed_at)))
        }
        Kind::Records => Payload::Records(records(bytes)?),
    };
    let age = Duration::from_millis(now.saturating_sub(at));
    Ok(Envelope { id, content, age, note: noted.and_then(|text| note(text, now)) })
}

/// A number with a space behind it, and what follows.
fn number(value: &[u8]) -> Option<(u64, &[u8])> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    Some((std::str::from_utf8(&value[..space]).ok()?.parse().ok()?, &value[space + 1..]))
}

/// Reads what `take.lua` took; the error says what is wrong with it.
fn records(bytes: &[u8]) -> Result<Records, String> {
    let (round, records) = number(bytes).ok_or("its round is no number")?;
    let records: Vec<(String, BTreeMap<String, String>)> =
        serde_json::from_slice(records).map_err(|error| format!("not a JSON list of records and fields: {error}"))?;
    let mut read = Vec::with_capacity(records.len());
    for (name, fields) in records {
        let record = name.parse().ok().filter(Key::is_record);
        let record = record.ok_or_else(|| format!("{name:?} is not the name of a record"))?;
        let amount = |(field, amount): (String, String)| match amount.parse::<u64>() {
            Ok(amount) if amount > 0 => Ok((field, amount)),
            _ => Err(format!("its field {field} is no number of visits")),
        };
        let fields = fields.into_iter().map(amount).collect::<Result<Vec<_>, _>>()?;
        if fields.is_empty() {
            return Err(format!("its record {name} has no fields"));
        }
        read.push((record, fields));
    }
    if read.is_empty() { Err("it has no records".to_owned()) } else { Ok(Records { round, records: read }) }
}

/// The visits that a record counts. Numbers of visitors are none of visits.
fn visits(name: &Key, fields: &[(String, u64)]) -> u64 {
    let counts = |field: &str| match name {
        Key::Page(_) | Key::Site => field == "total",
        Key::Days(..) | Key::SiteMonth(_) => {
            field.strip_suffix('b').unwrap_or(field).bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    };
    fields.iter().filter(|(field, _)| counts(field)).fold(0, |sum, (_, amount)| sum.saturating_add(*amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Sequence;
    use crate::page::PageId;
    use proptest::prelude::*;

    const ID: &[u8] = b"000000000000000000000000000000ab:7";

    fn read(kind: Kind, value: &[u8]) -> Result<Envelope, String> {
        envelope(kind, ID, value, Some("1500 77 there"), 4_000)
    }

    #[test]
    fn a_copy_reads_back_with_its_age_and_its_note() {
        let pages = ["a b", "c"].map(|page| (PageId::from_decoded(page).unwrap(), 2)).to_vec();
        let batch = Batch::seal(Sequence::FIRST, pages, Moment::new(Duration::ZERO, Duration::ZERO));
        let read = read(Kind::Batches, &[b"1000 ".as_slice(), &batch.encode()].concat()).unwrap();
        let Payload::Batch(batch) = read.content else { panic!("no batch") };
        assert_eq!((read.id.sequence.get(), batch.visits(), batch.pages()), (7, 4, 2));
        assert_eq!(read.age, Duration::from_secs(3));
        let note = Note { at: 1_500, run: ServerRun(77), there: true, age: Duration::from_millis(2_500) };
        assert_eq!((read.note, note_text(&note).as_str()), (Some(note), "1500 77 there"));
    }

    #[test]
    fn records_read_back() {
        let value = br#"1000 5 [["page:a b",{"total":"2"}],["days:2026-11:c\/d",{"3":"3","3u":"2"}]]"#;
        let record = |name: &str, fields: &[(&str, u64)]| {
            let fields = fields.iter().map(|(field, amount)| ((*field).to_owned(), *amount));
            (name.parse().unwrap(), fields.collect())
        };
        let records = vec![record("page:a b", &[("total", 2)]), record("days:2026-11:c/d", &[("3", 3), ("3u", 2)])];
        assert_eq!(read(Kind::Records, value).unwrap().content, Payload::Records(Records { round: 5, records }));
    }

    #[test]
    fn what_is_no_envelope_is_told() {
        let table: [(Kind, &[u8], &str); 8] = [
            (Kind::Batches, b"", "does not begin with a time"),
            (Kind::Batches, b"yesterday \x01", "does not begin with a time"),
            (Kind::Records, b"17 ", "its round is no number"),
            (Kind::Records, br#"17 5 [["page:a",{"total":"1"}]"#, "not a JSON list"),
            (Kind::Records, br#"17 5 [["page:a",{"total":"-1"}]]"#, "no number of visits"),
            (Kind::Records, br#"17 5 [["page:a",{}]]"#, "has no fields"),
            (Kind::Records, br#"17 5 [["a",{"total":"1"}]]"#, "\"a\" is not the name of a record"),
            (Kind::Records, b"17 5 []", "it has no records"),
        ];
        for (kind, value, reason) in table {
            let error = read(kind, value).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        assert!(envelope(Kind::Batches, b"ab:7", b"1 x", None, 0).unwrap_err().contains("its name"));
    }

    #[test]
    fn a_record_counts_people_and_bots_and_no_visitors() {
        let field = |(name, amount): (&str, u64)| (name.to_owned(), amount);
        let fields = [("total", 9), ("3", 4), ("3b", 2), ("3u", 1), ("4o", 7), ("bots", 3)].map(field);
        let names = ["page:a", "site", "days:2026-11:a", "site:2026-11"];
        assert_eq!(names.map(|name| visits(&name.parse().unwrap(), &fields)), [9, 9, 6, 6]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(field in prop::collection::vec(any::<u8>(), 0..60), value in ".{0,200}") {
            for kind in [Kind::Batches, Kind::Records] {
                let _ = envelope(kind, &field, value.as_bytes(), Some(&value), 0);
                let _ = read(kind, &[b"2 17 ", value.as_bytes()].concat());
            }
        }
    }
}
