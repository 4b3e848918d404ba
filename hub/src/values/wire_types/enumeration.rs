//! Enums.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer, Serializer,
    de::{self, Visitor},
    ser::Serialize,
};

use crate::protocol::value::native;

/// An enum that crosses the wire as .NET's do; written by [`dotnet_enum!`](crate::dotnet_enum).
#[doc(hidden)]
pub trait Enumeration: Copy + PartialEq + 'static {
    /// Each variant, its name and its number.
    const VARIANTS: &'static [(Self, &'static str, i32)];

    /// For `Serialize`.
    ///
    /// # Errors
    /// The serializer's.
    fn write<S: Serializer>(self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(native::ENUMERATION, &Written(self))
    }

    /// For `Deserialize`.
    ///
    /// # Errors
    /// The deserializer's, and for what is no variant.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(native::ENUMERATION, Read(PhantomData))
    }
}

struct Written<T>(T);

impl<T: Enumeration> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let variant = T::VARIANTS.iter().find(|(variant, ..)| *variant == self.0);
        let (name, number) = variant.map_or(("", 0), |(_, name, number)| (*name, *number));
        if serializer.is_human_readable() {
            serializer.serialize_i32(number) // a number in JSON (J-11)
        } else {
            serializer.serialize_str(name) // its name in MessagePack (M-08)
        }
    }
}

struct Read<T>(PhantomData<T>);

impl<'de, T: Enumeration> Visitor<'de> for Read<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a variant")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        if inner.is_human_readable() {
            inner.deserialize_i32(self)
        } else {
            inner.deserialize_str(ReadName(PhantomData)) // M-08: from no number
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let mut variants = T::VARIANTS.iter();
        let variant = variants.find(|(.., known)| i64::from(*known) == number);
        variant
            .map(|(variant, ..)| *variant)
            .ok_or_else(|| E::custom(format_args!("no variant has the number {number}")))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

struct ReadName<T>(PhantomData<T>);

impl<T: Enumeration> Visitor<'_> for ReadName<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a variant")
    }

    /// M-08: the exact name, or a number as text.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let variant = T::VARIANTS.iter().find(|(_, name, _)| *name == text);
        match (variant, text.parse()) {
            (Some((variant, ..)), _) => Ok(*variant),
            (None, Ok(number)) => Read(PhantomData).visit_i64(number),
            (None, Err(_)) => Err(E::custom("no variant has that name")),
        }
    }
}

/// Writes an enum that crosses the wire as .NET's do: its number in JSON, its name in MessagePack
/// (J-11, M-08).
///
/// ```
/// use hub::protocol::{Encoding, Names, Protocol};
///
/// hub::dotnet_enum! {
///     /// A primary colour.
///     pub enum Colour { Red = 0, Green = 1, Blue = 2 }
/// }
///
/// let json = Encoding { protocol: Protocol::Json, names: Names::AsDeclared };
/// let messagepack = Encoding { protocol: Protocol::MessagePack, names: Names::AsDeclared };
/// assert_eq!(json.encode(&Colour::Blue)?, "2");
/// assert_eq!(messagepack.encode(&Colour::Red)?, b"\xA3Red".as_slice());
/// assert_eq!(json.decode::<Colour>(b"1")?, Colour::Green);
/// # Ok::<(), hub::protocol::ValueError>(())
/// ```
#[macro_export]
macro_rules! dotnet_enum {
    ($(#[$meta:meta])* $vis:vis enum $Name:ident {
        $($(#[$variant_meta:meta])* $Variant:ident = $number:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $Name {
            $(
                $(#[$variant_meta])*
                #[doc = stringify!($Variant)]
                $Variant = $number
            ),*
        }
        impl $crate::Enumeration for $Name {
            const VARIANTS: &'static [(Self, &'static str, i32)] =
                &[$((Self::$Variant, stringify!($Variant), $number)),*];
        }
        impl $crate::__private::serde::Serialize for $Name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::Enumeration::write(*self, serializer)
            }
        }
        impl<'de> $crate::__private::serde::Deserialize<'de> for $Name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::Enumeration::read(deserializer)
            }
        }
    };
}
