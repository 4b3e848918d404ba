// Errors, by their exact texts. (What only .NET can say, the names of its exception classes and the
// texts of its parsers, is not expected; only detailed errors have it.)

import { area } from "../harness.mjs";

const check = area("errors");
const thrown = (method, rest = "") => `An unexpected error occurred invoking '${method}' on the server.${rest}`;
const failed = (method, rest = "") => `Failed to invoke '${method}' due to an error on the server.${rest}`;
const missing = (method) => failed(method, " HubException: Method does not exist.");

/** After each error the connection serves on. */
const errors = (what, expected, hub) => check(what, async (t) => {
  const client = await t.connect(hub);
  for (const [call, text] of expected) {
    await t.fails(call(client, t), text);
    t.equal(await client.call("Echo", "still here"), "still here");
  }
});

errors("a hub error shows its message", [
  [(c) => c.call("ThrowHub", "as you wish"), thrown("ThrowHub", " HubException: as you wish")],
  [(c) => c.call("ThrowHub", "\"ünï\" 😀"), thrown("ThrowHub", " HubException: \"ünï\" 😀")],
  [(c) => c.call("ThrowLater", "later"), thrown("ThrowLater", " HubException: later")],
]);
errors("another error hides it", [
  [(c) => c.call("ThrowOther", "secret"), thrown("ThrowOther")],
]);
errors("detailed errors show it", [
  [(c) => c.call("ThrowOther", "shown"), /^An unexpected error occurred invoking 'ThrowOther' on the server\. \w+: shown$/],
  [(c) => c.call("ThrowHub", "shown"), thrown("ThrowHub", " HubException: shown")],
  [(c) => c.call("Add", 1), failed("Add", " InvalidDataException: Invocation provides 1 argument(s) but target expects 2.")],
], "/spec-detailed");
errors("an unknown method, named as it was sent", [
  [(c) => c.call("NoSuchMethod"), missing("NoSuchMethod")],
  [(c) => c.call("nosuchMETHOD", 1, "2"), missing("nosuchMETHOD")],
  [(c) => c.call("OnConnectedAsync"), missing("OnConnectedAsync")],
  [(c) => c.call("HasAnotherName"), missing("HasAnotherName")],
]);
errors("the wrong number of arguments", [
  [(c) => c.call("Add"), failed("Add")],
  [(c) => c.call("Add", 1), failed("Add")],
  [(c) => c.call("Add", 1, 2, 3), failed("Add")],
  [(c) => c.call("Zero", null), failed("Zero")],
  [(c) => c.call("add", 1), failed("Add")],
]);
errors("arguments of the wrong type", [
  [(c) => c.call("Add", "1", 2), failed("Add")],
  [(c) => c.call("Add", 1.5, 2), failed("Add")],
  [(c) => c.call("Add", null, 2), failed("Add")],
  [(c) => c.call("Add", 2 ** 31, 0), failed("Add")],
  [(c) => c.call("Not", 1), failed("Not")],
  [(c) => c.call("Echo", 7), failed("Echo")],
  [(c) => c.call("Count", "no list"), failed("Count")],
  [(c) => c.call("SameGuid", "no guid"), failed("SameGuid")],
  [(c) => c.call("Older", [1]), failed("Older")],
  [(c, t) => c.call("Older", t.person("Ann", "old", [])), failed("Older")],
]);
errors("a streaming method called", [
  [(c) => c.call("Numbers", 3), "The client attempted to invoke the streaming 'Numbers' method with a non-streaming invocation."],
]);

check("a method streamed", async (t) => {
  const client = await t.connect();
  const text = "The client attempted to invoke the non-streaming 'Zero' method with a streaming invocation.";
  t.equal(await client.stream("Zero").ended, text);
  t.equal(await client.stream("NoSuchStream").ended, missing("NoSuchStream"));
  t.equal(await client.stream("Numbers", "three").ended, failed("Numbers"));
  t.equal(await client.stream("Numbers").ended, failed("Numbers"));
  t.equal(await client.call("Zero"), 0);
});

errors("streams that are missing", [
  [(c) => c.call("Sum"), thrown("Sum", " HubException: Client sent 0 stream(s), Hub method expects 1.")],
  [(c) => c.call("Zip", "-"), thrown("Zip", " HubException: Client sent 0 stream(s), Hub method expects 2.")],
]);

check("errors of what needs no answer are silent", async (t) => {
  const client = await t.connect();
  for (const [method, ...args] of [["ThrowHub", "x"], ["ThrowOther", "x"], ["NoSuch"], ["Add", 1], ["Numbers", 1]]) {
    await client.send(method, ...args);
  }
  const before = client.wire.all.length;
  t.equal(await client.call("Zero"), 0);
  t.equal(client.wire.all.slice(before).filter((one) => one.type !== 6).map((one) => one.type), [3]);
});

check("a method ends the connection", async (t) => {
  const client = await t.connect();
  await t.fails(client.call("Abort").then(() => client.call("Zero")), /./);
  t.equal(await client.closed, undefined);
});

check("a message above the limit ends the connection", async (t) => {
  const client = await t.connect("/spec-small");
  const text = "Server returned an error on close: Connection closed with an error.";
  await t.fails(client.call("Echo", "x".repeat(1_100)), text);
  t.equal((await client.closed)?.message, text);
});
