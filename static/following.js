/**
 * One reply, read until its end whatever happens to the connection.
 *
 *   follow(api, reply, body, watch, signal)   resolves at the end; throws an ApiError if it failed
 *
 * The first request has an idempotency key, so it can be repeated until its headers have arrived. Then
 * the stream's id and the id of the last event say where to go on. If the server stores no streams,
 * the same request is computed again with the same seed, and compared with what is already here.
 *
 * `reply` has {text, reasoning, calls, place, tokens, stream, key, fingerprint, finish, usage, receipt};
 * `watch` is called back: changed(), note(text), waiting(text or "").
 */

import { ApiError, events } from "./api.js";
import { PATH } from "./requests.js";

const SILENCE = 45_000; // a server sends a comment at least every 15 s, by default
const SOON = 5_000; // a comment that comes sooner after a token means that the decoder is being replaced
const TRIES = 60;
const LONGEST_PAUSE = 10_000;

export async function follow(api, reply, body, watch, signal) {
  for (let tries = 0; ; ) {
    const before = reply.place;
    try {
      await new Reading(api, reply, body, watch, signal).read();
      return;
    } catch (failure) {
      if (signal.aborted) return;
      if (!(failure instanceof ApiError) || !failure.passes || tries >= TRIES) throw failure;
      tries = reply.place === before ? tries + 1 : 1;
      watch.waiting(`${failure.message}. Trying again${reply.tokens ? ` from token ${reply.tokens}` : ""} …`);
      reply.lost ||= failure.status === 0 ? "Connection lost" : failure.message;
      await pause(failure.retryAfter * 1000 || Math.min(250 * 2 ** tries, LONGEST_PAUSE), signal);
      if (signal.aborted) return;
    }
  }
}

/** Wait for some milliseconds, or until the network comes back or the reply is stopped. */
const pause = (time, signal) =>
  new Promise((resolve) => {
    const listening = new AbortController();
    const end = () => {
      clearTimeout(timer);
      listening.abort();
      resolve();
    };
    const timer = setTimeout(end, time);
    addEventListener("online", end, { signal: listening.signal });
    signal.addEventListener("abort", end, { signal: listening.signal });
  });

/** One attempt: a request, and its events until they end. */
class Reading {
  constructor(api, reply, body, watch, signal) {
    Object.assign(this, { api, reply, body, watch });
    this.abort = new AbortController();
    signal.addEventListener("abort", () => this.abort.abort(), { once: true, signal: this.abort.signal });
    this.target = reply; // where new text goes; a copy while it is computed again
    this.ended = false;
    this.pausedAt = 0;
    this.last = performance.now();
  }

  async read() {
    const leave = () => this.abort.abort();
    addEventListener("offline", leave, { signal: this.abort.signal });
    const timer = setInterval(() => performance.now() - this.last > SILENCE && leave(), 1000);
    try {
      await this.#take(await this.#response());
    } catch (failure) {
      const network = failure instanceof TypeError || failure instanceof DOMException;
      throw network ? new ApiError(0, "Connection lost") : failure;
    } finally {
      clearInterval(timer);
      this.abort.abort();
    }
    if (!this.ended) throw new ApiError(0, "Connection lost");
  }

  async #response() {
    const { reply, abort } = this;
    if (reply.stream) {
      const headers = { Accept: "text/event-stream", "Last-Event-ID": reply.place };
      try {
        return await this.api.request(`v1/streams/${reply.stream}`, { headers, signal: abort.signal });
      } catch (failure) {
        if (failure.status !== 404) throw failure;
        reply.stream = ""; // it has expired: compute it again
      }
    }
    const headers = { Accept: "text/event-stream", "Idempotency-Key": reply.key };
    const response = await this.api.request(PATH, { method: "POST", body: this.body, headers, signal: abort.signal });
    this.#begin(response);
    return response;
  }

  #begin(response) {
    const { reply } = this;
    reply.stream = response.headers.get("X-Stream-ID") ?? "";
    reply.unenforced = response.headers.get("X-Rowcast-Unenforced") ?? "";
    if (reply.place) this.target = { ...reply, text: "", reasoning: "", calls: [], place: "", tokens: 0 };
    else this.watch.changed();
  }

  async #take(response) {
    for await (const batch of events(response)) {
      this.last = performance.now();
      for (const event of batch) {
        if (event.comment) this.#pause();
        else this.#add(event);
      }
      if (this.target !== this.reply) this.#compare();
      this.watch.changed();
      if (this.ended) return;
    }
  }

  #pause() {
    const { reply, watch } = this;
    if (!this.pausedAt) {
      this.pausedAt = performance.now();
      this.soon = performance.now() - (this.lastEvent ?? 0) < SOON && reply.tokens > 0;
    }
    if (this.soon) watch.waiting(`The decoder is being replaced; the reply goes on after token ${reply.tokens} …`);
    else watch.waiting(reply.tokens ? "Waiting for the next token …" : "Waiting for a row …");
  }

  #add({ id, data }) {
    const { target } = this;
    if (data === "[DONE]") {
      this.ended = true;
      return;
    }
    const chunk = JSON.parse(data);
    if (chunk.error) throw errorIn(chunk.error);
    this.#resumed(chunk);
    this.lastEvent = performance.now();
    applied(target, chunk);
    if (id) {
      target.place = id;
      target.tokens = parseInt(id, 10) || target.tokens;
    }
  }

  /** Report what happened before this event, if anything did. */
  #resumed(chunk) {
    const { reply, watch } = this;
    if (reply.fingerprint && chunk.system_fingerprint && chunk.system_fingerprint !== reply.fingerprint) {
      throw new ApiError(409, "Another build is served now, and its reply may differ. Regenerate it instead");
    }
    reply.fingerprint ||= chunk.system_fingerprint ?? "";
    if (this.pausedAt && this.soon) {
      const seconds = ((performance.now() - this.pausedAt) / 1000).toFixed(1);
      watch.note(`The decoder was replaced; continued at token ${reply.tokens} after ${seconds} s.`);
    }
    this.pausedAt = 0;
    if (reply.lost && this.target === reply) {
      if (reply.tokens) watch.note(`${reply.lost}; continued at token ${reply.tokens}.`);
      reply.lost = "";
    }
    watch.waiting("");
  }

  /** Take over the reply that is computed again, once it is as long as what is here. */
  #compare() {
    const { reply, target, watch } = this;
    if (target.tokens < reply.tokens && !this.ended) return;
    if (!target.text.startsWith(reply.text) || !target.reasoning.startsWith(reply.reasoning)) {
      throw new ApiError(409, "The reply came out differently. Regenerate it");
    }
    const why = reply.lost || "Connection lost";
    watch.note(`${why}; computed again with the same seed, and continued at token ${reply.tokens}.`);
    Object.assign(reply, target, { lost: "" });
    this.target = reply;
  }
}

/** Add what a chunk brings to a reply. */
function applied(reply, chunk) {
  const choice = chunk.choices?.[0];
  const delta = choice?.delta;
  if (delta?.content) reply.text += delta.content;
  if (delta?.reasoning_content) reply.reasoning += delta.reasoning_content;
  for (const call of delta?.tool_calls ?? []) addCall(reply.calls, call);
  if (choice?.finish_reason) reply.finish = choice.finish_reason;
  if (chunk.usage) reply.usage = chunk.usage;
  if (chunk.receipt) reply.receipt = chunk.receipt;
}

function addCall(calls, { index, id, function: called, custom }) {
  calls[index] ??= { id: "", name: "", text: "" };
  const call = calls[index];
  if (id) call.id = id;
  call.name += called?.name ?? custom?.name ?? "";
  call.text += called?.arguments ?? custom?.input ?? "";
}

const PASSING = ["not_ready", "overloaded", "stopping"];

function errorIn({ message, code }) {
  return new ApiError(PASSING.includes(code) ? 503 : 500, message ?? "The reply failed", { code: code ?? "" });
}
