//! Errors of hub methods: shown to the client, or hidden from it.

use std::{any::type_name, borrow::Cow, error::Error as StdError, fmt};

/// What every hub method returns.
pub type Result<T> = std::result::Result<T, HubError>;

/// Why a hub method failed.
///
/// The client sees the text of an error made with [`HubError::new`]. Any other error that reaches
/// the hub through `?` is logged and answered with a generic text, so that internals do not leak
/// by accident; [`HubOptions::enable_detailed_errors`](crate::HubOptions) shows those too (E-01).
///
/// ```
/// use hub::HubError;
/// fn parse(text: &str) -> hub::Result<i64> {
///     if text.is_empty() {
///         return Err(HubError::new("a number is needed")); // the client reads this
///     }
///     Ok(text.parse()?) // the client does not read why
/// }
/// assert!(parse("").unwrap_err().is_shown());
/// assert!(!parse("x").unwrap_err().is_shown());
/// ```
pub struct HubError {
    class: &'static str,
    is_shown: bool,
    text: Cow<'static, str>,
}

/// How much clients are told of errors that are not meant for them (E-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorDetail {
    /// That there was one.
    Generic,
    /// What it was: for development.
    Full,
}

/// The class name under which the official clients know an error that is meant for them.
const SHOWN: &str = "HubException";

impl HubError {
    /// An error whose text the client sees.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class: SHOWN,
            is_shown: true,
            text: text.into(),
        }
    }

    /// An error that the client does not see, of a class that detailed errors name.
    pub(crate) fn hidden(class: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            is_shown: false,
            text: text.into(),
        }
    }

    /// Whether the client sees the text.
    pub fn is_shown(&self) -> bool {
        self.is_shown
    }

    /// The name of the kind of error, as detailed errors give it: `HubException` for one that is
    /// shown, otherwise the simple name of the error's type.
    pub fn class(&self) -> &'static str {
        self.class
    }

    /// `generic`, and the details behind it if they may be shown (E-01).
    pub(crate) fn for_client(&self, generic: &str, detail: ErrorDetail) -> String {
        if self.is_shown || detail == ErrorDetail::Full {
            format!("{generic} {}: {}", self.class, self.text)
        } else {
            generic.to_owned()
        }
    }
}

// `HubError` is deliberately not `std::error::Error`: that is what lets `?` take any error.
impl<E: StdError + Send + Sync + 'static> From<E> for HubError {
    fn from(error: E) -> Self {
        Self::hidden(simple_name(type_name::<E>()), error.to_string())
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubError")
            .field("class", &self.class)
            .field("text", &self.text)
            .finish()
    }
}

/// `Error` of `core::num::error::Error<T>`.
fn simple_name(path: &'static str) -> &'static str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}
