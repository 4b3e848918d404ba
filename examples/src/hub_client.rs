//! A hub's client as the terminal examples need it: WebSockets alone, by the `hub` crate's own
//! protocol types.

use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use hub::{
    HubMessage, Invocation,
    protocol::{
        CallArguments, Encoding, Frames, HandshakeRequest, HandshakeResponse, Names, Protocol,
    },
};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest},
};

use crate::Error;

/// The lines that somebody types. Read by a thread that nothing waits for: with tokio's stdin, a
/// program whose server has gone would end only after one more line.
pub fn typed_lines() -> mpsc::Receiver<String> {
    let (lines, typed) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                break;
            }
        }
    });
    typed
}

/// A connection to a hub.
pub struct HubClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    frames: Frames,
    encoding: Encoding,
    next_id: u64,
}

impl HubClient {
    /// Connects and agrees on a protocol.
    ///
    /// # Errors
    /// When nobody listens, the request is refused, or the hub does not speak the protocol.
    pub async fn connect(
        request: impl IntoClientRequest + Unpin,
        protocol: Protocol,
    ) -> Result<Self, Error> {
        let (socket, _) = connect_async(request).await?;
        let mut client = Self {
            socket,
            frames: Frames::default(),
            encoding: Encoding {
                protocol,
                names: Names::AsDeclared,
            },
            next_id: 0,
        };
        client.shake_hands().await?;
        Ok(client)
    }

    /// How the values of its messages are encoded.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

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
    ///
    /// # Errors
    /// When the arguments cannot be encoded, or the connection is over.
    pub async fn call(
        &mut self,
        target: &str,
        arguments: &impl CallArguments,
    ) -> Result<(), Error> {
        self.next_id += 1;
        let invocation = HubMessage::Invocation(Invocation {
            invocation_id: Some(self.next_id.to_string().into()),
            target: target.into(),
            arguments: self.encoding.encode_arguments(arguments)?,
            stream_ids: Vec::new(),
        });
        self.send(&invocation).await
    }

    /// Says goodbye, and waits until the hub has answered.
    ///
    /// # Errors
    /// When the connection ends otherwise.
    pub async fn leave(mut self) -> Result<(), Error> {
        let goodbye = HubMessage::Close {
            error: None,
            allow_reconnect: false,
        };
        self.send(&goodbye).await?;
        while self.next().await?.is_some() {}
        Ok(())
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
    ///
    /// # Errors
    /// When the connection fails, or what comes is no message.
    ///
    /// # Cancel safety
    /// Safe: what was read is kept.
    pub async fn next(&mut self) -> Result<Option<HubMessage>, Error> {
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
}
