/**
 * The app on the home screen: registers the service worker, and shows every `data-install` (a button
 * that asks to install) where the browser offers it.
 */
let offer = null;

function show() {
  for (const part of document.querySelectorAll("[data-install]")) part.hidden = !offer;
}

window.addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  offer = event;
  show();
});

window.addEventListener("appinstalled", () => {
  offer = null;
  show();
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-install] button")) return;
  offer?.prompt();
});

navigator.serviceWorker?.register("/sw.js").catch((error) => console.warn("No service worker:", error.message));
