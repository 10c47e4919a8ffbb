// Parts of the video with labels of their own, beside the clip: begun and ended at the playhead, named one by one.

import { shownKey } from "./keys.js";
import { listed } from "./labels.js";
import { ask } from "./talk.js";

const $ = (id) => document.getElementById(id);
const made = (name, values, ...children) => {
  const element = Object.assign(document.createElement(name), values);
  element.append(...children);
  return element;
};

export class Segments {
  constructor({ onChange, onSeek, onLabel }) {
    Object.assign(this, { onChange, onSeek, onLabel });
  }

  // `choice.segments`: [{start_s, end_s, labels: [label]}], in the order of time; belongs to the video.
  show(item, choice) {
    Object.assign(this, { item, choice, began_s: null });
    this.draw();
  }

  // Begin a part at this time of the source, or end the one that was begun.
  mark(time_s, ends = this.began_s !== null) {
    if (!ends) this.began_s = time_s;
    else {
      const [start_s, end_s] = [this.began_s ?? 0, time_s].sort((a, b) => a - b);
      this.began_s = null;
      if (end_s - start_s < 1 / (this.item.fps || 30)) return this.draw();
      const part = { start_s, end_s, labels: [] };
      this.choice.segments.push(part);
      this.changed(part);
    }
    this.draw();
    if (ends) $("parts").querySelector("[data-at='new'] input[list]")?.focus();
  }

  // A part that nobody has named yet.
  get nameless() {
    return this.choice.segments.find((part) => !part.labels.length);
  }

  changed(part) {
    this.newest = part;
    this.choice.segments.sort((a, b) => a.start_s - b.start_s || a.end_s - b.end_s);
    Object.assign(this.choice, { touched: true });
    this.onChange();
    this.draw();
  }

  draw() {
    $("mark-part").firstChild.data = this.began_s === null ? "mark a part " : `from ${this.began_s.toFixed(1)} s: end it here `;
    $("mark-part").lastElementChild.dataset.key = this.began_s === null ? "i" : "o";
    $("mark-part").lastElementChild.textContent = shownKey($("mark-part").lastElementChild.dataset.key);
    $("parts").hidden = !this.choice.segments.length;
    $("parts").replaceChildren(...this.choice.segments.map((part) => this.line(part)));
  }

  line(part) {
    const named = `${part.start_s.toFixed(1)} to ${part.end_s.toFixed(1)} s`;
    const play = made("button", { type: "button", className: "text-button", textContent: "▶", ariaLabel: `Play ${named}` });
    play.addEventListener("click", () => this.onSeek(part.start_s));
    const times = ["start_s", "end_s"].map((edge) => {
      const input = made("input", { type: "number", step: 0.1, min: 0, max: this.item.duration_s, value: part[edge].toFixed(2), ariaLabel: `${edge === "start_s" ? "Begins" : "Ends"} (seconds), ${named}` });
      input.addEventListener("change", () => {
        const edges = { ...part, [edge]: Math.min(Math.max(Number(input.value), 0), this.item.duration_s) };
        if (edges.start_s < edges.end_s) part[edge] = edges[edge];
        this.changed(part);
      });
      return input;
    });
    const chips = part.labels.map((label) => {
      const chip = made("button", { type: "button", className: "chip tag", textContent: `${label} ×`, ariaLabel: `Remove ${label} from ${named}` });
      chip.addEventListener("click", () => { part.labels.splice(part.labels.indexOf(label), 1); this.changed(part); });
      return chip;
    });
    const add = made("input", { type: "text", maxLength: 100, autocomplete: "off", spellcheck: false, placeholder: "action …", ariaLabel: `Action in ${named}` });
    add.setAttribute("list", "part-labels");
    for (const what of ["focus", "input"]) add.addEventListener(what, () => this.offer(add.value));
    add.addEventListener("change", () => {
      const label = listed(add.value.trim().replace(/^#/, "").replace(/\s+/g, " ")), typing = document.activeElement === add;
      if (!label || part.labels.includes(label)) return;
      part.labels.push(label);
      this.onLabel(part, label);
      this.changed(part);
      if (typing) $("parts").querySelector("[data-at='new'] input[list]")?.focus();
    });
    const remove = made("button", { type: "button", className: "text-button", textContent: "×", ariaLabel: `Remove the part ${named}` });
    remove.addEventListener("click", () => { this.choice.segments.splice(this.choice.segments.indexOf(part), 1); this.changed(null); });
    const line = made("li", {}, play, ...times, ...chips, add, remove);
    if (part === this.newest) line.dataset.at = "new";
    return line;
  }

  // What the browser proposes while an action is typed: the clip's own labels, then those that the server knows.
  async offer(text) {
    let found = [];
    try {
      found = await ask(`/api/labels?limit=20&q=${encodeURIComponent(text)}`);
    } catch { /* offline: what is typed can still be added */ }
    const names = new Set([...this.choice.offered, ...found.map(({ label }) => label)]);
    $("part-labels").replaceChildren(...[...names].map((value) => made("option", { value })));
  }
}
