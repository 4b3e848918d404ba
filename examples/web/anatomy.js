// One call, and its answer, as the bytes of each lane: fields with their names, bytes and meaning.
//
// A step is { title, direction, fields }, a field { name, bytes, tint, about } or, where HTTP is
// read by people anyway, { name, text, about }.

import { Type, writeHandshake } from "./hub-protocols.js";
import { encode as pack } from "./msgpack.js";

const bytesOf = (text) => new TextEncoder().encode(text);
const textOf = (bytes) => new TextDecoder().decode(bytes);
const KEY = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d); // of RFC 6455's example; a browser takes a new one for each frame
const ID = "1";
const TOKEN = "nVk1Xe4qLk3yq0vJm1d2Ag";
const TEXT = 1, BINARY = 2;

export const lengthOf = ({ fields }) => fields.reduce((sum, field) => sum + (field.bytes ?? bytesOf(field.text)).length, 0);

/** How the lane connects, and one call: { connecting: [steps], call: [steps] }. */
export function exchange(lane, text) {
  switch (lane.id) {
    case "raw": return {
      connecting: upgrade("/raw/echo"),
      call: [
        frame("The message", "up", BINARY, [payload("your bytes", bytesOf(text), "The payload is yours. Nobody looks into it.")]),
        frame("The answer", "down", BINARY, [payload("your bytes", bytesOf(text), "The same bytes, back.")]),
      ],
    };
    case "wire": return {
      connecting: upgrade("/raw/wire"),
      call: [
        frame("The request", "up", BINARY, packet(1, 1, bytesOf(text))),
        frame("The response", "down", BINARY, packet(2, 0, bytesOf(text))),
      ],
    };
    case "hubMessagePack": return {
      connecting: [...negotiation(), ...upgrade(`/hub?id=${TOKEN}`), ...handshakes(lane)],
      call: [frame("The invocation", "up", BINARY, packedCall(text)), frame("The completion", "down", BINARY, packedAnswer(text))],
    };
    case "hubJson": return {
      connecting: [...negotiation(), ...upgrade(`/hub?id=${TOKEN}`), ...handshakes(lane)],
      call: [frame("The invocation", "up", TEXT, jsonCall(text)), frame("The completion", "down", TEXT, jsonAnswer(text))],
    };
    case "hubSse": return {
      connecting: [...negotiation(), ...events(), ...posted("The hub handshake", handshakeFields(lane)), event("Its answer", [field("{}", bytesOf("{}\x1e"), "payload", "Agreed: an error would stand here.")])],
      call: [...posted("The invocation", jsonCall(text)), event("The completion", jsonAnswer(text))],
    };
    default: return {
      connecting: [...negotiation(), ...poll("The first poll, answered at once", []), ...posted("The hub handshake", handshakeFields(lane)), ...poll("The next poll", [field("{}", bytesOf("{}\x1e"), "payload", "Agreed: an error would stand here.")])],
      call: [...posted("The invocation", jsonCall(text)), ...poll("A poll that waited", jsonAnswer(text))],
    };
  }
}

const field = (name, bytes, tint, about) => ({ name, bytes, tint, about });
const payload = (name, bytes, about) => field(name, bytes, "payload", about);
const line = (name, text, about) => ({ name, text: `${text}\r\n`, about });

// HTTP, as a native client would write it; browsers add a dozen lines.

const HOST = line("Host", "Host: 127.0.0.1:8080", "Whom the client means; a server may refuse others.");
const DATE = line("Date", "date: Sun, 29 Nov 2026 10:11:12 GMT", "When; every answer has it.");
const fresh = (...lines) => lines.map((one) => line("caching", one, "No cache may keep it, old ones included."));
const END = line("", "", "An empty line ends the head.");
const up = (title, fields) => ({ title, direction: "up", fields });
const down = (title, fields) => ({ title, direction: "down", fields });

function upgrade(path) {
  return [
    up("The opening handshake", [
      line("request", `GET ${path} HTTP/1.1`, "RFC 6455, section 4.1: a WebSocket begins as a GET."),
      HOST,
      line("Connection", "Connection: Upgrade", "This hop is to change its protocol …"),
      line("Upgrade", "Upgrade: websocket", "… to this one."),
      line("Version", "Sec-WebSocket-Version: 13", "The only version there is."),
      line("Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "16 random bytes in Base64. Only a server that knows WebSockets can answer them."),
      END,
    ]),
    down("The answer", [
      line("status", "HTTP/1.1 101 Switching Protocols", "Agreed: what follows is frames."),
      line("Connection", "connection: Upgrade", "This hop changes its protocol …"),
      line("Upgrade", "upgrade: websocket", "… to this one."),
      line("Accept", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "SHA-1 of the key and a fixed text, in Base64: proof that the server read the request."),
      DATE, END,
    ]),
  ];
}

function negotiation() {
  const transports = [["WebSockets", "Text", "Binary"], ["ServerSentEvents", "Text"], ["LongPolling", "Text", "Binary"]];
  const availableTransports = transports.map(([transport, ...transferFormats]) => ({ transport, transferFormats }));
  const body = JSON.stringify({ negotiateVersion: 1, connectionId: "Jt0wFqZ7a1Jr2kJ5c0W8Ew", connectionToken: TOKEN, availableTransports });
  return [
    up("Negotiation", [
      line("request", "POST /hub/negotiate?negotiateVersion=1 HTTP/1.1", "Which transports do you have? Clients that skip this use WebSockets at once."),
      HOST, line("Content-Length", "Content-Length: 0", "No body."), END,
    ]),
    down("The offer", [
      line("status", "HTTP/1.1 200 OK", "Here they are."),
      line("Content-Type", "content-type: application/json", "Read by the client, whatever protocol follows."),
      line("Content-Length", `content-length: ${body.length}`, "Of the body."), DATE, END,
      { name: "body", text: body, about: "A public id, a secret token that later requests bring along, and the transports with their formats." },
    ]),
  ];
}

const events = () => [
  up("The event stream", [
    line("request", `GET /hub?id=${TOKEN} HTTP/1.1`, "One GET whose answer never ends: all that the server says."),
    HOST, line("Accept", "Accept: text/event-stream", "Server-sent events, as EventSource asks for them."), END,
  ]),
  down("It begins", [
    line("status", "HTTP/1.1 200 OK", "It begins at once."),
    line("Content-Type", "content-type: text/event-stream", "Lines of text without end."),
    ...fresh("cache-control: no-cache,no-store", "pragma: no-cache"),
    line("Content-Encoding", "content-encoding: identity", "Proxies are not to compress it, for which they would wait."),
    line("Buffering", "x-accel-buffering: no", "nginx is not to hold events back."),
    line("Transfer-Encoding", "transfer-encoding: chunked", "Its length is not known."), DATE, END,
    field("chunk", bytesOf("3\r\n"), "header", "How long the chunk is, in hexadecimal."),
    field("comment", bytesOf(":\r\n"), "header", "A line of comment: so that proxies pass the head on at once."),
    field("end", bytesOf("\r\n"), "header", "The end of the chunk."),
  ]),
];

function event(title, fields) {
  const length = fields.reduce((sum, { bytes }) => sum + bytes.length, 0) + "data: \r\n\r\n".length;
  return down(title, [
    field("chunk", bytesOf(`${length.toString(16).toUpperCase()}\r\n`), "header", "How long the chunk is, in hexadecimal."),
    field("data:", bytesOf("data: "), "header", "Server-sent events carry lines of text: that is why they cannot carry MessagePack."),
    ...fields,
    field("end", bytesOf("\r\n\r\n\r\n"), "header", "The end of the line, of the event, and of the chunk."),
  ]);
}

function posted(title, fields) {
  const length = fields.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return [
    up(title, [
      line("request", `POST /hub?id=${TOKEN} HTTP/1.1`, "What the client says goes up in POSTs, one at a time."),
      HOST, line("Content-Length", `Content-Length: ${length}`, "Of the records behind the head."), END,
      ...fields,
    ]),
    down("It has arrived", [
      line("status", "HTTP/1.1 200 OK", "Only that: what the hub answers comes the other way."),
      line("Content-Type", "content-type: text/plain", "Of nothing."), line("Content-Length", "content-length: 0", "No body."), DATE, END,
    ]),
  ];
}

function poll(title, fields) {
  const length = fields.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return [
    up(title, [line("request", `GET /hub?id=${TOKEN} HTTP/1.1`, "Answered when there is something, after 90 s at the latest. The client polls again at once."), HOST, END]),
    down("Its answer", [
      line("status", "HTTP/1.1 200 OK", "All is well, also when there is nothing yet."),
      line("Content-Type", "content-type: application/octet-stream", "Records of either protocol."),
      ...fresh("cache-control: no-cache, no-store", "pragma: no-cache", "expires: Thu, 01 Jan 1970 00:00:00 GMT"),
      line("Content-Length", `content-length: ${length}`, "Of the records."), DATE, END, ...fields,
    ]),
  ];
}

// WebSocket frames.

const OPCODES = { [TEXT]: "text", [BINARY]: "binary" };

/** A final frame around the fields of its payload; what goes up is masked. */
function frame(title, direction, opcode, fields) {
  const length = fields.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const mask = direction === "up" ? 0x80 : 0;
  const extended = length < 126 ? [] : length < 65_536 ? [length >> 8, length & 0xff] : [0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff];
  const short = extended.length === 0 ? length : extended.length === 2 ? 126 : 127;
  let at = 0;
  const masked = ({ bytes, ...field }) => {
    const covered = bytes.map((byte, i) => byte ^ KEY[(at + i) % 4]);
    at += bytes.length;
    return { ...field, bytes: covered, plain: bytes };
  };
  return {
    title, direction,
    fields: [
      field("FIN, opcode", Uint8Array.of(0x80 | opcode), "header", `RFC 6455, section 5.2. 0x80: the last frame of its message. 0x0${opcode}: ${OPCODES[opcode]}.`),
      field("mask, length", Uint8Array.of(mask | short, ...extended), "header", `${mask ? "0x80: masked, as all that a client sends. " : "Not masked, as all that a server sends. "}${length} bytes of payload${extended.length ? `: ${short} says that the next ${extended.length} bytes are the length` : ""}.`),
      ...(mask ? [field("masking key", KEY, "mask", "Each byte of the payload is XORed with one of these in turn, so that no page can make a proxy take its bytes for HTTP.")] : []),
      ...(mask ? fields.map(masked) : fields),
    ],
  };
}

// The binary protocol, raw-ws/PROTOCOL.md.

function packet(kind, code, bytes) {
  const isRequest = kind === 1;
  return [
    field("kind", Uint8Array.of(kind), "inner", isRequest ? "1: a request." : "2: a response."),
    field("flags", Uint8Array.of(0), "inner", "Bit 0 would say that more answers follow: an item of a stream."),
    field("code", Uint8Array.of(0, code), "inner", isRequest ? "The operation, by number: 1 is echo." : "0; an error has its code here."),
    field("id", Uint8Array.of(0, 0, 0, 1), "inner", isRequest ? "The client's number for this request." : "Which request it answers."),
    payload("payload", bytes, "The application's bytes."),
  ];
}

// The hub protocol.

const handshakeFields = ({ protocol }) => [
  payload("hub handshake", bytesOf(writeHandshake({ name: protocol }, 1)), "Which protocol the client speaks from here on. This record is JSON whatever follows; 0x1e ends it."),
];

const handshakes = (lane) => [
  frame("The hub handshake", "up", TEXT, handshakeFields(lane)),
  frame("Its answer", "down", lane.protocol === "json" ? TEXT : BINARY, [payload("{}", bytesOf("{}\x1e"), "Agreed: an error would stand here.")]),
];

/** A record in MessagePack behind its length. */
function packed(parts) {
  const fields = parts.map(([name, bytes, tint, about]) => field(name, bytes, tint, about));
  const length = fields.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const prefix = length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
  return [field("length", Uint8Array.from(prefix), "inner", "How long the record is, seven bits in each byte."), ...fields];
}

const packedCall = (text) => packed([
  ["array of 6", Uint8Array.of(0x96), "inner", "A record is an array: parts have a place instead of a name."],
  ["type", Uint8Array.of(Type.invocation), "inner", "1: an invocation."],
  ["headers", Uint8Array.of(0x80), "inner", "An empty map."],
  ["invocationId", pack(ID), "inner", "What the answer will carry. Without it nobody answers."],
  ["target", pack("Echo"), "inner", "The method, by name."],
  ["array of 1", Uint8Array.of(0x91), "inner", "The arguments."],
  ["argument", pack(text), "payload", "The text, behind its length."],
  ["streamIds", Uint8Array.of(0x90), "inner", "No stream goes up with it."],
]);

const packedAnswer = (text) => packed([
  ["array of 5", Uint8Array.of(0x95), "inner", "A record is an array."],
  ["type", Uint8Array.of(Type.completion), "inner", "3: a completion."],
  ["headers", Uint8Array.of(0x80), "inner", "An empty map."],
  ["invocationId", pack(ID), "inner", "Which call it answers."],
  ["result kind", Uint8Array.of(3), "inner", "3: a value follows. 1 would be an error, 2 nothing."],
  ["result", pack(text), "payload", "The text, behind its length."],
]);

const json = (parts) => parts.map(([name, text, tint, about]) => field(name, bytesOf(text), tint, about));

const jsonCall = (text) => json([
  ["type", `{"type":1,`, "inner", "1: an invocation."],
  ["invocationId", `"invocationId":"${ID}",`, "inner", "What the answer will carry. Without it nobody answers."],
  ["target", `"target":"Echo",`, "inner", "The method, by name."],
  ["arguments", `"arguments":[`, "inner", "In their order."],
  ["argument", JSON.stringify(text), "payload", "The text."],
  ["end", "]}\x1e", "inner", "0x1e ends a record: several may come in one message."],
]);

const jsonAnswer = (text) => json([
  ["type", `{"type":3,`, "inner", "3: a completion."],
  ["invocationId", `"invocationId":"${ID}",`, "inner", "Which call it answers."],
  ["result", `"result":`, "inner", "An error would stand here as \"error\"."],
  ["value", JSON.stringify(text), "payload", "The text."],
  ["end", "}\x1e", "inner", "0x1e ends a record."],
]);

/** A field's bytes as text, where they are that. */
export function readable({ bytes, plain = bytes }) {
  const text = textOf(plain);
  return /^[\p{L}\p{N}\p{P}\p{S}\p{Zs}\x1e\r\n]*$/u.test(text) ? JSON.stringify(text) : null;
}
