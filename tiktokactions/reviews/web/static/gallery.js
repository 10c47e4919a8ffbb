import { Refused, ask, boot, newKey, send } from "./talk.js";

const form = document.querySelector(".filters");
for (const input of form.querySelectorAll("input[type=radio], select")) input.addEventListener("change", () => form.requestSubmit());
for (const picture of document.querySelectorAll(".picture img")) {
  const gone = () => picture.remove();
  if (picture.complete && !picture.naturalWidth) gone();
  else picture.addEventListener("error", gone);
}
try { // the video's page goes on from here
  sessionStorage.setItem("tiktokactions-gallery", JSON.stringify([...document.querySelectorAll(".tile a")].map((link) => link.pathname)));
} catch { /* no sessionStorage */ }

// --- several at once ---

const $ = (id) => document.getElementById(id);
const boxes = [...document.querySelectorAll(".pick input")];
const picked = () => boxes.filter((box) => box.checked).map((box) => box.value);
// What was done in one go in this tab, the newest last: [{key, count}].
const kept = "tiktokactions-bulk";
let past = [];
try {
  past = JSON.parse(sessionStorage.getItem(kept)) ?? [];
} catch { /* no sessionStorage */ }

function draw() {
  const n = picked().length;
  $("picked").textContent = n ? `${n} selected` : "none selected";
  $("all").textContent = n && n === boxes.length ? "Select none" : "Select all";
  for (const part of $("bulk").querySelectorAll("[data-bulk], input")) part.hidden = !n;
  $("take-back").hidden = !past.length;
  $("take-back").textContent = past.length ? `Undo ${past.at(-1).count}` : "Undo";
  try {
    sessionStorage.setItem(kept, JSON.stringify(past.slice(-20)));
  } catch { /* no sessionStorage */ }
}

async function inOneGo(button) {
  const { bulk, said } = button.dataset, label = $("bulk-label").value.trim();
  if (said && !label) return $("bulk-label").focus();
  const body = { client_key: newKey(), video_ids: picked(), verdict: bulk, page_version: boot.page_version, ...(said ? { label, said } : {}) };
  const { recorded, refused } = await send("/api/bulk", body);
  if (recorded) past.push({ key: body.client_key, count: recorded });
  for (const box of boxes) box.checked = box.value in refused; // those stay selected
  const [why] = Object.values(refused);
  return `${recorded} judged.${why ? ` ${Object.keys(refused).length} not: ${why}` : ""}`;
}

async function takeBack() {
  const { undone } = await send("/api/bulk/undo", { takes_back: past.at(-1).key });
  past.pop();
  return `${undone.length} taken back.`;
}

async function telling(work) {
  try {
    $("told").textContent = (await work()) ?? "";
  } catch (error) {
    $("told").textContent = error instanceof Refused ? error.message : "The server does not answer.";
  }
  draw();
}

for (const box of boxes) box.addEventListener("change", draw);
$("all").addEventListener("click", () => {
  const every = picked().length < boxes.length;
  for (const box of boxes) box.checked = every;
  draw();
});
for (const button of $("bulk").querySelectorAll("[data-bulk]")) button.addEventListener("click", () => telling(() => inOneGo(button)));
$("take-back").addEventListener("click", () => telling(takeBack));
$("bulk").addEventListener("submit", (event) => event.preventDefault());
for (const what of ["focus", "input"]) {
  $("bulk-label").addEventListener(what, async (event) => {
    const found = await ask(`/api/labels?limit=20&q=${encodeURIComponent(event.target.value)}`).catch(() => []);
    $("bulk-labels").replaceChildren(...found.map(({ label: value }) => Object.assign(document.createElement("option"), { value })));
  });
}
draw();
