//! The opening handshake, RFC 6455 section 4.2: from an HTTP request to a `WebSocket`.
//!
//! It may import `socket` and all below it. Begin with [`Upgrade`], and see [`origins`] for who may
//! ask; whose requests these are does not matter, `serve` is one such server.

pub(crate) mod layers;
pub(crate) mod origins;

use std::{future::Future, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::FutureExt as _;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, Version,
    header::{
        ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
        UPGRADE,
    },
    request::Parts,
    uri::Authority,
};
use hyper::upgrade::OnUpgrade;
use sha1_smol::Sha1;

use crate::{
    events,
    outbound::{Outbound, connections::Connections},
    proto::{Role, config::Config},
    socket::{Settings, WebSocket},
    stream::upgraded::{Takeover, Upgraded},
    upgrade::origins::Origins,
    vocabulary::{close::CloseCode, error::HandshakeError, message::MessageKind},
};

/// A request to become a WebSocket connection: look at it, then let it in or answer otherwise.
///
/// With the feature `axum` it is an extractor: a request that is no valid upgrade is answered with
/// what it lacks (400, 405, 426), before the handler runs.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, response::Response, routing::any};
/// use raw_ws::{Config, Upgrade, WebSocket};
///
/// async fn echo(mut ws: WebSocket) -> raw_ws::Result<()> {
///     while let Some(message) = ws.recv().await? {
///         ws.feed(message)?;
///     }
///     Ok(())
/// }
///
/// async fn upgrade(upgrade: Upgrade) -> Response {
///     upgrade.config(Config::new().max_message_size(1 << 20)).on_upgrade(echo)
/// }
///
/// let app: Router = Router::new().route("/echo", any(upgrade));
/// # }
/// ```
#[must_use = "the request is answered by `on_upgrade`"]
pub struct Upgrade {
    on_upgrade: OnUpgrade,
    uri: Uri,
    headers: HeaderMap,
    takeover: Option<Takeover>,
    connections: Option<Connections>,
    config: Arc<Config>,
    origins: Origins,
    subprotocol: Option<HeaderValue>,
    says_goodbye: bool,
}

impl Upgrade {
    /// Checks the head of a request, which must come from hyper (or a server on it, as axum).
    /// Takes the right to upgrade out of its extensions.
    ///
    /// # Errors
    /// What is wrong with it, by RFC 6455 section 4.2.1; [`HandshakeError::status`] answers it.
    pub fn from_parts(parts: &mut Parts) -> Result<Self, HandshakeError> {
        check_request(parts)?;
        let on_upgrade = parts
            .extensions
            .remove::<OnUpgrade>()
            .ok_or(HandshakeError::NotUpgradable)?;
        Ok(Self {
            on_upgrade,
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            takeover: parts.extensions.get::<Takeover>().copied(),
            connections: parts.extensions.get::<Connections>().cloned(),
            config: Arc::new(Config::default()),
            origins: Origins::default(),
            subprotocol: None,
            says_goodbye: false,
        })
    }

    /// The limits and deadlines of the connection. Pass an `Arc` to share one per endpoint.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Takes messages of one kind alone, whatever the config says.
    pub(crate) fn only(mut self, kind: MessageKind) -> Self {
        Arc::make_mut(&mut self.config).only = Some(kind);
        self
    }

    /// Whose pages may connect; by default those of this host.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Leaves it to the handler to close the connection when the server stops, for protocols with a
    /// goodbye of their own. [`Connections::on_close`] runs what makes it do so.
    pub fn says_goodbye(mut self) -> Self {
        self.says_goodbye = true;
        self
    }

    /// The subprotocols spoken here, best first: the first that the client offers is agreed on.
    /// None is agreed when it offers none of them.
    pub fn subprotocols<P: AsRef<str>>(mut self, spoken: impl IntoIterator<Item = P>) -> Self {
        let offered: Vec<&str> = self
            .headers
            .get_all(SEC_WEBSOCKET_PROTOCOL)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|offer| !offer.is_empty())
            .collect();
        self.subprotocol = spoken
            .into_iter()
            .find(|spoken| offered.contains(&spoken.as_ref()))
            .and_then(|agreed| HeaderValue::from_str(agreed.as_ref()).ok());
        self
    }

    /// The subprotocol agreed on so far.
    pub fn agreed_subprotocol(&self) -> Option<&str> {
        self.subprotocol
            .as_ref()
            .and_then(|value| value.to_str().ok())
    }

    /// The request's target.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The request's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Lets the client in: the answer is 101, and `handler` runs with the connection in a task of
    /// its own. A page of a foreign origin gets 403 instead, and `handler` does not run.
    ///
    /// A handler that returns with the connection open closes it: with 1000, or with 1011 if it
    /// returns an `Err` or panics.
    pub fn on_upgrade<B, F, Fut>(self, handler: F) -> Response<B>
    where
        B: From<&'static str>,
        F: FnOnce(WebSocket) -> Fut + Send + 'static,
        Fut: Future<Output: Outcome> + Send + 'static,
    {
        if let Err(foreign) = self.origins.check(&self.headers) {
            if foreign.is_first() {
                events::foreign_origin(foreign.origin(), foreign.host());
            }
            return refusal(HandshakeError::Origin);
        }
        let mut response = Response::new(B::from(""));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Some(key) = self.headers.get(SEC_WEBSOCKET_KEY) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept_value(key));
        }
        if let Some(subprotocol) = &self.subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol.clone());
        }
        #[cfg(feature = "deflate")]
        let deflate = self
            .config
            .deflate
            .as_ref()
            .and_then(|deflate| deflate.negotiate(&self.headers));
        #[cfg(feature = "deflate")]
        if let Some(negotiated) = &deflate {
            headers.insert(
                http::header::SEC_WEBSOCKET_EXTENSIONS,
                negotiated.header_value(),
            );
        }

        let settings = Settings {
            role: Role::Server,
            subprotocol: self.agreed_subprotocol().map(Into::into),
            config: self.config,
            #[cfg(feature = "deflate")]
            deflate,
        };
        let (on_upgrade, takeover, connections) =
            (self.on_upgrade, self.takeover, self.connections);
        let says_goodbye = self.says_goodbye;
        tokio::spawn(async move {
            // The client may be gone before it has its 101; there is nobody to tell then.
            let Ok(upgraded) = on_upgrade.await else {
                return;
            };
            let (stream, direct, read_ahead) = Upgraded::from_hyper(upgraded, takeover);
            let ws = WebSocket::new(stream, direct, read_ahead, settings);
            ws.outbound().ends_with_handler();
            if let Some(connections) = connections {
                connections.add(ws.outbound(), says_goodbye);
            }
            // A task of its own, so that waiting for the upgrade takes no memory in it.
            let ending = HandlerEnd(ws.outbound().clone());
            // Not awaited in an async block: that would hold the handler's future twice.
            let run = handler(ws).map(move |outcome| ending.with(outcome.close_code()));
            tokio::spawn(run);
        });
        response
    }
}

/// What a handler may return: nothing, or a `Result`.
pub trait Outcome: Send {
    /// What the peer is told if the connection is still open.
    fn close_code(&self) -> CloseCode;

    #[doc(hidden)]
    fn seal(_: sealed::Seal);
}

mod sealed {
    /// A required method that takes this can be written here alone: nobody else implements its trait.
    #[derive(Debug)]
    #[expect(unnameable_types, reason = "nobody else is to name it")]
    pub struct Seal;
}

impl Outcome for () {
    fn close_code(&self) -> CloseCode {
        CloseCode::NORMAL
    }

    fn seal(_: sealed::Seal) {}
}

impl<T: Send, E: Send> Outcome for Result<T, E> {
    fn close_code(&self) -> CloseCode {
        if self.is_ok() {
            CloseCode::NORMAL
        } else {
            CloseCode::INTERNAL_ERROR
        }
    }

    fn seal(_: sealed::Seal) {}
}

/// Tells the connection how its handler ended, a panic included.
struct HandlerEnd(Arc<Outbound>);

impl HandlerEnd {
    fn with(&self, code: CloseCode) {
        self.0.handler_ended(code);
    }
}

impl Drop for HandlerEnd {
    fn drop(&mut self) {
        self.0.handler_ended(CloseCode::INTERNAL_ERROR);
    }
}

/// RFC 6455 section 4.2.1, in the order in which a client would mend its request.
fn check_request(parts: &Parts) -> Result<(), HandshakeError> {
    let headers = &parts.headers;
    if !has_token(headers, UPGRADE, "websocket") || !has_token(headers, CONNECTION, "upgrade") {
        return Err(HandshakeError::NotWebSocket);
    }
    if parts.method != Method::GET {
        return Err(HandshakeError::Method);
    }
    if parts.version < Version::HTTP_11 {
        return Err(HandshakeError::HttpVersion);
    }
    if only(headers, HOST).is_none_or(|host| !is_host(host)) {
        return Err(HandshakeError::Host);
    }
    if only(headers, SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(HandshakeError::Version);
    }
    if only(headers, SEC_WEBSOCKET_KEY).is_none_or(|key| !is_key(key)) {
        return Err(HandshakeError::Key);
    }
    // What follows the head are frames; a body would be read as such.
    let has_body = headers.contains_key(TRANSFER_ENCODING)
        || headers.get_all(CONTENT_LENGTH).iter().any(|len| len != "0");
    if has_body {
        return Err(HandshakeError::Body);
    }
    Ok(())
}

fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn is_host(host: &HeaderValue) -> bool {
    host.to_str()
        .ok()
        .and_then(|host| host.parse::<Authority>().ok())
        .is_some_and(|host| !host.as_str().contains('@'))
}

/// "a base64-encoded value that, when decoded, is 16 bytes in length".
fn is_key(key: &HeaderValue) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24
        && STANDARD
            .decode_slice(key, &mut nonce)
            .is_ok_and(|len| len == 16)
}

/// RFC 6455 section 4.2.2, step 5.4.
fn accept_value(key: &HeaderValue) -> HeaderValue {
    let mut sha1 = Sha1::new();
    sha1.update(key.as_bytes());
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(sha1.digest().bytes());
    HeaderValue::try_from(accept).unwrap_or(HeaderValue::from_static(""))
}

/// The answer to a request that is not upgraded: its status, and a sentence that says why.
pub(crate) fn refusal<B: From<&'static str>>(error: HandshakeError) -> Response<B> {
    let mut response = Response::new(B::from(error.text()));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    match error {
        HandshakeError::Method => {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        // RFC 6455 4.4: the versions understood; RFC 9110 15.5.22: 426 names the protocol.
        HandshakeError::Version | HandshakeError::HttpVersion => {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        _ => {}
    }
    response
}

#[cfg(feature = "axum")]
mod extractor {
    use axum::{
        extract::FromRequestParts,
        response::{IntoResponse, Response},
    };

    use super::{Parts, Upgrade, refusal};
    use crate::vocabulary::error::HandshakeError;

    impl<S: Sync> FromRequestParts<S> for Upgrade {
        type Rejection = HandshakeError;

        async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, HandshakeError> {
            Self::from_parts(parts)
        }
    }

    impl IntoResponse for HandshakeError {
        fn into_response(self) -> Response {
            refusal(self)
        }
    }
}

impl std::fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The query and the headers may hold tokens.
        f.debug_struct("Upgrade")
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}
