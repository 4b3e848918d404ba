// Three ways to carry a hub connection's bytes. Each has start, send and stop, and calls onreceive
// with text or bytes, and onclose(error, isClean) when it ends by itself.

import { join } from "./hub-protocols.js";

class Transport {
  onreceive = () => {};
  onclose = () => {};

  constructor(url, token, isBinary, tap) {
    Object.assign(this, { url, token, isBinary });
    this.tap = (direction, data) => tap(direction, data, this.name);
  }

  received(data) {
    this.tap("down", data);
    this.onreceive(data);
  }
}

class WebSockets extends Transport {
  name = "WebSockets";

  start() {
    const url = new URL(this.url);
    url.protocol = url.protocol.replace("http", "ws");
    // A page cannot give a WebSocket headers.
    if (this.token) url.searchParams.set("access_token", this.token);
    return new Promise((resolve, reject) => {
      let isOpen = false;
      this.socket = new WebSocket(url);
      this.socket.binaryType = "arraybuffer";
      this.socket.onopen = () => { isOpen = true; resolve(); };
      this.socket.onerror = () => isOpen || reject(new Error("the WebSocket could not be opened"));
      this.socket.onmessage = ({ data }) =>
        this.received(typeof data === "string" ? data : new Uint8Array(data));
      this.socket.onclose = ({ code, reason, wasClean }) => {
        const isClean = wasClean && code === 1000;
        const error = isClean ? null : new Error(`the WebSocket closed with ${code} ${reason}`.trim());
        if (isOpen) this.onclose(error, isClean);
      };
    });
  }

  send(data) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.tap("up", data);
    // Binary protocols send everything in binary messages, the handshake in text.
    this.socket.send(data);
  }

  stop() {
    this.socket.onclose = null;
    this.socket.close(1000);
  }
}

/** What goes up in POSTs: one at a time, and what is said meanwhile goes with the next. */
class Posting extends Transport {
  #unsent = [];
  #isPosting = false;
  isOver = false;
  abort = new AbortController(); // of what is being listened to

  send(data) {
    this.tap("up", data);
    this.#unsent.push(data);
    if (!this.#isPosting) this.posting = this.#post();
  }

  async #post() {
    this.#isPosting = true;
    while (this.#unsent.length && !this.isOver) {
      const parts = this.#unsent.splice(0);
      const isText = parts.every((part) => typeof part === "string");
      const body = isText ? parts.join("") : join(...parts.map(asBytes));
      try {
        const response = await this.fetch("POST", { body });
        await response.arrayBuffer(); // to its end, or the browser takes it for given up
      } catch (error) {
        this.end(error);
      }
    }
    this.#isPosting = false;
  }

  async fetch(method, more = {}) {
    const { headers, ...rest } = more;
    const token = this.token && { Authorization: `Bearer ${this.token}` };
    const options = { method, headers: { ...headers, ...token }, credentials: "include", ...rest };
    const response = await fetch(this.url, options);
    if (!response.ok) throw new Error(`${method}: ${response.status} ${await response.text()}`.trim());
    return response;
  }

  end(error) {
    if (this.isOver) return;
    this.isOver = true;
    this.abort.abort();
    this.onclose(error, error === null);
  }

  async stop() {
    await this.posting;
    this.isOver = true;
    this.abort.abort();
  }
}

class ServerSentEvents extends Posting {
  name = "ServerSentEvents";

  /** Not EventSource: that cannot send the token in a header, and Node has none. */
  async start() {
    const headers = { Accept: "text/event-stream" };
    const response = await this.fetch("GET", { headers, signal: this.abort.signal, cache: "no-store" });
    void this.#listen(response.body.getReader());
  }

  async #listen(reader) {
    const decoder = new TextDecoder();
    let text = "";
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return this.end(null);
        text += decoder.decode(value, { stream: true });
        const events = text.split("\r\n\r\n");
        text = events.pop();
        for (const event of events) {
          const data = event.split("\r\n").filter((line) => line.startsWith("data: "));
          if (data.length) this.received(data.map((line) => line.slice(6)).join("\n"));
        }
      }
    } catch (error) {
      this.end(error);
    }
  }

}

class LongPolling extends Posting {
  name = "LongPolling";

  async start() {
    await this.fetch("GET"); // the first poll is answered at once
    void this.#poll();
  }

  async #poll() {
    while (!this.isOver) {
      try {
        const response = await this.fetch("GET", { signal: this.abort.signal, cache: "no-store" });
        if (response.status === 204) return this.end(null);
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.length) this.received(this.isBinary ? bytes : new TextDecoder().decode(bytes));
      } catch (error) {
        this.end(error);
      }
    }
  }

  async stop() {
    await super.stop();
    await this.fetch("DELETE").catch(() => {}); // the server may know already
  }
}

const asBytes = (data) => (typeof data === "string" ? new TextEncoder().encode(data) : data);

export const TRANSPORTS = { WebSockets, ServerSentEvents, LongPolling };
