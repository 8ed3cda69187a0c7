//! A short name for how a ring places pages, to tell whether two programs place them alike.

use super::Ring;
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_64;

/// What a ring's placing is told by: two rings with the same fingerprint place every page on the shard of the
/// same name. Where the shards live has no part in it, and neither have draining shards. Shown as 16 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u64);

/// A text that is not a fingerprint's 16 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ring's fingerprint: 16 lower-case hex digits are accepted")]
pub struct InvalidFingerprint;

impl Ring {
    /// The fingerprint of this ring.
    pub fn fingerprint(&self) -> Fingerprint {
        // The slots stand in the order of the names, whatever order the shards were given in, and there is one
        // for each unit of weight.
        let names = self.slots.iter().map(|slot| self.names[slot.shard].as_str());
        Fingerprint(xxh3_64(names.collect::<Vec<_>>().join(",").as_bytes()))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(hex) {
            return Err(InvalidFingerprint);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| InvalidFingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Weight;

    fn ring(shards: &[(&str, u8)]) -> Ring {
        let shard = |&(name, weight): &(&str, u8)| (name.parse().unwrap(), Weight::new(weight).unwrap());
        Ring::new(shards.iter().map(shard)).unwrap()
    }

    #[test]
    fn rings_that_place_alike_have_one_fingerprint() {
        let plain = ring(&[("a", 1), ("b", 2)]).fingerprint();
        assert_eq!(plain, ring(&[("b", 2), ("a", 1)]).fingerprint());
        assert_eq!(plain, ring(&[("a", 1), ("draining", 0), ("b", 2)]).fingerprint());
    }

    #[test]
    fn rings_that_place_differently_have_two() {
        let plain = ring(&[("a", 1), ("b", 2)]).fingerprint();
        for other in [&[("a", 1), ("b", 1)][..], &[("a", 2), ("b", 1)], &[("a", 1)], &[("a", 1), ("c", 2)]] {
            assert_ne!(plain, ring(other).fingerprint(), "{other:?}");
        }
    }

    #[test]
    fn a_fingerprint_reads_back_and_never_changes() {
        let fingerprint = ring(&[("redis_7070", 1), ("redis_7071", 1)]).fingerprint();
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        // Stored in the shards: a program that computes another would re-home for nothing.
        assert_eq!(fingerprint.to_string(), "b7672db3b2e87aeb");
        for text in ["", "0", "000000000000000G", "00000000000000AB", "+000000000000000"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(InvalidFingerprint), "{text}");
        }
    }
}
