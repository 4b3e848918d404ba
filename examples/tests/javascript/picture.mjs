// Makes the README's pictures from a race inside the server: what the page looks like, and one plot.
//
//   cargo run --release & node examples/tests/javascript/picture.mjs http://127.0.0.1:8080 examples/pages
//
// Writes workbench.png and cost.svg into the folder, and prints the README's table.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, folder] = process.argv.slice(2);
if (!folder) {
  console.log("node picture.mjs URL FOLDER");
  process.exit(2);
}
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu"],
});
const page = await browser.newPage({ viewport: { width: 1180, height: 1500 } });
await page.goto(`${url}/#race?work=calls&size=20&connections=64&depth=16&seconds=5&run=server`);
await page.waitForFunction(() => /^Done/.test(document.querySelector("#panel-race [role=status]")?.textContent), null, { timeout: 180_000 });
// What a visitor sees first, without the plots that follow.
const end = await page.locator(".figures figure:nth-child(2)").evaluate((figure) => figure.getBoundingClientRect().bottom);
await page.screenshot({ path: join(folder, "workbench.png"), clip: { x: 0, y: 0, width: 1180, height: Math.ceil(end) + 16 } });
const download = page.waitForEvent("download");
await page.getByRole("button", { name: "Save as JSON" }).click();
const { lanes } = JSON.parse(await readFile(await (await download).path(), "utf8"));

const raw = lanes[0].figures;
const withRatio = (figures, key, digits) => {
  const value = figures[key].toFixed(digits).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${value} (${(figures[key] / raw[key]).toFixed(1)} ×)`;
};
console.log("| | CPU-µs per call | bytes per call | bytes per idle connection |\n|---|--:|--:|--:|");
for (const { name, figures } of lanes) {
  const cells = [["cpuMicrosecondsPerMessage", 2], ["bytesPerMessage", 0], ["bytesPerConnection", 0]];
  console.log(`| ${name} | ${cells.map(([key, digits]) => withRatio(figures, key, digits)).join(" | ")} |`);
}

const { plot, title, note } = await page.locator(".figures figure:first-child").evaluate((figure) => ({
  plot: figure.querySelector("svg").innerHTML,
  title: figure.querySelector("figcaption").firstChild.textContent,
  note: figure.querySelector("figcaption small").textContent,
}));
await browser.close();

/** The page's own colours and rules: so that it reads well on light and on dark ground. */
const style = await readFile(new URL("../../web/style.css", import.meta.url), "utf8");
const colours = (rule) => /\{([^{}]*)\}/.exec(style.slice(style.indexOf(rule)))[1];
const light = colours(":root {"), dark = colours("  :root {");
const [width, height] = [520, 260];
await writeFile(join(folder, "cost.svg"), `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -52 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">
<style>
svg { ${light.replace(/\s+/g, " ")} }
@media (prefers-color-scheme: dark) { svg { ${dark.replace(/\s+/g, " ")} } }
text { font: 13px ui-monospace, monospace; fill: var(--text); }
text.word { font-family: system-ui, sans-serif; }
text.title { font: 600 15px system-ui, sans-serif; }
.quiet { fill: var(--quiet); }
line { stroke: var(--line); }
.noise { stroke: var(--text); stroke-width: 1.5; }
</style>
<text x="0" y="-32" class="title">${title}</text>
<text x="0" y="-12" class="word quiet">${note}; 64 connections, 16 in flight</text>
${plot}
</svg>
`);
