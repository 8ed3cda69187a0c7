//! AWS Signature Version 4 ("Create a signed AWS API request" in the IAM User Guide) of the two requests that we make:
//! without a path, and with names of parameters and headers that their callers give in order.
//!
//! `aws-sigv4` signs whatever there is, and brings a second SHA-256, a library of times and one of queries; the tests compare
//! with it.

use super::aws::{Identity, Keys};
use crate::clock::Moment;
use crate::day::Day;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};
use std::fmt::Write as _;
use std::time::Duration;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What a query escapes: all but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Signs requests to one service at one time.
pub(crate) struct Signer<'a> {
    keys: &'a Keys,
    region: &'a str,
    service: &'a str,
    /// As the header `x-amz-date` has it.
    time: String,
}

impl<'a> Signer<'a> {
    pub(crate) fn new(identity: &'a Identity, service: &'a str, at: Moment) -> Self {
        Self { keys: &identity.keys, region: &identity.region, service, time: timestamp(at) }
    }

    /// `host/?query` with its signature in the query, so that a `GET` of it is good for `ttl`. `query` is in the order of
    /// its names, all of which come before `X-Amz-`.
    pub(crate) fn presigned(&self, host: &str, query: &[(&str, &str)], ttl: Duration) -> String {
        let mut text = String::new();
        for (name, value) in query {
            add(&mut text, name, value);
        }
        add(&mut text, "X-Amz-Algorithm", ALGORITHM);
        add(&mut text, "X-Amz-Credential", &format!("{}/{}", self.keys.id, self.scope()));
        add(&mut text, "X-Amz-Date", &self.time);
        add(&mut text, "X-Amz-Expires", &ttl.as_secs().to_string());
        if let Some(token) = &self.keys.token {
            add(&mut text, "X-Amz-Security-Token", token);
        }
        add(&mut text, "X-Amz-SignedHeaders", "host");
        let (_, signature) = self.sign("GET", &text, &[("host", host)], b"");
        format!("{host}/?{text}&X-Amz-Signature={signature}")
    }

    /// The headers that sign a `POST` of `body` to `/`, besides `headers`, which it has and which are signed: in lower case,
    /// in the order of their names, all of which come before `x-amz-`, and without spaces around their values. `target` is
    /// the header `x-amz-target`.
    #[cfg(feature = "secrets-manager")]
    pub(super) fn headers(&self, headers: &[(&str, &str)], target: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        let mut ours = vec![("x-amz-date", self.time.clone())];
        ours.extend(self.keys.token.clone().map(|token| ("x-amz-security-token", token)));
        ours.push(("x-amz-target", target.to_owned()));
        let all = headers.iter().copied().chain(ours.iter().map(|(name, value)| (*name, value.as_str())));
        let (signed, signature) = self.sign("POST", "", &all.collect::<Vec<_>>(), body);
        let (id, scope) = (&self.keys.id, self.scope());
        let authorization =
            format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={signed}, Signature={signature}");
        ours.push(("authorization", authorization));
        ours
    }

    /// The names of the signed headers, and the signature.
    fn sign(&self, method: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> (String, String) {
        let (mut names, mut lines) = (String::new(), String::new());
        for (name, value) in headers {
            names.push_str(if names.is_empty() { "" } else { ";" });
            names.push_str(name);
            let _ = writeln!(lines, "{name}:{value}");
        }
        let request = format!("{method}\n/\n{query}\n{lines}\n{names}\n{}", hex(sha256(body).as_ref()));
        let digest = hex(sha256(request.as_bytes()).as_ref());
        let text = format!("{ALGORITHM}\n{}\n{}\n{digest}", self.time, self.scope());
        let signature = hex(mac(self.key().as_ref(), &text).as_ref());
        (names, signature)
    }

    /// The key that signs this day's requests to the service.
    fn key(&self) -> hmac::Tag {
        let of_day = mac(format!("AWS4{}", self.keys.secret).as_bytes(), self.date());
        let of_region = mac(of_day.as_ref(), self.region);
        let of_service = mac(of_region.as_ref(), self.service);
        mac(of_service.as_ref(), "aws4_request")
    }

    fn date(&self) -> &str {
        self.time.split('T').next().unwrap_or_default()
    }

    fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date(), self.region, self.service)
    }
}

/// Basic format of ISO 8601: `20150830T123600Z`.
fn timestamp(at: Moment) -> String {
    let seconds = at.epoch_millis() / 1000 % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hour:02}{minute:02}{second:02}Z", Day::of(at).to_string().replace('-', ""))
}

/// Adds `name=value` to a query.
fn add(query: &mut String, name: &str, value: &str) {
    let separator = if query.is_empty() { "" } else { "&" };
    let (name, value) = (utf8_percent_encode(name, ESCAPED), utf8_percent_encode(value, ESCAPED));
    // Writing to a text does not fail.
    let _ = write!(query, "{separator}{name}={value}");
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

fn sha256(bytes: &[u8]) -> digest::Digest {
    digest::digest(&digest::SHA256, bytes)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
