/**
 * The two sockets of the page, `/ws/v2` and `/ws/v2/private`, in the shapes of Kraken's WebSocket v2.
 *
 *   const stop = live.subscribe("ticker", { symbol: ["AAPLx/USD"] }, (message) => …);
 *
 * `message` is `{ channel, type: "snapshot" | "update", data: […] }`, its data narrowed to the symbols
 * asked for. Every snapshot replaces what came before it: one comes at the start and after each
 * reconnect. Equal subscriptions share one on the wire. `live.status` is "idle", "connecting",
 * "live", "stale" (nothing heard for four seconds) or "offline"; each change is an event "status"
 * and stands on `<html data-live>`, where the styles find it.
 */
import { Socket } from "./socket.js";

const PRIVATE = new Set(["executions", "balances", "notifications"]);

class Live extends EventTarget {
  status = "idle";
  #public = this.#socket("/ws/v2");
  #private = this.#socket("/ws/v2/private");

  subscribe(channel, params, callback) {
    const socket = PRIVATE.has(channel) ? this.#private : this.#public;
    return socket.add(channel, params ?? {}, callback);
  }

  /** Connect now instead of after the wait: the page came back from sleep or a lost network. */
  wake() {
    for (const socket of [this.#public, this.#private]) socket.wake();
  }

  #socket(path) {
    return new Socket(path, {
      report: (socket, status) => this.#report(socket, status),
      refused: (detail) => this.dispatchEvent(new CustomEvent("refused", { detail })),
    });
  }

  /** The page is as fresh as its worst socket. */
  #report(socket, status) {
    socket.status = status;
    const states = [this.#public, this.#private].filter((one) => one.wanted.size).map((one) => one.status);
    const worst = ["offline", "connecting", "stale", "live"].find((state) => states.includes(state)) ?? "idle";
    if (worst === this.status) return;
    this.status = worst;
    document.documentElement.dataset.live = worst;
    this.dispatchEvent(new CustomEvent("status", { detail: worst }));
  }
}

export const live = new Live();

window.addEventListener("online", () => live.wake());
window.addEventListener("pageshow", (event) => event.persisted && live.wake());
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && live.wake());
