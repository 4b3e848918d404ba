//! One client of a hub.

use std::collections::VecDeque;

use futures_util::{SinkExt, StreamExt};
use tokio::{io::DuplexStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, protocol::frame::coding::CloseCode},
};

use super::PATIENCE;

/// Ends a JSON record.
pub(crate) const RS: char = '\u{1e}';

pub(crate) struct Client {
    ws: WebSocketStream<DuplexStream>,
    /// Records that came with one that was asked for.
    records: VecDeque<String>,
}

/// What came from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    Text(String),
    Binary(Vec<u8>),
    /// A Close frame with this code; 1005 for none.
    Close(u16),
    /// The end without one.
    Gone,
}

/// A MessagePack record behind its length.
pub(crate) struct Framed(pub(crate) Vec<u8>);

impl Framed {
    pub(crate) fn new(record: &[u8]) -> Self {
        let mut bytes = Vec::new();
        let mut length = record.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(record);
        Self(bytes)
    }
}

impl Client {
    pub(crate) async fn connect(io: DuplexStream, target: &str) -> Self {
        Self::try_connect(io, target).await.expect("the upgrade")
    }

    /// The same, or the status of the refusal.
    pub(crate) async fn try_connect(io: DuplexStream, target: &str) -> Result<Self, u16> {
        match client_async(format!("ws://hub{target}"), io).await {
            Ok((ws, _)) => Ok(Self {
                ws,
                records: VecDeque::new(),
            }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    pub(crate) async fn shake_hands(&mut self) {
        self.send(r#"{"protocol":"json","version":1}"#).await;
        assert_eq!(self.next().await, "{}");
    }

    /// Sends a record.
    pub(crate) async fn send(&mut self, record: &str) {
        self.text(&format!("{record}{RS}")).await;
    }

    /// Sends records in one message.
    pub(crate) async fn send_all(&mut self, records: &[String]) {
        let text: String = records
            .iter()
            .map(|record| format!("{record}{RS}"))
            .collect();
        self.text(&text).await;
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.write(Message::text(text)).await;
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        self.write(Message::binary(bytes.to_vec())).await;
    }

    async fn write(&mut self, message: Message) {
        let sent = timeout(PATIENCE, self.ws.send(message)).await;
        sent.expect("the server reads").expect("it is there");
    }

    /// The same, if the server still listens.
    pub(crate) async fn try_text(&mut self, text: &str) -> Result<(), Error> {
        let sent = timeout(PATIENCE, self.ws.send(Message::text(text))).await;
        sent.expect("the server reads")
    }

    /// Calls a method; `arguments` is a JSON array.
    pub(crate) async fn call(&mut self, id: &str, target: &str, arguments: &str) {
        self.send(&call(id, target, arguments)).await;
    }

    /// The next record; pings are passed over, and do not stand for it for ever.
    pub(crate) async fn next(&mut self) -> String {
        let next = timeout(PATIENCE, self.next_but_pings()).await;
        next.expect("more than pings is sent")
    }

    async fn next_but_pings(&mut self) -> String {
        loop {
            if let Some(record) = self.records.pop_front() {
                if record != r#"{"type":6}"# {
                    return record;
                }
                continue;
            }
            match self.heard().await {
                Heard::Text(text) => {
                    let whole = text.strip_suffix(RS).expect("whole records");
                    self.records.extend(whole.split(RS).map(str::to_owned));
                }
                other => panic!("a record was expected: {other:?}"),
            }
        }
    }

    /// The records that come, all of these and in this order.
    pub(crate) async fn expect(&mut self, records: &[&str]) {
        for record in records {
            assert_eq!(self.next().await, *record);
        }
    }

    /// A call that is answered with this value, as JSON.
    pub(crate) async fn ask(&mut self, target: &str, arguments: &str) -> String {
        self.call("ask", target, arguments).await;
        let answer = self.next().await;
        let value = answer.strip_prefix(r#"{"type":3,"invocationId":"ask","result":"#);
        let value = value.unwrap_or_else(|| panic!("a result was expected: {answer}"));
        value.strip_suffix('}').unwrap().to_owned()
    }

    /// The next message as it is.
    pub(crate) async fn heard(&mut self) -> Heard {
        assert!(self.records.is_empty(), "{:?}", self.records);
        loop {
            let message = timeout(PATIENCE, self.ws.next()).await;
            return match message.expect("something is sent") {
                Some(Ok(Message::Text(text))) => Heard::Text(text.as_str().to_owned()),
                Some(Ok(Message::Binary(bytes))) => Heard::Binary(bytes.to_vec()),
                Some(Ok(Message::Close(close))) => {
                    let code = close.map_or(CloseCode::Status, |close| close.code);
                    Heard::Close(code.into())
                }
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => Heard::Gone,
            };
        }
    }

    /// The Close frame of the server comes next, whatever pings stand before it.
    pub(crate) async fn expect_close(&mut self, code: u16) {
        loop {
            match self.heard().await {
                Heard::Text(text) if text == format!("{{\"type\":6}}{RS}") => {}
                heard => return assert_eq!(heard, Heard::Close(code)),
            }
        }
    }

    /// A hub Close message, then the Close frame.
    pub(crate) async fn expect_end(&mut self, record: &str, code: u16) {
        assert_eq!(self.next().await, record);
        self.expect_close(code).await;
    }

    /// Leaves with a closing handshake.
    pub(crate) async fn leave(mut self) {
        self.ws.close(None).await.expect("it is open");
        while !matches!(self.heard().await, Heard::Gone) {}
    }
}

pub(crate) fn call(id: &str, target: &str, arguments: &str) -> String {
    let id = if id.is_empty() {
        String::new()
    } else {
        format!(r#""invocationId":"{id}","#)
    };
    format!(r#"{{"type":1,{id}"target":"{target}","arguments":{arguments}}}"#)
}
