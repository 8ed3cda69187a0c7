//! How moves are laid out: what `take.lua` stores and answers, and the arguments of `land.lua`.

use super::script::millis;
use crate::batch::BatchId;
use crate::page::PageId;
use crate::record::RecordName;
use crate::store::Incarnation;
use crate::store::moving::{Landed, Landing, Move, RejectedRecord, Take, Taken, visits};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Version of what a move looks like, and of the scripts' arguments.
pub(super) const FORMAT: &str = "2";

/// The version before: a move of pages only, by their ids. Such a move may still wait when `flush-visits` is updated.
const PAGES_ONLY: &str = "1";

/// The answer of both scripts: a number that says how it went, for a take the pages and visits, and which records were
/// rejected (number in the call, reason).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    outcome: i64,
    counted: Vec<u64>,
    rejected: Vec<(usize, String)>,
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(parts) = value else { return Err("the script's answer is no list".into()) };
        let mut parts = parts.into_iter();
        let outcome = parts.next().map_or(Err("the script's answer is empty".into()), i64::from_redis_value)?;
        let mut reply = Self { outcome, counted: Vec::new(), rejected: Vec::new() };
        // A take's answer has its pages and visits in between.
        let mut rest: Vec<Value> = parts.collect();
        if let Some(rejected) = rest.pop() {
            reply.rejected = FromRedisValue::from_redis_value(rejected)?;
        }
        reply.counted = rest.into_iter().map(u64::from_redis_value).collect::<Result<_, _>>()?;
        Ok(reply)
    }
}

impl Reply {
    pub(super) fn into_taken(self, take: &Take) -> Taken {
        match self.outcome {
            -1 => Taken::Superseded,
            -2 => Taken::Full,
            looked_at => Taken::Moved {
                looked_at: usize::try_from(looked_at).unwrap_or_default(),
                pages: self.counted.first().copied().unwrap_or_default(),
                visits: self.counted.get(1).copied().unwrap_or_default(),
                // What a record that stays counts is not known here: it stays counted.
                rejected: rejected(self.rejected, |number| Some((take.records.get(number)?, 0))),
            },
        }
    }

    pub(super) fn into_landed(self, landing: &Landing<'_>, incarnation: Incarnation) -> Landed {
        let record = |number: usize| {
            let (name, fields) = landing.content.records.get(number)?;
            Some((name, visits(name, fields)))
        };
        Landed { fresh: self.outcome == 1, rejected: rejected(self.rejected, record), incarnation }
    }
}

fn rejected<'a>(
    found: Vec<(usize, String)>,
    record: impl Fn(usize) -> Option<(&'a RecordName, u64)>,
) -> Vec<RejectedRecord> {
    let found = found.into_iter().filter_map(|(number, reason)| {
        let (record, visits) = record(number)?;
        Some(RejectedRecord { record: record.clone(), visits, reason })
    });
    found.collect()
}

/// `prefix` is the length of what the records' keys begin with.
pub(super) fn land_arguments(script: &mut ScriptInvocation<'_>, landing: &Landing<'_>, kept: Duration, prefix: usize) {
    let Move { id, tag, records } = landing.content;
    script.arg(FORMAT).arg(id.writer.to_string()).arg(millis(kept));
    script.arg(landing.ring.map(|ring| ring.to_string()).unwrap_or_default());
    script.arg(landing.source.as_str()).arg(*tag).arg(prefix);
    for (_, fields) in records {
        script.arg(fields.len());
        for (field, amount) in fields {
            script.arg(field).arg(*amount);
        }
    }
}

/// Reads a move; the error says what is wrong with it.
pub(super) fn content(id: BatchId, value: &[u8]) -> Result<Move, String> {
    let mut parts = value.splitn(3, |byte| *byte == b' ');
    let mut part = || parts.next().ok_or("it is cut off");
    let (format, tag, records) = (part()?, part()?, part()?);
    let read_name = match format {
        _ if format == FORMAT.as_bytes() => name,
        _ if format == PAGES_ONLY.as_bytes() => page,
        _ => {
            let format = String::from_utf8_lossy(format);
            return Err(format!("its format is {format}; {PAGES_ONLY} and {FORMAT} are accepted"));
        }
    };
    let tag = std::str::from_utf8(tag).ok().and_then(|tag| tag.parse().ok()).ok_or("its tag is no number")?;
    let records: Vec<(String, BTreeMap<String, String>)> =
        serde_json::from_slice(records).map_err(|error| format!("not a JSON list of records and fields: {error}"))?;
    let record = |(name, fields): (String, BTreeMap<String, String>)| {
        let name = read_name(&name)?;
        let amount = |(field, amount): (String, String)| match amount.parse::<u64>() {
            Ok(amount) if amount > 0 => Ok((field, amount)),
            _ => Err(format!("its field {field} is no number of visits")),
        };
        let fields = fields.into_iter().map(amount).collect::<Result<Vec<_>, String>>()?;
        if fields.is_empty() { Err(format!("its record {name} has no fields")) } else { Ok((name, fields)) }
    };
    let records = records.into_iter().map(record).collect::<Result<Vec<_>, String>>()?;
    if records.is_empty() { Err("it has no records".to_owned()) } else { Ok(Move { id, tag, records }) }
}

fn name(text: &str) -> Result<RecordName, String> {
    text.parse().map_err(|error| format!("{text:?} is {error}"))
}

fn page(id: &str) -> Result<RecordName, String> {
    PageId::from_decoded(id).map(RecordName::Page).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> BatchId {
        "000000000000000000000000000000ab:1".parse().unwrap()
    }

    fn field(name: &str, amount: u64) -> (String, u64) {
        (name.to_owned(), amount)
    }

    #[test]
    fn a_move_reads_back() {
        let value = br#"2 1700 [["page:a b",{"total":"2","d:1":"1"}],["days:2026-11:c\/d",{"3":"3","3u":"2"}],["site",{"bots":"1"}]]"#;
        let record = |name: &str, fields: &[(String, u64)]| (name.parse().unwrap(), fields.to_vec());
        let records = vec![
            record("page:a b", &[field("d:1", 1), field("total", 2)]),
            record("days:2026-11:c/d", &[field("3", 3), field("3u", 2)]),
            record("site", &[field("bots", 1)]),
        ];
        assert_eq!(content(id(), value).unwrap(), Move { id: id(), tag: 1_700, records });
    }

    #[test]
    fn a_move_of_the_version_before_has_pages_by_their_ids() {
        let value = br#"1 1700 [["site",{"total":"2"}],["page:x",{"total":"3"}]]"#;
        let record =
            |id: &str, total| (RecordName::Page(PageId::from_decoded(id).unwrap()), vec![field("total", total)]);
        let records = vec![record("site", 2), record("page:x", 3)];
        assert_eq!(content(id(), value).unwrap(), Move { id: id(), tag: 1_700, records });
    }

    #[test]
    fn what_is_no_move_is_told() {
        let table: [(&[u8], &str); 10] = [
            (b"", "cut off"),
            (b"2 17", "cut off"),
            (br#"3 17 [["a",{"total":"1"}]]"#, "its format is 3; 1 and 2 are accepted"),
            (br#"2 x [["page:a",{"total":"1"}]]"#, "its tag is no number"),
            (br#"2 17 [["page:a",{"total":"1"}]"#, "not a JSON list"),
            (br#"2 17 [["page:a",{"total":"-1"}]]"#, "no number of visits"),
            (br#"2 17 [["page:a",{}]]"#, "has no fields"),
            (br#"2 17 [["a",{"total":"1"}]]"#, "\"a\" is not the name of a record"),
            (br#"1 17 [["",{"total":"1"}]]"#, "the page id is empty"),
            (b"2 17 []", "it has no records"),
        ];
        for (value, reason) in table {
            let error = content(id(), value).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_record_counts_people_and_bots_and_no_visitors() {
        let fields =
            [field("total", 9), field("3", 4), field("3b", 2), field("3u", 1), field("4o", 7), field("bots", 3)];
        let counted =
            ["page:a", "site", "days:2026-11:a", "site:2026-11"].map(|name| visits(&name.parse().unwrap(), &fields));
        assert_eq!(counted, [9, 9, 6, 6]);
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        for value in [Value::Nil, Value::Array(vec![]), Value::Array(vec![Value::Nil])] {
            assert!(Reply::from_redis_value(value).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = content(id(), &value);
            let _ = content(id(), &[b"2 17 ", value.as_slice()].concat());
        }
    }
}
