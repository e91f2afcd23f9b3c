/** `<trade-tape symbol="AAPLx" decimals="2">`: the last trades, newest first; the arrow is the taker's side. */
import { live } from "./live.js";
import { figure, make, shares } from "./live-figures.js";
import { timeOfDay } from "./times.js";

const SHOWN = 20;
const ARROWS = { buy: "\u25B2", sell: "\u25BC" };

class TradeTape extends HTMLElement {
  connectedCallback() {
    this.trades = [];
    const pair = `${this.getAttribute("symbol")}/USD`;
    this.stop = live.subscribe("trade", { symbol: [pair] }, (message) => this.hear(message));
  }

  disconnectedCallback() {
    this.stop?.();
  }

  hear({ type, data }) {
    const newest = data.toReversed();
    this.trades = (type === "snapshot" ? newest : [...newest, ...this.trades]).slice(0, SHOWN);
    this.draw(type === "update" ? newest.length : 0);
  }

  draw(fresh) {
    if (!this.trades.length) {
      this.replaceChildren(make("p", { className: "book-empty", textContent: "No trades yet." }));
      return;
    }
    const head = make("div", { className: "book-head", ariaHidden: "true" }, ...["Price", "Shares", "Time"].map((textContent) => make("span", { textContent })));
    const rows = this.trades.map((trade, index) => this.row(trade, index < fresh));
    const note = make("p", { className: "tape-note soft small", textContent: "Simulated trades" });
    note.hidden = !this.trades.some((trade) => trade.simulated);
    this.replaceChildren(note, head, make("ol", { className: "tape-rows", ariaLabel: "Last trades, newest first" }, ...rows));
  }

  row({ side, price, qty, timestamp }, isFresh) {
    const words = make("span", { className: "sr-only", textContent: side === "buy" ? "bought at " : "sold at " });
    const arrow = make("span", { ariaHidden: "true", textContent: `${ARROWS[side]} ` });
    const time = make("time", { dateTime: timestamp, textContent: timeOfDay(new Date(timestamp)) });
    const row = make(
      "li",
      { className: "tape-row" },
      make("span", { className: side === "buy" ? "up" : "down" }, words, arrow, figure(price, Number(this.getAttribute("decimals") ?? 2))),
      make("span", { textContent: shares(qty) }),
      time,
    );
    if (isFresh) row.dataset.fresh = "";
    return row;
  }
}

customElements.define("trade-tape", TradeTape);
