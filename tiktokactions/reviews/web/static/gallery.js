const form = document.querySelector(".filters");
for (const input of form.querySelectorAll("input[type=radio], select")) input.addEventListener("change", () => form.requestSubmit());
for (const picture of document.querySelectorAll(".picture img")) {
  const gone = () => picture.remove();
  if (picture.complete && !picture.naturalWidth) gone();
  else picture.addEventListener("error", gone);
}
