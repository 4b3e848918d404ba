// What a check works with: clients that keep what they receive, and assertions.

import { isDeepStrictEqual } from "node:util";
import signalR from "@microsoft/signalr";
import msgpack from "@microsoft/signalr-protocol-msgpack";

export { signalR };
export const { Invocation, Ping } = signalR.MessageType;

/** What a client runs over. */
export const TRANSPORTS = {
  ws: { transport: signalR.HttpTransportType.WebSockets, name: "WebSockets" },
  "ws-skip": { transport: signalR.HttpTransportType.WebSockets, skipNegotiation: true, name: "WebSockets" },
  sse: { transport: signalR.HttpTransportType.ServerSentEvents, name: "ServerSentEvents" },
  lp: { transport: signalR.HttpTransportType.LongPolling, name: "LongPolling" },
};

export const registry = [];

/**
 * `area("calls")("what holds", async (t) => …, options)`. Options: `over` (only these transports),
 * `protocols` (only these), `needs` ("auth" or "server"), `waits` (it mostly waits: starts first),
 * `alone` (heavy: nothing else starts beside it).
 */
export const area = (name) => (what, run, options = {}) =>
  registry.push({ name: `${name}: ${what}`, run, ...options });

export const protocol = (name) =>
  name === "json" ? new signalR.JsonHubProtocol() : new msgpack.MessagePackHubProtocol();

/** A hub protocol with a name or version of its own. */
export const renamed = (name, changed) => {
  const inner = protocol(name);
  return {
    name: inner.name,
    version: inner.version,
    transferFormat: inner.transferFormat,
    parseMessages: (input, logger) => inner.parseMessages(input, logger),
    writeMessage: (message) => inner.writeMessage(message),
    ...changed,
  };
};

/** A hub protocol that tells what arrives. Clients take any IHubProtocol. */
class Watched {
  constructor(inner, arrived) {
    this.inner = inner;
    this.arrived = arrived;
    this.name = inner.name;
    this.version = inner.version;
    this.transferFormat = inner.transferFormat;
  }
  parseMessages(input, logger) {
    const messages = this.inner.parseMessages(input, logger);
    for (const message of messages) this.arrived(message);
    return messages;
  }
  writeMessage(message) {
    return this.inner.writeMessage(message);
  }
}

/** Things that arrive one by one, and who waits for them. */
export class Inbox {
  all = [];
  #waiters = new Set();
  push(item) {
    this.all.push(item);
    for (const waiter of this.#waiters) waiter();
  }
  /** Resolves with what `enough` returns, as soon as that is anything. */
  until(enough) {
    return new Promise((resolve) => {
      const look = () => {
        const found = enough(this.all);
        if (found === undefined || found === false) return;
        this.#waiters.delete(look);
        resolve(found);
      };
      this.#waiters.add(look);
      look();
    });
  }
  has(item) {
    return this.until((all) => all.some((one) => isDeepStrictEqual(one, item)));
  }
  count(n) {
    return this.until((all) => all.length >= n && all.slice(0, n));
  }
}

/** A HubConnection, and what came to it. */
export class Client {
  constructor(connection, wire, overTransport, protocolName) {
    this.connection = connection;
    this.wire = wire;
    this.over = overTransport;
    this.protocol = protocolName;
    this.received = new Inbox();
    connection.on("Received", (text) => this.received.push(text));
    this.closed = new Promise((resolve) => connection.onclose(resolve));
  }
  async start() {
    await this.connection.start();
    return this;
  }
  call(method, ...args) {
    return this.connection.invoke(method, ...args);
  }
  send(method, ...args) {
    return this.connection.send(method, ...args);
  }
  /** The messages of a method of this client, each as the list of its arguments. */
  inbox(method) {
    const inbox = new Inbox();
    this.connection.on(method, (...args) => inbox.push(args));
    return inbox;
  }
  /** A stream being read: `items` as they come, `ended` with the error's text or null. */
  stream(method, ...args) {
    const items = new Inbox();
    let subscription;
    const ended = new Promise((resolve) => {
      subscription = this.connection.stream(method, ...args).subscribe({
        next: (item) => items.push(item),
        error: (error) => resolve(error.message),
        complete: () => resolve(null),
      });
    });
    return { items, ended, cancel: () => subscription.dispose() };
  }
}

const run = Math.random().toString(36).slice(2, 7);
let serial = 0;

export class Failed extends Error {}

export function show(value) {
  const text = value instanceof Uint8Array
    ? `bytes ${Buffer.from(value).toString("hex")}`
    : value === undefined ? "undefined"
    : value instanceof Error ? `error ${JSON.stringify(value.message)}`
    : Object.is(value, -0) ? "-0"
    : JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
}

/** A Buffer is bytes as well; prototypes of other objects do not matter either. */
function plain(value) {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plain(one)]));
}

/** One check over one transport and one protocol. */
export class Test {
  constructor(options, over, protocolName) {
    this.url = options.url;
    this.server = options.server;
    this.expectWrongly = options.expectWrongly;
    this.transports = options.over;
    this.over = over;
    this.protocol = protocolName;
    this.tag = `${run}${(serial++).toString(36)}.`;
    this.clients = [];
    this.cleanups = [];
  }
  get json() {
    return this.protocol === "json";
  }
  /** It sends by POSTs. */
  get posts() {
    return this.over === "sse" || this.over === "lp";
  }
  get skipsNegotiation() {
    return this.over === "ws-skip";
  }

  /**
   * A client that is not started. Options: over, protocol, at (another server), query, http (more
   * of IHttpConnectionOptions), reconnect, stateful, serverTimeout, keepAlive, hubProtocol.
   */
  client(hub = "/spec", options = {}) {
    const over = options.over ?? this.over;
    const name = options.protocol ?? this.protocol;
    const { transport, skipNegotiation } = TRANSPORTS[over];
    const wire = new Inbox();
    const hubProtocol = options.hubProtocol ?? new Watched(protocol(name), (one) => wire.push(one));
    const builder = new signalR.HubConnectionBuilder()
      .configureLogging(signalR.LogLevel.None)
      .withUrl((options.at ?? this.url) + hub + (options.query ?? ""), {
        transport,
        skipNegotiation,
        ...options.http,
      })
      .withHubProtocol(hubProtocol);
    if (options.reconnect) builder.withAutomaticReconnect(options.reconnect);
    if (options.stateful) builder.withStatefulReconnect();
    if (options.serverTimeout) builder.withServerTimeout(options.serverTimeout);
    if (options.keepAlive) builder.withKeepAliveInterval(options.keepAlive);
    const client = new Client(builder.build(), wire, over, name);
    this.clients.push(client);
    return client;
  }

  async connect(hub, options) {
    const client = await this.client(hub, options).start();
    if (hub === undefined || hub.startsWith("/spec")) client.id = await client.call("ConnectionId");
    return client;
  }

  /** The first as this check's; the others in turn over the other transports, in both protocols. */
  several(count, hub) {
    const others = this.transports.flatMap((over) =>
      over === "sse" ? [[over, "json"]] : [[over, "json"], [over, "messagepack"]]);
    return Promise.all(Array.from({ length: count }, (_, i) => {
      const [over, protocol] = i === 0 ? [this.over, this.protocol] : others[i % others.length];
      return this.connect(hub, { over, protocol });
    }));
  }

  /** Each client has had this text so often; that no more comes is shown by a later message. */
  async delivered(clients, text, counts) {
    const end = `${this.tag}end${serial++}`;
    await clients[0].call("ToClients", clients.map((client) => client.id), end);
    await Promise.all(clients.map((client) => client.received.has(end)));
    const got = clients.map((client) => client.received.all.filter((one) => one === text).length);
    this.equal(got, counts, `deliveries of ${text}`);
  }

  equal(got, expected, where) {
    if (this.expectWrongly) expected = ["nobody", "sends", "this"];
    if (isDeepStrictEqual(plain(got), plain(expected))) return;
    const at = where === undefined ? "" : ` (${where})`;
    throw new Failed(`expected ${show(expected)}, got ${show(got)}${at}`);
  }

  ok(condition, expected, got) {
    if (this.expectWrongly) condition = false;
    if (!condition) throw new Failed(`expected ${expected}, got ${show(got)}`);
  }

  /** A call fails with this text, to the letter; or, given a RegExp, with one that matches. */
  async fails(promise, expected) {
    const error = await promise.then(
      (value) => { throw new Failed(`expected error ${show(String(expected))}, got ${show(value)}`); },
      (error) => error.message,
    );
    if (expected instanceof RegExp) this.ok(expected.test(error), `a match of ${expected}`, error);
    else this.equal(error, expected);
  }

  person(name, age, tags, friend = null) {
    return this.json
      ? { name, age, tags, friend }
      : { Name: name, Age: age, Tags: tags, Friend: friend };
  }

  bytes(list) {
    return this.json ? Buffer.from(list).toString("base64") : Uint8Array.from(list);
  }

  async http(method, path, headers) {
    const response = await fetch(this.url + path, { method, headers });
    return { ok: response.ok, status: response.status, text: await response.text(), headers: response.headers };
  }
}
