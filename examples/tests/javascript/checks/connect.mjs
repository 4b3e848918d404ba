// Connecting: what is accepted, what is refused, and with which words.

import { area, renamed, signalR } from "../harness.mjs";

const check = area("connect");

check("an unknown protocol is refused", async (t) => {
  // Polls give it to the client as bytes, which it does not read as UTF-8.
  const names = ["klingon", "jsonx", ...(t.over === "lp" && !t.json ? [] : ["ünï😀"])];
  for (const name of names) {
    const client = t.client("/spec", { hubProtocol: renamed(t.protocol, { name }) });
    await t.fails(client.start(), `Server returned handshake error: The protocol '${name}' is not supported.`);
    t.equal(client.connection.state, "Disconnected");
  }
});

check("the name of a protocol in any case", async (t) => {
  const name = t.protocol.toUpperCase();
  const client = await t.connect("/spec", { hubProtocol: renamed(t.protocol, { name }) });
  t.equal(await client.call("Echo", "x"), "x");
});

/** The client only says another version than 1 where the server grants stateful reconnect. */
class Granting extends signalR.DefaultHttpClient {
  async send(request) {
    const response = await super.send(request);
    const content = JSON.stringify({ ...JSON.parse(response.content), useStatefulReconnect: true });
    return new signalR.HttpResponse(response.statusCode, response.statusText, content);
  }
}

check("an unknown version is refused", async (t) => {
  const client = t.client("/spec", {
    hubProtocol: renamed(t.protocol, { version: 3 }),
    stateful: true,
    http: { httpClient: new Granting(signalR.NullLogger.instance) },
  });
  await t.fails(client.start(), `Server returned handshake error: The server does not support version 3 of the '${t.protocol}' protocol.`);
}, { over: ["ws"] });

check("version 2 is served", async (t) => {
  const client = t.client("/spec", { stateful: true, http: { httpClient: new Granting(signalR.NullLogger.instance) } });
  await client.start();
  t.equal(await client.call("Echo", "x"), "x");
}, { over: ["ws"] });

check("the client knows the id that the server gave it", async (t) => {
  const client = await t.connect();
  t.equal(client.connection.connectionId, t.skipsNegotiation ? null : client.id);
  t.equal(client.id.length, 22);
});

check("paths: any case, a slash at the end, none that is not there", async (t) => {
  for (const path of ["/SPEC", "/spec/", "/Spec-Detailed"]) {
    t.equal(await (await t.connect(path)).call("Zero"), 0, path);
  }
  await t.fails(t.client("/nowhere").start(), t.skipsNegotiation ? /./ : /404/);
});

check("negotiated transports", async (t) => {
  const { status, text, headers } = await t.http("POST", "/spec/negotiate?negotiateVersion=1");
  const answer = JSON.parse(text);
  t.equal([status, headers.get("content-type"), answer.negotiateVersion], [200, "application/json", 1]);
  const websockets = answer.availableTransports.filter(({ transport }) => transport === "WebSockets");
  t.equal(websockets, [{ transport: "WebSockets", transferFormats: ["Text", "Binary"] }]);
  t.ok(answer.connectionId !== answer.connectionToken, "a secret token", answer);
}, { over: ["ws"], protocols: ["json"] });

check("start, stop, and start again", async (t) => {
  const client = t.client();
  const ids = new Set();
  for (let i = 0; i < 3; i++) {
    await client.start();
    ids.add(await client.call("ConnectionId"));
    await client.connection.stop();
    t.equal(client.connection.state, "Disconnected");
  }
  t.equal(ids.size, 3);
  t.equal(await client.closed, undefined);
});

check("calls that nobody will answer end with the connection", async (t) => {
  const client = await t.connect();
  const canceled = "Invocation canceled due to the underlying connection being closed.";
  // A POST may not even have been sent.
  const error = t.posts ? new RegExp(`^${canceled}$|^Cannot send until the transport is connected$`) : canceled;
  const held = t.fails(client.call("Hold", 60_000, "x"), error);
  await client.connection.stop();
  await held;
});

check("20 connections at once", async (t) => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => t.connect()));
  t.equal(new Set(clients.map((client) => client.id)).size, 20);
  t.equal(await Promise.all(clients.map((client, i) => client.call("Add", i, 1))), clients.map((_, i) => i + 1));
});
