/**
 * `<live-total positions='{"cash": 12.5, "positions": {"AAPLx": [shares, price]}}'>`: a total that follows
 * the tickers. The server's own figure comes back whenever a balance changes; this one is for the eye.
 */
import { live } from "../live.js";

const REDRAW_MS = 500;

class LiveTotal extends HTMLElement {
  connectedCallback() {
    const { cash, positions } = JSON.parse(this.getAttribute("positions") || "{}");
    this.cash = cash ?? 0;
    this.positions = new Map(Object.entries(positions ?? {}));
    const symbol = [...this.positions.keys()].map((name) => `${name}/USD`);
    if (symbol.length) this.stop = live.subscribe("ticker", { symbol }, ({ data }) => this.hear(data));
  }

  disconnectedCallback() {
    this.stop?.();
    clearTimeout(this.timer);
  }

  hear(data) {
    for (const { symbol, reference_price: price } of data) {
      const position = this.positions.get(symbol.replace("/USD", ""));
      if (position && price) position[1] = Number(price);
    }
    this.timer ??= setTimeout(() => this.draw(), REDRAW_MS);
  }

  draw() {
    this.timer = null;
    const shown = this.querySelector("data");
    if (!shown) return;
    let total = this.cash;
    for (const [shares, price] of this.positions.values()) total += shares * price;
    const cents = Math.floor(total * 100 + 1e-6);
    const whole = Math.floor(cents / 100).toLocaleString("en-US");
    shown.value = total.toFixed(6);
    const text = [...shown.childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
    if (text) text.data = whole;
    const small = shown.querySelector(".money-cents");
    if (small) small.textContent = `.${String(cents % 100).padStart(2, "0")}`;
  }
}

customElements.define("live-total", LiveTotal);
