//! A client that comes with a newer token while its connection goes on (AU-06 to AU-09).

use axum::response::Response;
use http::{StatusCode, request::Parts};

use super::{Endpoint, answers};
use crate::{
    identity::{connection_id::ConnectionToken, query::query_value, user::User},
    values::wire_types::Timestamp,
};

const CONNECTION_TOKEN: &str = "x-signalr-connection-token";

impl<S: Send + Sync + 'static> Endpoint<S> {
    /// AU-07: takes what the request says of its user for the connection whose token it presents.
    pub(super) fn refresh(&self, parts: &Parts) -> Response {
        let header = parts.headers.get(CONNECTION_TOKEN);
        let header = header.and_then(|value| value.to_str().ok());
        let query = parts.uri.query().unwrap_or_default();
        // Release candidates of .NET 11 have it in the query.
        let token = match header {
            Some(token) => Some(token.to_owned()),
            None => query_value(query, "id"),
        };
        let Some(token) = token.filter(|token| !token.is_empty()) else {
            let why = "The request names no connection.";
            return refused(StatusCode::BAD_REQUEST, "missing_connection_token", why);
        };
        let token = ConnectionToken::presented(&token);
        let live = self.present(&token, parts, |presented| {
            let id = self.tokens.owner(presented).ok()?;
            let live = self.hub.registry.find(id.as_str())?;
            Some(live).filter(|live| live.user_identifier.as_ref() == presented.user_identifier)
        });
        let Some(live) = live else {
            // Who asks with another user's token learns nothing of it (AU-09).
            let why = "There is no such connection of this user.";
            return refused(StatusCode::NOT_FOUND, "connection_not_found", why);
        };
        let Some(user) = parts.extensions.get::<User>() else {
            let why = "The request names no user.";
            return refused(StatusCode::UNAUTHORIZED, "invalid_token", why);
        };
        live.set_user(user.clone());
        let mut body = serde_json::json!({
            "connectionId": &*live.id,
            "refreshedAt": Timestamp::now(),
        });
        if let Some(lifetime) = user.lifetime() {
            body["tokenLifetimeSeconds"] = lifetime.as_secs().into();
        }
        answers::json(body.to_string())
    }
}

fn refused(status: StatusCode, error: &str, description: &str) -> Response {
    let body = serde_json::json!({ "error": error, "error_description": description });
    let mut response = answers::json(body.to_string());
    *response.status_mut() = status;
    response
}
