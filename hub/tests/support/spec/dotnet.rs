//! What the contract takes from .NET: the texts of its errors, and types that write as its own do.

use std::{fmt, time::Duration};

use hub::HubError;
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
    ArgumentOutOfRangeException(&'static str) => |error, f| f.write_str(error.0);
    NullReferenceException => |_error, f| {
        f.write_str("Object reference not set to an instance of an object.")
    };
    ChannelClosedException => |_error, f| f.write_str("The channel has been closed.");
}

impl InvalidOperationException {
    pub(crate) fn new(text: Option<String>) -> Self {
        let default = "Operation is not valid due to the current state of the object.";
        Self(text.unwrap_or_else(|| default.to_owned()))
    }
}

/// An exception without a message has its class for one.
pub(crate) fn hub_exception(message: Option<String>) -> HubError {
    let default = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown.";
    HubError::new(message.unwrap_or_else(|| default.to_owned()))
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

/// As `double.ToString` writes it: with an exponent of two digits from 1E+17 on and below 1E-04.
pub(crate) fn double(value: f64) -> String {
    if value == 0.0 || (1e-4..1e17).contains(&value.abs()) {
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

/// How long `Task.Delay` waits: -1 is for ever.
pub(crate) fn delay(milliseconds: i32) -> hub::Result<Duration> {
    let text = "The value needs to be either -1 (signifying an infinite timeout), 0 or a positive integer. (Parameter 'millisecondsDelay')";
    match milliseconds {
        -1 => Ok(Duration::MAX),
        _ => u64::try_from(milliseconds)
            .map(Duration::from_millis)
            .map_err(|_| ArgumentOutOfRangeException(text).into()),
    }
}
