// Rounds of what must not be lost: calls of clients that leave at once, and answers that are given
// before the body of their request has come. Against `spec_server`, direct or behind a proxy.
//
//   node rounds.mjs http://127.0.0.1:8080 --rounds 500 --python python3
//
// In each round a client says a few things and leaves when the last is answered: the official client
// over server-sent events and over long polling, node:http and Python's http.client by POST and
// DELETE. Another client, which stays, must hear all of it, each round's in order. Then requests
// whose answers do not need their bodies: each must be answered as it should, by node:http and by
// Python, on connections that are kept. Prints what was lost, and fails if anything was.

import { parseArgs } from "node:util";
import { spawn } from "node:child_process";
import http from "node:http";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { TRANSPORTS, signalR } from "./harness.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "500" },
    python: { type: "string", default: "python3" },
  },
});
const [url] = positionals;
const rounds = Number(flags.rounds);

/** What the one who stays has heard, by round. */
const heard = new Map();
let tellOf = () => {};

function connection(path, transport) {
  const build = new signalR.HubConnectionBuilder().withUrl(`${url}${path}`, { transport });
  return build.configureLogging(signalR.LogLevel.None).build();
}

const witness = connection("/spec", TRANSPORTS.ws.transport);
witness.on("Received", (text) => {
  const [round, number] = text.split(".");
  if (!heard.has(round)) heard.set(round, []);
  heard.get(round).push(Number(number));
  tellOf(text);
});
await witness.start();

/** Waits until something is heard that was said after all else. */
async function settled(kind) {
  const last = `${kind} is over.0`;
  const over = new Promise((done) => (tellOf = (text) => text === last && done()));
  await witness.invoke("ToCaller", last);
  await over;
}

const wrong = [];

/** Runs rounds of a kind, each of so many calls; counts those of which not all was heard, in order. */
async function leaving(kind, calls, run) {
  const begun = performance.now();
  await run();
  // The last calls may still be on their way: each client's connection ends behind them.
  for (let tries = 0; tries < 200 && missing(kind, calls).length > 0; tries += 1) {
    await settled(kind);
    await new Promise((later) => setTimeout(later, 10));
  }
  const lost = missing(kind, calls);
  console.log(`${kind}: ${lost.length} of ${rounds} rounds lost a call (${Math.round(performance.now() - begun)} ms)`);
  if (lost.length > 0) wrong.push(`${kind}: round ${lost[0]} has ${heard.get(lost[0])}`);
}

function missing(kind, calls) {
  const all = Array.from({ length: calls }, (_, number) => number).join();
  const names = Array.from({ length: rounds }, (_, round) => `${kind} ${round}`);
  return names.filter((name) => (heard.get(name) ?? []).join() !== all);
}

async function official(kind, transport) {
  await leaving(kind, 5, async () => {
    for (let round = 0; round < rounds; round += 1) {
      const client = connection("/spec", transport);
      await client.start();
      for (let number = 0; number < 5; number += 1) {
        await client.send("ToOthers", `${kind} ${round}.${number}`);
      }
      await client.stop();
    }
  });
}

/** One connection, kept; every socket that is opened beyond it is counted. */
function keptConnection() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  return async (method, path, body = "", headers = {}) => {
    const request = http.request(`${url}${path}`, { method, agent, headers: { "Content-Length": Buffer.byteLength(body), ...headers } });
    request.end(body);
    const [response] = await once(request, "response");
    let text = "";
    for await (const piece of response) text += piece;
    return { status: response.statusCode, text };
  };
}

const RS = "\u001e";
const call = (text) => `${JSON.stringify({ type: 1, target: "ToOthers", arguments: [text] })}${RS}`;

async function byNode(kind) {
  const ask = keptConnection();
  await leaving(kind, 20, async () => {
    for (let round = 0; round < rounds; round += 1) {
      const { text } = await ask("POST", "/spec/negotiate?negotiateVersion=1");
      const path = `/spec?id=${JSON.parse(text).connectionToken}`;
      await ask("GET", path);
      await ask("POST", path, `{"protocol":"json","version":1}${RS}`);
      await ask("GET", path);
      const calls = Array.from({ length: 20 }, (_, number) => call(`${kind} ${round}.${number}`));
      const { status } = await ask("POST", path, calls.join(""));
      if (status !== 200) throw new Error(`the POST was answered ${status}`);
      await ask("DELETE", path);
    }
  });
}

/** Requests that are answered before their bodies have come, and how. */
const EARLY = [
  ["POST", "/spec?id=nobody", 404],
  ["POST", "/spec-auth?id=nobody", 401],
  ["POST", "/spec-auth/negotiate?negotiateVersion=1", 401],
  ["POST", "/spec/negotiate?negotiateVersion=1", 200],
  ["PUT", "/spec", 405],
  ["POST", "/nowhere", 404],
  ["POST", "/healthz", 405],
];

async function early(kind, size) {
  const ask = keptConnection();
  const body = "x".repeat(size);
  const faults = [];
  for (let round = 0; round < rounds; round += 1) {
    const [method, path, expected] = EARLY[round % EARLY.length];
    const outcome = await ask(method, path, body).then(({ status }) => status, (error) => error.code);
    if (outcome !== expected) faults.push(`${method} ${path} with ${size} bytes: ${outcome}`);
  }
  console.log(`${kind}, ${size} bytes: ${faults.length} of ${rounds} answers lost`);
  if (faults.length > 0) wrong.push(faults[0]);
}

async function byPython() {
  await leaving("python", 20, async () => {
    const program = fileURLToPath(new URL("../python/rounds.py", import.meta.url));
    const python = spawn(flags.python, [program, url, String(rounds)], { stdio: ["ignore", "inherit", "inherit"] });
    const [code] = await once(python, "close");
    if (code !== 0) wrong.push("Python's rounds failed");
  });
}

await official("official client over server-sent events", TRANSPORTS.sse.transport);
await official("official client over long polling", TRANSPORTS.lp.transport);
await byNode("node:http by DELETE");
await byPython();
for (const size of [100, 30_000, 200_000]) await early("node:http", size);
await witness.stop();
for (const what of wrong) console.error(`WRONG: ${what}`);
process.exit(wrong.length === 0 ? 0 : 1);
