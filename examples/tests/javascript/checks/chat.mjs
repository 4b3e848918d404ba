// The chat and the benchmark's hub, as a user would write their programs.

import { area, signalR } from "../harness.mjs";

const check = area("chat");

/** A user of the chat, in one room. */
async function user(t, room, name, options) {
  const client = t.client("/chat", options);
  client.heard = client.inbox("RoomMessage");
  client.joined = client.inbox("Joined");
  client.left = client.inbox("Left");
  await client.start();
  await client.call("JoinRoom", room, name);
  return client;
}

check("a conversation in a room", async (t) => {
  const room = `${t.tag}room`;
  const ann = await user(t, room, "Ann");
  const bob = await user(t, room, "Bob", { protocol: "json" });
  const cid = await user(t, `${room} 2`, "Cid", { protocol: "messagepack", over: t.over === "sse" ? "lp" : t.over });
  t.equal(await ann.joined.count(1), [[room, "Bob"]]);
  t.equal(await ann.call("WhoIsHere", room), ["Ann", "Bob"]);
  t.equal(await ann.call("WhoIsHere", `${room} 3`), []);

  await ann.call("SendToRoom", room, "hello 😀");
  await bob.call("SendToRoom", room, "hi");
  for (const one of [ann, bob]) {
    t.equal(await one.heard.count(2), [[room, "Ann", "hello 😀"], [room, "Bob", "hi"]]);
  }
  const refused = `An unexpected error occurred invoking 'SendToRoom' on the server. HubException: You are not in room '${room}'.`;
  await t.fails(cid.call("SendToRoom", room, "psst"), refused);

  await bob.call("LeaveRoom", room);
  t.equal(await ann.left.count(1), [[room, "Bob"]]);
  await t.fails(bob.call("SendToRoom", room, "psst"), refused);
  await bob.call("JoinRoom", room, "Bob");
  t.equal(await ann.joined.count(2), [[room, "Bob"], [room, "Bob"]]);
  await bob.connection.stop();
  t.equal(await ann.left.count(2), [[room, "Bob"], [room, "Bob"]]);
  t.equal(await ann.call("WhoIsHere", room), ["Ann"]);
  t.equal([cid.heard.all, cid.joined.all, bob.left.all], [[], [], []]);
});

check("a word to all", async (t) => {
  const users = await Promise.all(["a", "b", "c"].map((name) => user(t, `${t.tag}room`, name)));
  const inboxes = users.map((client) => client.inbox("receivemessage"));
  await users[0].call("SendMessage", "Ann", `${t.tag}all`);
  for (const inbox of inboxes) await inbox.has(["Ann", `${t.tag}all`]);
  t.equal(inboxes.map((inbox) => inbox.all.filter(([, text]) => text === `${t.tag}all`).length), [1, 1, 1]);
});

check("everyone is asked", async (t) => {
  const users = await Promise.all(["a", "b", "c"].map((name) => user(t, `${t.tag}room`, name)));
  // Other checks may be connected too: who is asked by a stranger answers nothing.
  for (const [i, client] of users.entries()) {
    client.connection.on("Ask", (question) => question === `${t.tag}?` ? `${t.tag}${3 - i}` : undefined);
  }
  const answers = await users[0].call("AskEveryone", `${t.tag}?`);
  t.equal(answers, [`${t.tag}1`, `${t.tag}2`]);
  users[2].connection.off("Ask");
  users[2].connection.on("Ask", () => { throw new Error("not now"); });
  t.equal(await users[0].call("AskEveryone", `${t.tag}?`), [`${t.tag}2`]);
});

check("counting down, and a sum", async (t) => {
  const client = await user(t, `${t.tag}room`, "Ann");
  const count = client.stream("Countdown", 3, 1);
  t.equal([await count.ended, count.items.all], [null, [3, 2, 1, 0]]);
  const endless = client.stream("Countdown", 1_000_000, 1);
  t.equal(await endless.items.count(2), [1_000_000, 999_999]);
  endless.cancel();
  const numbers = new signalR.Subject();
  const sum = client.call("Sum", numbers);
  for (const n of [1, 2, 3]) numbers.next(n);
  numbers.complete();
  t.equal(await sum, 6);
});

check("the hub of the benchmark", async (t) => {
  const [one, two] = await Promise.all([t.connect("/bench"), t.connect("/bench", { protocol: "json" })]);
  const group = `${t.tag}group`;
  for (const client of [one, two]) t.equal(await client.call("Join", group), null);
  t.equal(await one.call("Echo", "x"), "x");
  await one.call("Broadcast", group, "first");
  await two.call("Leave", group);
  await one.call("Broadcast", group, "second");
  t.equal(await one.received.count(2), ["first", "second"]);
  await two.call("Echo", "x");
  t.equal(two.received.all, ["first"]);
});
