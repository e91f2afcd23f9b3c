/** Toasts: Django's messages, notifications of the private channel, and `toast("Copied.")` of any module. */
import { live } from "./live.js";

const LASTS_MS = 7000;
const region = document.getElementById("toasts");

/** Show a short message; `title` stands above it, `tone` is info, up, warn or down, `href` where it leads. */
export function toast(text, { title = "", tone = "info", href = null } = {}) {
  const shape = document.getElementById("toast-shape")?.content.firstElementChild;
  if (!shape || !region) return;
  const node = shape.cloneNode(true);
  const line = href ? Object.assign(document.createElement("a"), { href }) : document.createElement("span");
  if (title) line.append(Object.assign(document.createElement("strong"), { textContent: title }), " ");
  line.append(text);
  node.dataset.tone = tone;
  node.querySelector(".toast-text").replaceChildren(line);
  region.append(node);
  settle(node);
}

/** Let it go by itself, but never from under a hand or a reading eye. */
function settle(node) {
  let timer = null;
  const start = () => (timer = setTimeout(() => node.remove(), LASTS_MS));
  node.addEventListener("pointerenter", () => clearTimeout(timer));
  node.addEventListener("focusin", () => clearTimeout(timer));
  node.addEventListener("pointerleave", start);
  node.addEventListener("focusout", start);
  start();
}

region?.addEventListener("click", (event) => event.target.closest("[data-dismiss]")?.closest(".toast").remove());
region?.querySelectorAll(".toast").forEach(settle);

if ("signedIn" in document.documentElement.dataset) {
  live.subscribe("notifications", {}, ({ type, data }) => {
    if (data.length) document.documentElement.dataset.unread = "";
    if (type !== "update") return;
    for (const { title, body, url } of data) if (url !== location.pathname) toast(body, { title, href: url });
  });
}
