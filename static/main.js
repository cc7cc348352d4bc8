/**
 * The page: wires the parts together, and owns what they share (views, lists, keys, dialogs).
 *
 *   talk.js       the conversation      following.js   a reply, whatever happens to the connection
 *   server.js     rows                  conversations.js   what the browser stores
 *   models.js     models                tasks.js       tasks
 *   api.js        requests and the token
 */

import { Api } from "./api.js";
import { conversation, exported, imported, openStore } from "./conversations.js";
import { button, byId, confirmed, icon, make, save, toast } from "./dom.js";
import { Models } from "./models.js";
import { Server } from "./server.js";
import { Settings } from "./settings.js";
import { Talk } from "./talk.js";
import { Tasks } from "./tasks.js";

const VIEWS = ["talk", "server", "tasks"];
const CURRENT = "rowcast.conversation";
const THEME = "rowcast.theme";
const MODELS_EVERY = 5000;
const EXAMPLES = ["Tell me a story about an owl.", "Write a list of three colours.", "What is seven plus five?"];

class Page {
  constructor() {
    this.api = new Api();
    this.api.refused = (reason) => this.#requestToken(reason);
    this.refused = false; // true once the token was refused; another one reloads the page
    this.talks = [];
  }

  async begin() {
    this.#theme(localStorage.getItem(THEME) ?? "");
    this.#wire();
    this.server = new Server(this.api, (stream) => this.#titleOf(stream));
    this.models = new Models(this.api);
    this.tasks = new Tasks(this.api, () => this.model());
    await this.#openTeam();
    this.#view();
    this.server.watch();
    this.#team();
    setInterval(() => document.hidden || this.refused || this.models.load(), MODELS_EVERY);
    document.documentElement.dataset.ready = "true";
  }

  /** Open the conversations of the token's team. */
  async #openTeam() {
    this.store = await openStore(this.api.team);
    this.talks = await this.store.all();
    this.settings = new Settings(byId("settings"), () => this.#settingsChanged(), () => this.#drawer(false));
    this.talk = new Talk(this.api, this.store, this);
    this.channel = new BroadcastChannel(`rowcast:${this.api.team}`);
    this.channel.onmessage = () => this.#listChangedElsewhere();
    const last = this.talks.find((each) => each.id === sessionStorage.getItem(CURRENT));
    await this.models.load();
    this.#open(last ?? conversation());
  }

  // What `Talk` calls.

  model() {
    return this.models.chosen;
  }

  listChanged(id) {
    const { current } = this.talk;
    if (!this.talks.includes(current) && Object.keys(current.nodes).length) this.talks.unshift(current);
    this.#list();
    sessionStorage.setItem(CURRENT, current.id);
    if (id) this.channel.postMessage(id);
  }

  settingsProblem(text) {
    this.#drawer(true);
    toast(text);
  }

  welcome() {
    const examples = EXAMPLES.map((text) => button(text, () => this.#send(text), { kind: "example" }));
    return make(
      "div",
      { class: "welcome" },
      make("img", { src: "static/icon.svg", alt: "", width: "56", height: "56" }),
      make("p", { class: "hello" }, "Replies that do not get lost."),
      make("p", { class: "lead" }, "Reload the page, lose the network, kill the decoder: a reply goes on, with the same bytes."),
      make("div", { class: "examples" }, ...examples),
    );
  }

  // Conversations.

  #open(talk) {
    this.#side(false);
    this.talk.open(talk);
    sessionStorage.setItem(CURRENT, talk.id);
    this.settings.show(talk.settings);
    this.models.choose(talk.settings.model);
    this.#list();
  }

  #list() {
    const items = this.talks
      .toSorted((one, other) => other.updated - one.updated)
      .map((talk) => {
        const current = talk === this.talk.current;
        const open = make("button", { type: "button", class: "talk-title", "aria-current": current ? "true" : undefined, onclick: () => this.#open(talk) }, talk.title || "Untitled");
        const remove = make("button", { type: "button", class: "icon small", onclick: () => this.#remove(talk) }, icon("trash"), make("span", { class: "unseen" }, `Delete ${talk.title || "conversation"}`));
        return make("li", { class: current ? "current" : "" }, open, remove);
      });
    byId("conversations").replaceChildren(...(items.length ? items : [make("li", { class: "empty-note" }, "No conversations yet.")]));
  }

  async #remove(talk) {
    if (!(await confirmed("Delete this conversation?", "It is stored in this browser only, and cannot be restored.", "Delete"))) return;
    this.talk.abandon(talk);
    await this.store.remove(talk.id);
    this.talks = this.talks.filter((each) => each !== talk);
    if (talk === this.talk.current) this.#open(conversation(inherited(talk.settings)));
    else this.#list();
  }

  async #clear() {
    if (!(await confirmed("Delete all conversations?", `${counted(this.talks)} will be removed from this browser, and cannot be restored.`, "Delete all"))) return;
    for (const talk of this.talks) this.talk.abandon(talk);
    await this.store.clear();
    this.talks = [];
    this.#open(conversation());
  }

  async #import(file) {
    try {
      const talks = imported(await file.text());
      for (const talk of talks) await this.store.put(talk);
      this.talks.push(...talks);
      this.#list();
      toast(`${counted(talks)} imported`);
    } catch (problem) {
      toast(problem.message);
    }
  }

  async #listChangedElsewhere() {
    const stored = await this.store.all();
    const mine = new Map(this.talks.map((talk) => [talk.id, talk]));
    const streams = (talk) => Object.keys(talk.nodes).some((id) => this.talk.live.has(id));
    this.talks = stored.map((talk) => (mine.has(talk.id) && streams(mine.get(talk.id)) ? mine.get(talk.id) : talk));
    const again = this.talks.find((talk) => talk.id === this.talk.current.id);
    if (again && again !== this.talk.current) this.#open(again);
    else this.#list();
  }

  #titleOf(stream) {
    const has = (talk) => Object.values(talk.nodes).some((node) => node.stream && node.stream === stream);
    return this.talks.find(has)?.title ?? "";
  }

  #send(text) {
    if (!text.trim() || this.talk.streaming) return;
    if (this.talk.send(text)) {
      byId("message").value = "";
      grow(byId("message"));
    }
  }

  // Team and token.

  #team() {
    const { team } = this.api;
    byId("team").hidden = !team;
    byId("team").textContent = team;
    byId("team").title = `Team ${team}`;
  }

  #requestToken(reason) {
    if (this.refused || byId("token-dialog").open) return;
    this.refused = true;
    if (this.api.token) byId("token-reason").textContent = reason;
    byId("token-dialog").showModal();
  }

  /** Use another token. The page begins again, since another team has other conversations. */
  #useToken(token) {
    this.api.use(token);
    location.reload();
  }

  // What is on the screen.

  #view() {
    const named = location.hash.slice(1);
    const view = VIEWS.includes(named) ? named : "talk";
    for (const each of VIEWS) byId(each).hidden = each !== view;
    for (const link of document.querySelectorAll(".views a")) {
      if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.title = view === "talk" ? "Rowcast" : `${view === "server" ? "Server" : "Tasks"} – Rowcast`;
    if (view === "tasks") this.tasks.refresh();
    if (view !== "talk") this.#drawer(false);
    this.#side(false);
  }

  #drawer(open) {
    byId("settings").hidden = !open;
    byId("open-settings").setAttribute("aria-expanded", String(open));
    if (open) byId("settings").querySelector("textarea, button").focus({ preventScroll: true });
  }

  #side(open) {
    byId("side").classList.toggle("open", open);
    byId("shade").hidden = !open;
    byId("open-side").setAttribute("aria-expanded", String(open));
    if (open) byId("new").focus();
  }

  #theme(chosen) {
    if (chosen) document.documentElement.dataset.theme = chosen;
    const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    byId("theme").lastElementChild.textContent = `Switch to the ${dark ? "light" : "dark"} scheme`;
    this.dark = dark;
  }

  #settingsChanged() {
    const { current } = this.talk;
    if (this.talks.includes(current)) this.talk.save(current);
  }

  #wire() {
    const click = (id, act) => byId(id).addEventListener("click", act);
    const message = byId("message");
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(message.value);
    });
    message.addEventListener("input", () => grow(message));
    message.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || event.shiftKey || event.altKey) return;
      event.preventDefault();
      this.#send(message.value);
    });
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("hashchange", () => this.#hash());
    byId("model").addEventListener("change", () => {
      this.talk.current.settings.model = this.model();
      this.#settingsChanged();
    });
    click("stop", () => this.talk.stop());
    click("new", () => this.#new());
    click("clear", () => this.#clear());
    click("export", () => save("rowcast-conversations.json", exported(this.talks)));
    click("import", () => byId("import-file").click());
    byId("import-file").addEventListener("change", ({ target }) => {
      if (target.files[0]) this.#import(target.files[0]);
      target.value = "";
    });
    click("open-settings", () => this.#drawer(byId("settings").hidden));
    click("open-side", () => this.#side(!byId("side").classList.contains("open")));
    click("shade", () => this.#side(false));
    click("theme", () => {
      const chosen = this.dark ? "light" : "dark";
      localStorage.setItem(THEME, chosen);
      this.#theme(chosen);
    });
    click("open-token", () => byId("token-dialog").showModal());
    click("token-cancel", () => byId("token-dialog").close());
    click("token-forget", () => this.#useToken(""));
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#useToken(byId("token").value);
    });
  }

  #new() {
    this.#open(conversation(inherited(this.talk.current.settings)));
    location.hash = "#talk";
    byId("message").focus();
  }

  /** Show the view in the address; take a token from it if a link with one was opened here. */
  #hash() {
    if (location.hash.startsWith("#token=")) location.reload();
    else this.#view();
  }

  #key(event) {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (byId("side").classList.contains("open")) this.#side(false);
    else if (this.talk.streaming) this.talk.stop();
    else if (!byId("settings").hidden) this.#drawer(false);
    else return;
    byId("message").focus();
  }
}

/** Return the settings that a new conversation takes over from the one before. */
const inherited = ({ model }) => (model ? { model } : {});

const counted = ({ length }) => `${length} ${length === 1 ? "conversation" : "conversations"}`;

/** Give a text field the height of its text. */
function grow(area) {
  area.style.height = "auto";
  area.style.height = `${Math.min(area.scrollHeight, innerHeight / 3)}px`;
}

new Page().begin();
