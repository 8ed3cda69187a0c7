//! The owner's changes, read from a request, and the answers to them.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use visits_core::http::{Body, Problem};
use visits_core::page::PageId;
use visits_core::statistics::{Change, Changed, IdempotencyKey, MAX_COUNT};

/// A page forgotten with its days.
pub(super) const DELETE: Change = Change { count: 0, forget_days: true };

/// The body that `PUT /visits/{page_id}` accepts.
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
    let count = whole(&count).ok_or_else(|| Problem::invalid_body(format!("the count is {count}"), ACCEPTED))?;
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
    let invalid = |detail| Problem::new("invalid-idempotency-key", StatusCode::BAD_REQUEST, detail);
    header.ok_or_else(|| invalid(none.to_owned()))?.parse().map_err(|error| invalid(format!("{error}")))
}
