//! Who gives tokens, for a server that gives its own: `hub::jwt` checks them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use hub::jwt::{
    Bearer,
    jsonwebtoken::{
        Algorithm, DecodingKey, EncodingKey, Header, Validation, encode, errors::Error,
    },
};
use serde::Serialize;

/// What tokens are signed and checked with.
#[derive(Clone)]
pub struct Keys {
    signs: Arc<EncodingKey>,
    bearer: Bearer,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    exp: f64,
}

impl Keys {
    /// Keys of a secret that only the server knows.
    pub fn new(secret: &[u8]) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0; // one clock, that of this server
        Self {
            signs: Arc::new(EncodingKey::from_secret(secret)),
            bearer: Bearer::new(validation, DecodingKey::from_secret(secret)),
        }
    }

    /// The layer that knows the users of these tokens.
    pub fn bearer(&self) -> Bearer {
        self.bearer.clone()
    }

    /// A token for a user, good for so long: `exp` may have a fraction (RFC 7519, section 2).
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(
        &self,
        user: &str,
        role: Option<&str>,
        lifetime: Duration,
    ) -> Result<String, Error> {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let claims = Claims {
            sub: user,
            role,
            exp: (since_1970 + lifetime).as_secs_f64(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signs)
    }
}
