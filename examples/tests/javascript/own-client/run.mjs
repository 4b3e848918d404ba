// Checks `examples/web/hub.js` against a SignalR server, in Node and in Chromium:
//
//   npm ci && node --experimental-websocket own-client/run.mjs http://127.0.0.1:5001
//
// Node from 22 on has WebSockets without the flag. Chromium is the one that $CHROMIUM names, or
// `chromium`; --node leaves it out.

import { readFile } from "node:fs/promises";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { Proxy } from "../proxy.mjs";
import { checks, statefulChecks } from "./checks.mjs";
import { environment } from "./environment.mjs";
import { HubConnection } from "../../../web/hub.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", default: "" },
    node: { type: "boolean", default: false },
    "expect-wrongly": { type: "boolean", default: false },
  },
});
if (positionals.length !== 1) {
  console.log("node own-client/run.mjs URL [--only REGEX] [--node] [--expect-wrongly]");
  process.exit(2);
}
const server = positionals[0].replace(/\/$/, "");
const LIMIT = 30_000;
const WAYS = [
  ["WebSockets", "json"], ["WebSockets", "messagepack"],
  ["ServerSentEvents", "json"],
  ["LongPolling", "json"], ["LongPolling", "messagepack"],
];

const all = WAYS.flatMap(([over, protocol]) => [
  ...Object.keys(checks).map((name) => ({ name, over, protocol })),
  ...(over === "WebSockets" ? Object.keys(statefulChecks) : []).map((name) => ({ name, over, protocol })),
]);

/** What the network does to a connection. Kept connections that carry nothing are left alone. */
const cut = (proxy, { over }) => (over === "WebSockets" ? proxy.cut() : proxy.refuseNext());

// Those of a check that has failed already.
process.on("unhandledRejection", () => {});

let [passed, failed] = [0, 0];

async function check(where, { name, over, protocol }, run) {
  const label = `${where}: ${name} [${over} ${protocol}]`;
  if (!new RegExp(flags.only).test(label)) return;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${LIMIT / 1000} s`)), LIMIT);
  });
  const proxy = await Proxy.start(server, { files });
  try {
    await Promise.race([run(proxy), late]);
    passed++;
    console.log(`ok ${label}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${label}: ${error.message}`);
  }
  clearTimeout(timer);
  proxy.close();
}

const JS = "text/javascript";
const file = async (path) => [JS, await readFile(new URL(path, import.meta.url))];
const files = { "/page": ["text/html", '<!DOCTYPE html><meta charset="utf-8"><title>page</title>'] };
for (const name of ["hub", "hub-protocols", "hub-transports", "msgpack"]) {
  files[`/web/${name}.js`] = await file(`../../../web/${name}.js`);
}
for (const name of ["checks", "environment"]) files[`/${name}.mjs`] = await file(`${name}.mjs`);

for (const one of all) {
  await check("node", one, async (proxy) => {
    const t = environment(HubConnection, proxy.url, one, () => cut(proxy, one), isDeepStrictEqual, flags["expect-wrongly"]);
    try {
      await { ...checks, ...statefulChecks }[one.name](t);
    } finally {
      await t.end();
    }
  });
}

if (!flags.node) {
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  });
  for (const one of all) {
    await check("browser", one, async (proxy) => {
      const context = await browser.newContext();
      const page = await context.newPage();
      await page.exposeFunction("cut", () => cut(proxy, one));
      await page.goto(`${proxy.url}/page`);
      try {
        await page.evaluate(async ({ one, url, wrongly }) => {
          const { HubConnection } = await import("/web/hub.js");
          const { checks, statefulChecks } = await import("/checks.mjs");
          const { environment } = await import("/environment.mjs");
          const isEqual = (got, expected) => JSON.stringify(got) === JSON.stringify(expected);
          const t = environment(HubConnection, url, one, () => window.cut(), isEqual, wrongly);
          try {
            await { ...checks, ...statefulChecks }[one.name](t);
          } finally {
            await t.end();
          }
        }, { one, url: proxy.url, wrongly: flags["expect-wrongly"] });
      } finally {
        await context.close();
      }
    });
  }
  await browser.close();
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
