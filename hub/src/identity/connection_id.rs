//! The two names of a connection: the public id and the secret token (C-01, C-02).

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// The public name of a connection: hub code and other clients may see it. Cheaply cloned.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(Arc<str>);

impl ConnectionId {
    pub(crate) fn random() -> Self {
        Self(random_name().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ConnectionId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

impl From<String> for ConnectionId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl From<&String> for ConnectionId {
    fn from(id: &String) -> Self {
        Self(id.as_str().into())
    }
}

impl From<&Self> for ConnectionId {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl std::ops::Deref for ConnectionId {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ConnectionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ConnectionId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for ConnectionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for ConnectionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// The secret that reclaims a connection. Never shown, not even in `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ConnectionToken(Box<str>);

impl ConnectionToken {
    pub(crate) fn random() -> Self {
        Self(random_name().into())
    }

    /// One of a server among others, which it names (`<random>.<server>`).
    pub(crate) fn random_of(server: &str) -> Self {
        Self(format!("{}.{server}", random_name()).into())
    }

    /// The server that it names.
    pub(crate) fn server(&self) -> Option<&str> {
        let (_, server) = self.0.split_once('.')?;
        Some(server)
    }

    /// What a client presents.
    pub(crate) fn presented(token: &str) -> Self {
        Self(token.into())
    }

    /// For the one it belongs to.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ConnectionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionToken(redacted)")
    }
}

/// 16 bytes from the operating system, as 22 characters (C-01).
pub(crate) fn random_name() -> String {
    let mut bytes = [0; 16];
    // A machine without a random source cannot be served safely.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
