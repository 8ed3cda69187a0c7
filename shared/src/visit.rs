//! A visit as it is recorded, and who made it.
//!
//! A visitor is known here by a fingerprint of address and user agent, which stays in memory until the visit's batch is
//! sealed. What leaves the process is that fingerprint under a keyed hash whose secret lasts for a day ([`Secret`]).

use crate::batch::from_hex;
use crate::day::Day;
use crate::page::PageId;
use siphasher::sip::SipHasher24;
use std::fmt;
use std::hash::Hasher as _;
use std::str::FromStr;
use xxhash_rust::xxh3::Xxh3Default;

/// A visit of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// The page.
    pub page: PageId,
    /// Whether it was a bot's.
    pub bot: bool,
    /// Visitor. None for bots, and for people who ask not to be followed.
    pub visitor: Option<Fingerprint>,
}

impl From<PageId> for Visit {
    /// A person's, of whom nothing is known.
    fn from(page: PageId) -> Self {
        Self { page, bot: false, visitor: None }
    }
}

impl From<Visit> for Vec<Visit> {
    fn from(visit: Visit) -> Self {
        vec![visit]
    }
}

impl From<PageId> for Vec<Visit> {
    fn from(page: PageId) -> Self {
        vec![page.into()]
    }
}

/// Why a visit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its origin is not allowed.
    Origin,
    /// Of a page that is not allowed.
    Page,
    /// Its visitor had visited the page a moment before.
    Repeat,
}

/// Visits that were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Refused {
    /// From an origin that is not allowed.
    pub origin: u64,
    /// Of a page that is not allowed.
    pub page: u64,
    /// By a visitor of the same page a moment before.
    pub repeat: u64,
    /// Of a page that would have been one new page too many. The shard finds that out.
    #[serde(default)]
    pub new_page: u64,
}

impl Refused {
    /// Counts one more.
    pub fn add(&mut self, refusal: Refusal) {
        let count = match refusal {
            Refusal::Origin => &mut self.origin,
            Refusal::Page => &mut self.page,
            Refusal::Repeat => &mut self.repeat,
        };
        *count += 1;
    }

    /// Adds what was refused elsewhere.
    pub fn add_all(&mut self, more: Self) {
        self.origin += more.origin;
        self.page += more.page;
        self.repeat += more.repeat;
        self.new_page += more.new_page;
    }

    /// Nothing was refused.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A visitor as this process tells them apart: never stored, never logged, never sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The visitor with this address and user agent.
    pub fn of(address: &str, user_agent: &str) -> Self {
        let mut hasher = Xxh3Default::new();
        hasher.update(address.as_bytes());
        // No address has this byte.
        hasher.update(&[0xff]);
        hasher.update(user_agent.as_bytes());
        Self(hasher.digest())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// A visitor as a shard's sketches know them: a pseudonym that lasts for a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Visitor(pub u64);

impl From<[u8; 8]> for Visitor {
    fn from(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

impl From<Visitor> for [u8; 8] {
    fn from(visitor: Visitor) -> Self {
        visitor.0.to_be_bytes()
    }
}

/// Returns the key by which the ring finds the shard that counts a day's visitors of the site.
pub fn site_key(day: Day) -> String {
    format!("visitors of {day}")
}

/// Returns the key by which the ring finds the shard that keeps a day's secret.
pub fn secret_key(day: Day) -> String {
    format!("secret of {day}")
}

/// The secrets of the days whose visits may still be sealed: the present one and the one before.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<(Day, Secret)>);

impl Secrets {
    /// The secret of a day, if it is known.
    pub fn of(&self, day: Day) -> Option<&Secret> {
        self.0.iter().find(|(known, _)| *known == day).map(|(_, secret)| secret)
    }

    /// Takes note of a day's secret, and forgets those of days before the one before.
    pub fn learn(&mut self, day: Day, secret: Secret) {
        self.0.retain(|(known, _)| *known != day && known.plus(1) >= day);
        self.0.push((day, secret));
    }
}

/// The secret of one day, under which its visitors are hashed. Once it is destroyed, it is impossible to tell whether a given
/// address was among them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret([u8; 16]);

/// A text that is no secret: 32 lower-case hex digits are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secret: 32 lower-case hex digits are accepted")]
pub struct InvalidSecret;

impl Secret {
    /// A new secret from the operating system's randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The visitor's pseudonym: SipHash-2-4 (Aumasson and Bernstein, INDOCRYPT 2012), a keyed hash that cannot be inverted
    /// or tried out without the key.
    pub fn pseudonym(&self, visitor: Fingerprint) -> Visitor {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&visitor.0.to_le_bytes());
        Visitor(hasher.finish())
    }

    /// As it is stored, in hex.
    pub fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        from_hex(text, 32).map(|bits| Self(bits.to_be_bytes())).ok_or(InvalidSecret)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Secret};

    #[test]
    fn the_same_visitor_has_one_pseudonym_a_secret() {
        let (one, other) = (Secret([1; 16]), Secret([2; 16]));
        let visitor = Fingerprint::of("192.0.2.1", "Mozilla/5.0");
        assert_eq!(one.pseudonym(visitor), one.pseudonym(Fingerprint::of("192.0.2.1", "Mozilla/5.0")));
        assert_ne!(one.pseudonym(visitor), other.pseudonym(visitor));
        assert_ne!(visitor, Fingerprint::of("192.0.2.1M", "ozilla/5.0"));
    }

    #[test]
    fn the_keyed_hash_is_the_published_one() {
        // The test vector of the paper's appendix A for eight bytes 00 … 07 under the key 00 … 0f.
        let secret: Secret = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
        let visitor = Fingerprint(u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7]));
        assert_eq!(secret.pseudonym(visitor).0.to_le_bytes(), [0x62, 0x24, 0x93, 0x9a, 0x79, 0xf5, 0xf5, 0x93]);
    }

    #[test]
    fn a_secret_reads_back_and_shows_nowhere() {
        let secret = Secret::random().unwrap();
        assert_eq!(secret.to_hex().parse(), Ok(secret));
        let shown = format!("{secret:?} {:?}", Fingerprint::of("192.0.2.1", "x"));
        assert_eq!(shown, "Secret(…) Fingerprint(…)");
        for wrong in ["", "0", &"0".repeat(33), &"G".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert!(wrong.parse::<Secret>().is_err(), "{wrong}");
        }
    }
}
