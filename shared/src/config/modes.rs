//! The settings that are a choice of words.

use std::str::FromStr;

/// When a visit is acknowledged (`VISITS_DURABILITY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is in memory. An environment that is killed loses at most what it had not flushed.
    #[default]
    Buffered,
    /// Once Redis has it.
    Direct,
}

/// Whether a timer flushes the buffer (`VISITS_TIMER`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timer {
    /// Exactly where Lambda never freezes the environment.
    #[default]
    Auto,
    /// Always, as for a local run.
    On,
    /// Never.
    Off,
}

/// What a visit with `DNT: 1` or `Sec-GPC: 1` is taken for (`VISITS_DO_NOT_TRACK`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DoNotTrack {
    /// It counts, and its visitor is in no sketch.
    #[default]
    Respect,
    /// The same as any other.
    Ignore,
}

/// What a page's count says (`VISITS_COUNT`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    /// All recorded visits.
    #[default]
    All,
    /// Those that are not by bots.
    People,
}

/// A word that is none of the accepted ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word")]
pub struct UnknownWord;

impl FromStr for Durability {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "buffered" => Ok(Self::Buffered),
            "direct" => Ok(Self::Direct),
            _ => Err(UnknownWord),
        }
    }
}

impl FromStr for Timer {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(UnknownWord),
        }
    }
}

impl FromStr for DoNotTrack {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "respect" => Ok(Self::Respect),
            "ignore" => Ok(Self::Ignore),
            _ => Err(UnknownWord),
        }
    }
}

impl FromStr for Counted {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "all" => Ok(Self::All),
            "people" => Ok(Self::People),
            _ => Err(UnknownWord),
        }
    }
}
