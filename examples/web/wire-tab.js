// Wire: one call in each layer as bytes, annotated as one points or steps, and the live traffic of
// this page's own connections.

import { exchange, lengthOf, readable } from "./anatomy.js";
import { HubConnection } from "./hub.js";
import { LANES, colour } from "./lanes.js";
import { listen, recent, tapOf } from "./traffic.js";
import { connect } from "./wire.js";
import { choice, count, el, socketUrl, wordsOf } from "./ui.js";

const names = Object.fromEntries(LANES.map(({ id, name }) => [id, name]));
const hex = (byte) => byte.toString(16).padStart(2, "0");
const LONGEST = 48; // bytes of a field that are shown

export function mount(panel) {
  const lanes = choice("Lane", names, "hubMessagePack", draw);
  const text = el("input", { type: "text", id: "wire-text", value: "hello", maxLength: 60, autocomplete: "off", oninput: draw });
  const send = el("button", { type: "button", onclick: sendIt }, "Send it");
  const status = el("span", { className: "note", role: "status" });
  const about = el("p", { className: "about", role: "status" });
  const steps = el("div", { className: "steps", role: "group", "aria-label": "The bytes; arrow keys step through their fields" });
  const traffic = el("tbody");
  let fields = [];
  let isDue = false;

  panel.append(
    el("h2", {}, "What a call is on the wire"),
    lanes.element,
    el("div", { className: "row" }, el("label", { htmlFor: text.id }, "Echo"), text, send, status),
    about, steps,
    el("h2", {}, "What this page sends and receives"),
    el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Live traffic" }, el("table", { className: "traffic" },
      el("caption", {}, "The last messages of the page's connections, the newest first; records and packets, without frame headers."),
      el("thead", {}, el("tr", {}, ...["Time", "Whose", "Way", "Bytes", "Beginning"].map((head) => el("th", { scope: "col" }, head)))),
      traffic)),
  );
  steps.addEventListener("keydown", step);
  draw();

  function draw() {
    const lane = LANES.find(({ id }) => id === lanes.value);
    const { connecting, call } = exchange(lane, text.value);
    const total = (all) => count(all.reduce((sum, one) => sum + lengthOf(one), 0));
    fields = [];
    steps.style.setProperty("--lane", colour(lane));
    steps.replaceChildren(
      el("h3", {}, `The call: ${total(call)} bytes for ${new TextEncoder().encode(text.value).length} of text, there and back`), ...call.map(show),
      el("h3", {}, `Before it, once: ${total(connecting)} bytes`), ...connecting.map(show),
    );
    select(0, false);
  }

  function show(one) {
    const way = one.direction === "up" ? "client to server" : "server to client";
    return el("section", { className: "step", "data-direction": one.direction },
      el("p", { className: "note" }, one.direction === "up" ? "→ " : "← ", el("b", {}, one.title), `, ${way}, ${lengthOf(one)} bytes`),
      el("div", { className: "fields" }, ...one.fields.map(showField)));
  }

  function showField(field) {
    const index = fields.length;
    const bytes = field.bytes && [...field.bytes.slice(0, LONGEST)].map((byte) => el("i", {}, hex(byte)));
    if (field.bytes?.length > LONGEST) bytes.push(el("i", {}, "…"));
    const shown = field.bytes
      ? el("span", { className: "bytes" }, ...bytes)
      : el("span", { className: "line" }, field.text.replace(/\r\n$/, ""), el("small", {}, "\\r\\n"));
    const button = el("button", {
      type: "button", className: "field", tabIndex: -1, "data-tint": field.tint ?? "line",
      onfocus: () => select(index),
      // Moved, not entered: fields scroll under a pointer that lies still while the arrow keys are used.
      onmousemove: ({ movementX, movementY }) => { if (movementX || movementY) describe(index); },
    }, field.bytes && el("small", {}, field.name), shown);
    fields.push({ field, button });
    return button;
  }

  function select(index, hasFocus = true) {
    fields.forEach(({ button }, i) => { button.tabIndex = i === index ? 0 : -1; });
    if (hasFocus) describe(index);
    else about.textContent = "Point at a field, or step through them with the arrow keys.";
  }

  function describe(index) {
    const { field, button: shown } = fields[index];
    if (shown.classList.contains("shown")) return;
    const words = field.bytes && readable(field);
    const length = field.bytes ? `${field.bytes.length} ${field.bytes.length === 1 ? "byte" : "bytes"}` : "text";
    const unmasked = field.plain ? ` Unmasked: ${[...field.plain.slice(0, 16)].map(hex).join(" ")}${field.plain.length > 16 ? " …" : ""}.` : "";
    about.replaceChildren(el("b", {}, field.name || "end"), ` (${length}${words ? `: ${words}` : ""}). `, field.about, unmasked);
    for (const { button } of fields) button.classList.toggle("shown", button === shown);
  }

  function step(event) {
    const at = fields.findIndex(({ button }) => button === document.activeElement);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: fields.length - 1 }[event.key];
    if (at < 0 || to === undefined || !fields[to]) return;
    event.preventDefault();
    fields[to].button.focus();
  }

  async function sendIt() {
    send.disabled = true;
    status.textContent = "";
    const lane = LANES.find(({ id }) => id === lanes.value);
    try {
      status.textContent = `came back: ${await echo(lane, text.value)}`;
    } catch (error) {
      status.textContent = wordsOf(error);
    }
    send.disabled = false;
  }

  function drawTraffic() {
    isDue = false;
    if (panel.hidden) return;
    traffic.replaceChildren(...recent().map(({ at, name, lane, direction, length, start }) => el("tr", {},
      el("td", { className: "number" }, at.toISOString().slice(11, 23)),
      el("td", {}, el("span", { className: "mark", style: `--lane: ${colour(lane)}` }), `${name}, ${lane.name}`),
      el("td", {}, direction === "up" ? "→ up" : "← down"),
      el("td", { className: "number" }, count(length)),
      el("td", { className: "bytes" }, typeof start === "string" ? start.replaceAll("\x1e", "\\x1e") : [...start].map(hex).join(" ")))));
  }

  /** At most ten times a second. */
  listen(() => {
    if (isDue) return;
    isDue = true;
    setTimeout(drawTraffic, 100);
  });

  return { show: drawTraffic };
}

/** The call, over a connection of its own. */
async function echo(lane, text) {
  const tap = tapOf("Wire", lane);
  const bytes = new TextEncoder().encode(text);
  if (lane.id === "raw") {
    const socket = new WebSocket(socketUrl("/raw/echo"));
    socket.binaryType = "arraybuffer";
    await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = () => reject(new Error("cannot connect")); });
    const answer = new Promise((resolve) => { socket.onmessage = resolve; });
    tap("up", bytes);
    socket.send(bytes);
    const { data } = await answer;
    tap("down", new Uint8Array(data));
    socket.close(1000);
    return new TextDecoder().decode(data);
  }
  if (lane.id === "wire") {
    const wire = await connect(socketUrl("/raw/wire"), { tap });
    const answer = await wire.call(1, bytes);
    await wire.close();
    return new TextDecoder().decode(answer);
  }
  const hub = new HubConnection("/hub", { protocol: lane.protocol, transports: [lane.transport], tap });
  await hub.start();
  const answer = await hub.invoke("Echo", text);
  await hub.stop();
  return answer;
}
