//! One step of a transcript: what its line, and the lines below it, say.

use std::time::Duration;

use super::{
    hex::Hex,
    names::Body,
    scenario::{Encoding, Transport},
};

#[derive(Debug)]
pub(crate) enum Action {
    Open {
        name: String,
        opening: Opening,
    },
    Http {
        request: Request,
        answer: Answer,
    },
    Start {
        name: String,
        request: Request,
    },
    Pending {
        name: String,
        time: Duration,
    },
    Await {
        name: String,
        window: Option<Window>,
        answer: Answer,
    },
    Finished {
        name: String,
    },
    Abort {
        name: String,
    },
    WebSocket {
        name: String,
        request: Request,
        answer: Answer,
    },
    Dial {
        name: String,
        request: Request,
    },
    Dialled {
        name: String,
        window: Option<Window>,
        answer: Answer,
    },
    Events {
        name: String,
        request: Request,
        answer: Answer,
    },
    Send {
        name: String,
        sending: Sending,
    },
    Expect {
        name: String,
        window: Option<Window>,
        expected: Expected,
    },
    ExpectAny {
        name: String,
        expected: Vec<Expected>,
    },
    Silence {
        name: String,
        time: Duration,
    },
    Wait(Duration),
}

#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) path: String,
    pub(crate) transport: Transport,
    pub(crate) encoding: Encoding,
    /// Negotiates although the transport does not ask for it.
    pub(crate) negotiate: bool,
    pub(crate) stateful: bool,
    pub(crate) headers: Vec<String>,
}

impl Opening {
    /// The first message of the conversation.
    pub(crate) fn handshake(&self) -> String {
        let protocol = match self.encoding {
            Encoding::MessagePack => "messagepack",
            Encoding::Json | Encoding::None => "json",
        };
        let version = if self.stateful { 2 } else { 1 };
        format!("{{\"protocol\":\"{protocol}\",\"version\":{version}}}\x1e")
    }
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Option<Body>,
}

/// What an answer's head and body must be.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<String>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Body>,
}

#[derive(Debug)]
pub(crate) enum Sending {
    Message(Body),
    Fragment { opcode: u8, fin: bool, body: Body },
    Ping(String),
    Close(Option<(u16, String)>),
    Raw(Hex),
    Drop,
    Reset,
}

#[derive(Debug)]
pub(crate) enum Expected {
    /// A hub message.
    Message(Body),
    /// A whole WebSocket message, or the bytes of one event.
    Frame(Body),
    Ping(String),
    Pong(String),
    Close(Option<u16>, String),
    Partial(Hex),
    End,
    Gone(Option<u16>),
}

/// When something must come, counted from the beginning of its step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// A line below a step: `<` or `>`, and the text.
pub(super) type Below = (char, String);

impl Action {
    pub(super) fn parse(line: &str, below: &[Below]) -> Result<Self, String> {
        if let Some((name, arrow, rest)) = conversing(line) {
            return talk(name, arrow, rest, below);
        }
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or_default();
        let mut word = || words.next().ok_or("a word is missing");
        Ok(match verb {
            "open" => open(line, below)?,
            "http" => Self::Http {
                request: request(word()?, &rest(line, 2), below)?,
                answer: answer(below)?,
            },
            "start" => {
                let (name, method) = (word()?.into(), word()?);
                Self::Start {
                    name,
                    request: request(method, &rest(line, 3), below)?,
                }
            }
            "pending" => Self::Pending {
                name: word()?.into(),
                time: milliseconds(word()?)?,
            },
            "await" => Self::Await {
                name: word()?.into(),
                window: words.next().map(window).transpose()?,
                answer: answer(below)?,
            },
            "finished" => Self::Finished {
                name: word()?.into(),
            },
            "abort" => Self::Abort {
                name: word()?.into(),
            },
            "ws" => Self::WebSocket {
                name: word()?.into(),
                request: request("GET", &rest(line, 2), below)?,
                answer: answer(below)?,
            },
            "dial" => Self::Dial {
                name: word()?.into(),
                request: request("GET", &rest(line, 2), below)?,
            },
            "dialled" => Self::Dialled {
                name: word()?.into(),
                window: words.next().map(window).transpose()?,
                answer: answer(below)?,
            },
            "sse" => Self::Events {
                name: word()?.into(),
                request: request("GET", &rest(line, 2), below)?,
                answer: answer(below)?,
            },
            "wait" => Self::Wait(milliseconds(word()?)?),
            _ => return Err("no such step".into()),
        })
    }

    /// How long the step may take, as far as its line tells.
    pub(super) fn weight(&self) -> Duration {
        match self {
            Self::Wait(time) | Self::Silence { time, .. } | Self::Pending { time, .. } => *time,
            Self::Await {
                window: Some(window),
                ..
            }
            | Self::Dialled {
                window: Some(window),
                ..
            }
            | Self::Expect {
                window: Some(window),
                ..
            } => window.to,
            _ => Duration::ZERO,
        }
    }

    /// The path that the step asks for.
    pub(super) fn path(&self) -> Option<&str> {
        match self {
            Self::Open { opening, .. } => Some(&opening.path),
            Self::Http { request, .. }
            | Self::Start { request, .. }
            | Self::WebSocket { request, .. }
            | Self::Dial { request, .. }
            | Self::Events { request, .. } => Some(&request.path),
            _ => None,
        }
    }

    /// The transport that the step uses.
    pub(super) fn transport(&self) -> Option<Transport> {
        match self {
            Self::Open { opening, .. } => Some(opening.transport),
            Self::WebSocket { .. } | Self::Dial { .. } => Some(Transport::WebSockets),
            Self::Events { .. } => Some(Transport::Events),
            _ => None,
        }
    }
}

/// `a> …`, `a<x …`, `a- …`: the connection, the arrow and what follows.
fn conversing(line: &str) -> Option<(&str, char, &str)> {
    let at = line.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()))?;
    let arrow = line[at..].chars().next().filter(|c| "<>-".contains(*c))?;
    (at > 0).then(|| (&line[..at], arrow, &line[at + 1..]))
}

fn talk(name: &str, arrow: char, rest: &str, below: &[Below]) -> Result<Action, String> {
    let name = name.to_owned();
    let (head, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let split = head
        .find(|c: char| !c.is_ascii_lowercase())
        .unwrap_or(head.len());
    let (verb, span) = head.split_at(split);
    Ok(match arrow {
        '-' => Action::Silence {
            name,
            time: milliseconds(text)?,
        },
        '>' => Action::Send {
            name,
            sending: sending(verb, text)?,
        },
        _ if verb == "any" => {
            let one = |text: &String| {
                let line = text.strip_prefix('<').ok_or("not a message to come")?;
                let (verb, text) = line.split_once(' ').unwrap_or((line, ""));
                expected(verb, text)
            };
            let lines = below.iter().map(|(_, text)| one(text));
            Action::ExpectAny {
                name,
                expected: lines.collect::<Result<_, _>>()?,
            }
        }
        _ => Action::Expect {
            name,
            window: (!span.is_empty()).then(|| window(span)).transpose()?,
            expected: expected(verb, text)?,
        },
    })
}

fn sending(verb: &str, text: &str) -> Result<Sending, String> {
    let fragment = |opcode, fin, body| Sending::Fragment { opcode, fin, body };
    let as_text = || Body::Text(text.into());
    let as_hex = || Hex::parse(text).map(Body::Binary);
    Ok(match verb {
        "" => Sending::Message(as_text()),
        "x" => Sending::Message(as_hex()?),
        "part" => fragment(1, false, as_text()),
        "partx" => fragment(2, false, as_hex()?),
        "more" => fragment(0, false, as_text()),
        "morex" => fragment(0, false, as_hex()?),
        "last" => fragment(0, true, as_text()),
        "lastx" => fragment(0, true, as_hex()?),
        "ping" => Sending::Ping(text.into()),
        "close" => {
            let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
            Sending::Close(optional(code)?.map(|code| (code, reason.to_owned())))
        }
        "raw" => Sending::Raw(Hex::parse(text)?),
        "drop" => Sending::Drop,
        "reset" => Sending::Reset,
        _ => return Err(format!("cannot send {verb:?}")),
    })
}

fn expected(verb: &str, text: &str) -> Result<Expected, String> {
    Ok(match verb {
        "" => Expected::Message(Body::Text(text.into())),
        "x" => Expected::Message(Body::Binary(Hex::parse(text)?)),
        "frame" => Expected::Frame(Body::Text(text.into())),
        "framex" => Expected::Frame(Body::Binary(Hex::parse(text)?)),
        "ping" => Expected::Ping(text.into()),
        "pong" => Expected::Pong(text.into()),
        "partial" => Expected::Partial(Hex::parse(text)?),
        "end" => Expected::End,
        "gone" => Expected::Gone(optional(text)?),
        "close" => {
            let (code, reason) = text.split_once(' ').unwrap_or((text, ""));
            Expected::Close(optional(code)?, reason.into())
        }
        _ => return Err(format!("cannot expect {verb:?}")),
    })
}

fn open(line: &str, below: &[Below]) -> Result<Action, String> {
    let mut words = line.split(' ').skip(1);
    let (Some(name), Some(path), Some(transport), Some(encoding)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("open NAME PATH TRANSPORT PROTOCOL".into());
    };
    let flags: Vec<_> = words.collect();
    if let Some(flag) = flags
        .iter()
        .find(|flag| !["negotiate", "stateful"].contains(flag))
    {
        return Err(format!("no such flag: {flag}"));
    }
    let opening = Opening {
        path: path.into(),
        transport: transport.parse()?,
        encoding: encoding.parse()?,
        negotiate: !flags.is_empty(),
        stateful: flags.contains(&"stateful"),
        headers: marked(below, '>').map(Into::into).collect(),
    };
    Ok(Action::Open {
        name: name.into(),
        opening,
    })
}

fn request(method: &str, path: &str, below: &[Below]) -> Result<Request, String> {
    let (mut headers, mut found) = (Vec::new(), None);
    for line in marked(below, '>') {
        match body(line)? {
            Some(body) => found = Some(body),
            None => headers.push(line.to_owned()),
        }
    }
    Ok(Request {
        method: method.into(),
        path: path.into(),
        headers,
        body: found,
    })
}

fn answer(below: &[Below]) -> Result<Answer, String> {
    let mut answer = Answer::default();
    for line in marked(below, '<') {
        if let Some(body) = body(line)? {
            answer.body = Some(body);
        } else if let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_name(name)) {
            answer
                .headers
                .push((name.to_ascii_lowercase(), value.trim().to_owned()));
        } else {
            answer.status = Some(line.to_owned());
        }
    }
    Ok(answer)
}

fn body(line: &str) -> Result<Option<Body>, String> {
    if let Some(text) = line.strip_prefix("body ") {
        return Ok(Some(Body::Text(text.into())));
    }
    line.strip_prefix("bodyx ")
        .map(|hex| Hex::parse(hex).map(Body::Binary))
        .transpose()
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic() || c == '-')
}

fn marked(below: &[Below], mark: char) -> impl Iterator<Item = &str> {
    below
        .iter()
        .filter(move |(of, _)| *of == mark)
        .map(|(_, text)| text.as_str())
}

/// `line` without its first words.
fn rest(line: &str, words: usize) -> String {
    line.split(' ').skip(words).collect::<Vec<_>>().join(" ")
}

fn window(span: &str) -> Result<Window, String> {
    let (from, to) = span
        .split_once("..")
        .ok_or_else(|| format!("no window: {span:?}"))?;
    Ok(Window {
        from: milliseconds(from)?,
        to: milliseconds(to)?,
    })
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_millis)
        .map_err(|_| format!("no milliseconds: {text:?}"))
}

fn optional(code: &str) -> Result<Option<u16>, String> {
    if code.is_empty() {
        return Ok(None);
    }
    code.parse()
        .map(Some)
        .map_err(|_| format!("no Close code: {code:?}"))
}
