const form = document.querySelector(".filters");
for (const input of form.querySelectorAll("input[type=radio], select")) input.addEventListener("change", () => form.requestSubmit());
