//! Settings are written as a sentence: a setter for each field, of the same name.
//!
//! It imports nothing of this crate. Not a part of the API: `hub` is built on it too.

/// Writes a setter for each field: `field: Type,`, or `field?: Type,` for an `Option` of that type,
/// which takes the value itself too.
#[doc(hidden)]
#[macro_export]
macro_rules! __setters {
    () => {};
    ($field:ident ?: $type:ty, $($rest:tt)*) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), "); `None` for none.")]
        #[must_use]
        pub fn $field(mut self, $field: impl Into<Option<$type>>) -> Self {
            self.$field = $field.into();
            self
        }
        $crate::__setters! { $($rest)* }
    };
    ($field:ident : $type:ty, $($rest:tt)*) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](Self#structfield.", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
        $crate::__setters! { $($rest)* }
    };
}

pub(crate) use __setters as setters;
