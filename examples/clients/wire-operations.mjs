// Calls every operation of raw_server, and uses a topic:
//
//   node examples/clients/wire-operations.mjs ws://127.0.0.1:9001/wire
//
// Node before 22 needs --experimental-websocket.

import { connect } from "../web/wire.js";

const bytes = (text) => new TextEncoder().encode(text);
const text = (bytes) => new TextDecoder().decode(bytes);
const print = (name) => (error) => console.log(name, error.code, error.message);
const client = await connect(process.argv[2] ?? "ws://127.0.0.1:9001/wire");
console.log("echo", text(await client.call(1, bytes("héllo"))));

const numbers = new DataView(new ArrayBuffer(16));
numbers.setBigInt64(0, 2n);
numbers.setBigInt64(8, -44n);
const sum = await client.call(2, new Uint8Array(numbers.buffer));
console.log("add", String(new DataView(sum.buffer, sum.byteOffset).getBigInt64(0)));
await client.call(2).catch(print("add"));

const lengths = [];
const threeTicks = new Uint8Array([0, 0, 0, 3, 0, 0, 0, 1]);
for await (const tick of client.stream(3, threeTicks)) lengths.push(tick.length);
console.log("clock", lengths.join(" "));
await client.call(4, bytes("as you wish")).catch(print("fail"));
await client.call(9).catch(print("unknown"));

const event = new Promise((resolve) => client.subscribe(7, resolve));
client.publish(7, bytes("news"));
console.log("event", text(await event));
client.subscribe(7, () => console.log("an event after the end of the subscription"));
client.unsubscribe(7);
client.publish(7, bytes("more news"));
await client.call(1);
console.log("closed", (await client.close()).code);
