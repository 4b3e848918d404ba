// Which layer: six questions, an answer with its reasons, and the lines to begin with.

import { choice, el, wordsOf } from "./ui.js";

/** Each answer speaks for the hub (positive) or the raw layer (negative), and says why. */
const QUESTIONS = [
  ["Who connects?", {
    apps: ["Browsers and apps in JavaScript, .NET, Java or Python", 3, "there are clients for all of these"],
    mine: ["My own programs or devices, which I can write for it", -1, "you write both ends anyway"],
    given: ["A client that I cannot change", -9, "such a client speaks its own format, and only the raw layer speaks any"],
  }],
  ["What travels?", {
    calls: ["Calls with arguments and answers", 2, "methods, arguments and answers are what a hub is"],
    messages: ["Messages of my own format", -3, "your own bytes want no format around them"],
    streams: ["Both, and streams of items", 2, "a hub has streams in both directions, with cancellation"],
  }],
  ["Who gets a message?", {
    one: ["Whoever asked", 0, ""],
    groups: ["Groups and users that change all the time", 2, "groups and users are kept for you, and left when a connection ends"],
    topics: ["Everybody on a topic, as fast as possible", -1, "a topic of the raw layer is one encoded frame for all"],
  }],
  ["When a connection breaks?", {
    resume: ["Nothing may be lost", 3, "stateful reconnect says again what did not arrive"],
    again: ["Come back by itself", 1, "every client of a hub has automatic reconnect"],
    own: ["I know best what to do then", -1, "what a lost message means is your decision anyway"],
  }],
  ["Which networks?", {
    any: ["Some whose proxies know no WebSockets", 3, "a hub falls back to server-sent events and long polling"],
    open: ["WebSockets get through", 0, ""],
  }],
  ["What is scarce?", {
    time: ["My time", 2, "the hub is what you would write on the raw layer"],
    cpu: ["Microseconds and bytes", -3, "a raw message costs less than a hub's call: the race shows how much on this machine"],
    memory: ["Memory: very many connections", -1, "an idle raw connection holds less than a hub's: the race shows how much"],
  }],
];

const ANSWERS = {
  hub: {
    title: "Take the hub",
    about: "Named methods, groups and reconnect, and clients that exist already.",
    toml: ['hub = "0.1"', 'raw-ws = { version = "0.1", features = ["serve"] }', 'axum = "0.8"', 'tokio = { version = "1", features = ["macros", "rt-multi-thread"] }'],
    code: "/code/hub.rs",
  },
  raw: {
    title: "Take raw-ws",
    about: "Frames and messages in your hands. If calls by number and topics are enough, its binary protocol has them already: raw_ws::wire.",
    toml: ['raw-ws = { version = "0.1", features = ["serve"] }', 'axum = "0.8"', 'tokio = { version = "1", features = ["macros", "rt-multi-thread"] }'],
    code: "/code/raw.rs",
  },
};

export function mount(panel) {
  const answer = el("div", { role: "status" });
  const choices = QUESTIONS.map(([question, options]) => {
    const texts = Object.fromEntries(Object.entries(options).map(([key, [text]]) => [key, text]));
    return choice(question, texts, null, () => void say());
  });
  panel.append(
    el("h2", {}, "Six questions"),
    el("div", { className: "questions" }, ...choices.map(({ element }) => element)),
    answer,
  );

  async function say() {
    const given = choices.map(({ value }, i) => value && QUESTIONS[i][1][value]);
    const left = given.filter((one) => !one).length;
    if (left) {
      answer.replaceChildren(el("p", { className: "note" }, left === 1 ? "One question is left." : `${left} questions are left.`));
      return;
    }
    const score = given.reduce((sum, [, weight]) => sum + weight, 0);
    const { title, about, toml, code } = ANSWERS[score > 0 ? "hub" : "raw"];
    const because = (sign) => given.filter(([, weight]) => weight * sign > 0).map(([, , why]) => el("li", {}, why));
    const sign = score > 0 ? 1 : -1;
    const against = because(-sign);
    const lines = await fetch(code).then((response) => response.text()).catch(wordsOf);
    answer.replaceChildren(
      el("h2", {}, title), el("p", {}, about),
      el("ul", {}, ...because(sign)),
      ...(against.length ? [el("p", {}, "What speaks for the other one:"), el("ul", {}, ...against)] : []),
      el("h3", {}, "Cargo.toml"), el("pre", { tabIndex: 0 }, el("code", {}, ["[dependencies]", ...toml].join("\n"))),
      el("h3", {}, "main.rs"), el("pre", { tabIndex: 0 }, el("code", {}, lines)),
    );
  }
}
