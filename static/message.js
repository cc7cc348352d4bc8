/**
 * One message on the screen. It shows a node of a conversation, and never changes it.
 *
 * `update()` is called once per frame while a reply streams, so it does only what is new. What the
 * user does is passed to `actions`, which `talk.js` provides.
 */

import { announce, button, copy, icon, make, number } from "./dom.js";
import { GrowingLines, MarkdownView } from "./growing.js";
import { codeBox } from "./markdown.js";

const ENDS = { length: "ended at its maximum length", tool_calls: "calls a tool" };

export class MessageView {
  constructor(node, actions) {
    this.node = node;
    this.actions = actions;
    const head = make("div", { class: "who" }, make("span", {}, nameOf(node)), this.#branches());
    this.body = make("div", { class: "body" });
    this.element = make("article", { class: `message ${node.role}`, "aria-label": nameOf(node) }, head);
    if (node.role === "assistant") this.#reply();
    else this.#sent();
    this.place = this.#place();
  }

  /** True if this shows that node, in the place that it has now. */
  shows(node) {
    const again = this.finished && node.state === "streaming";
    return node === this.node && this.place === this.#place() && !this.editing && !again;
  }

  /** Return what is shown of the messages around this one. */
  #place() {
    const { node, actions } = this;
    const all = actions.siblings(node);
    return `${all.indexOf(node)} of ${all.length}${node.calls?.length && actions.isLast(node) ? ", last" : ""}`;
  }

  #sent() {
    this.body.append(make("p", {}, this.node.text));
    const actions = make("div", { class: "actions" });
    if (this.node.role === "user") actions.append(button("Edit", () => this.#edit(), { name: "edit" }));
    actions.append(button("Copy", () => copy(this.node.text, "Message"), { name: "copy" }));
    this.element.append(this.body, actions);
  }

  #reply() {
    this.reasoning = make("div", { class: "body" });
    this.thoughts = make("details", { class: "reasoning", hidden: true }, make("summary", {}, "Reasoning"), this.reasoning);
    this.calls = make("div", { class: "calls" });
    this.notes = make("ul", { class: "notes" });
    this.waiting = make("p", { class: "waiting", hidden: true });
    this.problem = make("div", { class: "error", role: "alert", hidden: true });
    this.more = make("div", { class: "more" });
    this.facts = make("p", { class: "facts" });
    this.actionBar = make("div", { class: "actions" });
    this.element.append(this.thoughts, this.body, this.calls, this.waiting, this.notes, this.problem, this.facts, this.actionBar, this.more);
    this.view = new MarkdownView(this.body, (block) => this.streamed && announce(block.textContent));
    this.thinking = new MarkdownView(this.reasoning);
    this.json = ["json", "schema"].includes(this.node.settings?.format);
    this.streamed = this.node.state === "streaming";
    this.update();
  }

  /** Show what is new; return true if there is more to show later. */
  update() {
    const { node } = this;
    const done = node.state !== "streaming";
    this.element.setAttribute("aria-busy", String(!done));
    const complete = this.#text(done);
    if (node.reasoning) {
      this.thoughts.hidden = false;
      this.thinking.update(node.reasoning, done);
    }
    if (node.calls?.length) this.#calls();
    this.#notes();
    this.facts.textContent = this.#facts();
    if (done && !this.finished) this.#finish();
    return !complete;
  }

  #text(done) {
    const { node } = this;
    if (!this.json) return this.view.update(node.text, done);
    if (!node.text) return true;
    if (!this.lines) {
      const code = make("code");
      this.body.append(codeBox("json", code));
      this.lines = new GrowingLines(code);
    }
    this.lines.update(done ? pretty(node.text) : node.text, done);
    return true;
  }

  #calls() {
    const length = this.node.calls.reduce((sum, { name, text }) => sum + 1 + name.length + text.length, 0);
    if (this.callsLength === length) return;
    this.callsLength = length;
    const cards = this.node.calls.map((call) =>
      make("section", { class: "call", "aria-label": `Tool call ${call.name}` }, make("p", {}, "Calls ", make("code", {}, call.name)), codeBox("arguments", make("code", {}, pretty(call.text)))),
    );
    this.calls.replaceChildren(...cards);
  }

  #notes() {
    const { notes } = this.node;
    while (this.notes.childElementCount < notes.length) {
      const text = notes[this.notes.childElementCount];
      this.notes.append(make("li", {}, icon("check"), make("span", {}, text)));
      if (this.streamed) announce(text);
    }
  }

  /** Show why no text arrives at the moment. */
  wait(text) {
    if (this.waiting.textContent === text) return;
    this.waiting.hidden = !text;
    this.waiting.replaceChildren(text);
    if (text) announce(text);
  }

  #facts() {
    const { node } = this;
    const rate = node.usage?.tokens_per_second;
    const tokens = node.usage?.completion_tokens ?? node.tokens;
    return [
      `seed ${node.seed}`,
      tokens ? `${number(tokens)} ${tokens === 1 ? "token" : "tokens"}` : "",
      rate ? `${number(Math.round(rate * 10) / 10)} tokens/s` : "",
      node.state === "stopped" ? "stopped" : (ENDS[node.finish] ?? ""),
      node.unenforced ? `not enforced: ${node.unenforced}` : "",
    ].filter(Boolean).join(" · ");
  }

  #finish() {
    const { node, actions } = this;
    this.finished = true;
    this.wait("");
    if (this.streamed && node.state === "done") announce("The reply is complete.");
    const add = (label, name, act) => this.actionBar.append(button(label, act, { name }));
    if (node.state === "failed") this.#failed();
    if (node.text) add("Copy", "copy", () => copy(node.text, "Reply"));
    add("Regenerate", "again", () => actions.regenerate(node));
    if (node.tokens) add("Tokens", "tokens", () => this.#insert("The tokens", () => actions.tokens(node)));
    if (node.receipt) add("Check receipt", "check", () => this.#insert("The receipt", () => actions.check(node)));
    add("curl", "code", () => actions.curl(node));
    add("Python", "code", () => actions.python(node));
    if (node.calls?.length && actions.isLast(node)) this.more.append(this.#results());
  }

  #failed() {
    const { node, actions, problem } = this;
    problem.append(make("p", {}, node.error));
    if (node.passes) problem.append(button("Continue", () => actions.resume(node)));
    if (node.unauthorized) problem.append(button("Enter a token", actions.token));
    this.problem.hidden = false;
  }

  /** Show what `made` resolves to below the reply, or why it cannot be shown. */
  async #insert(what, made) {
    this.more.replaceChildren(make("p", { class: "waiting" }, `${what}: computing the reply again …`));
    this.more.scrollIntoView({ block: "nearest" });
    try {
      this.more.replaceChildren(await made());
      this.more.scrollIntoView({ block: "nearest" });
    } catch (failure) {
      this.more.replaceChildren(make("p", { class: "error", role: "alert" }, failure.message));
    }
  }

  /** Return a form for the results of the called tools. */
  #results() {
    const { node, actions } = this;
    const fields = node.calls.map((call, at) => {
      const id = `result-${node.id}-${at}`;
      const area = make("textarea", { id, rows: "2", required: true });
      return { area, label: make("label", { for: id }, `Result of ${call.name}`) };
    });
    const send = make("button", { type: "submit", class: "primary" }, "Send results");
    const submit = (event) => {
      event.preventDefault();
      actions.results(node, fields.map(({ area }) => area.value));
    };
    return make("form", { class: "results", onsubmit: submit }, ...fields.flatMap(({ label, area }) => [label, area]), make("div", { class: "buttons end" }, send));
  }

  #edit() {
    const area = make("textarea", { rows: "3", "aria-label": "Edited message" });
    area.value = this.node.text;
    const close = () => {
      this.editing = false;
      form.replaceWith(this.body);
    };
    const submit = (event) => {
      event.preventDefault();
      if (area.value.trim()) this.actions.edit(this.node, area.value);
    };
    const keys = (event) => {
      if (event.key === "Escape") close();
      else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
      else return;
      event.stopPropagation();
    };
    const buttons = make("div", { class: "buttons end" }, button("Cancel", close), make("button", { type: "submit", class: "primary" }, "Send as a new branch"));
    const form = make("form", { class: "editing", onsubmit: submit, onkeydown: keys }, area, buttons);
    this.editing = true;
    this.body.replaceWith(form);
    area.focus();
  }

  #branches() {
    const all = this.actions.siblings(this.node);
    if (all.length < 2) return null;
    const at = all.indexOf(this.node);
    const go = (label, name, to) => {
      const node = button(label, () => this.actions.show(all[to]), { name, kind: "icon small" });
      node.lastElementChild.className = "unseen";
      node.disabled = !all[to];
      return node;
    };
    return make("span", { class: "branches" }, go("Earlier version", "left", at - 1), `${at + 1} of ${all.length}`, go("Later version", "right", at + 1));
  }
}

const nameOf = (node) => (node.role === "user" ? "You" : node.role === "tool" ? `Result of ${node.name}` : node.model || "Assistant");

/** Return JSON with line breaks; other text as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
