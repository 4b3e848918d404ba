//! A terminal client of the chat: joins a room, sends what you type, prints what others say. It
//! speaks the hub protocol itself, by the `hub` crate's own protocol types.
//!
//! Run it: `cargo run --release --example hub_chat_client -- --user Ann --room lobby`
//! (against `cargo run --release --example hub_server`)

use bytes::BytesMut;
use clap::{Parser, ValueEnum};
use examples::Error;
use futures_util::{SinkExt as _, StreamExt as _};
use hub::{
    Completion, HubMessage, Invocation,
    protocol::{
        CallArguments, Encoding, Frames, HandshakeRequest, HandshakeResponse, Names, Protocol,
    },
};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message},
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
    let (socket, _) = connect_async(&options.url)
        .await
        .map_err(|error| format!("cannot connect to {}: {error}", options.url))?;
    let mut chat = Chat {
        socket,
        frames: Frames::default(),
        encoding: Encoding {
            protocol,
            names: Names::AsDeclared,
        },
        next_id: 0,
    };
    chat.shake_hands().await?;
    chat.call("JoinRoom", &(&options.room, &options.user))
        .await?;
    println!("you are in {}; type to send, Ctrl-D to leave", options.room);

    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            message = chat.next() => match message? {
                Some(message) => chat.show(&message),
                None => {
                    println!("the server closed the connection");
                    return Ok(());
                }
            },
            line = lines.next_line() => match line? {
                Some(line) => chat.call("SendToRoom", &(&options.room, line)).await?,
                None => break,
            },
        }
    }
    let goodbye = HubMessage::Close {
        error: None,
        allow_reconnect: false,
    };
    chat.send(&goodbye).await?;
    while chat.next().await?.is_some() {}
    Ok(())
}

struct Chat {
    socket: tokio_tungstenite::WebSocketStream<
        tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>,
    >,
    frames: Frames,
    encoding: Encoding,
    next_id: u64,
}

impl Chat {
    async fn shake_hands(&mut self) -> Result<(), Error> {
        let request = HandshakeRequest {
            protocol: self.encoding.protocol.name().into(),
            version: 1,
        };
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes);
        self.write(Protocol::Json, bytes).await?;
        loop {
            // The handshake is JSON whatever follows.
            if let Some(record) = self.frames.next(Protocol::Json, None)? {
                return match HandshakeResponse::decode(&record)?.error {
                    None => Ok(()),
                    Some(error) => Err(format!("the server refused: {error}").into()),
                };
            }
            if !self.read().await? {
                return Err("the server closed the connection".into());
            }
        }
    }

    /// Calls a method of the hub. Its answer comes as a message like others.
    async fn call(&mut self, target: &str, arguments: &impl CallArguments) -> Result<(), Error> {
        self.next_id += 1;
        let invocation = HubMessage::Invocation(Invocation {
            invocation_id: Some(self.next_id.to_string().into()),
            target: target.into(),
            arguments: self.encoding.encode_arguments(arguments)?,
            stream_ids: Vec::new(),
        });
        self.send(&invocation).await
    }

    async fn send(&mut self, message: &HubMessage) -> Result<(), Error> {
        let mut bytes = BytesMut::new();
        self.encoding.protocol.encode(message, &mut bytes);
        self.write(self.encoding.protocol, bytes).await
    }

    async fn write(&mut self, protocol: Protocol, bytes: BytesMut) -> Result<(), Error> {
        let message = match protocol {
            Protocol::Json => Message::text(String::from_utf8(bytes.into())?),
            Protocol::MessagePack => Message::binary(bytes.freeze()),
        };
        Ok(self.socket.send(message).await?)
    }

    /// The next message of the server; `None` at the end.
    async fn next(&mut self) -> Result<Option<HubMessage>, Error> {
        loop {
            while let Some(record) = self.frames.next(self.encoding.protocol, None)? {
                if let Some(message) = self.encoding.protocol.decode(&record)? {
                    return Ok(Some(message));
                }
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Reads once; `false` at the end.
    async fn read(&mut self) -> Result<bool, Error> {
        match self.socket.next().await {
            None | Some(Err(tungstenite::Error::ConnectionClosed)) => Ok(false),
            Some(message) => {
                let message = message?;
                if matches!(message, Message::Text(_) | Message::Binary(_)) {
                    self.frames.push(message.into_data());
                }
                Ok(true)
            }
        }
    }

    fn show(&self, message: &HubMessage) {
        match message {
            HubMessage::Invocation(invocation) => match self.sentence(invocation) {
                Some(sentence) => println!("{sentence}"),
                None => println!("{} with arguments of other types", invocation.target),
            },
            HubMessage::Completion {
                completion: Completion::Error(error),
                ..
            } => {
                eprintln!("{error}");
            }
            HubMessage::Close {
                error: Some(error), ..
            } => eprintln!("{error}"),
            _ => {}
        }
    }

    fn sentence(&self, invocation: &Invocation) -> Option<String> {
        let mut arguments = self.encoding.elements(invocation.arguments.clone()).ok()?;
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
}
