// Streams in both directions.

import { area, signalR } from "../harness.mjs";

const check = area("streams");
const MANY = 100_000;
const upTo = (n) => Array.from({ length: n }, (_, i) => i);
const failed = (method, error) => `An unexpected error occurred invoking '${method}' on the server. HubException: ${error}`;

/** A stream up of these items. */
const of = (...items) => {
  const subject = new signalR.Subject();
  return { subject, feed: () => { for (const item of items) subject.next(item); subject.complete(); } };
};

check("down: none, one, many", async (t) => {
  const client = await t.connect();
  for (const count of [0, 1, 10, 1_000]) {
    const stream = client.stream("Numbers", count);
    t.equal(await stream.ended, null);
    t.equal(stream.items.all, upTo(count));
  }
});

check("down: texts and objects", async (t) => {
  const client = await t.connect();
  const letters = client.stream("Letters", "héé");
  t.equal([await letters.ended, letters.items.all], [null, ["h", "é", "é"]]);
  const people = client.stream("People", 3);
  t.equal(await people.ended, null);
  t.equal(people.items.all, upTo(3).map((i) => t.person(`p${i}`, i, [`t${i}`])));
});

check("down: fails after its items", async (t) => {
  const client = await t.connect();
  const error = "An error occurred on the server while streaming results.";
  for (const count of [0, 3]) {
    const hub = client.stream("NumbersThenHubError", count, "as you wish");
    t.equal([await hub.ended, hub.items.all], [`${error} HubException: as you wish`, upTo(count)]);
    const other = client.stream("NumbersThenError", count, "secret");
    t.equal([await other.ended, other.items.all], [error, upTo(count)]);
  }
  t.equal(await client.call("Zero"), 0);
});

check("down: fails before its first item", async (t) => {
  const client = await t.connect();
  t.equal(await client.stream("ThrowsBeforeStream", "no").ended, failed("ThrowsBeforeStream", "no"));
  t.equal(await client.stream("NullStream").ended, "The value returned by the streaming method 'NullStream' is not a ChannelReader<> or IAsyncEnumerable<>.");
  t.equal(await client.call("Zero"), 0);
});

check("down: cancelled", async (t) => {
  const client = await t.connect();
  const ends = client.inbox("TicksEnded");
  const ticks = client.stream("Ticks", 1);
  t.equal(await ticks.items.count(3), [0, 1, 2]);
  ticks.cancel();
  const had = ticks.items.all.length;
  t.equal(await ends.count(1), [["cancelled"]]);
  t.equal(await client.call("Zero"), 0);
  t.equal(ticks.items.all.length, had, "items after the cancellation");
});

check("down: cancelled at once", async (t) => {
  const client = await t.connect();
  const ends = client.inbox("TicksEnded");
  for (let i = 0; i < 20; i++) client.stream("Ticks", 1_000).cancel();
  t.equal((await ends.count(20)).length, 20);
});

check("down: one is cancelled, its neighbours go on", async (t) => {
  const client = await t.connect();
  const ends = client.inbox("TicksEnded");
  const [goes, stays] = [client.stream("Ticks", 1), client.stream("Ticks", 1)];
  await Promise.all([goes.items.count(2), stays.items.count(2)]);
  goes.cancel();
  await ends.count(1);
  const had = stays.items.all.length;
  t.equal(await stays.items.count(had + 3), upTo(had + 3));
  t.equal(ends.all.length, 1);
  t.equal(await client.call("Zero"), 0, "a call beside it");
  stays.cancel();
  await ends.count(2);
});

check(`down: ${MANY} items`, async (t) => {
  const client = await t.connect("/bench");
  const stream = client.stream("Items", MANY);
  t.equal(await stream.ended, null);
  t.equal(stream.items.all.length, MANY);
  t.ok(stream.items.all.every((item, i) => item === i), "the numbers in order", "others");
}, { alone: true, over: ["ws", "sse", "lp"] });

check("up: none, one, many", async (t) => {
  const client = await t.connect();
  for (const items of [[], [7], upTo(1_000)]) {
    const { subject, feed } = of(...items);
    const sum = client.call("Sum", subject);
    feed();
    t.equal(await sum, items.reduce((a, b) => a + b, 0));
  }
});

check("up: the items come after a while", async (t) => {
  const client = await t.connect();
  const subject = new signalR.Subject();
  const concat = client.call("Concat", subject);
  for (const part of ["a", "é", "", "😀"]) {
    subject.next(part);
    t.equal(await client.call("Zero"), 0, "a call beside it");
  }
  subject.complete();
  t.equal(await concat, "aé😀");
});

// An argument between them: of two streams side by side the client takes the second for a value.
check("up: two at once beside an argument", async (t) => {
  const client = await t.connect();
  const [left, right] = [of("a", "b"), of(1, 2)];
  const zip = client.call("Zip", left.subject, "-", right.subject);
  right.feed();
  left.feed();
  t.equal(await zip, "a-1 b-2");
});

check("up: objects", async (t) => {
  const client = await t.connect();
  const { subject, feed } = of(t.person("a", 1, []), t.person("b", 2, ["x"], t.person("c", 3, [])));
  const count = client.call("CountUp", subject);
  feed();
  t.equal(await count, 2);
});

check("up: fails", async (t) => {
  const client = await t.connect();
  for (const before of [0, 3]) {
    const subject = new signalR.Subject();
    const sum = client.call("Sum", subject);
    for (const n of upTo(before)) subject.next(n);
    subject.error(new Error("ran out"));
    await t.fails(sum, failed("Sum", "ran out"));
  }
  t.equal(await client.call("Zero"), 0);
});

check("up: an item of the wrong type", async (t) => {
  const client = await t.connect();
  for (const wrong of ["two", null, {}]) {
    const { subject, feed } = of(1, wrong);
    const sum = client.call("Sum", subject);
    feed();
    await t.fails(sum, failed("Sum", "Failed to bind Stream message."));
  }
  t.equal(await client.call("Zero"), 0);
});

check("up: the method has had enough", async (t) => {
  const client = await t.connect();
  const subject = new signalR.Subject();
  const two = client.call("TakeTwo", subject);
  for (const n of [20, 22]) subject.next(n);
  t.equal(await two, 42);
  for (const n of upTo(100)) subject.next(n);
  subject.complete();
  t.equal(await client.call("Zero"), 0);
});

check("up: a failure that nobody waits for", async (t) => {
  const client = await t.connect();
  const subject = new signalR.Subject();
  await client.send("Sum", subject);
  subject.next(1);
  subject.error(new Error("ran out"));
  t.equal(await client.call("Zero"), 0);
});

check("up: very many items", async (t) => {
  const client = await t.connect("/bench");
  // The client makes a POST of each item, and waits for its answer.
  const count = t.posts ? MANY / 50 : MANY;
  const { subject, feed } = of(...upTo(count));
  const sum = client.call("Sum", subject);
  feed();
  t.equal(await sum, count * (count - 1) / 2);
}, { alone: true, over: ["ws", "sse", "lp"] });

check("both ways: each item answered", async (t) => {
  const client = await t.connect();
  const subject = new signalR.Subject();
  const doubled = client.stream("Doubled", subject);
  for (const n of upTo(20)) {
    subject.next(n);
    t.equal((await doubled.items.count(n + 1))[n], 2 * n);
  }
  subject.complete();
  t.equal(await doubled.ended, null);
});

check("both ways: fails", async (t) => {
  const client = await t.connect();
  const subject = new signalR.Subject();
  const doubled = client.stream("Doubled", subject);
  subject.next(1);
  subject.error(new Error("ran out"));
  t.equal(await doubled.ended, "An error occurred on the server while streaming results. HubException: ran out");
  t.equal(doubled.items.all, [2]);
});

check("both ways: cancelled while items go up", async (t) => {
  const client = await t.connect();
  const subject = new signalR.Subject();
  const doubled = client.stream("Doubled", subject);
  subject.next(1);
  await doubled.items.count(1);
  doubled.cancel();
  for (const n of upTo(100)) subject.next(n);
  subject.complete();
  t.equal(await client.call("Zero"), 0);
  t.equal(doubled.items.all, [2]);
});

check("streams end with the connection", async (t) => {
  const client = await t.connect();
  const ticks = client.stream("Ticks", 1);
  await ticks.items.count(2);
  await client.connection.stop();
  t.equal(await ticks.ended, "Invocation canceled due to the underlying connection being closed.");
});
