//! Whatever comes in from outside is taken or refused, never worse: page ids, flush orders, settings. Events go
//! through the handlers in the functions' own tests; batches and parked copies have theirs beside the code.
//! `PROPTEST_CASES` runs more of them (`make fuzz`).

use proptest::collection::hash_map;
use proptest::prelude::*;
use std::time::Duration;
use visits_core::clock::ManualClock;
use visits_core::config::Config;
use visits_core::page::PageId;
use visits_core::sweep::{FlushOrder, LONGEST_HOLD};

/// A password that no message may show.
const SECRET: &str = "s3cr3t-p4ssw0rd";

/// Decodes as RFC 3986 says, byte by byte, apart from the code under test.
fn decoded(id: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), id.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let digits = tail.get(..2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|_| digits[0] != b'+')?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn is_page(id: &str) -> bool {
    (1..=512).contains(&id.len()) && !id.chars().any(char::is_control)
}

/// Values that a variable may be given by mistake, passwords among them.
fn setting() -> impl Strategy<Value = String> {
    let url = format!("redis://app:{SECRET}@host:7070");
    let texts = [
        url.clone(),
        format!("a={url},b={url};weight=3"),
        format!("a={url};weight=99"),
        format!("a=rediss://:{SECRET}@h"),
        format!("{url},{url}"),
        format!("a=redis://x:{SECRET}@"),
        format!("a = redis://u:{SECRET}@[::1]:99999/x?y#z"),
        format!("a={url};password-file={SECRET},b=redis://h;password={SECRET}"),
        format!("a=h;password-file={SECRET}"),
        "5s".into(),
        "0".into(),
        "-1".into(),
        "99999999999999999999".into(),
        "direct".into(),
        "on".into(),
    ];
    prop_oneof![2 => prop::sample::select(texts.to_vec()), 1 => ".{0,40}", 1 => "[0-9]{1,9}(ms|s|m|h|d)?"]
}

fn settings() -> impl Strategy<Value = std::collections::HashMap<String, String>> {
    let names: Vec<String> = Config::VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    hash_map(prop::sample::select(names), setting(), 0..6)
}

proptest! {
    #[test]
    fn an_encoded_id_is_decoded_exactly_once_or_refused(id in "([ -~é🦀]|%[0-9A-Fa-f]{2}|%.?|%C3%A9|%f0%9F%a6%80){0,30}") {
        let page = PageId::from_encoded(&id).ok().map(|page| page.as_str().to_owned());
        prop_assert_eq!(page, decoded(&id).filter(|id| is_page(id)));
    }

    #[test]
    fn a_decoded_id_is_taken_as_it_is_or_refused(id in "(?s).{0,40}|a{500,520}|(é|%41){200,300}") {
        let page = PageId::from_decoded(&id).ok().map(|page| page.as_str().to_owned());
        prop_assert_eq!(page, is_page(&id).then_some(id));
    }

    #[test]
    fn no_flush_order_holds_an_environment_for_long(hold in any::<u64>(), text in r#"\{"flush":(\{("hold_until":)?.{0,12}\}|.{0,9})\}"#) {
        let now = ManualClock::new().clock().now();
        for event in [serde_json::json!({"flush": {"hold_until": hold}}), serde_json::from_str(&text).unwrap_or_default()] {
            if let Ok(order) = FlushOrder::parse(event.get("flush").cloned(), true) {
                prop_assert!(order.hold(now) <= LONGEST_HOLD);
            }
        }
    }

    #[test]
    fn any_settings_are_taken_within_their_ranges_or_told_without_a_password(set in settings()) {
        match Config::from_vars(|name| set.get(name).map(Into::into)) {
            Ok(config) => {
                prop_assert!(config.shards.iter().any(|shard| shard.weight.get() > 0));
                prop_assert!((Duration::from_millis(100)..=Duration::from_mins(10)).contains(&config.flush_interval));
                prop_assert!((1..=1_000_000).contains(&config.buffer_pages) && config.cache_pages >= 1);
                let shown = format!("{config:?}");
                prop_assert!(!shown.contains(SECRET));
            }
            Err(error) => {
                prop_assert!(error.variables().all(|name| set.contains_key(name)));
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(SECRET), "{}", shown);
            }
        }
    }
}
