//! What a shard is: its name, its share of the pages, and the address of the Redis server that holds it.

mod endpoint;
mod password;

pub use endpoint::{Endpoint, EndpointError};
pub use password::{PasswordError, PasswordSource};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// One shard as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardConfig {
    /// Decides which pages the shard owns.
    pub name: ShardName,
    /// Where it lives now. It may move; no page does.
    pub endpoint: Endpoint,
    /// Where the password for it comes from.
    pub password: PasswordSource,
    /// Its share of the pages.
    pub weight: Weight,
}

/// Why a text is neither a shard's name nor a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to {} of the characters A-Z a-z 0-9 _ -", NameError::MAX_CHARACTERS)]
pub struct NameError;

impl NameError {
    /// Longest name: it is a part of every key, and a longer one helps nobody.
    pub const MAX_CHARACTERS: usize = 64;
}

/// The name of a shard, `[A-Za-z0-9_-]{1,64}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardName(Arc<str>);

/// The first part of every key of a deployment, `[A-Za-z0-9_-]{1,64}`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name as it was configured.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
                let length_fits = (1..=NameError::MAX_CHARACTERS).contains(&text.len());
                if length_fits && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(NameError) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}
name!(ShardName);
name!(Namespace);

/// A shard's share of the pages, relative to the other shards': 0 to 16, by default 1.
/// A shard of weight 0 is draining: it owns nothing, and is still read and emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u8);

/// A weight that is not a whole number from 0 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a weight is a whole number from 0 to {}", Weight::MAX)]
pub struct WeightError;

impl Weight {
    /// Largest weight. Placing a page costs a multiplication or two for each unit of weight.
    pub const MAX: u8 = 16;

    /// A weight from 0 to [`Weight::MAX`].
    pub const fn new(weight: u8) -> Result<Self, WeightError> {
        if weight <= Self::MAX { Ok(Self(weight)) } else { Err(WeightError) }
    }

    /// The weight as a number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    fn from_str(text: &str) -> Result<Self, WeightError> {
        Self::new(whole_number(text).ok_or(WeightError)?)
    }
}

/// Digits only: `u8` alone would take `+1` too.
fn whole_number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::{NameError, Namespace, ShardName, Weight, WeightError};

    #[test]
    fn names_and_namespaces_have_1_to_64_letters_digits_underscores_and_hyphens() {
        for good in ["redis_7070", "a", "-", "_", "A-z_0", &"x".repeat(64)] {
            assert_eq!(good.parse::<ShardName>().unwrap().as_str(), good);
            assert_eq!(good.parse::<Namespace>().unwrap().to_string(), good);
        }
        for bad in ["", " ", "a b", "a#0", "a{b}", "a:b", "é", "a\n", &"x".repeat(65)] {
            assert_eq!(bad.parse::<ShardName>(), Err(NameError), "{bad:?}");
            assert_eq!(bad.parse::<Namespace>(), Err(NameError), "{bad:?}");
        }
    }

    #[test]
    fn a_weight_is_0_to_16_and_by_default_1() {
        assert_eq!(Weight::default().get(), 1);
        assert_eq!("0".parse(), Weight::new(0));
        assert_eq!("16".parse::<Weight>().map(Weight::get), Ok(16));
        for bad in ["", "17", "-1", "+1", "1.5", "256", "one"] {
            assert_eq!(bad.parse::<Weight>(), Err(WeightError), "{bad:?}");
        }
    }
}
