import { Refused, ask, boot, send } from "./talk.js";

const $ = (id) => document.getElementById(id);

function onSubmit(form, path, body) {
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await send(path, body());
      location.assign("/");
    } catch (error) {
      $("problem").textContent = error instanceof Refused ? error.message : "The server does not answer.";
    }
  });
}

onSubmit($("join"), "/api/join", () => ({ token: $("token").value.trim() }));
onSubmit($("name-form"), "/api/name", () => ({ name: $("name").value }));
$("leave")?.addEventListener("click", async () => {
  await send("/api/leave", {});
  location.assign("/name");
});
