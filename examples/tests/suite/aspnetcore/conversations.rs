//! The table of conversations: what clients say, right and wrong.

use super::{
    frames::{
        beginning, binary, binary_in, close, compressed, compressed_by_the_second_frame,
        compressed_in_two, end, enormous_message, frame, half_a_ping, impossible_length,
        long_control, middle, ping, pong, raw_close, text, text_in, text_with_a_long_length,
        text_with_a_longer_length, unmasked,
    },
    servers::Place,
};

/// What one client after the other does with a request of this head.
pub(crate) struct Conversation {
    pub(crate) name: String,
    pub(crate) place: Place,
    /// `{path}` and `{host}` are the server's.
    pub(crate) head: String,
    pub(crate) clients: Vec<Vec<Step>>,
}

/// What a client does. After its last step it listens until the connection ends.
pub(crate) enum Step {
    /// Writes these bytes at once.
    Send(Vec<u8>),
    /// Listens for one thing: a whole message, a Ping, a Pong, a Close, or the end.
    Hear,
    /// Vanishes: the operating system answers whatever still comes with a reset.
    Reset,
    /// Sends no more, without a Close.
    HalfClose,
}

use Step::{HalfClose, Hear, Reset, Send};

/// Of an upgrade without fault.
pub(crate) const HEAD: &[&str] = &[
    "GET {path} HTTP/1.1",
    "Host: {host}",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

pub(crate) fn head(lines: &[&str]) -> String {
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

/// All of them. Names are unique.
pub(crate) fn conversations() -> Vec<Conversation> {
    let mut all = opening_handshakes();
    all.extend(messages());
    all.extend(control_frames());
    all.extend(closing_handshakes());
    all.extend(violations());
    all.extend(limits());
    all.extend(lessons());
    all.extend(offers_of_compression());
    all.extend(compressed_messages());
    all
}

fn upgraded(name: impl Into<String>, place: Place, steps: Vec<Step>) -> Conversation {
    Conversation {
        name: name.into(),
        place,
        head: head(HEAD),
        clients: vec![steps],
    }
}

fn echo(name: impl Into<String>, steps: Vec<Step>) -> Conversation {
    upgraded(name, Place::Echo, steps)
}

/// Says it, hears the answer, and says goodbye.
fn answered(bytes: Vec<u8>) -> Vec<Step> {
    vec![Send(bytes), Hear, Send(close(1000, ""))]
}

// ---------------------------------------------------------------------------------------------
// HTTP

fn opening_handshakes() -> Vec<Conversation> {
    let without = |name: &str| {
        let lines = HEAD.iter().filter(|line| !line.starts_with(name)).copied();
        lines.collect::<Vec<_>>()
    };
    let with = |line| [HEAD, &[line]].concat();
    let instead = |name: &str, line| [without(name), vec![line]].concat();
    let post = [&["POST {path} HTTP/1.1"], &HEAD[1..]].concat();
    let http_1_0 = [&["GET {path} HTTP/1.0"], &HEAD[1..]].concat();
    let version = |version| instead("Sec-WebSocket-Version", version);
    let key = |key| instead("Sec-WebSocket-Key", key);
    let table = [
        ("a plain GET", HEAD[..2].to_vec()),
        ("an upgrade", HEAD.to_vec()),
        (
            "an upgrade to something else",
            instead("Upgrade", "Upgrade: h2c"),
        ),
        ("no Upgrade header", without("Upgrade")),
        ("no Connection header", without("Connection")),
        (
            "a Connection header of several words",
            instead("Connection", "Connection: keep-alive, UPGRADE"),
        ),
        ("version 12", version("Sec-WebSocket-Version: 12")),
        ("no version", without("Sec-WebSocket-Version")),
        ("no key", without("Sec-WebSocket-Key")),
        ("a short key", key("Sec-WebSocket-Key: c2hvcnQ=")),
        (
            "a key that is not base64",
            key("Sec-WebSocket-Key: ????????????????????????"),
        ),
        (
            "two keys",
            with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        ),
        ("no Host header", without("Host")),
        ("two Host headers", with("Host: {host}")),
        ("a POST upgrade", post),
        ("HTTP/1.0", http_1_0),
        ("an upgrade with a body", with("Content-Length: 4")),
        (
            "an unknown subprotocol",
            with("Sec-WebSocket-Protocol: soap, wamp"),
        ),
        ("the Origin of this host", with("Origin: http://{host}")),
        ("a foreign Origin", with("Origin: https://evil.example")),
        ("the Origin null", with("Origin: null")),
        (
            "compression offered to an endpoint without it",
            with("Sec-WebSocket-Extensions: permessage-deflate"),
        ),
    ];
    let conversation = |(name, lines): (&str, Vec<&str>)| Conversation {
        name: name.into(),
        place: Place::Echo,
        head: head(&lines),
        clients: vec![vec![Send(close(1000, ""))]],
    };
    table.into_iter().map(conversation).collect()
}

// ---------------------------------------------------------------------------------------------
// Messages

fn messages() -> Vec<Conversation> {
    let mut all = Vec::new();
    // At the limits of each form of the length, and the largest message that we take by default.
    for len in [0, 1, 125, 126, 65_535, 65_536] {
        let letters: String = ('a'..='z').cycle().take(len).collect();
        let bytes: Vec<u8> = (0..=255).cycle().take(len).collect();
        all.push(echo(
            format!("text of {len} bytes"),
            answered(text(&letters)),
        ));
        all.push(echo(
            format!("binary of {len} bytes"),
            answered(binary(&bytes)),
        ));
    }
    let umlaut = "Hä€🦀".as_bytes();
    let at_every_byte: Vec<&[u8]> = umlaut.chunks(1).collect();
    all.extend([
        echo(
            "text in fragments",
            answered(text_in(&[b"one ", b"two ", b"three"])),
        ),
        echo(
            "binary in fragments",
            answered(binary_in(&[&[0, 1], &[2], &[255]])),
        ),
        echo(
            "text in empty fragments",
            answered(text_in(&[b"", b"", b""])),
        ),
        echo(
            "text between empty fragments",
            answered(text_in(&[b"", b"x", b""])),
        ),
        echo(
            "binary in empty fragments",
            answered(binary_in(&[b"", b""])),
        ),
        echo("characters of many bytes", answered(text("Hä€🦀"))),
        echo(
            "fragments that end inside characters",
            answered(text_in(&at_every_byte)),
        ),
        echo(
            "a ping between fragments",
            vec![
                Send(beginning("one ")),
                Send(ping("between")),
                Hear,
                Send(end("two")),
                Hear,
                Send(close(1000, "")),
            ],
        ),
        echo(
            "three messages at once",
            vec![
                Send([text("one"), binary(b"two"), text("three")].concat()),
                Hear,
                Hear,
                Hear,
                Send(close(1000, "")),
            ],
        ),
        echo(
            "a message byte by byte",
            text("slowly")
                .into_iter()
                .map(|byte| Send(vec![byte]))
                .chain([Hear, Send(close(1000, ""))])
                .collect(),
        ),
    ]);
    all
}

fn control_frames() -> Vec<Conversation> {
    vec![
        echo("a ping", answered(ping("there?"))),
        echo("an empty ping", answered(ping(""))),
        echo("a ping of 125 bytes", answered(ping(&"p".repeat(125)))),
        echo(
            "a pong that nobody asked for",
            answered([pong("here"), text("and on")].concat()),
        ),
    ]
}

// ---------------------------------------------------------------------------------------------
// The closing handshake

fn closing_handshakes() -> Vec<Conversation> {
    let closing = |name: &str, bytes| echo(name, vec![Send(bytes)]);
    let mut all = vec![
        closing("close 1000 with a reason", close(1000, "that is all")),
        closing("close 1001", close(1001, "")),
        closing("close 3000", close(3000, "a library's")),
        closing("close 4999", close(4999, "an application's")),
        closing("close without a code", raw_close(b"")),
        closing(
            "close with a reason of 123 bytes",
            close(1000, &"r".repeat(123)),
        ),
        closing("close with a payload of one byte", raw_close(&[3])),
        closing(
            "close with a reason that is not UTF-8",
            raw_close(&[0x03, 0xe8, 0xff]),
        ),
        closing(
            "close behind a message",
            [text("last words"), close(1000, "")].concat(),
        ),
        closing(
            "data behind the close",
            [close(1000, ""), text("too late")].concat(),
        ),
        closing(
            "close inside a fragmented message",
            [beginning("unfinished "), close(1000, "")].concat(),
        ),
        echo("the end without a close", vec![HalfClose]),
        echo(
            "the end inside a frame",
            vec![Send(text("cut")[..5].to_vec()), HalfClose],
        ),
    ];
    // Codes that RFC 6455 section 7.4 keeps off the wire, or gives to nobody; and one that it
    // gives to nobody but the registry does.
    for code in [
        0, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65_535,
    ] {
        all.push(closing(&format!("close {code}"), close(code, "")));
    }
    all
}

// ---------------------------------------------------------------------------------------------
// Violations

fn violations() -> Vec<Conversation> {
    let violation = |name: &str, bytes| echo(name, vec![Send(bytes)]);
    let mut all = vec![
        violation("an unmasked frame", unmasked("bare")),
        violation("a continuation of nothing", end("more")),
        violation(
            "a new message inside a fragmented one",
            [beginning("one"), text("two")].concat(),
        ),
        violation("a control frame of 126 bytes", long_control()),
        violation("a fragmented control frame", half_a_ping()),
        violation("text that is not UTF-8", frame(0x81, &[b'a', 0xff])),
        violation(
            "text that is not UTF-8 in its first fragment",
            frame(0x01, &[b'a', 0xff]),
        ),
        violation(
            "text that ends inside a character",
            frame(0x81, &"€".as_bytes()[..2]),
        ),
        violation("a surrogate in text", frame(0x81, &[0xed, 0xa0, 0x80])),
        violation(
            "a length in two bytes for one",
            text_with_a_long_length("long"),
        ),
        violation(
            "a length in eight bytes for one",
            text_with_a_longer_length("longer"),
        ),
        violation("a length of 2^63", impossible_length()),
        echo(
            "a violation behind a message",
            vec![Send([text("right"), unmasked("wrong")].concat())],
        ),
    ];
    for bit in 1..=3 {
        let bits = frame(0x81 | 0x80 >> bit, b"reserved");
        all.push(violation(&format!("reserved bit {bit}"), bits));
    }
    for opcode in [3, 7, 11, 15] {
        let reserved = frame(0x80 | opcode, b"");
        all.push(violation(&format!("reserved opcode {opcode}"), reserved));
    }
    all
}

fn limits() -> Vec<Conversation> {
    let fragments = |count: usize| text_in(&vec![&b""[..]; count]);
    vec![
        echo("a message over 64 KiB", answered(binary(&[1; 65_537]))),
        echo("the header of 4 GiB", vec![Send(enormous_message())]),
        echo("a message in 128 frames", answered(fragments(128))),
        echo("a message in 129 frames", answered(fragments(129))),
        echo(
            "300 pings at once",
            vec![Send(ping("").repeat(300)), Send(close(1000, ""))],
        ),
        upgraded(
            "a message of 1 MiB where that is allowed",
            Place::EchoDeflate,
            answered(binary(&vec![7; 1 << 20])),
        ),
    ]
}

// ---------------------------------------------------------------------------------------------
// The lesson

/// Says it, hears the answer, and lets the server say goodbye.
fn taught(bytes: Vec<u8>) -> Vec<Step> {
    vec![
        Send(bytes),
        Hear,
        Send(text("bye")),
        Hear,
        Send(close(1000, "")),
    ]
}

fn lessons() -> Vec<Conversation> {
    let lesson = |name: &str, steps| upgraded(name, Place::Lesson, steps);
    let then_another = |name: &str, first: Vec<Step>| Conversation {
        name: name.into(),
        place: Place::Lesson,
        head: head(HEAD),
        clients: vec![first, taught(text("ping"))],
    };
    vec![
        lesson("lesson: ping", taught(text("ping"))),
        lesson("lesson: text", taught(text("Hä€🦀"))),
        lesson("lesson: empty text", taught(text(""))),
        lesson(
            "lesson: fragmented text",
            taught(text_in(&[b"pi", b"", b"ng"])),
        ),
        lesson("lesson: binary", taught(binary(b"ping"))),
        lesson(
            "lesson: binary that is not UTF-8",
            taught(binary(&[b'a', 0xff])),
        ),
        lesson("lesson: long text", taught(text(&"x".repeat(10_000)))),
        lesson(
            "lesson: bye",
            vec![Send(text("bye")), Hear, Send(close(1000, "Goodbye"))],
        ),
        lesson(
            "lesson: bye, and messages that cross the close",
            vec![
                Send([text("bye"), text("wait")].concat()),
                Hear,
                Send(close(1000, "")),
            ],
        ),
        lesson("lesson: close", vec![Send(close(1000, "enough"))]),
        then_another(
            "lesson: a client vanishes",
            vec![Send(text("hello")), Hear, Reset],
        ),
        then_another(
            "lesson: a client vanishes inside a message",
            vec![Send(beginning("hel")), Reset],
        ),
    ]
}

// ---------------------------------------------------------------------------------------------
// Compression

fn offering(name: &str, offer: &str, steps: Vec<Step>) -> Conversation {
    let offer = format!("Sec-WebSocket-Extensions: {offer}");
    Conversation {
        name: name.into(),
        place: Place::EchoDeflate,
        head: head(&[HEAD, &[&offer]].concat()),
        clients: vec![steps],
    }
}

fn offers_of_compression() -> Vec<Conversation> {
    let offers = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=\"10\"",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; mystery",
        "permessage-deflate; mystery, permessage-deflate",
        "x-webkit-deflate-frame",
        "x-webkit-deflate-frame, permessage-deflate",
    ];
    let conversation = |offer| {
        offering(
            &format!("offer: {offer}"),
            offer,
            vec![Send(close(1000, ""))],
        )
    };
    offers.into_iter().map(conversation).collect()
}

fn compressed_messages() -> Vec<Conversation> {
    let conversation = |name: &str, steps| {
        offering(
            name,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            steps,
        )
    };
    let long = "compress me, ".repeat(100);
    vec![
        conversation("a compressed message", answered(compressed(&long))),
        conversation(
            "a compressed message in fragments",
            answered(compressed_in_two(&long)),
        ),
        conversation("a short compressed message", answered(compressed("Hello"))),
        conversation(
            "a plain message among compressed ones",
            answered(text(&long)),
        ),
        conversation("an empty message among compressed ones", answered(text(""))),
        conversation(
            "two compressed messages",
            vec![
                Send(compressed(&long)),
                Hear,
                Send(compressed(&long)),
                Hear,
                Send(close(1000, "")),
            ],
        ),
        conversation(
            "the bit of compression on a continuation",
            vec![Send(compressed_by_the_second_frame())],
        ),
        conversation(
            "the bit of compression on a ping",
            vec![Send(frame(0xc9, b"squeezed"))],
        ),
        conversation(
            "compressed data that is none",
            vec![Send(frame(0xc1, &[0xff; 8]))],
        ),
        conversation(
            "compressed text that is not UTF-8",
            // A stored block of 0xff.
            vec![Send(frame(0xc1, &[0, 1, 0, 0xfe, 0xff, 0xff, 0]))],
        ),
        conversation(
            "2 MiB compressed into little",
            answered(compressed(&"0".repeat(2 << 20))),
        ),
        upgraded(
            "a compressed message where nothing was agreed",
            Place::Echo,
            vec![Send([compressed("Hello"), middle("")].concat())],
        ),
    ]
}
