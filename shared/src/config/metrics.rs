//! Where the metrics go (`VISITS_METRICS`).

use std::fmt;

/// Longest namespace that `CloudWatch` takes, in bytes.
const MOST_BYTES: usize = 255;

/// A namespace of `CloudWatch`: what tells these metrics from those of others. Needs no escaping in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsNamespace(String);

impl fmt::Display for MetricsNamespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The namespace; none for `off`.
pub(super) fn namespace(text: &str) -> Result<Option<MetricsNamespace>, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/#:-".contains(&byte);
    match text {
        "off" => Ok(None),
        "on" => Err("on is no namespace; name one, such as VisitCounter"),
        _ if text.len() > MOST_BYTES => Err("too long"),
        _ if !text.bytes().all(allowed) => Err("a character that no namespace has"),
        _ if text.starts_with(':') => Err("a namespace does not begin with a colon"),
        _ if text.starts_with("AWS/") => Err("namespaces that begin with AWS/ are Amazon's own"),
        _ => Ok(Some(MetricsNamespace(text.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use super::namespace;

    #[test]
    fn a_namespace_is_taken_as_it_is_and_off_is_none() {
        assert_eq!(namespace("off"), Ok(None));
        for text in ["VisitCounter/my-stack", "a.b_c#d:e", "AWS", "OFF", &"n".repeat(255)] {
            assert_eq!(namespace(text).unwrap().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cloudwatch_would_refuse_is_refused_with_the_reason() {
        let long = "n".repeat(256);
        for (text, reason) in [
            ("on", "name one"),
            ("my stack", "character"),
            ("a\"b", "character"),
            ("café", "character"),
            (":a", "colon"),
            ("AWS/Lambda", "Amazon"),
            (&long, "too long"),
        ] {
            assert!(namespace(text).unwrap_err().contains(reason), "{text}");
        }
    }
}
