// A client of the binary protocol (raw-ws/PROTOCOL.md), without dependencies: for browsers, and Node
// from 22 on (20: --experimental-websocket), which have a WebSocket of their own.
//
//   const client = await connect("ws://127.0.0.1:9001/wire");
//   const answer = await client.call(1, new TextEncoder().encode("hello"));
//
// ../clients/wire-operations.mjs calls operations of raw_server.

const REQUEST = 1, RESPONSE = 2, ERROR = 3, EVENT = 4, SUBSCRIBE = 5, UNSUBSCRIBE = 6, PUBLISH = 7;
const MORE = 1;
const EMPTY = new Uint8Array();

/** A packet: its header of eight bytes, and the payload. */
export function encode(kind, code, id, payload) {
  const packet = new Uint8Array(8 + payload.length);
  const header = new DataView(packet.buffer);
  header.setUint8(0, kind);
  header.setUint16(2, code);
  header.setUint32(4, id);
  packet.set(payload, 8);
  return packet;
}

/** The server's answer that a request failed. */
export class WireError extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

/** Resolves to a client once the connection is open. `tap` is told of all packets, "up" and "down". */
export function connect(url, { tap = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => resolve(new Client(socket, tap));
    socket.onerror = () => reject(new Error(`cannot connect to ${url}`));
  });
}

class Client {
  #socket;
  #tap;
  #nextId = 0;
  #requests = new Map(); // id -> { item, end, fail }
  #topics = new Map(); // topic -> what is called with each event

  constructor(socket, tap) {
    this.#socket = socket;
    this.#tap = tap;
    this.closed = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        const error = new Error(`closed: ${code} ${reason}`);
        for (const request of this.#requests.values()) request.fail(error);
        this.#requests.clear();
        resolve({ code, reason });
      };
    });
    socket.onerror = () => {};
    socket.onmessage = ({ data }) => this.#take(data);
  }

  /** The answer of an operation. */
  call(operation, payload = EMPTY) {
    return new Promise((resolve, fail) => {
      this.#request(operation, payload, { item: resolve, end: resolve, fail });
    });
  }

  /** The items of a stream: for await (const item of client.stream(…)). */
  async *stream(operation, payload = EMPTY) {
    const items = [];
    let over = false, failure, wake = () => {};
    this.#request(operation, payload, {
      item: (item) => { items.push(item); wake(); },
      end: (last) => { if (last.length) items.push(last); over = true; wake(); },
      fail: (error) => { failure = error; over = true; wake(); },
    });
    while (items.length || !over) {
      if (items.length) yield items.shift();
      else await new Promise((resolve) => { wake = resolve; });
    }
    if (failure) throw failure;
  }

  subscribe(topic, onEvent) {
    this.#topics.set(topic, onEvent);
    this.#send(SUBSCRIBE, 0, topic, EMPTY);
  }

  unsubscribe(topic) {
    this.#topics.delete(topic);
    this.#send(UNSUBSCRIBE, 0, topic, EMPTY);
  }

  publish(topic, payload) {
    this.#send(PUBLISH, 0, topic, payload);
  }

  close() {
    this.#socket.close(1000);
    return this.closed;
  }

  #request(operation, payload, waiter) {
    if (this.#socket.readyState !== 1) return waiter.fail(new Error("closed"));
    do this.#nextId = (this.#nextId + 1) >>> 0; while (this.#requests.has(this.#nextId));
    this.#requests.set(this.#nextId, waiter);
    this.#send(REQUEST, operation, this.#nextId, payload);
  }

  #send(kind, code, id, payload) {
    const packet = encode(kind, code, id, payload);
    this.#tap("up", packet);
    this.#socket.send(packet);
  }

  #take(data) {
    const refused = this.#dispatch(data);
    if (refused) this.#socket.close(4400, refused);
  }

  /** Hands a packet to whoever waits for it; gives what is wrong with it, if anything is. */
  #dispatch(data) {
    if (typeof data === "string") return "a text message";
    this.#tap("down", new Uint8Array(data));
    if (data.byteLength < 8) return "packet shorter than its header";
    const header = new DataView(data);
    const [kind, flags] = [header.getUint8(0), header.getUint8(1)];
    const [code, id] = [header.getUint16(2), header.getUint32(4)];
    const payload = new Uint8Array(data, 8);
    if (kind < REQUEST || kind > PUBLISH) return "unknown kind";
    if (flags > (kind === RESPONSE ? MORE : 0)) return "unknown flags";
    if (code && kind !== REQUEST && kind !== ERROR) return "code must be 0";
    if (kind === EVENT) return void this.#topics.get(id)?.(payload);
    if (kind !== RESPONSE && kind !== ERROR) return "this kind is only for the other side to send";
    const request = this.#requests.get(id);
    if (flags !== MORE) this.#requests.delete(id);
    if (kind === ERROR) request?.fail(new WireError(code, new TextDecoder().decode(payload)));
    else if (flags === MORE) request?.item(payload);
    else request?.end(payload);
  }
}
