// A server of a check's own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";

/** A server that can be stopped and started again at the same address. */
export class Server {
  static async start(command, cleanups) {
    const listener = net.createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address();
    listener.close();
    await once(listener, "close");
    const server = new Server();
    server.address = `127.0.0.1:${port}`;
    server.command = command.split(" ");
    cleanups.push(() => server.stop("SIGKILL"));
    await server.up();
    return server;
  }
  get url() {
    return `http://${this.address}`;
  }
  async up() {
    const [program, ...args] = this.command;
    this.child = spawn(program, [...args, this.address], { stdio: ["ignore", "pipe", "inherit"] });
    this.exit = once(this.child, "exit");
    for await (const line of createInterface({ input: this.child.stdout })) {
      if (line.startsWith("listening on")) break;
    }
    this.child.stdout.resume();
  }
  async stop(signal) {
    this.child.kill(signal);
    await this.exit;
  }
}
