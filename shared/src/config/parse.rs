//! Values that are a duration, a number, a switch or a function's name. Reasons repeat nothing of the value: it is
//! shown once, masked.

use super::limits::FUNCTION_NAME_BYTES;
use std::ops::RangeInclusive;
use std::time::Duration;
use url::{Host, Url};

/// Human-readable, such as `500ms` or `1m 30s`; of the bare numbers only `0`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, &'static str> {
    move |text| {
        let duration = humantime::parse_duration(text).map_err(|error| match error {
            humantime::DurationError::UnknownUnit { unit, .. } if unit.is_empty() => "its unit is missing",
            _ => "not a duration",
        })?;
        if range.contains(&duration) { Ok(duration) } else { Err("out of range") }
    }
}

pub(super) fn number(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, &'static str> {
    move |text| {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("not a whole number");
        }
        // Digits that do not parse are too many.
        text.parse().ok().filter(|number| range.contains(number)).ok_or("out of range")
    }
}

/// A number that fits 32 bits, whatever the platform's word is.
pub(super) fn small(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<u32, &'static str> {
    let number = number(range);
    move |text| number(text).and_then(|number| u32::try_from(number).map_err(|_| "out of range"))
}

pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("unknown word"),
    }
}

/// Refuses a URL by which a call of AWS would cross a network without TLS: its headers, the credentials' session among them, and the
/// secret in the answer could be read on the way.
pub(crate) fn aws_endpoint(text: &str) -> Result<(), &'static str> {
    let is_plain = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    let url = text.parse::<Url>().ok();
    let is_here = match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if is_plain && !is_here { Err("plain http to another machine would show what is sent to AWS") } else { Ok(()) }
}

/// The characters of a name, a partial ARN or an ARN, with or without a version. Lambda knows the rest.
pub(super) fn function_name(text: &str) -> Result<String, &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:$".contains(&byte);
    if !FUNCTION_NAME_BYTES.contains(&text.len()) {
        return Err("too long");
    }
    if text.bytes().all(allowed) { Ok(text.to_owned()) } else { Err("a character that no function name has") }
}
