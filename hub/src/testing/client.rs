//! One client of a hub in a test.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::DuplexStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{NotConnected, PATIENCE};
use crate::{
    error::{ErrorDetail, HubError, Result},
    methods::{arguments::Arguments, method::ArgumentList},
    protocol::{
        CallArguments, Encoding, Frames, HandshakeRequest, HandshakeResponse, Names, Protocol,
        TransferFormat,
        message::{Completion, HubMessage, Invocation},
    },
};

/// A client of a hub. What comes while something else is waited for is kept for later.
///
/// Each wait is for at most five minutes, which under the paused clock are none: then it panics, and
/// so it does when the connection ends instead.
#[derive(Debug)]
pub struct TestClient {
    id: String,
    socket: WebSocketStream<DuplexStream>,
    frames: Frames,
    encoding: Encoding,
    /// What has come and was not asked for yet.
    waiting: VecDeque<HubMessage>,
    next_id: u64,
}

/// How a connection has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// What the hub said of it in its Close message; `None` where it said nothing.
    pub error: Option<String>,
    /// Whether the client may come back by itself.
    pub allow_reconnect: bool,
    /// The code of the WebSocket's Close frame; `None` where there was no frame.
    pub code: Option<u16>,
}

impl TestClient {
    /// Shakes hands on a new socket.
    pub(super) async fn begin(
        id: String,
        socket: WebSocketStream<DuplexStream>,
        protocol: Protocol,
    ) -> Result<Self, NotConnected> {
        let mut client = Self {
            id,
            socket,
            frames: Frames::default(),
            encoding: Encoding {
                protocol,
                names: Names::default(),
            },
            waiting: VecDeque::new(),
            next_id: 0,
        };
        client.shake_hands().await?;
        Ok(client)
    }

    /// Reads and writes values with these names from here on; as declared by default. To be those of
    /// [`HubOptions::names`](crate::HubOptions::names).
    #[must_use]
    pub fn names(mut self, names: Names) -> Self {
        self.encoding.names = names;
        self
    }

    /// The id by which others reach this client, as `cx.client(id)`.
    pub fn connection_id(&self) -> &str {
        &self.id
    }

    /// Calls a method, and waits for its answer.
    ///
    /// # Errors
    /// The hub's, with its text.
    ///
    /// # Panics
    /// When the answer is no `R`; as every wait of a [`TestClient`].
    pub async fn invoke<R: DeserializeOwned>(
        &mut self,
        target: &str,
        arguments: impl CallArguments,
    ) -> Result<R> {
        let id = self
            .call(target, arguments, Vec::new(), HubMessage::Invocation)
            .await;
        self.answer_to::<R>(&id).await
    }

    /// Calls a method, and sends it the items of a stream, its first stream parameter.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke).
    ///
    /// # Panics
    /// As [`invoke`](Self::invoke); when an item cannot be encoded.
    pub async fn upload<R: DeserializeOwned, T: Serialize>(
        &mut self,
        target: &str,
        arguments: impl CallArguments,
        items: impl IntoIterator<Item = T>,
    ) -> Result<R> {
        self.next_id += 1;
        let stream = ByteString::from(self.next_id.to_string());
        let streams = vec![stream.clone()];
        let id = self
            .call(target, arguments, streams, HubMessage::Invocation)
            .await;
        for item in items {
            let item = self.encoding.encode(&item).expect("an item");
            let invocation_id = stream.clone();
            self.write(&HubMessage::StreamItem {
                invocation_id,
                item,
            })
            .await;
        }
        self.write(&HubMessage::Completion {
            invocation_id: stream,
            completion: Completion::Void,
        })
        .await;
        self.answer_to::<R>(&id).await
    }

    /// Calls a method without wanting an answer.
    ///
    /// # Panics
    /// When the arguments cannot be encoded.
    pub async fn send(&mut self, target: &str, arguments: impl CallArguments) {
        let arguments = self
            .encoding
            .encode_arguments(&arguments)
            .expect("arguments");
        self.write(&HubMessage::Invocation(Invocation {
            invocation_id: None,
            target: target.into(),
            arguments,
            stream_ids: Vec::new(),
        }))
        .await;
    }

    /// Asks for a stream; [`next_item`](Self::next_item) gives its items.
    ///
    /// # Panics
    /// When the arguments cannot be encoded.
    pub async fn stream(&mut self, target: &str, arguments: impl CallArguments) -> StreamId {
        let call = self.call(target, arguments, Vec::new(), HubMessage::StreamInvocation);
        StreamId(call.await)
    }

    /// The next item of a stream; `None` at its end.
    ///
    /// # Errors
    /// The hub's, with its text: the stream has ended with it.
    ///
    /// # Panics
    /// When the item is no `R`; as every wait of a [`TestClient`].
    pub async fn next_item<R: DeserializeOwned>(&mut self, stream: &StreamId) -> Result<Option<R>> {
        let id = &stream.0;
        let message = self.wait_for("an item", |message| match message {
            HubMessage::StreamItem { invocation_id, .. }
            | HubMessage::Completion { invocation_id, .. } => invocation_id == id,
            _ => false,
        });
        match message.await {
            HubMessage::StreamItem { item, .. } => Ok(Some(self.decode(&item))),
            HubMessage::Completion {
                completion: Completion::Error(text),
                ..
            } => Err(HubError::new(text.to_string())),
            _ => Ok(None),
        }
    }

    /// Wants no more of a stream.
    pub async fn cancel(&mut self, stream: &StreamId) {
        let invocation_id = stream.0.clone();
        self.write(&HubMessage::CancelInvocation { invocation_id })
            .await;
    }

    /// The arguments of the next call that the hub makes of `target` here: a tuple, `()` for none.
    ///
    /// # Panics
    /// When they are no `A`; as every wait of a [`TestClient`].
    pub async fn receive<A: ArgumentList>(&mut self, target: &str) -> A {
        let call = self.called(target).await;
        self.bind(target, call.arguments)
    }

    /// Answers the next call that the hub makes of `target` here and wants to be answered.
    ///
    /// # Panics
    /// When its arguments are no `A`, when it wants no answer, or that cannot be encoded; as every wait
    /// of a [`TestClient`].
    pub async fn answer<A: ArgumentList, R: Serialize>(
        &mut self,
        target: &str,
        answer: impl FnOnce(A) -> R,
    ) {
        let call = self.called(target).await;
        let invocation_id = call.invocation_id.expect("a call that wants an answer");
        let result = answer(self.bind(target, call.arguments));
        let completion = Completion::Result(self.encoding.encode(&result).expect("an answer"));
        self.write(&HubMessage::Completion {
            invocation_id,
            completion,
        })
        .await;
    }

    /// Waits until the hub ends the connection. What has come before is forgotten.
    ///
    /// # Panics
    /// As every wait of a [`TestClient`].
    pub async fn ended(&mut self) -> Ended {
        let (mut error, mut allow_reconnect) = (None, false);
        loop {
            for message in self.waiting.drain(..) {
                if let HubMessage::Close {
                    error: why,
                    allow_reconnect: may,
                } = message
                {
                    error = why.map(|text| text.to_string());
                    allow_reconnect = may;
                }
            }
            if let Err(code) = self.read().await {
                return Ended {
                    error,
                    allow_reconnect,
                    code,
                };
            }
        }
    }

    /// Leaves, with a closing handshake.
    pub async fn leave(mut self) {
        // Who is gone already has nothing more to say.
        let _ = self.socket.close(None).await;
        while self.read().await.is_ok() {}
    }

    async fn shake_hands(&mut self) -> Result<(), NotConnected> {
        let request = HandshakeRequest {
            protocol: self.encoding.protocol.name().into(),
            version: 1,
        };
        let mut bytes = BytesMut::new();
        request.encode(&mut bytes);
        self.write_bytes(TransferFormat::Text, bytes).await;
        loop {
            // The handshake is JSON whatever follows.
            let record = self.frames.next(Protocol::Json, None);
            if let Some(record) = record.expect("the hub's own bytes") {
                let response = HandshakeResponse::decode(&record).expect("the hub's own bytes");
                return match response.error {
                    None => Ok(()),
                    Some(text) => Err(NotConnected::Handshake(Some(text.to_string()))),
                };
            }
            if self.fill().await.is_err() {
                return Err(NotConnected::Handshake(None));
            }
        }
    }

    async fn call(
        &mut self,
        target: &str,
        arguments: impl CallArguments,
        stream_ids: Vec<ByteString>,
        kind: impl FnOnce(Invocation) -> HubMessage,
    ) -> ByteString {
        self.next_id += 1;
        let id = ByteString::from(self.next_id.to_string());
        let arguments = self
            .encoding
            .encode_arguments(&arguments)
            .expect("arguments");
        self.write(&kind(Invocation {
            invocation_id: Some(id.clone()),
            target: target.into(),
            arguments,
            stream_ids,
        }))
        .await;
        id
    }

    async fn answer_to<R: DeserializeOwned>(&mut self, id: &ByteString) -> Result<R> {
        let answer = self.wait_for("an answer", |message| {
            matches!(message, HubMessage::Completion { invocation_id, .. } if invocation_id == id)
        });
        match answer.await {
            HubMessage::Completion {
                completion: Completion::Error(text),
                ..
            } => Err(HubError::new(text.to_string())),
            HubMessage::Completion {
                completion: Completion::Result(result),
                ..
            } => Ok(self.decode(&result)),
            _ => Ok(self.decode(self.encoding.protocol.nothing())),
        }
    }

    async fn called(&mut self, target: &str) -> Invocation {
        let call = self.wait_for(
            "a call",
            |message| matches!(message, HubMessage::Invocation(call) if call.target == target),
        );
        match call.await {
            HubMessage::Invocation(call) => call,
            other => unreachable!("it was asked for a call: {other:?}"),
        }
    }

    fn bind<A: ArgumentList>(&self, target: &str, arguments: Bytes) -> A {
        let arguments = Arguments::new(self.encoding, arguments, Vec::new(), ErrorDetail::Full);
        A::bind(arguments).unwrap_or_else(|error| panic!("a call of {target}: {error}"))
    }

    fn decode<R: DeserializeOwned>(&self, value: &[u8]) -> R {
        let value = self.encoding.decode(value);
        value.unwrap_or_else(|error| panic!("a value of another type: {error}"))
    }

    /// The first message that is meant, of those that wait and those to come.
    async fn wait_for(
        &mut self,
        what: &str,
        mut is_it: impl FnMut(&HubMessage) -> bool,
    ) -> HubMessage {
        let mut seen = 0;
        loop {
            let found = self.waiting.iter().skip(seen).position(&mut is_it);
            if let Some(message) = found.and_then(|place| self.waiting.remove(seen + place)) {
                return message;
            }
            seen = self.waiting.len();
            if let Err(code) = self.read().await {
                let waiting = &self.waiting;
                panic!("{what} was awaited, and the connection ended ({code:?}): {waiting:?}");
            }
        }
    }

    /// Takes in what comes next; the code of the Close frame where that is the end.
    async fn read(&mut self) -> Result<(), Option<u16>> {
        self.fill().await?;
        let protocol = self.encoding.protocol;
        while let Some(record) = self
            .frames
            .next(protocol, None)
            .expect("the hub's own bytes")
        {
            match protocol.decode(&record).expect("the hub's own bytes") {
                Some(HubMessage::Ping) | None => {}
                Some(message) => self.waiting.push_back(message),
            }
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<(), Option<u16>> {
        let message = timeout(PATIENCE, self.socket.next()).await;
        let Ok(message) = message else {
            panic!(
                "nothing came for five minutes; not asked for was {:?}",
                self.waiting
            );
        };
        match message {
            Some(Ok(Message::Text(text))) => self.frames.push(Bytes::from(text)),
            Some(Ok(Message::Binary(bytes))) => self.frames.push(bytes),
            Some(Ok(Message::Close(close))) => {
                return Err(close.map(|close| close.code.into()));
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return Err(None),
        }
        Ok(())
    }

    async fn write(&mut self, message: &HubMessage) {
        let mut bytes = BytesMut::new();
        self.encoding.protocol.encode(message, &mut bytes);
        let format = self.encoding.protocol.transfer_format();
        self.write_bytes(format, bytes).await;
    }

    async fn write_bytes(&mut self, format: TransferFormat, bytes: BytesMut) {
        let message = match format {
            TransferFormat::Text => {
                Message::text(String::from_utf8(bytes.into()).expect("JSON is text"))
            }
            TransferFormat::Binary => Message::Binary(bytes.freeze()),
        };
        let written = timeout(PATIENCE, self.socket.send(message)).await;
        // What is said to a hub that is gone is not heard: what it said last tells why.
        let _ = written.expect("the server reads");
    }
}

/// A stream that was asked for; made by [`TestClient::stream`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamId(ByteString);
