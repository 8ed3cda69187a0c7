//! What is one frame, in whatever pieces it comes.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// The ends of all frames in bytes that come in pieces ending at `cuts`; `None` after them if it is malformed.
fn ends(bytes: &[u8], cuts: &[usize]) -> Vec<Option<usize>> {
    let mut scanner = Scanner::new();
    let mut ends = Vec::new();
    let mut position = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        while position < cut {
            match scanner.advance(&bytes[position..cut]) {
                Ok(Some(length)) => {
                    position += length;
                    ends.push(Some(position));
                }
                Ok(None) => position = cut,
                Err(Malformed) => {
                    ends.push(None);
                    return ends;
                }
            }
        }
    }
    ends
}

/// One frame, and nothing shorter.
fn is_one_frame(bytes: &str) {
    assert_eq!(ends(bytes.as_bytes(), &[]), [Some(bytes.len())], "{bytes:?}");
}

fn is_malformed(bytes: &str) {
    assert_eq!(ends(bytes.as_bytes(), &[]), [None], "{bytes:?}");
}

#[test]
fn every_type_is_one_frame() {
    let lines =
        ["+OK\r\n", "+\r\n", "-ERR no\r\n", ":-12\r\n", "_\r\n", ",1.5e3\r\n", ",inf\r\n", "#t\r\n", "(-349\r\n"];
    let payloads = ["$0\r\n\r\n", "$-1\r\n", "$4\r\n\r\n\r\n\r\n", "!5\r\nERR x\r\n", "=7\r\ntxt:abc\r\n"];
    let aggregates =
        ["*0\r\n", "*-1\r\n", "*2\r\n+a\r\n:1\r\n", "~1\r\n_\r\n", "%1\r\n+k\r\n$1\r\nv\r\n", ">1\r\n+p\r\n", "%0\r\n"];
    lines.into_iter().chain(payloads).chain(aggregates).for_each(is_one_frame);
}

#[test]
fn nested_values_are_one_frame() {
    is_one_frame("*3\r\n*2\r\n*0\r\n%1\r\n+k\r\n*1\r\n$-1\r\n~0\r\n*1\r\n*1\r\n*-1\r\n");
}

#[test]
fn attributes_belong_to_the_value_behind_them() {
    is_one_frame("|1\r\n+ttl\r\n:3600\r\n*2\r\n|0\r\n:1\r\n:2\r\n");
}

#[test]
fn what_is_no_frame_is_malformed() {
    let cases =
        ["PING\r\n", "\r\n", "$x\r\n", "$\r\n", "$1\r\nab", "$1\r\na\rx", "+a\nb", "+a\rb", "$--1\r\n", "%-1\r\n"];
    cases.into_iter().for_each(is_malformed);
    ["$-2\r\n", "$-11\r\n", "*99999999999999999999999\r\n", "$?\r\n", "*1\r\n;"].into_iter().for_each(is_malformed);
}

#[test]
fn nesting_has_a_bound() {
    is_one_frame(&format!("{}:1\r\n", "*1\r\n".repeat(DEEPEST)));
    is_malformed(&"*1\r\n".repeat(DEEPEST + 1));
}

/// Any value, `depth` deep at most, as its bytes.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let line = ("[-+:,(]", "[a-z0-9 ]{0,9}").prop_map(|(kind, text)| format!("{kind}{text}\r\n").into_bytes());
    let payload =
        (prop::sample::select(vec![b'$', b'!', b'=']), vec(prop::sample::select(b"\r\n$*a1".to_vec()), 0..20));
    let payload = payload.prop_map(|(kind, bytes)| {
        let head = format!("{}{}\r\n", char::from(kind), bytes.len()).into_bytes();
        [head, bytes, b"\r\n".to_vec()].concat()
    });
    let null = prop::sample::select(vec![b"$-1\r\n".to_vec(), b"*-1\r\n".to_vec(), b"_\r\n".to_vec()]);
    prop_oneof![line, payload, null].prop_recursive(4, 32, 4, |inner| {
        let list = (prop::sample::select(vec!['*', '~', '>']), vec(inner.clone(), 0..4));
        let list = list.prop_map(|(kind, values)| aggregate(kind, values.len(), &values));
        let map = (prop::sample::select(vec!['%', '|']), vec((inner.clone(), inner.clone()), 0..3), inner);
        let map = map.prop_map(|(kind, pairs, value)| {
            let mut values: Vec<_> = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
            values.extend((kind == '|').then_some(value));
            aggregate(kind, pairs.len(), &values)
        });
        prop_oneof![list, map]
    })
}

fn aggregate(kind: char, count: usize, values: &[Vec<u8>]) -> Vec<u8> {
    [format!("{kind}{count}\r\n").into_bytes(), values.concat()].concat()
}

/// Places to cut at.
fn cuts(places: &[prop::sample::Index], length: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = places.iter().map(|place| place.index(length + 1)).collect();
    cuts.sort_unstable();
    cuts
}

proptest! {
    #[test]
    fn frames_end_where_their_values_do_in_any_pieces(
        values in vec(value(), 0..6), places in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let bytes = values.concat();
        let mut end = 0;
        let expected: Vec<_> = values.iter().map(|value| { end += value.len(); Some(end) }).collect();
        prop_assert_eq!(ends(&bytes, &cuts(&places, bytes.len())), expected);
    }

    #[test]
    fn any_bytes_are_judged_the_same_in_any_pieces(
        bytes in vec(prop::sample::select(b"*$%+|:->_\r\n\r\n012a".to_vec()), 0..60),
        places in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        prop_assert_eq!(ends(&bytes, &cuts(&places, bytes.len())), ends(&bytes, &[]));
        let single: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(ends(&bytes, &single), ends(&bytes, &[]));
    }
}
