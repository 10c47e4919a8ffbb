// Which key does what. A key is the character that the layout types, or its place where that is no Latin one. People may
// change them; this browser keeps that.

const $ = (id) => document.getElementById(id);
const KEPT = "tiktokactions-keys";
const CHANGEABLE = [..."aruxszncpltbdefiom-+,.[]{}"];
const MODIFIERS = ["Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Tab"];
let changed = {}; // by the key as it is delivered, the person's own
try {
  const kept = Object.entries(JSON.parse(localStorage.getItem(KEPT)) ?? {});
  changed = Object.fromEntries(kept.filter(([key, own]) => CHANGEABLE.includes(key) && typeof own === "string" && own.length === 1));
} catch { /* no localStorage, or something else under this name */ }

export const shownKey = (key) => changed[key] ?? key;

// What a pressed key does, named by the key that does it as delivered; null where it was given away.
export function actionOf(event) {
  const key = keyOf(event), own = Object.keys(changed).find((name) => changed[name] === key);
  return own ?? (key in changed ? null : key);
}

// Where a layout has other characters than these on its keys, the place of the key counts (named as on a US keyboard).
const PLACES = { Comma: ",", Period: ".", BracketLeft: "[", BracketRight: "]", Minus: "-", Equal: "=", Slash: "?" };

export function keyOf(event) {
  const { key, code } = event;
  if (key === " " || code === "Space") return " ";
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(code ?? "");
  if (digit && !event.altKey && !"[]{}?+=-,.".includes(key)) return digit[1];
  if (key.length !== 1) return key;
  const typed = key.toLowerCase();
  if (typed.charCodeAt(0) < 128) return typed;
  if (/^Key[A-Z]$/.test(code ?? "")) return code.slice(3).toLowerCase();
  const place = PLACES[code];
  return place && event.shiftKey ? { "[": "{", "]": "}" }[place] ?? place : place ?? typed;
}

function draw() {
  for (const shown of document.querySelectorAll("[data-key]")) shown.textContent = shownKey(shown.dataset.key);
  try {
    localStorage.setItem(KEPT, JSON.stringify(changed));
  } catch { /* no localStorage */ }
}

const say = (text) => { $("keys-said").textContent = text; };

function change(name, event) {
  const key = keyOf(event), taken = CHANGEABLE.find((other) => other !== name && shownKey(other) === key);
  if (key === "Escape") return say("");
  if (key.length !== 1 || " ?=0123456789".includes(key) || event.ctrlKey || event.metaKey) return say("This key is needed for something else; choose another one.");
  if (taken) return say(`${key} does something already; change that first.`);
  if (key === name) delete changed[name];
  else changed[name] = key;
  say(`${key} does it now.`);
}

// In the help, keys are buttons: press one, then the key that shall do it. Everywhere else they are shown as they are now.
for (const shown of document.querySelectorAll("kbd")) {
  const name = shown.textContent.trim();
  if (!CHANGEABLE.includes(name)) continue;
  shown.dataset.key = name;
  if (!shown.closest("#help dt")) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "key";
  button.setAttribute("aria-description", `${shown.closest("dt").nextElementSibling.textContent}. Press to change this key.`);
  shown.replaceWith(button);
  button.dataset.key = name;
  let waits = false;
  const wait = (on) => { waits = on; button.classList.toggle("waits", on); if (!on) draw(); else { button.textContent = "…"; say("Press the key that shall do it."); } };
  button.addEventListener("click", () => wait(!waits));
  button.addEventListener("blur", () => waits && wait(false));
  button.addEventListener("keydown", (event) => {
    if (!waits || MODIFIERS.includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    change(name, event);
    wait(false);
  });
}
$("keys-reset").addEventListener("click", () => { changed = {}; draw(); say("All keys are as delivered."); });
draw();
