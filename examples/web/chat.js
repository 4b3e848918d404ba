// Chat: rooms with presence, over the hub and over the binary protocol, side by side.

import { HubConnection } from "./hub.js";
import { LANES, colour } from "./lanes.js";
import { tapOf } from "./traffic.js";
import { connect } from "./wire.js";
import { el, socketUrl, wordsOf } from "./ui.js";

const [wireLane, hubLane] = [LANES[1], LANES[2]];

export function mount(panel) {
  const room = el("input", { type: "text", id: "chat-room", value: "lobby", maxLength: 30, required: true, autocomplete: "off" });
  const name = el("input", { type: "text", id: "chat-name", value: `guest ${Math.floor(Math.random() * 900 + 100)}`, maxLength: 30, required: true, autocomplete: "off" });
  const enter = el("button", { className: "main" }, "Enter");
  const status = el("p", { className: "note", role: "status" });
  const chats = [new Chat("hub", hubLane, openHub), new Chat("wire", wireLane, openWire)];
  const form = el("form", { className: "row", onsubmit },
    el("label", { htmlFor: room.id }, "Room"), room, el("label", { htmlFor: name.id }, "Your name"), name, enter, status);
  panel.append(
    el("h2", {}, "The same chat twice"),
    el("p", {}, "Over the hub it is four methods, and the groups know who is there. Over the binary protocol it is a topic, and one stream that lasts as long as you are in the room. Open this page in a second window and write to yourself."),
    form,
    el("div", { className: "columns" }, ...chats.map((chat) => chat.element)),
  );

  async function onsubmit(event) {
    event.preventDefault();
    enter.disabled = true;
    status.textContent = "";
    for (const chat of chats) {
      try {
        await chat.enter(room.value.trim(), name.value.trim());
      } catch (error) {
        status.textContent = `${chat.title}: ${wordsOf(error)}`;
      }
    }
    enter.disabled = false;
  }
}

/** One of the two. `open(room, name, chat)` gives { say, leave }. */
class Chat {
  #line = null;

  constructor(title, lane, open) {
    this.title = title;
    this.open = open;
    const id = `chat-${title}`;
    this.present = el("p", { className: "note present" }, "nobody yet");
    this.log = el("div", { className: "log", role: "log", tabIndex: 0, "aria-label": `Messages over ${title}` });
    this.text = el("input", { type: "text", id, maxLength: 1000, required: true, disabled: true, autocomplete: "off" });
    this.button = el("button", { disabled: true }, "Say");
    this.element = el("article", { "data-chat": title, style: `--lane: ${colour(lane)}` },
      el("h3", {}, el("span", { className: "mark" }), title), this.present, this.log,
      el("form", { className: "row", onsubmit: (event) => this.#say(event) },
        el("label", { htmlFor: id, className: "note" }, "Message"), this.text, this.button));
  }

  async enter(room, name) {
    await this.#line?.leave();
    this.log.replaceChildren();
    this.#line = await this.open(room, name, this);
    this.text.disabled = this.button.disabled = false;
  }

  async #say(event) {
    event.preventDefault();
    try {
      await this.#line.say(this.text.value);
      this.text.value = "";
    } catch (error) {
      this.tells(wordsOf(error));
    }
  }

  are(names) {
    this.present.textContent = `${names.length} here: ${names.join(", ")}`;
  }

  said(who, text) {
    this.#append(el("p", {}, el("b", {}, who), " ", text));
  }

  tells(text) {
    this.#append(el("p", { className: "note" }, text));
  }

  #append(line) {
    this.log.append(line);
    if (this.log.childElementCount > 200) this.log.firstChild.remove();
    this.log.scrollTop = this.log.scrollHeight;
  }
}

async function openHub(room, name, chat) {
  const hub = new HubConnection("/hub", {
    protocol: "messagepack", reconnect: [0, 2000, 10_000, 30_000], tap: tapOf("Chat", hubLane),
  });
  const look = async () => chat.are(await hub.invoke("WhoIsHere", room));
  hub.on("RoomMessage", (where, who, text) => chat.said(who, text));
  hub.on("Joined", (where, who) => { chat.tells(`${who} came in`); void look(); });
  hub.on("Left", (where, who) => { chat.tells(`${who} left`); void look(); });
  const enter = async () => {
    await hub.invoke("JoinRoom", room, name);
    await look();
  };
  hub.onreconnecting = () => chat.tells("the connection is lost");
  hub.onreconnected = () => { chat.tells("and back"); void enter(); };
  hub.onclose = (error) => error && chat.tells(wordsOf(error));
  await hub.start();
  await enter();
  return { say: (text) => hub.invoke("SendToRoom", room, text), leave: () => hub.stop() };
}

const ROOM = 16; // of the workbench's operations: a stream for as long as one is in the room

async function openWire(room, name, chat) {
  const [bytes, text] = [new TextEncoder(), new TextDecoder()];
  const wire = await connect(socketUrl("/raw/wire"), { tap: tapOf("Chat", wireLane) });
  const changes = wire.stream(ROOM, bytes.encode(`${room}\n${name}`));
  let topic = null;
  const take = ({ value, done }) => {
    if (done) return;
    const names = text.decode(value.subarray(4)).split("\n");
    chat.are(names);
    if (topic !== null) return;
    topic = new DataView(value.buffer, value.byteOffset).getUint32(0);
    wire.subscribe(topic, (event) => {
      const [who, ...lines] = text.decode(event).split("\n");
      chat.said(who, lines.join("\n"));
    });
  };
  take(await changes.next());
  void (async () => {
    for (let one = await changes.next(); !one.done; one = await changes.next()) take(one);
  })().catch((error) => chat.tells(wordsOf(error)));
  return {
    say: async (line) => wire.publish(topic, bytes.encode(`${name}\n${line}`)),
    leave: () => wire.close(),
  };
}
