// Latencies in buckets of one percent: any number of them in a few kilobytes.

const STEP = Math.log(1.01);

export class Histogram {
  #buckets = new Map();
  count = 0;

  /** Microseconds. */
  record(value) {
    const bucket = Math.round(Math.log(Math.max(value, 1)) / STEP);
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + 1);
    this.count++;
  }

  /** The value that this share did not exceed. */
  at(share) {
    const sorted = [...this.#buckets].sort(([a], [b]) => a - b);
    let left = share * this.count;
    for (const [bucket, count] of sorted) {
      left -= count;
      if (left <= 0) return Math.exp(bucket * STEP);
    }
    return NaN;
  }
}
