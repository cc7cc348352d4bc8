/**
 * A reply's Markdown as DOM nodes, while it grows.
 *
 *   new MarkdownView(element).update(text)   renders what is new
 *
 * What a frame costs does not depend on what is already there. Complete lines are read once. Complete
 * blocks are not touched again; of the block that grows, only what can still change is rendered again:
 * an item, a row, the end of a paragraph or of code. Complete blocks are laid out in parts of their own. If
 * rendering takes long all the same, it is done less often.
 */

import { after, languageOf } from "./blocks.js";
import { make } from "./dom.js";
import { inline } from "./inline.js";
import { cellsOf, codeBox, codeOf, DEEPEST, itemsOf, listOf, nodeOf, sidesOf, tableOf, unquoted } from "./markdown.js";

const PATIENCE = 10; // rendering may take a tenth of the time
const SETTLED = 400; // characters of a paragraph that are worth putting aside
const CODE = 2000; // the same of code
const PART = 32; // blocks

/** A growing text in an element. Only its last line may change before more is added. */
export class MarkdownView {
  constructor(place, completed = () => {}, depth = 0) {
    this.place = place;
    this.completed = completed; // called with each block that will not change any more
    this.depth = depth;
    this.at = 0; // where the line begins that may still grow
    this.open = null; // the block of the lines before it
    this.shown = []; // what shows that block, and the one of the last line if it is another
    this.loose = []; // complete blocks that are in no part yet
    this.length = 0;
    this.due = 0;
    this.complete = false;
  }

  /** Render a text that begins with the one before; `last`: it will not grow. */
  update(text, last = false) {
    if (this.complete || (text.length === this.length && !last)) return true;
    const now = performance.now();
    if (now < this.due && !last) return false;
    this.render(text, last);
    this.length = text.length;
    this.complete = last;
    this.due = now + (performance.now() - now) * PATIENCE;
    return true;
  }

  render(text, last) {
    for (let end = text.indexOf("\n", this.at); end >= 0; end = text.indexOf("\n", this.at)) {
      this.#line(text, text.slice(this.at, end));
      this.at = end + 1;
    }
    const line = text.slice(this.at);
    if (last) {
      this.#line(text, line);
      this.#end(text);
      this.#showAll(text, [], false);
    } else this.#show(text, line ? after(this.open, line, this.at) : this.open);
  }

  /** Read a line that is complete. */
  #line(text, line) {
    const block = after(this.open, line, this.at);
    if (block?.from !== this.open?.from) this.#end(text);
    this.open = block;
  }

  /** Show the open block for the last time. */
  #end(text) {
    if (!this.open) return;
    this.#showAll(text, [this.open], true);
    const { node } = this.shown.shift();
    this.open = null;
    this.completed(node);
    this.loose.push(node);
    if (this.loose.length === PART && !this.depth) this.#part();
  }

  /** Lay complete blocks out apart from what grows. */
  #part() {
    const part = make("div", { class: "part" });
    this.loose[0].before(part);
    part.append(...this.loose);
    this.loose = [];
  }

  #show(text, block) {
    const goes = block?.from === this.open?.from;
    this.#showAll(text, [goes ? block : this.open, goes ? null : block].filter(Boolean), false);
  }

  /** Show these blocks, with what shows them already as far as that fits. After a final block is the next one. */
  #showAll(text, blocks, final) {
    const from = this.shown.findIndex((each, at) => !(blocks[at] ? each.shows(blocks[at]) : final));
    if (from >= 0) for (const { node } of this.shown.splice(from)) node.remove();
    blocks.forEach((block, at) => {
      this.shown[at] ??= growing(block, this.place, this.depth);
      this.shown[at].update(text, block, this.at, final);
    });
  }
}

/** Return what shows a block while it grows. */
function growing(block, place, depth) {
  const nested = block.kind === "quote" && depth >= DEEPEST;
  return new (nested ? Growing : (KINDS[block.kind] ?? Growing))(block, place, depth);
}

/** A block that grows, and is rendered as a whole each time. */
class Growing {
  constructor({ kind, from, first }, place, depth) {
    Object.assign(this, { kind, from, first, place, depth, node: null });
  }

  /** True if this shows that block, also with more lines. */
  shows(block) {
    return this.begins(block) && block.first === this.first;
  }

  begins({ kind, from }) {
    return kind === this.kind && from === this.from;
  }

  /** Show the block. What is in the text before `at` is complete; `final`: so is the block. */
  update(text, block, at, final) {
    if (final && !this.node) this.replace(nodeOf(block, text, this.depth));
    else this.grow(text, block, at, final);
  }

  grow(text, block) {
    this.replace(nodeOf(block, text, this.depth));
  }

  replace(node) {
    if (this.node) this.node.replaceWith(node);
    else this.place.append(node);
    this.node = node;
  }
}

/** Code, whose complete lines are laid out once. */
class GrowingCode extends Growing {
  grow(text, block, at, final) {
    if (!this.node) {
      this.code = make("code");
      this.lines = new GrowingLines(this.code);
      this.replace(codeBox(languageOf(block.first), this.code));
    }
    this.lines.update(codeOf(block, text), final);
  }
}

/** Preformatted text in an element, of which the last line may still change. */
export class GrowingLines {
  constructor(place) {
    this.place = place;
    this.rest = document.createTextNode("");
    this.at = 0; // where the rest begins
    place.append(this.rest);
  }

  update(text, final = false) {
    if (final) {
      this.place.textContent = text; // one node again, so that selections are copied as they are
      return;
    }
    const complete = text.lastIndexOf("\n") + 1;
    if (complete - this.at > CODE) {
      this.rest.before(make("span", { class: "code-lines" }, text.slice(this.at, complete)));
      this.rest.data = "";
      this.at = complete;
    }
    const rest = text.slice(this.at);
    if (rest.startsWith(this.rest.data)) this.rest.appendData(rest.slice(this.rest.length));
    else this.rest.data = rest;
  }
}

/** Children of an element, of which the last ones are filled again: that costs less than others in their place. */
class GrowingChildren {
  constructor(place, name) {
    Object.assign(this, { place, name, changing: [] });
  }

  /** Show children with these contents after all that will not change; keep the first `settled` of them. */
  update(contents, settled) {
    for (const node of this.changing.splice(contents.length)) node.remove();
    contents.forEach((nodes, at) => {
      if (!this.changing[at]) this.place.append((this.changing[at] = make(this.name)));
      this.changing[at].replaceChildren(...nodes);
    });
    this.changing.splice(0, settled);
  }
}

/** A list, of which the last complete item, and one that has just begun, are rendered again. */
class GrowingList extends Growing {
  grow(text, block, at) {
    if (!this.node) {
      this.replace(make(...listOf(block.first)));
      this.items = new GrowingChildren(this.node, "li");
      this.begin = block.from; // of the first item that may change
    }
    const items = itemsOf(text.slice(this.begin, block.to), block.first, this.depth);
    const settled = Math.max(items.findLastIndex(({ from }) => this.begin + from < at), 0);
    this.items.update(items.map(({ nodes }) => nodes), settled);
    this.begin += items[settled].from;
  }
}

/** A table, of which the last row is rendered again. */
class GrowingTable extends Growing {
  grow(text, block, at) {
    if (!this.rows && !this.#head(text, block, at)) return;
    const lines = this.begin > block.to ? [] : text.slice(this.begin, block.to).split("\n");
    const growing = block.to >= at && lines.length > 0;
    this.rows.update(lines.map((line) => cellsOf(line, this.sides)), lines.length - (growing ? 1 : 0));
    this.begin = growing ? block.last : Math.max(this.begin, block.to + 1);
  }

  /** Show the head; return true if the rule below it is complete. */
  #head(text, block, at) {
    const [names, rule] = text.slice(block.from, block.to).split("\n", 2);
    this.replace(tableOf([names, rule]));
    this.begin = block.from + names.length + rule.length + 2;
    if (this.begin > at) return false;
    this.sides = sidesOf(rule);
    this.rows = new GrowingChildren(this.node.querySelector("tbody"), "tr");
    return true;
  }
}

/** A quote: a growing text in a text. */
class GrowingQuote extends Growing {
  shows(block) {
    return this.begins(block);
  }

  grow(text, block, at, final) {
    if (!this.node) {
      this.replace(make("blockquote"));
      this.view = new MarkdownView(this.node, () => {}, this.depth + 1);
      this.inner = "";
      this.begin = block.from;
    }
    const complete = Math.min(at, block.to + 1);
    if (complete > this.begin) {
      this.inner += unquoted(text.slice(this.begin, complete));
      this.begin = complete;
    }
    const line = text.slice(this.begin, block.to);
    const whole = this.inner + unquoted(line);
    this.view.render(final ? whole.replace(/\n$/, "") : whole, final);
  }
}

/** A paragraph, of which only the end is rendered again. */
class GrowingParagraph extends Growing {
  shows(block) {
    return this.begins(block);
  }

  grow(text, block, at, final) {
    const own = text.slice(block.from, block.to);
    if (!this.node || own.length < this.settled) this.#begin();
    this.#text(own);
    if (final) this.#join();
  }

  #begin() {
    this.settled = 0;
    this.fixed = null;
    this.rest = make("span");
    this.replace(make("p", {}, this.rest));
  }

  #text(text) {
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

const KINDS = { code: GrowingCode, list: GrowingList, table: GrowingTable, quote: GrowingQuote, paragraph: GrowingParagraph };
