// Says secrets to a SignalR server in every place where there may be one, over every transport in
// both protocols, and prints each, one a line: none of them may be in the server's log.
//
//   node canaries.mjs http://127.0.0.1:5001
//
// The server is the one that examples/README.md calls spec_server.

import { randomBytes } from "node:crypto";
import { Failed, TRANSPORTS, Test, renamed, show, signalR } from "./harness.mjs";

const url = process.argv[2].replace(/\/$/, "");
/** The kind of each secret, and the secret. */
const planted = [];
function canary(kind) {
  const secret = `canary${randomBytes(9).toString("hex")}`;
  planted.push([kind, secret]);
  return secret;
}

/** The connection token is the server's secret. */
class Listening extends signalR.DefaultHttpClient {
  async send(request) {
    const response = await super.send(request);
    if (request.url.includes("/negotiate")) {
      const { connectionToken } = JSON.parse(response.content);
      if (connectionToken) planted.push(["connection token", connectionToken]);
    }
    return response;
  }
}

/** What is said on one connection; what comes back is looked at, or it might say nothing. */
async function converse(over, protocol) {
  const t = new Test({ url, over: Object.keys(TRANSPORTS) }, over, protocol);
  const user = canary("user");
  const token = await (await fetch(`${url}/token?user=${user}`)).text();
  planted.push(["access token", token], ["signature of the access token", token.split(".")[2]]);
  const query = canary("query");
  const client = t.client("/spec-auth", {
    query: `?secret=${query}`,
    http: {
      accessTokenFactory: () => token,
      headers: { "X-Secret": canary("header"), Cookie: `secret=${canary("cookie")}` },
      httpClient: new Listening(signalR.NullLogger.instance),
    },
  });
  const { connection } = await client.start();
  t.equal(await client.call("UserIdentifier"), user);
  t.equal(await client.call("Query", "secret"), query);
  const said = canary("argument and result");
  t.equal(await client.call("Echo", said), said);
  t.equal((await client.call("Older", t.person(canary("member"), 41, [canary("element")]))).constructor, Object);
  const bytes = Buffer.from(canary("bytes"));
  await client.call("Reverse", t.json ? bytes.toString("base64") : bytes);
  connection.on("Ask", () => canary("client result"));
  await client.call("AskCaller", canary("question"));
  const text = canary("broadcast");
  await client.call("ToUser", user, text);
  await client.received.has(text);
  await client.call("JoinGroup", canary("group"));
  await client.call("Item", canary("key"), canary("value"));
  const letter = String.fromCodePoint(0xa000 + randomBytes(2).readUInt16BE() % 0x400);
  planted.push(["stream item", letter]);
  const stream = client.stream("Letters", letter);
  t.equal([await stream.ended, stream.items.all], [null, [letter]]);
  const parts = new signalR.Subject();
  const whole = client.call("Concat", parts);
  const [left, right] = [canary("upload"), canary("upload")];
  parts.next(left);
  parts.next(right);
  parts.complete();
  t.equal(await whole, left + right);
  // Calls that are refused, whose words are not the hub's either.
  await t.fails(client.call(canary("target")), /Method does not exist/);
  await t.fails(client.call("Add", canary("wrong argument"), 1), /Add/);
  await t.fails(client.call("Zero", canary("argument too many")), /Zero/);
  const wrong = new signalR.Subject();
  const sum = t.fails(client.call("Sum", wrong), /Sum/);
  wrong.next(canary("wrong upload"));
  wrong.complete();
  await sum;
  connection.on("AskInt", () => canary("wrong client result"));
  t.equal(await client.call("AskInt", await client.call("ConnectionId")), -1);
  await connection.stop();
  if (over === "sse" || over === "lp") return; // there the client does not bear a refused handshake
  const hubProtocol = renamed(protocol, { name: canary("protocol") });
  await t.fails(t.client("/spec", { hubProtocol }).start(), /not supported/);
}

/** What is refused before there is a connection. */
async function refused() {
  const asked = [
    ["POST", `/spec-auth/negotiate?negotiateVersion=1&access_token=${canary("forged token in the query")}`],
    ["POST", "/spec-auth/negotiate?negotiateVersion=1", { Authorization: `Bearer ${canary("forged token")}` }],
    ["POST", `/spec/negotiate?negotiateVersion=${canary("version")}`],
    ["GET", `/spec?id=${canary("unknown id of a poll")}`],
    ["GET", `/spec?id=${canary("unknown id of an event stream")}`, { Accept: "text/event-stream" }],
    ["POST", `/spec?id=${canary("unknown id of a POST")}`, {}, canary("body")],
    ["DELETE", `/spec?id=${canary("unknown id of a DELETE")}`],
    ["GET", `/chat?id=${canary("id of a foreign page")}`, { Origin: `https://foreign.example/?token=${canary("no origin")}` }],
    ["GET", `/nowhere?secret=${canary("query of an unknown path")}`],
    ["POST", "/spec-refresh/refresh", { "X-SignalR-Connection-Token": canary("connection token to refresh") }],
  ];
  for (const [method, path, headers, body] of asked) {
    const response = await fetch(url + path, { method, headers, body });
    const text = await response.text();
    // A refusal of a version is 200 with an error (N-10).
    if (response.ok && !text.startsWith('{"error":')) {
      throw new Failed(`expected a refusal of ${method} ${path}, got ${response.status} ${show(text)}`);
    }
  }
}

for (const over of Object.keys(TRANSPORTS)) {
  for (const protocol of over === "sse" ? ["json"] : ["json", "messagepack"]) await converse(over, protocol);
}
await refused();
for (const [kind, secret] of planted) console.log(`${kind}: ${secret}`);
process.exit(0);
