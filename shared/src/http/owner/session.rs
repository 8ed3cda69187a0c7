//! A session's value: `<end, seconds since the Unix epoch>.<MAC, in base64url>`.

use super::SESSION;
use super::token::Token;
use crate::clock::Moment;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// A session from now on.
pub(super) fn open(token: &Token, now: Moment) -> String {
    let end = now.epoch_millis() / 1000 + SESSION.as_secs();
    let mac = BASE64.encode(token.sign(&signed(end)));
    format!("{end}.{mac}")
}

/// Whether this is a session that was opened with the token, and has not ended.
pub(super) fn is_open(session: &str, token: &Token, now: Moment) -> bool {
    let Some((end, mac)) = session.split_once('.') else { return false };
    let (Ok(end), Ok(mac)) = (end.parse(), BASE64.decode(mac)) else { return false };
    token.has_signed(&signed(end), &mac) && now.epoch_millis() / 1000 < end
}

/// What is signed. It names its purpose, so that nothing else signed by the token will ever be a session.
fn signed(end: u64) -> String {
    format!("visits session until {end}")
}
