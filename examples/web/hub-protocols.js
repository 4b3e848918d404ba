// The two forms that a hub's messages have as bytes: JSON, and MessagePack.

import { decode, encode } from "./msgpack.js";

export const Type = {
  invocation: 1, streamItem: 2, completion: 3, streamInvocation: 4, cancelInvocation: 5,
  ping: 6, close: 7, ack: 8, sequence: 9,
};

const END = "\x1e"; // of each JSON record

/** The first message is JSON whatever follows it. */
export const writeHandshake = ({ name }, version) => `${JSON.stringify({ protocol: name, version })}${END}`;

/** The server's answer, and what came behind it. */
export function readHandshake(data) {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const end = bytes.indexOf(END.charCodeAt());
  if (end < 0) return { error: "not a hub handshake" };
  const answer = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)));
  const rest = bytes.subarray(end + 1);
  return { ...answer, rest: typeof data === "string" ? new TextDecoder().decode(rest) : rest };
}

const json = {
  name: "json",
  isBinary: false,
  write: (message) => JSON.stringify(message) + END,
  /** The messages in `data`, behind the `rest` of what came before, and the new rest. */
  read(data, rest) {
    const records = ((rest ?? "") + data).split(END);
    const last = records.pop();
    return [records.map((record) => JSON.parse(record)), last];
  },
};

const messagepack = {
  name: "messagepack",
  isBinary: true,

  write(message) {
    const { type, invocationId, target, arguments: args, streamIds = [] } = message;
    const parts = [type];
    if (type <= Type.cancelInvocation) parts.push({}, invocationId ?? null);
    if (type === Type.invocation || type === Type.streamInvocation) parts.push(target, args, streamIds);
    if (type === Type.streamItem) parts.push(message.item);
    if (type === Type.completion) {
      if (message.error !== undefined) parts.push(1, message.error);
      else if (message.result === undefined) parts.push(2);
      else parts.push(3, message.result);
    }
    if (type === Type.close) parts.push(message.error ?? null);
    if (type === Type.ack || type === Type.sequence) parts.push(message.sequenceId);
    return withLength(encode(parts));
  },

  read(data, rest) {
    const bytes = rest?.length ? join(rest, data) : data;
    const messages = [];
    let start = 0;
    for (;;) {
      const record = lengthAt(bytes, start);
      if (!record || record.end > bytes.length) return [messages, bytes.subarray(start)];
      messages.push(named(decode(bytes.subarray(record.start, record.end))));
      start = record.end;
    }
  },
};

export const PROTOCOLS = { json, messagepack };

/** A MessagePack record with the names that JSON gives its parts. */
function named([type, ...parts]) {
  if (type === Type.ping) return { type };
  if (type === Type.close) return { type, error: parts[0], allowReconnect: parts[1] };
  if (type === Type.ack || type === Type.sequence) return { type, sequenceId: parts[0] };
  const [, invocationId, third, fourth] = parts;
  switch (type) {
    case Type.invocation: return { type, invocationId, target: third, arguments: fourth };
    case Type.streamItem: return { type, invocationId, item: third };
    case Type.completion:
      return { type, invocationId, ...(third === 1 ? { error: fourth } : { result: third === 3 ? fourth : undefined }) };
    default: return { type };
  }
}

/** The length of what follows, seven bits in each byte, the lowest first. */
function withLength(record) {
  const prefix = [];
  let length = record.length;
  do {
    prefix.push((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
    length >>>= 7;
  } while (length);
  return join(new Uint8Array(prefix), record);
}

function lengthAt(bytes, at) {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) return null;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { start: at + i + 1, end: at + i + 1 + length };
  }
  throw new Error("a record's length has too many bytes");
}

export function join(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
