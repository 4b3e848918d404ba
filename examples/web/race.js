// The race: the same work through every lane, from this browser or from inside the server.

import { HubConnection } from "./hub.js";
import { LANES, OFFICIAL, colour } from "./lanes.js";
import { bars, percentiles } from "./plots.js";
import { connectionsOf, raceInBrowser } from "./race-browser.js";
import { choice, el, number, ratio, slider, time, wordsOf } from "./ui.js";

const WORKS = { calls: "Calls", fanOut: "Fan-out", stream: "Stream" };
const PLACES = { server: "inside the server", browser: "in this browser" };
const HELD = 1000;

/** What is measured: how a picture asks for it, and says it. */
const MEASURES = [
  { key: "cpuMicrosecondsPerMessage", name: "Server CPU per message", unit: "µs", better: "lower", show: (value) => `${number(value)} µs` },
  { key: "messagesPerSecond", name: "Messages per second", unit: "/s", better: "higher", show: (value) => `${number(value)}/s` },
  { key: "bytesPerMessage", name: "Bytes on the wire per message", unit: "B", better: "lower", show: (value) => `${number(value)} B` },
  { key: "bytesPerConnection", name: "Memory per idle connection", unit: "B", better: "lower", show: (value) => `${number(value)} B` },
];

export function mount(panel) {
  const race = new Race(panel);
  return { show: (query) => race.show(query) };
}

class Race {
  #results = new Map(); // lane id -> { phase, figures, parts, error }
  #settings = null; // of the results
  #control = null; // the hub connection that the server's race and its usage come over
  #abort = null;
  #hasOfficial = false;
  #drawn = 0;

  constructor(panel) {
    const rename = () => this.depth.rename(DEPTHS[this.work.value]);
    this.work = choice("Work", WORKS, "calls", rename);
    this.size = slider("Payload", [1, 20, 125, 1024, 4096, 16_384], 20, { unit: " B" });
    this.connections = slider("Connections", [1, 4, 16, 64, 256, 1000], 16);
    this.depth = slider("Depth", [1, 4, 16, 64], 4);
    this.seconds = slider("Time for each lane", [1, 2, 5, 10], 2, { unit: " s" });
    this.buttons = {
      server: el("button", { type: "button", className: "main", onclick: () => this.run("server") }, "Race inside the server"),
      browser: el("button", { type: "button", onclick: () => this.run("browser") }, "Race in this browser"),
      stop: el("button", { type: "button", disabled: true, onclick: () => this.stop() }, "Stop"),
      save: el("button", { type: "button", disabled: true, onclick: () => this.#save() }, "Save as JSON"),
      link: el("button", { type: "button", disabled: true, onclick: () => this.#copyLink() }, "Copy a link that reruns it"),
    };
    this.status = el("p", { className: "note", role: "status" });
    this.headline = el("h2", { className: "headline" });
    this.table = el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Results of the race" });
    this.figures = el("div", { className: "figures" });
    panel.append(
      el("p", {}, "The same work through both layers, one lane after the other. Inside the server, a load on a thread of its own measures what a native client would see; in this browser, the page is the client."),
      el("div", { className: "controls" }, this.work.element, this.size.element, this.connections.element, this.depth.element, this.seconds.element),
      el("div", { className: "row" }, ...Object.values(this.buttons)),
      this.status, this.headline, this.table, this.figures,
    );
    rename();
    this.#draw();
    void this.#look();
  }

  /** Sets what a link says, and begins if it says so. */
  show(query) {
    if (query.has("work")) this.work.set(query.get("work"));
    for (const name of ["size", "connections", "depth", "seconds"]) {
      if (query.has(name)) this[name].set(Number(query.get(name)));
    }
    this.depth.rename(DEPTHS[this.work.value]);
    const where = query.get("run");
    if (where in PLACES && !this.#abort) void this.run(where);
  }

  /** Whether npm has put the official client where the server finds it. */
  async #look() {
    this.#hasOfficial = await (await fetch("/official")).json();
    if (this.#hasOfficial) {
      const script = el("script", { src: "/official/signalr.js" });
      await new Promise((resolve) => { script.onload = resolve; document.head.append(script); });
    }
    this.#draw();
  }

  async #hub() {
    if (this.#control?.state !== "connected") {
      this.#control = new HubConnection("/hub", { protocol: "messagepack", transports: ["WebSockets"] });
      await this.#control.start();
    }
    return this.#control;
  }

  async run(where) {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#settings = {
      where, work: this.work.value, size: this.size.value, connections: this.connections.value,
      depth: this.depth.value, seconds: this.seconds.value,
    };
    this.#results.clear();
    this.#setRunning(true);
    try {
      for await (const step of await this.#steps(where, signal)) this.#take(step);
      this.status.textContent = signal.aborted ? "Stopped." : `Done, ${PLACES[where]}.`;
    } catch (error) {
      this.status.replaceChildren(el("span", { className: "bad" }, wordsOf(error)));
    }
    this.#abort = null;
    this.#setRunning(false);
    this.#draw();
  }

  async #steps(where, signal) {
    const hub = await this.#hub();
    if (where === "browser") {
      const lanes = this.#hasOfficial ? [...LANES, OFFICIAL] : LANES;
      return raceInBrowser(this.#settings, lanes, () => hub.invoke("Usage"), signal);
    }
    const { work, size, connections, depth, seconds } = this.#settings;
    const lanes = LANES.map(({ id }) => id);
    const steps = hub.stream("Race", { work, lanes, size, connections, depth, seconds, held: HELD });
    signal.addEventListener("abort", () => steps.return());
    return steps;
  }

  stop() {
    this.#abort?.abort();
  }

  #setRunning(isRunning) {
    this.buttons.server.disabled = this.buttons.browser.disabled = isRunning;
    this.buttons.stop.disabled = !isRunning;
    this.buttons.save.disabled = this.buttons.link.disabled = isRunning || !this.#results.size;
  }

  #take({ lane, phase, figures, error }) {
    const before = this.#results.get(lane);
    const parts = before?.parts ?? [];
    if (figures) parts.push(figures);
    this.#results.set(lane, { phase, figures: figures ?? before?.figures, parts, error });
    const { name } = [...LANES, OFFICIAL].find(({ id }) => id === lane);
    if (before?.phase !== phase) this.status.textContent = `${name}: ${PHASES[phase]}`;
    const isLast = phase === "done" || phase === "failed";
    if (!isLast && performance.now() - this.#drawn < 100) return;
    this.#drawn = performance.now();
    this.#draw();
  }

  #rows() {
    return [...LANES, OFFICIAL].map((lane) => [lane, this.#results.get(lane.id) ?? {}]);
  }

  #draw() {
    const rows = this.#rows();
    this.headline.textContent = this.#answer();
    this.table.replaceChildren(this.#tableOf(rows));
    const lanes = rows.filter(([lane]) => lane !== OFFICIAL || this.#results.has(lane.id));
    this.figures.replaceChildren(
      ...MEASURES.map((measure) => this.#figure(measure, lanes)),
      this.#figureOf("Latency", latencyAnswer(lanes), percentiles(lanes.map(([lane, { figures }]) => [lane, figures ?? {}]))),
    );
  }

  #answer() {
    const cost = (id) => this.#results.get(id)?.figures?.cpuMicrosecondsPerMessage ?? NaN;
    const what = { calls: "A hub call", fanOut: "A delivery by the hub", stream: "An item of a hub's stream" }[this.#settings?.work];
    const costs = ["hubMessagePack", "hubJson"].map((id) => cost(id) / cost("raw"));
    const figures = this.#results.get("hubJson")?.figures;
    if (figures?.cpuMicrosecondsPerMessage === null) return "This system does not tell what a message costs: compare the rates";
    if (!this.#settings || !costs.every(Number.isFinite)) return "What does the hub cost over raw frames?";
    return `${what} costs the server ${ratio(costs[0])} a raw message in MessagePack, ${ratio(costs[1])} in JSON`;
  }

  #figure(measure, rows) {
    const values = rows.map(([lane, { figures, parts }]) => [lane, { value: figures?.[measure.key] ?? NaN, rate: figures?.messagesPerSecond, ...noise(measure.key, parts) }]);
    const answer = `${measure.name}, ${measure.better} is better`;
    const hasNoise = values.some(([, { low }]) => low !== undefined);
    const axis = hasNoise ? "ratio to raw; thin lines: the range within the race" : "ratio to raw";
    return this.#figureOf(measureAnswer(measure, values), answer, bars(values, { show: measure.show, axis }));
  }

  #figureOf(title, note, plot) {
    return el("figure", {}, el("figcaption", {}, title, el("small", {}, note)), plot);
  }

  #tableOf(rows) {
    const heads = ["CPU per message", "Messages/s", "p50", "p90", "p99", "p99.9", "Bytes per message", "Bytes per connection"];
    const raw = this.#results.get("raw")?.figures ?? {};
    const officialNote = this.#hasOfficial
      ? ["one more lane in this browser"]
      : ["one more lane in this browser after ", el("code", {}, "npm ci --prefix examples/web")];
    const cell = (text, of, base) => el("td", { className: "number" }, text, el("small", {}, of === undefined ? "\u00a0" : ratio(of / base)));
    const cells = ({ figures, phase, error }, lane) => {
      if (error) return [el("td", { className: "bad", colSpan: heads.length }, error)];
      if (lane === OFFICIAL && !figures) return [el("td", { className: "note", colSpan: heads.length }, ...officialNote)];
      const value = figures ?? {};
      const of = (key, show) => cell(value[key] == null || Number.isNaN(value[key]) ? "–" : show(value[key]), value[key] ?? NaN, raw[key]);
      return [
        of("cpuMicrosecondsPerMessage", (v) => `${number(v)} µs`), of("messagesPerSecond", number),
        of("p50", time), of("p90", time), of("p99", time), of("p999", time),
        of("bytesPerMessage", number), of("bytesPerConnection", number),
      ];
    };
    const where = this.#settings ? `Race ${PLACES[this.#settings.where]}: ${this.#describe()}` : "No race yet.";
    return el("table", { className: "results" },
      el("caption", {}, `${where} Below each value its ratio to raw.`),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Lane"), ...heads.map((head) => el("th", { scope: "col", className: "number" }, head)))),
      el("tbody", {}, ...rows.map(([lane, result]) => el("tr", { "data-lane": lane.id, "data-phase": result.phase ?? "" },
        el("th", { scope: "row" }, el("span", { className: "mark", style: `--lane: ${colour(lane)}` }), lane.name, el("small", { style: "display: block" }, this.#note(lane))),
        ...cells(result, lane)))));
  }

  #note(lane) {
    const connections = this.#results.get(lane.id)?.figures?.connections;
    if (!connections || connections === this.#settings.connections) return lane.about;
    return `${connections} connections: more a browser does not open`;
  }

  #describe() {
    const { work, size, connections, depth, seconds } = this.#settings;
    return `${WORKS[work].toLowerCase()}, ${size.toLocaleString("en")} B, ${connections.toLocaleString("en")} connections, ${DEPTHS[work].toLowerCase()} ${depth}, ${seconds} s.`;
  }

  #save() {
    const lanes = this.#rows().filter(([, { figures }]) => figures)
      .map(([{ id, name }, { figures, parts }]) => ({ id, name, figures, parts }));
    const report = { date: new Date().toISOString(), link: this.#link(), settings: this.#settings, userAgent: navigator.userAgent, lanes };
    const blob = new Blob([JSON.stringify(report, null, 2)], { type: "application/json" });
    const a = el("a", { href: URL.createObjectURL(blob), download: `race-${this.#settings.work}.json` });
    a.click();
    URL.revokeObjectURL(a.href);
  }

  #link() {
    const { where, ...settings } = this.#settings;
    return `${location.origin}${location.pathname}#race?${new URLSearchParams({ ...settings, run: where })}`;
  }

  async #copyLink() {
    history.replaceState(null, "", this.#link());
    await navigator.clipboard?.writeText(this.#link()).catch(() => {}); // it is in the address bar, too
    this.status.textContent = "The link is copied, and in the address bar.";
  }
}

const DEPTHS = { calls: "Calls in flight on each", fanOut: "Messages in flight", stream: "Items of a stream" };

const PHASES = {
  holding: `holding ${HELD.toLocaleString("en")} connections that do nothing, for their memory`,
  warmingUp: "warming up", measuring: "measuring", done: "done", failed: "failed",
};

/** The range of a rate within the race: what four parts of the time would have shown alone. */
function noise(key, parts = []) {
  const total = { cpuMicrosecondsPerMessage: "messages", messagesPerSecond: "seconds" }[key];
  if (!total || parts.length < 8) return {};
  const marks = [0, 1, 2, 3, 4].map((quarter) => parts[Math.floor((quarter * (parts.length - 1)) / 4)]);
  const values = marks.slice(1).map((after, i) => {
    const before = marks[i];
    return (after[key] * after[total] - before[key] * before[total]) / (after[total] - before[total]);
  });
  return { low: Math.min(...values), high: Math.max(...values) };
}

function measureAnswer({ key, name }, values) {
  const of = (id) => values.find(([lane]) => lane.id === id)?.[1].value;
  const share = of("hubMessagePack") / of("raw");
  const isUnknown = key === "cpuMicrosecondsPerMessage" && Number.isFinite(values[0][1].rate);
  if (isUnknown && !Number.isFinite(of("raw"))) return `${name}: not known on this system`;
  const isLeftOut = key === "bytesPerConnection" && Number.isNaN(of("raw"));
  if (!Number.isFinite(share)) return isLeftOut ? `${name}: by the race inside the server` : name;
  return {
    cpuMicrosecondsPerMessage: `The hub's message costs ${ratio(share)} the raw one`,
    messagesPerSecond: `The hub carries ${ratio(share)} as many messages`,
    bytesPerMessage: `The hub's message is ${ratio(share)} as long`,
    bytesPerConnection: `The hub's idle connection takes ${ratio(share)} as much memory`,
  }[key];
}

function latencyAnswer(rows) {
  const of = (id) => rows.find(([lane]) => lane.id === id)?.[1].figures?.p99;
  if (!of("raw") || !of("hubMessagePack")) return "from sending to the answer, with all that is in flight";
  return `p99: raw ${time(of("raw"))}, hub · MessagePack ${time(of("hubMessagePack"))}`;
}
