// Whether this process itself is on time: where it was late, nothing that it saw of time counts.

/** Woken this many milliseconds past the due time, nobody can say when something happened. */
export const BOUND = 200;
/** How often a check that was late is repeated. */
export const REPEATS = 5;

const TICK = 5;
const starts = new Map();
let due = performance.now() + TICK;

function look() {
  const late = performance.now() - due;
  for (const [start, latest] of starts) if (late > latest) starts.set(start, late);
}

setInterval(() => {
  look();
  due = performance.now() + TICK;
}, TICK).unref();

/** Begins to watch; the function that it returns ends that, and tells how late it was at most. */
export function watch() {
  const start = {};
  starts.set(start, 0);
  return () => {
    look();
    const latest = starts.get(start);
    starts.delete(start);
    return latest;
  };
}

/** How long nothing must have been late for a machine to be quiet, and how long that is waited for. */
const QUIET = 3_000;
const PATIENCE = 60_000;

/** Waits until nothing has been late for a while: what was late once is late again at once, where the
 * machine does something else. */
export async function quiet() {
  for (const until = Date.now() + PATIENCE; Date.now() < until; ) {
    const since = watch();
    await new Promise((then) => setTimeout(then, QUIET));
    if (since() <= BOUND) return;
  }
}
