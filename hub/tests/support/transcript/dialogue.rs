//! A conversation that is hub protocol and nothing else, for a replay without a socket.

use super::{
    action::{Action, Expected, Sending},
    names::Body,
    scenario::{Encoding, Ignored, Scenario, Transport},
};

/// One connection that opens, sends messages and is sent messages; no time, no frames, no second
/// connection.
#[derive(Debug)]
pub(crate) struct Dialogue {
    /// What the connection is called: bind its id as `NAME.id` before the first turn.
    pub(crate) name: String,
    /// The hub that it talks to.
    pub(crate) path: String,
    pub(crate) encoding: Encoding,
    pub(crate) ignored: Ignored,
    /// The handshake first.
    pub(crate) turns: Vec<Turn>,
}

/// What the client sends, and what the server must have sent before the client goes on.
#[derive(Debug)]
pub(crate) struct Turn {
    /// The line in the file.
    pub(crate) line: usize,
    /// `Names::bytes` makes bytes of it.
    pub(crate) client: Body,
    /// Whole hub messages in their order, each with its line; `Names::matches` compares them.
    pub(crate) server: Vec<(usize, Body)>,
}

impl Dialogue {
    /// The scenario as a dialogue, if it is one.
    pub(crate) fn of(scenario: &Scenario) -> Option<Self> {
        let (first, rest) = scenario.steps.split_first()?;
        let Action::Open { name, opening } = &first.action else {
            return None;
        };
        if opening.transport != Transport::WebSockets
            || opening.stateful
            || opening.path.contains('?')
            || !opening.headers.is_empty()
        {
            return None;
        }
        let answer = match opening.encoding {
            Encoding::MessagePack => Body::Binary(super::Hex::parse("7b7d1e").ok()?),
            _ => Body::Text("{}␞".into()),
        };
        let mut turns = vec![Turn {
            line: first.number,
            client: Body::Text(opening.handshake()),
            server: vec![(first.number, answer)],
        }];
        for step in rest {
            match &step.action {
                Action::Send {
                    name: to,
                    sending: Sending::Message(body),
                } if to == name => {
                    turns.push(Turn {
                        line: step.number,
                        client: body.clone(),
                        server: Vec::new(),
                    });
                }
                Action::Expect {
                    name: of,
                    window: None,
                    expected: Expected::Message(body),
                } if of == name => turns.last_mut()?.server.push((step.number, body.clone())),
                _ => return None,
            }
        }
        Some(Self {
            name: name.clone(),
            path: opening.path.clone(),
            encoding: opening.encoding,
            ignored: scenario.ignored,
            turns,
        })
    }
}
