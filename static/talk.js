/**
 * The conversation that is shown, and the replies that stream, including those of other conversations.
 *
 *   open(talk)        shows a conversation; goes on with replies that a reload has interrupted
 *   send(text)        adds a message and its reply
 *   stop()            ends the reply that is shown, and frees its row
 *
 * One browser tab reads a stream at a time: a lock of the reply's name decides which, because a second
 * reader would cut off the first. It renders once per animation frame, and saves four times a second.
 */

import { addNode, freshId, freshSeed, lastBelow, pathTo, siblings } from "./conversations.js";
import { byId, copy, make, toast } from "./dom.js";
import { follow } from "./following.js";
import { MessageView } from "./message.js";
import { checkReceipt } from "./receipts.js";
import { asCurl, asPython, bodyOf, streamed } from "./requests.js";
import { tokensOf } from "./scores.js";

const SAVE_EVERY = 250;
const NEAR = 80; // pixels from the end within which the view follows the text

export class Talk {
  constructor(api, store, page) {
    this.api = api;
    this.store = store;
    this.page = page; // {model(), listChanged(id), settingsProblem(text), welcome()}
    this.live = new Map(); // node id -> AbortController
    this.views = new Map(); // node id -> MessageView, of those that are shown
    this.dirty = new Set(); // ids of nodes with something new to show
    this.unsaved = new Set(); // conversations with something new to store
    this.deleted = new Set(); // ids of conversations
    this.scroller = byId("scroller");
    this.follows = true;
    this.scroller.addEventListener("scroll", () => (this.follows = this.#nearEnd()), { passive: true });
    addEventListener("pagehide", () => this.#saveAll());
    document.addEventListener("visibilitychange", () => document.hidden && this.#saveAll());
  }

  /** The reply that streams at the end of the shown branch. */
  get streaming() {
    const node = this.current.nodes[this.current.leaf];
    return node && this.live.has(node.id) ? node : null;
  }

  open(talk) {
    this.current = talk;
    this.follows = true;
    this.draw();
    for (const node of Object.values(talk.nodes)) {
      if (node.state === "streaming" && !this.live.has(node.id)) {
        node.lost ||= "Page reloaded";
        this.run(talk, node);
      }
    }
  }

  /** Show the current branch. Messages that are shown as they are stay where they are. */
  draw() {
    const path = pathTo(this.current, this.current.leaf);
    const views = path.map((node) => {
      const view = this.views.get(node.id);
      return view?.shows(node) ? view : new MessageView(node, this.#actions());
    });
    this.views = new Map(views.map((view) => [view.node.id, view]));
    arrange(byId("thread"), views.length ? views.map((view) => view.element) : [this.page.welcome()]);
    byId("scroller").classList.toggle("empty", !views.length);
    this.#buttons();
    this.#scroll();
  }

  #buttons() {
    const busy = Boolean(this.streaming);
    byId("stop").hidden = !busy;
    byId("send").hidden = busy;
  }

  /** Add a message and its reply; return false if the settings do not allow it. */
  send(text) {
    return this.#add(this.current.leaf, [{ role: "user", text }]);
  }

  /** Add messages below `parent`, and a reply to them. */
  #add(parent, messages, seed) {
    const talk = this.current;
    const settings = { ...talk.settings };
    const reply = this.#reply(settings, seed);
    try {
      bodyOf({ nodes: {} }, { ...reply, parent: "" });
    } catch {
      this.page.settingsProblem("The tools or the schema in the settings are not JSON.");
      return false;
    }
    const last = messages.reduce((above, fields) => addNode(talk, above, fields).id, parent);
    const node = addNode(talk, last, reply);
    this.follows = true;
    this.run(talk, node, { fresh: true });
    this.draw();
    this.page.listChanged();
    return true;
  }

  #reply(settings, seed) {
    return {
      role: "assistant",
      model: this.page.model(),
      settings,
      seed: seed ?? settings.seed ?? freshSeed(),
      key: freshId(),
      state: "streaming",
      reasoning: "",
      calls: [],
      notes: [],
      place: "",
      tokens: 0,
      stream: "",
      fingerprint: "",
      finish: "",
      lost: "",
    };
  }

  /** Read a reply until its end; `fresh`: no other tab can know it yet. */
  async run(talk, node, { fresh = false } = {}) {
    const stopping = new AbortController();
    this.live.set(node.id, stopping);
    const body = streamed(bodyOf(talk, node));
    const watch = {
      changed: () => this.#changed(talk, node),
      note: (text) => node.notes.push(text),
      waiting: (text) => this.views.get(node.id)?.wait(text),
    };
    const action = async () => {
      try {
        const reading = follow(this.api, node, body, watch, stopping.signal);
        this.save(talk); // beside the request, which need not wait for it
        await reading;
        node.state = stopping.signal.aborted ? "stopped" : "done";
      } catch (failure) {
        const unauthorized = failure.status === 401;
        Object.assign(node, { state: "failed", error: failure.message, passes: Boolean(failure.passes), unauthorized });
      }
    };
    await (fresh ? this.#first(node, action) : this.#alone(talk, node, action));
    this.live.delete(node.id);
    talk.updated = Date.now();
    await this.save(talk);
    this.views.get(node.id)?.update();
    if (this.current === talk) {
      this.#buttons();
      this.#scroll();
    }
    this.page.listChanged(talk.id);
  }

  /** Run `action` with a lock that must be free, so the request need not wait until it is granted. */
  #first(node, action) {
    const done = action();
    navigator.locks?.request(lockOf(node), () => done);
    return done;
  }

  /** Run `action` if no other tab does; otherwise wait for its end and show the result. */
  async #alone(talk, node, action) {
    const name = lockOf(node);
    if (!navigator.locks) return action();
    const mine = await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
      if (lock) await action();
      return Boolean(lock);
    });
    if (mine) return undefined;
    this.views.get(node.id)?.wait("This reply is streaming in another tab …");
    return navigator.locks.request(name, async () => {
      const stored = (await this.store.find(talk.id))?.nodes[node.id];
      if (stored) Object.assign(node, stored);
      if (node.state === "streaming") await action();
    });
  }

  #changed(talk, node) {
    if (this.views.has(node.id)) {
      this.dirty.add(node.id);
      this.frame ??= requestAnimationFrame(() => this.#draw()); // a hidden tab draws when it is shown
    }
    this.unsaved.add(talk);
    this.saving ??= setTimeout(() => this.#saveAll(), SAVE_EVERY);
  }

  #draw() {
    this.frame = null;
    const again = [...this.dirty].filter((id) => this.views.get(id)?.update());
    this.dirty = new Set(again);
    this.#scroll();
    if (again.length) this.frame = requestAnimationFrame(() => this.#draw());
  }

  #nearEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  #scroll() {
    if (this.follows) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Store a conversation, unless it was deleted. */
  async save(talk) {
    if (this.deleted.has(talk.id)) return;
    try {
      await this.store.put(talk);
    } catch (failure) {
      toast(`The browser cannot store this conversation (${failure.message}). Export it, or delete others.`);
    }
  }

  #saveAll() {
    this.saving = null;
    for (const talk of this.unsaved) this.save(talk);
    this.unsaved.clear();
  }

  /** End the reply that is shown. Its row is free within a second. */
  async stop() {
    const node = this.streaming;
    if (!node) return;
    this.live.get(node.id).abort();
    if (node.stream) await this.api.json(`v1/streams/${node.stream}`, { method: "DELETE" }).catch(() => {});
  }

  /** End all replies of a conversation that will be deleted. */
  abandon(talk) {
    this.deleted.add(talk.id);
    for (const node of Object.values(talk.nodes)) this.live.get(node.id)?.abort();
  }

  #actions() {
    this.actions ??= {
      siblings: (node) => siblings(this.current, node),
      isLast: (node) => this.current.leaf === node.id,
      show: (node) => this.#show(node),
      edit: (node, text) => this.#add(node.parent, [{ role: "user", text }]),
      regenerate: (node) => this.#add(node.parent, [], freshSeed()),
      results: (node, texts) => this.#add(node.id, texts.map((text, at) => resultOf(node.calls[at], text))),
      resume: (node) => this.#resume(node),
      token: () => byId("open-token").click(),
      check: (node) => this.#check(node),
      tokens: (node) => tokensOf(this.api, bodyOf(this.current, node), node),
      curl: (node) => copy(asCurl(bodyOf(this.current, node), this.api.token), "curl command"),
      python: (node) => copy(asPython(bodyOf(this.current, node), this.api.token), "Python program"),
    };
    return this.actions;
  }

  #show(node) {
    this.current.leaf = lastBelow(this.current, node).id;
    this.save(this.current);
    this.open(this.current);
  }

  #resume(node) {
    Object.assign(node, { state: "streaming", error: "", lost: node.lost || "Connection lost" });
    this.run(this.current, node);
    this.draw();
  }

  async #check(node) {
    const { equal, text } = await checkReceipt(this.api, node);
    return make("p", { class: equal ? "verdict" : "verdict wrong", role: "status" }, text);
  }
}

const lockOf = (node) => `rowcast-reply-${node.id}`;

/** Make these the children of an element; what is in its place stays, so that it is not laid out again. */
function arrange(place, elements) {
  for (const each of [...place.children]) if (!elements.includes(each)) each.remove();
  elements.forEach((each, at) => place.children[at] === each || place.insertBefore(each, place.children[at] ?? null));
}

const resultOf = (call, text) => ({ role: "tool", text, call: call.id, name: call.name });
