// ws: /echo returns each message, /fanout sends it to everybody there.
//
//     node ws.js --listen 127.0.0.1:0

import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { listen } from "./listen.js";

const server = createServer((_, response) => response.writeHead(426).end());
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const everybody = new Set();

server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on("error", () => client.terminate());
    if (request.url !== "/fanout") {
      client.on("message", (data, binary) => client.send(data, { binary }));
      return;
    }
    everybody.add(client);
    client.on("close", () => everybody.delete(client));
    client.on("message", (data, binary) => {
      for (const one of everybody) one.send(data, { binary });
    });
  });
});

listen(server);
