/**
 * Parts of a page that follow the private channels: an element with `hx-trigger="live:balances from:body"`
 * asks again whenever balances changed (likewise `live:executions`, `live:notifications`), and once after
 * a reconnect, so that what happened meanwhile is there. Parts that come later are found as well.
 */
import { live } from "./live.js";

const GATHER_MS = 150;
const CHANNELS = ["executions", "balances", "notifications"];
const followed = new Set();

/**
 * Follow what somebody waits for. An order may have moved on between the page's making and our listening, so
 * orders are asked for at once; other parts only where they came `late`.
 */
function follow(late) {
  for (const channel of CHANNELS) {
    if (followed.has(channel) || !document.querySelector(`[hx-trigger*="live:${channel}"], [data-hx-trigger*="live:${channel}"]`)) continue;
    followed.add(channel);
    let known = late || channel === "executions";
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
}

follow(false);
document.addEventListener("htmx:afterSettle", () => follow(true));
