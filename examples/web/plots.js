// Two plots: bars of ratios, and latency percentiles. Both keep their size and axes while the race
// goes on; what they show is in the table beside them, too.

import { colour } from "./lanes.js";
import { number, ratio, svg, time } from "./ui.js";

/** As wide as the column they stand in: so text has its size on a phone, too. */
const layout = () => (innerWidth < 640 ? { WIDTH: 360, NAMES: 140, VALUES: 132, ENDS: 138 } : { WIDTH: 520, NAMES: 150, VALUES: 170, ENDS: 160 });
const ROW = 28;

/** Where values span more than this, the axis is logarithmic and says so. */
const LINEAR = 20;

/**
 * Bars from zero: the ratio to raw is the length, the value the label. `rows` are
 * [lane, { value, low, high }]. `show` writes a value.
 */
export function bars(rows, { show, axis }) {
  const { WIDTH, NAMES, VALUES } = layout();
  const base = rows.find(([lane]) => lane.id === "raw")?.[1].value || NaN;
  const ratios = rows.map(([, { value, high }]) => Math.max(value, high ?? 0) / base).filter(Number.isFinite);
  const least = Math.min(1, ...rows.map(([, { value }]) => value / base).filter((one) => one > 0));
  const largest = grown(Math.max(2, ...ratios));
  const isLog = largest / least > LINEAR;
  const room = WIDTH - NAMES - VALUES;
  const floor = isLog ? 10 ** Math.floor(Math.log10(least / 2)) : 0;
  const x = (value) => {
    const share = isLog ? Math.log(Math.max(value, floor) / floor) / Math.log(largest / floor) : value / largest;
    return Math.max(0, share) * room;
  };
  const height = rows.length * ROW + 40;
  const plot = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${height}`, "aria-hidden": "true" });
  const bottom = rows.length * ROW;
  let free = -Infinity; // from where on a label covers no other
  for (const tick of ticks(floor, largest, isLog)) {
    const at = NAMES + x(tick);
    if (at < free) continue;
    free = at + 44;
    plot.append(
      svg("line", { x1: at, x2: at, y1: 0, y2: bottom }),
      text(at, bottom + 16, isLog && tick < 1 ? `${tick}×` : `${number(tick).replace(/\.0+$/, "")}×`, { "text-anchor": "middle", class: "quiet" }),
    );
  }
  plot.append(text(WIDTH < 400 ? 0 : NAMES, bottom + 34, axis + (isLog ? ", logarithmic" : ""), { class: "word quiet" }));
  rows.forEach(([lane, { value, low, high }], row) => {
    const top = row * ROW;
    plot.append(text(NAMES - 8, top + 18, lane.name, { "text-anchor": "end", class: "word" }));
    if (!Number.isFinite(value / base)) {
      plot.append(text(NAMES + 4, top + 18, "–", { class: "quiet" }));
      return;
    }
    const width = x(value / base);
    const bar = svg("rect", { x: NAMES, y: top + 6, height: ROW - 12, rx: 1 });
    bar.style.width = `${width}px`;
    bar.style.fill = colour(lane);
    plot.append(bar);
    let end = width;
    if (Number.isFinite(low) && Number.isFinite(high)) {
      const middle = top + ROW / 2;
      plot.append(svg("line", { class: "noise", x1: NAMES + x(low / base), x2: NAMES + x(high / base), y1: middle, y2: middle }));
      end = Math.max(end, x(high / base));
    }
    const label = lane.id === "raw" ? show(value) : `${ratio(value / base)} (${show(value)})`;
    plot.append(text(NAMES + end + 8, top + 18, label));
  });
  return plot;
}

const SHARES = [["p50", 0.5], ["p90", 0.9], ["p99", 0.99], ["p999", 0.999]];

/** Latency over the share of messages, both logarithmic. `rows` are [lane, figures]. */
export function percentiles(rows) {
  const { WIDTH, ENDS: right } = layout();
  const height = 260;
  const [left, top, bottom] = [72, 8, height - 44];
  const values = rows.flatMap(([, figures]) => SHARES.map(([name]) => figures[name])).filter((one) => one > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(100, ...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(1000, ...values)));
  const y = (value) => bottom - (Math.log(value / low) / Math.log(high / low)) * (bottom - top);
  const x = (index) => left + (index / (SHARES.length - 1)) * (WIDTH - left - right);
  const plot = svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${height}`, "aria-hidden": "true" });
  for (let tick = low; tick <= high * 1.001; tick *= 10) {
    plot.append(
      svg("line", { x1: left, x2: WIDTH - right, y1: y(tick), y2: y(tick) }),
      text(left - 8, y(tick) + 4, time(tick).replace(/\.0+ /, " "), { "text-anchor": "end", class: "quiet" }),
    );
  }
  SHARES.forEach(([, share], index) => {
    plot.append(text(x(index), bottom + 18, `p${share * 100}`, { "text-anchor": "middle", class: "quiet" }));
  });
  plot.append(text(WIDTH < 400 ? 0 : left, bottom + 38, "share of the messages; lower is better; logarithmic", { class: "word quiet" }));
  const ends = rows
    .map(([lane, figures]) => ({ lane, points: SHARES.map(([name]) => figures[name]) }))
    .filter(({ points }) => points.every((point) => point > 0));
  const labels = spread(ends.map(({ points }) => y(points.at(-1))), 15, top + 8, bottom);
  ends.forEach(({ lane, points }, i) => {
    const line = svg("polyline", { points: points.map((point, at) => `${x(at)},${y(point)}`).join(" "), fill: "none", "stroke-width": 2 });
    line.style.stroke = colour(lane);
    const label = text(WIDTH - right + 14, labels[i] + 4, lane.name, { class: "word" });
    const lead = svg("polyline", { points: `${x(3)},${y(points[3])} ${WIDTH - right + 11},${labels[i]}`, fill: "none", "stroke-width": 1 });
    lead.style.stroke = colour(lane);
    plot.append(line, lead, label);
  });
  return plot;
}

/** Places of labels that do not cover each other, near where they belong. */
function spread(places, gap, low, high) {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const spaced = [...places];
  order.forEach((index, i) => {
    const above = i ? spaced[order[i - 1]] + gap : low;
    spaced[index] = Math.max(spaced[index], above);
  });
  let limit = high;
  for (const index of order.reverse()) {
    spaced[index] = Math.min(spaced[index], limit);
    limit = spaced[index] - gap;
  }
  return spaced;
}

/** The end of an axis: it grows in steps, so that it stands still most of the time. */
function grown(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function ticks(floor, largest, isLog) {
  if (!isLog) return [0, largest / 2, largest];
  const all = [];
  for (let tick = floor; tick <= largest; tick *= 10) all.push(tick);
  return all;
}

function text(x, y, content, attributes = {}) {
  const element = svg("text", { x, y, ...attributes });
  element.textContent = content;
  return element;
}
