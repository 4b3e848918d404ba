//! Plain functions as hub methods.

use crate::methods::{
    Seal,
    arguments::{Argument, Arguments, BindError},
    context::Context,
};

/// A function that clients may call: a [`Context`] first, then one parameter for each argument.
///
/// Implemented for every function and closure of that shape, up to ten arguments; never
/// implemented by hand. What the parameters and the return type must be is asked where a method is
/// registered, so that the compiler names the one that is wrong.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a method of this hub",
    label = "its first parameter must be `Context<{S}>`",
    note = "write `async fn(cx: Context<{S}>, a: A, b: B) -> hub::Result<R>`"
)]
pub trait Method<S, Args>: Clone + Send + Sync + 'static {
    /// What it returns: a future or a stream.
    type Output;

    /// Calls it.
    fn invoke(&self, cx: Context<S>, args: Args) -> Self::Output;

    #[doc(hidden)]
    fn seal(_: Seal);
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

macro_rules! impl_for_arity {
    ($($arg:ident),*) => {
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
impl_for_arity!(A);
impl_for_arity!(A, B);
impl_for_arity!(A, B, C);
impl_for_arity!(A, B, C, D);
impl_for_arity!(A, B, C, D, E);
impl_for_arity!(A, B, C, D, E, G);
impl_for_arity!(A, B, C, D, E, G, H);
impl_for_arity!(A, B, C, D, E, G, H, I);
impl_for_arity!(A, B, C, D, E, G, H, I, J);
impl_for_arity!(A, B, C, D, E, G, H, I, J, K);
