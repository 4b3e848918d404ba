// Many clients at once, of the official JavaScript client: behind a proxy, and through a restart.
//
//   node crowd.mjs http://127.0.0.1:8080/bench --clients 1000 --over ws,sse,lp
//
// They begin a hundred at a time, no more than the queue of a listener holds. Each calls `Echo` and
// must get its own words back. With --restart it then says "connected" and
// waits for a line: the server may be stopped and started meanwhile; each must come back by itself
// and call again.

import { parseArgs } from "node:util";
import { createInterface } from "node:readline";
import { TRANSPORTS, signalR } from "./harness.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    clients: { type: "string", default: "1000" },
    over: { type: "string", default: "ws,sse,lp" },
    restart: { type: "boolean", default: false },
  },
});
const [url] = positionals;
const count = Number(flags.clients);
const over = flags.over.split(",");

/** Long enough for a server that restarts; one after the other, none gives up before. */
const retries = { nextRetryDelayInMilliseconds: ({ elapsedMilliseconds }) => (elapsedMilliseconds < 60_000 ? 300 : null) };

function client(number) {
  const { transport } = TRANSPORTS[over[number % over.length]];
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(url, { transport })
    .withAutomaticReconnect(retries)
    .configureLogging(signalR.LogLevel.None)
    .build();
  connection.serverTimeoutInMilliseconds = 60_000;
  return { number, connection };
}

async function echo({ number, connection }) {
  const words = `I am ${number}`;
  const answer = await connection.invoke("Echo", words);
  if (answer !== words) throw new Error(`client ${number} got ${answer}`);
}

async function each(what, run) {
  const outcomes = await Promise.allSettled(clients.map(run));
  const failed = outcomes.filter(({ status }) => status === "rejected");
  if (failed.length > 0) {
    console.error(`${what}: ${failed.length} of ${count} failed, the first with: ${failed[0].reason}`);
    process.exit(1);
  }
}

const clients = Array.from({ length: count }, (_, number) => client(number));
await each("start", ({ connection }) => connection.start());
await each("call", echo);
if (flags.restart) {
  const back = clients.map(
    ({ connection }) =>
      new Promise((done, failed) => {
        connection.onreconnected(done);
        connection.onclose((error) => failed(error ?? new Error("closed")));
      }),
  );
  console.log("connected");
  for await (const _ of createInterface({ input: process.stdin })) break;
  await each("come back", ({ number }) => back[number]);
  await each("call again", echo);
}
await each("stop", ({ connection }) => connection.stop());
console.log(`${count} clients over ${over}`);
process.exit(); // not when the last kept connection has been given up
