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
