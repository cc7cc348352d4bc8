/**
 * The settings of a conversation: what its next replies are requested with.
 *
 * An empty field is not sent, so the model's own default holds. The form writes into the
 * conversation's `settings` as it is changed.
 */

import { icon, make } from "./dom.js";

const NUMBERS = [
  ["temperature", "Temperature", { min: 0, max: 2, step: 0.05 }, "Below 1: likely tokens; 0: always the likeliest"],
  ["top_p", "Top p", { min: 0, max: 1, step: 0.01 }, "The likeliest tokens whose probabilities reach this sum"],
  ["top_k", "Top k", { min: -1, step: 1 }, "Only the k likeliest tokens"],
  ["min_p", "Min p", { min: 0, max: 1, step: 0.01 }, "At least this share of the likeliest token's probability"],
  ["repetition_penalty", "Repetition penalty", { min: 0.01, max: 100, step: 0.05 }, "Above 1: fewer repetitions"],
  ["max_tokens", "Maximum tokens", { min: 1, step: 1 }, "The longest reply"],
  ["seed", "Seed", { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 }, "Empty: a new one for each reply"],
];
const FORMATS = [["", "Text"], ["json", "JSON object"], ["schema", "JSON that follows a schema"]];
const CHOICES = [["", "The model decides"], ["required", "Call one"], ["none", "Call none"]];

export class Settings {
  constructor(place, changed, close) {
    this.place = place;
    this.changed = changed;
    this.close = close;
  }

  /** Show these settings, and write what the user changes into them. */
  show(settings) {
    this.settings = settings;
    const numbers = NUMBERS.map(([name, label, bounds, hint]) => this.#field(name, label, make("input", { type: "number", inputmode: "decimal", placeholder: "default", ...bounds }), hint));
    const schema = this.#field("schema", "Schema", make("textarea", { rows: "6", spellcheck: "false", class: "mono", placeholder: '{"type": "object", …}' }));
    const follow = () => (schema.hidden = settings.format !== "schema");
    const close = make("button", { type: "button", class: "icon", onclick: this.close }, icon("close"), make("span", { class: "unseen" }, "Close settings"));
    this.place.replaceChildren(
      make("div", { class: "drawer-head" }, make("h2", {}, "Settings"), close),
      this.#field("system", "System prompt", make("textarea", { rows: "4", placeholder: "None" })),
      make("div", { class: "pairs" }, ...numbers),
      this.#field("stop", "Stop sequences", make("textarea", { rows: "2", class: "mono", spellcheck: "false" }), "One per line"),
      this.#field("format", "Reply", options(FORMATS), "", follow),
      schema,
      this.#field("tools", "Tools", make("textarea", { rows: "5", spellcheck: "false", class: "mono", placeholder: '[{"type": "function", "function": {"name": …}}]' }), "JSON, in the format of OpenAI's API"),
      this.#field("toolChoice", "Which tool", options(CHOICES)),
      make("p", { class: "note" }, "Changes apply to the next replies of this conversation."),
    );
    follow();
  }

  #field(name, label, control, hint = "", after = () => {}) {
    const id = `setting-${name}`;
    control.id = id;
    control.value = this.settings[name] ?? "";
    if (hint) control.setAttribute("aria-describedby", `${id}-hint`);
    control.addEventListener("input", () => {
      this.#take(name, control);
      after();
      this.changed();
    });
    return make("div", { class: "field" }, make("label", { for: id }, label), control, hint ? make("p", { class: "note", id: `${id}-hint` }, hint) : null);
  }

  #take(name, control) {
    const { settings } = this;
    const value = control.type === "number" ? control.valueAsNumber : control.value;
    control.setAttribute("aria-invalid", String(!control.validity.valid));
    if (value === "" || Number.isNaN(value) || !control.validity.valid) delete settings[name];
    else settings[name] = value;
  }
}

const options = (pairs) => make("select", {}, ...pairs.map(([value, label]) => make("option", { value }, label)));
