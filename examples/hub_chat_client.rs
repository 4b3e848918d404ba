//! A terminal client of the chat: joins a room, sends what you type, prints what others say. When its
//! connection is lost it makes another one, and joins again.
//!
//! Run it: `cargo run --release --example hub_chat_client -- --user Ann --room lobby`
//! (against `cargo run --release --example hub_server`)

use clap::{Parser, ValueEnum};
use examples::{Error, say, tell, typed_lines};
use hub::{
    client::{Backoff, ClientError, Event, HubConnection},
    protocol::Protocol,
};

/// A chat in the terminal: type to send, Ctrl-D to leave
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The hub
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000/chat")]
    url: String,
    /// Your name
    #[arg(long)]
    user: String,
    /// The room to join
    #[arg(long, default_value = "lobby")]
    room: String,
    /// The hub protocol
    #[arg(long, value_enum, default_value = "json")]
    protocol: ProtocolName,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolName {
    Json,
    Messagepack,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let options = Options::parse();
    let chat = HubConnection::builder(&options.url)
        .protocol(match options.protocol {
            ProtocolName::Json => Protocol::Json,
            ProtocolName::Messagepack => Protocol::MessagePack,
        })
        .automatic_reconnect(Backoff::default().attempts(10))
        .on(
            "RoomMessage",
            async |_room: String, user: String, text: String| {
                say!("{user}: {text}");
            },
        )
        .on("ReceiveMessage", async |user: String, text: String| {
            say!("{user} (to everybody): {text}");
        })
        .on("Joined", async |room: String, user: String| {
            say!("{user} came into {room}")
        })
        .on("Left", async |room: String, user: String| {
            say!("{user} left {room}")
        })
        .connect()
        .await
        .map_err(|error| format!("cannot connect to {}: {error}", options.url))?;
    let mut events = chat.events();
    join(&chat, &options).await?;
    say!("you are in {}; type to send, Ctrl-D to leave", options.room);

    let mut lines = typed_lines();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Reconnecting { error, delay, .. }) => {
                    tell!("{error}; trying again in {delay:.1?}");
                }
                // Another connection, which is in no room.
                Some(Event::Connected { .. }) => join(&chat, &options).await?,
                Some(Event::Disconnected { error }) => {
                    say!("the server closed the connection");
                    return error.map_or(Ok(()), |error| Err(error.into()));
                }
                _ => {}
            },
            line = lines.recv() => match line {
                Some(line) => {
                    let sent = chat.invoke::<()>("SendToRoom", (&options.room, line)).await;
                    match sent {
                        // Nothing but this line is lost.
                        Err(error @ (ClientError::Server(_) | ClientError::Reconnecting)) => tell!("{error}"),
                        sent => sent?,
                    }
                }
                None => break,
            },
        }
    }
    chat.stop().await;
    Ok(())
}

async fn join(chat: &HubConnection, options: &Options) -> Result<(), ClientError> {
    chat.invoke("JoinRoom", (&options.room, &options.user))
        .await
}
