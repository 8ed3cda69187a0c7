//! What is kept of the token: enough to tell it, and to sign sessions.

use ring::hmac;
use std::fmt;

/// A MAC's length in bytes (HMAC-SHA256).
pub(super) const MAC_BYTES: usize = 32;

/// The fewest bytes of a token. No limit on guesses is needed from here on: 20 random letters and digits are 119 bits.
const MIN_BYTES: usize = 20;

const TOO_SHORT: &str = "the token is shorter than 20 bytes; make a longer one, such as with: openssl rand -base64 32";

const UNFIT_CHARACTER: &str = "the token has a space or another character that is no visible ASCII, which Authorization: Bearer \
                               does not carry; make another one, such as with: openssl rand -base64 32";

/// The owner's token.
#[derive(Clone)]
pub(super) struct Token {
    key: hmac::Key,
    /// The token's own MAC under itself.
    tag: hmac::Tag,
}

impl Token {
    /// Takes a text as the token. An error says what is wrong with it and what to do, and repeats nothing of it.
    pub(super) fn new(token: &str) -> Result<Self, &'static str> {
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UNFIT_CHARACTER);
        }
        if token.len() < MIN_BYTES {
            return Err(TOO_SHORT);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
        let tag = hmac::sign(&key, token.as_bytes());
        Ok(Self { key, tag })
    }

    /// Whether it is this one. MACs are compared, in constant time: how long it takes tells nothing of the token, not even its
    /// length.
    pub(super) fn is(&self, given: &str) -> bool {
        hmac::verify(&self.key, given.as_bytes(), self.tag.as_ref()).is_ok()
    }

    pub(super) fn sign(&self, message: &str) -> [u8; MAC_BYTES] {
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(hmac::sign(&self.key, message.as_bytes()).as_ref());
        mac
    }

    /// Whether this is the message's MAC, in constant time.
    pub(super) fn has_signed(&self, message: &str, mac: &[u8]) -> bool {
        hmac::verify(&self.key, message.as_bytes(), mac).is_ok()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
