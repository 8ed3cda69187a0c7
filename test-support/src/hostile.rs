//! Hostile events: samples with parts replaced, removed or added at any depth, and with bytes changed.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A change of a JSON value, at a place that is found by following `path` through the containers on the way.
#[derive(Clone, Debug)]
struct Edit {
    path: Vec<usize>,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    Replace(Value),
    Remove,
    Add(String, Value),
}

/// Checks many hostile events made of `samples`; `PROPTEST_CASES` says how many (`make fuzz`).
pub fn check(samples: &[&str], check: impl Fn(&str)) {
    proptest!(|(event in events(samples))| check(&event));
}

/// Events made of `samples` by a few changes; one in eight then has some bytes changed and may be no JSON.
pub fn events(samples: &[&str]) -> impl Strategy<Value = String> + use<> {
    let parsed: Vec<Value> = samples.iter().map(|sample| serde_json::from_str(sample).unwrap_or_default()).collect();
    let edited = (prop::sample::select(parsed), vec(edit(), 0..4)).prop_map(|(mut event, edits)| {
        for edit in edits {
            apply(&mut event, &edit.path, edit.act);
        }
        event.to_string()
    });
    let damaged = (edited.clone(), vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)).prop_map(|(text, bytes)| {
        let mut text = text.into_bytes();
        for (index, byte) in bytes {
            let index = index.index(text.len());
            text[index] = byte;
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    prop_oneof![7 => edited, 1 => damaged]
}

fn edit() -> impl Strategy<Value = Edit> + Clone {
    let act = prop_oneof![
        4 => value().prop_map(Act::Replace),
        1 => Just(Act::Remove),
        1 => (key(), value()).prop_map(|(key, value)| Act::Add(key, value)),
    ];
    (vec(0..32_usize, 0..5), act).prop_map(|(path, act)| Edit { path, act })
}

/// Names of fields and headers that events are read by.
#[rustfmt::skip]
const NAMES: [&str; 22] = [
    "flush", "rawPath", "rawQueryString", "httpMethod", "path", "host", "x-forwarded-proto", "x-forwarded-for", "elb",
    "http", "version", "sourceIp", "headers", "cookies", "cookie", "body", "isBase64Encoded", "authorization",
    "origin", "referer", "user-agent", "dnt",
];

/// Texts that are paths, methods, hosts, bodies and credentials, or nearly so.
#[rustfmt::skip]
const TEXTS: [&str; 53] = [
    "", "/", "//", "/visit/", "/visits/", "/visit/home", "/visits/home", "/visits", "/pixel/home", "/badge/home",
    "/visit/../visits/a", "/visit/%", "/visit/%zz", "/visit/%00", "/visit/%2525", "/visit/%E9", "/visit/a\u{0}b",
    "/visit/a?b#c", "/prod/visit/home", "POST", "GET", "HEAD", "G ET", "post", "localhost",
    "a.lambda-url.eu-west-2.on.aws", "[::1", "h:99999", "a b", "\u{feff}", "é\u{301}", "🦀", "\u{7f}", "a\nb", "%",
    "$default", "prod", "2.0", "1.0", "1", "OPTIONS", "null", "https://a.test", "page=home", "page=%zz&page",
    "label=%3Cscript%3E&color=red&offset=7&style=plastic", "[\"home\",\"<script>\"]", "{\"pages\":[\"home\"]}",
    "{\"pages\":[\"home\",7]}", "WyJob21lIl0=", "__Host-visits_session=1.x", "Bearer x", "Googlebot/2.1",
];

fn key() -> impl Strategy<Value = String> + Clone {
    prop_oneof![3 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned), 1 => ".{0,8}"]
}

fn value() -> impl Strategy<Value = Value> + Clone {
    let fixed = json!([
        null, true, [], {}, -1, 1.5, u64::MAX, f64::MAX, [[[[]]]], {"flush": {"hold_until": 1}}, {"hold_until": u64::MAX},
        "a".repeat(70_000), "/visit/".to_owned() + &"%41".repeat(600)
    ]);
    prop_oneof![
        2 => prop::sample::select(fixed.as_array().cloned().unwrap_or_default()),
        4 => prop::sample::select(&TEXTS[..]).prop_map(|text| json!(text)),
        2 => "(/visits?/)?.{0,20}".prop_map(|text| json!(text)),
        1 => any::<i64>().prop_map(|number| json!(number)),
    ]
}

fn apply(node: &mut Value, path: &[usize], act: Act) {
    let (step, rest) = path.split_first().map_or((None, path), |(step, rest)| (Some(*step), rest));
    match (node, step) {
        (Value::Object(fields), Some(step)) if !fields.is_empty() => {
            let Some(key) = fields.keys().nth(step % fields.len()).cloned() else { return };
            match act {
                Act::Remove if rest.is_empty() => drop(fields.remove(&key)),
                act => fields.get_mut(&key).into_iter().for_each(|child| apply(child, rest, act.clone())),
            }
        }
        (Value::Array(items), Some(step)) if !items.is_empty() => {
            let index = step % items.len();
            apply(&mut items[index], rest, act);
        }
        (Value::Object(fields), None) => match act {
            Act::Add(key, value) => drop(fields.insert(key, value)),
            Act::Replace(value) => fields.values_mut().next().into_iter().for_each(|first| *first = value.clone()),
            Act::Remove => {}
        },
        (node, _) => {
            if let Act::Replace(value) = act {
                *node = value;
            }
        }
    }
}
