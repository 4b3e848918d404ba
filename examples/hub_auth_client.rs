//! A terminal client that logs in, says what you type, and keeps its token fresh.
//!
//! Run it: `cargo run --release --example hub_auth_client -- --name ann --password wonderland`
//! (against `cargo run --release --example hub_auth`; a line that begins with `!` is announced)

use std::sync::Arc;

use clap::Parser;
use examples::{Error, http_url, say, typed_lines};
use hub::client::{ClientError, Event, HubConnection};
use serde_json::{Value, json};

/// Log in and talk: type to say something, begin with ! to announce it, Ctrl-D to leave
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5002")]
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

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Arc::new(Options::parse());
    let token = {
        let options = options.clone();
        // Asked for when it connects, and again before the token ends.
        move || log_in(options.clone())
    };
    let talk = HubConnection::builder(format!("{}/talk", options.server))
        .access_token(token)
        .token_refresh(!options.no_refresh)
        .on("Said", async |who: String, text: String| {
            say!("{who}: {text}")
        })
        .on("Announced", async |who: String, text: String| {
            say!("{who} announces: {text}")
        })
        .connect()
        .await?;
    let mut events = talk.events();
    say!("you are {}; type to talk, Ctrl-D to leave", options.name);

    let mut lines = typed_lines();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Refreshed) => say!("your token was refreshed"),
                Some(Event::RefreshFailed { error }) => say!("your token was not refreshed: {error}"),
                Some(Event::Disconnected { error: Some(error) }) => return Err(error.into()),
                // CL-06: it is no error, and with a new token one may come back.
                Some(Event::Disconnected { error: None }) => {
                    say!("the server ended the connection: log in again");
                    return Ok(());
                }
                _ => {}
            },
            line = lines.recv() => {
                let Some(line) = line else { break };
                let said = match line.strip_prefix('!') {
                    Some(line) => talk.invoke::<()>("Announce", (line,)).await,
                    None => talk.invoke::<()>("Say", (&line,)).await,
                };
                match said {
                    Err(ClientError::Server(why)) => say!("{why}"),
                    said => said?,
                }
            },
        }
    }
    talk.stop().await;
    Ok(())
}

/// A token for a name and a password.
async fn log_in(options: Arc<Options>) -> Result<String, Error> {
    let login = json!({ "name": options.name, "password": options.password });
    let request = examples::http()
        .post(format!("{}/login", http_url(&options.server)))
        .body(login.to_string());
    let answer = request
        .send()
        .await
        .map_err(|_| format!("cannot connect to {}", options.server))?;
    let status = answer.status();
    let answer: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
    let member = |name: &str| answer[name].as_str().map(str::to_owned);
    if !status.is_success() {
        let why = member("error").unwrap_or_else(|| "no reason given".to_owned());
        return Err(format!("the server refused /login: {}, {why}", status.as_u16()).into());
    }
    Ok(member("accessToken").ok_or("the server's answer has no accessToken")?)
}
