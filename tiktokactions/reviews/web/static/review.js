// The review page: one video on show, the next ones loaded behind it, every decision one key.

import { Alike } from "./alike.js";
import { actionOf, shownKey } from "./keys.js";
import { Labels } from "./labels.js";
import { AWAY, Outbox } from "./outbox.js";
import { Segments } from "./segments.js";
import { ask, boot, newKey, send, tab } from "./talk.js";
import { Timeline, clampSegment, drawBoxes, longEnough } from "./timeline.js";
import { Deck, viewOf } from "./views.js";

const $ = (id) => document.getElementById(id);
const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3];
const LOW = boot.held_ahead - 1;
const HEARTBEAT_MS = 30000;
const RECOUNT_MS = 1200;

const state = {
  items: [], // the first is on show
  past: [], // what was decided on this page, the newest last
  choices: new Map(), // what is marked for each video until it is decided
  progress: boot.progress,
  fetching: false,
  exhausted: false,
  shown_ms: 0,
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const current = () => state.items[0];
const choiceOf = (item) => {
  if (!state.choices.has(item.video_id)) state.choices.set(item.video_id, draftOf(item) ?? freshChoice(item));
  return state.choices.get(item.video_id);
};

// `said`: what was answered for each label; a label that was in sight without an answer is not in the clip.
function freshChoice(item) {
  const segment = item.segment && item.scene !== null && item.scenes.length ? { scene: item.scene, ...item.segment } : null;
  const said = Object.fromEntries(item.prefill ? item.labels.map((label) => [label, "yes"]) : []);
  const spoken = (item.judgements ?? []).flatMap(({ answers }) => Object.keys(answers ?? {}).filter((label) => label !== "*"));
  return { offered: [...new Set([...item.labels, ...spoken])], said, seen: new Set(), tags: [], why: "", segments: [], segment, scene: item.scene, moved: false };
}

// What is marked and not yet decided survives a reload.
const draftName = (video_id) => `tiktokactions-draft:${boot.dataset}:${boot.reviewer}:${video_id}`;

function keepDraft() {
  const item = current(), choice = item && choiceOf(item);
  if (!choice?.touched && !choice?.moved && !choice?.together) return;
  try {
    localStorage.setItem(draftName(item.video_id), JSON.stringify({ ...choice, seen: [...choice.seen] }));
  } catch { /* no localStorage */ }
}

function draftOf(item) {
  try {
    const kept = JSON.parse(localStorage.getItem(draftName(item.video_id)));
    return kept && { ...freshChoice(item), ...kept, seen: new Set(kept.seen) };
  } catch {
    return null;
  }
}

function forgetDraft(video_id) {
  try {
    localStorage.removeItem(draftName(video_id));
  } catch { /* no localStorage */ }
}

// What an undone decision had said is marked again.
function restoredChoice(item, previous) {
  const choice = freshChoice(item);
  if (!previous) return choice;
  if (previous.answers) {
    choice.said = Object.fromEntries(Object.entries(previous.answers).filter(([label, said]) => said !== "not_asked" && label !== "*"));
    choice.offered = [...new Set([...choice.offered, ...Object.keys(choice.said)])];
  }
  choice.why = previous.why ?? "";
  choice.tags = [...(previous.tags ?? [])];
  choice.segments = previous.segments ?? [];
  if (previous.start_s !== null && previous.scene !== null && previous.scene !== undefined) {
    Object.assign(choice, { segment: { scene: previous.scene, start_s: previous.start_s, end_s: previous.end_s }, scene: previous.scene, moved: true });
  }
  return choice;
}

// --- showing ---------------------------------------------------------------------------------------------------------

const deck = new Deck($("screen"), () => drawNotice());
const labels = new Labels(keepDraft);
const segments = new Segments({ onChange: () => { keepDraft(); drawState(); }, onSeek: (time_s) => seek(time_s), onLabel: nameOfClip });
const alike = new Alike({ onChosen: () => { keepDraft(); drawState(); }, onNone: toast });
const timeline = new Timeline({ onScene: lookAtScene, onSegment: moveSegment, onSeek: (time_s) => seek(time_s) });

function viewFor(item) {
  const choice = choiceOf(item);
  return viewOf(item, choice.segment, choice.scene, deck.sound);
}

function show() {
  const item = current();
  document.body.dataset.videoId = item?.video_id ?? "";
  document.body.classList.toggle("empty", !item);
  deck.prepare(state.items, viewFor);
  drawProgress();
  if (!item) {
    deck.main = deck.wanted = null;
    deck.refresh();
    return drawNotice();
  }
  const choice = choiceOf(item);
  state.began = performance.now();
  state.boxes ??= true;
  deck.show(item, viewFor(item));
  $("title").textContent = item.title || item.file_name;
  const facts = [item.creator && `@${item.creator.replace(/^@/, "")}`, item.title && item.file_name, item.width && `${item.width}×${item.height}`, item.duration_s && `${item.duration_s.toFixed(1)} s`];
  $("meta").textContent = facts.filter(Boolean).join(" · ");
  $("why").textContent = (item.second_look ? "second look · " : "") + item.why + (item.decided ? ` · you said: ${item.decided}` : "");
  $("note").textContent = item.note;
  drawOthers(item);
  labels.show(choice);
  segments.show(item, choice);
  timeline.parts = choice.segments;
  timeline.show(item, choice.scene, choice.segment);
  drawState();
  for (const next of state.items.slice(1, 3)) if (next.strip) new Image().src = next.strip;
}

function drawState() {
  const item = current(), choice = item && choiceOf(item);
  if (!item) return;
  timeline.parts = choice.segments;
  timeline.update(choice.scene, choice.segment);
  $("reset-segment").hidden = !choice.moved;
  const many = choice.together?.length;
  $("together").hidden = !many;
  $("together").textContent = many ? `Together with ${many} look-alike${many > 1 ? "s" : ""}.` : "";
  const n = item.scenes.length, other = choice.segment && choice.scene !== choice.segment.scene;
  $("shown").textContent = !n ? "" : n === 1 ? "one scene" : `scene ${(choice.scene ?? 0) + 1} of ${n}${other ? ` · ${shownKey("c")} takes the clip from here` : ""}`;
  $("sound").hidden = !item.sound_url;
  $("speed").hidden = deck.rate === 1 && !deck.paused;
  $("speed").textContent = deck.paused ? "paused" : `×${deck.rate}`;
}

const spanText = ({ start_s, end_s }) => `${start_s.toFixed(1)}–${end_s.toFixed(1)} s`;

// In a conflict: what everybody said, label by label, and a button that marks the same.
function drawOthers(item) {
  $("others").hidden = !item.judgements?.length;
  $("others").replaceChildren(...(item.judgements ?? []).map((said) => {
    const line = document.createElement("div"), text = document.createElement("span");
    line.className = `said ${said.verdict}`;
    const about = (answer) => Object.entries(said.answers ?? {}).filter(([label, given]) => given === answer && label !== "*").map(([label]) => label).join(", ");
    const more = [said.no_action && "no action", about("yes") && `yes: ${about("yes")}`, about("no") && `no: ${about("no")}`, about("cannot_tell") && `cannot tell: ${about("cannot_tell")}`, said.why, said.tags.join(", "), said.start_s !== null && spanText(said), ...said.segments.map((part) => `${part.labels.join(", ")} at ${spanText(part)}`)];
    text.textContent = [`${said.reviewer}: ${said.verdict}`, ...more.filter(Boolean)].join(" · ");
    line.append(text);
    if (said.verdict === "accept") {
      const take = Object.assign(document.createElement("button"), { type: "button", className: "text-button", textContent: "mark the same", ariaLabel: `Mark the same as ${said.reviewer}` });
      const scene = item.scenes.findIndex((one) => said.start_s >= one.start_s - 0.02 && said.end_s <= one.end_s + 0.02);
      take.addEventListener("click", () => {
        state.choices.set(item.video_id, Object.assign(restoredChoice(item, { ...structuredClone(said), scene: scene < 0 ? null : scene }), { touched: true }));
        keepDraft();
        show();
      });
      line.append(" ", take);
    }
    return line;
  }));
}

function drawNotice() {
  const item = current(), view = item && viewFor(item), front = deck.front;
  let text = "";
  if (!item) text = state.fetching ? "Looking for videos …" : AWAY.includes(outbox?.state) ? "Offline. What you decided waits here and is sent when the server is back." : state.progress?.left ? "Nothing to hand out: others are looking at the last videos." : "All done. Nothing is left in this queue.";
  else if (!view) text = "The video is missing; you can still decide.";
  else if (front?.failed || (deck.wanted?.failed && deck.wanted === front)) text = "This video cannot be played; you can still decide.";
  else if (deck.wanted && !deck.wanted.ready && view.copied) text = "Preparing this scene …";
  $("notice").hidden = !text;
  $("notice").firstElementChild.textContent = text;
  $("notice").classList.toggle("small", Boolean(item) && Boolean(front?.ready) && !front.failed);
  $("stage").style.backgroundImage = item?.poster && (!view || !front?.ready || front.failed) ? `url("${item.poster}")` : "";
}

function drawProgress() {
  const progress = state.progress;
  if (!progress) return;
  const share = progress.total ? Math.round((100 * progress.done) / progress.total) : 100;
  $("bar").setAttribute("aria-valuenow", String(share));
  $("bar").firstElementChild.style.width = `${share}%`;
  const speed = progress.own_seconds_per_video, left = progress.seconds_left;
  const parts = [
    ["wide-only", `${progress.done.toLocaleString("en")} done`], ["", `${progress.left.toLocaleString("en")} left`],
    ["wide-only", progress.judgements_left > progress.left ? `${progress.judgements_left.toLocaleString("en")} judgements` : null],
    ["wide-only", speed ? `${speed.toFixed(1)} s each` : null], ["wide-only", left ? `${timeText(left)} left` : null],
  ];
  $("pace").replaceChildren(...parts.filter(([, text]) => text).map(([className, textContent]) => Object.assign(document.createElement("span"), { className, textContent })));
}

const timeText = (s) => (s < 90 ? `${Math.round(s)} s` : s < 5400 ? `${Math.round(s / 60)} min` : `${(s / 3600).toFixed(1)} h`);

function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("on");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => $("toast").classList.remove("on"), 2600);
}

// At every frame of the screen: playhead, clock, boxes of the sampled frame that is near, end of the part.
function tick() {
  const item = current(), front = deck.front;
  if (item && front?.view && front.ready) {
    front.loop();
    const t = front.time_s;
    timeline.playhead(t);
    $("clock").textContent = `${t.toFixed(1)} s`;
    const near = state.boxes && item.samples.find((sample) => Math.abs(sample.time_s - t) < 0.14);
    if (near !== state.near) {
      state.near = near;
      drawBoxes($("boxes"), item, near ? near.people : []);
    }
    [...$("samples").children].forEach((button, i) => button.classList.toggle("now", item.samples[i] === near));
  }
  requestAnimationFrame(tick);
}

// How long after the key the next video's picture was there; the tests read it.
function measure(pressed) {
  const element = deck.front?.element;
  if (!element) return;
  const done = () => { document.body.dataset.shownMs = (performance.now() - pressed).toFixed(1); };
  if (deck.front.ready) requestAnimationFrame(done);
  else element.addEventListener("loadeddata", done, { once: true });
}

// --- scenes and segment ----------------------------------------------------------------------------------------------

function lookAtScene(scene) {
  const item = current();
  if (!item || scene < 0 || scene >= item.scenes.length) return;
  choiceOf(item).scene = scene;
  deck.look(viewFor(item));
  drawState();
}

function takeFromScene() {
  const item = current(), choice = item && choiceOf(item);
  if (!item || choice.scene === null) return;
  if (!longEnough(item, choice.scene)) return toast(`This scene is shorter than ${item.min_clip_s} s.`);
  const front = deck.front, { start_s } = item.scenes[choice.scene];
  const at = front?.ready && front.time_s > start_s && item.scenes[choice.scene].end_s - start_s > item.max_clip_s ? front.time_s : start_s;
  moveSegment(clampSegment(item, choice.scene, at, at + item.max_clip_s));
}

function moveSegment(segment) {
  const item = current(), choice = choiceOf(item);
  Object.assign(choice, { segment, scene: segment.scene, moved: true });
  keepDraft();
  deck.look(viewFor(item));
  drawState();
}

function nudge(part, by_s) {
  const item = current(), choice = item && choiceOf(item);
  if (!choice?.segment) return;
  if (choice.scene !== choice.segment.scene) choice.scene = choice.segment.scene;
  timeline.update(choice.scene, choice.segment);
  timeline.moved(part, by_s);
}

function resetSegment() {
  const item = current();
  if (!item) return;
  const { segment, scene } = freshChoice(item);
  Object.assign(choiceOf(item), { segment, scene, moved: false });
  deck.look(viewFor(item));
  drawState();
}

// What is marked within the clip is in the clip.
function nameOfClip(part, label) {
  const { segment } = choiceOf(current());
  if (segment && part.start_s < segment.end_s && part.end_s > segment.start_s) labels.add(label);
}

function markPart(ends) {
  if (deck.front?.ready) segments.mark(deck.front.time_s, ends);
}

function seek(time_s) {
  const item = current(), choice = choiceOf(item);
  const scene = item.scenes.findIndex((s) => time_s >= s.start_s - 0.01 && time_s < s.end_s);
  const view = deck.front?.view;
  if (view && (time_s < view.from_s - 0.02 || time_s > view.to_s) && scene >= 0 && choice.scene !== scene) lookAtScene(scene);
  deck.front?.seek(Math.min(Math.max(time_s, deck.front.view.from_s), deck.front.view.to_s - 0.02));
  if (!deck.paused) { deck.toggle(); drawState(); }
  state.near = undefined;
}

// --- deciding --------------------------------------------------------------------------------------------------------

let chain = Promise.resolve();
const inTurn = (work) => { chain = chain.then(work).catch((error) => { console.error(error); toast("Something went wrong on this page; load it again."); }); };

function decisionOf(item, verdict) {
  const choice = choiceOf(item), accepted = verdict === "accept";
  const moved = choice.moved && choice.segment && (accepted || verdict === "unsure");
  const asked = accepted || (choice.touched && verdict === "unsure");
  return {
    client_key: newKey(),
    video_id: item.video_id,
    verdict: verdict === "no_action" ? "reject" : verdict,
    answers: asked && choice.offered.length ? labels.answers() : null,
    tags: choice.tags,
    segments: accepted || verdict === "unsure" ? choice.segments : [],
    why: verdict === "reject" ? choice.why : "",
    prefilled: Boolean(item.prefill),
    no_action: verdict === "no_action",
    scene: moved ? choice.segment.scene : null,
    start_s: moved ? choice.segment.start_s : null,
    end_s: moved ? choice.segment.end_s : null,
    seconds: Math.min(3600, (performance.now() - state.began) / 1000),
    page_version: boot.page_version,
    queue: item.queue,
    adjudication: item.queue === "conflicts",
    together: verdict === "skip" || item.queue === "conflicts" ? [] : choice.together ?? [],
  };
}

// The page moves on when the server has the decision on its disk. Without a connection the decision is kept here, which
// the page shows, and the next video comes anyway. A key pressed in between is ignored: its video was not seen yet.
function decide(verdict) {
  if (state.saving) return;
  if (current() && ["accept", "unsure"].includes(verdict) && segments.nameless) return toast("Say what happens in each part that you marked, or remove it.");
  const pressed = performance.now();
  state.saving = true;
  inTurn(async () => {
    try {
      const item = current();
      if (!item) return;
      const body = decisionOf(item, verdict);
      flash(verdict);
      const outcome = await outbox.add("/api/decisions", body);
      if (outcome.kept === "signed-out") return toast("You are signed out here. What you decided is kept; load the page again.");
      if (outcome.refused && outcome.refused !== 404) return; // said by onRefused; it can be decided in another way
      forgetDraft(item.video_id);
      $("recorded").textContent = recorded(body, outcome);
      if (!outcome.refused) state.past.push({ item, key: body.client_key });
      if (boot.single) {
        if (!outcome.refused) item.decided = body.verdict;
        if (outcome.saved) toast(`Saved: ${verdict.replace("_", " ")}. Press ${shownKey("z")} to take it back.`);
        return show();
      }
      state.items = state.items.filter((other) => other !== item && !body.together.includes(other.video_id));
      if (state.progress && verdict !== "skip") state.progress = { ...state.progress, own_done: state.progress.own_done + 1 };
      show();
      measure(pressed);
      refill();
    } finally {
      state.saving = false;
    }
  });
}

function undo() {
  inTurn(async () => {
    const last = state.past.pop();
    // The decision is named: what is in force on the server, or waits here, may have come in another order.
    const takes_back = last?.key ?? outbox.lastDecision() ?? (boot.single ? current()?.decided_key : null) ?? "";
    const outcome = await outbox.add("/api/undo", { client_key: newKey(), takes_back, page_version: boot.page_version, tab });
    if (outcome.refused) return; // said by onRefused
    const told = outcome.answer;
    if (!told) {
      if (last) showAgain(last.item, state.choices.get(last.item.video_id));
      return toast(last ? "Taken back here; the server will hear of it." : "The server does not answer; it will be asked again.");
    }
    if (!told.undone) return toast("Nothing to take back.");
    if (last?.item.video_id === told.undone.video_id) showAgain(last.item, state.choices.get(last.item.video_id));
    else if (told.item && (!boot.single || told.item.video_id === current()?.video_id)) showAgain(told.item, restoredChoice(told.item, told.previous));
    toast(`Taken back: ${told.previous?.verdict ?? "the last decision"}.`);
  });
}

function showAgain(item, choice) {
  item.decided = null;
  state.choices.set(item.video_id, choice ?? freshChoice(item));
  state.items = [item, ...state.items.filter((other) => other.video_id !== item.video_id)];
  show();
}

// What a screen reader says after each decision.
function recorded({ verdict, no_action, answers, together }, outcome) {
  const yes = Object.entries(answers ?? {}).filter(([, said]) => said === "yes").map(([label]) => label);
  const named = verdict !== "accept" || !answers ? "" : yes.length ? `: ${yes.join(", ")}` : ", none of the actions";
  const what = no_action ? "rejected, nobody acts" : { accept: "accepted", reject: "rejected", unsure: "unsure", skip: "skipped" }[verdict];
  return `${outcome.saved ? "Recorded" : outcome.refused ? "Not recorded" : "Kept here"}: ${what}${named}${together.length ? `, together with ${together.length} look-alikes` : ""}.`;
}

function flash(verdict) {
  const element = $("flash");
  element.className = `flash ${verdict}`;
  void element.offsetWidth;
  element.classList.add("on");
}

// --- more videos -----------------------------------------------------------------------------------------------------

async function refill() {
  if (boot.single || state.fetching || state.items.length > LOW) return;
  state.fetching = true;
  clearTimeout(refill.timer);
  const waiting = outbox.entries().flatMap(({ body }) => [body.video_id, ...(body.together ?? [])]).filter(Boolean);
  const exclude = [...new Set([...state.items.map((item) => item.video_id), ...waiting])];
  try {
    const { items, progress } = await send("/api/next", { queue: boot.queue, count: boot.held_ahead - state.items.length + waiting.length, exclude: exclude.slice(0, 200), tab });
    const known = new Set([...state.items.map((item) => item.video_id), ...outbox.entries().flatMap(({ body }) => [body.video_id, ...(body.together ?? [])])]);
    const fresh = items.filter((item) => !known.has(item.video_id)).slice(0, boot.held_ahead);
    state.progress = progress;
    if (!waiting.length) outbox.tell("saved"); // the server is there, and nothing is kept here
    const wasEmpty = !current();
    state.items.push(...fresh);
    for (const item of fresh) state.choices.delete(item.video_id);
    if (wasEmpty && fresh.length) show();
    else deck.prepare(state.items, viewFor);
    if (!current()) refill.timer = setTimeout(refill, 5000);
  } catch (error) {
    // Without a connection the videos that are loaded can still be judged; what is missing is asked for again.
    if (!error.status) outbox.tell("offline");
    refill.timer = setTimeout(refill, 3000);
  } finally {
    state.fetching = false;
    drawProgress();
    if (!current()) show();
    document.body.dataset.ready = "1";
  }
}

// The counts, shortly after the last of several decisions.
async function recount() {
  try {
    state.progress = await ask(`/api/progress?queue=${encodeURIComponent(boot.queue)}`);
    drawProgress();
  } catch { /* the next decision asks again */ }
}

// --- the connection --------------------------------------------------------------------------------------------------

const WORDS = { saved: "saved", saving: "saving …", offline: "offline", unsaved: "not saved", "signed-out": "signed out" };

let outbox = new Outbox(boot.dataset, boot.reviewer, {
  onState(name, waiting) {
    const pill = $("net");
    pill.dataset.waiting = String(waiting);
    clearTimeout(pill.timer);
    const draw = () => {
      pill.dataset.state = name;
      document.body.classList.toggle("saving", name === "saving");
      const kept = waiting && name !== "saving" && name !== "saved";
      const decisions = Object.assign(document.createElement("span"), { className: "wide-only", textContent: waiting === 1 ? " decision" : " decisions" });
      pill.replaceChildren(name === "unsaved" && outbox.isDiskFull ? "server's disk full" : WORDS[name], ...(kept ? [`, ${waiting}`, decisions, " kept here"] : []));
    };
    // Most decisions are saved within milliseconds: no flicker for those.
    if (name === "saving") pill.timer = setTimeout(draw, 150);
    else draw();
    drawNotice();
  },
  onRefused(entry, message) {
    state.past = state.past.filter(({ key }) => key !== entry.body.client_key);
    toast(`Not saved: ${message}`);
  },
  onSent() {
    if (boot.single) return;
    if (!current()) refill();
    clearTimeout(state.counting);
    state.counting = setTimeout(recount, RECOUNT_MS);
  },
});

setInterval(() => {
  if (!state.items.length) return;
  send("/api/leases/renew", { video_ids: state.items.map((item) => item.video_id), tab }).then(({ gone }) => {
    if (!gone.length) return;
    toast("A video was taken out of the dataset.");
    state.items = state.items.filter((item) => !gone.includes(item.video_id)); // what was taken down stops playing
    show();
    refill();
  }).catch(() => { /* leases end by themselves */ });
}, HEARTBEAT_MS);
addEventListener("pagehide", () => {
  const video_ids = state.items.map((item) => item.video_id);
  if (video_ids.length && !boot.single) send("/api/leases/release", { video_ids, tab }, { keepalive: true }).catch(() => { /* they end by themselves */ });
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// --- keys, buttons, fingers --------------------------------------------------------------------------------------------

const KEYS = {
  a: () => decide("accept"),
  r: () => decide("reject"),
  u: () => decide("unsure"),
  s: () => decide("skip"),
  x: () => decide("no_action"),
  z: () => undo(),
};
const HELD_KEYS = {
  n: () => lookAtScene((choiceOf(current()).scene ?? -1) + 1),
  p: () => lookAtScene((choiceOf(current()).scene ?? 1) - 1),
  c: () => takeFromScene(),
  l: () => $("label-search").focus(),
  t: () => $("tag-input").focus(),
  i: () => markPart(false),
  o: () => markPart(true),
  m: () => sound(!deck.sound),
  b: () => { state.boxes = !state.boxes; state.near = null; drawBoxes($("boxes"), current(), []); document.body.classList.toggle("no-boxes", !state.boxes); },
  d: () => guide(),
  e: () => lookAlikes(),
  f: () => $("flag").showModal(),
  PageUp: () => $("previous")?.href && $("previous").click(),
  PageDown: () => $("next")?.href && $("next").click(),
  "?": () => help(),
  " ": () => { deck.toggle(); drawState(); },
  "-": () => faster(-1),
  "+": () => faster(1),
  "=": () => faster(1),
  "0": () => resetSegment(),
  ArrowLeft: (event) => nudge("move", event.shiftKey ? -1 : -0.1),
  ArrowRight: (event) => nudge("move", event.shiftKey ? 1 : 0.1),
  "[": () => nudge("start", -0.1),
  "]": () => nudge("start", 0.1),
  "{": () => nudge("end", -0.1),
  "}": () => nudge("end", 0.1),
  ",": () => stepFrame(-1),
  ".": () => stepFrame(1),
};
function stepFrame(by) {
  const item = current(), front = deck.front;
  if (!front?.ready) return;
  if (!deck.paused) deck.toggle();
  const t = front.time_s + by / (item.fps || 30);
  front.seek(Math.min(Math.max(t, front.view.from_s), front.view.to_s - 0.5 / (item.fps || 30)));
  drawState();
}

function faster(by) {
  deck.speed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(deck.rate) + by))]);
  drawState();
}

// With sound, a copy that has it is played; it is made when somebody asks for it.
function sound(on) {
  if (on && !current()?.sound_url) return toast("This video has no sound.");
  deck.sound = on;
  $("sound").setAttribute("aria-pressed", String(on));
  if (current()) deck.look(viewFor(current()));
  drawState();
}

function guide() {
  for (const video of document.querySelectorAll("[data-poster]")) video.poster = video.dataset.poster;
  $("guide")?.showModal();
}

function help() {
  if ($("help").open) $("help").close();
  else $("help").showModal();
}

addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (typing && event.key === "Escape") return event.target.blur();
  const key = actionOf(event);
  // AltGr (Ctrl and Alt on some systems) and Option are how some layouts type brackets.
  const composed = event.altKey && "[]{}".includes(event.key) && event.key.length === 1;
  if (typing || ((event.ctrlKey || event.metaKey || event.altKey) && !composed) || (document.querySelector("dialog[open]") && key !== "?")) return;
  if (key === " " && event.target.matches("button:not(.act), a, summary")) return;
  if (KEYS[key]) {
    event.preventDefault();
    if (!event.repeat || key === "z") KEYS[key]();
  } else if (HELD_KEYS[key] && (current() || key === "?")) {
    event.preventDefault();
    HELD_KEYS[key](event);
  } else if (/^[1-9]$/.test(key) && current()) labels.toggle(Number(key) - 1, event.shiftKey && !/^[0-9]$/.test(event.key) ? "cannot_tell" : "yes");
});
// Space plays and pauses; on a button that decides the browser would press it when the key is let go.
addEventListener("keyup", (event) => { if (event.key === " " && event.target.matches?.(".act")) event.preventDefault(); });

for (const button of document.querySelectorAll("[data-verdict]")) {
  button.addEventListener("click", (event) => {
    if (event.detail) button.blur(); // clicked, not pressed: the next key belongs to the next video
    decide(button.dataset.verdict);
  });
}
function lookAlikes() {
  const item = current();
  if (item && $("alike-button")) alike.open(item, choiceOf(item));
}
$("alike-button")?.addEventListener("click", lookAlikes);
$("flag-button").addEventListener("click", () => $("flag").showModal());
$("flag-form").addEventListener("submit", async (event) => {
  const said = new FormData(event.target), item = current();
  if (event.submitter?.value === "cancel" || !item) return;
  try {
    await send("/api/flags", { video_id: item.video_id, kind: said.get("kind"), comment: said.get("comment") });
  } catch (error) {
    return toast(`Not flagged: ${error.message}`);
  }
  event.target.reset();
  state.items = state.items.filter((other) => other !== item);
  $("recorded").textContent = "Flagged and set aside.";
  toast("Set aside. The owner is told.");
  show();
  refill();
});
$("guide-button")?.addEventListener("click", guide);
for (const button of document.querySelectorAll("[data-mark]")) button.addEventListener("click", () => { $("guide").close(); labels.add(button.dataset.mark); });
$("guide")?.addEventListener("close", () => { for (const video of $("guide").querySelectorAll("video")) video.pause(); });
$("undo").addEventListener("click", undo);
$("help-button").addEventListener("click", help);
$("gold")?.addEventListener("change", async (event) => {
  try {
    await send(`/api/videos/${encodeURIComponent(current().video_id)}/gold`, { verdict: event.target.value || null });
    toast(event.target.value ? "A gold item now." : "No gold item any more.");
  } catch (error) {
    toast(error.message);
  }
});
$("reset-segment").addEventListener("click", resetSegment);
$("queue")?.addEventListener("change", (event) => location.assign(`/?queue=${encodeURIComponent(event.target.value)}`));
$("sound").addEventListener("click", () => sound(!deck.sound));
$("mark-part").addEventListener("click", () => markPart());

const SWIPE_PX = 70;
let touch = null;
$("stage").addEventListener("pointerdown", (event) => { touch = { x: event.clientX, y: event.clientY, id: event.pointerId, kind: event.pointerType }; });
$("stage").addEventListener("pointermove", (event) => {
  if (touch?.id !== event.pointerId || touch.kind === "mouse") return;
  $("screen").style.transform = `translateX(${(event.clientX - touch.x) / 3}px)`;
});
for (const over of ["pointerup", "pointercancel"]) {
  $("stage").addEventListener(over, (event) => {
    $("screen").style.transform = "";
    if (touch?.id !== event.pointerId) return;
    const x = event.clientX - touch.x, y = event.clientY - touch.y;
    if (over === "pointerup" && touch.kind !== "mouse" && Math.abs(x) > SWIPE_PX && Math.abs(x) > 2 * Math.abs(y)) decide(x > 0 ? "accept" : "reject");
    else if (over === "pointerup" && Math.hypot(x, y) < 8) { deck.toggle(); drawState(); }
    touch = null;
  });
}

// --- begin -----------------------------------------------------------------------------------------------------------

const unsent = new Set(outbox.entries().map(({ body }) => body.video_id));
state.items = boot.items.filter((item) => boot.single || !unsent.has(item.video_id));
outbox.tell();
outbox.flush();
refill();
show();
if (boot.single) {
  let listed = [];
  try {
    listed = JSON.parse(sessionStorage.getItem("tiktokactions-gallery")) ?? [];
  } catch { /* no sessionStorage */ }
  const at = listed.indexOf(location.pathname);
  for (const [name, path] of at < 0 ? [] : [["previous", listed[at - 1]], ["next", listed[at + 1]]]) {
    $(name).hidden = !path;
    if (path) $(name).href = path;
  }
  document.body.dataset.ready = "1";
}
requestAnimationFrame(tick);
