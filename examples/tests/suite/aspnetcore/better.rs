//! Where ours answers otherwise than ASP.NET Core, and why that is better.

use super::client::RESET;

/// A difference that is meant: what each of the two says in these conversations.
pub(crate) struct Better {
    pub(crate) conversations: &'static [&'static str],
    pub(crate) theirs: &'static [&'static str],
    pub(crate) ours: &'static [&'static str],
    /// As the README's table says it.
    pub(crate) reason: &'static str,
}

const CODE_ARRIVES: &str = "The Close of a violation arrives";
const REASON: &str = "A Close for a violation says why";
const INVALID_UTF8: &str = "A close reason that is not UTF-8 is 1007";
const LENGTHS: &str = "A length must be in its shortest form";
const COMPRESSED_PING: &str = "A compressed control frame is refused";
const MESSAGE_SIZE: &str = "Messages have a largest size";
const FRAGMENTS: &str = "Messages have a largest number of fragments";
const CONTROL_FRAMES: &str = "Control frames have a rate";
const ORIGIN: &str = "Pages of foreign origins are refused";
const UPGRADE: &str = "A refused upgrade says what is wrong";
const HTTP_1_0: &str = "HTTP/1.0 is not upgraded";
const ANSWERED: &str = "A Close is answered for you";
const WHOLE: &str = "You get whole messages";
const NO_WINDOW: &str = "Compression keeps no window by default";
const OFFERS: &str = "An invalid offer of compression is declined";
const SHORT: &str = "Short messages go uncompressed";

/// Of [`KEPT_ALIVE_THEIRS`] and [`KEPT_ALIVE_OURS`].
pub(crate) const KEEP_ALIVE: &str = "A client that answers no ping is gone";

/// What a client hears that says nothing for 50 s. The real server is set to 30 s.
pub(crate) const KEPT_ALIVE_THEIRS: &[&str] = &["101", "pong \"\"", "open after 50 s"];
pub(crate) const KEPT_ALIVE_OURS: &[&str] = &["101", "ping \"\"", "FIN"];

const NO_CONTEXT: &str = "sec-websocket-extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover";
const GOODBYE: &str = "close 1000 \"\"";

/// All of them. A difference that is not here fails the test, and so does one that is here and
/// has disappeared.
pub(crate) const BETTER: &[Better] = &[
    Better {
        conversations: &[
            "an unmasked frame",
            "a continuation of nothing",
            "a new message inside a fragmented one",
            "a control frame of 126 bytes",
            "a fragmented control frame",
            "a length of 2^63",
            "a compressed message where nothing was agreed",
            "reserved bit 1",
            "reserved bit 2",
            "reserved bit 3",
            "reserved opcode 3",
            "reserved opcode 7",
            "reserved opcode 11",
            "reserved opcode 15",
        ],
        theirs: &["101", RESET],
        ours: &["101", "close 1002 \"protocol error\"", "FIN"],
        reason: CODE_ARRIVES,
    },
    Better {
        conversations: &[
            "text that is not UTF-8",
            "text that is not UTF-8 in its first fragment",
            "text that ends inside a character",
            "a surrogate in text",
        ],
        theirs: &["101", RESET],
        ours: &["101", "close 1007 \"invalid UTF-8\"", "FIN"],
        reason: CODE_ARRIVES,
    },
    Better {
        conversations: &["a violation behind a message"],
        theirs: &["101", RESET],
        ours: &[
            "101",
            "text \"right\"",
            "close 1002 \"protocol error\"",
            "FIN",
        ],
        reason: CODE_ARRIVES,
    },
    Better {
        conversations: &["the bit of compression on a continuation"],
        theirs: &["101", NO_CONTEXT, RESET],
        ours: &["101", NO_CONTEXT, "close 1002 \"protocol error\"", "FIN"],
        reason: CODE_ARRIVES,
    },
    Better {
        conversations: &["compressed data that is none"],
        theirs: &["101", NO_CONTEXT, RESET],
        ours: &[
            "101",
            NO_CONTEXT,
            "close 1007 \"invalid compressed data\"",
            "FIN",
        ],
        reason: CODE_ARRIVES,
    },
    Better {
        conversations: &["compressed text that is not UTF-8"],
        theirs: &["101", NO_CONTEXT, RESET],
        ours: &["101", NO_CONTEXT, "close 1007 \"invalid UTF-8\"", "FIN"],
        reason: CODE_ARRIVES,
    },
    Better {
        conversations: &[
            "close with a payload of one byte",
            "close 0",
            "close 999",
            "close 1004",
            "close 1005",
            "close 1006",
            "close 1015",
            "close 1016",
            "close 1100",
            "close 2000",
            "close 2999",
            "close 5000",
            "close 65535",
        ],
        theirs: &["101", "close 1002 \"\"", "FIN"],
        ours: &["101", "close 1002 \"protocol error\"", "FIN"],
        reason: REASON,
    },
    Better {
        conversations: &["close with a reason that is not UTF-8"],
        theirs: &["101", "close 1002 \"\"", "FIN"],
        ours: &["101", "close 1007 \"invalid UTF-8\"", "FIN"],
        reason: INVALID_UTF8,
    },
    Better {
        conversations: &["a length in two bytes for one"],
        theirs: &["101", "text \"long\"", "silence for 5 s"],
        ours: &["101", "close 1002 \"protocol error\"", "FIN"],
        reason: LENGTHS,
    },
    Better {
        conversations: &["a length in eight bytes for one"],
        theirs: &["101", "text \"longer\"", "silence for 5 s"],
        ours: &["101", "close 1002 \"protocol error\"", "FIN"],
        reason: LENGTHS,
    },
    Better {
        conversations: &["the bit of compression on a ping"],
        theirs: &["101", NO_CONTEXT, "pong \"squeezed\"", "silence for 5 s"],
        ours: &["101", NO_CONTEXT, "close 1002 \"protocol error\"", "FIN"],
        reason: COMPRESSED_PING,
    },
    Better {
        conversations: &["a message over 64 KiB"],
        theirs: &[
            "101",
            "binary of 65537 bytes, digest 40dffb4c7d10b62c",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", "close 1009 \"message too big\"", "FIN"],
        reason: MESSAGE_SIZE,
    },
    Better {
        conversations: &["the header of 4 GiB"],
        theirs: &["101", "silence for 5 s"],
        ours: &["101", "close 1009 \"message too big\"", "FIN"],
        reason: MESSAGE_SIZE,
    },
    Better {
        conversations: &["2 MiB compressed into little"],
        theirs: &[
            "101",
            NO_CONTEXT,
            "text of 2097152 bytes, digest 1d16eb8bf6a22325 compressed",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", NO_CONTEXT, "close 1009 \"message too big\"", "FIN"],
        reason: MESSAGE_SIZE,
    },
    Better {
        conversations: &["a message in 129 frames"],
        theirs: &["101", "text \"\"", GOODBYE, "FIN"],
        ours: &["101", "close 1008 \"too many fragments\"", "FIN"],
        reason: FRAGMENTS,
    },
    Better {
        conversations: &["300 pings at once"],
        theirs: &["101", "pong \"\" (300 times)", GOODBYE, "FIN"],
        ours: &[
            "101",
            "pong \"\" (200 times)",
            "close 1008 \"too many control frames\"",
            "FIN",
        ],
        reason: CONTROL_FRAMES,
    },
    Better {
        conversations: &["a foreign Origin", "the Origin null"],
        theirs: &["101", GOODBYE, "FIN"],
        ours: &["403"],
        reason: ORIGIN,
    },
    Better {
        conversations: &["version 12", "no version"],
        theirs: &["400"],
        ours: &["426", "sec-websocket-version: 13", "upgrade: websocket"],
        reason: UPGRADE,
    },
    Better {
        conversations: &["a POST upgrade"],
        theirs: &["400"],
        ours: &["405", "allow: GET"],
        reason: UPGRADE,
    },
    Better {
        conversations: &["HTTP/1.0"],
        theirs: &["101", GOODBYE, "FIN"],
        ours: &["426", "sec-websocket-version: 13", "upgrade: websocket"],
        reason: HTTP_1_0,
    },
    // Their examples send the client's reason back, or one of their own.
    Better {
        conversations: &["close 1000 with a reason"],
        theirs: &["101", "close 1000 \"that is all\"", "FIN"],
        ours: &["101", GOODBYE, "FIN"],
        reason: ANSWERED,
    },
    Better {
        conversations: &["close with a reason of 123 bytes"],
        theirs: &[
            "101",
            "close 1000 of 123 bytes, digest 7da234438f72af75",
            "FIN",
        ],
        ours: &["101", GOODBYE, "FIN"],
        reason: ANSWERED,
    },
    Better {
        conversations: &["close 3000"],
        theirs: &["101", "close 3000 \"a library's\"", "FIN"],
        ours: &["101", "close 3000 \"\"", "FIN"],
        reason: ANSWERED,
    },
    Better {
        conversations: &["close 4999"],
        theirs: &["101", "close 4999 \"an application's\"", "FIN"],
        ours: &["101", "close 4999 \"\"", "FIN"],
        reason: ANSWERED,
    },
    Better {
        conversations: &["close without a code"],
        theirs: &["101", GOODBYE, "FIN"],
        ours: &["101", "close without a code", "FIN"],
        reason: ANSWERED,
    },
    Better {
        conversations: &["lesson: close"],
        theirs: &["101", "close 1000 \"Closing\"", "FIN"],
        ours: &["101", GOODBYE, "FIN"],
        reason: ANSWERED,
    },
    Better {
        conversations: &["close inside a fragmented message"],
        theirs: &["101", GOODBYE, "half a text \"unfinished \"", "FIN"],
        ours: &["101", GOODBYE, "FIN"],
        reason: WHOLE,
    },
    Better {
        conversations: &[
            "offer: permessage-deflate",
            "offer: x-webkit-deflate-frame, permessage-deflate",
        ],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", NO_CONTEXT, GOODBYE, "FIN"],
        reason: NO_WINDOW,
    },
    Better {
        conversations: &["offer: permessage-deflate; client_max_window_bits"],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits=15",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", NO_CONTEXT, GOODBYE, "FIN"],
        reason: NO_WINDOW,
    },
    Better {
        conversations: &["offer: permessage-deflate; client_max_window_bits=10"],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits=10",
            GOODBYE,
            "FIN",
        ],
        ours: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; client_max_window_bits=10; client_no_context_takeover; server_no_context_takeover",
            GOODBYE,
            "FIN",
        ],
        reason: NO_WINDOW,
    },
    Better {
        conversations: &[
            "offer: permessage-deflate; server_max_window_bits=10",
            "offer: permessage-deflate; server_max_window_bits=\"10\"",
        ],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; server_max_window_bits=10",
            GOODBYE,
            "FIN",
        ],
        ours: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; client_no_context_takeover; server_max_window_bits=10; server_no_context_takeover",
            GOODBYE,
            "FIN",
        ],
        reason: NO_WINDOW,
    },
    Better {
        conversations: &["offer: permessage-deflate; server_no_context_takeover"],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; server_no_context_takeover",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", NO_CONTEXT, GOODBYE, "FIN"],
        reason: NO_WINDOW,
    },
    Better {
        conversations: &["offer: permessage-deflate; client_no_context_takeover"],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; client_no_context_takeover",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", NO_CONTEXT, GOODBYE, "FIN"],
        reason: NO_WINDOW,
    },
    Better {
        conversations: &["offer: permessage-deflate; mystery"],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", GOODBYE, "FIN"],
        reason: OFFERS,
    },
    Better {
        conversations: &["offer: permessage-deflate; mystery, permessage-deflate"],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", NO_CONTEXT, GOODBYE, "FIN"],
        reason: OFFERS,
    },
    Better {
        conversations: &["offer: permessage-deflate; server_max_window_bits"],
        theirs: &[
            "101",
            "sec-websocket-extensions: permessage-deflate; server_max_window_bits=15",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", GOODBYE, "FIN"],
        reason: OFFERS,
    },
    Better {
        conversations: &["a short compressed message"],
        theirs: &[
            "101",
            NO_CONTEXT,
            "text \"Hello\" compressed",
            GOODBYE,
            "FIN",
        ],
        ours: &["101", NO_CONTEXT, "text \"Hello\"", GOODBYE, "FIN"],
        reason: SHORT,
    },
    Better {
        conversations: &["an empty message among compressed ones"],
        theirs: &["101", NO_CONTEXT, "text \"\" compressed", GOODBYE, "FIN"],
        ours: &["101", NO_CONTEXT, "text \"\"", GOODBYE, "FIN"],
        reason: SHORT,
    },
];
