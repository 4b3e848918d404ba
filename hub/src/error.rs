//! Errors of hub methods: shown to the client, or hidden from it.

use std::{any::type_name, borrow::Cow, error::Error as StdError, fmt, iter::successors};

/// What every hub method returns.
pub type Result<T, E = HubError> = std::result::Result<T, E>;

/// Why a hub method failed: for the client to read, or hidden from it.
///
/// The client reads what was made with [`HubError::new`], word for word. Everything else that reaches
/// the hub through `?` is hidden: any `std::error::Error`, `Box<dyn Error + Send + Sync>`,
/// `anyhow::Error`, `eyre::Report`, a text alone. It is logged with its sources, and answered with a
/// generic text, so that internals do not leak by accident;
/// [`HubOptions::enable_detailed_errors`](crate::HubOptions) shows those too (E-01).
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
///
/// Words for the client and the cause for the log are two things:
///
/// ```
/// use hub::HubError;
/// fn load(id: &str) -> hub::Result<String> {
///     let path = format!("/nowhere/{id}");
///     std::fs::read_to_string(path)
///         .map_err(|error| HubError::new("There is no such document.").with_cause(error))
/// }
/// let error = load("1").unwrap_err();
/// assert_eq!(error.to_string(), "There is no such document.");
/// assert!(error.cause().is_some()); // of the client's file it learns nothing
/// ```
pub struct HubError(Box<Inner>);

/// In a box: whatever may fail carries room for it.
struct Inner {
    class: &'static str,
    is_shown: bool,
    /// What it says, unless its cause says it.
    text: Option<Cow<'static, str>>,
    cause: Option<Cause>,
}

type Cause = Box<dyn StdError + Send + Sync>;

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

/// The class of errors whose type was forgotten on the way: .NET's base class of all.
const ANY: &str = "Exception";

impl HubError {
    /// An error whose text the client reads. Write it for people who use the application: another
    /// error's text (`error.to_string()`) belongs in [`with_cause`](Self::with_cause).
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            class: SHOWN,
            is_shown: true,
            text: Some(text.into()),
            cause: None,
        }))
    }

    /// An error that the client does not read, of a class that detailed errors name as .NET names
    /// that of an exception: `Failed …. InvalidOperationException: The text`.
    ///
    /// ```
    /// use hub::HubError;
    /// let error = HubError::hidden("InvalidOperationException", "the ledger is closed");
    /// assert!(!error.is_shown());
    /// assert_eq!(error.class(), "InvalidOperationException");
    /// ```
    pub fn hidden(class: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            class,
            is_shown: false,
            text: Some(text.into()),
            cause: None,
        }))
    }

    /// The same error, with what led to it: for the log alone, whatever the client is shown.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Whether the client sees the text.
    pub fn is_shown(&self) -> bool {
        self.0.is_shown
    }

    /// The name of the kind of error, as detailed errors give it: `HubException` for one that is
    /// shown, otherwise the simple name of the error's type; `Exception` where that was forgotten on
    /// the way, in a `Box<dyn Error>`, an `anyhow::Error` or an `eyre::Report`.
    pub fn class(&self) -> &'static str {
        self.0.class
    }

    /// The error that it was made from, to be looked at or downcast; `None` where it was made from a
    /// text.
    pub fn cause(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }

    /// What led to it, each behind the one that it caused, for the log: `b: c`. Empty where nothing
    /// is known.
    pub(crate) fn sources(&self) -> String {
        // Its own text is said already where it is its cause's.
        let said = usize::from(self.0.text.is_none());
        let sources = successors(self.cause(), |&error| error.source());
        let sources: Vec<String> = sources.skip(said).map(ToString::to_string).collect();
        sources.join(": ")
    }

    /// `generic`, and the details behind it if they may be shown (E-01).
    pub(crate) fn for_client(&self, generic: &str, detail: ErrorDetail) -> String {
        if self.0.is_shown || detail == ErrorDetail::Full {
            format!("{generic} {}: {self}", self.0.class)
        } else {
            generic.to_owned()
        }
    }
}

// `HubError` is deliberately not `std::error::Error`: that is what lets `?` take any error. And not
// `E: std::error::Error`, which boxed errors are not, nor those of `anyhow` and `eyre`.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HubError {
    fn from(error: E) -> Self {
        Self(Box::new(Inner {
            class: class_of::<E>(),
            is_shown: false,
            text: None,
            cause: Some(error.into()),
        }))
    }
}

impl fmt::Display for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.text, &self.0.cause) {
            (Some(text), _) => f.write_str(text),
            (None, Some(cause)) => cause.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Debug for HubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("HubError");
        debug.field("class", &self.0.class);
        debug.field("text", &self.to_string());
        let sources = self.sources();
        if !sources.is_empty() {
            debug.field("sources", &sources);
        }
        debug.finish()
    }
}

/// `Error` of `core::num::error::Error<T>`; of what can hold any error, nothing is known by its type.
fn class_of<E>() -> &'static str {
    let path = type_name::<E>();
    let holds_any = [
        "alloc::boxed::Box<",
        "alloc::string::String",
        "alloc::borrow::Cow<",
        "&",
    ];
    let reports = ["anyhow::Error", "eyre::Report"];
    if holds_any.iter().any(|start| path.starts_with(start)) || reports.contains(&path) {
        return ANY;
    }
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn outer() -> Outer {
        Outer(io::Error::other("inner"))
    }

    fn boxed() -> Result<()> {
        Err(Box::<dyn StdError + Send + Sync>::from(outer()))?
    }

    fn by_anyhow() -> Result<()> {
        Err(anyhow::Error::new(outer()).context("context"))?
    }

    fn by_eyre() -> Result<()> {
        Err(eyre::Report::new(outer()).wrap_err("context"))?
    }

    fn plain() -> Result<()> {
        Err(outer())?
    }

    fn text() -> Result<()> {
        Err("a text")?
    }

    #[test]
    fn e_01_whatever_comes_by_a_question_mark_is_hidden_and_keeps_its_sources() {
        for (failed, class, text, sources) in [
            (plain(), "Outer", "outer", "inner"),
            (boxed(), "Exception", "outer", "inner"),
            (by_anyhow(), "Exception", "context", "outer: inner"),
            (by_eyre(), "Exception", "context", "outer: inner"),
            (text(), "Exception", "a text", ""),
        ] {
            let error = failed.unwrap_err();
            assert!(!error.is_shown());
            assert_eq!(error.class(), class);
            assert_eq!(error.to_string(), text);
            assert_eq!(error.sources(), sources);
            assert_eq!(error.for_client("Failed.", ErrorDetail::Generic), "Failed.");
            let full = format!("Failed. {class}: {text}");
            assert_eq!(error.for_client("Failed.", ErrorDetail::Full), full);
        }
    }

    #[test]
    fn e_01_a_cause_is_for_the_log_alone() {
        let error = HubError::new("shown").with_cause(outer());
        for detail in [ErrorDetail::Generic, ErrorDetail::Full] {
            let text = error.for_client("Failed.", detail);
            assert_eq!(text, "Failed. HubException: shown");
        }
        assert_eq!(error.sources(), "outer: inner");
        assert!(error.cause().is_some_and(|cause| cause.is::<Outer>()));
    }
}
