// Plays a client with bytes that were written down: sends what goes up, and compares what comes down.

import { once } from "node:events";
import net from "node:net";

const bytesOf = (fields) => Buffer.concat(fields.map((field) => Buffer.from(field.bytes ?? field.text)));
const isLine = (field) => field.text !== undefined;

/** A TCP connection, and what has come over it. */
class Peer {
  #received = Buffer.alloc(0);
  #look = () => {};

  static async connect(url) {
    const { hostname, port } = new URL(url);
    const peer = new Peer();
    peer.socket = net.connect(Number(port), hostname);
    peer.socket.on("data", (more) => {
      peer.#received = Buffer.concat([peer.#received, more]);
      peer.#look();
    });
    await once(peer.socket, "connect");
    return peer;
  }

  /** The next bytes, as many as `enough` wants once it knows. */
  next(enough) {
    return new Promise((resolve) => {
      this.#look = () => {
        const length = enough(this.#received);
        if (length === null || this.#received.length < length) return;
        this.#look = () => {};
        const taken = this.#received.subarray(0, length);
        this.#received = this.#received.subarray(length);
        resolve(taken);
      };
      this.#look();
    });
  }
}

/** `steps` is { connecting, call } as `examples/web/anatomy.js` gives it. */
export async function conversation(url, { connecting, call }, lane) {
  const { host } = new URL(url);
  const main = await Peer.connect(url);
  const posts = await Peer.connect(url);
  // POSTs have a connection of their own while an event stream or a poll has the other.
  const isHttp = lane.transport !== undefined && lane.transport !== "WebSockets";
  let token = null;
  let peer = main;
  for (const step of [...connecting, ...call]) {
    const wanted = bytesOf(step.fields);
    const where = `${lane.name}: ${step.title}`;
    if (step.direction === "up") {
      const text = wanted.toString("latin1");
      peer = isHttp && text.startsWith("POST") ? posts : main;
      const mine = text.replace("127.0.0.1:8080", host).replace(/id=\S+/, `id=${token}`);
      peer.socket.write(Buffer.from(isLine(step.fields[0]) ? mine : text, "latin1"));
      continue;
    }
    if (!isLine(step.fields[0])) {
      const isFrame = !isHttp;
      const got = await (isFrame ? peer : main).next((received) => {
        if (!isFrame) return wanted.length;
        return received.length < 2 ? null : 2 + received[1];
      });
      if (!got.equals(wanted)) throw new Error(`${where}: ${got}, not ${wanted}`);
      continue;
    }
    const head = (await peer.next((received) => {
      const end = received.indexOf("\r\n\r\n");
      return end < 0 ? null : end + 4;
    })).toString();
    const lines = step.fields.filter(({ name, text }) => text !== undefined && name !== "body");
    const shown = bytesOf(lines).toString();
    if (undated(head) !== undated(shown)) throw new Error(`${where}: ${head}, not ${shown}`);
    const rest = bytesOf(step.fields.filter((field) => !lines.includes(field)));
    const body = await peer.next(() => rest.length);
    if (withoutIds(body) !== withoutIds(rest)) throw new Error(`${where}: ${body}, not ${rest}`);
    token ??= /"connectionToken":"([^"]+)"/.exec(body)?.[1] ?? null;
  }
  main.socket.destroy();
  posts.socket.destroy();
}

const undated = (head) => head.replace(/date: .*/, "date");
const withoutIds = (body) => body.toString("latin1").replace(/("connection(?:Id|Token)":")[^"]+/g, "$1…");
