// Decisions that are not yet known to be on the server's disk. They lie in localStorage, one entry per key, so that
// neither a reload nor a second tab loses or mixes anything; they are sent in order until the server answers.
// The client key of each entry makes repeats harmless.
//
// `add` tells how it went: {saved: true, answer} when the server has it on its disk, {refused: status, message}, or
// {kept: state} when it does not answer: only then may the page go on without it.

import { Refused, newKey, renewMark, send } from "./talk.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];
const PATIENCE_MS = 2500; // a server that has not answered by then counts as away ...
const PATIENCE_WHILE_AWAY_MS = 300; // ... and while it is away each decision waits for less
const ANSWER_TIMEOUT_MS = 10000; // then the connection is given up, and the same is sent again
export const AWAY = ["offline", "unsaved"];

export class Outbox {
  constructor(dataset, reviewer, { onState, onRefused, onSent }) {
    this.prefix = `tiktokactions:${dataset}:${reviewer}:`;
    this.onState = onState;
    this.onRefused = onRefused;
    this.onSent = onSent;
    this.waiters = new Map();
    this.memory = new Map(); // where the browser keeps no localStorage
    this.count = 0;
    this.state = "saved";
    this.failures = 0;
    this.timer = null;
    this.flushing = false;
    this.trouble = "offline"; // why nothing is saved: no connection, or a server that cannot write
    addEventListener("beforeunload", (event) => { if (this.memory.size) event.preventDefault(); }); // nothing else keeps those
    addEventListener("online", () => this.flush());
    addEventListener("offline", () => this.tell("offline"));
    addEventListener("storage", (event) => event.key?.startsWith(this.prefix) && this.tell());
  }

  add(path, body) {
    // Numbered after all that waits, not by the clock, which may be set back.
    const last = Math.max(0, ...this.names().map((waiting) => Number(waiting.slice(this.prefix.length).split(":")[0])));
    const number = String(Math.max(last, this.count) + 1).padStart(20, "0");
    this.count = Number(number);
    const name = `${this.prefix}${number}:${body.client_key ?? newKey()}`;
    const text = JSON.stringify({ path, body });
    try {
      localStorage.setItem(name, text);
    } catch {
      this.memory.set(name, text);
    }
    const outcome = new Promise((resolve) => this.waiters.set(name, resolve));
    setTimeout(() => this.lostPatience(name), AWAY.includes(this.state) ? PATIENCE_WHILE_AWAY_MS : PATIENCE_MS);
    this.tell();
    this.flush();
    return outcome;
  }

  lostPatience(name) {
    if (!this.waiters.has(name)) return;
    // Another tab of the same person may have sent it, and was answered.
    if (this.entry(name)) this.tell(this.trouble);
    else this.settle(name, { saved: true, answer: null });
  }

  settle(name, outcome) {
    this.waiters.get(name)?.(outcome);
    this.waiters.delete(name);
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

  // The client key of the newest decision that waits here and is not taken back by something that waits too.
  lastDecision() {
    const waiting = this.entries(), undone = new Set(waiting.map(({ body }) => body.takes_back));
    return waiting.filter(({ path, body }) => path === "/api/decisions" && !undone.has(body.client_key)).at(-1)?.body.client_key;
  }

  entries() {
    return this.names().map((name) => this.entry(name)).filter(Boolean);
  }

  remove(name, outcome) {
    this.memory.delete(name);
    try {
      localStorage.removeItem(name);
    } catch { /* no localStorage */ }
    this.settle(name, outcome);
  }

  tell(state) {
    const waiting = this.names().length;
    if (state) this.state = state;
    else if (!waiting && !AWAY.includes(this.state)) this.state = "saved";
    else if (waiting && this.state === "saved") this.state = "saving";
    // Nobody answers: the page may go on, everything is kept here.
    if (AWAY.includes(state) || state === "signed-out") for (const name of [...this.waiters.keys()]) this.settle(name, { kept: state });
    this.onState(this.state, waiting);
  }

  async flush() {
    if (this.flushing) return;
    this.flushing = true;
    clearTimeout(this.timer);
    try {
      for (let name; (name = this.names()[0]); ) {
        const entry = this.entry(name);
        if (!entry || !(await this.deliver(name, entry))) {
          if (!entry) this.remove(name, { kept: this.state });
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
      const answer = await send(entry.path, entry.body, { timeout_ms: ANSWER_TIMEOUT_MS });
      this.failures = 0;
      this.state = "saved";
      this.remove(name, { saved: true, answer });
      this.tell();
      this.onSent(entry, answer);
      return true;
    } catch (error) {
      const status = error instanceof Refused ? error.status : 0;
      if ([400, 404, 409, 413, 415, 422].includes(status)) {
        this.state = "saved"; // of what is left, nothing is known to be in trouble
        this.remove(name, { refused: status, message: error.message });
        this.tell();
        this.onRefused(entry, error.message);
        return true;
      }
      this.trouble = status ? "unsaved" : "offline";
      this.isDiskFull = status === 507;
      if (status === 401 || status === 403) {
        try {
          await renewMark();
          if (this.failures++ < 2) return this.deliver(name, entry);
        } catch { /* told below */ }
        this.tell("signed-out");
      } else if (!status) {
        this.tell("offline");
      } // else: the server could not write; it is asked again while patience lasts
      this.timer = setTimeout(() => this.flush(), RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)]);
      return false;
    }
  }
}
