/** Builders of DOM nodes. Text is always set as text; nothing here parses markup. */

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** Return an element. Keys that begin with "on" are listeners, all others are attributes. */
export function make(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((each) => each !== null && each !== undefined));
  return node;
}

/** Return an SVG element with these attributes. */
export function shape(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export const icon = (name) => shape("svg", { "aria-hidden": "true" }, shape("use", { href: `#i-${name}` }));

/** Return a button with a label, after the icon of this name if there is one. */
export function button(label, onclick, { name, kind = "quiet", ...more } = {}) {
  return make("button", { type: "button", class: kind, onclick, ...more }, name ? icon(name) : null, make("span", {}, label));
}

let fading;

/** Show a short message for a few seconds. */
export function toast(text) {
  const place = byId("toast");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => place.classList.remove("shown"), 4000);
}

/** Have a screen reader read a text after what it is reading now. */
export function announce(text) {
  const place = byId("announcer");
  if (place.childElementCount > 20) place.firstElementChild.remove();
  place.append(make("p", {}, text));
}

/** Resolve to true if the user agrees. */
export function confirmed(title, text, yes) {
  const dialog = byId("question");
  byId("question-title").textContent = title;
  byId("question-text").textContent = text;
  byId("question-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Copy a text, also where the clipboard needs a secure origin and this page has none. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", { class: "unseen" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`${what} copied`);
}

/** Have the browser save a text as a file. */
export function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const number = (value) => value.toLocaleString("en-US");
