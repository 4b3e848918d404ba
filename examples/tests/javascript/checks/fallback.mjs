// Behind proxies that break transports: the client goes on with the next one by itself.

import { area } from "../harness.mjs";
import { Proxy } from "../proxy.mjs";

const check = area("fallback");
const ANY = { http: { transport: undefined } };

async function behind(t, faults) {
  const proxy = await Proxy.start(t.url, faults);
  t.cleanups.push(() => proxy.close());
  const client = await t.connect("/spec", { ...ANY, at: proxy.url });
  return [proxy, client];
}

/** It works both ways, and over what it is: in the server's words. */
async function works(t, client, transport) {
  t.equal(await client.call("Transport"), transport);
  t.equal(await client.call("Echo", "héllo"), "héllo");
  await client.call("ToCaller", "hello");
  await client.received.has("hello");
  const stream = client.stream("Numbers", 3);
  t.equal([await stream.ended, stream.items.all], [null, [0, 1, 2]]);
}

// Server-sent events carry text alone: with MessagePack the client does not try them.
const events = (t) => t.json ? "ServerSentEvents" : "LongPolling";

check("a proxy that breaks nothing: WebSockets", async (t) => {
  const [proxy, client] = await behind(t, {});
  await works(t, client, "WebSockets");
  t.equal(proxy.asked, ["POST", "upgrade"]);
}, { over: ["ws"] });

for (const upgrades of ["refuse", "strip"]) {
  check(`no upgrades (${upgrades}): server-sent events`, async (t) => {
    const [proxy, client] = await behind(t, { upgrades });
    await works(t, client, events(t));
    // Each transport is negotiated anew (N-19): what a plain GET did to the first token is forgotten.
    t.equal(proxy.asked.slice(0, 4), ["POST", "upgrade", "POST", t.json ? "events" : "GET"]);
  }, { over: ["ws"] });

  for (const faulty of ["refuse", "cut"]) {
    check(`no upgrades (${upgrades}), no events (${faulty}): long polling`, async (t) => {
      const [proxy, client] = await behind(t, { upgrades, events: faulty });
      await works(t, client, "LongPolling");
      // A second later the EventSource asks again by itself: the client does not close one that has
      // failed.
      const first = proxy.asked.indexOf("events");
      const asked = proxy.asked.filter((one, at) => one !== "events" || at === first);
      const tried = t.json ? ["POST", "events"] : [];
      const wanted = ["POST", "upgrade", ...tried, "POST", "GET"];
      t.equal(asked.slice(0, wanted.length), wanted);
      t.equal(asked.lastIndexOf("upgrade"), 1);
    }, { over: ["ws"] });
  }
}

check("an endpoint without WebSockets: server-sent events, without a try", async (t) => {
  const proxy = await Proxy.start(t.url);
  t.cleanups.push(() => proxy.close());
  const client = await t.connect("/spec-nowebsockets", { ...ANY, at: proxy.url });
  await works(t, client, events(t));
  t.equal(proxy.asked.slice(0, 2), ["POST", t.json ? "events" : "GET"]);
}, { over: ["ws"] });
