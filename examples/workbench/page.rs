//! The page: files that are in the program itself, and the official client where npm has put it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    Router,
    http::{
        HeaderName, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
    routing::get,
};

/// What the page needs, and nothing from anywhere else.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");

macro_rules! files {
    ($($path:literal: $kind:literal = $file:literal,)*) => {
        [$(($path, $kind, include_str!(concat!("../web/", $file)))),*]
    };
}

const FILES: &[(&str, &str, &str)] = &files! {
    "/": "text/html; charset=utf-8" = "index.html",
    "/style.css": "text/css; charset=utf-8" = "style.css",
    "/icon.svg": "image/svg+xml" = "icon.svg",
    "/main.js": "text/javascript" = "main.js",
    "/ui.js": "text/javascript" = "ui.js",
    "/lanes.js": "text/javascript" = "lanes.js",
    "/histogram.js": "text/javascript" = "histogram.js",
    "/plots.js": "text/javascript" = "plots.js",
    "/race.js": "text/javascript" = "race.js",
    "/race-browser.js": "text/javascript" = "race-browser.js",
    "/clients.js": "text/javascript" = "clients.js",
    "/hub.js": "text/javascript" = "hub.js",
    "/hub-protocols.js": "text/javascript" = "hub-protocols.js",
    "/hub-transports.js": "text/javascript" = "hub-transports.js",
    "/msgpack.js": "text/javascript" = "msgpack.js",
    "/wire.js": "text/javascript" = "wire.js",
    "/anatomy.js": "text/javascript" = "anatomy.js",
    "/chat.js": "text/javascript" = "chat.js",
    "/choose.js": "text/javascript" = "choose.js",
    "/reconnect.js": "text/javascript" = "reconnect.js",
    "/traffic.js": "text/javascript" = "traffic.js",
    "/wire-tab.js": "text/javascript" = "wire-tab.js",
};

/// What to begin with, as the READMEs have it.
const CODE: &[(&str, &str)] = &[
    ("/code/hub.rs", include_str!("../quick_start.rs")),
    ("/code/raw.rs", include_str!("../echo.rs")),
];

/// What `npm ci` puts below `examples/web`.
const OFFICIAL: &[(&str, &str)] = &[
    (
        "/official/signalr.js",
        "node_modules/@microsoft/signalr/dist/browser/signalr.min.js",
    ),
    (
        "/official/msgpack.js",
        "node_modules/@microsoft/signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.min.js",
    ),
];

pub(crate) fn router(npm: &Path) -> Router {
    let files = FILES
        .iter()
        .fold(Router::new(), |router, (path, kind, text)| {
            router.route(path, get(async || answer(kind, (*text).into())))
        });
    let files = CODE.iter().fold(files, |router, (path, source)| {
        let code = examples::code(source);
        router.route(
            path,
            get(async move || answer("text/plain; charset=utf-8", code.into())),
        )
    });
    let there: Vec<PathBuf> = OFFICIAL.iter().map(|(_, file)| npm.join(file)).collect();
    let is_there = async move || match there.iter().all(|file| file.exists()) {
        true => "true",
        false => "false",
    };
    OFFICIAL
        .iter()
        .fold(files, |router, (path, file)| {
            let file: Arc<PathBuf> = npm.join(file).into();
            router.route(path, get(move || official(file.clone())))
        })
        .route("/official", get(is_there))
}

async fn official(file: Arc<PathBuf>) -> Response {
    match tokio::fs::read(&*file).await {
        Ok(script) => answer("text/javascript", script),
        Err(_) => (StatusCode::NOT_FOUND, "npm ci --prefix examples/web\n").into_response(),
    }
}

fn answer(kind: &'static str, body: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        // A rebuilt program is seen at once.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        // A page that is alone in its process has a clock of microseconds.
        (OPENER_POLICY, HeaderValue::from_static("same-origin")),
        (EMBEDDER_POLICY, HeaderValue::from_static("require-corp")),
    ];
    (headers, body).into_response()
}
