/**
 * `<live-price symbol="AAPLx" field="last">` and `<live-change symbol="AAPLx">`: rendered by the server,
 * kept true by the ticker (field: reference_price where none is named). A changed price tints for a moment
 * in the direction it went, then rests; while the feed is silent it looks old.
 */
import { figure, shares } from "../live-figures.js";
import { live } from "../live.js";

const TINT_MS = 400;
const MINUS = "\u2212";

/** Give the parts of a price as the server writes them: `<span class="money-currency">$</span>278<span …>.50</span>`. */
export function priceParts(value) {
  const decimals = Math.abs(value) >= 1 || value === 0 ? 2 : 4;
  const [whole, cents] = figure(Math.abs(value), decimals).split(".");
  return [part("money-sign", value < 0 ? MINUS : ""), part("money-currency", "$"), whole, part("money-cents", `.${cents}`)];
}

function part(name, text) {
  return Object.assign(document.createElement("span"), { className: name, textContent: text });
}

class TickerElement extends HTMLElement {
  connectedCallback() {
    const symbol = this.getAttribute("symbol");
    if (!symbol) return;
    this.stop = live.subscribe("ticker", { symbol: [`${symbol}/USD`] }, ({ data }) => this.show(data.at(-1)));
  }

  disconnectedCallback() {
    this.stop?.();
  }
}

class LivePrice extends TickerElement {
  show(ticker) {
    this.toggleAttribute("data-old", ticker.stale === true);
    const value = ticker[this.getAttribute("field") || "reference_price"];
    if (value === undefined || value === null || value === this.value) return;
    const before = this.value ?? Number(this.getAttribute("value")); // exact, where the text is rounded
    this.value = value;
    this.replaceChildren(...priceParts(value));
    if (!before || before === value) return;
    this.dataset.moved = value > before ? "up" : "down";
    clearTimeout(this.rest);
    this.rest = setTimeout(() => delete this.dataset.moved, TINT_MS);
  }
}

class LiveChange extends TickerElement {
  show({ change_pct: pct }) {
    if (!this.ranged) this.say(pct);
  }

  /** Say the change over the range that a chart shows, from now on. */
  over(pct) {
    this.ranged = true;
    this.say(pct);
  }

  say(pct) {
    if (pct === undefined || pct === null) return;
    const sign = pct > 0 ? "+" : pct < 0 ? MINUS : "";
    const text = `${sign}${Math.abs(pct).toFixed(2)}%`;
    if (text === this.textContent) return;
    this.dataset.tone = pct > 0 ? "up" : pct < 0 ? "down" : "flat";
    this.textContent = text;
  }
}

/** `<live-shares symbol="AAPLx" field="volume">`: a quantity of the ticker, in shares. */
class LiveShares extends TickerElement {
  show(ticker) {
    const value = ticker[this.getAttribute("field")];
    const figure = this.querySelector("data");
    if (value === undefined || value === null || !figure) return;
    figure.value = String(value);
    figure.removeAttribute("title");
    figure.firstChild.data = figure.children.length ? `${shares(value)} ` : shares(value);
  }
}

customElements.define("live-shares", LiveShares);
customElements.define("live-price", LivePrice);
customElements.define("live-change", LiveChange);
