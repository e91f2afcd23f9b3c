// Runs before the first paint, so that neither theme nor hidden balances flash.
(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    if (localStorage.getItem("balances") === "hidden") root.dataset.balances = "hidden";
  } catch {
    // Storage may be closed to us: the system's theme and open balances then.
  }
})();
