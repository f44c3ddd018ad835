//! Refuses JSON that two readers may read differently.
//!
//! A proxy that reads `name` from the first of two equal keys, in front of a
//! server that takes the last, decides about one message and forwards another.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::envelope::Malformed;

/// Where a value stands: at protocol level, keys may not even differ by case.
#[derive(Clone, Copy)]
enum Level {
    Envelope,
    Params,
    Meta,
    Payload,
}

impl Level {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Envelope, "params") => Self::Params,
            (Self::Params, "_meta") => Self::Meta,
            _ => Self::Payload,
        }
    }
}

/// Checks a whole message: one JSON object, no key twice at any depth, no keys
/// equal but for case at protocol level, no control characters in keys.
pub(super) fn check(body: &[u8]) -> Result<(), Malformed> {
    let found = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_slice(body);
    let checked = Value {
        level: Level::Envelope,
        found: &found,
    }
    .deserialize(&mut json)
    .and_then(|()| json.end());
    match (found.into_inner(), checked) {
        (Some(malformed), _) => Err(malformed),
        (None, Err(error)) => Err(Malformed::Json(error)),
        (None, Ok(())) => Ok(()),
    }
}

/// Any value; findings are left in `found`, since a deserializer's own error type cannot carry them.
struct Value<'f> {
    level: Level,
    found: &'f RefCell<Option<Malformed>>,
}

impl Value<'_> {
    fn refuse<E: serde::de::Error>(&self, malformed: Malformed) -> E {
        *self.found.borrow_mut() = Some(malformed);
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys: Vec<Cow<'de, str>> = Vec::new();
        while let Some(key) = map.next_key_seed(Key)? {
            if key.chars().any(char::is_control) {
                return Err(self.refuse(Malformed::ControlCharacter));
            }
            let payload = matches!(self.level, Level::Payload);
            let same = |other: &Cow<'_, str>| {
                if payload {
                    *other == key
                } else {
                    other.eq_ignore_ascii_case(&key)
                }
            };
            if keys.iter().any(same) {
                return Err(self.refuse(Malformed::AmbiguousKey(key.into_owned())));
            }
            map.next_value_seed(Value {
                level: self.level.below(&key),
                found: self.found,
            })?;
            keys.push(key);
            if keys.len() > MAX_KEYS {
                return Err(self.refuse(Malformed::TooManyKeys));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if matches!(self.level, Level::Envelope) {
            return Err(self.refuse(Malformed::Batch));
        }
        while items
            .next_element_seed(Value {
                level: Level::Payload,
                found: self.found,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.scalar()
    }
}

impl Value<'_> {
    fn scalar<E: serde::de::Error>(self) -> Result<(), E> {
        match self.level {
            Level::Envelope => Err(self.refuse(Malformed::NotAnObject)),
            _ => Ok(()),
        }
    }
}

/// Keys of one object are compared pairwise: this bounds the work that a body can ask for.
const MAX_KEYS: usize = 1024;

struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
