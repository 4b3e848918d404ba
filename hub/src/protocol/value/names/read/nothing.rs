//! Null, where .NET's type can be that and the Rust one cannot.

use std::fmt;

use serde::de::{self, Deserializer, Error as _, Unexpected, Visitor};

use super::{Expects, Read};
use crate::protocol::value::names::{bins::Reading, defaults::Struct};

/// What a type asked for that .NET's can be null for.
pub(super) enum Asked {
    Str,
    String,
    Seq,
    Map,
    Struct(Struct),
}

/// Finds out whether there is anything.
pub(super) struct OrNothing<'a, V> {
    pub(super) visitor: V,
    pub(super) reading: Reading<'a>,
    pub(super) asked: Asked,
}

impl<'a, V> OrNothing<'a, V> {
    /// What is there, or nothing, is read as it was asked for; not by [`Read`], which would look for
    /// nothing once more.
    fn read<'de, D: Deserializer<'de>>(
        self,
        reading: Reading<'a>,
        deserializer: D,
    ) -> Result<V::Value, D::Error>
    where
        V: Visitor<'de>,
    {
        let expects = match self.asked {
            Asked::Str | Asked::String => Expects::Text,
            Asked::Seq => Expects::List,
            Asked::Map => Expects::Anything,
            Asked::Struct(Struct { name, fields }) => {
                Expects::fields(reading.encoding, name, fields)
            }
        };
        let visitor = Read::<D>::around(reading, self.visitor, expects);
        if let Expects::Text | Expects::List = expects
            && reading.next_is_bin()
        {
            return Err(D::Error::invalid_type(Unexpected::Other("bytes"), &visitor));
        }
        match self.asked {
            Asked::Str => deserializer.deserialize_str(visitor),
            Asked::String => deserializer.deserialize_string(visitor),
            Asked::Seq => deserializer.deserialize_seq(visitor),
            Asked::Map => deserializer.deserialize_map(visitor),
            Asked::Struct(Struct { name, fields }) => {
                deserializer.deserialize_struct(name, fields, visitor)
            }
        }
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for OrNothing<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_none<E: de::Error>(self) -> Result<V::Value, E> {
        let reading = self.reading;
        match reading.defaults {
            Some(defaults) => self.read(reading.of_nothing(), defaults.nothing()),
            None => Err(E::invalid_type(Unexpected::Unit, &self)),
        }
    }

    fn visit_unit<E: de::Error>(self) -> Result<V::Value, E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let reading = self.reading.begun();
        self.read(reading, deserializer)
    }
}
