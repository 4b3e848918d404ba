// Across a restart of the server. These checks start a server of their own.

import { area } from "../harness.mjs";
import { Server } from "../server.mjs";

const check = area("reconnect");
const PATIENT = { nextRetryDelayInMilliseconds: () => 50 };

/** A client that tells what happens to it. */
async function watched(t, server, reconnect) {
  const client = t.client("/spec", { at: server.url, reconnect });
  client.events = [];
  client.reconnecting = new Promise((resolve) => client.connection.onreconnecting((error) => {
    client.events.push("reconnecting");
    resolve(error);
  }));
  client.reconnected = new Promise((resolve) => client.connection.onreconnected((id) => {
    client.events.push("reconnected");
    resolve(id);
  }));
  client.connection.onclose(() => client.events.push("closed"));
  await client.start();
  return client;
}

for (const signal of ["SIGTERM", "SIGKILL"]) {
  check(`the server restarts (${signal})`, async (t) => {
    const server = await Server.start(t.server, t.cleanups);
    const client = await watched(t, server, PATIENT);
    const final = await watched(t, server);
    const before = await client.call("ConnectionId");
    await client.call("JoinGroup", "group");
    client.connection.on("Ask", () => new Promise(() => {}));
    const held = client.call("AskCaller", "?").then(() => "an answer", () => "an error");
    const ticks = client.stream("Ticks", 1);
    await ticks.items.count(1);
    await server.stop(signal);
    await client.reconnecting;
    await final.closed;
    t.equal(final.events, ["closed"], "without automatic reconnect");
    t.equal(await held, "an error");
    t.ok(await ticks.ended !== null, "an error of the stream", "its end");
    t.equal(client.connection.state, "Reconnecting");
    await t.fails(client.call("Zero"), /Connected/);
    await server.up();
    const id = await client.reconnected;
    const after = await client.call("ConnectionId");
    t.ok(after !== before, "a new id", after);
    t.equal(id, t.skipsNegotiation ? undefined : after);
    await client.call("ToGroup", "group", "lost");
    await client.call("JoinGroup", "group");
    await client.call("ToGroup", "group", "found");
    await client.received.has("found");
    t.equal(client.received.all, ["found"]);
    const stream = client.stream("Numbers", 3);
    t.equal([await stream.ended, stream.items.all], [null, [0, 1, 2]]);
    t.equal(client.events, ["reconnecting", "reconnected"]);
  }, { needs: "server", alone: true });
}

check("the server does not come back", async (t) => {
  const server = await Server.start(t.server, t.cleanups);
  const client = await watched(t, server, [0, 10, 20]);
  await server.stop("SIGKILL");
  await client.closed;
  t.equal([client.events, client.connection.state], [["reconnecting", "closed"], "Disconnected"]);
}, { needs: "server", alone: true });
