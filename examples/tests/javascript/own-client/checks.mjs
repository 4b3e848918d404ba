// What `examples/web/hub.js` must do against any SignalR server that has the hubs of spec_server:
// a part of what the official client is checked with, in Node and in a browser alike. `t` is
// { hub(path, options), connected(), acknowledging(path), cut(), breathe(), equal(got, expected),
// isJson, over }.

const list = async (items) => {
  const all = [];
  for await (const item of items) all.push(item);
  return all;
};

async function* from(items, pause) {
  for (const item of items) {
    yield item;
    await pause?.();
  }
}

const failure = (promise) => promise.then((value) => `no error, but ${value}`, (error) => error.message);

/** What arrives at a method, and promises for how much of it. */
function inbox(hub, method) {
  const all = [];
  let look = () => {};
  hub.on(method, (...args) => { all.push(args.length === 1 ? args[0] : args); look(); });
  const count = (n) => new Promise((resolve) => {
    look = () => all.length >= n && resolve(all.slice(0, n));
    look();
  });
  return { all, count };
}

const upTo = (n) => Array.from({ length: n }, (_, i) => i);
const UNEXPECTED = (method) => `An unexpected error occurred invoking '${method}' on the server.`;

export const checks = {
  async "calls and their values"(t) {
    const hub = await t.connected();
    t.equal(await hub.invoke("Echo", "héllo 😀"), "héllo 😀");
    t.equal(await hub.invoke("Echo", "x".repeat(20_000)), "x".repeat(20_000));
    t.equal(await hub.invoke("Add", 40, 2), 42);
    t.equal(await hub.invoke("BigInteger", 2 ** 52), 2 ** 52);
    t.equal(await hub.invoke("Number", -1.5e300), -1.5e300);
    t.equal(await hub.invoke("Not", false), true);
    t.equal(await hub.invoke("Null"), null);
    t.equal(await hub.invoke("Nothing") ?? null, null);
    t.equal(await hub.invoke("Transport"), t.over);
    const person = t.isJson
      ? { name: "Ann", age: 41, tags: ["a", "b"], friend: null }
      : { Name: "Ann", Age: 41, Tags: ["a", "b"], Friend: null };
    const older = await hub.invoke("Older", person);
    t.equal(t.isJson ? older.age : older.Age, 42);
    const bytes = t.isJson ? btoa("\x01\x02\xff") : Uint8Array.of(1, 2, 255);
    const reversed = await hub.invoke("Reverse", bytes);
    t.equal(t.isJson ? reversed : btoa(String.fromCharCode(...reversed)), btoa("\xff\x02\x01"));
    t.equal(await hub.invoke("Count", ["a", "b", "a"]), { a: 2, b: 1 });
    const day = new Date("2026-11-29T10:11:12.345Z");
    const next = new Date(await hub.invoke("Tomorrow", day));
    t.equal(next.toISOString(), "2026-11-30T10:11:12.345Z");
  },

  async "many calls at once are each answered with their own"(t) {
    const hub = await t.connected();
    const answers = await Promise.all(upTo(200).map((i) => hub.invoke("Echo", `call ${i}`)));
    t.equal(answers, upTo(200).map((i) => `call ${i}`));
  },

  async "errors"(t) {
    const hub = await t.connected();
    t.equal(await failure(hub.invoke("ThrowHub", "as you wish")), `${UNEXPECTED("ThrowHub")} HubException: as you wish`);
    t.equal(await failure(hub.invoke("ThrowOther", "hidden")), UNEXPECTED("ThrowOther"));
    t.equal(await failure(hub.invoke("NoSuchMethod")), "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist.");
    t.equal(await hub.invoke("Zero"), 0);
    await hub.stop();
    t.equal(await failure(hub.invoke("Zero")), "the connection is disconnected");
  },

  async "the server calls"(t) {
    const hub = await t.connected();
    const received = inbox(hub, "received");
    const given = inbox(hub, "Arguments");
    await hub.invoke("ToCaller", "one");
    await hub.send("ToCaller", "two");
    await hub.invoke("SendArguments");
    t.equal(await received.count(2), ["one", "two"]);
    const [[text, one, number, yes, none]] = await given.count(1);
    t.equal([text, one, number, yes, none], ["text", 1, 2.5, true, null]);
    const group = `group ${Math.random()}`;
    const other = await t.connected();
    const others = inbox(other, "Received");
    await hub.invoke("JoinGroup", group);
    await other.invoke("JoinGroup", group);
    await hub.invoke("ToOthersInGroup", group, "for the other");
    await hub.invoke("ToGroup", group, "for both");
    t.equal(await others.count(2), ["for the other", "for both"]);
    t.equal(await received.count(3), ["one", "two", "for both"]);
    hub.off("Received");
    await hub.invoke("ToCaller", "to nobody");
    t.equal(received.all.length, 3);
  },

  async "streams down"(t) {
    const hub = await t.connected();
    const ended = inbox(hub, "TicksEnded");
    t.equal(await list(hub.stream("Numbers", 5)), [0, 1, 2, 3, 4]);
    t.equal(await list(hub.stream("Numbers", 0)), []);
    t.equal(await list(hub.stream("Letters", "aé")), ["a", "é"]);
    const wrong = "An error occurred on the server while streaming results. HubException: no more";
    const items = [];
    t.equal(await failure((async () => {
      for await (const item of hub.stream("NumbersThenHubError", 2, "no more")) items.push(item);
    })()), wrong);
    t.equal(items, [0, 1]);
    for await (const tick of hub.stream("Ticks", 1)) if (tick >= 3) break;
    t.equal(await ended.count(1), ["cancelled"]);
    const both = await Promise.all([list(hub.stream("Numbers", 50)), list(hub.stream("Numbers", 60))]);
    t.equal(both, [upTo(50), upTo(60)]);
  },

  async "streams up"(t) {
    const hub = await t.connected();
    t.equal(await hub.invoke("Sum", from([1, 2, 3, 4])), 10);
    t.equal(await hub.invoke("Sum", from([])), 0);
    t.equal(await hub.invoke("Zip", from(["a", "b"]), "-", from([1, 2])).catch((e) => e.message), "a-1 b-2");
    t.equal(await list(hub.stream("Doubled", from([1, 2, 3]))), [2, 4, 6]);
    t.equal(await hub.invoke("Concat", from(upTo(300).map(String))), upTo(300).join(""));
    async function* failing() {
      yield 1;
      throw new Error("no more numbers");
    }
    const failed = await failure(hub.invoke("Sum", failing()));
    t.equal(failed.startsWith(UNEXPECTED("Sum")), true);
    t.equal(await hub.invoke("Zero"), 0);
  },

  async "client results"(t) {
    const hub = t.hub("/spec");
    let answer = (question) => `you asked ${question}`;
    const handler = (question) => answer(question);
    hub.on("Ask", handler);
    await hub.start();
    t.equal(await hub.invoke("AskCaller", "ünï"), "you asked ünï");
    answer = async (question) => `${await hub.invoke("Echo", question)} ${await hub.invoke("Add", 1, 2)}`;
    t.equal(await hub.invoke("AskCaller", "inner"), "inner 3");
    answer = () => null;
    t.equal(await hub.invoke("AskCaller", "?"), null);
    answer = () => { throw new Error("nö"); };
    t.equal(await hub.invoke("AskCaller", "?"), "HubException: Error: nö");
    answer = () => undefined;
    t.equal(await hub.invoke("AskCaller", "?"), "HubException: Client didn't provide a result.");
    hub.on("ask", () => "two");
    answer = () => "one";
    t.equal(await hub.invoke("AskCaller", "?"), "HubException: Client provided multiple results.");
    hub.off("ASK");
    t.equal(await hub.invoke("AskCaller", "?"), "HubException: Client didn't provide a result.");
  },

  async "stop, and start again"(t) {
    const hub = t.hub("/spec");
    const closed = [];
    hub.onclose = (error) => closed.push(error);
    await hub.start();
    const id = await hub.invoke("ConnectionId");
    if (hub.connectionId) t.equal(hub.connectionId, id);
    const held = failure(hub.invoke("Hold", 60_000, "never"));
    await hub.stop();
    t.equal([await held, closed, hub.state], ["the connection was stopped", [null], "disconnected"]);
    await hub.start();
    t.equal(await hub.invoke("ConnectionId") !== id, true);
    await hub.stop();
    await hub.stop();
  },

  async "abort by the server closes"(t) {
    const hub = t.hub("/spec");
    const closed = new Promise((resolve) => { hub.onclose = resolve; });
    await hub.start();
    await hub.send("Abort");
    await closed;
    t.equal(hub.state, "disconnected");
  },

  async "a server without this hub, protocol or transport"(t) {
    t.equal(await failure(t.hub("/nowhere").start()).then((text) => /404|could not be opened/.test(text)), true);
    if (t.over === "WebSockets") {
      const none = t.hub("/spec-nowebsockets", { skipNegotiation: false });
      t.equal(/has none of WebSockets/.test(await failure(none.start())), true);
    }
  },

  async "reconnects after a cut, as a new connection"(t) {
    const hub = t.hub("/spec", { reconnect: [0, 20, 100, 500, 1000] });
    const events = [];
    const back = new Promise((resolve) => {
      hub.onreconnecting = (error) => events.push(`reconnecting: ${error instanceof Error}`);
      hub.onreconnected = (id) => { events.push("reconnected"); resolve(id); };
    });
    const received = inbox(hub, "Received");
    await hub.start();
    const id = await hub.invoke("ConnectionId");
    const held = failure(hub.invoke("Hold", 60_000, "never"));
    t.cut();
    t.equal((await held).startsWith("no error"), false);
    await back;
    t.equal(events, ["reconnecting: true", "reconnected"]);
    t.equal(await hub.invoke("ConnectionId") !== id, true);
    await hub.invoke("ToCaller", "after");
    t.equal(await received.count(1), ["after"]);
    t.equal(await list(hub.stream("Numbers", 3)), [0, 1, 2]);
  },

  async "without reconnect a cut closes"(t) {
    const hub = t.hub("/spec");
    const closed = new Promise((resolve) => { hub.onclose = resolve; });
    await hub.start();
    t.cut();
    t.equal(await closed instanceof Error, true);
    t.equal(hub.state, "disconnected");
  },
};

/** Over WebSockets, negotiated. */
export const statefulChecks = {
  async "nothing is lost, doubled or reordered by cuts"(t) {
    const hub = t.hub("/spec-stateful", { stateful: true });
    const ends = [];
    hub.onclose = (error) => ends.push(error);
    const received = inbox(hub, "Received");
    await hub.start();
    const id = await hub.invoke("ConnectionId");
    await hub.invoke("Item", "k", "kept");
    let pushed = 0, isOver = false;
    async function* numbers() {
      while (!isOver) {
        yield pushed++;
        await t.breathe();
      }
    }
    const doubled = list(hub.stream("Doubled", numbers()));
    const sums = [];
    for (let cut = 0; cut < 5; cut++) {
      for (let i = 0; i < 20; i++) hub.send("ToCaller", `${cut}.${i}`);
      const calls = Promise.all(upTo(20).map((i) => hub.invoke("Add", i, cut)));
      const held = hub.invoke("Hold", 50, `held ${cut}`);
      t.cut();
      const burst = hub.invoke("Burst", 10);
      sums.push(await calls, await held);
      await burst;
    }
    isOver = true;
    t.equal(sums, upTo(5).flatMap((cut) => [upTo(20).map((i) => i + cut), `held ${cut}`]));
    t.equal(await doubled, upTo(pushed).map((i) => 2 * i));
    const wanted = upTo(5).flatMap((cut) => upTo(20).map((i) => `${cut}.${i}`));
    const got = (await received.count(150)).filter((text) => text.includes("."));
    t.equal(got, wanted);
    const bursts = received.all.filter((text) => !text.includes("."));
    t.equal(bursts, upTo(5).flatMap(() => upTo(10).map(String)));
    t.equal(await hub.invoke("Item", "k", "kept"), "kept");
    t.equal([await hub.invoke("ConnectionId"), hub.connectionId, ends], [id, id, []]);
  },

  async "a client result outlives a cut"(t) {
    const hub = t.hub("/spec-stateful", { stateful: true });
    let answer, asked;
    const question = new Promise((resolve) => { asked = resolve; });
    hub.on("Ask", () => new Promise((resolve) => { answer = resolve; asked(); }));
    await hub.start();
    const answered = hub.invoke("AskCaller", "q");
    await question;
    t.cut();
    answer("after the cut");
    t.equal(await answered, "after the cut");
  },

  async "what is acknowledged is not said again"(t) {
    const { hub, acknowledged } = t.acknowledging("/spec-stateful");
    const received = inbox(hub, "Received");
    await hub.start();
    for (let i = 0; i < 10; i++) await hub.invoke("ToCaller", String(i));
    await acknowledged();
    t.cut();
    await hub.invoke("ToCaller", "10");
    t.equal(await received.count(11), upTo(11).map(String));
    t.equal(received.all.length, 11);
  },

  async "a server that does not allow it: a cut closes"(t) {
    const hub = t.hub("/spec", { stateful: true });
    const closed = new Promise((resolve) => { hub.onclose = resolve; });
    await hub.start();
    t.cut();
    t.equal(await closed instanceof Error, true);
  },
};
