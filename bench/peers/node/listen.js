// Listens where --listen HOST:PORT says, and tells where that is.

import { parseArgs } from "node:util";

export function listen(server) {
  const { values } = parseArgs({ options: { listen: { type: "string" } } });
  if (!values.listen) {
    console.error("error: --listen HOST:PORT is missing");
    process.exit(2);
  }
  const [host, port] = values.listen.split(/:(?=\d+$)/);
  server.on("connection", (socket) => socket.setNoDelay(true));
  server.listen(Number(port), host, () => {
    const { address, port } = server.address();
    console.log(`listening on ${address}:${port}`);
  });
}
