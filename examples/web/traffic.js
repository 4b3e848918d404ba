// What this page's own connections send and receive: the last of it, for the Wire tab.

const KEPT = 60;
const entries = [];
let serial = 0;
let listener = () => {};

/** What a connection is given as its `tap`; `name` and `lane` say whose traffic it is. */
export const tapOf = (name, lane) => (direction, data) => {
  const length = typeof data === "string" ? new TextEncoder().encode(data).length : data.length;
  // A copy of the beginning: the rest may be large, and its buffer somebody else's.
  const start = typeof data === "string" ? data.slice(0, 120) : data.slice(0, 40);
  entries.push({ serial: ++serial, at: new Date(), name, lane, direction, length, start });
  if (entries.length > KEPT) entries.shift();
  listener();
};

/** The last entries, the newest first. */
export const recent = () => entries.toReversed();

/** Calls this whenever there is more. */
export const listen = (onMore) => { listener = onMore; };
