//! HTTP, as a client of a hub needs it: requests, answers that come in pieces, and upgrades. One
//! stack for all of them, so that cookies, proxies and certificates are the same for each.

use std::{future::Future, io, pin::Pin, sync::Arc, sync::OnceLock};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::error::ClientError;

/// A socket of any kind.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(super) type BoxIo = Box<dyn Io>;

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Opens sockets for HTTP.
pub(super) type Dial = Arc<dyn Fn() -> Boxed<io::Result<BoxIo>> + Send + Sync>;

/// Who asks.
const AGENT: &str = concat!("signalr-hub/", env!("CARGO_PKG_VERSION"), " (Rust)");

/// What is read of an answer that nobody streams.
const LONGEST_ANSWER: usize = 64 * 1024;

#[derive(Clone)]
pub(super) enum Http {
    /// The network of this machine.
    Web(reqwest::Client),
    /// Sockets of the user's own, one for each request.
    Own(Dial),
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

enum Body {
    Web(reqwest::Response),
    Own(Box<http::Response<hyper::body::Incoming>>),
}

impl Http {
    /// The network, with cookies that are kept between requests, and what the user configures.
    pub(super) fn web(
        configure: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls())
            .cookie_store(true)
            .http1_only(); // HTTP/2 knows no upgrade
        let client = configure(builder).build();
        client.map(Self::Web).map_err(ClientError::network)
    }

    /// Sends a request.
    pub(super) async fn send(&self, mut request: Request<Bytes>) -> Result<Answer, ClientError> {
        let headers = request.headers_mut();
        headers.insert(
            "x-signalr-user-agent",
            http::HeaderValue::from_static(AGENT),
        );
        // So that a server which would lead a person to its login page says 401 instead.
        headers.insert(
            "x-requested-with",
            http::HeaderValue::from_static("XMLHttpRequest"),
        );
        match self {
            Self::Web(client) => {
                let request = request.map(reqwest::Body::from).try_into();
                let request: reqwest::Request = request.map_err(ClientError::network)?;
                // The query has the connection's token in it.
                let answer = client
                    .execute(request)
                    .await
                    .map_err(|error| ClientError::network(error.without_url()))?;
                Ok(Answer {
                    status: answer.status(),
                    headers: answer.headers().clone(),
                    body: Body::Web(answer),
                })
            }
            Self::Own(dial) => {
                let io = dial().await.map_err(ClientError::network)?;
                by_own(io, request).await.map_err(ClientError::network)
            }
        }
    }
}

/// One request on a socket of its own.
async fn by_own(io: BoxIo, request: Request<Bytes>) -> hyper::Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    tokio::spawn(connection.with_upgrades());
    let (mut parts, body) = request.into_parts();
    if let Some(host) = parts.uri.authority()
        && let Ok(host) = host.as_str().parse()
    {
        parts.headers.insert(http::header::HOST, host);
    }
    if let Some(target) = parts.uri.path_and_query() {
        parts.uri = target.clone().into();
    }
    let request = Request::from_parts(parts, Full::new(body));
    let answer = sender.send_request(request).await?;
    Ok(Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: Body::Own(Box::new(answer)),
    })
}

impl Answer {
    pub(super) fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        match &mut self.body {
            Body::Web(answer) => {
                let chunk = answer.chunk().await;
                chunk.map_err(|error| ClientError::network(error.without_url()))
            }
            Body::Own(answer) => loop {
                let Some(frame) = answer.body_mut().frame().await else {
                    return Ok(None);
                };
                // What is no data is trailers.
                if let Ok(data) = frame.map_err(ClientError::network)?.into_data() {
                    return Ok(Some(data));
                }
            },
        }
    }

    /// All of the body, of no more than `most` bytes.
    pub(super) async fn body(&mut self, most: usize) -> Result<Bytes, ClientError> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if whole.len() + chunk.len() > most {
                let text = format!("an answer of more than {most} bytes");
                return Err(ClientError::Protocol(text));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The body where the request succeeded.
    ///
    /// # Errors
    /// What was refused, with what the server said.
    pub(super) async fn success(mut self) -> Result<Bytes, ClientError> {
        if self.status.is_success() {
            return self.body(LONGEST_ANSWER).await;
        }
        Err(self.refusal().await)
    }

    /// The refusal that this is.
    pub(super) async fn refusal(mut self) -> ClientError {
        // Of a page that explains itself at length, or does not end, nothing is shown.
        let body = self.body(LONGEST_ANSWER).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let is_page = text.trim_start().starts_with('<');
        ClientError::Refused {
            status: self.status,
            body: if is_page {
                String::new()
            } else {
                text.trim().to_owned()
            },
        }
    }

    /// The socket that the connection has become.
    pub(super) async fn upgraded(self) -> Result<BoxIo, ClientError> {
        match self.body {
            Body::Web(answer) => {
                let io = answer.upgrade().await.map_err(ClientError::network)?;
                Ok(Box::new(io))
            }
            Body::Own(answer) => {
                let io = hyper::upgrade::on(*answer).await;
                Ok(Box::new(TokioIo::new(io.map_err(ClientError::network)?)))
            }
        }
    }
}

/// TLS by rustls, with the certificates that this machine trusts. Made once: reading those takes
/// longer than a handshake.
fn tls() -> rustls::ClientConfig {
    static CONFIG: OnceLock<rustls::ClientConfig> = OnceLock::new();
    CONFIG.get_or_init(build_tls).clone()
}

fn build_tls() -> rustls::ClientConfig {
    use rustls_platform_verifier::BuilderVerifierExt as _;

    let builder = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider);
        builder
            .with_safe_default_protocol_versions()
            .expect("ring knows them")
    };
    let trusted = builder().with_platform_verifier();
    // A machine without certificates may still speak plain HTTP.
    trusted.map_or_else(
        |_| {
            let none = rustls::RootCertStore::empty();
            builder().with_root_certificates(none).with_no_client_auth()
        },
        |trusting| trusting.with_no_client_auth(),
    )
}
