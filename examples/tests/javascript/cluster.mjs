// Tests SignalR servers that are one through Redis, with the official client:
//
//   npm ci && node cluster.mjs http://127.0.0.1:5001 http://127.0.0.1:5002 [http://127.0.0.1:5003]
//
// The servers are what examples/README.md calls spec_server, or the real one, with the same Redis. Two
// clients are on each, one in JSON and one in MessagePack; everything is sent from each server in turn.

import { isDeepStrictEqual } from "node:util";
import signalR from "@microsoft/signalr";
import msgpack from "@microsoft/signalr-protocol-msgpack";

const urls = process.argv.slice(2).map((url) => url.replace(/\/$/, ""));
if (urls.length < 2 || urls.some((url) => !url.startsWith("http"))) {
  console.log("node cluster.mjs URL URL [URL…]");
  process.exit(2);
}
const LIMIT = 20_000;
let passed = 0;
let failed = 0;

const within = (promise, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${LIMIT} ms`)), LIMIT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

class Client {
  constructor(server, protocol, path, token) {
    this.server = server;
    this.name = `${protocol} on server ${server + 1}`;
    this.got = [];
    this.waiters = new Set();
    const builder = new signalR.HubConnectionBuilder()
      .withUrl(urls[server] + path, { accessTokenFactory: token && (() => token), logger: signalR.LogLevel.None })
      .configureLogging(signalR.LogLevel.None);
    if (protocol === "messagepack") builder.withHubProtocol(new msgpack.MessagePackHubProtocol());
    this.connection = builder.build();
    this.connection.on("Received", (text) => {
      this.got.push(text);
      for (const waiter of this.waiters) waiter();
    });
    this.connection.on("Ask", (question) => `${question} by ${this.name}`);
  }
  async start() {
    await within(this.connection.start(), "start");
    // A call is answered only once the other servers reach this client.
    await within(this.connection.invoke("Add", 1, 2), "a call");
    return this;
  }
  get id() {
    return this.connection.connectionId;
  }
  call(target, ...args) {
    return within(this.connection.invoke(target, ...args), target);
  }
  /** Resolves when this has come, and gives what came before it since the last time. */
  until(text) {
    const arrived = new Promise((resolve) => {
      const look = () => {
        const at = this.got.indexOf(text);
        if (at < 0) return;
        this.waiters.delete(look);
        resolve(this.got.splice(0, at + 1).slice(0, -1));
      };
      this.waiters.add(look);
      look();
    });
    return within(arrived, `${text} to ${this.name}`);
  }
}

const check = async (name, run) => {
  try {
    await run();
    passed += 1;
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.message}`);
  }
};

const equal = (got, want, what) => {
  if (!isDeepStrictEqual(got, want)) {
    throw new Error(`${what}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
  }
};

const start = (path, token) =>
  Promise.all(
    urls.flatMap((_, server) => ["json", "messagepack"].map((protocol) => new Client(server, protocol, path, token).start())),
  );

let round = 0;
/**
 * Calls a method, and looks who has got what it sent: these, once each, and nobody else. What ends it is
 * sent to everybody one by one, by a client of each server, and comes behind what that server sent.
 */
const reaches = async (clients, caller, send, wanted, times = () => 1) => {
  round += 1;
  const text = `message ${round}`;
  await send(text);
  // Those who want it wait for it; behind that, nobody gets it any more.
  await Promise.all(wanted.map((client) => client.until(text)));
  const rest = wanted.filter((client) => times(client) > 1);
  await Promise.all(rest.map((client) => client.until(text)));
  for (const client of clients) {
    const end = `end ${round} ${client.name}`;
    await caller.call("ToClient", client.id, end);
    equal(await client.until(end), [], `what ${client.name} got beside`);
  }
};

const clients = await start("/spec");
const ids = (some) => some.map((client) => client.id);
const others = (client) => clients.filter((other) => other !== client);

for (const caller of clients) {
  const from = `from ${caller.name}`;
  const sends = (name, send, wanted, times) =>
    check(`${name} ${from}`, () => reaches(clients, caller, send, wanted, times));
  await sends("all", (text) => caller.call("ToAll", text), clients);
  await sends("others", (text) => caller.call("ToOthers", text), others(caller));
  await sends("all but some", (text) => caller.call("ToAllExcept", [clients[0].id, "nobody"], text), others(clients[0]));
  await sends("the caller", (text) => caller.call("ToCaller", text), [caller]);
  for (const client of clients) {
    await sends(`one, ${client.name},`, (text) => caller.call("ToClient", client.id, text), [client]);
  }
  const some = clients.slice(1);
  await sends("some", (text) => caller.call("ToClients", [...ids(some), "nobody"], text), some);
}

const inGroup = clients.filter((_, at) => at !== 1);
await check("join", () => Promise.all(inGroup.map((client) => client.call("JoinGroup", "one"))));
await check("join another", () => Promise.all(clients.slice(0, 2).map((client) => client.call("JoinGroup", "two"))));
for (const caller of clients) {
  const from = `from ${caller.name}`;
  const sends = (name, send, wanted, times) =>
    check(`${name} ${from}`, () => reaches(clients, caller, send, wanted, times));
  await sends("a group", (text) => caller.call("ToGroup", "one", text), inGroup);
  const butLast = inGroup.slice(0, -1);
  const last = inGroup.at(-1).id;
  await sends("a group but one", (text) => caller.call("ToGroupExcept", "one", [last], text), butLast);
  await sends(
    "others of a group",
    (text) => caller.call("ToOthersInGroup", "one", text),
    inGroup.filter((client) => client !== caller),
  );
  const both = (client) => (client === clients[0] ? 2 : 1);
  await sends("two groups", (text) => caller.call("ToGroups", ["one", "two"], text), clients, both);
  for (const client of others(caller)) {
    await check(`ask ${client.name} ${from}`, async () => {
      const answer = await caller.call("AskClient", client.id, "a question", 10_000);
      equal(answer, `a question by ${client.name}`, "the answer");
    });
  }
  await check(`ask nobody ${from}`, async () => {
    const answer = await caller.call("AskClient", "nobody", "a question", 10_000);
    equal(answer, "IOException: Connection 'nobody' does not exist.", "the answer");
  });
}
await check("leave", () => Promise.all(inGroup.slice(1).map((client) => client.call("LeaveGroup", "one"))));
for (const caller of clients) {
  await check(`a group of one from ${caller.name}`, () =>
    reaches(clients, caller, (text) => caller.call("ToGroup", "one", text), [clients[0]]),
  );
}

// From outside a method: membership of a connection that another server has.
for (const [at, url] of urls.entries()) {
  const client = clients.find((client) => client.server !== at);
  const change = async (method) => {
    const answer = await fetch(`${url}/context/group/outside/${encodeURIComponent(client.id)}`, { method });
    equal(answer.status, 200, `${method} of server ${at + 1}`);
  };
  await check(`server ${at + 1} puts ${client.name} into a group, and takes it out`, async () => {
    await change("POST");
    await reaches(clients, clients[0], (text) => clients[0].call("ToGroup", "outside", text), [client]);
    await change("DELETE");
    await reaches(clients, clients[0], (text) => clients[0].call("ToGroup", "outside", text), []);
  });
}

// Users.
const token = await (await fetch(`${urls[0]}/token?user=ann`)).text();
const ann = await start("/spec-auth", token);
for (const caller of ann) {
  await check(`a user from ${caller.name}`, () => reaches(ann, caller, (text) => caller.call("ToUser", "ann", text), ann));
  await check(`users from ${caller.name}`, () =>
    reaches(ann, caller, (text) => caller.call("ToUsers", ["ann", "", "nobody"], text), ann),
  );
}
await Promise.all([...clients, ...ann].map((client) => client.connection.stop()));
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
