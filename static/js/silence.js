/**
 * What does not answer just now, in words above the page: `<div data-silence>`. Each part that is
 * silent stands in `<html data-silent="engine feed">`, where the styles find it and fade the prices.
 */
import { live } from "./live.js";

const place = document.querySelector("[data-silence]");
let silent = [];

function line({ since, detail }) {
  const shape = document.querySelector("#silence-shape").content.cloneNode(true);
  shape.querySelector("[data-words]").textContent = detail;
  shape.querySelector("[data-age]").dataset.since = since;
  return shape;
}

function show() {
  document.documentElement.dataset.silent = silent.map(({ part }) => part).join(" ");
  place.replaceChildren(...silent.map(line));
  place.hidden = !silent.length;
  age();
}

/** Count the seconds of each silence; only the words are read out, not every second. */
function age() {
  for (const one of place.querySelectorAll("[data-age]")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(one.dataset.since)) / 1000));
    one.textContent = seconds < 120 ? `for ${seconds} s` : `for ${Math.floor(seconds / 60)} min`;
  }
}

if (place) {
  live.subscribe("status", {}, ({ data }) => {
    silent = data.at(-1).silent ?? [];
    show();
  });
  setInterval(age, 1000);
}
