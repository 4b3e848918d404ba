// Tests a SignalR server with the official client in a real browser, on pages of several origins:
//
//   npm ci && node browser.mjs http://127.0.0.1:5001 --server "PROGRAM --listen"
//
// The server is the one that examples/README.md calls spec_server, at 127.0.0.1. Chromium is the
// one that $CHROMIUM names, or `chromium`.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { Proxy } from "./proxy.mjs";
import { Server } from "./server.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    server: { type: "string" },
    only: { type: "string", default: "" },
    "expect-wrongly": { type: "boolean", default: false },
  },
});
if (positionals.length !== 1) {
  console.log('node browser.mjs URL [--server "PROGRAM --listen"] [--only REGEX] [--expect-wrongly]');
  process.exit(2);
}
const url = positionals[0].replace(/\/$/, "");
const LIMIT = 30_000;
const NAMES = { ws: "WebSockets", "ws-skip": "WebSockets", sse: "ServerSentEvents", lp: "LongPolling" };
const WAYS = Object.keys(NAMES).flatMap((over) =>
  over === "sse" ? [[over, "json"]] : [[over, "json"], [over, "messagepack"]]);

// The pages: one document with the official bundles, as they are in the packages.
const JS = "text/javascript";
const { resolve } = createRequire(import.meta.url);
const bundle = async (path) => [JS, await readFile(resolve(path))];
const files = {
  "/signalr.js": await bundle("@microsoft/signalr/dist/browser/signalr.js"),
  "/msgpack.js": await bundle("@microsoft/signalr-protocol-msgpack/dist/browser/signalr-protocol-msgpack.js"),
  "/page.js": [JS, await readFile(new URL("browser/page.js", import.meta.url))],
};
const scripts = Object.keys(files).map((file) => `<script src="${file}"></script>`).join("");
files["/page"] = ["text/html", `<!DOCTYPE html><meta charset="utf-8"><title>page</title>${scripts}`];
// The page and the hub behind it are one origin. To the server itself it is another port, which is
// another origin, but the same site: its cookies go along.
const own = await Proxy.start(url, { files });
const PAGES = {
  own: `${own.url}/page`,
  "another port": `${own.url}/page`,
  "another site": `${own.url.replace("127.0.0.1", "localhost")}/page`,
};

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

let [passed, failed] = [0, 0];
function equal(got, expected) {
  if (flags["expect-wrongly"]) expected = ["nobody", "sends", "this"];
  if (isDeepStrictEqual(got, expected)) return;
  throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`);
}

/** Runs a check with a page of an origin in a browser context of its own. */
async function check(what, where, run) {
  const label = `browser: ${what}`;
  if (!new RegExp(flags.only).test(label)) return;
  const context = await browser.newContext();
  const cleanups = [];
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${LIMIT / 1000} s`)), LIMIT);
  });
  try {
    await context.addCookies([{ name: "who", value: "ann", url, sameSite: "Lax" }]);
    const page = await context.newPage();
    await page.goto(PAGES[where]);
    const does = (name, how) => page.evaluate(([name, how]) => pageChecks[name](how), [name, how]);
    await Promise.race([run(does, page, cleanups), late]);
    passed++;
    console.log(`ok ${label}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${label}: ${error.message}`);
  }
  clearTimeout(timer);
  await context.close();
  for (const cleanup of cleanups) await cleanup();
}

const token = await (await fetch(`${url}/token?user=ann`)).text();
const HUB_ERROR = "An unexpected error occurred invoking 'ThrowHub' on the server. HubException: as you wish";
const STREAM_ERROR = "An error occurred on the server while streaming results. HubException: no more";
const REFUSED = /Pages of this origin may not connect here\.: Status code '403'/;
const origin = new URL(PAGES["another port"]).origin;

for (const [over, protocol] of WAYS) {
  const way = `[${over} ${protocol}]`;
  const how = { url: `${url}/spec`, over, protocol };
  const at = (path) => ({ ...how, url: url + path });
  await check(`calls ${way}`, "another port", async (does) => {
    equal(await does("calls", how), [
      NAMES[over], "héllo 😀", 20_000, 42, null, Buffer.of(255, 2, 1).toString("base64"), "you asked ünï",
    ]);
  });
  await check(`a broadcast reaches every transport ${way}`, "another port", async (does) => {
    equal(await does("broadcast", how), [true, true, true, true]);
  });
  await check(`streams, both directions ${way}`, "another port", async (does) => {
    equal(await does("streams", how), [
      [[0, 1, 2, 3, 4], null], [[0, 1], STREAM_ERROR], [["a", "é"], null], ["cancelled"],
      10, "a-1 b-2", [[2, 4, 6], null],
    ]);
  });
  await check(`errors ${way}`, "another port", async (does) => {
    equal(await does("errors", how), [
      HUB_ERROR,
      "An unexpected error occurred invoking 'ThrowOther' on the server.",
      "Failed to invoke 'NoSuchMethod' due to an error on the server. HubException: Method does not exist.",
      "Failed to invoke 'Add' due to an error on the server.",
      0,
    ]);
  });
  await check(`cookies go along with every request ${way}`, "another port", async (does, page) => {
    const sent = [];
    page.on("response", (response) => {
      // A preflight never has any; what Chromium tells of a WebSocket is no request.
      const request = response.request();
      if (request.url().startsWith(how.url) && request.method() !== "OPTIONS") sent.push(request.allHeaders());
    });
    equal(await does("request", how), ["who=ann", origin, null]);
    const cookies = new Set((await Promise.all(sent)).map((headers) => headers.cookie));
    equal([...cookies], over === "ws-skip" ? [] : ["who=ann"]);
  });
  await check(`a bearer token ${way}`, "another port", async (does) => {
    equal(await does("request", { ...at("/spec-auth"), token }), ["who=ann", origin, "ann"]);
  });
  await check(`a page of the same origin ${way}`, "own", async (does) => {
    equal(await does("chat", { ...how, url: `${own.url}/chat` }), [over, "hello"]);
  });
  for (const where of ["another port", "another site"]) {
    await check(`a page of ${where} is refused where it is not listed ${way}`, where, async (does) => {
      const error = await does("refused", at("/chat"));
      // Who does not negotiate is not told why.
      const told = over === "ws-skip" ? /^WebSocket failed to connect\./ : REFUSED;
      equal([error, told.test(error)], [error, true]);
    });
  }
  for (const signal of flags.server ? ["SIGTERM", "SIGKILL"] : []) {
    await check(`reconnects after ${signal} ${way}`, "another port", async (does, _, cleanups) => {
      const server = await Server.start(flags.server, cleanups);
      await does("watch", { ...how, url: `${server.url}/spec` });
      await server.stop(signal);
      await server.up();
      equal(await does("reconnected"), [["reconnecting", "reconnected"], true, [[0, 1, 2], null]]);
    });
  }
}

// Without negotiating first: what a hostile page would try, and what its browser hears.
await check("whatever a page elsewhere asks for is refused", "another site", async (_, page) => {
  const hub = `${url}/chat`;
  const heard = [];
  page.on("response", (response) => heard.push([response.request().method(), response.status()]));
  page.on("websocket", (socket) => socket.on("socketerror", (error) => heard.push(["WebSocket", error])));
  await page.evaluate(async (hub) => {
    const ask = (path, more) => fetch(hub + path, { mode: "no-cors", credentials: "include", ...more });
    await ask("/negotiate?negotiateVersion=1", { method: "POST" });
    await ask("?id=x", { method: "POST", body: "x" });
    await ask("?id=x");
    for (const Kind of [EventSource, WebSocket]) {
      await new Promise((resolve) => {
        const source = new Kind(`${hub}?id=x`);
        source.onerror = resolve;
        source.onopen = resolve;
      });
    }
  }, hub);
  const refusal = "Error during WebSocket handshake: Unexpected response code: 403";
  equal(heard, [["POST", 403], ["POST", 403], ["GET", 403], ["GET", 403], ["WebSocket", refusal]]);
});

await browser.close();
own.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
