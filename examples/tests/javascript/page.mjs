// Drives the workbench's page in Chromium: every tab, by mouse and by keyboard, in both widths and
// colour schemes, with axe-core.
//
//   npm ci && node page.mjs http://127.0.0.1:8080 [--screenshots DIR] [--only REGEX]
//
// --official: the server has the official client (npm ci in examples/web). --pages URL,URL: pages of
// other servers, which are looked at only. Chromium is the one that $CHROMIUM names, or `chromium`.

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", default: "" },
    screenshots: { type: "string" },
    official: { type: "boolean", default: false },
    pages: { type: "string", default: "" },
  },
});
if (positionals.length !== 1) {
  console.log("node page.mjs URL [--screenshots DIR] [--official] [--pages URL,URL] [--only REGEX]");
  process.exit(2);
}
const url = positionals[0].replace(/\/$/, "");
// Ends a check that hangs. Nothing passes because of it.
const LIMIT = 120_000;
const LANES = ["raw", "wire", "hubMessagePack", "hubJson", "hubSse", "hubLongPolling"];
const TABS = ["Race", "Wire", "Reconnect", "Chat", "Which layer?"];
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
if (flags.screenshots) await mkdir(flags.screenshots, { recursive: true });

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
});
let [passed, failed] = [0, 0];

function ok(condition, what) {
  if (!condition) throw new Error(what);
}

function equal(got, expected, what = "") {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  ok(a === b, `${what} expected ${b}, got ${a}`);
}

/** Runs a check with a page of its own; whatever the console says is a failure. */
async function check(name, { width = 1280, scheme = "light", ...options }, run) {
  const label = `page: ${name} [${width} ${scheme}]`;
  if (!new RegExp(flags.only).test(label)) return;
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, ...options });
  const said = [];
  const open = async (address = url) => {
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    await page.goto(address);
    return page;
  };
  try {
    await run(await open(), open, (page, what) => screenshot(page, `${what}-${width}-${scheme}`));
    equal(said, [], "the console says");
    passed++;
    console.log(`ok ${label}`);
  } catch (error) {
    failed++;
    console.log(`FAILED ${label}: ${error.message.split("\n").slice(0, 3).join(" | ")}${said.length ? ` console: ${said}` : ""}`);
  }
  await context.close();
}

async function screenshot(page, name) {
  if (flags.screenshots) await page.screenshot({ path: join(flags.screenshots, `${name}.png`), fullPage: true });
}

/** No violation of any of axe's rules, and nothing wider than the window. */
async function look(page, what) {
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const { violations } = await window.axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).slice(0, 3)}`);
  });
  equal(violations, [], `${what}: axe`);
  const width = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  ok(width[0] <= width[1], `${what}: ${width[0]} px in a window of ${width[1]}`);
}

const tab = (page, name) => page.getByRole("tab", { name, exact: true });
const button = (page, name) => page.getByRole("button", { name, exact: true });
const status = (page) => page.locator("[role=tabpanel]:not([hidden]) [role=status]").first();
const until = (page, run, argument) => page.waitForFunction(run, argument, { timeout: LIMIT });

/** Numbers that were measured: none is zero. */
function measured(lane, cells) {
  for (const text of cells) ok(/^[\d.,]+( µs| ms)?$/.test(text) && parseFloat(text) > 0, `${lane}: ${cells}`);
}

/** Every lane's row: what its cells say, without their ratios. */
const rows = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll("tr[data-lane]")].map((row) => [
  row.dataset.lane, [...row.querySelectorAll("td")].map((cell) => cell.firstChild.textContent),
])));

async function isDone(page) {
  await until(page, () => /^(Done|Stopped)/.test(document.querySelector("#panel-race [role=status]")?.textContent));
}

for (const width of [1280, 390]) {
  for (const scheme of ["light", "dark"]) {
    await check("every tab, by the keyboard", { width, scheme }, async (page, _, shoot) => {
      await page.keyboard.press("Tab"); // to skip to the content
      equal(await page.evaluate(() => document.activeElement.className), "skip");
      await page.keyboard.press("Tab");
      for (const [i, name] of TABS.entries()) {
        if (i) await page.keyboard.press("ArrowRight");
        await until(page, (name) => document.activeElement.textContent === name && document.activeElement.ariaSelected === "true", name);
        await page.locator("[role=tabpanel]:not([hidden]) > *").first().waitFor();
        if (name === "Wire") await page.locator(".field").first().waitFor();
        await look(page, name);
        await shoot(page, name.toLowerCase().replace(/\W/g, ""));
      }
      await page.keyboard.press("ArrowRight");
      await until(page, (name) => document.activeElement.textContent === name, TABS[0]);
      await page.keyboard.press("End");
      await until(page, (name) => document.activeElement.textContent === name, TABS.at(-1));
    });
  }
}

await check("a race inside the server has numbers in every lane, and moves nothing", { scheme: "dark" }, async (page, _, shoot) => {
  await page.goto(`${url}/#race?work=calls&size=20&connections=4&depth=4&seconds=1`);
  await page.locator("tr[data-lane=raw]").waitFor();
  const places = () => page.evaluate(() => [".headline", ".results", ".results thead th:last-child", "figure:nth-child(3)"]
    .map((selector) => document.querySelector(selector).getBoundingClientRect())
    .map(({ x, y, width }) => [x, y, width].map(Math.round)));
  const before = await places();
  await button(page, "Race inside the server").focus();
  await page.keyboard.press("Enter");
  await isDone(page);
  equal(await places(), before, "what moved:");
  const all = await rows(page);
  for (const lane of LANES) {
    equal(all[lane].length, 8, lane);
    measured(lane, all[lane]);
  }
  ok(/costs the server [\d.]+ × a raw message in MessagePack/.test(await page.locator(".headline").textContent()), "the headline is no answer");
  equal(await page.locator("svg.plot polyline[stroke-width='2']").count(), LANES.length, "lines of latency:");
  await look(page, "results");
  await shoot(page, "results");
});

for (const work of ["calls", "fanOut", "stream"]) {
  await check(`a race in this browser: ${work}`, { width: work === "stream" ? 390 : 1280 }, async (page, _, shoot) => {
    await page.goto(`${url}/#race?work=${work}&size=125&connections=4&depth=4&seconds=1&run=browser`);
    await isDone(page);
    const all = await rows(page);
    for (const lane of LANES) {
      equal(all[lane].pop(), "–", "memory, which a browser does not measure:");
      measured(lane, all[lane]);
    }
    if (flags.official) ok(/^[\d.,]+ µs$/.test(all.official[0]), `official: ${all.official}`);
    else equal(all.official, ["one more lane in this browser after "]);
    await shoot(page, `browser-${work}`);
  });
}

await check("a race is stopped, saved, and rerun by its link", {}, async (page, open) => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.goto(`${url}/#race?work=fanOut&size=20&connections=4&depth=1&seconds=1&run=browser`);
  await isDone(page);
  const download = page.waitForEvent("download");
  await button(page, "Save as JSON").click();
  const saved = JSON.parse(await readFile(await (await download).path(), "utf8"));
  equal(saved.settings, { where: "browser", work: "fanOut", size: 20, connections: 4, depth: 1, seconds: 1 });
  equal(saved.lanes.slice(0, 6).map(({ id }) => id), LANES);
  ok(saved.lanes.every(({ figures }) => figures.messages > 0), "a lane without messages");
  await button(page, "Copy a link that reruns it").click();
  await until(page, () => /copied/.test(document.querySelector("#panel-race [role=status]")?.textContent));
  equal(await page.evaluate(() => navigator.clipboard.readText()), saved.link);
  const again = await open(saved.link);
  await until(again, () => document.querySelector("tr[data-lane=wire]")?.dataset.phase === "measuring");
  await button(again, "Stop").click();
  await isDone(again);
  equal(await status(again).textContent(), "Stopped.");
  equal((await rows(again)).hubLongPolling[0], "–", "a lane after the stop:");
});

await check("two races at once are refused", {}, async (page, open) => {
  await page.goto(`${url}/#race?work=calls&connections=1&depth=1&seconds=1&run=server`);
  await until(page, () => document.querySelector("tr[data-lane=raw]")?.dataset.phase);
  const other = await open(`${url}/#race?run=server`);
  await until(other, () => /another race is running/.test(document.querySelector("#panel-race [role=status]")?.textContent));
  await button(page, "Stop").click();
  await isDone(page);
});

await check("bytes, by the keyboard, and live", {}, async (page, _, shoot) => {
  await tab(page, "Wire").click();
  const about = page.locator(".about");
  for (const [lane, name, first, answer] of [
    ["raw", "raw", "FIN, opcode", "your bytes"], ["wire", "wire", "FIN, opcode", "payload"],
    ["hubMessagePack", "hub · MessagePack", "FIN, opcode", "result"], ["hubJson", "hub · JSON", "FIN, opcode", "end"],
    ["hubSse", "hub · SSE", "request", "end"], ["hubLongPolling", "hub · long polling", "request", "end"],
  ]) {
    await page.getByRole("radio", { name, exact: true }).check();
    await page.locator(".field[tabindex='0']").focus();
    equal(await about.locator("b").textContent(), first, lane);
    const call = page.locator(".steps > h3:nth-of-type(2)");
    const fields = await page.evaluate(() => {
      const [, before] = document.querySelectorAll(".steps > h3");
      return [...document.querySelectorAll(".field")].filter((one) => one.compareDocumentPosition(before) & Node.DOCUMENT_POSITION_FOLLOWING).length;
    });
    ok(await call.count() === 1 && fields > 5, `${lane}: ${fields} fields of the call`);
    for (let i = 1; i < fields; i++) await page.keyboard.press("ArrowRight");
    equal(await about.locator("b").textContent(), answer, lane);
    await button(page, "Send it").click();
    await until(page, () => document.querySelector("#panel-wire .row [role=status]")?.textContent === "came back: hello");
  }
  await page.getByRole("radio", { name: "wire", exact: true }).check();
  await page.locator(".field small", { hasText: "masking key" }).first().hover();
  equal(await about.locator("b").textContent(), "masking key", "pointed at:");
  await until(page, () => document.querySelectorAll(".traffic tbody tr").length > 20);
  await look(page, "traffic");
  await shoot(page, "bytes");
});

await check("the bytes shown are those of the server", {}, async (page) => {
  // What a page cannot send by itself: the test plays the browser with the bytes that the tab shows.
  const { exchange } = await import("../../web/anatomy.js");
  const { conversation } = await import("./conversation.mjs");
  const text = "hëllo";
  const { LANES } = await import("../../web/lanes.js");
  for (const lane of LANES) await conversation(url, exchange(lane, text), lane);
  ok(await page.title(), "no page");
});

await check("a cut loses what it must, and no more", {}, async (page, _, shoot) => {
  await tab(page, "Reconnect").click();
  const heard = (way, n) => until(page, ([way, n]) => {
    const article = document.querySelector(`[data-way="${way}"]`);
    return article?.querySelectorAll(".heard").length >= n;
  }, [way, n]);
  const ways = ["wire", "hub", "hub · stateful reconnect"];
  for (const way of ways) await heard(way, 5);
  await button(page, "Cut all three").click();
  await until(page, () => /3 connections cut/.test(document.querySelector("#panel-reconnect [role=status]")?.textContent));
  const says = (way) => page.locator(`[data-way="${way}"] [role=status]`).textContent();
  // All are back when something came that was sent after the time without a network.
  await until(page, () => ["wire", "hub"].every((way) => document.querySelectorAll(`[data-way="${way}"] .lost`).length >= 5));
  const count = () => page.locator('[data-way="hub"] output').textContent().then(Number);
  const now = await count();
  await until(page, (now) => Number(document.querySelector('[data-way="hub · stateful reconnect"] output').textContent) > now, now);
  for (const way of ["wire", "hub"]) {
    const [lost] = (await says(way)).split(" ");
    ok(Number(lost) >= 5 && /lost in 1 cut$/.test(await says(way)), `${way}: ${await says(way)}`);
  }
  equal(await says("hub · stateful reconnect"), "0 lost in 1 cut");
  await look(page, "after a cut");
  await shoot(page, "cut");
  await tab(page, "Race").click(); // ends the connections
  await tab(page, "Reconnect").click();
  await heard("wire", 3);
});

await check("two windows chat over both", {}, async (page, open, shoot) => {
  const other = await open(`${url}/#chat`);
  await tab(page, "Chat").click();
  const enter = async (page, name) => {
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("Room").fill("the attic");
    await page.keyboard.press("Enter");
    await until(page, () => document.querySelectorAll("article input:enabled").length === 2);
  };
  await enter(page, "Ann");
  await enter(other, "Bob");
  const here = (page, text) => until(page, (text) => [...document.querySelectorAll(".present")].every((one) => one.textContent === text), text);
  await here(page, "2 here: Ann, Bob");
  await here(other, "2 here: Ann, Bob");
  for (const chat of ["hub", "wire"]) {
    await page.locator(`[data-chat=${chat}] input`).fill(`<b>over</b> ${chat}`);
    await page.keyboard.press("Enter");
    await until(other, (chat) => document.querySelector(`[data-chat=${chat}] .log`).textContent.includes(`Ann <b>over</b> ${chat}`), chat);
  }
  await look(other, "chat");
  await shoot(other, "chatting");
  await page.close();
  await here(other, "1 here: Bob");
});

await check("six answers lead to a layer, and its first lines", {}, async (page, _, shoot) => {
  await tab(page, "Which layer?").click();
  const questions = page.locator(".questions fieldset");
  await questions.first().waitFor();
  const answer = async (which, title, line) => {
    for (const question of await questions.all()) await question.getByRole("radio")[which]().check();
    await page.getByRole("heading", { name: title }).waitFor();
    ok((await page.locator("#panel-choose pre").last().textContent()).includes(line), `no ${line}`);
  };
  await questions.first().getByRole("radio").first().check();
  ok(/5 questions are left/.test(await page.locator("#panel-choose [role=status]").textContent()), "how many are left");
  await answer("first", "Take the hub", "Hub::new(())");
  await look(page, "an answer");
  await shoot(page, "answer");
  await answer("last", "Take raw-ws", "upgrade.on_upgrade(echo)");
});

await check("nothing moves for who does not want that", { reducedMotion: "reduce" }, async (page) => {
  await page.goto(`${url}/#race?work=calls&connections=1&depth=1&seconds=1&run=browser`);
  await page.locator("svg.plot rect").first().waitFor();
  const moves = await page.evaluate(() => [...document.querySelectorAll("*")]
    .filter((one) => { const style = getComputedStyle(one); return style.transitionDuration !== "0s" || style.animationName !== "none"; }).length);
  equal(moves, 0, "elements that move:");
  await button(page, "Stop").click();
});

for (const address of flags.pages.split(",").filter(Boolean)) {
  for (const [width, scheme] of [[1280, "light"], [390, "dark"]]) {
    await check(`the page of ${new URL(address).hash.slice(1) || address}`, { width, scheme }, async (_, open, shoot) => {
      const page = await open(address);
      await look(page, address);
      await shoot(page, `page-${new URL(address).hash.slice(1)}`);
    });
  }
}

await browser.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
