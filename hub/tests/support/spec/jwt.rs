//! Authentication by JSON Web Tokens: a layer that puts a `hub::User` into each request.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{
    extract::{Query, Request, State},
    http::header::AUTHORIZATION,
    middleware::Next,
    response::Response,
};
use hub::{Challenge, User};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use serde::{Deserialize, Serialize};

/// What tokens are signed and checked with.
#[derive(Clone)]
pub struct Keys(Arc<(EncodingKey, DecodingKey)>);

#[derive(Serialize, Deserialize)]
struct Claims {
    #[serde(alias = "nameid")]
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    exp: u64,
}

impl Keys {
    /// Keys of a secret that only the server knows.
    pub fn new(secret: &[u8]) -> Self {
        let keys = (
            EncodingKey::from_secret(secret),
            DecodingKey::from_secret(secret),
        );
        Self(Arc::new(keys))
    }

    /// A token for a user, good for so long (`exp` counts whole seconds: up to one more).
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn token(
        &self,
        user: &str,
        role: Option<&str>,
        lifetime: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        // Rounded up: nobody's token ends before its time.
        let expires = since_1970 + lifetime + Duration::from_millis(999);
        let claims = Claims {
            sub: user.to_owned(),
            role: role.map(str::to_owned),
            exp: expires.as_secs(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.0.0)
    }

    fn user(&self, token: &str) -> Result<User, Challenge> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        let claims = match decode::<Claims>(token, &self.0.1, &validation) {
            Ok(token) => token.claims,
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => {
                return Err(expired(token, &self.0.1));
            }
            Err(_) => return Err(Challenge::invalid_token()),
        };
        // The library counts whole seconds.
        if at(claims.exp) <= SystemTime::now() {
            return Err(Challenge::expired(at(claims.exp)));
        }
        let user = User::new(claims.sub).expires_at(at(claims.exp));
        Ok(match claims.role {
            Some(role) => user.with_role(role),
            None => user,
        })
    }
}

fn expired(token: &str, key: &DecodingKey) -> Challenge {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_exp = false;
    match decode::<Claims>(token, key, &validation) {
        Ok(token) => Challenge::expired(at(token.claims.exp)),
        Err(_) => Challenge::invalid_token(),
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The layer: who the request's token names, from the `Authorization` header, or from the query
/// where browsers cannot send one. To be put around hubs alone, so that no other path takes tokens
/// from its query.
///
/// ```no_run
/// use axum::{Router, middleware::from_fn_with_state};
/// use examples::jwt::{self, Keys};
/// let keys = Keys::new(b"only the server knows this");
/// let hub: Router = hub::Hub::new(()).require_user().router("/chat");
/// let app: Router = hub.layer(from_fn_with_state(keys, jwt::authenticate));
/// ```
pub async fn authenticate(State(keys): State<Keys>, mut request: Request, next: Next) -> Response {
    if let Some(token) = bearer(&request).or_else(|| in_query(&request)) {
        match keys.user(&token) {
            Ok(user) => drop(request.extensions_mut().insert(user)),
            Err(challenge) => drop(request.extensions_mut().insert(challenge)),
        }
    }
    next.run(request).await
}

fn bearer(request: &Request) -> Option<String> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

/// Decoded, and its name in any case: some clients escape what they need not.
fn in_query(request: &Request) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).ok()?;
    let is_token = |name: &str| name.eq_ignore_ascii_case("access_token");
    let (_, token) = pairs.into_iter().find(|(name, _)| is_token(name))?;
    Some(token).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn a_token_in_the_query_may_be_escaped_and_its_name_in_any_case() {
        for (query, token) in [
            ("access_token=a.b-c_d", Some("a.b-c_d")),
            ("id=1&access_token=a%2Eb%2dc%5Fd", Some("a.b-c_d")),
            ("ACCESS_Token=a.b-c_d&id=1", Some("a.b-c_d")),
            ("access%5Ftoken=a.b-c_d", Some("a.b-c_d")),
            ("access_token=", None),
            ("access_tokens=a", None),
            ("id=1", None),
        ] {
            let request = Request::get(format!("/hub?{query}"));
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(in_query(&request).as_deref(), token, "{query}");
        }
    }
}
