//! A request's body: bounded, and read only by the routes that have one.

use super::lenient::{Flag, LongText, TooLong};
use super::problem::Problem;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Longest body in bytes: a hundred page ids of the greatest length, in JSON, fit.
pub const MOST_BODY: usize = 64 * 1024;

/// A request's body as its event source hands it over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Content);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Content {
    #[default]
    None,
    Text(String),
    /// What the event source takes for no text, in base64.
    Base64(String),
    TooLong,
}

impl Body {
    pub(super) fn new(body: LongText, base64: Flag) -> Self {
        Self(match (body.0, base64.0) {
            (None, _) => Content::None,
            (Some(Err(TooLong)), _) => Content::TooLong,
            (Some(Ok(text)), false) => Content::Text(text),
            (Some(Ok(text)), true) => Content::Base64(text),
        })
    }

    /// The body read as JSON, whatever content type it claims. 413 for one over [`MOST_BODY`], 400 for what is no such
    /// JSON; `accepted` says there what is.
    pub fn json<T: DeserializeOwned>(&self, accepted: &str) -> Result<T, Problem> {
        let bytes = self.bytes(accepted)?;
        serde_json::from_slice(&bytes).map_err(|error| Problem::invalid_body(&error, accepted))
    }

    fn bytes(&self, accepted: &str) -> Result<Cow<'_, [u8]>, Problem> {
        let bytes = match &self.0 {
            Content::None => Cow::Borrowed(&[][..]),
            Content::Text(text) => Cow::Borrowed(text.as_bytes()),
            Content::Base64(text) => BASE64
                .decode(text)
                .map(Cow::Owned)
                .map_err(|_| Problem::invalid_body(&"it is marked as base64 and is none", accepted))?,
            Content::TooLong => return Err(Problem::body_too_large()),
        };
        if bytes.len() > MOST_BODY { Err(Problem::body_too_large()) } else { Ok(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::{BASE64, MOST_BODY};
    use crate::http::{Event, Problem};
    use base64::Engine as _;
    use serde_json::{Value, json};

    fn read(body: &Value, base64: &Value) -> Result<Value, Problem> {
        let event = json!({"body": body, "isBase64Encoded": base64, "requestContext": {"http": {}}});
        match serde_json::from_str(&event.to_string()).unwrap() {
            Event::Http(request) => request.body.json("any JSON is accepted"),
            other => panic!("{other:?}"),
        }
    }

    fn status(body: &Value, base64: &Value) -> u16 {
        read(body, base64).unwrap_err().status().as_u16()
    }

    #[test]
    fn a_body_is_read_whether_or_not_its_source_takes_it_for_text() {
        for no in [json!(false), json!(null), json!("true"), json!(1), json!({}), json!([true])] {
            assert_eq!(read(&json!("[\"é\"]"), &no), Ok(json!(["é"])), "{no}");
        }
        assert_eq!(read(&json!(BASE64.encode("[\"é\"]")), &json!(true)), Ok(json!(["é"])));
    }

    #[test]
    fn a_body_that_is_no_json_is_told_with_what_is_accepted() {
        for (body, base64) in [
            (json!(null), false),
            (json!(""), false),
            (json!("x"), false),
            (json!(7), false),
            (json!([]), false),
            (json!("[]"), true),
            (json!("é"), true),
            (json!(BASE64.encode(b"[\"\xff\"]")), true),
        ] {
            assert_eq!(status(&body, &json!(base64)), 400, "{body}");
            let text = read(&body, &json!(base64)).unwrap_err().body();
            assert!(text.contains("the body cannot be read: ") && text.contains("any JSON is accepted"), "{text}");
        }
    }

    #[test]
    fn a_body_has_64_kib_at_most_however_it_comes() {
        let text = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
        assert!(read(&json!(text(MOST_BODY)), &json!(false)).is_ok());
        assert!(read(&json!(BASE64.encode(text(MOST_BODY))), &json!(true)).is_ok());
        for bytes in [MOST_BODY + 1, MOST_BODY * 2, MOST_BODY * 20] {
            assert_eq!(status(&json!(text(bytes)), &json!(false)), 413, "{bytes}");
            assert_eq!(status(&json!(BASE64.encode(text(bytes))), &json!(true)), 413, "{bytes}");
        }
    }
}
