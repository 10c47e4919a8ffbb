// Look-alikes of the video on show: which of them get the same decision.

import { ask } from "./talk.js";

const $ = (id) => document.getElementById(id);

export class Alike {
  constructor({ onChosen, onNone }) {
    this.onChosen = onChosen;
    this.onNone = onNone;
    $("alike").addEventListener("close", () => this.close());
    $("alike").addEventListener("keydown", (event) => {
      const box = /^[1-9]$/.test(event.key) && this.boxes()[Number(event.key) - 1];
      if (box) box.checked = !box.checked;
      if (event.key === "Enter" && event.target.matches("[type=checkbox]")) $("alike-take").click();
    });
  }

  boxes() {
    return [...$("alike-clips").querySelectorAll("input")];
  }

  // Copies are marked at first; what was marked before stays. `choice.together` belongs to the video, as its labels do.
  async open(item, choice) {
    let found = [];
    try {
      found = await ask(`/api/videos/${encodeURIComponent(item.video_id)}/alike`);
    } catch (error) {
      return this.onNone(`Look-alikes cannot be shown: ${error.message}`);
    }
    if (!found.length) return this.onNone("Nothing that looks like it waits for you.");
    this.choice = choice;
    const marked = choice.together ?? found.filter((other) => other.is_copy).map((other) => other.video_id);
    $("alike-clips").replaceChildren(...found.map((other, i) => this.tile(other, i, marked.includes(other.video_id), item)));
    $("alike").returnValue = "";
    $("alike").showModal();
    this.boxes()[0].focus();
  }

  tile({ video_id, title, file_name, labels, poster, clip, source, is_copy }, i, isMarked, shown) {
    const tile = document.createElement("label"), box = document.createElement("input"), text = document.createElement("span");
    const video = Object.assign(document.createElement("video"), { muted: true, loop: true, autoplay: true, playsInline: true });
    video.setAttribute("aria-hidden", "true");
    if (poster) video.poster = poster;
    if (clip ?? source) video.src = (clip ?? source).url;
    Object.assign(box, { type: "checkbox", value: video_id, checked: isMarked });
    text.append(box, i < 9 ? `${i + 1} · ` : "", is_copy ? "copy · " : "", [labels.join() === shown.labels.join() ? "" : labels.map((label) => `#${label}`).join(" "), title || file_name].filter(Boolean).join(" · "));
    text.dir = "auto";
    tile.append(video, text);
    return tile;
  }

  close() {
    if ($("alike").returnValue === "take") {
      this.choice.together = this.boxes().filter((box) => box.checked).map((box) => box.value);
      this.onChosen();
    }
    $("alike-clips").replaceChildren(); // nothing plays behind the page
  }
}
