//! A terminal client that logs in, says what you type, and keeps its token fresh. It speaks the hub
//! protocol itself, by the `hub` crate's own protocol types.
//!
//! Run it: `cargo run --release --example hub_auth_client -- --name ann --password wonderland`
//! (against `cargo run --release --example hub_auth`; a line that begins with `!` is announced)

use std::time::Duration;

use clap::Parser;
use examples::{
    Error,
    hub_client::{HubClient, typed_lines},
    say,
};
use hub::{
    Completion, HubMessage,
    protocol::{Encoding, Protocol},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;

/// Log in and talk: type to say something, begin with ! to announce it, Ctrl-D to leave
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The server; plain HTTP
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5002")]
    server: String,
    /// Your name
    #[arg(long)]
    name: String,
    /// Your password
    #[arg(long)]
    password: String,
    /// Let the token end, and the connection with it
    #[arg(long)]
    no_refresh: bool,
}

/// A token, and when to ask for the next.
struct Token {
    text: String,
    renew_at: Instant,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    let mut token = log_in(&options).await?;
    let negotiated = post(
        &options.server,
        "/talk/negotiate?negotiateVersion=1",
        &[bearer(&token)],
        "",
    )
    .await?;
    let connection = member(&negotiated, "connectionToken")?.to_owned();
    let uri = format!("ws://{}/talk?id={connection}", options.server).parse()?;
    let (name, value) = bearer(&token);
    let request = ClientRequestBuilder::new(uri).with_header(name, value);
    let mut talk = HubClient::connect(request, Protocol::Json).await?;
    say!("you are {}; type to talk, Ctrl-D to leave", options.name);

    let mut lines = typed_lines();
    loop {
        tokio::select! {
            message = talk.next() => match message? {
                Some(message) => show(talk.encoding(), &message),
                None => return Ok(()),
            },
            line = lines.recv() => match line {
                Some(line) => match line.strip_prefix('!') {
                    Some(line) => talk.call("Announce", &(line,)).await?,
                    None => talk.call("Say", &(line,)).await?,
                },
                None => break,
            },
            () = sleep_until(token.renew_at), if !options.no_refresh => {
                token = log_in(&options).await?;
                refresh(&options, &connection, &token).await?;
                say!("your token was refreshed");
            }
        }
    }
    talk.leave().await
}

async fn log_in(options: &Options) -> Result<Token, Error> {
    let login = json!({ "name": options.name, "password": options.password });
    let answer = post(&options.server, "/login", &[], &login.to_string()).await?;
    let lifetime = answer["expiresInSeconds"].as_u64().unwrap_or_default();
    Ok(Token {
        text: member(&answer, "accessToken")?.to_owned(),
        renew_at: Instant::now() + Duration::from_secs(lifetime) / 2,
    })
}

/// AU-07: the connection goes on, and is known by the new token from here on.
async fn refresh(options: &Options, connection: &str, token: &Token) -> Result<Value, Error> {
    let headers = [
        bearer(token),
        ("X-SignalR-Connection-Token", connection.to_owned()),
    ];
    post(&options.server, "/talk/refresh", &headers, "").await
}

fn bearer(token: &Token) -> (&'static str, String) {
    ("Authorization", format!("Bearer {}", token.text))
}

fn member<'a>(answer: &'a Value, name: &str) -> Result<&'a str, Error> {
    let member = answer[name].as_str();
    Ok(member.ok_or_else(|| format!("the server's answer has no {name}"))?)
}

/// A request of HTTP/1.1 on a connection of its own: all that this client needs of HTTP.
async fn post(
    server: &str,
    target: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Result<Value, Error> {
    let mut socket = TcpStream::connect(server)
        .await
        .map_err(|error| format!("cannot connect to {server}: {error}"))?;
    let mut request = format!(
        "POST {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    request.push_str(body);
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or("no HTTP");
    if status == "200" {
        return Ok(serde_json::from_str(body)?);
    }
    let why = serde_json::from_str::<Value>(body).unwrap_or_default();
    let why = why["error"].as_str().unwrap_or("no reason given");
    Err(format!("the server refused {target}: {status}, {why}").into())
}

fn show(encoding: Encoding, message: &HubMessage) {
    match message {
        HubMessage::Invocation(invocation) => {
            let elements = encoding.elements(invocation.arguments.clone());
            let spoken = elements.ok().and_then(|mut arguments| {
                let mut next = || arguments.take::<String>()?.ok();
                Some((next()?, next()?))
            });
            match (&*invocation.target, spoken) {
                ("Said", Some((who, text))) => say!("{who}: {text}"),
                ("Announced", Some((who, text))) => say!("{who} announces: {text}"),
                (target, _) => say!("{target}?"),
            }
        }
        HubMessage::Completion {
            completion: Completion::Error(error),
            ..
        } => say!("{error}"),
        // CL-06: it is no error, and with a new token one may come back.
        HubMessage::Close {
            error,
            allow_reconnect,
        } => match error {
            Some(error) => say!("{error}"),
            None if *allow_reconnect => say!("the server ended the connection: log in again"),
            None => {}
        },
        _ => {}
    }
}
