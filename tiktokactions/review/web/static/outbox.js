// What was decided and is not yet known to be on the server's disk. It lies in localStorage, one entry per key, so that
// neither a reload nor a second tab loses or mixes anything; sent in order, again and again until there is an answer.
// The client key of each entry makes repeats harmless.

import { Refused, newKey, renewMark, send } from "./talk.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export class Outbox {
  constructor(dataset, reviewer, { onState, onRefused, onSent }) {
    this.prefix = `tiktokactions:${dataset}:${reviewer}:`;
    this.onState = onState;
    this.onRefused = onRefused;
    this.onSent = onSent;
    this.waiters = new Map();
    this.memory = new Map(); // where the browser keeps no localStorage
    this.count = 0;
    this.failures = 0;
    this.timer = null;
    this.flushing = false;
    addEventListener("online", () => this.flush());
    addEventListener("offline", () => this.tell("offline"));
    addEventListener("storage", (event) => event.key?.startsWith(this.prefix) && this.tell());
  }

  add(path, body) {
    const number = String(Date.now()).padStart(14, "0") + String(this.count++).padStart(6, "0");
    const name = `${this.prefix}${number}:${body.client_key ?? newKey()}`;
    const text = JSON.stringify({ path, body });
    try {
      localStorage.setItem(name, text);
    } catch {
      this.memory.set(name, text);
    }
    const answer = new Promise((resolve) => this.waiters.set(name, resolve));
    this.tell();
    this.flush();
    return answer;
  }

  names() {
    const found = [...this.memory.keys()];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const name = localStorage.key(i);
        if (name.startsWith(this.prefix)) found.push(name);
      }
    } catch { /* no localStorage */ }
    return [...new Set(found)].sort();
  }

  entry(name) {
    try {
      return JSON.parse(this.memory.get(name) ?? localStorage.getItem(name));
    } catch {
      return null;
    }
  }

  entries() {
    return this.names().map((name) => this.entry(name)).filter(Boolean);
  }

  remove(name, answer) {
    this.memory.delete(name);
    try {
      localStorage.removeItem(name);
    } catch { /* no localStorage */ }
    this.waiters.get(name)?.(answer);
    this.waiters.delete(name);
  }

  tell(state) {
    const waiting = this.names().length;
    if (state) this.state = state;
    else if (!waiting && this.state !== "offline") this.state = "saved";
    else if (waiting && this.state === "saved") this.state = "saving";
    this.onState(this.state ?? "saved", waiting);
  }

  async flush() {
    if (this.flushing) return;
    this.flushing = true;
    clearTimeout(this.timer);
    try {
      for (let name; (name = this.names()[0]); ) {
        const entry = this.entry(name);
        if (!entry || !(await this.deliver(name, entry))) {
          if (!entry) this.remove(name, null);
          else break;
        }
      }
      if (!this.names().length) this.tell("saved");
    } finally {
      this.flushing = false;
    }
  }

  // True where the next entry may go.
  async deliver(name, entry) {
    try {
      const answer = await send(entry.path, entry.body);
      this.failures = 0;
      this.state = "saved";
      this.remove(name, answer);
      this.tell();
      this.onSent(entry, answer);
      return true;
    } catch (error) {
      const status = error instanceof Refused ? error.status : 0;
      if ([400, 404, 409, 413, 415, 422].includes(status)) {
        this.remove(name, null);
        this.onRefused(entry, error.message);
        return true;
      }
      if (status === 401 || status === 403) {
        try {
          await renewMark();
          if (this.failures++ < 2) return this.deliver(name, entry);
        } catch { /* told below */ }
        this.tell("signed-out");
      } else {
        this.tell("offline");
      }
      this.timer = setTimeout(() => this.flush(), RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)]);
      return false;
    }
  }
}
