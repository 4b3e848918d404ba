//! A terminal client of the raw layer: types lines at a WebSocket, or speaks the binary protocol.
//!
//! ```text
//! cargo run --release --example raw_client -- text                      # lines to /echo
//! cargo run --release --example raw_client -- text --url ws://127.0.0.1:9002/lesson
//! cargo run --release --example raw_client -- echo "hello"              # operation 1 of /wire
//! cargo run --release --example raw_client -- add 2 40
//! cargo run --release --example raw_client -- clock 5 200
//! cargo run --release --example raw_client -- fail "as you wish"
//! cargo run --release --example raw_client -- listen 7                  # the events of topic 7
//! cargo run --release --example raw_client -- publish 7 "news"
//! ```

use std::{io::Write, process::ExitCode};

use bytes::{Buf, BufMut, BytesMut};
use clap::{Args, Parser, Subcommand};
use examples::{Error, say, tell, websocket_url};
use futures_util::{SinkExt, StreamExt};
use raw_ws::wire::{Client, Events};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio_tungstenite::{connect_async, tungstenite::Message};

/// A terminal client of the raw layer.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send each line typed as a text message, and print what comes
    Text {
        /// The endpoint
        #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:9001/echo")]
        url: String,
    },
    /// Operation 1: get the text back
    Echo {
        /// What to send
        text: String,
        #[command(flatten)]
        server: Server,
    },
    /// Operation 2: add two numbers
    #[command(allow_negative_numbers = true)]
    Add {
        /// The first
        a: i64,
        /// The second
        b: i64,
        #[command(flatten)]
        server: Server,
    },
    /// Operation 3: watch a clock
    Clock {
        /// How many times
        count: u32,
        /// Milliseconds in between
        interval: u32,
        #[command(flatten)]
        server: Server,
    },
    /// Operation 4: be refused
    Fail {
        /// The text of the error
        text: String,
        #[command(flatten)]
        server: Server,
    },
    /// Print the events of a topic until Ctrl-C
    Listen {
        /// The topic's number
        topic: u32,
        #[command(flatten)]
        server: Server,
    },
    /// Publish to a topic
    Publish {
        /// The topic's number
        topic: u32,
        /// What to publish
        text: String,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Args)]
struct Server {
    /// The endpoint of the binary protocol
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:9001/wire")]
    url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Options::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Text { url } => type_lines(&url).await,
        Command::Echo { text, server } => {
            let client = Client::connect(&websocket_url(&server.url)).await?;
            let answer = client.call(1, text).await?;
            say!("{}", String::from_utf8_lossy(&answer));
            client.close().await;
            Ok(())
        }
        Command::Add { a, b, server } => {
            let client = Client::connect(&websocket_url(&server.url)).await?;
            let mut numbers = BytesMut::new();
            numbers.put_i64(a);
            numbers.put_i64(b);
            let mut sum = client.call(2, numbers).await?;
            say!("{}", sum.try_get_i64()?);
            client.close().await;
            Ok(())
        }
        Command::Clock {
            count,
            interval,
            server,
        } => {
            let client = Client::connect(&websocket_url(&server.url)).await?;
            let mut request = BytesMut::new();
            request.put_u32(count);
            request.put_u32(interval);
            let mut ticks = client.stream(3, request).await?;
            while let Some(tick) = ticks.next().await {
                say!("{} ms", tick?.try_get_u64()?);
            }
            client.close().await;
            Ok(())
        }
        Command::Fail { text, server } => {
            let client = Client::connect(&websocket_url(&server.url)).await?;
            let answer = client.call(4, text).await.map(drop);
            client.close().await;
            Ok(answer?)
        }
        Command::Listen { topic, server } => {
            let client = Client::connect(&websocket_url(&server.url)).await?;
            let events = client.subscribe(topic).await?;
            tokio::select! {
                printed = print_events(events) => printed?,
                _ = tokio::signal::ctrl_c() => client.close().await,
            }
            Ok(())
        }
        Command::Publish {
            topic,
            text,
            server,
        } => {
            let client = Client::connect(&websocket_url(&server.url)).await?;
            client.publish(topic, text).await?;
            client.close().await;
            Ok(())
        }
    }
}

async fn print_events(mut events: Events) -> Result<(), Error> {
    while let Some(event) = events.next().await {
        say!("{}", String::from_utf8_lossy(&event?));
    }
    Err("the server closed the connection".into())
}

/// A line from the terminal is a message; the end of the input closes.
async fn type_lines(url: &str) -> Result<(), Error> {
    let (mut ws, _) = connect_async(websocket_url(url))
        .await
        .map_err(|error| format!("cannot connect to {url}: {error}"))?;
    tell!("connected; type a line to send it, Ctrl-D to close");
    let mut lines = BufReader::new(stdin()).lines();
    let mut typing = true;
    loop {
        tokio::select! {
            line = lines.next_line(), if typing => match line? {
                Some(line) => ws.send(Message::text(line)).await?,
                None => {
                    typing = false;
                    ws.close(None).await?;
                }
            },
            message = ws.next() => match message {
                Some(Ok(Message::Text(text))) => print(text.as_bytes())?,
                Some(Ok(Message::Binary(bytes))) => print(&bytes)?,
                Some(Ok(Message::Close(Some(close)))) => tell!("closed: {} {}", close.code, close.reason),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}

fn print(line: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(line)?;
    out.write_all(b"\n")?;
    out.flush()
}
