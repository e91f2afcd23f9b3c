/**
 * `<market-state symbol state session>` around what the server says of a market's state: when the ticker says
 * otherwise, it asks the server again, and tells the page by `live:market` on the body (the ticket listens).
 */
import { live } from "../live.js";

class MarketState extends HTMLElement {
  connectedCallback() {
    const symbol = [`${this.getAttribute("symbol")}/USD`];
    this.stop = live.subscribe("ticker", { symbol }, ({ data }) => this.compare(data.at(-1)));
  }

  disconnectedCallback() {
    this.stop?.();
  }

  compare({ state, session }) {
    if (this.asked || (state === this.getAttribute("state") && session === this.getAttribute("session"))) return;
    this.asked = true;
    document.body.dispatchEvent(new CustomEvent("live:market"));
  }
}

customElements.define("market-state", MarketState);
