/**
 * The request behind a reply: the same bytes each time, so it can be sent again, copied and checked.
 *
 *   bodyOf(talk, node)     what was, or would be, sent to /v1/chat/completions
 *   asCurl, asPython       the same for a terminal or a program
 */

import { pathTo } from "./conversations.js";

export const PATH = "v1/chat/completions";

/** Settings that are sent as they are, if they have a value. */
const PLAIN = ["temperature", "top_p", "top_k", "max_tokens", "min_p", "repetition_penalty", "presence_penalty"];

export function bodyOf(talk, node) {
  const settings = node.settings;
  const body = { model: node.model, messages: messagesTo(talk, node, settings.system), seed: node.seed };
  for (const name of PLAIN) if (Number.isFinite(settings[name])) body[name] = settings[name];
  const stops = (settings.stop ?? "").split("\n").filter(Boolean);
  if (stops.length) body.stop = stops;
  if (settings.format === "json") body.response_format = { type: "json_object" };
  if (settings.format === "schema") {
    body.response_format = { type: "json_schema", json_schema: { name: "reply", schema: JSON.parse(settings.schema) } };
  }
  if (settings.tools?.trim()) {
    body.tools = JSON.parse(settings.tools);
    if (settings.toolChoice) body.tool_choice = settings.toolChoice;
  }
  return body;
}

export const streamed = (body) =>
  JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true }, receipt: true });

function messagesTo(talk, node, system) {
  const before = pathTo(talk, node.parent).map(messageOf);
  return system?.trim() ? [{ role: "system", content: system }, ...before] : before;
}

function messageOf(node) {
  if (node.role === "tool") return { role: "tool", tool_call_id: node.call, content: node.text };
  if (node.role === "user") return { role: "user", content: node.text };
  const message = { role: "assistant", content: node.text };
  if (node.reasoning) message.reasoning_content = node.reasoning;
  if (node.calls?.length) {
    message.tool_calls = node.calls.map(({ id, name, text }) => ({
      id,
      type: "function",
      function: { name, arguments: text },
    }));
  }
  return message;
}

export function asCurl(body, token) {
  const lines = [`curl -N ${new URL(PATH, location.href)}`];
  if (token) lines.push('-H "Authorization: Bearer $TOKEN"');
  lines.push(`-d '${JSON.stringify({ ...body, stream: true }).replaceAll("'", "'\\''")}'`);
  return lines.join(" \\\n  ");
}

const OPENAI = new Set(["model", "messages", "seed", "temperature", "top_p", "max_tokens", "presence_penalty", "stop", "response_format", "tools", "tool_choice"]);

export function asPython(body, token) {
  const names = Object.entries(body);
  const own = names.filter(([name]) => OPENAI.has(name));
  const extra = Object.fromEntries(names.filter(([name]) => !OPENAI.has(name)));
  if (Object.keys(extra).length) own.push(["extra_body", extra]);
  const keywords = own.map(([name, value]) => `    ${name}=${literal(value)},`);
  const key = token ? 'os.environ["TOKEN"]' : '"none"';
  return [
    ...(token ? ["import os", ""] : []),
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${literal(String(new URL("v1", location.href)))}, api_key=${key})`,
    "stream = client.chat.completions.create(",
    ...keywords,
    "    stream=True,",
    ")",
    "for event in stream:",
    '    print(event.choices[0].delta.content or "", end="", flush=True)',
    "",
  ].join("\n");
}

/** Return a value as Python writes it. */
function literal(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, each]) => `${literal(name)}: ${literal(each)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}
