//! Reading JSON that somebody else wrote: what has another type than expected is as good as missing.

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// An object read as `T`; `None` for any other JSON.
///
/// Derived structs also take an array for their members in order, which no event source means.
#[derive(Clone, Debug)]
pub(super) struct Object<T>(pub(super) Option<T>);

/// A text; `None` for any other JSON, and for a text of more than [`MOST_TEXT`] bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(pub(super) Option<String>);

/// A text that may be too long, which is then told from none.
#[derive(Clone, Debug, Default)]
pub(super) struct LongText(pub(super) Option<Result<String, TooLong>>);

/// More than [`MOST_TEXT`] bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooLong;

/// `true`; anything else is not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flag(pub(super) bool);

/// Longest text that is kept, in bytes: a body of 64 KiB in base64. No header, path or query of an event source is longer
/// than 16 KiB.
pub(super) const MOST_TEXT: usize = (64 * 1024_usize).div_ceil(3) * 4;

/// An array read as `T`; `None` for any other JSON.
#[derive(Clone, Debug)]
pub(super) struct List<T>(pub(super) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(PhantomData::<(T, IgnoredAny)>)).map(|read| match read {
            Read::Object(object) => Self(Some(object)),
            _ => Self(None),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(PhantomData::<(IgnoredAny, T)>)).map(|read| match read {
            Read::List(list) => Self(Some(list)),
            _ => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(|read| match read {
            Read::Text(text) => Self(Some(text)),
            _ => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for LongText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(|read| match read {
            Read::Text(text) => Self(Some(Ok(text))),
            Read::TooLong => Self(Some(Err(TooLong))),
            _ => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(|read| Self(matches!(read, Read::Bool(true))))
    }
}

/// One instance for all that is neither an object nor an array.
fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Read<IgnoredAny, IgnoredAny>, D::Error> {
    deserializer.deserialize_any(Lenient(PhantomData))
}

enum Read<O, L> {
    Object(O),
    List(L),
    Text(String),
    TooLong,
    Bool(bool),
    Other,
}

/// Reads an object as `O` and an array as `L`.
struct Lenient<O, L>(PhantomData<(O, L)>);

impl<'de, O: Deserialize<'de>, L: Deserialize<'de>> Visitor<'de> for Lenient<O, L> {
    type Value = Read<O, L>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Read<O, L>, A::Error> {
        O::deserialize(MapAccessDeserializer::new(map)).map(Read::Object)
    }

    fn visit_str<E>(self, text: &str) -> Result<Read<O, L>, E> {
        Ok(if text.len() > MOST_TEXT { Read::TooLong } else { Read::Text(text.to_owned()) })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Read<O, L>, A::Error> {
        L::deserialize(SeqAccessDeserializer::new(items)).map(Read::List)
    }

    fn visit_unit<E>(self) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Read<O, L>, E> {
        Ok(Read::Bool(flag))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Read<O, L>, E> {
        Ok(Read::Other)
    }
}
