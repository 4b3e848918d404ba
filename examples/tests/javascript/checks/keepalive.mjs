// Pings and timeouts. /spec-small pings every second and drops who is silent for three.

import { Ping, area } from "../harness.mjs";

const check = area("keep-alive");
const WITH_PINGS = ["ws", "ws-skip", "sse"];
const SILENT = 1_000_000;
const pings = (client, n) =>
  client.wire.until((all) => all.filter((message) => message.type === Ping).length >= n);

check("the server pings, and a client with a short timeout stays", async (t) => {
  const client = await t.connect("/spec-small", { serverTimeout: 4_000, keepAlive: 500 });
  const started = Date.now();
  await pings(client, 5);
  const took = Date.now() - started;
  t.ok(took > 3_000 && took < 15_000, "5 pings in about 5 s", took);
  t.equal(client.connection.state, "Connected");
  t.equal(await client.call("Zero"), 0);
}, { waits: true, over: WITH_PINGS });

check("a client that pings and says nothing else stays", async (t) => {
  const client = await t.connect("/spec-small", { keepAlive: 500 });
  await pings(client, 5);
  t.equal(await client.call("Echo", "alive"), "alive");
}, { waits: true, over: WITH_PINGS });

check("the server drops a silent client after 3 s", async (t) => {
  const client = await t.connect("/spec-small", { keepAlive: SILENT });
  const started = Date.now();
  const error = await client.closed;
  const took = Date.now() - started;
  t.equal(error?.message, "Server returned an error on close: Connection closed with an error.");
  t.ok(took > 2_500 && took < 12_000, "3 to 5 s", took);
}, { waits: true, over: WITH_PINGS });

check("a client that never pings but calls stays", async (t) => {
  const client = await t.connect("/spec-small", { keepAlive: SILENT });
  for (let n = 1; n <= 6; n++) {
    await pings(client, n);
    t.equal(await client.call("Echo", "alive"), "alive");
  }
}, { waits: true, over: WITH_PINGS });

check("pings go both ways while a call runs", async (t) => {
  const client = await t.connect("/spec-small", { serverTimeout: 4_000, keepAlive: 500 });
  const before = client.wire.all.length;
  t.equal(await client.call("Hold", 5_000, "held"), "held");
  const during = client.wire.all.slice(before).filter((message) => message.type === Ping).length;
  t.ok(during >= 3, "at least 3 pings", during);
}, { waits: true, over: WITH_PINGS });

check("a client leaves a server that says nothing", async (t) => {
  const client = await t.connect("/spec", { serverTimeout: 500, keepAlive: 100 });
  const error = await client.closed;
  t.equal(error?.message, "Server timeout elapsed without receiving a message from the server.");
}, { waits: true, over: WITH_PINGS });

check("a silent client that reconnects is served again", async (t) => {
  const client = t.client("/spec-small", { keepAlive: SILENT, reconnect: [0, 100, 500, 1_000] });
  const again = new Promise((resolve) => client.connection.onreconnected(resolve));
  await client.start();
  const before = await client.call("ConnectionId");
  await again;
  const after = await client.call("ConnectionId");
  t.ok(after !== before, "a new id", after);
}, { waits: true, over: WITH_PINGS });
