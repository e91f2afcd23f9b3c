/**
 * Money that follows the tickers, within what the server rendered; the server's own figure comes back
 * whenever a balance changes. While a price is old, so is what it makes.
 *
 * `<live-worth symbol="AAPLx" shares="10.2">`: what so many shares are worth.
 * `<live-total positions='{"cash": 12.5, "then": 900, "positions": {"AAPLx": [shares, price]}}'>`: all of
 * it, and in its pill how it compares with what there was a day ago (`then`, money in and out aside).
 */
import { figure } from "../live-figures.js";
import { live } from "../live.js";

const REDRAW_MS = 500;
const MINUS = "\u2212";

/** Write dollars into a `<data class="money">` of the server's, cents cut as it cuts them. */
function write(money, dollars, { signed = false } = {}) {
  const cents = Math.floor(Math.abs(dollars) * 100 + 1e-6);
  const set = (name, text) => {
    const part = money.querySelector(name);
    if (part) part.textContent = text;
  };
  const whole = [...money.childNodes].find((node) => node.nodeType === Node.TEXT_NODE);
  if (whole) whole.data = figure(Math.floor(cents / 100), 0);
  set(".money-sign", dollars < 0 ? MINUS : signed && cents ? "+" : "");
  set(".money-cents", `.${String(cents % 100).padStart(2, "0")}`);
  money.value = dollars.toFixed(6);
}

class LiveMoney extends HTMLElement {
  connectedCallback() {
    this.old = new Set();
    const symbol = this.symbols().map((name) => `${name}/USD`);
    if (symbol.length) this.stop = live.subscribe("ticker", { symbol }, ({ data }) => this.hear(data));
  }

  disconnectedCallback() {
    this.stop?.();
    clearTimeout(this.timer);
  }

  hear(data) {
    for (const { symbol, reference_price: price, stale } of data) {
      if (stale) this.old.add(symbol);
      else this.old.delete(symbol);
      if (price) this.take(symbol.replace("/USD", ""), Number(price));
    }
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.toggleAttribute("data-old", this.old.size > 0);
      this.draw();
    }, REDRAW_MS);
  }
}

class LiveWorth extends LiveMoney {
  symbols() {
    return [this.getAttribute("symbol")];
  }

  take(_symbol, price) {
    this.worth = price * Number(this.getAttribute("shares"));
  }

  draw() {
    const money = this.querySelector("data");
    if (money && this.worth !== undefined) write(money, this.worth);
  }
}

class LiveTotal extends LiveMoney {
  symbols() {
    const { cash, then, positions } = JSON.parse(this.getAttribute("positions") || "{}");
    this.cash = cash ?? 0;
    this.then = then ?? 0;
    this.positions = new Map(Object.entries(positions ?? {}));
    return [...this.positions.keys()];
  }

  take(symbol, price) {
    const position = this.positions.get(symbol);
    if (position) position[1] = price;
  }

  draw() {
    let total = this.cash;
    for (const [shares, price] of this.positions.values()) total += shares * price;
    const shown = this.querySelector(".money-total");
    if (shown) write(shown, total);
    const pill = this.querySelector(".pill");
    if (pill && this.then > 0) this.compare(pill, total - this.then);
  }

  /** The pill reads "▲ +$154.10 +1.25%": money, then percent as its last text. */
  compare(pill, change) {
    const pct = (100 * change) / this.then;
    const tone = Number(pct.toFixed(2));
    pill.dataset.tone = tone > 0 ? "up" : tone < 0 ? "down" : "flat";
    const money = pill.querySelector("data");
    if (money) write(money, change, { signed: true });
    pill.lastChild.data = ` ${tone > 0 ? "+" : tone < 0 ? MINUS : ""}${Math.abs(pct).toFixed(2)}%`;
  }
}

customElements.define("live-worth", LiveWorth);
customElements.define("live-total", LiveTotal);
