/**
 * Markdown within a line: nodes of text, emphasis, code and links. Nothing becomes markup.
 *
 *   inline(text) -> {nodes, settled}   no further text changes what is before `settled`
 *
 * Only http, https and mailto become links. A link's address is shown beside it when its text does
 * not show it, so no text can hide where it leads. Images are never loaded: they become links.
 */

import { make } from "./dom.js";

const SPECIAL = /[\\`*_~[!<\n]|https?:\/\//g;
const EMPHASIS = { "*": "em", "_": "em", "**": "strong", __: "strong", "***": "strong", "~~": "del" };
const DEEPEST = 12;
const LONGEST_LINK = 4000;

/** Return an address that may be followed, or "". */
function safeAddress(text) {
  const trimmed = text.trim();
  if (!/^(https?:\/\/|mailto:)/i.test(trimmed)) return "";
  try {
    const url = new URL(trimmed);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : "";
  } catch {
    return "";
  }
}

function link(label, address) {
  const href = safeAddress(address);
  if (!href) return [...label, ` (${address})`];
  const node = make("a", { href, rel: "noopener noreferrer nofollow", target: "_blank" }, ...label);
  const shown = node.textContent.trim();
  const plain = shown === href || shown === address.trim() || `mailto:${shown}` === href;
  return plain ? [node] : [node, make("span", { class: "address" }, ` (${href.replace(/^https?:\/\//, "").replace(/\/$/, "")})`)];
}

/** True if more text can make a link of what follows a bracket. */
function mayBecomeLink(rest) {
  const close = rest.indexOf("]");
  return close < 0 ? rest.length < LONGEST_LINK : close === rest.length - 1 || rest[close + 1] === "(";
}

export function inline(text, depth = 0) {
  const parser = new Inline(text, depth);
  return { nodes: parser.nodes(), settled: parser.settled };
}

class Inline {
  constructor(text, depth) {
    this.text = text;
    this.depth = depth;
    this.found = [];
    this.run = "";
    this.open = -1; // the first mark that has no end yet
    this.spans = []; // [from, to] of what is not plain text
    this.without = new Set(); // marks that have no end in the rest
  }

  get settled() {
    let space = Math.max(this.text.lastIndexOf(" "), 0);
    for (const [from, to] of this.spans.toReversed()) if (from < space && space < to) space = from;
    while (this.text[space - 1] === " ") space -= 1; // two of them may become the end of a line
    return this.open < 0 ? space : Math.min(this.open, space);
  }

  nodes() {
    let at = 0;
    while (at < this.text.length) {
      SPECIAL.lastIndex = at;
      const next = SPECIAL.exec(this.text);
      if (!next) break;
      this.run += this.text.slice(at, next.index);
      const before = this.found.length;
      at = this.#mark(next.index, next[0]);
      if (this.found.length > before) this.spans.push([next.index, at]);
    }
    this.run += this.text.slice(at);
    this.#flush();
    return this.found;
  }

  #flush() {
    if (this.run) this.found.push(this.run);
    this.run = "";
  }

  #push(...nodes) {
    this.#flush();
    this.found.push(...nodes);
  }

  /** Take what begins at `at`; return where it ends. */
  #mark(at, mark) {
    if (mark === "\n") return this.#lineEnd(at);
    if (mark === "\\") return this.#escaped(at);
    if (mark === "`") return this.#code(at);
    if (mark === "<") return this.#angle(at);
    if (mark.startsWith("http")) return this.#bare(at);
    if (mark === "!" || mark === "[") return this.#bracket(at);
    return this.#emphasis(at, mark);
  }

  #literal(at, length, waits = true) {
    if (waits && this.open < 0) this.open = at;
    this.run += this.text.slice(at, at + length);
    return at + length;
  }

  #lineEnd(at) {
    const hard = / {2,}$/.test(this.run);
    this.run = this.run.replace(/ +$/, "");
    if (hard) this.#push(make("br"));
    else this.run += "\n";
    return at + 1;
  }

  #escaped(at) {
    const next = this.text[at + 1];
    if (next === "\n") {
      this.#push(make("br"));
      return at + 2;
    }
    if (!next || !/[!-/:-@[-`{-~]/.test(next)) return this.#literal(at, 1, next === undefined);
    this.run += next;
    return at + 2;
  }

  #code(at) {
    const ticks = /^`+/.exec(this.text.slice(at, at + 100))[0];
    const end = this.#closing(ticks, at + ticks.length);
    if (end < 0) return this.#literal(at, ticks.length);
    const inside = this.text.slice(at + ticks.length, end).replaceAll("\n", " ");
    this.#push(make("code", {}, /^ .* $/.test(inside) ? inside.slice(1, -1) : inside));
    return end + ticks.length;
  }

  /** Return where a run of exactly these marks is next; -1 if nowhere. */
  #closing(mark, from) {
    if (this.without.has(mark)) return -1;
    let at = this.text.indexOf(mark, from);
    while (at >= 0) {
      let end = at;
      while (this.text[end] === mark[0]) end += 1;
      if (end - at === mark.length) return at;
      at = this.text.indexOf(mark, end);
    }
    this.without.add(mark);
    return -1;
  }

  #angle(at) {
    const found = /^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i.exec(this.text.slice(at, at + LONGEST_LINK));
    if (!found) return this.#literal(at, 1, false);
    this.#push(...link([found[1]], found[1]));
    return at + found[0].length;
  }

  #bare(at) {
    const before = this.text[at - 1];
    const address = /^https?:\/\/[^\s<>"'`]+/.exec(this.text.slice(at, at + LONGEST_LINK))?.[0] ?? "";
    const whole = address.replace(/[.,;:!?*_~)\]}]+$/, "");
    if (/\w/.test(before ?? "") || !safeAddress(whole) || this.depth > DEEPEST) return this.#literal(at, 4, false);
    this.#push(...link([whole], whole));
    return at + whole.length;
  }

  #bracket(at) {
    const image = this.text[at] === "!";
    const from = at + (image ? 2 : 1);
    if (image && this.text[at + 1] !== "[") return this.#literal(at, 1, this.text[at + 1] === undefined);
    const rest = this.text.slice(from, from + LONGEST_LINK);
    const found = /^((?:[^[\]\\\n]|\\.|\[[^[\]\n]*\]){0,2000})\]\(\s*<?([^\s<>()]*(?:\([^\s<>()]*\)[^\s<>()]*)*)>?(?:\s+["'(][^\n]{0,500}?["')])?\s*\)/.exec(rest);
    if (!found) return this.#literal(at, from - at, mayBecomeLink(rest));
    const label = image ? [`Image: ${found[1] || "no description"}`] : inline(found[1], DEEPEST + 1).nodes;
    this.#push(...link(label, found[2]));
    return from + found[0].length;
  }

  #emphasis(at, letter) {
    let end = at;
    while (this.text[end] === letter && end - at < 3) end += 1;
    const mark = this.text.slice(at, end);
    const before = this.text[at - 1] ?? " ";
    const after = this.text[end];
    const name = EMPHASIS[mark];
    const inWord = letter === "_" && /\w/.test(before);
    if (!name || inWord || /\s/.test(after ?? "x") || this.depth >= DEEPEST) return this.#literal(at, end - at, after === undefined);
    const close = this.#ending(mark, end);
    if (close < 0) return this.#literal(at, end - at);
    const inside = inline(this.text.slice(end, close), this.depth + 1).nodes;
    const node = make(name, {}, ...inside);
    this.#push(mark === "***" ? make("em", {}, node) : node);
    return close + mark.length;
  }

  /** Return where emphasis with this mark ends; -1 if nowhere. */
  #ending(mark, from) {
    if (this.without.has(`end ${mark}`)) return -1;
    for (let at = this.text.indexOf(mark, from), end; at >= 0; at = this.text.indexOf(mark, end)) {
      for (end = at; this.text[end] === mark[0]; ) end += 1;
      const word = mark[0] === "_" && /\w/.test(this.text[end] ?? " ");
      const closes = end - at === mark.length || end - at === 3; // the last of three close the outer one
      if (closes && at > from && !/\s/.test(this.text[at - 1]) && !word) return end - mark.length;
    }
    this.without.add(`end ${mark}`);
    return -1;
  }
}
