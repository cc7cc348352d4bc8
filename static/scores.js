/**
 * The tokens of a reply, and what else each could have been.
 *
 * A reply is a value: nothing is recorded while it streams. It is computed again with the same seed
 * and with log-probabilities, and must come out the same. Hovering or focusing a token, also with the
 * arrow keys, shows its alternatives.
 */

import { make, number } from "./dom.js";
import { PATH } from "./requests.js";

const ALTERNATIVES = 5;
const decoder = new TextDecoder();

/** Return an element with the tokens of a reply. */
export async function tokensOf(api, body, node) {
  const wanted = { ...body, logprobs: true, top_logprobs: ALTERNATIVES, max_tokens: Math.max(1, node.usage?.completion_tokens || node.tokens) };
  const answer = await api.json(PATH, { method: "POST", body: JSON.stringify(wanted) });
  const tokens = answer.choices[0].logprobs?.content ?? [];
  return new TokensView(tokens, sameText(tokens, node)).element;
}

/** True if the tokens begin with the reply's text; null if they also spell what is not its text. */
function sameText(tokens, node) {
  if (node.reasoning || node.calls?.length) return null;
  const bytes = Uint8Array.from(tokens.flatMap((each) => each.bytes ?? []));
  return decoder.decode(bytes).startsWith(node.text);
}

const percent = (logprob) => `${(100 * Math.exp(logprob)).toFixed(1)} %`;

/** Return a token's text, with what cannot be seen made visible. */
function shownToken(token) {
  if (token.startsWith("bytes:")) return token.slice(6).replaceAll("\\x", "·");
  return token.replaceAll("\n", "↵").replaceAll("\t", "⇥") || "∅";
}

class TokensView {
  constructor(tokens, same) {
    this.tokens = tokens;
    this.spans = tokens.map((token, at) => this.#span(token, at));
    this.panel = make("div", { class: "alternatives", "aria-live": "polite" }, make("p", { class: "note" }, "Point at a token, or use the arrow keys, to see what else it could have been."));
    const verdict = same === null ? "" : same ? ", the same bytes as above" : "; the text differs from the one above";
    const head = make("p", { class: "note" }, `Computed again with the same seed: ${number(tokens.length)} tokens${verdict}.`);
    const all = make("div", { class: "tokens", role: "group", "aria-label": "Tokens of the reply", onkeydown: (event) => this.#move(event) }, ...this.spans);
    this.element = make("div", { class: "scores" }, head, all, this.panel);
  }

  #span(token, at) {
    const chance = Math.exp(token.logprob);
    const level = chance > 0.9 ? 0 : chance > 0.5 ? 1 : chance > 0.1 ? 2 : 3;
    const show = () => this.#show(at);
    const text = shownToken(token.token) + (token.token.includes("\n") ? "\n" : "");
    return make("span", { class: `token chance-${level}`, tabindex: at ? "-1" : "0", role: "button", onfocus: show, onmouseenter: show, onclick: show }, text);
  }

  #move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const at = this.spans.indexOf(document.activeElement);
    const next = this.spans[at + step];
    if (!step || !next) return;
    event.preventDefault();
    this.spans[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  #show(at) {
    const token = this.tokens[at];
    this.chosen?.classList.remove("chosen");
    this.chosen = this.spans[at];
    this.chosen.classList.add("chosen");
    const rows = token.top_logprobs.map((each) => alternative(each, each.token === token.token));
    if (!token.top_logprobs.some((each) => each.token === token.token)) rows.push(alternative(token, true));
    const head = make("p", {}, `Token ${number(at + 1)} of ${number(this.tokens.length)}`);
    this.panel.replaceChildren(head, make("ul", {}, ...rows));
  }
}

function alternative({ token, logprob }, chosen) {
  const bar = make("meter", { min: "0", max: "1", value: Math.exp(logprob).toFixed(4), "aria-hidden": "true" });
  return make("li", { class: chosen ? "taken" : "" }, make("code", {}, shownToken(token)), bar, make("span", {}, percent(logprob)), chosen ? make("em", {}, "chosen") : null);
}
