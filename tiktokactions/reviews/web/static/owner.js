import { Refused, send } from "./talk.js";

const $ = (id) => document.getElementById(id);
const told = (error) => { $("problem").textContent = error instanceof Refused ? error.message : "The server does not answer."; };

$("invite").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const made = await send("/api/invitations", { name: $("invite-name").value, role: $("invite-role").value });
    $("problem").textContent = "";
    $("link").hidden = false;
    $("link-name").textContent = made.reviewer;
    $("link-text").value = new URL(made.path, location.href).href;
    $("link-text").select();
  } catch (error) {
    told(error);
  }
});

$("copy").addEventListener("click", async () => {
  $("link-text").select();
  try {
    await navigator.clipboard.writeText($("link-text").value);
  } catch {
    document.execCommand("copy"); // the clipboard of plain http
  }
  $("copy").textContent = "Copied";
});

const change = async (path, body) => {
  try {
    await send(path, body);
    location.reload();
  } catch (error) {
    told(error);
  }
};
for (const button of document.querySelectorAll("[data-disable]")) {
  button.addEventListener("click", () => {
    if (confirm(`Shut out ${button.dataset.name}? What they decided stays.`)) change(`/api/reviewers/${encodeURIComponent(button.dataset.disable)}/disable`, {});
  });
}
for (const button of document.querySelectorAll("[data-settle]")) button.addEventListener("click", () => change(`/api/flags/${button.dataset.settle}/settle`, {}));
for (const button of document.querySelectorAll("[data-back]")) {
  const { back, to } = button.dataset;
  button.addEventListener("click", () => {
    const comment = prompt("What should they look at?", "");
    if (comment !== null) change("/api/flags", { video_id: back, kind: "sent_back", reviewer: to, comment: comment.slice(0, 100) });
  });
}
