// The race in this browser: one lane after the other, each with its own connections.

import { open } from "./clients.js";
import { Histogram } from "./histogram.js";

const WARM_UP = 300;
const LOOK_EVERY = 100;
/** Browsers open six HTTP connections to one host: an event stream or poll keeps one of them. */
const MOST_OVER_HTTP = 2;
const MOST_SOCKETS = 64;

/** How many connections a lane gets of those asked for. */
export function connectionsOf(lane, asked) {
  const isHttp = lane.transport && lane.transport !== "WebSockets";
  return Math.min(asked, isHttp ? MOST_OVER_HTTP : MOST_SOCKETS);
}

/** Yields { lane, phase, figures, error } as the server's race does. `usage` asks the server. */
export async function* raceInBrowser(settings, lanes, usage, signal) {
  for (const lane of lanes) {
    try {
      for await (const step of runLane(lane, settings, usage, signal)) yield { lane: lane.id, ...step };
    } catch (error) {
      yield { lane: lane.id, phase: "failed", error: error.message };
    }
    if (signal.aborted) return;
  }
}

async function* runLane(lane, { work, size, connections, depth, seconds }, usage, signal) {
  const clients = [];
  const seen = { messages: 0, latency: new Histogram() };
  const state = { isRunning: true, error: null };
  try {
    yield { phase: "warmingUp" };
    const count = connectionsOf(lane, connections);
    for (let i = 0; i < count; i++) clients.push(await open(lane, work, size));
    const running = WORKS[work](clients, depth, seen, state);
    running.catch((error) => { state.error = error; });
    await pause(WARM_UP);
    const isHttp = lane.transport && lane.transport !== "WebSockets";
    const bytes = ({ httpBytes }) => (isHttp ? httpBytes : clients.reduce((sum, client) => sum + client.bytes, 0));
    const before = await usage();
    const begin = { at: performance.now(), bytes: bytes(before), messages: seen.messages };
    seen.latency = new Histogram();
    for (let isOver = false; !isOver;) {
      await pause(LOOK_EVERY);
      if (state.error) throw state.error;
      const now = await usage();
      const passed = (performance.now() - begin.at) / 1000;
      isOver = passed >= seconds || signal.aborted;
      const messages = seen.messages - begin.messages;
      const cpu = now.cpuMicroseconds === null ? null : now.cpuMicroseconds - before.cpuMicroseconds;
      const figures = {
        seconds: passed,
        messages,
        messagesPerSecond: messages / passed,
        bytesPerMessage: (bytes(now) - begin.bytes) / messages,
        cpuMicrosecondsPerMessage: cpu === null ? null : cpu / messages,
        bytesPerConnection: null,
        p50: seen.latency.at(0.5), p90: seen.latency.at(0.9), p99: seen.latency.at(0.99), p999: seen.latency.at(0.999),
        connections: count,
      };
      yield { phase: isOver ? "done" : "measuring", figures };
    }
  } finally {
    state.isRunning = false;
    await Promise.allSettled(clients.map((client) => client.close()));
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const WORKS = {
  /** Each connection keeps `depth` calls in flight. */
  calls: (clients, depth, seen, state) => Promise.all(clients.flatMap((client) =>
    Array.from({ length: depth }, async () => {
      while (state.isRunning) {
        const sent = performance.now();
        await client.call();
        record(seen, sent);
        seen.messages++;
      }
    }))),

  /** The first connection publishes, and keeps `depth` of its own messages in flight. */
  async fanOut(clients, depth, seen, state) {
    const [publisher] = clients;
    const sentAt = [];
    const publish = () => { sentAt.push(performance.now()); publisher.publish(); };
    for (const client of clients) {
      await client.hear(() => {
        seen.messages++;
        if (client !== publisher || !sentAt.length) return;
        record(seen, sentAt.shift());
        if (state.isRunning) publish();
      });
    }
    for (let i = 0; i < depth; i++) publish();
  },

  /** Each connection has a stream of `depth` items under way. */
  stream: (clients, depth, seen, state) => Promise.all(clients.map(async (client) => {
    while (state.isRunning) {
      const sent = performance.now();
      await client.stream(depth, () => { seen.messages++; });
      record(seen, sent);
    }
  })),
};

const record = (seen, sent) => seen.latency.record((performance.now() - sent) * 1000);
