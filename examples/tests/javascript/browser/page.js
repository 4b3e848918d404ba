// What a page does with the official client's bundles for browsers. Each function gives back what
// it saw; whether that is right is for browser.mjs to say.

const TRANSPORTS = {
  ws: { transport: signalR.HttpTransportType.WebSockets },
  "ws-skip": { transport: signalR.HttpTransportType.WebSockets, skipNegotiation: true },
  sse: { transport: signalR.HttpTransportType.ServerSentEvents },
  lp: { transport: signalR.HttpTransportType.LongPolling },
};

const errorOf = (promise) => promise.then(() => null, (error) => error.message);

/** A client: `how` is { url, over, protocol, token, reconnect }. */
function client(how) {
  const builder = new signalR.HubConnectionBuilder()
    .configureLogging(signalR.LogLevel.None)
    .withUrl(how.url, {
      ...TRANSPORTS[how.over],
      ...(how.token && { accessTokenFactory: () => how.token }),
    });
  if (how.protocol === "messagepack") {
    builder.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol());
  }
  if (how.reconnect) builder.withAutomaticReconnect({ nextRetryDelayInMilliseconds: () => 50 });
  return builder.build();
}

async function connected(how) {
  const connection = client(how);
  await connection.start();
  return connection;
}

/** Resolves with the first message of a method that is not passed over. */
const first = (connection, method, wanted = () => true) =>
  new Promise((resolve) => connection.on(method, (...args) => wanted(...args) && resolve(args)));

/** The items of a stream, and its error or null. */
const stream = (connection, method, ...args) =>
  new Promise((resolve) => {
    const items = [];
    connection.stream(method, ...args).subscribe({
      next: (item) => items.push(item),
      error: (error) => resolve([items, error.message]),
      complete: () => resolve([items, null]),
    });
  });

/** A stream to the server, of these items. */
function upload(items) {
  const subject = new signalR.Subject();
  // It takes items only once somebody has subscribed, which a call does at once.
  queueMicrotask(() => {
    for (const item of items) subject.next(item);
    subject.complete();
  });
  return subject;
}

const pageChecks = {
  async calls(how) {
    const connection = await connected(how);
    const bytes = how.protocol === "json" ? btoa("\x01\x02\xff") : Uint8Array.of(1, 2, 255);
    const reversed = await connection.invoke("Reverse", bytes);
    connection.on("Ask", (question) => `you asked ${question}`);
    const seen = [
      await connection.invoke("Transport"),
      await connection.invoke("Echo", "héllo 😀"),
      await connection.invoke("Echo", "x".repeat(20_000)).then((text) => text.length),
      await connection.invoke("Add", 40, 2),
      await connection.invoke("Nothing"),
      how.protocol === "json" ? reversed : btoa(String.fromCharCode(...reversed)),
      await connection.invoke("AskCaller", "ünï"),
    ];
    await connection.stop();
    return seen;
  },

  async broadcast(how) {
    const text = `to all ${Math.random()}`;
    const all = await Promise.all(["ws", "sse", "lp"].map((over) => connected({ ...how, over, protocol: "json" })));
    all.unshift(await connected(how));
    const heard = Promise.all(all.map((one) => first(one, "Received", (got) => got === text)));
    await all[0].send("ToAll", text);
    const seen = (await heard).map(([got]) => got === text);
    await Promise.all(all.map((one) => one.stop()));
    return seen;
  },

  async streams(how) {
    const connection = await connected(how);
    const ended = first(connection, "TicksEnded");
    await new Promise((resolve) => {
      const ticks = connection.stream("Ticks", 1).subscribe({
        next: (tick) => tick >= 3 && (ticks.dispose(), resolve()),
        error: resolve,
        complete: resolve,
      });
    });
    const seen = [
      await stream(connection, "Numbers", 5),
      await stream(connection, "NumbersThenHubError", 2, "no more"),
      await stream(connection, "Letters", "aé"),
      await ended,
      await connection.invoke("Sum", upload([1, 2, 3, 4])),
      await connection.invoke("Zip", upload(["a", "b"]), "-", upload([1, 2])),
      await stream(connection, "Doubled", upload([1, 2, 3])),
    ];
    await connection.stop();
    return seen;
  },

  async errors(how) {
    const connection = await connected(how);
    const seen = [
      await errorOf(connection.invoke("ThrowHub", "as you wish")),
      await errorOf(connection.invoke("ThrowOther", "hidden")),
      await errorOf(connection.invoke("NoSuchMethod")),
      await errorOf(connection.invoke("Add", 1)),
      await connection.invoke("Zero"),
    ];
    await connection.stop();
    return seen;
  },

  /** What the request had with it that became the connection. */
  async request(how) {
    const connection = await connected(how);
    const seen = [
      await connection.invoke("Header", "cookie"),
      await connection.invoke("Header", "origin"),
      await connection.invoke("UserIdentifier"),
    ];
    await connection.stop();
    return seen;
  },

  async chat(how) {
    const connection = await connected(how);
    const heard = first(connection, "ReceiveMessage", (user) => user === how.over);
    await connection.invoke("SendMessage", how.over, "hello");
    const seen = await heard;
    await connection.stop();
    return seen;
  },

  /** Why a page cannot connect. */
  refused: (how) => errorOf(connected(how)),

  /** Begins to watch a connection that `reconnected` goes on with. */
  async watch(how) {
    const connection = await connected({ ...how, reconnect: true });
    const events = [];
    connection.onreconnecting(() => events.push("reconnecting"));
    connection.onclose(() => events.push("closed"));
    const again = new Promise((resolve) => connection.onreconnected(() => {
      events.push("reconnected");
      resolve();
    }));
    window.watched = { connection, events, again, id: await connection.invoke("ConnectionId") };
  },

  async reconnected() {
    const { connection, events, again, id } = window.watched;
    await again;
    const seen = [
      [...events],
      (await connection.invoke("ConnectionId")) !== id,
      await stream(connection, "Numbers", 3),
    ];
    await connection.stop();
    return seen;
  },
};
