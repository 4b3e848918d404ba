// A client that sends faster than it is answered, of the official JavaScript client: 100 calls of
// 20 kB without waiting, over each transport. Where there is no WebSocket the client puts into one
// POST what waited for the one before: two megabytes here.
//
//   node burst.mjs http://127.0.0.1:5000/chat
//
// The server is the one that the READMEs begin with: examples/quick_start.rs.

import { TRANSPORTS, signalR } from "./harness.mjs";

const [url] = process.argv.slice(2);
const COUNT = 100;

for (const [name, { transport, skipNegotiation }] of Object.entries(TRANSPORTS)) {
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(url, { transport, skipNegotiation })
    .configureLogging(signalR.LogLevel.None)
    .build();
  await connection.start();
  await connection.invoke("Join", name);
  const texts = Array.from({ length: COUNT }, (_, n) => `${n} `.padEnd(20_000, "x"));
  const said = [];
  const all = new Promise((done, failed) => {
    connection.on("Said", (_, text) => {
      if (said.push(text) === COUNT) done();
    });
    connection.onclose((error) => failed(error ?? new Error("closed")));
  });
  await Promise.all([...texts.map((text) => connection.send("Say", name, text)), all]);
  if (said.some((text, n) => text !== texts[n])) throw new Error(`${name}: something else was said`);
  await connection.stop();
  console.log(`${COUNT} over ${name}`);
}
