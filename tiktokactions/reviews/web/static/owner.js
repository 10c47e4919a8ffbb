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

for (const button of document.querySelectorAll("[data-disable]")) {
  button.addEventListener("click", async () => {
    if (!confirm(`Shut out ${button.dataset.name}? What they decided stays.`)) return;
    try {
      await send(`/api/reviewers/${encodeURIComponent(button.dataset.disable)}/disable`, {});
      location.reload();
    } catch (error) {
      told(error);
    }
  });
}
