//! A terminal client of the chat: joins a room, sends what you type, prints what others say. It
//! speaks the hub protocol itself, by the `hub` crate's own protocol types.
//!
//! Run it: `cargo run --release --example hub_chat_client -- --user Ann --room lobby`
//! (against `cargo run --release --example hub_server`)

use clap::{Parser, ValueEnum};
use examples::{
    Error,
    hub_client::{HubClient, typed_lines},
    say, tell, websocket_url,
};
use hub::{
    Completion, HubMessage, Invocation,
    protocol::{Encoding, Protocol},
};

/// A chat in the terminal: type to send, Ctrl-D to leave
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The hub
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:5000/chat")]
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
    let protocol = match options.protocol {
        ProtocolName::Json => Protocol::Json,
        ProtocolName::Messagepack => Protocol::MessagePack,
    };
    let mut chat = HubClient::connect(websocket_url(&options.url), protocol)
        .await
        .map_err(|error| format!("cannot connect to {}: {error}", options.url))?;
    chat.call("JoinRoom", &(&options.room, &options.user))
        .await?;
    say!("you are in {}; type to send, Ctrl-D to leave", options.room);

    let mut lines = typed_lines();
    loop {
        tokio::select! {
            message = chat.next() => match message? {
                Some(message) => show(chat.encoding(), &message),
                None => {
                    say!("the server closed the connection");
                    return Ok(());
                }
            },
            line = lines.recv() => match line {
                Some(line) => chat.call("SendToRoom", &(&options.room, line)).await?,
                None => break,
            },
        }
    }
    chat.leave().await
}

fn show(encoding: Encoding, message: &HubMessage) {
    match message {
        HubMessage::Invocation(invocation) => match sentence(encoding, invocation) {
            Some(sentence) => say!("{sentence}"),
            None => say!("{} with arguments of other types", invocation.target),
        },
        HubMessage::Completion {
            completion: Completion::Error(error),
            ..
        } => {
            tell!("{error}");
        }
        HubMessage::Close {
            error: Some(error), ..
        } => tell!("{error}"),
        _ => {}
    }
}

fn sentence(encoding: Encoding, invocation: &Invocation) -> Option<String> {
    let mut arguments = encoding.elements(invocation.arguments.clone()).ok()?;
    let mut next = || arguments.take::<String>()?.ok();
    Some(match &*invocation.target {
        "RoomMessage" => {
            let (_room, user, text) = (next()?, next()?, next()?);
            format!("{user}: {text}")
        }
        "ReceiveMessage" => format!("{} (to everybody): {}", next()?, next()?),
        "Joined" => {
            let (room, user) = (next()?, next()?);
            format!("{user} came into {room}")
        }
        "Left" => {
            let (room, user) = (next()?, next()?);
            format!("{user} left {room}")
        }
        target => format!("{target}?"),
    })
}
