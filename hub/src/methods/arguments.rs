//! From the encoded arguments of a call to the parameters of a method.

use std::{any::type_name, sync::Arc};

use serde::de::DeserializeOwned;

use crate::{
    error::ErrorDetail,
    methods::{
        Seal,
        uploads::{Upload, UploadStream},
    },
    protocol::{Elements, Encoding, Protocol, ValueError},
};

/// The arguments of one call; each is decoded once, as the type its parameter has.
pub struct Arguments {
    pub(crate) elements: Result<Elements, ValueError>,
    pub(crate) uploads: std::vec::IntoIter<Arc<Upload>>,
    pub(crate) encoding: Encoding,
    pub(crate) detail: ErrorDetail,
    /// Where binding failed for want of an argument.
    taken: usize,
}

/// Why arguments do not fit a method (IN-05).
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// More or fewer than it has parameters.
    Count {
        /// How many were sent.
        provided: usize,
        /// How many it takes.
        expected: usize,
    },
    /// One of them is not of its parameter's type.
    Type {
        /// Which, the first being 1.
        position: usize,
        /// The parameter's type.
        wanted: &'static str,
        /// What kind of value came, as the protocol knows it: `a number`, `an object`.
        found: &'static str,
    },
    /// They are no array (M-07).
    Malformed(ValueError),
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count { provided, expected } => write!(
                f,
                "Invocation provides {provided} argument(s) but target expects {expected}."
            ),
            Self::Type { .. } => f.write_str(
                "Error binding arguments. Make sure that the types of the provided values match the types of the hub method being invoked.",
            ),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BindError {}

impl Arguments {
    pub(crate) fn new(
        encoding: Encoding,
        bytes: bytes::Bytes,
        uploads: Vec<Arc<Upload>>,
        detail: ErrorDetail,
    ) -> Self {
        Self {
            elements: encoding.elements(bytes),
            uploads: uploads.into_iter(),
            encoding,
            detail,
            taken: 0,
        }
    }

    fn elements(&mut self) -> Result<&mut Elements, BindError> {
        self.elements
            .as_mut()
            .map_err(|error| BindError::Malformed(error.clone()))
    }

    /// What stands behind the arguments that were taken is not what its parameter wants.
    #[cold]
    fn unfit(&self, wanted: &'static str) -> BindError {
        let found = self.elements.as_ref().map(Elements::kind_of_failed);
        BindError::Type {
            position: self.taken + 1,
            wanted,
            found: found.unwrap_or("nothing"),
        }
    }

    /// In MessagePack the count is known before anything is decoded, and comes first (IN-05).
    pub(crate) fn check_count(&self, expected: usize) -> Result<(), BindError> {
        match &self.elements {
            Ok(elements)
                if self.encoding.protocol != Protocol::Json && elements.remaining() != expected =>
            {
                let provided = elements.remaining();
                Err(BindError::Count { provided, expected })
            }
            _ => Ok(()),
        }
    }

    /// Everything must have been taken: too many arguments are an error too (IN-05).
    pub(crate) fn finish(mut self, expected: usize) -> Result<(), BindError> {
        let taken = self.taken;
        match self.elements()?.remaining() {
            0 => Ok(()),
            more => Err(BindError::Count {
                provided: taken + more,
                expected,
            }),
        }
    }
}

/// A parameter of a hub method: any `DeserializeOwned` value, or an [`UploadStream`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a hub method parameter",
    label = "not a hub method parameter",
    note = "a parameter is any `serde::de::DeserializeOwned` type, or `UploadStream<T>`"
)]
pub trait Argument: Sized {
    /// Whether it is a stream that the client sends, and no value.
    const IS_STREAM: bool = false;

    /// Takes the next argument.
    ///
    /// # Errors
    /// When there is none, or it has another type.
    fn take(arguments: &mut Arguments) -> Result<Self, BindError>;

    #[doc(hidden)]
    fn seal(_: Seal);
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> Argument for T {
    #[inline]
    fn take(arguments: &mut Arguments) -> Result<Self, BindError> {
        match arguments.elements()?.take() {
            Some(Ok(value)) => {
                arguments.taken += 1;
                Ok(value)
            }
            Some(Err(_)) => Err(arguments.unfit(type_name::<T>())),
            // The caller knows how many are expected.
            None => Err(BindError::Count {
                provided: arguments.taken,
                expected: 0,
            }),
        }
    }

    fn seal(_: Seal) {}
}

impl<T: DeserializeOwned> Argument for UploadStream<T> {
    const IS_STREAM: bool = true;

    fn take(arguments: &mut Arguments) -> Result<Self, BindError> {
        // There is one for each stream parameter; whether the client sends them is checked later.
        let upload = arguments.uploads.next();
        let upload = upload.ok_or_else(|| arguments.unfit(type_name::<Self>()))?;
        Ok(Self::new(upload, arguments.encoding, arguments.detail))
    }

    fn seal(_: Seal) {}
}
