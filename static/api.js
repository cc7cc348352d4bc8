/**
 * Requests to the server, with the token as a header, and streams of events read in batches.
 *
 *   request(path, options) -> Response, or ApiError with the server's own sentence
 *   events(response)       -> arrays of {id, data}; a comment is {comment: true}
 *
 * The token lives in this tab's session storage. A fragment `#token=…` is taken once and removed
 * from the address at once; a token is never part of a URL that is requested.
 */

const STORED = "rowcast.token";

export class ApiError extends Error {
  constructor(status, message, { code = "", retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** True if the same request may succeed a little later. */
  get passes() {
    return [0, 502, 503, 504, 529].includes(this.status) && this.code !== "deadline_exceeded";
  }
}

export class Api {
  constructor() {
    this.token = takenFromAddress() || sessionStorage.getItem(STORED) || "";
    this.refused = () => {}; // called when a token is missing or not accepted
    if (this.token) sessionStorage.setItem(STORED, this.token);
  }

  use(token) {
    this.token = token.trim().replace(/^Bearer\s+/i, "");
    if (this.token) sessionStorage.setItem(STORED, this.token);
    else sessionStorage.removeItem(STORED);
  }

  /** The team that the token names; the server checks it, this page only shows it. */
  get team() {
    try {
      const claims = this.token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
      const bytes = Uint8Array.from(atob(claims), (letter) => letter.charCodeAt(0));
      return String(JSON.parse(new TextDecoder().decode(bytes)).team_id ?? "");
    } catch {
      return "";
    }
  }

  async request(path, { method = "GET", body, headers = {}, signal } = {}) {
    const sent = { Accept: "application/json", ...headers };
    if (body !== undefined) sent["Content-Type"] = "application/json";
    if (this.token) sent.Authorization = `Bearer ${this.token}`;
    let response;
    try {
      response = await fetch(path, { method, body, headers: sent, signal, cache: "no-store" });
    } catch (failure) {
      if (signal?.aborted) throw failure;
      throw new ApiError(0, "The server cannot be reached");
    }
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status === 401) this.refused(error.message);
    throw error;
  }

  async json(path, options) {
    const response = await this.request(path, options);
    return response.status === 204 ? null : response.json();
  }
}

/** Return the token in the address, and remove it from there. */
function takenFromAddress() {
  const found = /^#token=([^&]+)/.exec(location.hash);
  if (!found) return "";
  history.replaceState(null, "", location.pathname + location.search);
  return decodeURIComponent(found[1]);
}

async function errorOf(response) {
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  let body = {};
  try {
    body = await response.json();
  } catch {
    // an answer from something between this page and the server
  }
  const error = body.error ?? {};
  const message = error.message ?? body.message ?? body.reason ?? `The server answered ${response.status}`;
  return new ApiError(response.status, message, { code: error.code ?? "", retryAfter });
}

/** Yield arrays of the events that have arrived together. */
export async function* events(response) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event = {};
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      const batch = [];
      for (const line of lines) {
        if (line === "" || line === "\r") {
          if (event.data !== undefined) batch.push(event);
          event = {};
        } else if (line.startsWith(":")) batch.push({ comment: true });
        else take(line, event);
      }
      if (batch.length) yield batch;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function take(line, event) {
  const colon = line.indexOf(":");
  const name = colon < 0 ? line : line.slice(0, colon);
  const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "").replace(/\r$/, "");
  if (name === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
  else if (name === "id") event.id = value;
}
