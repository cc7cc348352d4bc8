/**
 * A reply's Markdown as DOM nodes, while it grows.
 *
 *   new MarkdownView(element).update(text)   renders what is new
 *
 * The text is split into blocks. All but the last are rendered once and never touched again; the last
 * one is rendered again when it grows, and a long paragraph only from where it can still change. If
 * that takes long all the same, it is done less often, so that a long reply never slows the page.
 */

import { copy, make } from "./dom.js";
import { inline } from "./inline.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\n]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const DEEPEST = 8;
const PATIENCE = 10; // rendering may take a tenth of the time
const SETTLED = 400; // characters that are worth putting aside

/** Split text into blocks {kind, lines, from}; only the last one can still change. */
function blocksOf(text) {
  const blocks = [];
  let at = 0;
  let block = null;
  for (const line of text.split("\n")) {
    const next = continued(block, line);
    if (next) block.lines.push(line);
    else {
      block = null;
      if (line.trim()) blocks.push((block = { kind: kindOf(line), lines: [line], from: at }));
    }
    at += line.length + 1;
  }
  return blocks;
}

function kindOf(line) {
  if (FENCE.test(line)) return "code";
  if (HEADING.test(line)) return "heading";
  if (RULE.test(line)) return "rule";
  if (QUOTE.test(line)) return "quote";
  if (ITEM.test(line)) return "list";
  return "paragraph";
}

/** True if a line belongs to the block before it. */
function continued(block, line) {
  if (!block || block.closed) return false;
  const kind = kindOf(line);
  if (block.kind === "code") {
    const fence = FENCE.exec(block.lines[0])[1];
    const end = FENCE.exec(line);
    if (end && !end[2] && end[1][0] === fence[0] && end[1].length >= fence.length) block.closed = true;
    return true;
  }
  if (block.kind === "list") return continuesList(block, line, kind);
  if (block.kind === "heading" || block.kind === "rule" || !line.trim()) return false;
  return block.kind === "quote" ? kind === "quote" || kind === "paragraph" : continuesParagraph(block, line, kind);
}

function continuesParagraph(block, line, kind) {
  if (block.lines.length === 1 && TABLE_RULE.test(line) && line.includes("-") && block.lines[0].includes("|")) {
    block.kind = "table";
    return true;
  }
  if (block.kind === "table") return line.includes("|");
  return kind === "paragraph" || (kind === "list" && !/^\s*([-*+]|1[.)])\s+\S/.test(line));
}

function continuesList(block, line, kind) {
  if (!line.trim()) return true;
  const indented = /^\s{2,}/.test(line);
  const blank = !block.lines.at(-1).trim();
  if (kind === "rule") return false;
  if (kind === "list") return indented || ordered(line) === ordered(block.lines[0]);
  return indented || (!blank && kind === "paragraph");
}

const ordered = (line) => /^\s*\d/.test(line);

/** Return the nodes of a text that does not grow. */
export function rendered(text, depth = 0) {
  if (depth > DEEPEST) return [make("p", {}, text)];
  return blocksOf(text).map((block) => nodeOf(block, depth));
}

function nodeOf(block, depth = 0) {
  const { kind, lines } = block;
  if (kind === "code") return codeOf(block);
  if (kind === "rule") return make("hr");
  if (kind === "heading") {
    const [, marks, text] = HEADING.exec(lines[0]);
    return make(`h${Math.min(marks.length + 2, 6)}`, {}, ...inline(text).nodes);
  }
  if (kind === "quote") return make("blockquote", {}, ...rendered(lines.map((line) => line.replace(QUOTE, "")).join("\n"), depth + 1));
  if (kind === "list") return listOf(lines, depth);
  if (kind === "table") return tableOf(lines);
  return make("p", {}, ...inline(lines.join("\n")).nodes);
}

function codeOf({ lines, closed }) {
  const language = (FENCE.exec(lines[0])?.[2] ?? "").trim().split(/\s/)[0].slice(0, 30);
  const code = make("code", {}, lines.slice(1, closed ? -1 : undefined).join("\n"));
  return codeBox(language, code);
}

/** Return a box around code, with its language and a button to copy it. */
export function codeBox(language, code) {
  const take = make("button", { type: "button", class: "quiet", onclick: () => copy(code.textContent, "Code") }, "Copy");
  const head = make("div", { class: "code-head" }, make("span", {}, language || "text"), take);
  return make("div", { class: "code" }, head, make("pre", { tabindex: "0", role: "region", "aria-label": `Code: ${language || "text"}` }, code));
}

function listOf(lines, depth) {
  const first = ITEM.exec(lines[0]);
  const list = make(ordered(lines[0]) ? "ol" : "ul", ordered(lines[0]) ? { start: parseInt(first[2], 10) } : {});
  let item = [];
  const close = () => {
    if (item.length) list.append(itemOf(item.join("\n"), depth));
  };
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && found[1].length <= first[1].length + 1) {
      close();
      item = [line.slice(found[0].length)];
    } else item.push(line.replace(/^\s{1,4}/, ""));
  }
  close();
  return list;
}

/** Return an item; one paragraph in it needs no margins of its own. */
function itemOf(text, depth) {
  const nodes = rendered(text, depth + 1);
  const flat = nodes.flatMap((node, at) => (at === 0 && node.tagName === "P" ? [...node.childNodes] : [node]));
  return make("li", {}, ...flat);
}

function tableOf(lines) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  const row = (line, name) => make("tr", {}, ...cells(line).map((cell) => make(name, name === "th" ? { scope: "col" } : {}, ...inline(cell).nodes)));
  const body = lines.slice(2).map((line) => row(line, "td"));
  const table = make("table", {}, make("thead", {}, row(lines[0], "th")), make("tbody", {}, ...body));
  return make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" }, table);
}

/** A growing text in an element. */
export class MarkdownView {
  constructor(place, completed = () => {}) {
    this.place = place;
    this.completed = completed; // called with each block that will not change any more
    this.from = 0; // where the last block begins
    this.tail = null;
    this.length = 0;
    this.due = 0;
    this.complete = false;
  }

  /** Render a text that begins with the one before; `last`: it will not grow. */
  update(text, last = false) {
    if (this.complete || (text.length === this.length && !last)) return true;
    const now = performance.now();
    if (now < this.due && !last) return false;
    this.#render(text, last);
    this.length = text.length;
    this.complete = last;
    this.due = now + (performance.now() - now) * PATIENCE;
    return true;
  }

  #render(text, last) {
    const blocks = blocksOf(text.slice(this.from));
    const base = this.from;
    blocks.forEach((block, at) => {
      const final = at < blocks.length - 1 || last;
      this.#tailFor(block, base).update(block, final);
      if (final && this.tail) {
        this.completed(this.tail.node);
        this.tail = null;
      }
    });
    if (blocks.length) this.from = base + blocks.at(-1).from;
  }

  #tailFor(block, base) {
    const from = base + block.from;
    if (this.tail?.from === from && this.tail.kind === block.kind) return this.tail;
    this.tail?.node.remove();
    this.tail = new Tail(block.kind, from, this.place);
    return this.tail;
  }
}

/** The last block, which may grow. */
class Tail {
  constructor(kind, from, place) {
    Object.assign(this, { kind, from, place, node: null, settled: 0 });
  }

  update(block, final) {
    if (this.kind === "paragraph" && !(final && !this.node)) {
      this.#paragraph(block.lines.join("\n"));
      if (final) this.#join();
    } else if (this.kind === "code" && this.node && this.fence === block.lines[0]) this.#code(block);
    else this.#replace(nodeOf(block));
    this.fence = block.lines[0];
  }

  #replace(node) {
    if (this.node) this.node.replaceWith(node);
    else this.place.append(node);
    this.node = node;
  }

  #code(block) {
    const text = block.lines.slice(1, block.closed ? -1 : undefined).join("\n");
    const node = this.node.querySelector("code");
    const shown = node.firstChild?.data ?? "";
    if (text.startsWith(shown) && node.firstChild) node.firstChild.appendData(text.slice(shown.length));
    else node.textContent = text;
  }

  /** Render a paragraph from where more text can still change it. */
  #paragraph(text) {
    if (!this.node) {
      this.rest = make("span");
      this.#replace(make("p", {}, this.rest));
    }
    const { nodes, settled } = inline(text.slice(this.settled));
    if (settled > SETTLED) {
      this.rest.before(...inline(text.slice(this.settled, this.settled + settled)).nodes);
      this.settled += settled;
      this.rest.replaceChildren(...inline(text.slice(this.settled)).nodes);
      this.#fixLines();
    } else this.rest.replaceChildren(...nodes);
  }

  /**
   * Put the lines that will not change into a block of their own, so that the browser does not lay
   * them out again with each token. It ends where a line of the screen ends, so nothing moves.
   */
  #fixLines() {
    const last = this.rest.previousSibling;
    if (last?.nodeType !== Node.TEXT_NODE) return;
    const topOf = (at) => {
      const range = document.createRange();
      range.setStart(last, at);
      range.setEnd(last, at + 1);
      return range.getBoundingClientRect().top;
    };
    const bottom = topOf(last.length - 1);
    let [low, high] = [0, last.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (topOf(middle) < bottom) low = middle + 1;
      else high = middle;
    }
    if (low === 0 || !bottom) return;
    const lines = make("span", { class: "lines" });
    last.splitText(low);
    let moved = null;
    while (moved !== last) {
      moved = this.fixed ? this.fixed.nextSibling : this.node.firstChild;
      lines.append(moved);
    }
    if (this.fixed) this.fixed.after(lines);
    else this.node.prepend(lines);
    this.fixed = lines;
  }

  /** Make one paragraph of the blocks again, so that it follows the width of the page. */
  #join() {
    for (const lines of this.node.querySelectorAll(".lines")) lines.replaceWith(...lines.childNodes);
    this.rest.replaceWith(...this.rest.childNodes);
    this.node.normalize();
  }
}
