//! What the contract takes from .NET: the texts of its errors, and types that write as its own do.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Errors that are no `HubError::new`: clients see their names and texts with detailed errors only.
macro_rules! exceptions {
    ($($Name:ident$(($field:ty))? => |$error:ident, $f:ident| $text:expr;)+) => {$(
        #[derive(Debug)]
        pub(crate) struct $Name$((pub(crate) $field))?;

        impl fmt::Display for $Name {
            fn fmt(&self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $error = self;
                $text
            }
        }

        impl std::error::Error for $Name {}
    )+};
}

exceptions! {
    InvalidOperationException(String) => |error, f| f.write_str(&error.0);
    ArgumentNullException(&'static str) => |error, f| {
        write!(f, "Value cannot be null. (Parameter '{}')", error.0)
    };
    ArgumentOutOfRangeException => |_error, f| f.write_str(
        "The added or subtracted value results in an un-representable DateTime. (Parameter 'value')",
    );
    NullReferenceException => |_error, f| {
        f.write_str("Object reference not set to an instance of an object.")
    };
    ChannelClosedException => |_error, f| f.write_str("The channel has been closed.");
}

/// A UUID that is read from one form only, 8-4-4-4-12; `Uuid` itself reads several.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Guid(Uuid);

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let uuid = Uuid::try_parse(&text).ok().filter(|_| text.len() == 36);
        uuid.map(Self)
            .ok_or_else(|| de::Error::custom("no UUID of 36 characters"))
    }
}

/// How often each word came, in the order in which they came first.
#[derive(Debug, Default)]
pub(crate) struct Counts(Vec<(String, i32)>);

impl Counts {
    pub(crate) fn add(&mut self, word: String) {
        match self.0.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => self.0.push((word, 1)),
        }
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(word, count)| (word, count)))
    }
}

/// As `double.ToString` writes it: with an exponent of two digits from 1E+15 on and below 1E-04.
pub(crate) fn double(value: f64) -> String {
    if value == 0.0 || (1e-4..1e15).contains(&value.abs()) {
        return value.to_string();
    }
    if !value.is_finite() {
        let text = if value.is_nan() { "NaN" } else { "Infinity" };
        return if value < 0.0 {
            format!("-{text}")
        } else {
            text.to_owned()
        };
    }
    let scientific = format!("{value:E}");
    let (digits, exponent) = scientific.split_once('E').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}E{sign}{:02}", exponent.abs())
}
