//! The arguments of a call.

use serde::{Serialize, Serializer, ser::SerializeTuple};

/// What can be sent as the arguments of a call: a tuple of up to eight values, or an array, slice
/// or `Vec` of values of one type. Written by [`Encoding::encode_arguments`](super::Encoding::encode_arguments).
///
/// One argument is a tuple of one: `("text",)`.
///
/// ```
/// use hub::protocol::{Encoding, Names, Protocol};
///
/// let encoding = Encoding { protocol: Protocol::MessagePack, names: Names::AsDeclared };
/// assert_eq!(encoding.encode_arguments(&(42,))?, [0x91, 42].as_slice());
/// assert_eq!(encoding.encode_arguments(&[1, 2])?, [0x92, 1, 2].as_slice());
/// # Ok::<(), hub::protocol::ValueError>(())
/// ```
pub trait CallArguments: sealed::Sealed {}

impl<A: sealed::Sealed + ?Sized> CallArguments for A {}

/// Arguments as serde sees them.
pub(super) struct AsArray<'a, A: ?Sized>(pub(super) &'a A);

impl<A: CallArguments + ?Sized> Serialize for AsArray<'_, A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize_array(serializer)
    }
}

mod sealed {
    use super::{Serialize, Serializer};

    #[expect(unnameable_types, reason = "it seals `CallArguments`")]
    pub trait Sealed {
        fn serialize_array<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    }

    impl<A: Sealed + ?Sized> Sealed for &A {
        fn serialize_array<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            (**self).serialize_array(serializer)
        }
    }

    impl<T: Serialize> Sealed for [T] {
        fn serialize_array<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.serialize(serializer)
        }
    }

    impl<T: Serialize, const N: usize> Sealed for [T; N] {
        fn serialize_array<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.as_slice().serialize(serializer)
        }
    }

    impl<T: Serialize> Sealed for Vec<T> {
        fn serialize_array<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.serialize(serializer)
        }
    }

    impl Sealed for () {
        fn serialize_array<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::SerializeTuple::end(serializer.serialize_tuple(0)?)
        }
    }

    macro_rules! tuples {
        ($($($name:ident)+;)+) => {$(
            impl<$($name: Serialize),+> Sealed for ($($name,)+) {
                fn serialize_array<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    self.serialize(serializer)
                }
            }
        )+};
    }

    tuples! {
        A;
        A B;
        A B C;
        A B C D;
        A B C D E;
        A B C D E F;
        A B C D E F G;
        A B C D E F G H;
    }
}
