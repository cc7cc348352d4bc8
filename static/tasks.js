/**
 * Tasks: prompts that are computed whether or not anybody waits, and fetched by polling.
 *
 *   GET  tasks/                     the list          POST send_text               a new one
 *   GET  poll_task_status/{id}      its end, or the present state after some seconds
 *   POST tasks/{id}/cancel          ends it           DELETE tasks/{id}            removes it
 */

import { button, byId, make, toast } from "./dom.js";

const POLL_SECONDS = 20;
const SHOWN = 50;
const WORDS = { processing: "computing", finished: "finished", failed: "failed", cancelled: "cancelled" };

export class Tasks {
  constructor(api, model) {
    this.api = api;
    this.model = model;
    this.list = byId("task-list");
    this.open = new Map(); // id of an opened task -> the task with its result
    byId("new-task").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    document.addEventListener("visibilitychange", () => this.#visible && this.refresh());
  }

  /** True while the list is on the screen. */
  get #visible() {
    return !document.hidden && !byId("tasks").hidden;
  }

  /** Show the list, and follow the latest task that has not ended. */
  async refresh() {
    try {
      const page = await this.api.json(`tasks/?limit=${SHOWN}`);
      this.#draw(page.tasks);
    } catch (failure) {
      const text = failure.status === 401 ? "Enter an access token to see your tasks." : failure.message;
      this.list.replaceChildren(make("p", { class: "empty-note" }, text));
    }
  }

  async #submit() {
    const field = byId("task-text");
    try {
      await this.api.json("send_text", { method: "POST", body: JSON.stringify({ text: field.value, model_name: this.model() }) });
      field.value = "";
    } catch (failure) {
      toast(failure.message);
    }
    await this.refresh();
  }

  #draw(tasks) {
    if (!tasks.length) {
      this.list.replaceChildren(make("p", { class: "empty-note" }, "No tasks yet."));
      return;
    }
    this.list.replaceChildren(make("ul", { class: "task-list" }, ...tasks.map((task) => this.#item(task))));
    const waiting = tasks.find((task) => task.status === "processing");
    if (waiting) this.#poll(waiting.task_id);
  }

  #item(task) {
    const id = task.task_id;
    const result = make("div", { class: "result" });
    const buttons = make("div", { class: "buttons" });
    const act = (path, options) => async () => {
      await this.api.json(path, options).catch((failure) => toast(failure.message));
      await this.refresh();
    };
    if (task.status === "processing") buttons.append(button("Cancel", act(`tasks/${id}/cancel`, { method: "POST" })));
    else {
      buttons.append(button("Show result", () => this.#show(id, result)));
      buttons.append(button("Delete", act(`tasks/${id}`, { method: "DELETE" }), { name: "trash" }));
    }
    if (this.open.has(id)) result.append(resultOf(this.open.get(id)));
    const when = new Date(task.created * 1000).toLocaleString();
    const head = make("div", { class: "task-head" }, make("code", {}, id.slice(-8)), make("span", { class: `chip ${task.status}` }, WORDS[task.status]), make("span", { class: "note" }, when), make("span", { class: "grow" }), buttons);
    return make("li", { class: "card" }, head, result);
  }

  async #show(id, place) {
    try {
      const task = await this.api.json(`get_task_status/${id}`);
      this.open.set(id, task);
      place.replaceChildren(resultOf(task));
    } catch (failure) {
      place.replaceChildren(make("p", { class: "error", role: "alert" }, failure.message));
    }
  }

  /** Wait for the end of a task, and show the list again. */
  async #poll(id) {
    if (this.polling) return;
    this.polling = true;
    try {
      await this.api.json(`poll_task_status/${id}?target_status=finished&timeout=${POLL_SECONDS}`);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 3000)); // the list will show why
    }
    this.polling = false;
    if (this.#visible) await this.refresh();
  }
}

const resultOf = (task) => make("pre", { tabindex: "0", role: "region", "aria-label": "Result" }, task.result ?? task.error ?? "It has no result.");
