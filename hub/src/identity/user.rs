//! Who makes a request.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderValue;

use crate::values::wire_types::Timestamp;

/// Who makes a request. A layer of your app that authenticates puts one into the request's
/// extensions, and hubs find it there (HB-05, HB-07).
///
/// ```
/// use std::time::Duration;
/// use hub::User;
/// let ann = User::new("ann").with_role("admin").expires_in(Duration::from_secs(3600));
/// assert_eq!(ann.identifier(), "ann");
/// assert!(ann.is_in_role("admin"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct User(Arc<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    identifier: Box<str>,
    roles: Vec<Box<str>>,
    expires: Option<SystemTime>,
}

impl User {
    /// A user without roles, for good. Messages to this user reach all connections with the same
    /// identifier.
    pub fn new(identifier: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner {
            identifier: identifier.into(),
            roles: Vec::new(),
            expires: None,
        }))
    }

    /// The same user, with one more role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Box<str>>) -> Self {
        Arc::make_mut(&mut self.0).roles.push(role.into());
        self
    }

    /// The same user, no longer known from `at` on: a hub with
    /// [`close_on_authentication_expiration`](crate::HubOptions) then ends its connection.
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
        self.0.roles.iter().any(|known| **known == *role)
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
