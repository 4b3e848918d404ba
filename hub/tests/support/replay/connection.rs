//! A connection to a hub, whatever carries it.

use tokio::time::Instant;

use super::{
    events::Events,
    polling::Polling,
    websocket::WebSocket,
    wire::{Result, failed},
};
use crate::transcript::{Names, hex_shown};

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A whole hub message.
    Message {
        binary: bool,
        data: Vec<u8>,
    },
    /// What carried it: a WebSocket message, an event, the body of a poll.
    Frame {
        binary: bool,
        data: Vec<u8>,
    },
    /// A part of a hub message, and then the end.
    Partial(Vec<u8>),
    Close(Option<u16>, String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    End,
}

impl Event {
    /// As a transcript would write it.
    pub(crate) fn shown(&self, names: &Names) -> String {
        match self {
            Self::Message { binary: true, data } => format!("binary {}", names.shown(data, true)),
            Self::Message { data, .. } => names.shown(data, false),
            Self::Frame { binary, data } => {
                format!(
                    "frame{} {}",
                    if *binary { "x" } else { "" },
                    names.shown(data, *binary)
                )
            }
            Self::Partial(data) => format!("partial {}", hex_shown(data)),
            Self::Close(code, reason) => {
                let code = code.map_or_else(String::new, |code| code.to_string());
                format!("close {code} {reason}").trim_end().to_owned()
            }
            Self::Ping(data) => format!("ping {}", String::from_utf8_lossy(data)),
            Self::Pong(data) => format!("pong {}", String::from_utf8_lossy(data)),
            Self::End => "end".into(),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Connection {
    WebSocket(WebSocket),
    Events(Events),
    Polling(Polling),
}

impl Connection {
    /// The next hub message, or whatever else happened.
    pub(crate) async fn event(&mut self, deadline: Instant) -> Result<Event> {
        match self {
            Self::WebSocket(ws) => ws.event(deadline).await,
            Self::Events(events) => events.event(deadline).await,
            Self::Polling(polling) => polling.event(deadline).await,
        }
    }

    /// The next thing that carries messages, or whatever else happened.
    pub(crate) async fn whole(&mut self, deadline: Instant) -> Result<Event> {
        match self {
            Self::WebSocket(ws) => ws.whole(deadline).await,
            Self::Events(events) => events.whole(deadline).await,
            Self::Polling(polling) => polling.whole(deadline).await,
        }
    }

    /// Sends hub messages.
    pub(crate) async fn say(&mut self, data: &[u8], binary: bool) -> Result<()> {
        match self {
            Self::WebSocket(ws) => ws.send(if binary { 2 } else { 1 }, data, true).await,
            Self::Events(events) => events.post.say(data, binary).await,
            Self::Polling(polling) => polling.post.say(data, binary).await,
        }
    }

    pub(crate) fn close(&mut self) {
        match self {
            Self::WebSocket(ws) => ws.exchange.wire.close(),
            Self::Events(events) => events.exchange.wire.close(),
            Self::Polling(polling) => polling.close(),
        }
    }

    pub(crate) fn reset(&mut self) {
        match self {
            Self::WebSocket(ws) => ws.exchange.wire.reset(),
            Self::Events(events) => events.exchange.wire.reset(),
            Self::Polling(polling) => polling.close(),
        }
    }

    pub(crate) fn websocket(&mut self) -> Result<&mut WebSocket> {
        match self {
            Self::WebSocket(ws) => Ok(ws),
            _ => failed("no WebSocket"),
        }
    }
}
