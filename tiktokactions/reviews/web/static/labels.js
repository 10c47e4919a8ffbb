// The actions in a clip: those of its hashtags, others from a list that can be searched, free tags.

import { ask, boot } from "./talk.js";

const $ = (id) => document.getElementById(id);
const clean = (text) => text.trim().replace(/^#/, "").replace(/\s+/g, " ");

// A label as it may be given: as it stands on the closed list, where there is one; else null.
export const listed = (label) => (boot.labels.length ? boot.labels.find((name) => name.toLowerCase() === label.toLowerCase()) ?? null : label);

export class Labels {
  constructor(onChange) {
    this.onChange = onChange;
    this.choices = [];
    for (const what of ["scroll", "resize"]) addEventListener(what, () => this.look_around(), { capture: true, passive: true });
    this.at = -1;
    const search = $("label-search");
    search.addEventListener("input", () => this.look());
    search.addEventListener("focus", () => this.look());
    search.addEventListener("blur", () => setTimeout(() => this.close(), 150));
    search.addEventListener("keydown", (event) => this.searchKey(event));
    $("tag-input").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      const tag = clean(event.target.value);
      if (tag && !this.choice.tags.includes(tag)) this.choice.tags.push(tag);
      event.target.value = "";
      this.changed();
    });
    $("why-input").addEventListener("input", (event) => { this.choice.why = event.target.value.trim(); this.choice.touched = true; this.onChange(); });
  }

  // `choice`: {offered: [label], said: {label: answer}, seen: Set, tags: [tag], why}; belongs to the video, so that undo finds
  // it as it was.
  show(choice) {
    this.choice = choice;
    $("label-search").value = $("tag-input").value = "";
    $("why-input").value = choice.why;
    this.close();
    this.draw();
  }

  changed() {
    this.choice.touched = true;
    this.draw();
    this.onChange();
  }

  // Which labels were in sight, as a whole and with nothing before them: only those can be answered by saying nothing.
  look_around() {
    if (!this.choice) return;
    for (const chip of $("chips").querySelectorAll(".chip")) {
      const { left, right, top, bottom, width } = chip.getBoundingClientRect(), x = (left + right) / 2, y = (top + bottom) / 2;
      const edges = [[x, top + 3], [x, bottom - 3], [left + 5, y], [right - 5, y]];
      if (width && edges.every((at) => chip.contains(document.elementFromPoint(...at)))) this.choice.seen.add(chip.dataset.label);
    }
  }

  // For every label on offer what is said of it.
  answers() {
    this.look_around();
    const { offered, said, seen } = this.choice;
    return Object.fromEntries(offered.map((label) => [label, said[label] ?? (seen.has(label) ? "no" : "not_asked")]));
  }

  draw() {
    const { offered, said, tags } = this.choice;
    $("chips").replaceChildren(...offered.map((label, i) => {
      const pair = document.createElement("span"), chip = document.createElement("button"), doubt = document.createElement("button");
      pair.className = "answer";
      chip.type = doubt.type = "button";
      chip.className = "chip";
      chip.dir = "auto";
      chip.dataset.label = label;
      chip.setAttribute("aria-pressed", said[label] === "yes" ? "true" : "false");
      chip.append(label);
      if (i < 9) chip.append(Object.assign(document.createElement("kbd"), { textContent: String(i + 1) }));
      chip.addEventListener("click", () => this.toggle(i, "yes"));
      doubt.className = "doubt";
      doubt.textContent = "?";
      doubt.title = i < 9 ? `Cannot tell (Shift ${i + 1})` : "Cannot tell";
      doubt.setAttribute("aria-label", `Cannot tell: ${label}`);
      doubt.setAttribute("aria-pressed", said[label] === "cannot_tell" ? "true" : "false");
      doubt.addEventListener("click", () => this.toggle(i, "cannot_tell"));
      pair.append(chip, doubt);
      return pair;
    }));
    requestAnimationFrame(() => this.look_around());
    if (!offered.length) $("chips").append(Object.assign(document.createElement("span"), { className: "muted", textContent: "no hashtag names an action" }));
    $("tags").replaceChildren(...tags.map((tag) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "chip tag";
      chip.textContent = `${tag} ×`;
      chip.setAttribute("aria-label", `Remove the tag ${tag}`);
      chip.addEventListener("click", () => { tags.splice(tags.indexOf(tag), 1); this.changed(); });
      return chip;
    }));
  }

  toggle(index, answer) {
    const label = this.choice.offered[index];
    if (label === undefined) return;
    this.choice.seen.add(label);
    if (this.choice.said[label] === answer) delete this.choice.said[label];
    else this.choice.said[label] = answer;
    this.changed();
  }

  add(text) {
    const label = listed(clean(text));
    if (!label) return;
    const known = this.choice.offered.find((other) => other.toLowerCase() === label.toLowerCase());
    if (!known) this.choice.offered.push(label);
    this.choice.said[known ?? label] = "yes";
    $("label-search").value = "";
    this.close();
    this.changed();
  }

  async look() {
    const text = $("label-search").value, asked = (this.asked = (this.asked ?? 0) + 1);
    let found = [];
    try {
      found = await ask(`/api/labels?limit=30&q=${encodeURIComponent(text)}`);
    } catch { /* offline: what is typed can still be added */ }
    if (asked !== this.asked || document.activeElement !== $("label-search")) return;
    this.listedFor = text;
    const typed = clean(text);
    this.choices = found.filter(({ label }) => this.choice.said[label] !== "yes");
    if (typed && !boot.labels.length && !this.choices.some(({ label }) => label.toLowerCase() === typed.toLowerCase())) this.choices.push({ label: typed, isNew: true });
    this.at = typed && this.choices.length ? 0 : -1;
    this.drawList();
  }

  drawList() {
    const list = $("label-list"), search = $("label-search");
    list.replaceChildren(...this.choices.map(({ label, videos, isNew }, i) => {
      const option = document.createElement("li");
      option.id = `label-option-${i}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(i === this.at));
      option.append(Object.assign(document.createElement("span"), { textContent: label, dir: "auto" }));
      option.append(Object.assign(document.createElement("small"), { textContent: isNew ? "new" : videos ? `${videos} videos` : "" }));
      option.addEventListener("pointerdown", (event) => { event.preventDefault(); this.add(label); });
      return option;
    }));
    list.hidden = !this.choices.length;
    search.setAttribute("aria-expanded", String(!list.hidden));
    if (this.at >= 0) {
      search.setAttribute("aria-activedescendant", `label-option-${this.at}`);
      list.children[this.at].scrollIntoView({ block: "nearest" });
    } else search.removeAttribute("aria-activedescendant");
  }

  close() {
    this.choices = [];
    this.at = -1;
    this.listedFor = null;
    this.drawList();
  }

  async searchKey(event) {
    const n = this.choices.length;
    if (event.key === "ArrowDown" && n) this.at = (this.at + 1) % n;
    else if (event.key === "ArrowUp" && n) this.at = (this.at + n - 1) % n;
    else if (event.key === "Enter") {
      event.preventDefault();
      if (this.listedFor !== $("label-search").value) await this.look(); // typed faster than the list came
      return this.add(this.choices[this.at]?.label ?? $("label-search").value);
    } else return;
    event.preventDefault();
    this.drawList();
  }
}
