// The server asks a client and waits for its answer.

import { area } from "../harness.mjs";

const check = area("results");
const LONG = 20_000;

/** Clients that answer for themselves. */
async function answering(t, count) {
  const clients = await t.several(count);
  for (const [i, client] of clients.entries()) client.connection.on("Ask", async (question) => `${i}: ${question}`);
  return clients;
}

check("the caller is asked", async (t) => {
  const client = await t.connect();
  client.connection.on("Ask", (question) => `you asked ${question}`);
  t.equal(await client.call("AskCaller", "ünï 😀"), "you asked ünï 😀");
});

check("two at once, each its own answer", async (t) => {
  const [asker, one, two] = await answering(t, 3);
  const answers = await Promise.all([
    asker.call("AskClient", one.id, "a", LONG), asker.call("AskClient", two.id, "b", LONG),
    asker.call("AskClient", one.id, "c", LONG), asker.call("AskClient", asker.id, "d", LONG),
  ]);
  t.equal(answers, ["1: a", "2: b", "1: c", "0: d"]);
});

check("two at once, the first answers last", async (t) => {
  const [asker, slow, quick] = await t.several(3);
  let release;
  slow.connection.on("Ask", () => new Promise((resolve) => { release = () => resolve("slow"); }));
  quick.connection.on("Ask", () => "quick");
  const order = [];
  const note = (answer) => order.push(answer);
  const first = asker.call("AskClient", slow.id, "?", LONG).then(note);
  await asker.call("AskClient", quick.id, "?", LONG).then(note);
  release();
  await first;
  t.equal(order, ["quick", "slow"]);
});

check("two clients ask one another", async (t) => {
  const [one, two] = await answering(t, 2);
  t.equal(await Promise.all([
    one.call("AskClient", two.id, "b", LONG), two.call("AskClient", one.id, "a", LONG),
  ]), ["1: b", "0: a"]);
});

check("refused and failing", async (t) => {
  const [asker, asked] = await t.several(2);
  let answer;
  asked.connection.on("Ask", () => answer());
  answer = () => Promise.reject(new Error("refused"));
  t.equal(await asker.call("AskClient", asked.id, "?", LONG), "HubException: Error: refused");
  answer = () => { throw new Error("failing"); };
  t.equal(await asker.call("AskClient", asked.id, "?", LONG), "HubException: Error: failing");
  answer = () => undefined;
  t.equal(await asker.call("AskClient", asked.id, "?", LONG), "HubException: Client didn't provide a result.");
  answer = () => "well";
  t.equal(await asker.call("AskClient", asked.id, "?", LONG), "well");
});

check("without a handler, and with two", async (t) => {
  const [asker, none, two] = await t.several(3);
  two.connection.on("Ask", () => "a");
  two.connection.on("Ask", () => "b");
  t.equal(await asker.call("AskClient", none.id, "?", LONG), "HubException: Client didn't provide a result.");
  t.equal(await asker.call("AskClient", two.id, "?", LONG), "HubException: Client provided multiple results.");
  t.equal(await asker.call("AskCaller", "?"), "HubException: Client didn't provide a result.");
});

check("an answer of the wrong type", async (t) => {
  const [asker, asked] = await t.several(2);
  let answer = 42;
  asked.connection.on("AskInt", () => answer);
  asked.connection.on("Ask", () => 7);
  t.equal(await asker.call("AskInt", asked.id), 42);
  answer = "forty-two";
  t.equal(await asker.call("AskInt", asked.id), -1);
  const text = await asker.call("AskClient", asked.id, "?", LONG);
  t.ok(text.startsWith("HubException: Error trying to deserialize result to String."), "that it cannot be read", text);
  answer = 43;
  t.equal(await asker.call("AskInt", asked.id), 43, "the asked connection lives");
});

check("nobody there", async (t) => {
  const [asker, leaver] = await t.several(2);
  const gone = `IOException: Connection '${leaver.id}' does not exist.`;
  t.equal(await asker.call("AskClient", "nobody", "?", LONG), "IOException: Connection 'nobody' does not exist.");
  const asked = new Promise((resolve) => leaver.connection.on("Ask", () => { resolve(); return new Promise(() => {}); }));
  const answer = asker.call("AskClient", leaver.id, "?", LONG);
  await asked;
  await leaver.connection.stop();
  t.equal(await answer, `IOException: Connection '${leaver.id}' disconnected.`);
  t.equal(await asker.call("AskClient", leaver.id, "?", LONG), gone);
});

check("no answer in time, and a late one", async (t) => {
  const [asker, asked] = await t.several(2);
  const releases = [];
  asked.connection.on("Ask", (question) => question === "late" ? new Promise((resolve) => releases.push(resolve)) : "in time");
  t.equal(await asker.call("AskClient", asked.id, "late", 50), "HubException: Invocation canceled by the server.");
  releases[0]("too late");
  t.equal(await asker.call("AskClient", asked.id, "again", LONG), "in time");
});

check("50 questions at once", async (t) => {
  const [asker, asked] = await answering(t, 2);
  const questions = Array.from({ length: 50 }, (_, i) => `${i}`);
  const answers = await Promise.all(questions.map((one) => asker.call("AskClient", asked.id, one, LONG)));
  t.equal(answers, questions.map((one) => `1: ${one}`));
});

check("asked from outside a hub", async (t) => {
  const client = await t.connect();
  client.connection.on("Result", () => 42);
  t.equal((await t.http("GET", `/context/ask/${client.id}`)).text, "42");
  t.equal((await t.http("GET", "/context/ask/nobody")).text, "Connection 'nobody' does not exist.");
});
