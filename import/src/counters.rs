//! Counters as JSON objects, as `CountAPI`, Abacus and their like answer: `{"value":123}`, `{"namespace":"example.org",
//! "key":"home","value":123}`. Any number of them, one a line, in an array, or laid out over lines.
//!
//! A value may be a number or a text of digits, under `value` or `count`; the page under `key`, `page` or `name`. What
//! else an object has does not matter. A value of 0 or `null` (a counter that does not exist) counts nothing.

use crate::page::plain_page;
use crate::read::Records;
use crate::summary::{Reason, Seen};
use crate::tally::{Count, MAX_RECORD_VISITS, Tally};
use serde::Deserialize;
use std::borrow::Cow;
use std::io::{self, BufRead as _, BufReader, Read};
use visits_core::page::PageId;

/// Options of counters in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterOptions {
    /// The page of objects that name none, such as `{"value":123}`. `None`: they are bad records.
    pub page: Option<PageId>,
    /// Whether a namespace becomes the first part of the page id: `example.org/home`. Else it is dropped.
    pub keep_namespace: bool,
}

#[derive(Debug)]
pub(crate) struct Counters<R> {
    objects: Objects<R>,
    options: CounterOptions,
}

impl<R: Read> Counters<R> {
    pub(crate) fn new(input: R, options: CounterOptions) -> Self {
        Self { objects: Objects::new(input), options }
    }
}

impl<R: Read> Records for Counters<R> {
    fn next(&mut self, tally: &mut Tally) -> io::Result<Option<Seen>> {
        Ok(self.objects.next()?.map(|object| match object {
            Ok(object) => see(object, &self.options, tally).unwrap_or_else(Seen::Bad),
            Err(reason) => Seen::Bad(Reason::Told(reason)),
        }))
    }

    fn line(&self) -> u64 {
        self.objects.line
    }
}

#[derive(Deserialize)]
struct Counter<'a> {
    #[serde(borrow)]
    namespace: Option<Cow<'a, str>>,
    #[serde(borrow, alias = "page", alias = "name")]
    key: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "count", deserialize_with = "present")]
    value: Option<Value<'a>>,
}

/// Tells `"value":null` from no value at all.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value<'de>>, D::Error> {
    Value::deserialize(value).map(Some)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value<'a> {
    Number(u64),
    #[serde(borrow)]
    Text(Cow<'a, str>),
    Null(()),
    Other(serde::de::IgnoredAny),
}

fn see(object: &[u8], options: &CounterOptions, tally: &mut Tally) -> Result<Seen, Reason> {
    let counter: Counter<'_> = serde_json::from_slice(object).map_err(|error| Reason::Json(error.to_string()))?;
    let bad = Reason::Told("the value is not a whole number from 0 to 99999999999999");
    let visits = match counter.value.ok_or(Reason::Told("there is no value"))? {
        Value::Number(visits) => visits,
        Value::Text(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| bad.clone())?
        }
        Value::Text(_) | Value::Other(_) => return Err(bad),
        Value::Null(()) => 0,
    };
    if visits > MAX_RECORD_VISITS {
        return Err(bad);
    }
    let page = match (&counter.key, &counter.namespace, &options.page) {
        (Some(key), Some(namespace), _) if options.keep_namespace => Cow::Owned(format!("{namespace}/{key}")),
        (Some(key), ..) => Cow::Borrowed(&**key),
        (None, _, Some(page)) => Cow::Borrowed(page.as_str()),
        (None, _, None) => return Err(Reason::Told("it names no page; give one for objects that name none")),
    };
    let count = Count { visits, bots: 0 };
    Ok(if visits == 0 { Seen::Ignored } else { tally.add(page.as_bytes(), count, plain_page) })
}

/// Longest object in bytes.
const MAX_OBJECT: usize = 16 * 1024;

/// Flat JSON objects of a stream, one after the other. Each on its own is given to the JSON parser, so that a broken one
/// costs no other, and no array needs to fit in memory.
#[derive(Debug)]
struct Objects<R> {
    input: BufReader<R>,
    object: Vec<u8>,
    /// Lines begun so far, and the one on which the object read last began.
    lines: u64,
    line: u64,
}

/// An object, or what is wrong there.
type Found<'a> = Result<&'a [u8], &'static str>;

const UNCLOSED: &str = "an object is not closed where it should be";

impl<R: Read> Objects<R> {
    fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), object: Vec::new(), lines: 1, line: 1 }
    }

    /// Reads the next object.
    fn next(&mut self) -> io::Result<Option<Found<'_>>> {
        while let Some(byte) = self.peek()? {
            self.line = self.lines;
            match byte {
                b'{' => return Ok(Some(self.collect()?.map(|()| self.object.as_slice()))),
                b' ' | b'\t' | b'\r' | b'\n' | b',' | b'[' | b']' => self.take(byte),
                _ => {
                    self.skip()?;
                    return Ok(Some(Err("expected a JSON object")));
                }
            }
        }
        Ok(None)
    }

    /// Collects an object up to its closing brace. None of ours has another in it: one that begins is the next one.
    fn collect(&mut self) -> io::Result<Result<(), &'static str>> {
        self.object.clear();
        let (mut in_text, mut escaped) = (false, false);
        while let Some(byte) = self.peek()? {
            // No text of JSON goes over a line's end.
            if (byte == b'{' && !in_text && !self.object.is_empty()) || (byte == b'\n' && in_text) {
                break;
            }
            if byte == b'"' && !escaped {
                in_text = !in_text;
            }
            escaped = in_text && byte == b'\\' && !escaped;
            self.take(byte);
            self.object.push(byte);
            if byte == b'}' && !in_text {
                return Ok(Ok(()));
            }
            if self.object.len() > MAX_OBJECT {
                self.skip()?;
                return Ok(Err("an object has more than 16 KiB"));
            }
        }
        Ok(Err(UNCLOSED))
    }

    /// Goes on to where an object may begin: the next brace or line.
    fn skip(&mut self) -> io::Result<()> {
        while let Some(byte) = self.peek()?.filter(|byte| *byte != b'{') {
            self.take(byte);
            if byte == b'\n' {
                break;
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    /// Goes on behind the byte that is next.
    fn take(&mut self, byte: u8) {
        self.input.consume(1);
        self.lines += u64::from(byte == b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Summary;
    use crate::{Blocks, Bounds, Source};

    fn read(text: &str, options: CounterOptions) -> (Vec<(String, u64)>, Summary) {
        let mut blocks = Blocks::new(&Source::Counters(options), text.as_bytes(), Bounds::default()).unwrap();
        let block = blocks.next_block(&mut |_| {}).unwrap().unwrap_or_default();
        (block.into_iter().map(|one| (one.page.to_string(), one.visits)).collect(), blocks.summary().clone())
    }

    fn counts(text: &str) -> Vec<(String, u64)> {
        let (counts, summary) = read(text, CounterOptions::default());
        assert_eq!((summary.bad, summary.bytes), (0, text.len() as u64), "{text}: {:?}", summary.bad_records);
        counts
    }

    #[test]
    fn arrays_lines_and_laid_out_objects_are_the_same() {
        let forms = [
            "{\"key\":\"a\",\"value\":1}\n{\"key\":\"b\",\"value\":2}\n",
            "[{\"key\":\"a\",\"value\":1},{\"key\":\"b\",\"value\":2}]",
            "[\n  {\n    \"key\": \"a\",\n    \"value\": 1\n  },\n  {\n    \"key\": \"b\",\n    \"value\": 2\n  }\n]\n",
            "{\"namespace\":\"example.org\",\"page\":\"a\",\"count\":1}{\"name\":\"b\",\"value\":\"2\",\"ttl\":5}",
        ];
        for text in forms {
            assert_eq!(counts(text), [("a".to_owned(), 1), ("b".to_owned(), 2)], "{text}");
        }
        let braces = r#"{"key":"a}{\"b","value":3}"#;
        assert_eq!(counts(braces), [("a}{\"b".to_owned(), 3)]);
    }

    #[test]
    fn an_answer_that_names_no_page_counts_for_the_one_given() {
        let options = CounterOptions { page: Some(PageId::from_decoded("home").unwrap()), keep_namespace: true };
        let (counts, summary) = read("{\"value\":123}{\"namespace\":\"n\",\"key\":\"k\",\"value\":1}", options);
        assert_eq!((counts, summary.visits), (vec![("home".to_owned(), 123), ("n/k".to_owned(), 1)], 124));
        assert_eq!(read("{\"value\":123}", CounterOptions::default()).1.bad, 1);
    }

    #[test]
    fn a_counter_of_0_or_that_does_not_exist_counts_nothing() {
        let (counts, summary) =
            read("{\"key\":\"a\",\"value\":0}{\"key\":\"b\",\"value\":null}", CounterOptions::default());
        assert_eq!((counts.len(), summary.ignored), (0, 2));
    }

    #[test]
    fn what_is_bad_is_told_and_costs_no_other_object() {
        let bad = [
            ("{\"key\":\"x\",\"value\":-1}", "the value is not"),
            ("{\"key\":\"x\",\"value\":1.5}", "the value is not"),
            ("{\"key\":\"x\",\"value\":\"+1\"}", "the value is not"),
            ("{\"key\":\"x\",\"value\":100000000000000}", "the value is not"),
            ("{\"error\":\"Key not found\"}", "there is no value"),
            ("{\"key\":\"\",\"value\":1}", "the page id is empty"),
            ("{\"key\":\"x\",\"value\":1", "an object is not closed"),
            ("{\"key\":\"x", "an object is not closed"),
            ("{\"key\" \"x\"}", "not the JSON"),
            ("<html>", "expected a JSON object"),
            ("null", "expected a JSON object"),
        ];
        for (line, reason) in bad {
            let text = format!("{{\"key\":\"a\",\"value\":1}}\n{line}\n{{\"key\":\"b\",\"value\":2}}\n");
            let (counts, summary) = read(&text, CounterOptions::default());
            assert_eq!((counts.len(), summary.counted, summary.bad), (2, 2, 1), "{line} {:?}", summary.bad_records);
            let told = summary.bad_records[0].to_string();
            assert!(told.starts_with("line 2: ") && told.contains(reason), "{told}");
        }
    }
}
