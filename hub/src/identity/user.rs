//! Who makes a request.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderValue;

use crate::values::wire_types::Timestamp;

/// Who makes a request, and what is known of it. A layer of your app that authenticates puts one into
/// the request's extensions, and hubs find it there (HB-05, HB-07).
///
/// What is known are claims, each a name and a text, of which a name may have several; or a value of
/// your own type.
///
/// ```
/// use std::time::Duration;
/// use hub::User;
///
/// struct Account { credit: u32 }
///
/// let ann = User::new("ann")
///     .with_role("admin")
///     .with_claim("tenant", "acme")
///     .with_claim("group", "a")
///     .with_claim("group", "b")
///     .with_data(Account { credit: 7 })
///     .expires_in(Duration::from_secs(3600));
/// assert_eq!(ann.identifier(), "ann");
/// assert!(ann.is_in_role("admin"));
/// assert_eq!(ann.claim("tenant"), Some("acme"));
/// assert_eq!(ann.claims("group").collect::<Vec<_>>(), ["a", "b"]);
/// assert_eq!(ann.data::<Account>().map(|account| account.credit), Some(7));
/// ```
#[derive(Clone)]
pub struct User(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    identifier: Box<str>,
    claims: Vec<(Box<str>, Box<str>)>,
    data: Option<Arc<dyn Any + Send + Sync>>,
    expires: Option<SystemTime>,
}

/// The name of the claim that is a role.
const ROLE: &str = "role";

impl User {
    /// A user of whom nothing else is known, for good. Messages to this user reach all connections
    /// with the same identifier.
    pub fn new(identifier: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner {
            identifier: identifier.into(),
            claims: Vec::new(),
            data: None,
            expires: None,
        }))
    }

    /// The same user, with one more role: a claim named `role`.
    #[must_use]
    pub fn with_role(self, role: impl Into<Box<str>>) -> Self {
        self.with_claim(ROLE, role)
    }

    /// The same user, with one more claim. One of the same name stays beside it.
    #[must_use]
    pub fn with_claim(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        let claim = (name.into(), value.into());
        Arc::make_mut(&mut self.0).claims.push(claim);
        self
    }

    /// The same user, with a value of the application's own type, in place of one that it had.
    #[must_use]
    pub fn with_data<T: Any + Send + Sync>(mut self, data: T) -> Self {
        Arc::make_mut(&mut self.0).data = Some(Arc::new(data));
        self
    }

    /// The same user, no longer known from `at` on: a hub with
    /// [`close_on_authentication_expiration`](crate::EndpointOptions) then ends its connection.
    #[must_use]
    pub fn expires_at(mut self, at: SystemTime) -> Self {
        Arc::make_mut(&mut self.0).expires = Some(at);
        self
    }

    /// The same, from now on for so long.
    #[must_use]
    pub fn expires_in(self, lifetime: Duration) -> Self {
        self.expires_at(SystemTime::now() + lifetime)
    }

    /// Who it is.
    pub fn identifier(&self) -> &str {
        &self.0.identifier
    }

    /// Whether it has a role.
    pub fn is_in_role(&self, role: &str) -> bool {
        self.claims(ROLE).any(|known| known == role)
    }

    /// The first claim of a name, matched by case; `None` where there is none.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.claims(name).next()
    }

    /// All claims of a name, in the order in which they were added.
    pub fn claims(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = move |claim: &&(Box<str>, Box<str>)| *claim.0 == *name;
        self.0.claims.iter().filter(of_name).map(|claim| &*claim.1)
    }

    /// All claims, each with its name, in the order in which they were added.
    pub fn all_claims(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .claims
            .iter()
            .map(|(name, value)| (&**name, &**value))
    }

    /// The application's own value; `None` where there is none, or it has another type.
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.0.data.as_ref()?.downcast_ref()
    }

    /// How long it is known yet; `None` for good, zero when no longer.
    pub fn lifetime(&self) -> Option<Duration> {
        let expires = self.0.expires?;
        Some(
            expires
                .duration_since(SystemTime::now())
                .unwrap_or_default(),
        )
    }
}

/// Why a request has no [`User`], for the `WWW-Authenticate` header of the refusal: put into the
/// request's extensions by the layer that authenticates (AU-01). By default just `Bearer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge(HeaderValue);

impl Challenge {
    /// The token is no good.
    pub fn invalid_token() -> Self {
        Self(HeaderValue::from_static("Bearer error=\"invalid_token\""))
    }

    /// The token was good until `at`.
    pub fn expired(at: SystemTime) -> Self {
        let at = Timestamp::from(at).to_string();
        // 2026-11-23T17:25:46Z, as .NET writes it: 11/23/2026 17:25:46
        let text = match (at.get(..4), at.get(5..7), at.get(8..10), at.get(11..19)) {
            (Some(year), Some(month), Some(day), Some(time)) => {
                format!("The token expired at '{month}/{day}/{year} {time}'")
            }
            _ => "The token expired".to_owned(),
        };
        let header = format!("Bearer error=\"invalid_token\", error_description=\"{text}\"");
        HeaderValue::try_from(header).map_or_else(|_| Self::invalid_token(), Self)
    }

    pub(crate) fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl Default for Challenge {
    fn default() -> Self {
        Self(HeaderValue::from_static("Bearer"))
    }
}

impl fmt::Debug for User {
    /// Without its claims, which are nobody else's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("identifier", &self.0.identifier)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn au_01_an_expired_token_is_said_to_be() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_454_746_500);
        assert_eq!(
            Challenge::expired(at).header_value(),
            "Bearer error=\"invalid_token\", error_description=\"The token expired at '11/23/2026 17:25:46'\""
        );
    }
}
