// Requests to the server: the only place that knows about the session's mark and about errors.

export const boot = JSON.parse(document.body.dataset.boot ?? "null");
let mark = boot?.mark ?? "";

// Every tab holds videos of its own. Its name outlives a reload, but is not in a copy of the tab: it is put down only while
// the page is left.
const TAB = "tiktokactions-tab";
export const tab = (() => {
  try {
    const kept = sessionStorage.getItem(TAB);
    sessionStorage.removeItem(TAB);
    return kept ?? newKey();
  } catch {
    return newKey();
  }
})();
addEventListener("pagehide", () => {
  try {
    sessionStorage.setItem(TAB, tab);
  } catch { /* no sessionStorage */ }
});

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export async function send(path, body, { keepalive = false, timeout_ms = 20000 } = {}) {
  return answerOf(await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Review-Token": mark },
    body: JSON.stringify(body),
    credentials: "same-origin",
    keepalive,
    signal: keepalive ? undefined : AbortSignal.timeout(timeout_ms),
  }));
}

export async function ask(path) {
  return answerOf(await fetch(path, { credentials: "same-origin", signal: AbortSignal.timeout(20000) }));
}

async function answerOf(response) {
  let answer = null;
  try {
    answer = await response.json();
  } catch (error) {
    if (response.ok) throw error;
  }
  if (!response.ok) throw new Refused(response.status, answer?.error ?? `the server answered ${response.status}`);
  return answer;
}

// The page may be older than the session (another tab has signed in anew): take the mark again, for the same person only.
export async function renewMark() {
  const session = await ask("/api/session");
  if (boot && session.reviewer !== boot.reviewer) throw new Refused(401, "somebody else has signed in here; load the page again");
  mark = session.token;
}

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
