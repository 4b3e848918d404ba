//! The table of a hub's methods: from a target and encoded arguments to a call that can run.

use std::{
    collections::HashMap,
    future::Future,
    hash::{BuildHasherDefault, Hasher},
    result,
    sync::Arc,
};

use bytestring::ByteString;
use futures_core::Stream;
use futures_util::StreamExt as _;
use serde::{Serialize, de::DeserializeOwned};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    error::{HubError, Result},
    methods::{
        Seal,
        arguments::{Arguments, BindError},
        context::Context,
        filter::{Call, Filters, Running},
        method::{Answer, ArgumentList, Method},
        reply::{Items, Reply},
    },
    protocol::{Elements, Encoding},
    session::CallKind,
};

/// The methods of a hub, found without regard to case (IN-01).
pub(crate) struct Dispatch<S> {
    entries: Vec<Entry<S>>,
    /// Where they are, by their names without case.
    places: HashMap<Box<[u8]>, usize, BuildHasherDefault<NameHasher>>,
    fallback: Option<Fallback<S>>,
    pub(crate) filters: Filters<S>,
}

pub(crate) struct Entry<S> {
    place: usize,
    /// As declared: what error texts name (IN-13).
    pub(crate) name: Arc<str>,
    pub(crate) kind: CallKind,
    pub(crate) streams: usize,
    bind: Bind<S>,
    policy: Option<Policy<S>>,
}

/// Which method a call is of, for who writes its name: most calls end without that.
pub(crate) enum MethodName {
    /// As it is declared.
    Declared(usize),
    /// As the client has it.
    Quoted(Arc<str>),
}

impl<S> Entry<S> {
    /// As it is declared (IN-13).
    pub(crate) fn declared(&self) -> MethodName {
        MethodName::Declared(self.place)
    }
}

type Policy<S> = Box<dyn Fn(&Context<S>) -> bool + Send + Sync>;

type Bind<S> =
    Box<dyn Fn(Context<S>, Arguments) -> result::Result<Running<Reply>, BindError> + Send + Sync>;
type Fallback<S> =
    Arc<dyn Fn(Context<S>, ByteString, RawArguments) -> Running<Reply> + Send + Sync>;

impl<S: Send + Sync + 'static> Dispatch<S> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            places: HashMap::default(),
            fallback: None,
            filters: Filters::default(),
        }
    }

    /// A method that is answered with one value.
    #[track_caller]
    pub(crate) fn add_method<M, Args, R>(&mut self, name: &str, method: M)
    where
        M: Method<S, Args>,
        M::Output: Answer<R> + Send + 'static,
        Args: ArgumentList,
        R: Serialize,
    {
        let bind = move |cx: Context<S>, arguments| -> result::Result<Running<Reply>, BindError> {
            let args = Args::bind(arguments)?;
            let method = method.clone();
            let encoding = cx.live().encoding;
            // Nothing of the method runs before the first poll: it may have to wait for its turn.
            Ok(Box::pin(async move {
                let value = method.invoke(cx, args).await?;
                Reply::value(encoding, &value)
            }))
        };
        self.insert(name, CallKind::Plain, Args::STREAMS, Box::new(bind));
    }

    /// A method that is answered with a stream.
    #[track_caller]
    pub(crate) fn add_stream<M, Args, O, R>(&mut self, name: &str, method: M)
    where
        M: Method<S, Args, Output = O>,
        O: IntoItems<R>,
        Args: ArgumentList,
    {
        let declared: Arc<str> = name.into();
        let bind = move |cx: Context<S>, arguments| -> result::Result<Running<Reply>, BindError> {
            let args = Args::bind(arguments)?;
            let method = method.clone();
            let encoding = cx.live().encoding;
            let declared = declared.clone();
            Ok(Box::pin(async move {
                let items = method.invoke(cx, args).into_items(encoding).await?;
                Ok(match items {
                    Some(items) => Reply::stream(encoding, items),
                    None => Reply::no_stream(encoding, declared),
                })
            }))
        };
        self.insert(name, CallKind::Stream, Args::STREAMS, Box::new(bind));
    }

    #[track_caller]
    pub(crate) fn authorize(&mut self, method: &str, policy: Policy<S>) {
        let Some(place) = self.places.get(&*without_case(method)) else {
            panic!("there is no hub method `{method}`");
        };
        self.entries[*place].policy = Some(policy);
    }

    pub(crate) fn set_fallback(&mut self, fallback: Fallback<S>) {
        self.fallback = Some(fallback);
    }

    pub(crate) fn find(&self, target: &str) -> Option<&Entry<S>> {
        let mut lower = [0; 64];
        let Some(lower) = lower.get_mut(..target.len()).filter(|_| target.is_ascii()) else {
            let place = self.places.get(&*without_case(target))?;
            return self.entries.get(*place);
        };
        lower.copy_from_slice(target.as_bytes());
        lower.make_ascii_lowercase();
        let place = self.places.get(&*lower)?;
        self.entries.get(*place)
    }

    /// How texts name a method.
    pub(crate) fn name<'a>(&'a self, name: &'a MethodName) -> &'a str {
        match name {
            MethodName::Declared(place) => &self.entries[*place].name,
            MethodName::Quoted(name) => name,
        }
    }

    /// What answers a target that no method has.
    pub(crate) fn find_fallback(&self) -> Option<&Fallback<S>> {
        self.fallback.as_ref()
    }

    /// A call that is ready to run, filters around it.
    pub(crate) fn bind(
        &self,
        entry: &Entry<S>,
        cx: Context<S>,
        arguments: Arguments,
    ) -> result::Result<Running<Reply>, BindError> {
        if self.filters.is_empty() {
            return (entry.bind)(cx, arguments);
        }
        let call = Call::new(cx.clone(), entry.name.clone());
        let method = (entry.bind)(cx, arguments)?;
        Ok(self.filters.around_call(&call, method))
    }

    /// Whether the policies of the method let its caller in (E-03).
    pub(crate) fn allows(entry: &Entry<S>, cx: &Context<S>) -> bool {
        entry.policy.as_ref().is_none_or(|policy| policy(cx))
    }

    #[track_caller]
    fn insert(&mut self, name: &str, kind: CallKind, streams: usize, bind: Bind<S>) {
        let place = self.entries.len();
        self.entries.push(Entry {
            place,
            name: name.into(),
            kind,
            streams,
            bind,
            policy: None,
        });
        let taken = self.places.insert(without_case(name), place).is_some();
        assert!(
            !taken,
            "hub method `{name}` is registered twice: names are matched without regard to case"
        );
    }
}

/// What a streaming method may return: a stream of results, a `Result` with one, or an `Option` of
/// one where there may be none to give (ST-04). Of an `async fn`, one of these at its end.
#[diagnostic::on_unimplemented(
    message = "a streaming method returns a stream of results; this one returns `{Self}`",
    label = "no stream of `hub::Result`",
    note = "write `fn(cx: Context, …) -> impl Stream<Item = hub::Result<T>>`; an `async fn` that returns such a stream, or a `hub::Result` with one, where there is work to do before",
    note = "a method that is answered with one value is added with `Hub::method`"
)]
pub trait IntoItems<R>: Send + 'static {
    /// The encoded items, if there is a stream.
    ///
    /// # Errors
    /// When the method failed before there was one.
    #[doc(hidden)]
    fn into_items(self, encoding: Encoding) -> impl Future<Output = Result<Option<Items>>> + Send;

    #[doc(hidden)]
    fn seal(_: Seal);
}

/// Marks the plain form of [`IntoItems`].
#[derive(Debug)]
pub enum Plain {}

/// Marks the form of [`IntoItems`] in a `Result`.
#[derive(Debug)]
pub enum Fallible {}

/// Marks the form of [`IntoItems`] in an `Option`.
#[derive(Debug)]
pub enum Optional {}

/// Marks the form of [`IntoItems`] at the end of a future.
#[derive(Debug)]
pub enum Awaited {}

#[diagnostic::do_not_recommend]
impl<O, T> IntoItems<(Plain, T)> for O
where
    O: Stream<Item = Result<T>> + Send + 'static,
    T: Serialize,
{
    async fn into_items(self, encoding: Encoding) -> Result<Option<Items>> {
        Ok(Some(encoded(self, encoding)))
    }

    fn seal(_: Seal) {}
}

#[diagnostic::do_not_recommend]
impl<O, T> IntoItems<(Fallible, T)> for Result<O>
where
    O: Stream<Item = Result<T>> + Send + 'static,
    T: Serialize,
{
    async fn into_items(self, encoding: Encoding) -> Result<Option<Items>> {
        Ok(Some(encoded(self?, encoding)))
    }

    fn seal(_: Seal) {}
}

#[diagnostic::do_not_recommend]
impl<O, T> IntoItems<(Optional, T)> for Option<O>
where
    O: Stream<Item = Result<T>> + Send + 'static,
    T: Serialize,
{
    async fn into_items(self, encoding: Encoding) -> Result<Option<Items>> {
        Ok(self.map(|stream| encoded(stream, encoding)))
    }

    fn seal(_: Seal) {}
}

#[diagnostic::do_not_recommend]
impl<F, R> IntoItems<(Awaited, R)> for F
where
    F: Future + Send + 'static,
    F::Output: IntoItems<R>,
{
    async fn into_items(self, encoding: Encoding) -> Result<Option<Items>> {
        self.await.into_items(encoding).await
    }

    fn seal(_: Seal) {}
}

fn encoded<T: Serialize>(
    stream: impl Stream<Item = Result<T>> + Send + 'static,
    encoding: Encoding,
) -> Items {
    Box::pin(stream.map(move |item| Ok(encoding.encode(&item?)?)))
}

/// The arguments of a call whose method is not known at compile time, for
/// [`Hub::fallback`](crate::Hub::fallback).
#[derive(Debug)]
pub struct RawArguments(pub(crate) Elements);

impl RawArguments {
    /// How many arguments are left.
    pub fn remaining(&self) -> usize {
        self.0.remaining()
    }

    /// Decodes the next argument.
    ///
    /// # Errors
    /// When there is none, or it is not a `T`.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<T> {
        match self.0.take() {
            Some(value) => Ok(value?),
            None => Err(HubError::hidden(
                "InvalidDataException",
                "there is no further argument",
            )),
        }
    }
}

/// Hashes the names of methods, which are few and chosen by the hub: what a client asks for is looked
/// up and never inserted, so that it can make nothing slow.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(31) ^ xxh3_64(bytes);
    }

    // The length of a name is in its own hash.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A name as it is looked for: character by character without case, as .NET compares ordinally. It
/// maps no character to or from ASCII that is not ASCII itself, and none to several.
fn without_case(name: &str) -> Box<[u8]> {
    let without_case = |c: char| {
        let mut upper = c.to_uppercase();
        match (c, upper.next(), upper.next()) {
            _ if c.is_ascii() => c.to_ascii_lowercase(),
            (_, Some(upper), None) if !upper.is_ascii() => upper,
            _ => c,
        }
    };
    let name: String = name.chars().map(without_case).collect();
    name.into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_01_names_are_compared_as_dotnet_does() {
        for (one, other, are_equal) in [
            ("Send", "sEND", true),
            ("Größe", "GRÖßE", true),
            ("Größe", "GRÖSSE", false),
            ("Δέλτα", "δέλτα", true),
            ("ſend", "Send", false),
            ("ınput", "Input", false),
            ("\u{212a}ick", "Kick", false),
            ("\u{10428}", "\u{10400}", true),
        ] {
            let equal = without_case(one) == without_case(other);
            assert_eq!(equal, are_equal, "{one} {other}");
        }
    }
}
