//! Plain functions as hub methods.

use std::future::Future;

use crate::{
    error::Result,
    methods::{
        Seal,
        arguments::{Argument, Arguments, BindError},
        context::Context,
    },
};

/// A function that clients may call: a [`Context`] first, then one parameter for each argument.
///
/// Implemented for every function and closure of that shape, up to ten arguments; never
/// implemented by hand. What the parameters and the return type must be is asked where a method is
/// registered, so that the compiler names the one that is wrong.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a method of this hub",
    label = "its first parameter must be `Context<{S}>`",
    note = "write `async fn(cx: Context<{S}>, a: A, b: B) -> hub::Result<R>`",
    note = "its parameters are owned: `String` and not `&str`, `Vec<T>` and not `&[T]`"
)]
pub trait Method<S, Args>: Clone + Send + Sync + 'static {
    /// What it returns: a future or a stream.
    type Output;

    /// Calls it.
    fn invoke(&self, cx: Context<S>, args: Args) -> Self::Output;

    #[doc(hidden)]
    fn seal(_: Seal);
}

/// What a hub method answers a call with: the future of an `async fn` that returns a
/// [`Result`](crate::Result).
#[diagnostic::on_unimplemented(
    message = "a hub method is an `async fn` that returns `hub::Result<_>`; this one returns `{Self}`",
    label = "not the future of a `hub::Result`",
    note = "write `async fn(cx: Context, …) -> hub::Result<T>`, or `-> hub::Result<()>` where there is nothing to tell",
    note = "a function that returns a stream is added with `Hub::stream`"
)]
pub trait Answer<R>: Future<Output = Result<R>> {
    #[doc(hidden)]
    fn seal(_: Seal);
}

#[diagnostic::do_not_recommend]
impl<F: Future<Output = Result<R>>, R> Answer<R> for F {
    fn seal(_: Seal) {}
}

/// The parameters of a hub method behind its [`Context`].
pub trait ArgumentList: Sized + Send + 'static {
    /// How many of them are values.
    const VALUES: usize;
    /// How many of them are streams.
    const STREAMS: usize;

    /// Decodes the arguments of a call.
    ///
    /// # Errors
    /// When they do not fit.
    fn bind(arguments: Arguments) -> Result<Self, BindError>;

    #[doc(hidden)]
    fn seal(_: Seal);
}

/// Parameters that own what they hold. Which ones do, only the borrow checker knows, and what it says
/// of `&str` helps nobody; so references have two implementations of [`Owned`] to choose from, and the
/// compiler names the second.
pub trait OwnedParameters<Kinds> {
    #[doc(hidden)]
    fn seal(_: Seal);
}

/// A parameter that owns what it holds.
pub trait Owned<Kind> {
    #[doc(hidden)]
    fn seal(_: Seal);
}

/// Marks what every type is.
#[derive(Debug)]
pub enum Whatever {}

/// Marks a reference, and says what to write in its place.
#[derive(Debug)]
pub enum ParametersAreOwnedWriteStringForStrAndVecForSlice {}

impl<T> Owned<Whatever> for T {
    fn seal(_: Seal) {}
}

impl<T: ?Sized> Owned<ParametersAreOwnedWriteStringForStrAndVecForSlice> for &T {
    fn seal(_: Seal) {}
}

macro_rules! impl_for_arity {
    ($($arg:ident $kind:ident),*) => {
        impl<$($arg: Owned<$kind>, $kind,)*> OwnedParameters<($($kind,)*)> for ($($arg,)*) {
            fn seal(_: Seal) {}
        }

        #[allow(non_snake_case)] // the parameters are named as their types
        impl<F, S, Out, $($arg,)*> Method<S, ($($arg,)*)> for F
        where
            F: Fn(Context<S>, $($arg,)*) -> Out + Clone + Send + Sync + 'static,
        {
            type Output = Out;
            fn invoke(&self, cx: Context<S>, ($($arg,)*): ($($arg,)*)) -> Out {
                self(cx, $($arg,)*)
            }

            fn seal(_: Seal) {}
        }

        #[allow(unused_mut, unused_variables)] // for no arguments
        impl<$($arg: Argument + Send + 'static,)*> ArgumentList for ($($arg,)*) {
            const VALUES: usize = 0 $(+ !$arg::IS_STREAM as usize)*;
            const STREAMS: usize = 0 $(+ $arg::IS_STREAM as usize)*;

            fn bind(mut arguments: Arguments) -> Result<Self, BindError> {
                let counted = |fault| match fault {
                    BindError::Count { provided, .. } => BindError::Count {
                        provided,
                        expected: Self::VALUES,
                    },
                    fault => fault,
                };
                arguments.check_count(Self::VALUES)?;
                let bound = ($($arg::take(&mut arguments).map_err(counted)?,)*);
                arguments.finish(Self::VALUES)?;
                Ok(bound)
            }

            fn seal(_: Seal) {}
        }
    };
}

impl_for_arity!();
impl_for_arity!(A KindA);
impl_for_arity!(A KindA, B KindB);
impl_for_arity!(A KindA, B KindB, C KindC);
impl_for_arity!(A KindA, B KindB, C KindC, D KindD);
impl_for_arity!(A KindA, B KindB, C KindC, D KindD, E KindE);
impl_for_arity!(A KindA, B KindB, C KindC, D KindD, E KindE, G KindG);
impl_for_arity!(A KindA, B KindB, C KindC, D KindD, E KindE, G KindG, H KindH);
impl_for_arity!(A KindA, B KindB, C KindC, D KindD, E KindE, G KindG, H KindH, I KindI);
impl_for_arity!(A KindA, B KindB, C KindC, D KindD, E KindE, G KindG, H KindH, I KindI, J KindJ);
impl_for_arity!(A KindA, B KindB, C KindC, D KindD, E KindE, G KindG, H KindH, I KindI, J KindJ, K KindK);
