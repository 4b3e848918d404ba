// Elements, numbers and errors, as every tab of the page has them.

/** An element: properties as they are called in the DOM, `data-…`, `aria-…` and `role` as attributes. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  set(element, properties);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** The same for SVG, where everything is an attribute. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "style") element.style.cssText = value;
    else if (name in element && !name.includes("-")) element[name] = value;
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
}

/** Three significant digits, and a thousands separator: 0.0123, 1.23, 12.3, 123, 12,345. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value >= 100) return Math.round(value).toLocaleString("en");
  const digits = value >= 10 ? 1 : value >= 1 ? 2 : value >= 0.1 ? 3 : 4;
  return value.toFixed(digits);
}

/** A whole number: 1,234. */
export const count = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "–");

/** 1.00 ×, 12.3 ×. */
export const ratio = (value) => (Number.isFinite(value) ? `${number(value)} ×` : "–");

/** Microseconds in the unit that suits them. */
export function time(microseconds) {
  if (!Number.isFinite(microseconds)) return "–";
  return microseconds < 1000 ? `${number(microseconds)} µs` : `${number(microseconds / 1000)} ms`;
}

/** A slider over a list of values, with the value beside it. */
export function slider(label, values, value, { unit = "", change = () => {} } = {}) {
  const id = `slider-${label.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const shown = (index) => `${values[index].toLocaleString("en")}${unit}`;
  const output = el("output", { htmlFor: id });
  const input = el("input", { type: "range", id, min: 0, max: values.length - 1, step: 1 });
  const say = () => {
    output.value = shown(input.value);
    input.setAttribute("aria-valuetext", shown(input.value));
  };
  input.oninput = () => { say(); change(); };
  const name = el("label", { htmlFor: id }, label);
  const element = el("div", { className: "slider" }, name, output, input);
  const set = (value) => {
    const nearest = values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best] - value) ? i : best), 0);
    input.value = nearest;
    say();
  };
  set(value);
  return { element, set, get value() { return values[input.value]; }, rename(text) { name.textContent = text; } };
}

/** One of a few, as radio buttons. */
export function choice(label, options, value, change = () => {}) {
  const name = `choice-${label.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  const inputs = Object.entries(options).map(([key, text]) => {
    const input = el("input", { type: "radio", name, value: key, checked: key === value, onchange: change });
    return [input, el("label", {}, input, text)];
  });
  const element = el("fieldset", { className: "choices" }, el("legend", {}, label), ...inputs.map(([, text]) => text));
  return {
    element,
    get value() { return inputs.find(([input]) => input.checked)?.[0].value; },
    set(value) { for (const [input] of inputs) input.checked = input.value === value; },
  };
}

/** What went wrong, in words. */
export const wordsOf = (error) => (error instanceof Error ? error.message : String(error));

/** The server's address for WebSockets. */
export const socketUrl = (path) => new URL(path, location.href.replace(/^http/, "ws")).href;
