// A client of SignalR hubs without dependencies, for browsers and Node (from 22 on; 20 with
// --experimental-websocket): negotiation, three transports, both protocols, streams both ways, client
// results, reconnect and stateful reconnect. Made to be read; the official client is made for every
// case.
//
//   const hub = new HubConnection("/hub", { protocol: "messagepack" });
//   hub.on("Said", (who, text) => console.log(who, text));
//   await hub.start();
//   const answer = await hub.invoke("Echo", "hello");
//   for await (const item of hub.stream("Items", 10)) console.log(item);
//   const sum = await hub.invoke("Sum", numbers());       // an async iterable is a stream up
//
// hub-transports.js carries the bytes, hub-protocols.js gives them their form.

import { PROTOCOLS, Type, readHandshake, writeHandshake } from "./hub-protocols.js";
import { TRANSPORTS } from "./hub-transports.js";

const DEFAULTS = {
  protocol: "json", // or "messagepack"
  transports: ["WebSockets", "ServerSentEvents", "LongPolling"], // the first that both sides have
  skipNegotiation: false, // WebSockets alone, at once
  accessToken: async () => undefined,
  reconnect: null, // the pauses before each try in ms: [0, 2000, 10000, 30000]
  stateful: false, // ask for stateful reconnect
  keepAlive: 15_000, // say something at least as often
  serverTimeout: 30_000, // the server is gone when it says nothing for so long
  handshakeTimeout: 15_000,
  tap: () => {}, // told of all that is sent and received: ("up" or "down", text or bytes, transport)
};

/** A call that the server answered with an error. */
export class HubError extends Error {}

export class HubConnection {
  state = "disconnected"; // connecting, connected, reconnecting
  connectionId = null;
  onreconnecting = () => {};
  onreconnected = () => {};
  onclose = () => {};
  #url;
  #options;
  #protocol;
  #handlers = new Map(); // method in lower case -> functions
  #waiting = new Map(); // invocation id -> { item, end, fail }
  #lastId = 0;
  #link = null; // the transport that is connected, and what belongs to it
  #replay = null; // of stateful reconnect
  #stopped = false;
  #timers = [];
  #heard = 0;
  #said = 0;

  constructor(url, options = {}) {
    this.#url = new URL(url, globalThis.location?.href).href;
    this.#options = { ...DEFAULTS, ...options };
    this.#protocol = PROTOCOLS[this.#options.protocol];
  }

  /** What the server may call: `on("Said", (who, text) => …)`; what it returns is a client result. */
  on(method, handler) {
    const key = method.toLowerCase();
    this.#handlers.set(key, [...(this.#handlers.get(key) ?? []), handler]);
  }

  off(method, handler) {
    const key = method.toLowerCase();
    const left = (this.#handlers.get(key) ?? []).filter((one) => handler && one !== handler);
    this.#handlers.set(key, left);
  }

  /** Which transport carries it. */
  get transport() {
    return this.#link?.transport.name;
  }

  async start() {
    if (this.state !== "disconnected") throw new Error("the connection is not disconnected");
    this.state = "connecting";
    this.#stopped = false;
    try {
      await this.#connect();
      this.state = "connected";
    } catch (error) {
      this.state = "disconnected";
      throw error;
    }
  }

  async stop() {
    this.#stopped = true;
    if (this.state === "disconnected") return;
    const link = this.#link;
    if (link) this.#write({ type: Type.close });
    this.#over(null);
    await link?.transport.stop();
  }

  /** Calls a method; resolves to what it returns. */
  invoke(method, ...args) {
    return new Promise((resolve, fail) => {
      const invocationId = this.#expect({ item() {}, end: resolve, fail });
      this.#call({ type: Type.invocation, invocationId, target: method }, args, fail);
    });
  }

  /** Calls a method that is not answered. */
  async send(method, ...args) {
    await new Promise((resolve, fail) => {
      this.#call({ type: Type.invocation, target: method }, args, fail);
      resolve();
    });
  }

  /** The items of a stream: `for await (const item of hub.stream(…))`; leaving the loop cancels it. */
  stream(method, ...args) {
    const items = [];
    let over = false, failure, wake = () => {};
    const end = (error) => { over = true; failure = error; wake(); };
    const waiter = { item(item) { items.push(item); wake(); }, end: () => end(), fail: end };
    const invocationId = this.#expect(waiter);
    this.#call({ type: Type.streamInvocation, invocationId, target: method }, args, end);
    const next = async () => {
      while (!items.length && !over) await new Promise((resolve) => { wake = resolve; });
      if (items.length) return { value: items.shift(), done: false };
      if (failure) throw failure;
      return { value: undefined, done: true };
    };
    const cancel = async () => {
      if (!over && this.#waiting.delete(invocationId)) {
        this.#write({ type: Type.cancelInvocation, invocationId });
        end();
      }
      return { value: undefined, done: true };
    };
    return { next, return: cancel, [Symbol.asyncIterator]() { return this; } };
  }

  #expect(waiter) {
    const id = String(++this.#lastId);
    this.#waiting.set(id, waiter);
    return id;
  }

  /** Sends a call; arguments that are async iterables go up as streams. */
  #call(message, args, fail) {
    if (this.state !== "connected") {
      this.#waiting.delete(message.invocationId);
      return fail(new Error(`the connection is ${this.state}`));
    }
    const isStream = (value) => typeof value?.[Symbol.asyncIterator] === "function";
    const streams = args.filter(isStream).map((items) => [String(++this.#lastId), items]);
    if (streams.length) message.streamIds = streams.map(([id]) => id);
    message.arguments = args.filter((value) => !isStream(value));
    this.#write(message);
    for (const [id, items] of streams) this.#upload(id, items);
  }

  async #upload(invocationId, items) {
    const link = this.#link;
    const isHere = () => this.#link === link || this.#replay;
    try {
      for await (const item of items) {
        if (!isHere()) return;
        this.#write({ type: Type.streamItem, invocationId, item });
      }
      if (isHere()) this.#write({ type: Type.completion, invocationId });
    } catch (error) {
      if (isHere()) this.#write({ type: Type.completion, invocationId, error: String(error) });
    }
  }

  // Connecting: negotiate, open a transport, agree on a protocol.

  async #connect() {
    const { protocol, transports, skipNegotiation, accessToken, tap } = this.#options;
    let url = this.#url;
    let offer = { availableTransports: [{ transport: "WebSockets", transferFormats: ["Text", "Binary"] }] };
    let token = await accessToken();
    for (let redirects = 0; !skipNegotiation; redirects++) {
      offer = await this.#negotiate(url, token);
      if (offer.error) throw new Error(offer.error);
      if (!offer.url) break;
      if (redirects === 100) throw new Error("the server redirects without end");
      [url, token] = [new URL(offer.url, url).href, offer.accessToken ?? token];
    }
    this.connectionId = offer.connectionId ?? null;
    const format = this.#protocol.isBinary ? "Binary" : "Text";
    const available = offer.availableTransports.filter((one) => one.transferFormats.includes(format));
    const name = transports.find((one) => available.some(({ transport }) => transport === one));
    if (!name) throw new Error(`the server has none of ${transports} for ${protocol}`);
    if (offer.connectionToken) url = withQuery(url, "id", offer.connectionToken);
    const isStateful = Boolean(offer.useStatefulReconnect) && name === "WebSockets";
    const open = () => new TRANSPORTS[name](url, token, this.#protocol.isBinary, tap);
    this.#replay = isStateful ? new Replay() : null;
    await this.#attach(open, (link) => this.#shakeHands(link, isStateful ? 2 : 1));
    this.#keepAlive();
  }

  async #negotiate(url, token) {
    const { pathname } = new URL(url);
    const target = new URL(url);
    target.pathname = `${pathname.replace(/\/$/, "")}/negotiate`;
    target.searchParams.set("negotiateVersion", "1");
    if (this.#options.stateful) target.searchParams.set("useStatefulReconnect", "true");
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch(target, { method: "POST", headers, credentials: "include" });
    if (!response.ok) throw new Error(`negotiate: ${response.status} ${await response.text()}`.trim());
    return response.json();
  }

  /** Opens a transport and makes it the one in use, once `ready` says so. */
  async #attach(open, ready) {
    const link = { transport: open(), open, rest: null };
    link.transport.onreceive = (data) => this.#receive(link, data);
    link.transport.onclose = (error, isClean) => this.#lost(link, error, isClean);
    await link.transport.start();
    this.#link = link;
    try {
      await ready(link);
    } catch (error) {
      if (this.#link === link) this.#link = null;
      await link.transport.stop();
      throw error;
    }
  }

  #shakeHands(link, version) {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error("no hub handshake in time"));
      const timer = setTimeout(late, this.#options.handshakeTimeout);
      const settle = (error) => {
        clearTimeout(timer);
        link.shaking = null;
        if (error) reject(error);
        else resolve();
      };
      link.shaking = settle;
      link.transport.send(writeHandshake(this.#protocol, version));
    });
  }

  #keepAlive() {
    const { keepAlive, serverTimeout } = this.#options;
    this.#heard = Date.now();
    // At once, too: a stateful server waits for a first message before it counts its own.
    this.#write({ type: Type.ping });
    const ping = () => Date.now() - this.#said >= keepAlive && this.#write({ type: Type.ping });
    const watch = () => {
      if (Date.now() - this.#heard < serverTimeout) return;
      const error = new Error(`the server has said nothing for ${serverTimeout} ms`);
      this.#link?.transport.stop();
      this.#lost(this.#link, error, false);
    };
    const acknowledge = () => {
      const sequenceId = this.#replay?.toAcknowledge();
      if (sequenceId) this.#write({ type: Type.ack, sequenceId });
    };
    const every = Math.min(1000, keepAlive / 2, serverTimeout / 4);
    this.#timers = [ping, watch].map((run) => setInterval(run, every));
    if (this.#replay) this.#timers.push(setInterval(acknowledge, 1000));
  }

  // Talking.

  #write(message) {
    const bytes = this.#protocol.write(message);
    this.#replay?.sent(message, bytes);
    this.#said = Date.now();
    if (this.#link && !this.#replay?.isAway) this.#link.transport.send(bytes);
  }

  #receive(link, data) {
    if (link !== this.#link) return;
    this.#heard = Date.now();
    if (link.shaking) {
      const answer = readHandshake(data);
      if (answer.error) return link.shaking(new Error(answer.error));
      link.shaking();
      data = answer.rest;
    }
    const [messages, rest] = this.#protocol.read(data, link.rest);
    link.rest = rest;
    for (const message of messages) {
      if (this.#replay && !this.#replay.isNew(message)) continue;
      this.#dispatch(message);
      if (link !== this.#link) return;
    }
  }

  #dispatch(message) {
    const waiter = this.#waiting.get(message.invocationId);
    switch (message.type) {
      case Type.invocation: return void this.#run(message);
      case Type.streamItem: return waiter?.item(message.item);
      case Type.completion:
        this.#waiting.delete(message.invocationId);
        if (message.error) waiter?.fail(new HubError(message.error));
        else waiter?.end(message.result);
        return;
      case Type.close: return this.#closedByServer(message);
      case Type.ack: return this.#replay?.acknowledged(message.sequenceId);
    }
  }

  /** Runs the handlers of a method, and answers if the server waits for it. */
  async #run({ target, arguments: args, invocationId }) {
    const handlers = this.#handlers.get(target.toLowerCase()) ?? [];
    const results = [];
    let error;
    for (const handler of handlers) {
      try {
        const result = handler(...args);
        results.push(invocationId ? await result : undefined);
      } catch (thrown) {
        error = String(thrown);
        if (!invocationId) console.error(thrown);
      }
    }
    if (!invocationId || this.state === "disconnected") return;
    const given = results.filter((result) => result !== undefined);
    if (given.length > 1) error = "Client provided multiple results.";
    else if (!given.length) error ??= "Client didn't provide a result.";
    this.#write({ type: Type.completion, invocationId, ...(error ? { error } : { result: given[0] }) });
  }

  // Losing the connection, and coming back.

  #closedByServer({ error, allowReconnect }) {
    const failure = error ? new Error(error) : null;
    const link = this.#link;
    this.#replay = null; // what the server has closed is not resumed
    link.transport.stop();
    if (allowReconnect && this.#options.reconnect) this.#lost(link, failure, false);
    else this.#over(failure);
  }

  #lost(link, error, isClean) {
    if (link !== this.#link || this.#stopped) return;
    if (link.shaking) return link.shaking(error ?? new Error("closed before the hub handshake"));
    if (this.#replay && !isClean) return void this.#resume(link, error);
    this.#link = null;
    this.#clearTimers();
    this.#failAll(error ?? new Error("the connection was lost"));
    if (this.#options.reconnect && this.state === "connected") void this.#reconnect(error);
    else this.#over(error);
  }

  /** The same connection over a new socket: what did not arrive is said again. */
  async #resume(link, error) {
    const replay = this.#replay;
    if (replay.isAway) return;
    replay.isAway = true;
    const sayAgain = async ({ transport }) => {
      const sequenceId = replay.firstUnacknowledged();
      transport.send(this.#protocol.write({ type: Type.sequence, sequenceId }));
      for (const bytes of replay.unacknowledged()) transport.send(bytes);
      replay.isAway = false;
    };
    for (const pause of [0, 200, 1000]) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (this.#replay !== replay) return; // stopped meanwhile
      try {
        return await this.#attach(link.open, sayAgain);
      } catch {
        // the next try
      }
    }
    this.#replay = null;
    this.#link = link;
    this.#lost(link, error, false);
  }

  async #reconnect(error) {
    this.state = "reconnecting";
    this.onreconnecting(error);
    for (const pause of this.#options.reconnect) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (this.state !== "reconnecting") return; // stopped meanwhile
      try {
        await this.#connect();
        if (this.state !== "reconnecting") return void (await this.#link?.transport.stop());
        this.state = "connected";
        return void this.onreconnected(this.connectionId);
      } catch (failure) {
        error = failure;
      }
    }
    this.#over(error);
  }

  #over(error) {
    if (this.state === "disconnected") return;
    this.state = "disconnected";
    this.#link = this.#replay = null;
    this.#clearTimers();
    this.#failAll(error ?? new Error("the connection was stopped"));
    this.onclose(error);
  }

  #clearTimers() {
    this.#timers.forEach(clearInterval);
    this.#timers = [];
  }

  #failAll(error) {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const waiter of waiting) waiter.fail(error);
  }
}

/**
 * What stateful reconnect keeps: each side numbers what it says from 1 on, says which number it has
 * heard last, and after a cut says again what the other has not heard.
 */
class Replay {
  isAway = false;
  #sent = []; // [number, bytes] of what is not acknowledged
  #lastSent = 0;
  #next = 1; // the number of what comes next
  #heard = 0; // the highest number that was new
  #acknowledged = 0;

  static counts(type) {
    return type >= Type.invocation && type <= Type.cancelInvocation;
  }

  sent(message, bytes) {
    if (Replay.counts(message.type)) this.#sent.push([++this.#lastSent, bytes]);
  }

  /** Whether a message is to be heard: the other side may repeat itself. */
  isNew({ type, sequenceId }) {
    if (type === Type.sequence) this.#next = sequenceId;
    if (!Replay.counts(type)) return true;
    const number = this.#next++;
    const isNew = number > this.#heard;
    if (isNew) this.#heard = number;
    return isNew;
  }

  toAcknowledge() {
    if (this.isAway || this.#heard === this.#acknowledged) return undefined;
    return (this.#acknowledged = this.#heard);
  }

  acknowledged(number) {
    this.#sent = this.#sent.filter(([sent]) => sent > number);
  }

  firstUnacknowledged() {
    return this.#sent[0]?.[0] ?? this.#lastSent + 1;
  }

  unacknowledged() {
    return this.#sent.map(([, bytes]) => bytes);
  }
}

function withQuery(url, name, value) {
  const target = new URL(url);
  target.searchParams.set(name, value);
  return target.href;
}
