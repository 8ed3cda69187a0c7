//! What the owner changes, read from a request, and how the answer to it is written.

use serde::{Deserialize, Serialize};
use serde_json::Number;
use visits_core::http::{Body, Problem};
use visits_core::page::PageId;
use visits_core::statistics::{Change, Changed, IdempotencyKey, MAX_COUNT};

/// A page forgotten with its days.
pub(super) const DELETE: Change = Change { count: 0, forget_days: true };

/// What `PUT /visits/{page_id}` accepts.
const ACCEPTED: &str = r#"{"count":123} is accepted, with a whole number from 0 to 999999999999999"#;

/// The body of `PUT /visits/{page_id}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    count: Number,
}

/// The body of the answer to both changes.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    page: &'a str,
    count: u64,
    previous: u64,
    repeated: bool,
}

impl<'a> Answer<'a> {
    pub(super) fn new(page: &'a PageId, wanted: Change, changed: Changed) -> Self {
        let Changed { previous, repeated } = changed;
        Self { page: page.as_str(), count: wanted.count, previous, repeated }
    }
}

/// The count that a body asks for.
pub(super) fn wanted(body: &Body) -> Result<Change, Problem> {
    let Wanted { count } = body.json(ACCEPTED)?;
    let count = whole(&count).ok_or_else(|| Problem::invalid_body(&format!("the count is {count}"), ACCEPTED))?;
    Ok(Change { count, forget_days: false })
}

/// A whole number up to [`MAX_COUNT`], however JSON writes it: `5.0` and `5e0` are 5.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // such a float is exact, and within
fn whole(number: &Number) -> Option<u64> {
    let exact = number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..1e15).contains(float));
    number.as_u64().or_else(|| exact.map(|float| float as u64)).filter(|count| *count <= MAX_COUNT)
}

/// The key of a change, which has one.
pub(super) fn key(header: Option<&str>) -> Result<IdempotencyKey, Problem> {
    let none = "a change needs the header Idempotency-Key: 1 to 128 visible ASCII characters, the same when the same \
                change is sent again";
    let header = header.ok_or_else(|| Problem::invalid_idempotency_key(none))?;
    header.parse().map_err(|error| Problem::invalid_idempotency_key(format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::{MAX_COUNT, key, whole};

    #[test]
    fn a_count_is_a_whole_number_that_every_reader_of_json_reads_alike() {
        let read = |text: &str| whole(&serde_json::from_str(text).unwrap());
        for (text, count) in [("0", 0), ("-0", 0), ("7", 7), ("7.0", 7), ("7e2", 700), ("999999999999999", MAX_COUNT)] {
            assert_eq!(read(text), Some(count), "{text}");
        }
        for text in ["-1", "7.5", "1000000000000000", "1e300", "-7.0", "18446744073709551616"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_change_without_a_key_is_told_what_is_wanted() {
        for header in [None, Some(""), Some("a b"), Some("é")] {
            let response = key(header).unwrap_err().into_response();
            assert!(response.status() == 400 && response.body().contains("1 to 128 visible ASCII"), "{header:?}");
        }
        assert!(key(Some("5f0c")).is_ok());
    }
}
