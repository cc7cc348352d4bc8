/**
 * The models: those that a message can be sent to, and a table of all states.
 *
 *   load()         reads the models, and shows what has changed
 *   chosen         the model of the next reply
 *   choose(name)   chooses it, as soon as it is listed; what the user chooses meanwhile is kept
 */

import { button, byId, make, number, toast } from "./dom.js";

const STATES = { ready: "ready", loading: "loading", unloaded: "not loaded", draining: "unloading", failed: "failed" };
const ACTIONS = { ready: ["Unload", "unload"], unloaded: ["Load", "load"], failed: ["Load", "load"] };

export const chip = (state) => make("span", { class: `chip ${state}` }, STATES[state]);

export class Models {
  constructor(api) {
    this.api = api;
    this.all = [];
    this.wanted = ""; // chosen, but perhaps not listed yet
    this.requests = 0;
    this.changing = new Set(); // models whose state is being changed
    this.select = byId("model");
    this.select.addEventListener("change", () => (this.wanted = this.chosen));
  }

  get chosen() {
    return this.select.value;
  }

  choose(name) {
    this.wanted = name || this.chosen;
    if (this.all.some((each) => each.id === this.wanted)) this.select.value = this.wanted;
  }

  async load() {
    this.requests += 1;
    const request = this.requests;
    try {
      const { data } = await this.api.json("v1/models");
      if (request !== this.requests) return; // a later request will show more recent states
      const changed = JSON.stringify(data) !== JSON.stringify(this.all);
      this.all = data;
      if (changed) this.#show();
    } catch (failure) {
      if (!this.all.length) byId("models").replaceChildren(make("p", { class: "empty-note" }, failure.message));
    }
  }

  #show() {
    const label = (model) => (model.state === "ready" ? model.id : `${model.id} (${model.state})`);
    const { chosen, wanted } = this;
    this.select.replaceChildren(...this.all.map((model) => make("option", { value: model.id }, label(model))));
    this.choose(chosen);
    if (wanted) this.choose(wanted);
    byId("models").replaceChildren(this.#table());
  }

  #table() {
    if (!this.all.length) return make("p", { class: "empty-note" }, "This server lists no models.");
    const head = ["Model", "State", "Context", "Memory"].map((name) => make("th", { scope: "col" }, name));
    head.push(make("th", { scope: "col" }, make("span", { class: "unseen" }, "Change")));
    const rows = this.all.map((model) => this.#row(model));
    return make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Models" }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
  }

  #row(model) {
    const state = make("td", {}, chip(model.state));
    if (model.status.stage) state.append(make("span", { class: "note" }, ` ${model.status.stage}`));
    if (model.status.reason) state.append(make("p", { class: "note" }, model.status.reason));
    const size = model.bytes ? `${number(Math.round(model.bytes / 2 ** 20))} MiB` : "–";
    const context = model.max_model_len ? number(model.max_model_len) : "–";
    const [label, verb] = ACTIONS[model.state] ?? [];
    const change = verb ? button(label, () => this.#change(verb, model.id), { "aria-label": `${label} ${model.id}`, disabled: this.changing.has(model.id) }) : "";
    return make("tr", {}, make("th", { scope: "row" }, model.id, make("span", { class: "note block" }, model.fingerprint ?? "")), state, make("td", {}, context), make("td", {}, size), make("td", { class: "change" }, change));
  }

  /** Load or unload a model, which only administrators may. */
  async #change(verb, model) {
    this.changing.add(model);
    this.#show();
    try {
      await this.api.json(`models/${verb}`, { method: "POST", body: JSON.stringify({ model }) });
    } catch (failure) {
      toast(failure.message);
    }
    this.changing.delete(model);
    this.#show();
    await this.load();
  }
}
