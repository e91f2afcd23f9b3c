/**
 * The service worker: keeps the app's shell (styles, scripts, font, icons) and says so when there is
 * no network. Pages, prices and balances are never kept, so nothing old can pass for live; what moves
 * money is not touched at all.
 */
const CACHE = "shell-{{ version }}";
const OFFLINE = "{% url 'offline' %}";
const SHELL = {{ shell }};

self.addEventListener("install", (event) => {
  event.waitUntil(keep().then(() => self.skipWaiting()));
});

async function keep() {
  const cache = await caches.open(CACHE);
  await Promise.all([
    cache.addAll(SHELL),
    cache.add(new Request(OFFLINE, { credentials: "omit", cache: "reload" })),
  ]);
}

self.addEventListener("activate", (event) => {
  event.waitUntil(forget().then(() => self.clients.claim()));
});

async function forget() {
  await self.registration.navigationPreload?.enable();
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate") event.respondWith(open(event));
  else if (SHELL.includes(new URL(request.url).pathname)) event.respondWith(take(request));
});

/** The page as the server has it now, or the page that says we are offline. */
async function open(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await caches.match(OFFLINE, { ignoreVary: true })) ?? Response.error();
  }
}

async function take(request) {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}
