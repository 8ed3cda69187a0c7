//! A secret that a caller sends in a header: the owner's token, and the proof that a request comes from the proxy.

use ring::hmac;
use std::fmt;

/// The fewest bytes of a token. No limit on guesses is needed from here on: 20 random letters and digits are 119 bits.
const MIN_BYTES: usize = 20;

/// A token, of which only enough is kept to compare with it and to sign. `Debug` hides it.
#[derive(Clone)]
pub struct Token {
    key: hmac::Key,
    /// The token's own MAC under itself.
    tag: hmac::Tag,
}

impl Token {
    /// Takes a text as the token. An error says what is wrong with it and what to do, and repeats nothing of it.
    pub fn new(token: &str) -> Result<Self, &'static str> {
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(
                "the token has a space or another character that is no visible ASCII, which a header does not carry; \
                        make another one, such as with: openssl rand -base64 32",
            );
        }
        if token.len() < MIN_BYTES {
            return Err("the token is shorter than 20 bytes; make a longer one, such as with: openssl rand -base64 32");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
        let tag = hmac::sign(&key, token.as_bytes());
        Ok(Self { key, tag })
    }

    /// Tells whether `given` is the token. MACs are compared, in constant time: how long it takes tells nothing of the token, not
    /// even its length.
    pub fn is(&self, given: &str) -> bool {
        self.has_signed(given, self.tag.as_ref())
    }

    /// Returns the MAC of a text under the token.
    pub fn sign(&self, text: &str) -> impl AsRef<[u8]> + use<> {
        hmac::sign(&self.key, text.as_bytes())
    }

    /// Tells, in constant time, whether this is the MAC of a text under the token.
    pub fn has_signed(&self, text: &str, mac: &[u8]) -> bool {
        hmac::verify(&self.key, text.as_bytes(), mac).is_ok()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.tag.as_ref() == other.tag.as_ref()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
