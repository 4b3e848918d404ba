// Who gets a message: everyone, others, single clients, groups; from several connections, which
// speak both protocols.

import { area } from "../harness.mjs";

const check = area("targets");

/** `sends(what, [method, args of (ids, text)], how often each of four gets it)` */
const sends = (what, send, counts) => check(what, async (t) => {
  const clients = await t.several(4);
  const ids = clients.map((client) => client.id);
  const text = `${t.tag}text`;
  const [method, ...args] = send(ids, text);
  t.equal(await clients[0].call(method, ...args), null);
  await t.delivered(clients, text, counts);
});

sends("all", (_, text) => ["ToAll", text], [1, 1, 1, 1]);
sends("caller", (_, text) => ["ToCaller", text], [1, 0, 0, 0]);
sends("others", (_, text) => ["ToOthers", text], [0, 1, 1, 1]);
sends("all except", ([a, , c], text) => ["ToAllExcept", [a, c], text], [0, 1, 0, 1]);
sends("all except nobody", (_, text) => ["ToAllExcept", ["nobody"], text], [1, 1, 1, 1]);
sends("a client", ([, , c], text) => ["ToClient", c, text], [0, 0, 1, 0]);
sends("a client that is not there", (_, text) => ["ToClient", "nobody", text], [0, 0, 0, 0]);
sends("clients", ([a, , , d], text) => ["ToClients", [a, d, "nobody", d], text], [1, 0, 0, 1]);
sends("a group that is not there", (_, text) => ["ToGroup", `nobody ${text}`, text], [0, 0, 0, 0]);
sends("a user that is not there", (_, text) => ["ToUser", `nobody ${text}`, text], [0, 0, 0, 0]);

check("groups", async (t) => {
  const clients = await t.several(5);
  const [a, b, c, d] = clients;
  const [red, blue] = [`${t.tag}red`, `${t.tag}blue`];
  for (const client of [a, b, c]) await client.call("JoinGroup", red);
  for (const client of [c, d]) await client.call("JoinGroup", blue);
  await b.call("JoinGroup", red); // twice is once

  let serial = 0;
  const gives = async (counts, method, ...args) => {
    const text = `${t.tag}${serial++}`;
    await a.call(method, ...args, text);
    await t.delivered(clients, text, counts);
  };
  await gives([1, 1, 1, 0, 0], "ToGroup", red);
  await gives([0, 0, 1, 1, 0], "ToGroup", blue);
  await gives([1, 1, 2, 1, 0], "ToGroups", [red, blue]);
  await gives([0, 1, 0, 0, 0], "ToGroupExcept", red, [a.id, c.id, "nobody"]);
  await gives([0, 1, 1, 0, 0], "ToOthersInGroup", red);
  await gives([0, 0, 1, 1, 0], "ToOthersInGroup", blue);
  await gives([0, 0, 0, 0, 0], "ToGroup", red.toUpperCase());
  await b.call("LeaveGroup", red);
  await b.call("LeaveGroup", red);
  await gives([1, 0, 1, 0, 0], "ToGroup", red);
  await a.call("LeaveGroup", red);
  await gives([0, 0, 1, 0, 0], "ToOthersInGroup", red);
  await b.call("JoinGroup", red);
  await gives([0, 1, 1, 0, 0], "ToGroup", red);
});

check("a connection takes its memberships with it", async (t) => {
  const clients = await t.several(3);
  const [asker, stays, leaves] = clients;
  const group = `${t.tag}group`;
  for (const client of [stays, leaves]) await client.call("JoinGroup", group);
  await leaves.connection.stop();
  await leaves.start();
  const before = leaves.id;
  leaves.id = await leaves.call("ConnectionId");
  t.ok(leaves.id !== before, "a new id", leaves.id);
  await asker.call("ToGroup", group, `${t.tag}text`);
  await t.delivered(clients, `${t.tag}text`, [0, 1, 0]);
});

check("who sends much is heard in order by all", async (t) => {
  const clients = await t.several(4);
  const group = `${t.tag}group`;
  await Promise.all(clients.map((client) => client.call("JoinGroup", group)));
  const texts = Array.from({ length: 300 }, (_, i) => `${t.tag}${i}`);
  await Promise.all(texts.map((text) => clients[0].send("ToGroup", group, text)));
  await Promise.all(clients.map((client) => client.received.has(texts[299])));
  for (const client of clients) {
    t.equal(client.received.all.filter((text) => text.startsWith(t.tag)), texts);
  }
});

check("from outside a hub", async (t) => {
  const clients = await t.several(4);
  const [a, b, c, d] = clients.map((client) => client.id);
  const group = `${t.tag}outside`;
  let serial = 0;
  const gives = async (counts, what, to, except = "") => {
    const text = `${t.tag}${serial++}`;
    const query = new URLSearchParams({ to, except, text });
    t.equal((await t.http("POST", `/context/${what}?${query}`)).status, 204, what);
    await t.delivered(clients, text, counts);
  };
  const member = async (method, id) =>
    t.ok((await t.http(method, `/context/group/${group}/${id}`)).ok, "a success", id);
  for (const id of [a, b, c]) await member("POST", id);
  await gives([1, 1, 1, 1], "all", "");
  await gives([0, 1, 1, 0], "all", "", `${a},${d}`);
  await gives([0, 0, 0, 1], "client", d);
  await gives([1, 0, 1, 0], "clients", `${a},${c}`);
  await gives([1, 1, 1, 0], "group", group);
  await gives([1, 0, 1, 0], "group", group, b);
  await gives([1, 1, 1, 0], "groups", `${group},${group}nobody`);
  await member("DELETE", b);
  await gives([1, 0, 1, 0], "group", group);
  await gives([0, 0, 0, 0], "user", "nobody");
});
