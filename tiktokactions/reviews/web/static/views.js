// Which file shows which part of a video's source, and the elements that play it.

// A view: a file, the source time of its first frame, and the part [from_s, to_s) of the source that is played in a loop.
export function viewOf(item, segment, scene, sound = false) {
  const looked = scene === segment?.scene || scene === null ? segment : item.scenes[scene];
  const from_s = looked?.start_s ?? 0, to_s = looked?.end_s ?? item.duration_s ?? 0;
  const clip = item.clip, loud = sound && item.sound_url; // only copies surely have it, in a form that browsers play
  if (clip && !loud && from_s >= clip.start_s - 0.02 && to_s <= clip.end_s + 0.02) {
    const whole = to_s - from_s > clip.end_s - clip.start_s - 0.05;
    return { url: clip.url, offset_s: clip.start_s, from_s, to_s, whole };
  }
  if (item.source && !loud) return { url: item.source.url, offset_s: 0, from_s, to_s, whole: !looked };
  if ((loud || item.scene_url) && item.scenes.length) {
    const number = scene ?? item.scene ?? 0, begins_s = item.scenes[number].start_s;
    const part = Math.max(0, Math.floor((from_s - begins_s + 0.01) / item.part_s));
    const ends_s = Math.min(item.scenes[number].end_s, begins_s + part * item.part_s + item.window_s);
    return {
      url: `${loud || item.scene_url}${number}/${part}${loud ? "?sound=true" : ""}`, offset_s: begins_s + part * item.part_s,
      from_s, to_s: Math.min(to_s, ends_s), whole: false, copied: true,
    };
  }
  return null;
}

export class Player {
  constructor(screen) {
    this.element = document.createElement("video");
    Object.assign(this.element, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    this.element.setAttribute("muted", "");
    this.element.setAttribute("playsinline", "");
    this.element.tabIndex = -1;
    screen.append(this.element);
    this.view = null;
    this.failed = false;
    this.element.addEventListener("loadedmetadata", () => this.rewind());
    this.element.addEventListener("timeupdate", () => this.loop());
    this.element.addEventListener("ended", () => { this.rewind(); if (this.playing) this.play(); });
    this.element.addEventListener("error", () => { this.failed = Boolean(this.element.getAttribute("src")); this.onChange?.(); });
    this.element.addEventListener("loadeddata", () => this.onChange?.());
  }

  get ready() {
    return this.element.readyState >= 2;
  }

  get time_s() {
    return this.element.currentTime + (this.view?.offset_s ?? 0);
  }

  load(view) {
    const same = view?.url === this.view?.url && !this.failed;
    this.view = view;
    if (!view) {
      this.element.removeAttribute("src");
      this.element.load();
      this.failed = false;
      return;
    }
    this.element.loop = view.whole;
    if (same) return this.ready && this.rewind();
    this.failed = false;
    this.element.src = view.url;
  }

  rewind() {
    const at = Math.max(0, (this.view?.from_s ?? 0) - (this.view?.offset_s ?? 0));
    if (Math.abs(this.element.currentTime - at) > 0.02) this.element.currentTime = at + (at > 0 ? 0.005 : 0);
  }

  seek(time_s) {
    if (this.ready) this.element.currentTime = Math.max(0, time_s - this.view.offset_s + 0.005);
  }

  // Back to the beginning of the part at its end; called at every frame while on show.
  loop() {
    if (!this.view || this.view.whole || !this.playing) return;
    const t = this.time_s;
    if (t >= this.view.to_s - 0.01 || t < this.view.from_s - 0.3) this.rewind();
  }

  play() {
    this.playing = true;
    this.element.play()?.catch(() => { /* the browser will when it can; the poster is on show meanwhile */ });
  }

  pause() {
    this.playing = false;
    this.element.pause();
  }
}

// One player on show, others that load the videos to come, one for other scenes of the video on show.
export class Deck {
  constructor(screen, onChange) {
    this.screen = screen;
    this.onChange = onChange;
    this.players = [0, 1, 2, 3].map(() => new Player(screen));
    this.ids = [null, null, null, null];
    this.other = new Player(screen);
    for (const player of [...this.players, this.other]) player.onChange = () => this.refresh();
    this.rate = 1;
    this.sound = false;
  }

  // Give the upcoming videos players; those that have theirs keep it.
  prepare(items, viewFor) {
    const wanted = items.slice(0, this.players.length);
    const ids = wanted.map((item) => item.video_id);
    this.ids = this.ids.map((id) => (ids.includes(id) ? id : null));
    for (const item of wanted) {
      if (this.ids.includes(item.video_id)) continue;
      // Copies of scenes are work for the server: they are asked for when the video is next, not before.
      const view = viewFor(item);
      if (view?.copied && wanted.indexOf(item) > 1) continue;
      const free = this.ids.indexOf(null);
      this.ids[free] = item.video_id;
      this.players[free].pause();
      this.players[free].load(view);
    }
    this.ids.forEach((id, i) => { if (id === null && this.players[i].view) { this.players[i].pause(); this.players[i].load(null); } });
  }

  show(item, view) {
    const index = this.ids.indexOf(item.video_id);
    this.main = index < 0 ? null : this.players[index];
    this.paused = false;
    this.other.pause();
    this.other.load(null);
    this.wanted = this.main;
    if (this.main && view && this.main.view?.url !== view.url) this.look(view);
    else if (this.main && view) { this.main.view = view; this.main.element.loop = view.whole; this.main.rewind(); }
    this.refresh();
  }

  // Play another part of the video on show: in its own player where the file is the same, else behind the scenes until
  // the other file is there.
  look(view) {
    if (!view) return;
    const player = this.main?.view?.url === view.url ? this.main : this.other;
    if (player === this.main) this.other.load(null);
    player.load(view);
    this.wanted = player;
    this.refresh();
  }

  get front() {
    const wanted = this.wanted;
    return wanted && (wanted.ready || wanted.failed || wanted === this.main) ? wanted : this.main;
  }

  refresh() {
    for (const player of [...this.players, this.other]) {
      const isFront = player === this.front;
      player.element.classList.toggle("on", isFront && !player.failed && Boolean(player.view));
      player.element.playbackRate = this.rate;
      player.element.muted = !(this.sound && isFront);
      if (isFront && !this.paused) player.play();
      else if (player.playing) player.pause();
    }
    this.onChange?.();
  }

  speed(rate) {
    this.rate = rate;
    this.refresh();
  }

  toggle() {
    this.paused = !this.paused;
    this.refresh();
  }
}
