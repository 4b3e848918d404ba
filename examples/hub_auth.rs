//! Users log in for a token, talk with it, and admins may do more: authentication and authorization
//! of a hub, with all that happens when tokens end.
//!
//! Run it:     `cargo run --release --example hub_auth` (`--token-lifetime 20` to see tokens end)
//! Talk to it: `cargo run --release --example hub_auth_client -- --name bob --password builder`, or
//!             the page at `http://127.0.0.1:5002/`
//!
//! The hub at `/talk` has `Say` for everybody with a token, and `Announce` for admins. A token comes
//! in the header `Authorization: Bearer`, or, as browsers cannot send one with a WebSocket, in
//! `?access_token=`, which no other path reads. When it ends, so does the connection, unless its
//! client has brought a newer one to `/talk/refresh`.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use clap::Parser;
use examples::{Error, ServerOptions, jwt::Keys, observe, page, run};
use hub::{Context, Hub, HubOptions};
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A hub for users who have logged in, at /talk
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5002")]
    listen: SocketAddr,
    /// How long a token is good, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    token_lifetime: u64,
    /// The official client for the page: its bundle for browsers
    #[arg(
        long,
        value_name = "FILE",
        default_value = "examples/tests/javascript/node_modules/@microsoft/signalr/dist/browser/signalr.min.js"
    )]
    signalr_js: PathBuf,
    #[command(flatten)]
    server: ServerOptions,
}

/// Who may log in: name, password, role. An app keeps hashes of passwords, made to be slow, and
/// counts wrong guesses.
const USERS: [(&str, &str, Option<&str>); 2] = [
    ("ann", "wonderland", Some("admin")),
    ("bob", "builder", None),
];

/// What handing out tokens takes.
#[derive(Clone)]
struct Logins {
    keys: Keys,
    lifetime: Duration,
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    access_token: String,
    expires_in_seconds: u64,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    observe()?;
    // Tokens of an earlier run are worth nothing.
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| format!("no randomness: {error}"))?;
    let logins = Logins {
        keys: Keys::new(&secret),
        lifetime: Duration::from_secs(options.token_lifetime),
    };
    // The layer is around the hub alone: nothing else takes a token from its query.
    let talk = talk().router("/talk").layer(logins.keys.bearer());
    let app = Router::new()
        .route("/login", post(log_in))
        .with_state(logins)
        .merge(page_and_client(options.signalr_js))
        .merge(talk);
    run(options.listen, &options.server, app).await
}

fn talk() -> Hub {
    let options = HubOptions::new()
        .close_on_authentication_expiration(true) // CL-06
        .authentication_refresh(true); // AU-06
    Hub::with_options((), options)
        .require_user() // 401 for who has no token, negotiate included
        .method("Say", async |cx: Context, text: String| {
            cx.all().send("Said", (cx.user_identifier(), text))
        })
        .method("Announce", async |cx: Context, text: String| {
            cx.all().send("Announced", (cx.user_identifier(), text))
        })
        .authorize("Announce", |cx| {
            let user = cx.current_user();
            user.is_some_and(|user| user.is_in_role("admin"))
        })
}

/// `POST /login` with `{"name": …, "password": …}`.
async fn log_in(State(logins): State<Logins>, body: Bytes) -> Response {
    let Ok(login) = serde_json::from_slice::<Login>(&body) else {
        let why = r#"send {"name": "…", "password": "…"} as JSON"#;
        return refused(StatusCode::BAD_REQUEST, why);
    };
    let known = USERS
        .iter()
        .find(|(name, password, _)| *name == login.name && *password == login.password);
    let Some((name, _, role)) = known else {
        // Which of the two is wrong is nobody's business.
        return refused(StatusCode::UNAUTHORIZED, "wrong name or password");
    };
    match logins.keys.token(name, *role, logins.lifetime) {
        Ok(access_token) => json(&LoggedIn {
            access_token,
            expires_in_seconds: logins.lifetime.as_secs(),
        }),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "no token can be made"),
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, json(&serde_json::json!({ "error": why }))).into_response()
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The page, and the official client that it loads.
fn page_and_client(signalr_js: PathBuf) -> Router {
    let signalr_js: Arc<PathBuf> = signalr_js.into();
    page(include_str!("pages/hub_auth.html"))
        .route("/signalr.js", get(move || official_client(signalr_js)))
}

async fn official_client(file: Arc<PathBuf>) -> Response {
    match std::fs::read(&*file) {
        Ok(script) => ([(CONTENT_TYPE, "text/javascript")], script).into_response(),
        Err(error) => {
            let file = file.display();
            let why = format!(
                "cannot read {file}: {error}; run `npm ci` in examples/tests/javascript, \
                 or name the file with --signalr-js\n"
            );
            (StatusCode::NOT_FOUND, why).into_response()
        }
    }
}
