// The ways through both layers, in the order, names and colours that every picture has.

export const LANES = [
  { id: "raw", name: "raw", about: "WebSocket messages, your own bytes" },
  { id: "wire", name: "wire", about: "the binary protocol on them" },
  { id: "hubMessagePack", name: "hub · MessagePack", about: "over WebSockets", transport: "WebSockets", protocol: "messagepack" },
  { id: "hubJson", name: "hub · JSON", about: "over WebSockets", transport: "WebSockets", protocol: "json" },
  { id: "hubSse", name: "hub · SSE", about: "JSON, server-sent events and POSTs", transport: "ServerSentEvents", protocol: "json" },
  { id: "hubLongPolling", name: "hub · long polling", about: "JSON, GETs that wait and POSTs", transport: "LongPolling", protocol: "json" },
];

/** The official client, from the browser alone: what hub · JSON costs with it. */
export const OFFICIAL = { id: "official", name: "@microsoft/signalr", about: "the official client, JSON over WebSockets" };

export const colour = ({ id }) => `var(--${id.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)})`;
