/** The frame: "/" finds the search, the theme and hidden balances are remembered, the line is watched. */
import { live } from "./live.js";

const root = document.documentElement;

function remember(key, value) {
  try {
    if (value) localStorage.setItem(key, value);
    else localStorage.removeItem(key);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

function showBalances() {
  const hidden = root.dataset.balances === "hidden";
  for (const button of document.querySelectorAll("[data-toggle-balances]")) {
    button.setAttribute(button.role === "switch" ? "aria-checked" : "aria-pressed", String(hidden));
  }
}

function showTheme() {
  for (const choice of document.querySelectorAll('input[name="theme"]')) {
    choice.checked = choice.value === (root.dataset.theme ?? "system");
  }
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-toggle-balances]")) return;
  const hide = root.dataset.balances !== "hidden";
  if (hide) root.dataset.balances = "hidden";
  else delete root.dataset.balances;
  remember("balances", hide ? "hidden" : null);
  showBalances();
});

document.addEventListener("change", (event) => {
  if (event.target.name !== "theme") return;
  const theme = event.target.value === "system" ? null : event.target.value;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  remember("theme", theme);
  root.dispatchEvent(new CustomEvent("theme", { bubbles: true }));
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const search = document.querySelector("main input[type=search], .search input");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

const WORDS = { stale: "Prices paused", offline: "Reconnecting", connecting: null, live: null, idle: null };

live.addEventListener("status", ({ detail }) => {
  for (const state of document.querySelectorAll("[data-live-state]")) {
    state.textContent = WORDS[detail] ?? "";
    state.hidden = !WORDS[detail];
  }
});

showBalances();
showTheme();
