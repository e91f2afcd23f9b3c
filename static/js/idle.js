/** Waiting for a moment in which nobody waits: heavy parts come then, one at a time. */
export const idle = () => new Promise((done) => (window.requestIdleCallback ?? setTimeout)(done, { timeout: 2000 }));

/** Wait until the page stands, with all it needs at first. */
export async function pageStands() {
  if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done, { once: true }));
  await idle();
}
