//! Users by JSON Web Tokens: the layer that most hubs with users need.
//!
//! [`Bearer`] finds the token of each request, checks it, and puts the [`User`] whom it names into the
//! request's extensions, or the [`Challenge`] with which the hub refuses it. Tokens come from whoever
//! your users log in with: this only checks them.
//!
//! ```
//! use hub::{Context, Hub, HubOptions, jwt::{Bearer, jsonwebtoken::{Algorithm, DecodingKey, Validation}}};
//!
//! async fn whoami(cx: Context) -> hub::Result<Option<String>> {
//!     let user = cx.current_user();
//!     Ok(user.and_then(|user| user.claim("email").map(str::to_owned)))
//! }
//!
//! let mut validation = Validation::new(Algorithm::HS256);
//! validation.set_audience(&["chat"]);
//! validation.set_issuer(&["https://login.example"]);
//! let key = DecodingKey::from_secret(b"only the servers know this");
//!
//! let options = HubOptions::new().close_on_authentication_expiration(true);
//! let app: axum::Router = Hub::with_options((), options)
//!     .require_user()
//!     .method("WhoAmI", whoami)
//!     .router("/chat")
//!     .layer(Bearer::new(validation, key)); // around hubs alone: no other path reads its query
//! # let _ = app;
//! ```

// A floor on `identity`, which it gives users to; the hub itself knows nothing of tokens.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use http::{Request, header::AUTHORIZATION};
use jsonwebtoken::{
    DecodingKey, Validation, decode, decode_header,
    errors::{Error, ErrorKind},
    jwk::JwkSet,
};
use raw_ws::sync::RwLock;
use serde_json::{Map, Value};
use tower::{Layer, Service};

use crate::identity::{
    query::query_value,
    user::{Challenge, User},
};

pub use jsonwebtoken;

/// The layer that knows users by their tokens. Cheaply cloned; clones share their keys.
///
/// The token comes in the header `Authorization: Bearer …`, or, as browsers cannot send one with a
/// WebSocket or an event stream, in the query as `access_token`, which the official clients do by
/// themselves. A request without one passes as nobody's: [`Hub::require_user`](crate::Hub::require_user)
/// refuses it. So does one whose token is no good, with the reason in `WWW-Authenticate` (AU-01).
///
/// Of the token's claims:
///
/// - `sub`, or else `nameid`, is the user's [`identifier`](User::identifier); without it the token is
///   no good. So is the long name that .NET writes for it (`ClaimTypes.NameIdentifier`).
/// - `exp` is when the user [expires](User::expires_at), with the leeway of the `Validation` (60 s unless
///   it says otherwise). The hub ends the connection then, where
///   [`close_on_authentication_expiration`](crate::EndpointOptions) says so.
/// - `role` and `roles`, one or an array, are its [roles](User::is_in_role), and .NET's long name of
///   them (`ClaimTypes.Role`).
/// - All of them are its [claims](User::claim), these too: text as it is, numbers and booleans as JSON
///   writes them, each element of an array a claim of its own, objects as JSON.
#[derive(Clone)]
pub struct Bearer(Arc<Inner>);

const DOTNET_IDENTIFIER: &str =
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier";
const DOTNET_ROLE: &str = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role";

struct Inner {
    validation: Validation,
    keys: RwLock<Arc<Keys>>,
}

/// What tokens are checked with.
///
/// ```
/// use hub::jwt::{Keys, jsonwebtoken::{DecodingKey, jwk::JwkSet}};
/// # let json = r#"{"keys":[{"kty":"oct","kid":"a","alg":"HS256","k":"c2VjcmV0"}]}"#;
/// let one: Keys = DecodingKey::from_secret(b"secret").into();
/// // What an identity provider publishes at its `jwks_uri`:
/// let set: JwkSet = serde_json::from_str(json).unwrap();
/// let several = Keys::try_from(&set)?;
/// # drop((one, several));
/// # Ok::<(), hub::jwt::jsonwebtoken::errors::Error>(())
/// ```
#[derive(Debug)]
pub struct Keys {
    /// By their `kid`.
    named: HashMap<String, DecodingKey>,
    /// For tokens that name none.
    only: Option<DecodingKey>,
}

impl From<DecodingKey> for Keys {
    /// One key, whatever a token says of it.
    fn from(key: DecodingKey) -> Self {
        Self {
            named: HashMap::new(),
            only: Some(key),
        }
    }
}

impl TryFrom<&JwkSet> for Keys {
    type Error = Error;

    /// Those of the set that tokens are signed with, each for the tokens that name it (`kid`). One that
    /// stands alone is for tokens that name none, too.
    ///
    /// # Errors
    /// When there is none that can be used.
    fn try_from(set: &JwkSet) -> Result<Self, Error> {
        use jsonwebtoken::jwk::PublicKeyUse;

        let for_signatures = set
            .keys
            .iter()
            .filter(|key| key.common.public_key_use != Some(PublicKeyUse::Encryption));
        let mut keys = Self {
            named: HashMap::new(),
            only: None,
        };
        let mut count = 0;
        let mut fault = ErrorKind::InvalidKeyFormat.into();
        for jwk in for_signatures {
            // A set may have keys of kinds that nobody here knows, for others.
            let key = match DecodingKey::from_jwk(jwk) {
                Ok(key) => key,
                Err(error) => {
                    fault = error;
                    continue;
                }
            };
            count += 1;
            if let Some(name) = &jwk.common.key_id {
                keys.named.insert(name.clone(), key.clone());
            }
            keys.only = Some(key).filter(|_| count == 1);
        }
        if count == 0 { Err(fault) } else { Ok(keys) }
    }
}

impl Keys {
    fn find(&self, name: Option<&str>) -> Option<&DecodingKey> {
        match name.and_then(|name| self.named.get(name)) {
            Some(key) => Some(key),
            // A name that nobody knows is of a key that was given up.
            None if name.is_some() && !self.named.is_empty() => None,
            None => self.only.as_ref(),
        }
    }
}

impl Bearer {
    /// Checks tokens by these rules: which algorithms are taken, of which issuer, for which audience.
    pub fn new(validation: Validation, keys: impl Into<Keys>) -> Self {
        Self(Arc::new(Inner {
            validation,
            keys: RwLock::new(Arc::new(keys.into())),
        }))
    }

    /// Checks with other keys from here on, in all clones: for an identity provider that changes its
    /// own. Who is connected stays so.
    pub fn replace_keys(&self, keys: impl Into<Keys>) {
        let mut current = self.0.keys.write();
        *current = Arc::new(keys.into());
    }

    /// The user whom a token names.
    ///
    /// # Errors
    /// Why it is no good, as the client is to be told.
    pub fn user(&self, token: &str) -> Result<User, Challenge> {
        let keys = self.0.keys.read().clone();
        let header = decode_header(token).map_err(|_| Challenge::invalid_token())?;
        let key = keys
            .find(header.kid.as_deref())
            .ok_or_else(Challenge::invalid_token)?;
        let validation = &self.0.validation;
        let leeway = Duration::from_secs(validation.leeway);
        let claims = match decode::<Map<String, Value>>(token, key, validation) {
            Ok(token) => token.claims,
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => {
                return Err(expired(token, key, validation));
            }
            Err(_) => return Err(Challenge::invalid_token()),
        };
        let identifier = ["sub", "nameid", DOTNET_IDENTIFIER]
            .iter()
            .find_map(|name| claims.get(*name)?.as_str())
            .ok_or_else(Challenge::invalid_token)?;
        let mut user = User::new(identifier);
        if let Some(expires) = expiry(&claims) {
            // The library counts whole seconds.
            if expires + leeway <= SystemTime::now() {
                return Err(Challenge::expired(expires));
            }
            user = user.expires_at(expires + leeway);
        }
        for (name, value) in &claims {
            user = with_claims(user, name, value);
        }
        Ok(user)
    }
}

fn with_claims(user: User, name: &str, value: &Value) -> User {
    let text = match value {
        Value::Null => return user,
        Value::Array(values) => {
            let each = |user, value| with_claims(user, name, value);
            return values.iter().fold(user, each);
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match name {
        "roles" | DOTNET_ROLE => user.with_role(text.clone()).with_claim(name, text),
        _ => user.with_claim(name, text),
    }
}

/// When a token ends that says so.
fn expiry(claims: &Map<String, Value>) -> Option<SystemTime> {
    let seconds = claims.get("exp")?.as_f64()?;
    let since_1970 = Duration::try_from_secs_f64(seconds).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(since_1970)
}

/// Since when it is no good: what it says is believed only if it is signed.
fn expired(token: &str, key: &DecodingKey, validation: &Validation) -> Challenge {
    let mut validation = validation.clone();
    validation.validate_exp = false;
    let token = decode::<Map<String, Value>>(token, key, &validation).ok();
    let since = token.and_then(|token| expiry(&token.claims));
    since.map_or_else(Challenge::invalid_token, Challenge::expired)
}

fn token<B>(request: &Request<B>) -> Option<String> {
    let header = request.headers().get(AUTHORIZATION);
    let bearer = header
        .and_then(|header| header.to_str().ok())
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim().to_owned());
    // Decoded, and its name in any case: some clients escape what they need not.
    let in_query = || query_value(request.uri().query()?, "access_token");
    bearer.or_else(in_query).filter(|token| !token.is_empty())
}

impl<S> Layer<S> for Bearer {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Authenticated<S> {
        let bearer = self.clone();
        Authenticated { inner, bearer }
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bearer").finish_non_exhaustive()
    }
}

/// A service whose requests have users; made by [`Bearer`].
#[derive(Debug, Clone)]
pub struct Authenticated<S> {
    inner: S,
    bearer: Bearer,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Authenticated<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(token) = token(&request) {
            match self.bearer.user(&token) {
                Ok(user) => drop(request.extensions_mut().insert(user)),
                Err(challenge) => drop(request.extensions_mut().insert(challenge)),
            }
        }
        self.inner.call(request)
    }
}
