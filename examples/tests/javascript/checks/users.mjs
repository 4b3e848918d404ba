// Users, who show a token. Needs /spec-auth and /token: `--auth`.

import { area } from "../harness.mjs";

const check = (what, run, options) => area("users")(what, run, { needs: "auth", ...options });

async function token(t, user, role = "", seconds = "") {
  const query = new URLSearchParams({ user, ...(role && { role }), ...(seconds && { seconds }) });
  return (await t.http("GET", `/token?${query}`)).text.replace(/^"|"$/g, "");
}

async function login(t, user, role, seconds) {
  const given = await token(t, user, role, seconds);
  return t.connect("/spec-auth", { http: { accessTokenFactory: () => given } });
}

check("one user on several connections", async (t) => {
  const [ann, bob] = [`${t.tag}ann`, `${t.tag}bob`];
  const clients = await Promise.all([ann, ann, bob, `${t.tag}cid`].map((user) => login(t, user)));
  t.equal(await Promise.all(clients.map((client) => client.call("UserIdentifier"))), [ann, ann, bob, `${t.tag}cid`]);
  const gives = async (counts, method, to) => {
    const text = `${t.tag}${method}${to}`;
    await clients[2].call(method, to, text);
    await t.delivered(clients, text, counts);
  };
  await gives([1, 1, 0, 0], "ToUser", ann);
  await gives([1, 1, 1, 0], "ToUsers", [ann, bob]);
  await gives([0, 0, 0, 0], "ToUser", ann.toUpperCase());
  await clients[0].connection.stop();
  clients.shift();
  await clients[1].call("ToUser", ann, `${t.tag}again`);
  await t.delivered(clients, `${t.tag}again`, [1, 0, 0]);
});

check("without a token", async (t) => {
  // Who does not negotiate is not told why.
  const refused = t.skipsNegotiation ? /^WebSocket failed to connect\./ : /401/;
  await t.fails(t.client("/spec-auth").start(), refused);
  await t.fails(t.client("/spec-auth", { http: { accessTokenFactory: () => "forged" } }).start(), refused);
});

check("a method for admins", async (t) => {
  const [user, admin] = await Promise.all([login(t, "user"), login(t, "admin", "admin")]);
  t.equal(await admin.call("AdminsOnly"), "welcome");
  await t.fails(user.call("AdminsOnly"), "Failed to invoke 'AdminsOnly' because user is unauthorized");
  t.equal(await user.call("Zero"), 0);
});

check("the token expires", async (t) => {
  const client = await login(t, "user", "", "3");
  t.equal(await client.closed, undefined);
}, { waits: true });
