/**
 * Markdown as blocks: headings, lists, tables and so on, found line by line.
 *
 *   after(block, line, from)   the block that a line belongs to, given the one before it
 *   blocksOf(text)             all blocks of a text
 *
 * A block is {kind, from, to, last, first, count, blank, closed}: where in the text it begins, ends
 * and has its last line; its first line; how many lines it has, and whether the last one is blank. What
 * complete lines make of it stays: only a line that may still grow can change its mind.
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})([^`\n]*)$/;
const HEADING = /^ {0,3}#{1,6}\s/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const LONGEST_TABLE_RULE = 1000;

export const QUOTE = /^ {0,3}> ?/;
export const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])(\s+|$)/;
export const ordered = (line) => /^\s*\d/.test(line);

/** Return the block that a line belongs to: one that goes on, a new one, or null after a blank line. */
export function after(block, line, from) {
  const kind = kindOf(line);
  const blank = !line.trim();
  const place = { to: from + line.length, last: from, blank };
  const joined = block && !block.closed ? joinedKind(block, line, kind) : "";
  if (joined) return { ...block, ...place, kind: joined, count: block.count + 1, closed: closes(block, line) };
  return blank ? null : { ...place, kind, from, first: line, count: 1, closed: false };
}

export function blocksOf(text) {
  const blocks = [];
  let block = null;
  let from = 0;
  for (const line of text.split("\n")) {
    const found = after(block, line, from);
    if (found && found.from === block?.from) blocks[blocks.length - 1] = found;
    else if (found) blocks.push(found);
    block = found;
    from += line.length + 1;
  }
  return blocks;
}

/** Return the language of a block of code. */
export const languageOf = (first) => FENCE.exec(first)[2].trim().split(/\s/)[0].slice(0, 30);

/** Return the level and the text of a heading. */
export function headingOf(line) {
  const whole = line.trim();
  const level = /^#+/.exec(whole)[0].length;
  let end = whole.length;
  while (end > level && whole[end - 1] === "#") end -= 1;
  return { level, text: whole.slice(level, end).trim() };
}

function kindOf(line) {
  if (FENCE.test(line)) return "code";
  if (HEADING.test(line)) return "heading";
  if (RULE.test(line)) return "rule";
  if (QUOTE.test(line)) return "quote";
  if (ITEM.test(line)) return "list";
  return "paragraph";
}

/** Return the kind of a block with this line added; "" if the line does not belong to it. */
function joinedKind(block, line, kind) {
  if (block.kind === "code") return "code";
  if (block.kind === "list") return continuesList(block, line, kind) ? "list" : "";
  if (block.kind === "heading" || block.kind === "rule" || !line.trim()) return "";
  if (block.kind === "quote") return kind === "quote" || kind === "paragraph" ? "quote" : "";
  if (block.kind === "table") return line.includes("|") ? "table" : "";
  if (block.count === 1 && block.first.includes("|") && isTableRule(line)) return "table";
  return continuesParagraph(line, kind) ? "paragraph" : "";
}

const isTableRule = (line) => line.length < LONGEST_TABLE_RULE && TABLE_RULE.test(line);

const continuesParagraph = (line, kind) => kind === "paragraph" || (kind === "list" && !/^\s*([-*+]|1[.)])\s+\S/.test(line));

function continuesList(block, line, kind) {
  if (!line.trim()) return true;
  const indented = /^\s{2,}/.test(line);
  if (kind === "rule") return false;
  if (kind === "list") return indented || ordered(line) === ordered(block.first);
  return indented || (!block.blank && kind === "paragraph");
}

/** True if a line ends a block of code. */
function closes(block, line) {
  const end = block.kind === "code" && FENCE.exec(line);
  if (!end || end[2].trim()) return false;
  const fence = FENCE.exec(block.first)[1];
  return end[1][0] === fence[0] && end[1].length >= fence.length;
}
