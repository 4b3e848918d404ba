// Reconnect: a counter runs over three connections, a button cuts them, and each shows what it lost.

import { HubConnection } from "./hub.js";
import { LANES, colour } from "./lanes.js";
import { tapOf } from "./traffic.js";
import { connect } from "./wire.js";
import { el, slider, socketUrl, wordsOf } from "./ui.js";

const COUNTER = "counter";
const COUNTER_TOPIC = 2;
const SHOWN = 60;

const [wireLane, hubLane] = [LANES[1], LANES[2]];

const WAYS = [
  {
    lane: wireLane, title: "wire", about: "The binary protocol. Coming back and subscribing again are the application's work: here a loop of six lines.",
    open: openWire,
  },
  {
    lane: hubLane, title: "hub", about: "Automatic reconnect: a new connection with a new id. It has to join its group again; what was sent meanwhile is gone.",
    open: (relay, way) => openHub(relay, way, false),
  },
  {
    lane: hubLane, title: "hub · stateful reconnect", about: "The same connection over a new socket: both sides say again what the other has not acknowledged.",
    open: (relay, way) => openHub(relay, way, true),
  },
];

export function mount(panel) {
  const relay = `/cut/${crypto.randomUUID().slice(0, 8)}`;
  const time = slider("Network away for", [0, 200, 500, 1000, 2000], 1000, { unit: " ms" });
  const status = el("p", { className: "note", role: "status" });
  const cut = el("button", { type: "button", className: "main", onclick: cutAll }, "Cut all three");
  const ways = WAYS.map((way) => new Way(way));
  panel.append(
    el("h2", {}, "What a cut loses"),
    el("p", {}, "The server counts ten times a second. Each connection goes through a relay inside the server that drops its TCP connections when you press the button: no Close frame, no goodbye, as when a phone changes networks."),
    el("div", { className: "controls" }, time.element),
    el("div", { className: "row" }, cut, status),
    el("div", { className: "columns" }, ...ways.map((way) => way.element)),
  );

  async function cutAll() {
    const response = await fetch(`${relay}?milliseconds=${time.value}`, { method: "POST" });
    for (const way of ways) way.cuts++;
    status.textContent = `${await response.text()} connections cut.`;
  }

  return {
    async show() {
      for (const way of ways) way.start(relay);
    },
    async hide() {
      for (const way of ways) way.stop();
    },
  };
}

/** One of the three, and what it has heard. */
class Way {
  cuts = 0;
  #numbers = new Map(); // number -> how often it came
  #first = null;
  #last = null;
  #close = null;
  #state = "";

  constructor({ lane, title, about, open }) {
    this.open = open;
    this.title = title;
    this.strip = el("div", { className: "strip", "aria-hidden": "true" });
    this.now = el("output", { className: "count" }, "–");
    this.state = el("span", { className: "note" });
    this.summary = el("p", { role: "status" }, "\u00a0");
    this.element = el("article", { "data-way": title, style: `--lane: ${colour(lane)}` },
      el("h3", {}, el("span", { className: "mark" }), title), el("p", { className: "note" }, about),
      el("p", {}, this.now, " ", this.state), this.strip, this.summary);
  }

  async start(relay) {
    if (this.#close) return;
    this.#close = () => {};
    this.#numbers.clear();
    this.#first = this.#last = null;
    this.cuts = 0;
    try {
      const close = await this.open(relay, this);
      if (this.#close) this.#close = close;
      else close();
    } catch (error) {
      this.says(wordsOf(error));
    }
  }

  stop() {
    this.#close?.();
    this.#close = null;
  }

  get isOver() {
    return this.#close === null;
  }

  says(state) {
    this.#state = state;
    this.#draw();
  }

  heard(number) {
    this.#first ??= number;
    this.#last = Math.max(this.#last ?? number, number);
    this.#numbers.set(number, (this.#numbers.get(number) ?? 0) + 1);
    this.#draw();
  }

  #draw() {
    const [first, last] = [this.#first, this.#last];
    this.state.textContent = this.#state;
    if (first === null) return;
    this.now.value = last;
    const sent = last - first + 1;
    const lost = sent - this.#numbers.size;
    const twice = [...this.#numbers.values()].filter((times) => times > 1).length;
    const cells = [];
    for (let number = Math.max(first, last - SHOWN + 1); number <= last; number++) {
      cells.push(el("i", { className: this.#numbers.has(number) ? "heard" : "lost" }));
    }
    this.strip.replaceChildren(...cells);
    const summary = `${lost} lost${twice ? `, ${twice} twice` : ""} in ${this.cuts} ${this.cuts === 1 ? "cut" : "cuts"}`;
    if (this.summary.textContent !== summary) this.summary.textContent = summary;
  }
}

async function openWire(relay, way) {
  let client;
  const come = async () => {
    client = await connect(socketUrl(`${relay}/raw/wire`), { tap: tapOf("Reconnect", wireLane) });
    client.subscribe(COUNTER_TOPIC, (bytes) => way.heard(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)));
    way.says("connected");
  };
  await come();
  void (async () => {
    for (;;) {
      await client.closed;
      if (way.isOver) return;
      way.says("coming back");
      await come();
    }
  })();
  return () => client.close();
}

async function openHub(relay, way, stateful) {
  const hub = new HubConnection(`${relay}/hub`, {
    protocol: "messagepack", transports: ["WebSockets"], stateful,
    reconnect: [0, 500, 1000, 2000, 5000], tap: tapOf("Reconnect", hubLane),
  });
  const join = async () => {
    await hub.invoke("Join", COUNTER);
    way.says("connected");
  };
  hub.on("Counted", (number) => way.heard(number));
  hub.onreconnecting = () => way.says("reconnecting");
  hub.onreconnected = () => void join();
  await hub.start();
  await join();
  return () => hub.stop();
}
