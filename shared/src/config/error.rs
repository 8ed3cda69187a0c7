//! The one message about everything that is wrong with the settings, with passwords masked.
//!
//! Values are masked also where they are no URL for some mistake; in doubt the mask hides too much.

use crate::config::variables::Variable;
use std::fmt;

/// Longest value that is shown, in characters: enough to recognise it.
const SHOWN_CHARACTERS: usize = 300;

/// Wrong settings: each variable, its value with passwords masked, what is wrong, and what is accepted.
///
/// `Debug` is the same text as `Display`, since that is how `main` shows an error that it returns.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    wrong: Vec<WrongVariable>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct WrongVariable {
    variable: &'static Variable,
    /// With passwords masked: nothing else of the value is kept.
    shown: String,
    reason: String,
}

impl WrongVariable {
    pub(crate) fn new(variable: &'static Variable, value: &str, reason: String) -> Self {
        let mut shown = masked(value);
        if let Some((end, _)) = shown.char_indices().nth(SHOWN_CHARACTERS) {
            shown.truncate(end);
            shown.push('…');
        }
        Self { variable, shown, reason }
    }
}

impl ConfigError {
    pub(crate) fn new(wrong: Vec<WrongVariable>) -> Self {
        Self { wrong }
    }

    /// The names of the wrong variables.
    pub fn variables(&self) -> impl Iterator<Item = &'static str> {
        self.wrong.iter().map(|wrong| wrong.variable.name)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong:")?;
        for WrongVariable { variable: Variable { name, default, accepted }, shown, reason } in &self.wrong {
            write!(f, "\n  {name}={shown:?}: {reason}; accepted: {accepted} (default {default})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

const MASK: &str = "***";

/// `value` with all that may be a password replaced by `***`.
pub fn masked(value: &str) -> String {
    // A file's content in place of its path: perhaps a private key.
    if value.contains("-----BEGIN") {
        return MASK.to_owned();
    }
    let mut rest = value;
    let mut shown = String::new();
    while let Some(comma) = rest.match_indices(',').map(|(at, _)| at).find(|&at| starts_entry(&rest[at + 1..])) {
        shown.push_str(&masked_entry(&rest[..comma]));
        shown.push(',');
        rest = &rest[comma + 1..];
    }
    shown + &masked_entry(rest)
}

/// Whether `name=scheme://` follows. Any other comma may be a part of a password.
fn starts_entry(text: &str) -> bool {
    let word =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let start = text.split_once("://").map_or("", |(start, _)| start);
    start.split_once('=').is_some_and(|(name, scheme)| word(name.trim()) && word(scheme.trim()))
}

fn masked_entry(entry: &str) -> String {
    let authority = authority_start(entry);
    let (head, rest) = entry.split_at(authority.unwrap_or(0));
    let Some((credentials, host)) = rest.rsplit_once('@') else {
        return if authority.is_some() { format!("{head}{}", masked_host(rest)) } else { masked_options(entry) };
    };
    let host = masked_options(&masked_query(host));
    match credentials.split_once(':') {
        // With these it is no user: another entry, with what it hides, runs into this one.
        Some((user, _)) if !user.contains(['@', '?']) => format!("{head}{user}:{MASK}@{host}"),
        // Whether a word on its own is the user or the password cannot be told.
        _ => format!("{head}{MASK}@{host}"),
    }
}

/// Where user and password may begin: behind the `://`, if no `@` comes before.
fn authority_start(entry: &str) -> Option<usize> {
    let slashes = entry.find("://")?;
    (!entry[..slashes].contains('@')).then_some(slashes + 3)
}

/// A host without credentials, and the options after it. What follows its colon must look like a port: it is a
/// password whose `@host` was forgotten otherwise.
fn masked_host(host: &str) -> String {
    // The colons of an ARN are no sign of a password.
    let (host, options) = host.split_at(host.find(";password-secret=arn:").unwrap_or(host.len()));
    let name_end = if host.starts_with('[') { host.find(']').unwrap_or(0) } else { 0 };
    match host[name_end..].find(':').map(|colon| name_end + colon + 1) {
        Some(port) if !is_port(&host[port..]) => format!("{}{MASK}", &host[..port]),
        _ => masked_options(&masked_query(&format!("{host}{options}"))),
    }
}

/// An option that is none, such as `;password=`, may hold one, and so may what stands in place of a file's path.
fn masked_options(host: &str) -> String {
    let masked = |part: &str| match part.split_once('=') {
        Some((key, value)) if !shows(key.trim(), value.trim()) => format!("{key}={MASK}"),
        _ => part.to_owned(),
    };
    host.split(';').map(masked).collect::<Vec<_>>().join(";")
}

fn shows(key: &str, value: &str) -> bool {
    match key {
        "password-file" => value.starts_with('/'),
        _ => !key.to_ascii_lowercase().contains("pass") || key == "password-secret",
    }
}

fn is_port(text: &str) -> bool {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[end..].is_empty() || text[end..].starts_with(['/', ';', '?', ' '])
}

/// Some clients take a password there.
fn masked_query(host: &str) -> String {
    match host.split_once('?') {
        Some((host, _)) => format!("{host}?{MASK}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests;
