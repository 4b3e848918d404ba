// Calls: arguments and results of every type.

import { area } from "../harness.mjs";

const check = area("calls");
const ECHOED = {
  "an empty text": "",
  "an emoji": "😀",
  "a family of one emoji": "👩‍👩‍👧‍👦",
  "right to left": "שלום مرحبا \u202Eback\u202C",
  "combining marks": "Z͑ͫ̓ͪ̂a̴̵l̢g̡o",
  "every script": "żółć ЖЁ 漢字 ひらがな 한국어 ไทย",
  "what JSON escapes": "\" \\ / \b \f \n \r \t < > & ' +",
  "control characters": "\u0000\u0001\u001E\u001F\u007F\u0085",
  "separators of lines": "\u2028\u2029\uFEFF",
  "text that looks escaped": "\\ud83d \\u0041 %20 &amp;",
  "the edge of each length": ["x".repeat(31), "x".repeat(32), "x".repeat(255), "x".repeat(256)].join(" "),
  "30 kB": "é".repeat(15_000),
  "the last of the planes": "\u{10FFFF}\uFFFD\uE000",
};

check("no argument", async (t) => {
  const client = await t.connect();
  t.equal(await client.call("Zero"), 0);
  t.equal(await client.call("renamed"), "renamed");
});

check("texts come back as they went", async (t) => {
  const client = await t.connect();
  for (const [name, text] of Object.entries(ECHOED)) t.equal(await client.call("Echo", text), text, name);
});

// A JSON text may have it, but no text of .NET or Rust; MessagePack has no way to write it.
check("a lone surrogate", async (t) => {
  const client = await t.connect();
  const call = client.call("Echo", "a\uD800b");
  if (t.json) await t.fails(call, "Failed to invoke 'Echo' due to an error on the server.");
  else t.equal(await call, "a\uFFFD\uFFFD\uFFFDb");
  t.equal(await client.call("Zero"), 0);
});

check("two arguments", async (t) => {
  const client = await t.connect();
  t.equal(await client.call("Add", 40, 2), 42);
  t.equal(await client.call("Add", -2147483648, 2147483647), -1);
});

check("three arguments, a list among them", async (t) => {
  const client = await t.connect();
  await client.call("JoinGroup", `${t.tag}g`);
  t.equal(await client.call("ToGroupExcept", `${t.tag}g`, ["a", "b"], `${t.tag}x`), null);
  await t.delivered([client], `${t.tag}x`, [1]);
});

check("eight arguments of eight types", async (t) => {
  const client = await t.connect();
  const { person } = t;
  const all = ["a", -1, 2 ** 53 - 1, 2.5, true, "f", [1, 2, 3], person.call(t, "Ann", 7, [])];
  t.equal(await client.call("Join8", ...all), "a|-1|9007199254740991|2.5|True|f|1,2,3|Ann");
  const empty = ["", 0, -(2 ** 53 - 1), -0.125, false, null, [], person.call(t, "", 0, [])];
  t.equal(await client.call("Join8", ...empty), "|0|-9007199254740991|-0.125|False|null||");
});

check("void is null", async (t) => {
  const client = await t.connect();
  t.equal(await client.call("Nothing"), null);
  t.equal(await client.call("NothingLater"), null);
});

check("null, given and taken", async (t) => {
  const client = await t.connect();
  t.equal(await client.call("Null"), null);
  t.equal(await client.call("Maybe", null), null);
  t.equal(await client.call("Maybe", 7), 7);
  t.equal(await client.call("Echo", null), null);
});

check("booleans", async (t) => {
  const client = await t.connect();
  t.equal(await client.call("Not", true), false);
  t.equal(await client.call("Not", false), true);
});

check("whole numbers to 2^53", async (t) => {
  const client = await t.connect();
  const edges = [7, 8, 15, 16, 31, 32, 52, 53].flatMap((bits) => [2 ** bits - 1, 2 ** bits]);
  const numbers = [0, ...edges.slice(0, -1), 127, 255, 4294967295].flatMap((n) => n === 0 ? [0] : [n, -n]);
  t.equal(await Promise.all(numbers.map((n) => client.call("BigInteger", n))), numbers);
});

check("fractions", async (t) => {
  const client = await t.connect();
  const numbers = [0, 0.1, -0.5, 1.5, 3, 1e-7, 1e21, 1.7976931348623157e308, 5e-324, Math.PI, 2 ** 53, -1e15];
  t.equal(await Promise.all(numbers.map((n) => client.call("Number", n))), numbers);
});

check("objects in objects", async (t) => {
  const client = await t.connect();
  const friend = t.person("Bob 😀", 3, ["x"], t.person("Cid", 0, [], null));
  const got = await client.call("Older", t.person("Ann", 41, ["a", "", "é"], friend));
  t.equal(got, t.person("Ann", 42, ["a", "", "é"], friend));
});

check("names of members", async (t) => {
  const client = await t.connect();
  const ann = t.json
    ? { NAME: "Ann", aGe: 1, tags: ["a"], unknown: { deep: [1, { er: null }] } }
    : { Name: "Ann", Age: 1, Tags: ["a"], unknown: { deep: [1, { er: null }] } };
  t.equal(await client.call("Older", ann), t.person("Ann", 2, ["a"]));
});

check("lists and maps", async (t) => {
  const client = await t.connect();
  t.equal(await client.call("Count", ["b", "A", "b", ""]), { b: 2, A: 1, "": 1 });
  t.equal(await client.call("Count", []), {});
});

check("bytes", async (t) => {
  const client = await t.connect();
  const every = Array.from({ length: 256 }, (_, i) => i);
  const big = Array.from({ length: 20_000 }, (_, i) => i % 251);
  for (const bytes of [[], [0], [1, 2, 3], [255, 254], every, big]) {
    t.equal(await client.call("Reverse", t.bytes(bytes)), t.bytes([...bytes].reverse()));
  }
});

check("dates", async (t) => {
  const client = await t.connect();
  const days = {
    "2024-02-28T23:59:58Z": "2024-02-29T23:59:58Z",
    "2024-02-28T00:00:00.125Z": "2024-02-29T00:00:00.125Z",
    "1969-12-31T12:00:00Z": "1970-01-01T12:00:00Z",
    "2106-02-07T06:28:16Z": "2106-02-08T06:28:16Z",
    "9999-12-30T00:00:00Z": "9999-12-31T00:00:00Z",
  };
  for (const [day, next] of Object.entries(days)) {
    const got = await client.call("Tomorrow", new Date(day));
    if (t.json) t.equal(got, next);
    else t.equal(got, new Date(next), day);
  }
});

check("GUIDs and enums", async (t) => {
  const client = await t.connect();
  const guid = "01234567-89ab-cdef-0123-456789abcdef";
  t.equal(await client.call("SameGuid", guid), guid);
  t.equal(await client.call("SameGuid", guid.toUpperCase()), guid);
  const colours = t.json ? [0, 1, 2] : ["Red", "Green", "Blue"];
  t.equal(await Promise.all(colours.map((colour) => client.call("Next", colour))), [...colours.slice(1), colours[0]]);
});

check("names of methods in any case", async (t) => {
  const client = await t.connect();
  t.equal([await client.call("ZERO"), await client.call("eCHO", "x"), await client.call("ReNamed")], [0, "x", "renamed"]);
});

check("send waits for no answer", async (t) => {
  const client = await t.connect();
  await client.send("ToCaller", `${t.tag}sent`);
  await client.received.has(`${t.tag}sent`);
  t.equal(client.wire.all.filter((message) => message.type === 3).length, 1, "completions: that of ConnectionId");
});

check("answers come in the order of the calls", async (t) => {
  const client = await t.connect();
  const order = [];
  const calls = [60, 30, 1, 0].map((ms) => client.call("Hold", ms, `${ms}`).then((value) => order.push(value)));
  await Promise.all(calls);
  t.equal(order, ["60", "30", "1", "0"]);
});

check("four at once where the hub allows it", async (t) => {
  const client = await t.connect("/spec-parallel");
  const order = [];
  let waits = true;
  const long = client.call("Hold", 1_500, "long").then(() => { waits = false; });
  for (const name of ["a", "b", "c"]) order.push(await client.call("Hold", 1, name));
  t.ok(waits, "the long call still running", order);
  t.equal(order, ["a", "b", "c"]);
  await long;
}, { waits: true });

check("500 calls at once", async (t) => {
  const client = await t.connect();
  const numbers = Array.from({ length: 500 }, (_, i) => i);
  t.equal(await Promise.all(numbers.map((n) => client.call("Add", n, n))), numbers.map((n) => 2 * n));
});

check("messages of a method come before its answer", async (t) => {
  const client = await t.connect();
  await client.call("Burst", 200);
  t.equal(client.received.all, Array.from({ length: 200 }, (_, i) => `${i}`));
});

check("a method of the client with six arguments", async (t) => {
  const client = await t.connect();
  const inbox = client.inbox("arguments");
  await client.call("SendArguments");
  t.equal(await inbox.count(1), [["text", 1, 2.5, true, null, t.person("Ann", 7, ["a"])]]);
});

check("items of the connection", async (t) => {
  const [one, other] = await Promise.all([t.connect(), t.connect()]);
  t.equal(await one.call("Item", "key", "first"), null);
  t.equal(await one.call("Item", "key", "second"), "first");
  t.equal(await other.call("Item", "key", null), null);
});

check("what the request was", async (t) => {
  const client = await t.connect("/spec", { query: "?room=a%20b", http: { headers: { "X-Test": "yes" } } });
  t.equal(await client.call("Query", "room"), "a b");
  t.equal(await client.call("Query", "none"), null);
  t.equal(await client.call("Header", "x-test"), "yes");
  t.equal(await client.call("Transport"), { ws: "WebSockets", "ws-skip": "WebSockets", sse: "ServerSentEvents", lp: "LongPolling" }[t.over]);
});

check("behind a filter", async (t) => {
  const client = await t.connect("/spec-filtered");
  t.equal(await client.received.count(2), ["filter before connect", "connected"]);
  t.equal(await client.call("Echo", "x"), "filtered x");
  await t.fails(client.call("Nothing"), "An unexpected error occurred invoking 'Nothing' on the server. HubException: refused by the filter");
  t.equal(await client.call("Zero"), 0);
});
