// What a check works with, in Node and in a browser.

export function environment(HubConnection, url, { over, protocol }, cut, isEqual, wrongly) {
  const hubs = [];
  const plain = (value) => (value === undefined ? null : value);
  const t = {
    over,
    isJson: protocol === "json",
    hub(path, options = {}) {
      const hub = new HubConnection(url + path, { protocol, transports: [over], ...options });
      hubs.push(hub);
      return hub;
    },
    async connected(path = "/spec", options) {
      const hub = t.hub(path, options);
      await hub.start();
      return hub;
    },
    cut,
    equal(got, expected) {
      if (wrongly) expected = ["nobody", "sends", "this"];
      if (isEqual(plain(got), plain(expected))) return;
      throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`);
    },
    /** Lets others run; what is sent has the pace of a person who types fast. */
    breathe: () => new Promise((resolve) => setTimeout(resolve, 5)),
    /** Acknowledgements are sent once a second, and nobody is told of them. */
    acknowledged: () => new Promise((resolve) => setTimeout(resolve, 1200)),
    end: () => Promise.all(hubs.map((hub) => hub.stop())),
  };
  return t;
}
