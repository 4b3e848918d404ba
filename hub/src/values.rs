//! Rust types that look on the wire as .NET's do, and what .NET calls a type.
//!
//! It may import `protocol`, whose encodings they are written in. Begin with [`wire_types`]; the
//! next floor is [`identity`](crate::identity).

pub(crate) mod dotnet;
pub(crate) mod wire_types;
