/**
 * Parts of a page that follow the private channels: an element with `hx-trigger="live:balances from:body"`
 * asks again whenever balances changed (likewise `live:executions`, `live:notifications`), and once after
 * a reconnect, so that what happened meanwhile is there.
 */
import { live } from "./live.js";

const GATHER_MS = 150;

for (const channel of ["executions", "balances", "notifications"]) {
  if (!document.querySelector(`[hx-trigger*="live:${channel}"], [data-hx-trigger*="live:${channel}"]`)) continue;
  let known = false;
  let timer = null;
  live.subscribe(channel, {}, ({ type }) => {
    if (type === "snapshot" && !known) {
      known = true;
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(() => document.body.dispatchEvent(new CustomEvent(`live:${channel}`)), GATHER_MS);
  });
}
