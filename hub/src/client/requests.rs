//! The requests of one connection: its address, its headers, its access token.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use raw_ws::sync::Mutex;
use reqwest::Url;
use tokio::time::timeout;

use super::{
    error::ClientError,
    web::{Answer, Boxed, Http},
};

/// Gives access tokens.
pub(super) type TokenSource =
    Arc<dyn Fn() -> Boxed<Result<Option<String>, ClientError>> + Send + Sync>;

/// Where a hub is, and how it is asked. Of one connection: a redirect leads to others.
pub(super) struct Requests {
    pub(super) http: Http,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    tokens: Tokens,
}

/// The access token of a connection.
struct Tokens {
    source: Mutex<Option<TokenSource>>,
    current: Mutex<Option<String>>,
}

/// The address of a hub, as HTTP has it: a WebSocket's is one too.
pub(super) fn address(text: &str) -> Result<Url, ClientError> {
    // Its query, and who asks, may be secrets.
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    let shown = shown.rsplit('@').next().unwrap_or_default();
    let wrong = |why: String| ClientError::Address(format!("{shown:?}: {why}"));
    let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    let scheme = match url.scheme() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        other => {
            let why = format!("begins with http:, https:, ws: or wss:, and not with {other}:");
            return Err(wrong(why));
        }
    };
    url.set_scheme(scheme)
        .map_err(|()| wrong(format!("is no {scheme}:")))?;
    url.set_fragment(None);
    Ok(url)
}

impl Requests {
    pub(super) fn new(
        http: Http,
        url: Url,
        headers: HeaderMap,
        timeout: Duration,
        source: Option<TokenSource>,
    ) -> Self {
        let tokens = Tokens {
            source: Mutex::new(source),
            current: Mutex::new(None),
        };
        Self {
            http,
            url,
            headers,
            timeout,
            tokens,
        }
    }

    /// The hub's address, with more in its query.
    pub(super) fn here(&self, query: &[(&str, &str)]) -> Url {
        let mut url = self.url.clone();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// An address below the hub's.
    pub(super) fn below(&self, name: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.here(query);
        let path = format!("{}/{name}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// Asks for a token: for what is asked from here on.
    pub(super) async fn renew_token(&self) -> Result<(), ClientError> {
        let source = self.tokens.source.lock().clone();
        if let Some(source) = source {
            let token = source().await?;
            *self.tokens.current.lock() = token;
        }
        Ok(())
    }

    /// Has this token from here on: a server gave it.
    pub(super) fn set_token(&self, token: String) {
        *self.tokens.current.lock() = Some(token);
    }

    /// Goes elsewhere: a redirect, with a token of its own where it has one (N-15).
    pub(super) fn redirect(&mut self, url: Url, token: Option<String>) {
        self.url = url;
        if let Some(token) = token {
            *self.tokens.source.lock() = None;
            self.set_token(token);
        }
    }

    /// A request, sent; once more with a new token where this one is not good any more (AU-05).
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let answer = self.send_once(&method, url, headers, body.clone()).await?;
        let has_source = self.tokens.source.lock().is_some();
        if answer.status != StatusCode::UNAUTHORIZED || !has_source {
            return Ok(answer);
        }
        self.renew_token().await?;
        self.send_once(&method, url, headers, body).await
    }

    /// A request, sent.
    pub(super) async fn send_once(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = url.as_str().parse().map_err(ClientError::network)?;
        *request.headers_mut() = self.headers.clone();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(ClientError::network)?;
            request.headers_mut().insert(*name, value);
        }
        if let Some(token) = &*self.tokens.current.lock() {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|error| ClientError::Token(Arc::new(error)))?;
            bearer.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        self.http.send(request).await
    }

    /// The same as [`send`](Self::send), within the time that a request may take.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        self.in_time(self.send(method, url, headers, body)).await
    }

    /// What is asked, within the time that a request may take.
    pub(super) async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let answer = timeout(self.timeout, asked).await;
        answer.unwrap_or_else(|_| Err(ClientError::TimedOut("the answer to a request".into())))
    }
}
