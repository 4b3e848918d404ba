//! The same bytes to our machine and to tungstenite, cut at the same places: the same events, and
//! the same verdict. Where the two differ on purpose, [`known_difference`] says how and why, and
//! everything else is a failure.
//!
//! The seed is printed; `DIFFERENTIAL_SEED=<seed>` runs it again, `DIFFERENTIAL_CASES` more of it.
#![allow(missing_docs)]

use std::{
    collections::{BTreeMap, VecDeque},
    env,
    io::{self, Read, Write},
    sync::{Arc, Mutex},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use bytes::BytesMut;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{RngAlgorithm, TestError, TestRng, TestRunner},
};
use raw_ws::{
    Config, Error, Message, ProtocolError,
    proto::{Connection, Event, Role, State},
};
use tokio_tungstenite::tungstenite;
use tungstenite::protocol::{WebSocket, WebSocketConfig};

/// The largest frame, and the largest message, that either takes.
const LIMIT: usize = 1000;

/// How a payload length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LengthForm {
    Shortest,
    In16Bits,
    In64Bits,
    TopBitSet,
}

#[derive(Debug, Clone)]
struct RawFrame {
    /// FIN, the reserved bits and the opcode.
    first: u8,
    /// Whether the mask is as the role demands.
    is_masked_rightly: bool,
    length_form: LengthForm,
    payload: Vec<u8>,
}

impl RawFrame {
    fn new(first: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            first,
            is_masked_rightly: true,
            length_form: LengthForm::Shortest,
            payload: payload.into(),
        }
    }

    fn is_close(&self) -> bool {
        self.first == 0x88
    }

    fn close_code(&self) -> Option<u16> {
        let code = self.payload.first_chunk::<2>()?;
        self.is_close().then(|| u16::from_be_bytes(*code))
    }

    fn is_length_shortest(&self) -> bool {
        match self.length_form {
            LengthForm::Shortest => true,
            LengthForm::In16Bits => self.payload.len() > 125,
            LengthForm::In64Bits | LengthForm::TopBitSet => false,
        }
    }

    fn encode(&self, to_server: bool, out: &mut Vec<u8>) {
        let key = [0x5a, 0x00, 0xff, 0x13];
        let is_masked = to_server == self.is_masked_rightly;
        let mask_bit = if is_masked { 0x80 } else { 0 };
        let len = self.payload.len();
        let form = match self.length_form {
            LengthForm::Shortest if len > 125 => LengthForm::In16Bits,
            form => form,
        };
        out.push(self.first);
        match form {
            LengthForm::Shortest => out.push(mask_bit | len as u8),
            LengthForm::In16Bits => {
                out.push(mask_bit | 126);
                out.extend((len as u16).to_be_bytes());
            }
            LengthForm::In64Bits | LengthForm::TopBitSet => {
                out.push(mask_bit | 127);
                let top = u64::from(form == LengthForm::TopBitSet) << 63;
                out.extend((len as u64 | top).to_be_bytes());
            }
        }
        let at = out.len();
        if is_masked {
            out.extend(key);
            out.extend(&self.payload);
            raw_ws::mask(&mut out[at + 4..], key);
        } else {
            out.extend(&self.payload);
        }
    }
}

#[derive(Debug, Clone)]
struct Case {
    to_server: bool,
    frames: Vec<RawFrame>,
    /// Bytes of the last frame that never come.
    missing: usize,
    cuts: Vec<prop::sample::Index>,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut last_begins = 0;
        for frame in &self.frames {
            last_begins = bytes.len();
            frame.encode(self.to_server, &mut bytes);
        }
        bytes.truncate((bytes.len() - self.missing.min(bytes.len())).max(last_begins));
        bytes
    }

    fn parts(&self) -> Vec<Vec<u8>> {
        let bytes = self.bytes();
        let mut cuts: Vec<usize> = self
            .cuts
            .iter()
            .map(|cut| cut.index(bytes.len() + 1))
            .collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec());
        parts.filter(|part| !part.is_empty()).collect()
    }

    /// The first so many frames, all of them whole.
    fn prefix(&self, frames: usize) -> Self {
        Self {
            frames: self.frames[..frames].to_vec(),
            missing: if frames == self.frames.len() {
                self.missing
            } else {
                0
            },
            cuts: Vec::new(),
            ..self.clone()
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Open,
    Closed,
    Protocol,
    InvalidUtf8,
    TooBig,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    seen: Vec<Seen>,
    verdict: Verdict,
    /// The Close frame that was written, if one was.
    close_written: Option<Option<u16>>,
}

fn ours(case: &Case) -> Outcome {
    let role = if case.to_server {
        Role::Server
    } else {
        Role::Client {
            masking_key: || [9, 9, 9, 9],
        }
    };
    let config = Config::new()
        .max_message_size(LIMIT)
        .max_fragments(usize::MAX)
        .control_frames(1_000_000, 1_000_000);
    let now = Instant::now();
    let mut connection = Connection::new(role, Arc::new(config), now);
    let (mut input, mut seen) = (BytesMut::new(), Vec::new());
    let mut verdict = Verdict::Open;
    'parts: for part in case.parts() {
        input.extend_from_slice(&part);
        loop {
            match connection.handle_input(&mut input, now) {
                Ok(None) => break,
                Ok(Some(event)) => seen.push(match event {
                    Event::Message(Message::Text(text)) => Seen::Text(text.as_str().into()),
                    Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.into()),
                    Event::Ping(payload) => Seen::Ping(payload.into()),
                    Event::Pong(payload) => Seen::Pong(payload.into()),
                    Event::Close(close) => Seen::Close(
                        close.map(|close| (close.code().as_u16(), close.reason().into())),
                    ),
                }),
                Err(error) => {
                    verdict = match error {
                        Error::Protocol(ProtocolError::InvalidUtf8) => Verdict::InvalidUtf8,
                        Error::Protocol(_) => Verdict::Protocol,
                        Error::Capacity(_) => Verdict::TooBig,
                        error => panic!("{error}"),
                    };
                    break 'parts;
                }
            }
        }
    }
    let is_closed = connection.state() == State::Closed;
    if verdict == Verdict::Open && is_closed {
        verdict = Verdict::Closed;
    }
    assert_eq!(is_closed, verdict != Verdict::Open);
    let mut written = BytesMut::new();
    connection.transmit_into(&mut written);
    Outcome {
        seen,
        verdict,
        close_written: close_in(&written),
    }
}

fn theirs(case: &Case) -> Outcome {
    let role = if case.to_server {
        tungstenite::protocol::Role::Server
    } else {
        tungstenite::protocol::Role::Client
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMIT))
        .max_frame_size(Some(LIMIT))
        .read_buffer_size(4096);
    let wire = Wire {
        parts: case.parts().into(),
        written: Vec::new(),
    };
    let mut socket = WebSocket::from_raw_socket(wire, role, Some(config));
    let mut seen = Vec::new();
    let verdict = loop {
        match socket.read() {
            Ok(message) => {
                let is_close = message.is_close();
                seen.push(match message {
                    tungstenite::Message::Text(text) => Seen::Text(text.as_str().into()),
                    tungstenite::Message::Binary(bytes) => Seen::Binary(bytes.into()),
                    tungstenite::Message::Ping(payload) => Seen::Ping(payload.into()),
                    tungstenite::Message::Pong(payload) => Seen::Pong(payload.into()),
                    tungstenite::Message::Close(close) => Seen::Close(
                        close.map(|close| (close.code.into(), close.reason.as_str().into())),
                    ),
                    tungstenite::Message::Frame(_) => unreachable!(),
                });
                if is_close {
                    let _ = socket.flush();
                    break Verdict::Closed;
                }
            }
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.get_ref().parts.is_empty() {
                    break Verdict::Open;
                }
            }
            Err(tungstenite::Error::Protocol(_)) => break Verdict::Protocol,
            Err(tungstenite::Error::Utf8(_)) => break Verdict::InvalidUtf8,
            Err(tungstenite::Error::Capacity(_)) => break Verdict::TooBig,
            Err(error) => panic!("{error}"),
        }
    };
    Outcome {
        seen,
        verdict,
        close_written: close_in(&socket.get_ref().written),
    }
}

/// A stream that gives one part at a time, and would block between them.
#[derive(Debug)]
struct Wire {
    parts: VecDeque<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(part) = self.parts.front_mut() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let len = part.len().min(buf.len());
        buf[..len].copy_from_slice(&part[..len]);
        part.drain(..len);
        if part.is_empty() {
            self.parts.pop_front();
        }
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The Close at the end of what an endpoint wrote: `Some(None)` is one without a code. All that
/// is written here are control frames.
fn close_in(mut written: &[u8]) -> Option<Option<u16>> {
    while let [first, second, rest @ ..] = written {
        let (len, is_masked) = (usize::from(second & 0x7f), second & 0x80 != 0);
        let (key, rest) = rest.split_at(if is_masked { 4 } else { 0 });
        let (payload, rest) = rest.split_at(len);
        if *first == 0x88 {
            assert!(rest.is_empty(), "nothing follows a Close");
            let mut payload = payload.to_vec();
            if let Some(key) = key.first_chunk() {
                raw_ws::mask(&mut payload, *key);
            }
            return Some(payload.first_chunk().map(|code| u16::from_be_bytes(*code)));
        }
        written = rest;
    }
    None
}

/// Compares; gives the name of the known difference if there was one.
fn compare(case: &Case) -> Result<&'static str, String> {
    let (ours, theirs) = (ours(case), theirs(case));
    let fail = |what: &str| Err(format!("{what}\nours: {ours:#?}\ntheirs: {theirs:#?}"));

    // We say what was wrong, with the code of RFC 6455 7.4.1, where tungstenite sends nothing.
    let code = match ours.verdict {
        Verdict::Protocol => Some(1002),
        Verdict::InvalidUtf8 => Some(1007),
        Verdict::TooBig => Some(1009),
        Verdict::Open | Verdict::Closed => None,
    };
    let is_violation = code.is_some();
    if is_violation && ours.close_written != Some(code) {
        return fail("our Close does not name the violation");
    }
    if theirs.verdict > Verdict::Closed && theirs.close_written.is_some() {
        return fail("tungstenite has learnt to send a Close: compare the codes");
    }
    if ours.verdict == theirs.verdict && ours.seen == theirs.seen {
        if !is_violation && ours.close_written != theirs.close_written {
            return fail("the Close is answered differently");
        }
        return Ok("the same");
    }
    match known_difference(case, &ours, &theirs)? {
        Some(name) => Ok(name),
        None => fail("an unknown difference"),
    }
}

fn known_difference(
    case: &Case,
    ours: &Outcome,
    theirs: &Outcome,
) -> Result<Option<&'static str>, String> {
    // The frame that ended the connection on our side.
    let is_over = |frames: &usize| self::ours(&case.prefix(*frames)).verdict != Verdict::Open;
    let Some(last) = (1..=case.frames.len()).find(is_over) else {
        return Ok(None);
    };
    let frame = &case.frames[last - 1];
    let is_cut_off = case.missing > 0 && last == case.frames.len();
    let sees_alike = ours.seen == theirs.seen;

    // RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the length". tungstenite
    // takes any form, and reads on as if it were the shortest.
    if ours.verdict == Verdict::Protocol
        && !frame.is_length_shortest()
        && frame.length_form != LengthForm::TopBitSet
    {
        if !theirs.seen.starts_with(&ours.seen) {
            return Ok(None);
        }
        let mut mended = case.clone();
        for frame in mended
            .frames
            .iter_mut()
            .filter(|frame| !frame.is_length_shortest())
        {
            if frame.length_form != LengthForm::TopBitSet {
                frame.length_form = LengthForm::Shortest;
            }
        }
        // A frame that is cut off must not become whole, nor a whole one be cut off.
        if mended.missing == 0 {
            let mended_outcome = self::theirs(&mended);
            if mended_outcome.seen != theirs.seen || mended_outcome.verdict != theirs.verdict {
                return Ok(None);
            }
            compare(&mended)?;
        }
        return Ok(Some("a length not in its shortest form"));
    }

    // RFC 6455 7.4: a code that must not be on the wire is a violation. tungstenite answers 1002
    // too, but gives its caller a clean Close with a code that the peer did not send.
    let invented = Some(Seen::Close(Some((1002, "Protocol violation".into()))));
    if let Some(code) = frame.close_code()
        && theirs.seen.last() == invented.as_ref()
        && theirs.verdict == Verdict::Closed
        && theirs.close_written == Some(Some(1002))
    {
        let before = &theirs.seen[..theirs.seen.len() - 1];
        if ours.verdict == Verdict::Protocol && ours.seen == before {
            return Ok(Some("a close code that is not allowed"));
        }
        // 1014 is in the IANA registry (bad gateway); tungstenite does not know it.
        let (last, ours_before) = ours.seen.split_last().unwrap();
        if code == 1014
            && ours.verdict == Verdict::Closed
            && ours.close_written == Some(Some(1014))
            && matches!(last, Seen::Close(Some((1014, _))))
            && ours_before == before
        {
            return Ok(Some("close code 1014"));
        }
    }

    // We judge a header as soon as it is there, and text at its first bad byte; tungstenite waits
    // for the whole frame, and here it does not come.
    if is_cut_off && sees_alike && ours.verdict > Verdict::Closed && theirs.verdict == Verdict::Open
    {
        let name = match ours.verdict {
            Verdict::InvalidUtf8 => "text refused before its frame is whole",
            _ => "a header refused before its payload is there",
        };
        return Ok(Some(name));
    }

    // Two faults in one frame: which of them it is refused for is a matter of taste.
    if sees_alike && ours.verdict == Verdict::Protocol {
        let is_too_big = frame.payload.len() > LIMIT || frame.length_form == LengthForm::TopBitSet;
        if theirs.verdict == Verdict::TooBig && is_too_big {
            // tungstenite checks the size first. RFC 6455 5.2: the top bit "MUST be 0".
            return Ok(Some("a frame of a wrong form that is too big as well"));
        }
        if theirs.verdict == Verdict::InvalidUtf8 && frame.close_code().is_some() {
            return Ok(Some(
                "a close code not allowed, with a reason that is not text",
            ));
        }
    }
    Ok(None)
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[a-zäßłж€𝄞😀]{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..20),
        2 => prop::sample::select(vec![0_usize, 1, 125, 126, 127, 300, LIMIT - 1, LIMIT, LIMIT + 1])
            .prop_map(|len| vec![b'x'; len]),
    ]
}

fn control() -> impl Strategy<Value = RawFrame> {
    let payload = prop_oneof![9 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..=125)];
    (prop::sample::select(vec![0x89_u8, 0x8a]), payload)
        .prop_map(|(first, payload)| RawFrame::new(first, payload))
}

/// A message in fragments, perhaps with control frames between them; its text may be cut inside a
/// character.
fn message() -> impl Strategy<Value = Vec<RawFrame>> {
    let cuts = vec(any::<prop::sample::Index>(), 0..4);
    let between = vec(prop::option::weighted(0.3, control()), 4);
    (any::<bool>(), payload(), cuts, between).prop_map(|(is_text, payload, cuts, between)| {
        let mut cuts: Vec<usize> = cuts.iter().map(|i| i.index(payload.len() + 1)).collect();
        cuts.extend([0, payload.len()]);
        cuts.sort_unstable();
        let count = cuts.len() - 1;
        let mut frames = Vec::new();
        for (nth, cut) in cuts.windows(2).enumerate() {
            let opcode = match nth {
                0 => 2 - u8::from(is_text),
                _ => 0,
            };
            let fin = if nth + 1 == count { 0x80 } else { 0 };
            frames.push(RawFrame::new(fin | opcode, &payload[cut[0]..cut[1]]));
            if nth + 1 < count {
                frames.extend(between[nth].clone());
            }
        }
        frames
    })
}

fn close() -> impl Strategy<Value = RawFrame> {
    let code = prop_oneof![
        4 => prop::sample::select(vec![1000_u16, 1001, 1011, 3000, 4999]),
        2 => 998_u16..1020,
        1 => any::<u16>(),
        1 => prop::sample::select(vec![2999_u16, 5000]),
    ];
    let reason = prop_oneof![
        6 => "[a-zж€]{0,20}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..10),
        1 => Just(vec![b'x'; 123]),
    ];
    let payload = prop_oneof![
        1 => Just(Vec::new()),
        1 => vec(any::<u8>(), 1),
        10 => (code, reason).prop_map(|(code, reason)| [&code.to_be_bytes()[..], &reason].concat()),
    ];
    payload.prop_map(|payload| RawFrame::new(0x88, payload))
}

/// A frame with anything wrong with it, or nothing.
fn stray() -> impl Strategy<Value = RawFrame> {
    let form = prop_oneof![
        Just(LengthForm::Shortest),
        Just(LengthForm::In16Bits),
        Just(LengthForm::In64Bits),
        Just(LengthForm::TopBitSet),
    ];
    let valid = || prop_oneof![message().prop_map(|frames| frames[0].clone()), control()];
    prop_oneof![
        (any::<u8>(), payload()).prop_map(|(first, payload)| RawFrame::new(first, payload)),
        (
            prop::sample::select(vec![0x00_u8, 0x80, 0x01, 0x82]),
            payload()
        )
            .prop_map(|(first, payload)| RawFrame::new(first, payload)),
        (valid(), 1_u8..8).prop_map(|(mut frame, rsv)| {
            frame.first |= rsv << 4;
            frame
        }),
        valid().prop_map(|mut frame| {
            frame.is_masked_rightly = false;
            frame
        }),
        (valid(), form).prop_map(|(mut frame, length_form)| {
            frame.length_form = length_form;
            frame
        }),
        control().prop_map(|mut frame| {
            frame.first &= 0x7f;
            frame
        }),
        (control(), 126_usize..300).prop_map(|(mut frame, len)| {
            frame.payload.resize(len, 0);
            frame
        }),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let frames = vec(
        prop_oneof![
            10 => message(),
            3 => control().prop_map(|frame| vec![frame]),
            1 => close().prop_map(|frame| vec![frame]),
            2 => stray().prop_map(|frame| vec![frame]),
        ],
        1..6,
    )
    .prop_map(|units| units.concat());
    let missing = prop_oneof![3 => Just(0_usize), 2 => 1_usize..12, 1 => 1_usize..300];
    let cuts = vec(any::<prop::sample::Index>(), 0..12);
    (any::<bool>(), frames, missing, cuts).prop_map(|(to_server, frames, missing, cuts)| Case {
        to_server,
        frames,
        missing,
        cuts,
    })
}

#[test]
fn random_frames_have_the_outcome_they_have_in_tungstenite() {
    let number = |name| env::var(name).ok().and_then(|value| value.parse().ok());
    let seed: u64 = number("DIFFERENTIAL_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_nanos() as u64
    });
    println!("DIFFERENTIAL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = ProptestConfig {
        cases: number("DIFFERENTIAL_CASES").unwrap_or(4_000) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);

    let met = Mutex::new(BTreeMap::<String, usize>::new());
    let run = runner.run(&case(), |case| {
        let how = compare(&case).map_err(TestCaseError::fail)?;
        let mut met = met.lock().unwrap();
        *met.entry(how.into()).or_default() += 1;
        let verdict = format!("{:?} for us", ours(&case).verdict);
        *met.entry(verdict).or_default() += 1;
        Ok(())
    });
    let met = met.into_inner().unwrap();
    println!("{met:#?}");
    match run {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            panic!("DIFFERENTIAL_SEED={seed}\n{case:#?}\n{reason}")
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    // The generator reaches every verdict, or the comparison says little.
    for verdict in ["Open", "Closed", "Protocol", "InvalidUtf8", "TooBig"] {
        let count = met.get(&format!("{verdict} for us")).copied();
        assert!(count > Some(20), "{verdict}: {count:?}");
    }
}

fn one(to_server: bool, frames: &[RawFrame], missing: usize) -> Case {
    Case {
        to_server,
        frames: frames.to_vec(),
        missing,
        cuts: Vec::new(),
    }
}

#[test]
fn every_close_code_has_the_outcome_it_has_in_tungstenite_or_a_known_one() {
    for code in 0..=u16::MAX {
        let close = RawFrame::new(0x88, code.to_be_bytes());
        let expected = match code {
            1000..=1003 | 1007..=1013 | 3000..=4999 => "the same",
            1014 => "close code 1014",
            _ => "a close code that is not allowed",
        };
        assert_eq!(compare(&one(true, &[close], 0)), Ok(expected), "{code}");
    }
}

/// One case for each known difference, so that none is met by chance only.
#[test]
fn the_known_differences_are_still_there() {
    let with_form = |first, payload: Vec<u8>, form| RawFrame {
        length_form: form,
        ..RawFrame::new(first, payload)
    };
    let unmasked = |first, payload: Vec<u8>| RawFrame {
        is_masked_rightly: false,
        ..RawFrame::new(first, payload)
    };
    let shortest = "a length not in its shortest form";
    let early = "a header refused before its payload is there";
    let text = "text refused before its frame is whole";
    let both = "a frame of a wrong form that is too big as well";
    let cases = [
        (
            shortest,
            with_form(0x82, vec![1; 125], LengthForm::In16Bits),
            0,
        ),
        (
            shortest,
            with_form(0x82, vec![1; 126], LengthForm::In64Bits),
            0,
        ),
        (text, RawFrame::new(0x81, *b"a\xffb"), 1),
        (text, RawFrame::new(0x01, *b"\xed\xa0\x80"), 1),
        (early, RawFrame::new(0xa2, *b"ab"), 1),
        (early, RawFrame::new(0x80, *b"ab"), 1),
        (early, RawFrame::new(0x09, *b"ab"), 1),
        (early, RawFrame::new(0x89, [0; 126]), 1),
        (early, unmasked(0x82, vec![1; 2]), 1),
        (both, unmasked(0x82, vec![1; LIMIT + 1]), 0),
        (both, with_form(0x82, vec![], LengthForm::TopBitSet), 0),
        (both, RawFrame::new(0x80, [1; LIMIT + 1]), 0),
        (
            "a close code not allowed, with a reason that is not text",
            RawFrame::new(0x88, *b"\x03\xed\xff"),
            0,
        ),
    ];
    for to_server in [true, false] {
        for (name, frame, missing) in &cases {
            let case = one(to_server, std::slice::from_ref(frame), *missing);
            assert_eq!(compare(&case), Ok(*name), "{case:?}");
        }
    }
}

/// RFC 6455 5.5.1: what follows a Close is discarded, we say; as a client, tungstenite calls it a
/// violation when it is read on.
#[test]
fn data_behind_a_close_is_discarded_by_us_and_refused_by_tungstenites_client() {
    let frames = [
        RawFrame::new(0x88, *b"\x03\xe8"),
        RawFrame::new(0x82, *b"x"),
    ];
    let case = one(false, &frames, 0);
    assert_eq!(ours(&case).verdict, Verdict::Closed);
    let wire = Wire {
        parts: case.parts().into(),
        written: Vec::new(),
    };
    let role = tungstenite::protocol::Role::Client;
    let mut socket = WebSocket::from_raw_socket(wire, role, None);
    assert!(socket.read().unwrap().is_close());
    assert!(matches!(
        socket.read(),
        Err(tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ReceivedAfterClosing
        ))
    ));
}
