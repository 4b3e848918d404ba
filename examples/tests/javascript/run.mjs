// Tests a SignalR server with the official JavaScript client:
//
//   npm ci && node run.mjs http://127.0.0.1:5001 --server "PROGRAM --listen"
//
// The server is the one that examples/README.md calls spec_server. `--help` has the rest.

import { parseArgs } from "node:util";
import { Failed, TRANSPORTS, Test, registry } from "./harness.mjs";
import { BOUND, REPEATS, quiet, watch } from "./lateness.mjs";
import "./checks/calls.mjs";
import "./checks/chat.mjs";
import "./checks/connect.mjs";
import "./checks/errors.mjs";
import "./checks/fallback.mjs";
import "./checks/keepalive.mjs";
import "./checks/reconnect.mjs";
import "./checks/results.mjs";
import "./checks/streams.mjs";
import "./checks/targets.mjs";
import "./checks/users.mjs";

const HELP = `node run.mjs URL [options]
  --over LIST        transports: ws,ws-skip,sse,lp (default); also $SIGNALR_OVER
  --protocols LIST   json,messagepack (default)
  --server COMMAND   starts a server of its own for checks that restart it; an address follows
  --auth             with the checks that need tokens (/spec-auth and /token)
  --only REGEX       only the checks whose line matches
  --list             names them, runs nothing
  --jobs N           checks side by side (default 6)
  --expect-wrongly   every expectation is a wrong one: what passes checks nothing`;
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    over: { type: "string", default: process.env.SIGNALR_OVER || "ws,ws-skip,sse,lp" },
    protocols: { type: "string", default: "json,messagepack" },
    server: { type: "string" },
    auth: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    list: { type: "boolean", default: false },
    jobs: { type: "string", default: "6" },
    "expect-wrongly": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (flags.help || positionals.length !== 1) {
  console.log(HELP);
  process.exit(flags.help ? 0 : 2);
}
const over = flags.over.split(",");
const unknown = over.filter((name) => !(name in TRANSPORTS));
if (unknown.length > 0) {
  console.error(`unknown transport: ${unknown}\n${HELP}`);
  process.exit(2);
}
const options = {
  url: positionals[0].replace(/\/$/, ""),
  over,
  server: flags.server,
  expectWrongly: flags["expect-wrongly"],
};

const LIMIT = 30_000;
const only = new RegExp(flags.only);
const runs = [];
for (const check of registry) {
  for (const transport of over) {
    for (const protocol of flags.protocols.split(",")) {
      const label = `${check.name} [${transport} ${protocol}]`;
      if (transport === "sse" && protocol !== "json") continue;
      if (check.over && !check.over.includes(transport)) continue;
      if (check.protocols && !check.protocols.includes(protocol)) continue;
      if (check.needs === "auth" && !flags.auth) continue;
      if (check.needs === "server" && !flags.server) continue;
      if (only.test(label)) runs.push({ ...check, label, transport, protocol });
    }
  }
}
if (flags.list) {
  for (const { label } of runs) console.log(label);
  process.exit(0);
}
if (!flags.auth) console.log("left out: what needs tokens (--auth)");
if (!flags.server) console.log("left out: what restarts the server (--server)");

let [passed, failed] = [0, 0];

/** Runs a check once: what is wrong, or null. */
async function attempt({ run, transport, protocol }) {
  const t = new Test(options, transport, protocol);
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Failed(`no end within ${LIMIT / 1000} s`)), LIMIT);
  });
  try {
    await Promise.race([run(t), late]);
    return null;
  } catch (error) {
    return error instanceof Failed ? error.message : `${error?.stack ?? error}`;
  } finally {
    clearTimeout(timer);
    await Promise.allSettled(t.clients.map((client) => client.connection.stop()));
    await Promise.allSettled(t.cleanups.map((cleanup) => cleanup()));
  }
}

/** Runs a check. Where it says when something happens, a run that was late is no verdict. */
async function one(check) {
  let wrong;
  for (let repeated = 0; ; repeated++) {
    const since = watch();
    wrong = await attempt(check);
    const late = since();
    if (!check.waits || late <= BOUND) break;
    console.log(`no verdict: ${check.label}: late by ${late.toFixed()} ms`);
    if (repeated === REPEATS) {
      wrong = `no verdict in ${1 + REPEATS} runs: late by ${late.toFixed()} ms in the last`;
      break;
    }
    await quiet();
  }
  if (wrong === null) {
    passed++;
    console.log(`ok ${check.label}`);
  } else {
    failed++;
    console.log(`FAILED ${check.label}: ${wrong}`);
  }
}

// Over HTTP the client itself forgets what it has sent when the connection ends, or never begins.
const FORGOTTEN = [
  /^Cannot send data if the connection is not in the 'Connected' State\.$/,
  /^Server returned handshake error: /,
  /: Status code '404'$/,
];
const overHttp = over.includes("sse") || over.includes("lp");

// What a check leaves behind is its failure, not the end of the run.
process.on("unhandledRejection", (error) => {
  if (overHttp && FORGOTTEN.some((text) => text.test(error?.message))) return;
  failed++;
  console.log(`FAILED nobody waited for this: ${error?.stack ?? error}`);
});

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
// One by one, or their beginnings together would make each of them late.
const waiting = [];
for (const check of runs.filter((check) => check.waits)) {
  waiting.push(one(check));
  await pause();
}
const queue = runs.filter((check) => !check.waits && !check.alone);
const worker = async () => {
  for (let check = queue.shift(); check; check = queue.shift()) await one(check);
};
await Promise.all(Array.from({ length: Number(flags.jobs) }, worker));
await Promise.all(waiting);
for (const check of runs.filter((check) => check.alone)) await one(check);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
