// The timeline of a video: scenes, sampled frames and the segment that can be dragged.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const ZOOM_S = 60; // of a longer scene the track shows this much around the segment

export const clampSegment = (item, scene, start_s, end_s) => {
  const { start_s: first, end_s: last } = item.scenes[scene];
  const length = Math.min(Math.max(end_s - start_s, item.min_clip_s), item.max_clip_s, last - first);
  const start = Math.min(Math.max(start_s, first), last - length);
  return { scene, start_s: start, end_s: start + length };
};

export const longEnough = (item, scene) => {
  const { start_s, end_s } = item.scenes[scene];
  return end_s - start_s >= item.min_clip_s - 0.5 / (item.fps || 30);
};

export function drawBoxes(svg, item, people) {
  svg.setAttribute("viewBox", `0 0 ${item.width || 1} ${item.height || 1}`);
  svg.replaceChildren(...people.map(({ xyxy: [x0, y0, x1, y1], counts }) => {
    const box = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 })) box.setAttribute(name, value);
    box.setAttribute("class", counts ? "counts" : "faint");
    return box;
  }));
}

export class Timeline {
  constructor({ onScene, onSegment, onSeek }) {
    Object.assign(this, { onScene, onSegment, onSeek });
    this.drag = null;
    for (const part of ["start", "move", "end"]) {
      const grip = $(`grip-${part}`);
      grip.addEventListener("pointerdown", (event) => this.grab(event, part));
      grip.addEventListener("keydown", (event) => this.nudgeByKey(event, part));
    }
    const track = $("track");
    track.addEventListener("pointermove", (event) => this.pull(event));
    for (const over of ["pointerup", "pointercancel"]) track.addEventListener(over, () => { this.drag = null; track.classList.remove("dragging"); });
    track.addEventListener("pointerdown", (event) => { if (event.target === track || event.target.id === "ticks") this.onSeek(this.timeAt(event)); });
  }

  show(item, scene, segment) {
    this.item = item;
    this.drawSamples();
    this.drawScenes();
    this.update(scene, segment);
  }

  update(scene, segment) {
    Object.assign(this, { scene, segment });
    const { item } = this, whole = { start_s: 0, end_s: item.duration_s || 1 };
    let { start_s, end_s } = scene === null ? whole : item.scenes[scene];
    if (end_s - start_s > ZOOM_S) {
      const middle = segment && segment.scene === scene ? (segment.start_s + segment.end_s) / 2 : start_s + ZOOM_S / 2;
      if (!this.drag) start_s = Math.min(Math.max(start_s, middle - ZOOM_S / 2), end_s - ZOOM_S);
      else start_s = this.from_s;
      end_s = start_s + ZOOM_S;
    }
    this.from_s = start_s;
    this.to_s = end_s;
    [...$("scenes").children].forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i === scene));
      button.classList.toggle("chosen", i === segment?.scene);
    });
    this.drawTicks();
    this.drawSegment();
  }

  share(time_s) {
    return Math.min(1, Math.max(0, (time_s - this.from_s) / (this.to_s - this.from_s || 1)));
  }

  timeAt(event) {
    const box = $("track").getBoundingClientRect();
    return this.from_s + ((event.clientX - box.left) / box.width) * (this.to_s - this.from_s);
  }

  drawSegment() {
    const { item, segment } = this, here = segment && segment.scene === this.scene, element = $("segment");
    element.hidden = !here;
    if (here) {
      element.style.left = `${this.share(segment.start_s) * 100}%`;
      element.style.width = `${(this.share(segment.end_s) - this.share(segment.start_s)) * 100}%`;
    }
    const length = segment ? segment.end_s - segment.start_s : 0;
    $("readout").textContent = segment
      ? `clip ${segment.start_s.toFixed(2)} – ${segment.end_s.toFixed(2)} s · ${length.toFixed(1)} s long`
      : item.scenes.length ? `no scene is ${item.min_clip_s} s long` : "no scenes known";
    const values = { start: segment?.start_s, move: segment?.start_s, end: segment?.end_s };
    for (const [part, value] of Object.entries(values)) {
      const grip = $(`grip-${part}`);
      if (value === undefined) continue;
      grip.setAttribute("aria-valuemin", this.item.scenes[segment.scene].start_s.toFixed(2));
      grip.setAttribute("aria-valuemax", this.item.scenes[segment.scene].end_s.toFixed(2));
      grip.setAttribute("aria-valuenow", value.toFixed(2));
      grip.setAttribute("aria-valuetext", `${value.toFixed(1)} seconds, ${length.toFixed(1)} seconds long`);
    }
  }

  drawTicks() {
    const inside = this.item.samples.filter((sample) => sample.time_s >= this.from_s && sample.time_s < this.to_s);
    $("ticks").replaceChildren(...inside.map((sample) => {
      const tick = document.createElement("i");
      tick.style.left = `${this.share(sample.time_s) * 100}%`;
      tick.className = sample.people.some((person) => person.counts) ? "seen" : "";
      return tick;
    }), ...(this.parts ?? []).filter((part) => part.start_s < this.to_s && part.end_s > this.from_s).map((part) => {
      const band = document.createElement("b");
      band.style.left = `${this.share(part.start_s) * 100}%`;
      band.style.width = `${(this.share(part.end_s) - this.share(part.start_s)) * 100}%`;
      return band;
    }));
  }

  drawScenes() {
    const { item } = this;
    $("scenes").replaceChildren(...item.scenes.map((scene, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.style.flexGrow = String(Math.max(0.01, scene.end_s - scene.start_s));
      button.className = longEnough(item, i) ? "" : "short";
      const text = `Scene ${i + 1} of ${item.scenes.length}, ${scene.start_s.toFixed(1)} to ${scene.end_s.toFixed(1)} s`;
      button.setAttribute("aria-label", longEnough(item, i) ? text : `${text}, too short for a clip`);
      button.title = button.getAttribute("aria-label");
      button.addEventListener("click", () => this.onScene(i));
      return button;
    }));
  }

  drawSamples() {
    const { item } = this, n = item.samples.length;
    $("samples").replaceChildren(...item.samples.map((sample, i) => {
      const button = document.createElement("button"), best = Math.max(0, ...sample.people.map((person) => person.score));
      const seen = sample.people.filter((person) => person.counts).length;
      button.type = "button";
      button.className = seen ? "seen" : "";
      button.setAttribute("aria-label", `Frame at ${sample.time_s.toFixed(1)} s: ${seen ? `${seen} people` : "nobody"}, best score ${best.toFixed(2)}`);
      if (item.strip) {
        const picture = document.createElement("img");
        picture.src = item.strip;
        picture.alt = "";
        picture.style.width = `${n * 100}%`;
        picture.style.left = `${-i * 100}%`;
        button.append(picture);
      }
      const boxes = document.createElementNS(SVG, "svg");
      boxes.setAttribute("preserveAspectRatio", "none");
      boxes.setAttribute("class", "boxes");
      drawBoxes(boxes, item, sample.people);
      const score = document.createElement("span");
      score.textContent = best ? best.toFixed(2) : "–";
      button.append(boxes, score);
      button.style.setProperty("--n", String(n));
      button.style.setProperty("--ratio", String((item.width || 16) / (item.height || 9)));
      button.addEventListener("click", () => this.onSeek(sample.time_s));
      return button;
    }));
  }

  playhead(time_s) {
    const element = $("playhead"), inside = time_s >= this.from_s - 0.05 && time_s <= this.to_s + 0.05;
    element.hidden = !inside;
    if (inside) element.style.left = `${this.share(time_s) * 100}%`;
  }

  // --- moving the segment ---

  grab(event, part) {
    if (!this.segment) return;
    $("track").setPointerCapture(event.pointerId);
    $("track").classList.add("dragging");
    this.drag = { part, at_s: this.timeAt(event), segment: { ...this.segment } };
    $(`grip-${part}`).focus({ preventScroll: true });
    event.preventDefault();
  }

  pull(event) {
    if (this.drag) this.moved(this.drag.part, this.timeAt(event) - this.drag.at_s, this.drag.segment);
  }

  moved(part, by_s, from = this.segment) {
    if (!from) return;
    const { item } = this, scene = item.scenes[from.scene];
    let { start_s, end_s } = from;
    if (part === "move") return this.onSegment(clampSegment(item, from.scene, start_s + by_s, end_s + by_s));
    if (part === "start") start_s = Math.min(Math.max(start_s + by_s, scene.start_s, end_s - item.max_clip_s), end_s - item.min_clip_s);
    else end_s = Math.max(Math.min(end_s + by_s, scene.end_s, start_s + item.max_clip_s), start_s + item.min_clip_s);
    if (start_s < scene.start_s - 1e-6 || end_s > scene.end_s + 1e-6) return;
    this.onSegment({ scene: from.scene, start_s, end_s });
  }

  nudgeByKey(event, part) {
    const step = event.shiftKey ? 1 : 0.1;
    const by_s = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step }[event.key];
    if (by_s === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.moved(part, by_s);
  }
}
