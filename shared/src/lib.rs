//! The core of the visit counter, shared by its four Lambda functions.
//!
//! Dependencies point down only, from what the functions call to plain values; `ARCHITECTURE.md` shows
//! the map.

/// Has the `Debug` output of types be what they are shown as.
macro_rules! debug_as_shown {
    ($($type:ty),+) => {$(
        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    )+};
}

/// Has types stand in JSON as the text that they are shown as.
macro_rules! json_as_shown {
    ($($type:ty),+) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

pub mod cache;
pub mod flusher;
pub mod fold;
pub mod handoff;
pub mod rehome;
pub mod rollup;
pub mod statistics;
pub mod sweep;

pub mod store;

pub mod budget;
pub mod buffer;
mod lane;
pub mod outbox;
pub mod report;

pub mod batch;
pub mod day;
pub mod page;
pub mod record;
pub mod ring;
pub mod shard;
pub mod visit;

pub mod clock;
pub mod config;
pub mod credentials;
pub mod telemetry;
pub mod token;

#[cfg(any(test, feature = "testing"))]
pub mod tests;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "lambda")]
pub mod lambda;
