/**
 * The server at work: the 32 rows of each model, live.
 *
 * `v1/rows` is read as events, once a second, while this page is visible: the team's own rows by
 * name, those of others in grey. A server without that route still shows how many rows are taken.
 */

import { events } from "./api.js";
import { byId, make, number, shape } from "./dom.js";
import { chip } from "./models.js";

const ROWS = 32;
const HISTORY = 60; // seconds of tokens/s that are drawn
const SECOND = 1000;

export class Server {
  constructor(api, titleOf) {
    this.api = api;
    this.titleOf = titleOf; // the conversation's title for a stream, or ""
    this.rates = new Map(); // model -> the latest tokens/s
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#leave() : this.watch()));
  }

  /** Show the rows for as long as the page is visible. */
  async watch() {
    if (this.watching || document.hidden) return;
    this.watching = new AbortController();
    const { signal } = this.watching;
    while (!signal.aborted) {
      try {
        await this.#read(signal);
      } catch (failure) {
        if (signal.aborted) return;
        if (failure.status === 404) return this.#without(signal);
        if (failure.status === 401) return this.#unknown("Enter an access token to see the rows."); // then the page reloads
        this.#unknown(failure.message);
      }
      await new Promise((resolve) => setTimeout(resolve, 3 * SECOND));
    }
  }

  #leave() {
    this.watching?.abort();
    this.watching = null;
  }

  async #read(signal) {
    const response = await this.api.request("v1/rows", { headers: { Accept: "text/event-stream" }, signal });
    for await (const batch of events(response)) {
      const last = batch.filter((each) => each.data).at(-1);
      if (last) this.#show(JSON.parse(last.data).models);
    }
  }

  #show(models) {
    for (const model of models) {
      const rates = this.rates.get(model.id) ?? [];
      this.rates.set(model.id, [...rates, model.tokens_per_second].slice(-HISTORY));
    }
    this.#strip(models.find((each) => each.state === "ready") ?? models[0]);
    if (!byId("server").hidden) this.#draw(models);
  }

  #draw(models) {
    byId("rows").replaceChildren(...models.map((model) => this.#card(model)));
  }

  #strip(model) {
    const strip = byId("strip");
    strip.hidden = !model;
    if (!model) return;
    strip.replaceChildren(grid(model.rows, "small"));
    strip.setAttribute("aria-label", `${summary(model.rows)} Show the server`);
    strip.title = summary(model.rows);
  }

  #card(model) {
    const { waiting, prefixes } = model;
    const facts = [
      ["Tokens/s", number(Math.round(model.tokens_per_second * 10) / 10)],
      ["Waiting", `${number(waiting.all)}${waiting.own ? `, ${number(waiting.own)} yours` : ""}`],
      ["Steps", number(model.steps)],
      ...(prefixes ? [["Prompt tokens from memory", share(prefixes)]] : []), // only administrators get it
    ];
    const own = model.rows.filter((row) => row?.own);
    return make(
      "section",
      { class: "card", "aria-label": model.id },
      make("div", { class: "card-head" }, make("h3", {}, model.id), chip(model.state)),
      make("div", { class: "rows-and-rate" }, grid(model.rows), this.#line(model.id)),
      make("p", { class: "note" }, summary(model.rows)),
      make("dl", { class: "facts-list" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
      own.length ? make("ul", { class: "own-rows" }, ...own.map((row) => this.#own(row))) : null,
    );
  }

  #own(row) {
    const title = this.titleOf(row.stream);
    const done = row.phase === "prefill" ? "computing its prompt" : `${number(row.reply_tokens)} ${row.reply_tokens === 1 ? "token" : "tokens"} written`;
    return make("li", {}, make("span", { class: "row-number" }, `Row ${row.row}`), make("span", {}, title || "Another request from your team"), make("span", { class: "note" }, `${number(row.prompt_tokens)} prompt tokens, ${done}`));
  }

  /** Draw the tokens/s of the last minute. */
  #line(id) {
    const rates = this.rates.get(id) ?? [];
    const most = Math.max(...rates, 1);
    const points = rates.map((rate, at) => `${((at + HISTORY - rates.length) * 240) / (HISTORY - 1)},${58 - (54 * rate) / most}`);
    const picture = shape("svg", { viewBox: "0 0 240 60", class: "rate", role: "img", "aria-label": `Tokens per second in the last minute, at most ${Math.round(most)}`, preserveAspectRatio: "none" });
    picture.append(shape("polyline", { points: points.join(" ") }));
    return make("figure", {}, picture, make("figcaption", { class: "note" }, "tokens/s, the last minute"));
  }

  /** Show what a server without `v1/rows` reports: how many rows are taken. */
  async #without(signal) {
    byId("strip").hidden = true;
    while (!signal.aborted) {
      try {
        const health = await this.api.json("health", { signal });
        const known = health.rows ? `${health.rows.seated} of ${health.rows.of} rows are taken, ${number(health.waiting)} requests are waiting.` : "";
        this.#unknown(`${known} Individual rows are not available on this server.`.trim());
      } catch (failure) {
        if (!signal.aborted) this.#unknown(failure.message);
      }
      await new Promise((resolve) => setTimeout(resolve, 3 * SECOND));
    }
  }

  #unknown(text) {
    byId("rows").replaceChildren(make("p", { class: "empty-note" }, text));
  }
}

const share = ({ looked_up: all, found }) => (all ? `${Math.round((100 * found) / all)} %` : "none yet");

function summary(rows) {
  const taken = rows.filter(Boolean);
  const own = taken.filter((row) => row.own).length;
  return `${taken.length} of ${rows.length || ROWS} rows ${taken.length === 1 ? "is" : "are"} taken${own ? `, ${own} by your team` : ""}.`;
}

/** Return the rows as squares. */
function grid(rows, kind = "") {
  const squares = rows.map((row) => {
    const state = row ? (row.own ? "own" : "other") : "free";
    return make("span", { class: `row ${state} ${row?.phase ?? ""}`, title: row ? `Row ${row.row}${row.phase ? `: ${row.phase}` : ""}` : "Free" });
  });
  return make("div", { class: `grid ${kind}`, role: "img", "aria-label": summary(rows) }, ...squares);
}
