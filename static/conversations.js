/**
 * Conversations, as trees of messages, in this browser's database. One database for each team.
 *
 *   conversation  {id, title, created, updated, settings, nodes: {id: node}, leaf}
 *   node          {id, parent, role, text, …}: an edited or repeated message is a sibling
 *
 * `leaf` names the end of the branch that is shown. What a reply needs to go on after a reload
 * (stream, place, text so far) is in its node, written together, so text and place always agree.
 */

const STORE = "conversations";

export const freshId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export const freshSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];

export function conversation(settings = {}) {
  const now = Date.now();
  return { id: freshId(), title: "", created: now, updated: now, settings, nodes: {}, leaf: "" };
}

/** Add a message below `parent`, and show it. */
export function addNode(talk, parent, fields) {
  const node = { id: freshId(), parent, text: "", created: Date.now(), ...fields };
  talk.nodes[node.id] = node;
  talk.leaf = node.id;
  talk.updated = Date.now();
  if (!talk.title && node.role === "user") talk.title = node.text.trim().split("\n")[0].slice(0, 80);
  return node;
}

/** Return the messages from the first one to this one. */
export function pathTo(talk, id) {
  const path = [];
  for (let node = talk.nodes[id]; node && path.length < 10_000; node = talk.nodes[node.parent]) path.unshift(node);
  return path;
}

export const siblings = (talk, node) =>
  Object.values(talk.nodes)
    .filter((each) => each.parent === node.parent && each.role === node.role)
    .sort((one, other) => one.created - other.created);

/** Return the latest message below a node, or the node itself. */
export function lastBelow(talk, node) {
  const below = Object.values(talk.nodes).filter((each) => each.parent === node.id);
  if (!below.length) return node;
  return lastBelow(talk, below.reduce((one, other) => (other.created >= one.created ? other : one)));
}

/** Return the store of a team; one that lasts as long as the page if the browser stores nothing. */
export async function openStore(team) {
  try {
    return new Store(await opened(`rowcast:${team}`));
  } catch {
    return new MemoryStore();
  }
}

const opened = (name) =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

class MemoryStore {
  talks = new Map();
  all = async () => [...this.talks.values()];
  find = async (id) => this.talks.get(id);
  put = async (talk) => void this.talks.set(talk.id, talk);
  remove = async (id) => void this.talks.delete(id);
  clear = async () => this.talks.clear();
}

class Store {
  constructor(database) {
    this.database = database;
  }

  #run(mode, action) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(STORE, mode);
      const request = action(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }

  /** Return all conversations, the latest first. */
  async all() {
    const found = await this.#run("readonly", (store) => store.getAll());
    return found.sort((one, other) => other.updated - one.updated);
  }

  find(id) {
    return this.#run("readonly", (store) => store.get(id));
  }

  put(talk) {
    return this.#run("readwrite", (store) => store.put(talk));
  }

  remove(id) {
    return this.#run("readwrite", (store) => store.delete(id));
  }

  clear() {
    return this.#run("readwrite", (store) => store.clear());
  }
}

/** Return the conversations in an exported file; throw an Error that says what is wrong with it. */
export function imported(text) {
  let file;
  try {
    file = JSON.parse(text);
  } catch {
    throw new Error("The file is not JSON. Choose a file that Export has saved.");
  }
  if (file?.format !== "rowcast-conversations" || !Array.isArray(file.conversations)) {
    throw new Error("The file is not an export of this page. Choose a file that Export has saved.");
  }
  return file.conversations.map(checked);
}

export const exported = (talks) =>
  JSON.stringify({ format: "rowcast-conversations", version: 1, conversations: talks }, null, 1);

const ROLES = ["user", "assistant", "tool"];

function checked(talk) {
  const nodes = {};
  for (const node of Object.values(talk?.nodes ?? {})) {
    const whole = typeof node?.id === "string" && ROLES.includes(node.role) && typeof node.text === "string";
    if (!whole) throw new Error("A message in the file is damaged. Export the conversations again.");
    const done = node.state === "streaming" ? { state: "stopped" } : {};
    nodes[node.id] = { ...node, parent: String(node.parent ?? ""), ...done, stream: "" };
  }
  for (const node of Object.values(nodes)) {
    if (node.parent && !nodes[node.parent]) throw new Error("A message in the file replies to one that is missing. Export the conversations again.");
  }
  return {
    ...conversation(typeof talk.settings === "object" && talk.settings ? talk.settings : {}),
    title: String(talk.title ?? "").slice(0, 80),
    nodes,
    leaf: nodes[talk.leaf] ? talk.leaf : (Object.keys(nodes).at(-1) ?? ""),
  };
}
