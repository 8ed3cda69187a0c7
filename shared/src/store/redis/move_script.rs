//! How moves are laid out: what `take.lua` stores and answers, and the arguments of `land.lua`.

use super::script::millis;
use crate::batch::BatchId;
use crate::page::PageId;
use crate::store::moving::{Landed, Landing, Move, Take, Taken};
use crate::store::{Incarnation, Rejected};
use redis::{FromRedisValue, ParsingError, ScriptInvocation, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// Version of what a move looks like, and of the scripts' arguments.
pub(super) const FORMAT: &str = "1";

/// The answer of both scripts: a number that says how it went, for a take the visits, and which pages were
/// rejected (number in the call, reason).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    outcome: i64,
    visits: u64,
    rejected: Vec<(usize, String)>,
}

impl FromRedisValue for Reply {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let Value::Array(parts) = value else { return Err("the script's answer is no list".into()) };
        let mut parts = parts.into_iter();
        let outcome = parts.next().map_or(Err("the script's answer is empty".into()), i64::from_redis_value)?;
        let mut reply = Self { outcome, visits: 0, rejected: Vec::new() };
        // A take's answer has the visits in between.
        let mut rest: Vec<Value> = parts.collect();
        if let Some(rejected) = rest.pop() {
            reply.rejected = FromRedisValue::from_redis_value(rejected)?;
        }
        if let Some(visits) = rest.pop() {
            reply.visits = FromRedisValue::from_redis_value(visits)?;
        }
        Ok(reply)
    }
}

impl Reply {
    pub(super) fn into_taken(self, take: &Take) -> Taken {
        match self.outcome {
            -1 => Taken::Superseded,
            -2 => Taken::Full,
            pages => Taken::Moved {
                pages: pages.unsigned_abs(),
                visits: self.visits,
                // What a record that stays counts is not known here: it stays counted.
                rejected: rejected(self.rejected, |number| Some((take.pages.get(number)?, 0))),
            },
        }
    }

    pub(super) fn into_landed(self, landing: &Landing<'_>, incarnation: Incarnation) -> Landed {
        let visits = |fields: &[(String, u64)]| fields.iter().find(|(name, _)| name == "total").map_or(0, |(_, n)| *n);
        let page = |number: usize| landing.content.pages.get(number).map(|(page, fields)| (page, visits(fields)));
        Landed { fresh: self.outcome == 1, rejected: rejected(self.rejected, page), incarnation }
    }
}

fn rejected<'a>(found: Vec<(usize, String)>, page: impl Fn(usize) -> Option<(&'a PageId, u64)>) -> Vec<Rejected> {
    let found = found.into_iter().filter_map(|(number, reason)| {
        let (page, visits) = page(number)?;
        Some(Rejected { page: page.clone(), visits, reason })
    });
    found.collect()
}

pub(super) fn land_arguments(script: &mut ScriptInvocation<'_>, landing: &Landing<'_>, kept: Duration) {
    let Move { id, tag, pages } = landing.content;
    script.arg(FORMAT).arg(id.writer.to_string()).arg(millis(kept));
    script.arg(landing.ring.map(|ring| ring.to_string()).unwrap_or_default());
    script.arg(landing.source.as_str()).arg(*tag);
    for (_, fields) in pages {
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
    let (format, tag, pages) = (part()?, part()?, part()?);
    if format != FORMAT.as_bytes() {
        return Err(format!("its format is {}; {FORMAT} is accepted", String::from_utf8_lossy(format)));
    }
    let tag = std::str::from_utf8(tag).ok().and_then(|tag| tag.parse().ok()).ok_or("its tag is no number")?;
    let pages: Vec<(String, BTreeMap<String, String>)> =
        serde_json::from_slice(pages).map_err(|error| format!("not a JSON list of pages and fields: {error}"))?;
    let page = |(page, fields): (String, BTreeMap<String, String>)| {
        let page = PageId::from_decoded(&page).map_err(|error| error.to_string())?;
        let amount = |(field, amount): (String, String)| match amount.parse::<u64>() {
            Ok(amount) if amount > 0 => Ok((field, amount)),
            _ => Err(format!("its field {field} is no number of visits")),
        };
        let fields = fields.into_iter().map(amount).collect::<Result<Vec<_>, String>>()?;
        if fields.is_empty() { Err(format!("its page {page} has no fields")) } else { Ok((page, fields)) }
    };
    let pages = pages.into_iter().map(page).collect::<Result<Vec<_>, String>>()?;
    if pages.is_empty() { Err("it has no pages".to_owned()) } else { Ok(Move { id, tag, pages }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id() -> BatchId {
        "000000000000000000000000000000ab:1".parse().unwrap()
    }

    #[test]
    fn a_move_reads_back() {
        let read = content(id(), br#"1 1700 [["a b",{"total":"2","d:1":"1"}],["c\/d",{"total":"3"}]]"#).unwrap();
        let field = |name: &str, amount| (name.to_owned(), amount);
        let page = |id| PageId::from_decoded(id).unwrap();
        let pages =
            vec![(page("a b"), vec![field("d:1", 1), field("total", 2)]), (page("c/d"), vec![field("total", 3)])];
        assert_eq!(read, Move { id: id(), tag: 1_700, pages });
    }

    #[test]
    fn what_is_no_move_is_told() {
        let table: [(&[u8], &str); 9] = [
            (b"", "cut off"),
            (b"1 17", "cut off"),
            (br#"2 17 [["a",{"total":"1"}]]"#, "its format is 2; 1 is accepted"),
            (br#"1 x [["a",{"total":"1"}]]"#, "its tag is no number"),
            (br#"1 17 [["a",{"total":"1"}]"#, "not a JSON list"),
            (br#"1 17 [["a",{"total":"-1"}]]"#, "no number of visits"),
            (br#"1 17 [["a",{}]]"#, "has no fields"),
            (br#"1 17 [["",{"total":"1"}]]"#, "the page id is empty"),
            (b"1 17 []", "it has no pages"),
        ];
        for (value, reason) in table {
            let error = content(id(), value).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
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
            let _ = content(id(), &[b"1 17 ", value.as_slice()].concat());
        }
    }
}
