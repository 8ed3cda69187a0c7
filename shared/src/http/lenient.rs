//! Reading JSON that somebody else wrote: what has another type than expected is as good as missing.

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// An object read as `T`; `None` for any other JSON.
///
/// Derived structs also take an array for their members in order, which no event source means.
#[derive(Clone, Debug)]
pub(super) struct Object<T>(pub(super) Option<T>);

/// A text; `None` for any other JSON.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(pub(super) Option<String>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(PhantomData::<T>)).map(|read| match read {
            Read::Object(object) => Self(Some(object)),
            Read::Text(_) | Read::Other => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(PhantomData::<IgnoredAny>)).map(|read| match read {
            Read::Text(text) => Self(Some(text)),
            Read::Object(_) | Read::Other => Self(None),
        })
    }
}

enum Read<T> {
    Object(T),
    Text(String),
    Other,
}

struct Lenient<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Lenient<T> {
    type Value = Read<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Read<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Read::Object)
    }

    fn visit_str<E>(self, text: &str) -> Result<Read<T>, E> {
        Ok(Read::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Read<T>, E> {
        Ok(Read::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Read<T>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Read::Other)
    }

    fn visit_unit<E>(self) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Read<T>, E> {
        Ok(Read::Other)
    }
}
