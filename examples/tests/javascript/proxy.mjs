// A proxy in front of a server, with the faults that proxies have.

import { once } from "node:events";
import http from "node:http";

/**
 * Passes requests on, with the Host that the client named. `upgrades`: "pass" (default), "refuse"
 * (answered 400) or "strip" (passed on as a plain GET, as proxies do that know no WebSockets).
 * `events`: what becomes of event streams, "pass" (default), "refuse" (answered 502) or "cut"
 * (the connection ends without an answer). `files` are served by the proxy itself: path to
 * [content type, body].
 */
export class Proxy {
  static async start(target, { upgrades = "pass", events = "pass", files = {} } = {}) {
    const proxy = new Proxy();
    Object.assign(proxy, { target: new URL(target), upgrades, events, files });
    /** What came, in order: "upgrade", "events" or the method. */
    proxy.asked = [];
    proxy.upgraded = new Set();
    proxy.refusals = 0;
    proxy.server = http.createServer((request, response) => proxy.#request(request, response));
    proxy.server.on("upgrade", (request, socket, head) => proxy.#upgrade(request, socket, head));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  close() {
    this.cut();
    this.server.closeAllConnections();
    this.server.close();
  }

  /** Ends all requests that wait, and refuses the next: browsers repeat one that was cut. */
  refuseNext() {
    this.refusals = 1;
    this.server.closeAllConnections();
  }

  /** Drops all WebSockets, as a network that fails. */
  cut() {
    for (const socket of this.upgraded) socket.resetAndDestroy();
  }

  #request(request, response) {
    const file = this.files[request.url];
    if (file) {
      response.writeHead(200, { "Content-Type": file[0] }).end(file[1]);
      return;
    }
    const isEvents = request.headers.accept === "text/event-stream";
    this.asked.push(isEvents ? "events" : request.method);
    if (this.refusals > 0) {
      this.refusals--;
      response.writeHead(502).end();
    } else if (isEvents && this.events === "refuse") {
      response.writeHead(502).end();
    } else if (isEvents && this.events === "cut") {
      request.socket.destroy();
    } else {
      const onward = this.#onward(request, request.headers, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response).on("close", () => answer.destroy());
      });
      onward.on("error", () => response.destroy());
      request.pipe(onward);
      response.on("close", () => onward.destroy());
    }
  }

  #upgrade(request, socket, head) {
    this.asked.push("upgrade");
    socket.on("error", () => {});
    if (this.upgrades === "refuse") {
      socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    let headers = request.headers;
    if (this.upgrades === "strip") {
      const { upgrade: _, connection: __, ...others } = headers;
      headers = { ...others, connection: "close" };
    }
    const onward = this.#onward(request, headers, (answer) => {
      socket.write(headOf(answer));
      answer.pipe(socket);
    });
    onward.on("upgrade", (answer, server, first) => {
      server.on("error", () => socket.destroy());
      this.upgraded.add(socket);
      socket.on("close", () => {
        this.upgraded.delete(socket);
        server.destroy();
      });
      server.on("close", () => socket.destroy());
      socket.write(Buffer.concat([Buffer.from(headOf(answer)), first]));
      server.write(head);
      server.pipe(socket).pipe(server);
    });
    onward.on("error", () => socket.destroy());
    onward.end();
  }

  #onward({ method, url }, headers, answered) {
    const { hostname, port } = this.target;
    return http.request({ hostname, port, method, path: url, headers, agent: false }, answered);
  }
}

function headOf({ statusCode, statusMessage, rawHeaders }) {
  let head = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    // The body is written without its chunks, up to the end of the connection.
    if (/^transfer-encoding$/i.test(rawHeaders[i])) continue;
    head += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  return `${head}\r\n`;
}
