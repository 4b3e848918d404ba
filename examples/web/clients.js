// What the browser races with: for each lane a client that calls, hears, publishes and streams, and
// knows how many bytes that took.

import { HubConnection } from "./hub.js";
import { connect } from "./wire.js";
import { socketUrl } from "./ui.js";

const letters = (size) => "abcdefghijklmnopqrstuvwxyz".repeat(size / 26 + 1).slice(0, size);
const WIRE = { echo: 1, items: 5, topic: 1 };
const GROUP = "everybody";

/** A payload in its frame; what a browser sends is masked with a key of four bytes. */
export function frame(length, direction) {
  const header = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  return header + (direction === "up" ? 4 : 0) + length;
}

/** A connected client: { call(), hear(onMessage), publish(), stream(items, onItem), bytes, close() }. */
export function open(lane, work, size) {
  if (lane.id === "raw") return openRaw(work, size);
  if (lane.id === "wire") return openWire(size);
  if (lane.id === "official") return openOfficial(size);
  return openHub(lane, size);
}

function counted(count) {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  count.forEach((value, i) => view.setUint32(4 * i, value));
  return bytes;
}

function openRaw(work, size) {
  const path = { calls: "/raw/echo", fanOut: "/raw/fanout", stream: "/raw/stream" }[work];
  const payload = new Uint8Array(size).map((_, i) => i % 251);
  const client = { bytes: 0 };
  const waiting = [];
  let hear = () => waiting.shift()?.();
  const say = (bytes) => {
    client.bytes += frame(bytes.length, "up");
    socket.send(bytes);
  };
  const socket = new WebSocket(socketUrl(path));
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => {
    client.bytes += frame(data.byteLength, "down");
    hear();
  };
  Object.assign(client, {
    call: () => new Promise((resolve) => { waiting.push(resolve); say(payload); }),
    hear(onMessage) { hear = onMessage; },
    publish: () => say(payload),
    stream: (items, onItem) => new Promise((resolve) => {
      let left = items;
      hear = () => { onItem(); if (--left === 0) resolve(); };
      say(counted([items, size]));
    }),
    close: () => socket.close(1000),
  });
  return new Promise((resolve, reject) => {
    socket.onopen = () => resolve(client);
    socket.onclose = () => reject(new Error(`no WebSocket at ${path}`));
  });
}

async function openWire(size) {
  const payload = new Uint8Array(size).map((_, i) => i % 251);
  const wire = await connect(socketUrl("/raw/wire"));
  const [up, down, end] = [frame(8 + size, "up"), frame(8 + size, "down"), frame(8, "down")];
  const client = {
    bytes: 0,
    async call() {
      await wire.call(WIRE.echo, payload);
      client.bytes += up + down;
    },
    hear(onMessage) {
      wire.subscribe(WIRE.topic, () => { client.bytes += down; onMessage(); });
      return wire.call(WIRE.echo); // answered when the subscription is in effect
    },
    publish() {
      client.bytes += up;
      wire.publish(WIRE.topic, payload);
    },
    async stream(items, onItem) {
      for await (const _ of wire.stream(WIRE.items, counted([items, size]))) {
        client.bytes += down;
        onItem();
      }
      client.bytes += frame(16, "up") + end;
    },
    close: () => wire.close(),
  };
  return client;
}

async function openHub({ transport, protocol }, size) {
  const text = letters(size);
  const client = { bytes: 0 };
  // What HTTP puts around the bytes only the server sees: it counts for SSE and long polling.
  const tap = (direction, { length }, over) => {
    if (over === "WebSockets") client.bytes += frame(length, direction);
  };
  const hub = new HubConnection("/hub", { protocol, transports: [transport], tap });
  await hub.start();
  return Object.assign(client, {
    call: () => hub.invoke("Echo", text),
    hear(onMessage) {
      hub.on("Received", onMessage);
      return hub.invoke("Join", GROUP);
    },
    publish: () => hub.send("Broadcast", GROUP, text),
    async stream(items, onItem) {
      for await (const _ of hub.stream("Texts", items, size)) onItem();
    },
    close: () => hub.stop(),
  });
}

async function openOfficial(size) {
  const text = letters(size);
  const { HubConnectionBuilder, HttpTransportType, LogLevel } = globalThis.signalR;
  const hub = new HubConnectionBuilder()
    .withUrl("/hub", { transport: HttpTransportType.WebSockets })
    .configureLogging(LogLevel.None)
    .build();
  await hub.start();
  return {
    bytes: NaN, // it does not tell
    call: () => hub.invoke("Echo", text),
    hear(onMessage) {
      hub.on("Received", onMessage);
      return hub.invoke("Join", GROUP);
    },
    publish: () => hub.send("Broadcast", GROUP, text),
    stream: (items, onItem) => new Promise((resolve, reject) => {
      hub.stream("Texts", items, size).subscribe({ next: onItem, error: reject, complete: resolve });
    }),
    close: () => hub.stop(),
  };
}
