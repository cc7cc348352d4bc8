/**
 * Markdown as DOM nodes. Nothing in a text becomes markup; a text that still grows is `growing.js`.
 *
 *   rendered(text)           all nodes of a text
 *   nodeOf(block, text)      the node of one block
 *   itemsOf, cellsOf, codeBox  parts of blocks, for those that grow
 */

import { blocksOf, headingOf, ITEM, languageOf, ordered, QUOTE } from "./blocks.js";
import { copy, make } from "./dom.js";
import { inline } from "./inline.js";

export const DEEPEST = 8;

/** Return the nodes of a text that does not grow. */
export function rendered(text, depth = 0) {
  if (depth > DEEPEST) return [make("p", {}, text)];
  return blocksOf(text).map((block) => nodeOf(block, text, depth));
}

/** Return the node of a block of this text. */
export function nodeOf(block, text, depth = 0) {
  const { kind, from, to, first } = block;
  if (kind === "code") return codeBox(languageOf(first), make("code", {}, codeOf(block, text)));
  if (kind === "rule") return make("hr");
  if (kind === "heading") return headingNode(first);
  const own = text.slice(from, to);
  if (kind === "quote") return make("blockquote", {}, ...rendered(unquoted(own), depth + 1));
  if (kind === "list") return make(...listOf(first), ...itemsOf(own, first, depth).map(({ nodes }) => make("li", {}, ...nodes)));
  if (kind === "table") return tableOf(own.split("\n"));
  return make("p", {}, ...inline(own).nodes);
}

function headingNode(line) {
  const { level, text } = headingOf(line);
  return make(`h${Math.min(level + 2, 6)}`, {}, ...inline(text).nodes);
}

/** Return the lines of quotes without their marks. */
export const unquoted = (text) =>
  text
    .split("\n")
    .map((line) => line.replace(QUOTE, ""))
    .join("\n");

/** Return what is between the fences of a block of code. */
export function codeOf({ from, to, last, first, closed }, text) {
  return text.slice(from + first.length + 1, closed ? Math.max(last - 1, 0) : to);
}

/** Return a box around code, with its language and a button to copy it. */
export function codeBox(language, code) {
  const take = make("button", { type: "button", class: "quiet", onclick: () => copy(code.textContent, "Code") }, "Copy");
  const head = make("div", { class: "code-head" }, make("span", {}, language || "text"), take);
  return make("div", { class: "code" }, head, make("pre", { tabindex: "0", role: "region", "aria-label": `Code: ${language || "text"}` }, code));
}

/** Return the name and the attributes of a list. */
export function listOf(first) {
  return ordered(first) ? ["ol", { start: parseInt(first.trim(), 10) }] : ["ul", {}];
}

/** Return the items in some lines of a list, as {from, nodes}: where each begins, and what is in it. */
export function itemsOf(text, first, depth) {
  const indent = ITEM.exec(first)[1].length;
  const items = [];
  let from = 0;
  for (const line of text.split("\n")) {
    const found = ITEM.exec(line);
    if (found && found[1].length <= indent + 1) items.push({ from, lines: [line.slice(found[0].length)] });
    else items.at(-1)?.lines.push(line.replace(/^\s{1,4}/, ""));
    from += line.length + 1;
  }
  return items.map((item) => ({ from: item.from, nodes: itemOf(item.lines.join("\n"), depth) }));
}

/** Return the nodes of an item; one paragraph in it needs no margins of its own. */
function itemOf(text, depth) {
  const nodes = rendered(text, depth + 1);
  return nodes.flatMap((node, at) => (at === 0 && node.tagName === "P" ? [...node.childNodes] : [node]));
}

/** Return a table of these lines: heads, a rule and rows. */
export function tableOf(lines) {
  const sides = sidesOf(lines[1]);
  const row = (line, name) => make("tr", {}, ...cellsOf(line, sides, name));
  const body = make("tbody", {}, ...lines.slice(2).map((line) => row(line)));
  const table = make("table", {}, make("thead", {}, row(lines[0], "th")), body);
  return make("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" }, table);
}

const partsOf = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

/** Return to which side each column of a table is set, as its rule says. */
export function sidesOf(rule) {
  return partsOf(rule).map((mark) => (!mark.endsWith(":") ? undefined : mark.startsWith(":") ? "center" : "right"));
}

/** Return the cells of a row. */
export function cellsOf(line, sides, name = "td") {
  const scope = name === "th" ? "col" : undefined;
  return partsOf(line).map((cell, at) => make(name, { scope, class: sides[at] }, ...inline(cell.replaceAll("\\|", "|")).nodes));
}
