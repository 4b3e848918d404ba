// What a check works with, in Node and in a browser.

const ACK = 8;

/** Whether a record, of either protocol, acknowledges what has come. */
const isAck = (data) => (typeof data === "string" ? JSON.parse(data.slice(0, -1)).type === ACK : data[2] === ACK);

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
    /** A stateful connection, and a promise of its next acknowledgement, when it is asked for one. */
    acknowledging(path) {
      let look = () => {};
      const tap = (direction, data) => direction === "up" && !String(data).includes("protocol") && isAck(data) && look();
      return { hub: t.hub(path, { stateful: true, tap }), acknowledged: () => new Promise((resolve) => { look = resolve; }) };
    },
    cut,
    equal(got, expected) {
      if (wrongly) expected = ["nobody", "sends", "this"];
      if (isEqual(plain(got), plain(expected))) return;
      throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`);
    },
    /** Lets others run; what is sent has the pace of a person who types fast. */
    breathe: () => new Promise((resolve) => setTimeout(resolve, 5)),
    end: () => Promise.all(hubs.map((hub) => hub.stop())),
  };
  return t;
}
