import { Refused, send } from "./talk.js";

const $ = (id) => document.getElementById(id);
let replace = false; // whether somebody else's session in this browser may end

async function join(token) {
  try {
    await send("/api/join", { token: token.trim(), replace });
    location.replace("/");
  } catch (error) {
    $("token").value = token;
    replace = error.status === 409;
    $("problem").textContent = error instanceof Refused ? error.message : "The server does not answer.";
    $("send").textContent = replace ? "Join all the same" : "Join";
  }
}

$("join")?.addEventListener("submit", (event) => {
  event.preventDefault();
  join($("token").value);
});
$("leave")?.addEventListener("click", async () => {
  await send("/api/leave", {});
  location.assign("/");
});

const given = new URLSearchParams(location.search).get("token");
if ($("join") && given) {
  history.replaceState(null, "", location.pathname); // the token stays out of sight, and out of the history
  join(given);
}
