//! Where in a MessagePack value bytes stand (`bin`). rmp-serde gives them to who asks for text or
//! for a list; .NET refuses them there (M-08).

use std::{
    cell::Cell,
    io::{self, Read},
};

use super::Defaults;
use crate::protocol::Encoding;

/// How a value is read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(super) encoding: Encoding,
    bins: Bins<'a>,
    /// The marker of the next value has been read already.
    is_begun: bool,
    /// What may be left out; `None` where all must be there.
    pub(crate) defaults: Option<&'a Defaults>,
    /// It is known of the next value that it is not null.
    pub(super) is_something: bool,
}

/// Where the bytes of a value are.
#[derive(Clone, Copy)]
pub(crate) enum Bins<'a> {
    /// It has none.
    Nowhere,
    /// It is bytes itself.
    Here,
    /// In it, while it is read from here.
    Somewhere(&'a Place<'a>),
}

/// A value as it is read, and how far that is.
pub(crate) struct Place<'a> {
    value: &'a [u8],
    at: Cell<usize>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(encoding: Encoding, bins: Bins<'a>) -> Self {
        Self {
            encoding,
            bins,
            is_begun: false,
            defaults: None,
            is_something: false,
        }
    }

    /// Whether what is read next is bytes.
    pub(super) fn next_is_bin(&self) -> bool {
        match self.bins {
            Bins::Nowhere => false,
            Bins::Here => true,
            Bins::Somewhere(place) => {
                let at = place.at.get() - usize::from(self.is_begun);
                matches!(place.value.get(at), Some(0xC4..=0xC6))
            }
        }
    }

    /// Of a value whose marker has been read, as that of something that may be nothing.
    pub(super) fn begun(self) -> Self {
        Self {
            is_begun: true,
            is_something: true,
            ..self
        }
    }

    /// Of the values in a value.
    pub(super) fn inside(self) -> Self {
        Self {
            is_begun: false,
            is_something: false,
            ..self
        }
    }

    /// Whether what is read next may be null, and that be no fault.
    pub(super) fn may_be_null(&self) -> bool {
        self.defaults.is_some() && !self.is_something
    }

    /// Of what stands in the place of a value that is left out.
    pub(super) fn of_nothing(self) -> Self {
        Self {
            bins: Bins::Nowhere,
            is_something: true,
            ..self.inside()
        }
    }

    /// Of the name of a variant, whose marker may have been read or not.
    pub(super) fn unsure(self) -> Self {
        Self {
            bins: Bins::Nowhere,
            ..self
        }
    }
}

impl<'a> Place<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Self {
        let at = Cell::new(0);
        Self { value, at }
    }
}

impl Read for &Place<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut rest = &self.value[self.at.get()..];
        let read = rest.read(out)?;
        self.at.set(self.at.get() + read);
        Ok(read)
    }
}
