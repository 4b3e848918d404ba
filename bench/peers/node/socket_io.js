// Socket.IO with the methods that every measured hub has, as events with an acknowledgement.
//
//     node socket_io.js --listen 127.0.0.1:0

import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen } from "./listen.js";

const server = createServer();
const io = new Server(server, { transports: ["websocket"], serveClient: false });

io.on("connection", (socket) => {
  socket.on("Echo", (text, acknowledge) => acknowledge(text));
  socket.on("Join", (room, acknowledge) => {
    socket.join(room);
    acknowledge();
  });
  socket.on("Broadcast", (room, text) => io.to(room).emit("Received", text));
});

listen(server);
