//! A hub, and requests to it without a network.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, BodyDataStream},
    http::{HeaderMap, Request, StatusCode, header::ACCEPT},
    response::Response,
};
use futures_util::StreamExt as _;
use hub::{Context, Hub, HubHandle, HubOptions};
use tower::ServiceExt as _;

pub(crate) const HANDSHAKE: &str = "{\"protocol\":\"json\",\"version\":1}\u{1e}";

/// A hub at `/hub`, which counts who comes and goes.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
    pub(crate) handle: HubHandle,
    pub(crate) gone: Arc<AtomicUsize>,
}

/// An answer, read to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    /// Status and body, which is what a test compares.
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status, &self.body)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

impl App {
    pub(crate) fn new(options: HubOptions) -> Self {
        let gone = Arc::new(AtomicUsize::new(0));
        let counted = gone.clone();
        let hub = Hub::with_options((), options)
            .method("Echo", async |_: Context, text: String| Ok(text))
            .method("Tell", async |cx: Context, text: String| {
                cx.caller().send("Told", (text,))
            })
            .method("Hold", async |_: Context, millis: u64| {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            })
            .method("Abort", async |cx: Context| {
                cx.abort();
                Ok(())
            })
            .on_disconnected(move |_, _| {
                counted.fetch_add(1, Ordering::SeqCst);
                async { Ok(()) }
            });
        Self::of(hub, gone)
    }

    pub(crate) fn of(hub: Hub, gone: Arc<AtomicUsize>) -> Self {
        Self {
            handle: hub.handle(),
            router: hub.router("/hub"),
            gone,
        }
    }

    pub(crate) fn layered(self, layer: impl FnOnce(Router) -> Router) -> Self {
        let router = layer(self.router);
        Self { router, ..self }
    }

    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    pub(crate) fn gone(&self) -> usize {
        self.gone.load(Ordering::SeqCst)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        let answer = self.router.clone().oneshot(request).await;
        answer.unwrap_or_else(|never| match never {})
    }

    pub(crate) async fn request(&self, method: &str, id: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/hub?id={id}"))
            .body(body.into())
            .unwrap();
        read(self.send(request).await).await
    }

    pub(crate) async fn poll(&self, id: &str) -> Answer {
        self.request("GET", id, Body::empty()).await
    }

    pub(crate) async fn post(&self, id: &str, body: impl Into<Body>) -> Answer {
        self.request("POST", id, body).await
    }

    /// The answer to a poll, its body unread.
    pub(crate) async fn poll_unread(&self, id: &str) -> Response {
        let request = Request::get(format!("/hub?id={id}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn open_stream(&self, id: &str) -> Response {
        let request = Request::get(format!("/hub?id={id}")).header(ACCEPT, "text/event-stream");
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// The id and the token of a new connection.
    pub(crate) async fn negotiate(&self) -> (String, String) {
        let request = Request::post("/hub/negotiate?negotiateVersion=1");
        let answer = self.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let body = read(answer).await.body;
        let of = |key: &str| {
            let (_, rest) = body.split_once(&format!("\"{key}\":\"")).unwrap();
            rest.split('"').next().unwrap().to_owned()
        };
        (of("connectionId"), of("connectionToken"))
    }

    /// A connection that polls, its handshake done.
    pub(crate) async fn polling(&self) -> (String, String) {
        let (id, token) = self.negotiate().await;
        assert_eq!(self.poll(&token).await.told(), (200, ""));
        assert_eq!(self.post(&token, HANDSHAKE).await.status, 200);
        assert_eq!(self.poll(&token).await.told(), (200, "{}\u{1e}"));
        (id, token)
    }

    /// The same, and what comes with or behind the answer to the handshake, up to a word.
    pub(crate) async fn polling_until(&self, word: &str) -> (String, String) {
        let (_, token) = self.negotiate().await;
        assert_eq!(self.poll(&token).await.told(), (200, ""));
        assert_eq!(self.post(&token, HANDSHAKE).await.status, 200);
        let mut heard = String::new();
        while !heard.contains(word) {
            heard.push_str(&self.poll(&token).await.body);
        }
        (token, heard)
    }

    /// A connection with an event stream, its handshake done.
    pub(crate) async fn streaming(&self) -> (String, BodyDataStream) {
        let (_, token) = self.negotiate().await;
        let answer = self.open_stream(&token).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut events = answer.into_body().into_data_stream();
        assert_eq!(next(&mut events).await.as_deref(), Some(":\r\n"));
        assert_eq!(self.post(&token, HANDSHAKE).await.status, 200);
        let first = next(&mut events).await;
        assert_eq!(first.as_deref(), Some("data: {}\u{1e}\r\n\r\n"));
        (token, events)
    }

    /// Waits until nobody is connected.
    pub(crate) async fn is_empty(&self) {
        for _ in 0..1000 {
            if self.handle.connections() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} connections are left", self.handle.connections());
    }
}

/// A call of a method with one argument, as JSON.
pub(crate) fn call(target: &str, argument: &str) -> String {
    let arguments = if argument.is_empty() {
        String::new()
    } else {
        argument.to_owned()
    };
    format!("{{\"type\":1,\"target\":\"{target}\",\"arguments\":[{arguments}]}}\u{1e}")
}

pub(crate) async fn read(answer: Response) -> Answer {
    let (parts, body) = answer.into_parts();
    let mut body = body.into_data_stream();
    let mut text = String::new();
    while let Some(piece) = next(&mut body).await {
        text.push_str(&piece);
    }
    Answer {
        status: parts.status.as_u16(),
        body: text,
        headers: parts.headers,
    }
}

/// The next piece of a body; `None` at its end, however it ends.
pub(crate) async fn next(body: &mut BodyDataStream) -> Option<String> {
    let piece = body.next().await?.ok()?;
    Some(String::from_utf8(piece.to_vec()).unwrap())
}
