// Dark unless light was chosen in this browser. Loaded before the page is drawn, so that nothing flickers.
{
  const name = "tiktokactions:theme";
  const show = (theme) => { document.documentElement.dataset.theme = theme; };
  const known = () => {
    try {
      return localStorage.getItem(name) === "light" ? "light" : "dark";
    } catch {
      return document.documentElement.dataset.theme ?? "dark";
    }
  };
  show(known());
  addEventListener("DOMContentLoaded", () => document.getElementById("theme")?.addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "light" ? "dark" : "light";
    show(theme);
    try {
      localStorage.setItem(name, theme);
    } catch { /* for this page only, then */ }
  }));
}
