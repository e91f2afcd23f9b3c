/**
 * `<order-book symbol="AAPLx" decimals="2">`: the ten best levels of each side with bars of depth. A row
 * fires `book-price` with `{ price, side }`, the side one would trade on; arrows move between rows. Levels
 * with an own order are marked; those stand as `[data-own-limit]` in the page's list of own orders.
 */
import { live } from "./live.js";
import { figure, make, shares } from "./live-figures.js";

const DEPTH = 10;
const NEAR = 5; // what phones show of them
const SIDES = {
  asks: { words: "Sell", taker: "buy", better: (a, b) => a - b },
  bids: { words: "Buy", taker: "sell", better: (a, b) => b - a },
};

class OrderBook extends HTMLElement {
  connectedCallback() {
    this.levels = { asks: new Map(), bids: new Map() };
    const pair = `${this.getAttribute("symbol")}/USD`;
    this.stop = live.subscribe("book", { symbol: [pair], depth: DEPTH }, (message) => this.hear(message));
    this.own = new Set();
    this.settled = () => this.mark();
    document.addEventListener("htmx:afterSettle", this.settled);
    this.addEventListener("click", this);
    this.addEventListener("keydown", this);
  }

  disconnectedCallback() {
    this.stop?.();
    document.removeEventListener("htmx:afterSettle", this.settled);
    cancelAnimationFrame(this.frame);
    this.frame = null;
  }

  hear({ type, data }) {
    for (const change of data) {
      for (const side of ["asks", "bids"]) {
        if (type === "snapshot") this.levels[side].clear();
        for (const { price, qty } of change[side]) {
          if (qty) this.levels[side].set(price, qty);
          else this.levels[side].delete(price);
        }
      }
    }
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  mark() {
    this.own = new Set([...document.querySelectorAll("#own-orders [data-own-limit]")].map(({ dataset }) => Number(dataset.ownLimit)));
    if (this.built) this.frame ??= requestAnimationFrame(() => this.draw());
  }

  best(side) {
    return [...this.levels[side]].sort(([a], [b]) => SIDES[side].better(a, b)).slice(0, DEPTH);
  }

  draw() {
    this.frame = null;
    if (!this.built) this.build();
    const sides = { asks: this.best("asks"), bids: this.best("bids") };
    const deepest = Math.max(...Object.values(sides).map((rows) => rows.reduce((sum, [, qty]) => sum + qty, 0)), 0);
    for (const side of ["asks", "bids"]) this.fill(side, sides[side], deepest);
    this.empty.hidden = Boolean(sides.asks.length || sides.bids.length);
    this.middle.hidden = this.head.hidden = !this.empty.hidden;
    const [[ask] = [], [bid] = []] = [sides.asks[0], sides.bids[0]];
    this.spread.textContent = ask && bid ? `Spread ${figure(ask - bid, this.decimals)}` : "";
  }

  build() {
    this.built = true;
    this.decimals = Number(this.getAttribute("decimals") ?? 2);
    this.rows = { asks: [], bids: [] };
    const list = (side) => make("div", { className: `book-side`, role: "group", ariaLabel: `${SIDES[side].words} orders` }, ...this.slots(side));
    this.head = make("div", { className: "book-head", ariaHidden: "true" }, make("span", { textContent: "Price" }), make("span", { textContent: "Shares" }), make("span", { textContent: "Total" }));
    this.spread = make("span");
    this.middle = make("p", { className: "book-middle" }, this.spread);
    this.empty = make("p", { className: "book-empty", textContent: "No offers just now." });
    this.replaceChildren(this.head, list("asks"), this.middle, list("bids"), this.empty);
  }

  /** Make the rows once; asks stand upside down, so the best prices meet in the middle. */
  slots(side) {
    const rows = Array.from({ length: DEPTH }, (_, index) => {
      const [price, quantity, total] = [0, 1, 2].map(() => make("span"));
      const bar = make("span", { className: "book-bar", ariaHidden: "true" });
      const row = make("button", { type: "button", className: "book-row", hidden: true, tabIndex: -1 }, bar, price, quantity, total);
      row.dataset.side = side;
      row.toggleAttribute("data-far", index >= NEAR);
      return { row, bar, price, quantity, total };
    });
    this.rows[side] = rows;
    rows[0].row.tabIndex = 0;
    const elements = rows.map(({ row }) => row);
    return side === "asks" ? elements.reverse() : elements;
  }

  fill(side, levels, deepest) {
    let total = 0;
    this.rows[side].forEach((slot, index) => {
      const [price, quantity] = levels[index] ?? [];
      slot.row.hidden = price === undefined;
      if (slot.row.hidden) return;
      total += quantity;
      const text = figure(price, this.decimals);
      slot.row.value = String(price);
      const mine = this.own.has(price);
      slot.row.toggleAttribute("data-own", mine);
      slot.row.ariaLabel = `${SIDES[side].words}, ${shares(quantity)} shares at $${text}${mine ? ", an order of yours among them" : ""}`;
      slot.price.textContent = text;
      slot.quantity.textContent = shares(quantity);
      slot.total.textContent = shares(total);
      slot.bar.style.inlineSize = `${deepest ? (total / deepest) * 100 : 0}%`;
    });
  }

  handleEvent(event) {
    const row = event.target.closest?.(".book-row");
    if (!row) return;
    if (event.type === "click") {
      const detail = { price: Number(row.value), side: SIDES[row.dataset.side].taker };
      this.dispatchEvent(new CustomEvent("book-price", { bubbles: true, detail }));
      return;
    }
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const rows = [...this.querySelectorAll(".book-row:not([hidden])")];
    rows[rows.indexOf(row) + step]?.focus();
  }
}

customElements.define("order-book", OrderBook);
