// The tabs of the page. Each is a module of its own that is loaded when it is looked at first, and
// told when it is left: `mount(panel)` may return a function to call then.

import { el, wordsOf } from "./ui.js";

const TABS = [
  ["race", "Race", "./race.js"],
  ["wire", "Wire", "./wire-tab.js"],
  ["reconnect", "Reconnect", "./reconnect.js"],
  ["chat", "Chat", "./chat.js"],
  ["choose", "Which layer?", "./choose.js"],
];

const list = document.querySelector("[role=tablist]");
const main = document.querySelector("main");
const tabs = TABS.map(([id, title, module]) => {
  const panel = el("section", { id: `panel-${id}`, role: "tabpanel", "aria-labelledby": `tab-${id}`, hidden: true });
  const button = el("button", {
    id: `tab-${id}`, type: "button", role: "tab", "aria-controls": panel.id, textContent: title,
    onclick: () => { location.hash = id; },
  });
  list.append(button);
  main.append(panel);
  return { id, button, panel, module, mounted: null };
});

list.addEventListener("keydown", (event) => {
  const at = tabs.findIndex(({ button }) => button === document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const { button } = tabs[(to + tabs.length) % tabs.length];
  button.focus();
  button.click();
});

/** Shows the tab that the address names: `#race?work=calls` is the race with these settings. */
async function show() {
  const [id, query] = location.hash.slice(1).split("?");
  const shown = tabs.find((tab) => tab.id === id) ?? tabs[0];
  for (const tab of tabs) {
    const isShown = tab === shown;
    tab.panel.hidden = !isShown;
    tab.button.setAttribute("aria-selected", isShown);
    tab.button.tabIndex = isShown ? 0 : -1;
    if (!isShown) (await tab.mounted)?.hide?.();
  }
  try {
    shown.mounted ??= import(shown.module).then(({ mount }) => mount(shown.panel));
    (await shown.mounted)?.show?.(new URLSearchParams(query));
  } catch (error) {
    shown.panel.replaceChildren(el("p", { className: "bad", role: "alert" }, wordsOf(error)));
  }
}

addEventListener("hashchange", show);
await show();
