/**
 * `<order-ticket symbol name>` around the server's ticket: its answer follows the typing by htmx. This
 * adds what HTML cannot: the button says what it does, the answer follows the price, parts of a balance
 * and rows of the order book fill the ticket in, and on phones the ticket is a sheet from the bottom.
 */
import { live } from "../live.js";
import { toast } from "../toasts.js";

const REPRICE_MS = 2500;
const phone = matchMedia("(max-width: 1079.98px)");

class OrderTicket extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.fold = () => this.sheet();
    this.fill = (event) => this.take(event.detail);
    this.opened = (event) => this.side(event.target.closest("[data-opens=ticket]")?.dataset.side);
    this.addEventListener("click", (event) => this.part(event.target.closest("[data-part]")?.dataset.part));
    this.addEventListener("input", () => this.typed());
    this.addEventListener("htmx:afterSettle", () => this.show());
    for (const failure of ["htmx:responseError", "htmx:sendError"]) {
      this.addEventListener(failure, (event) => event.target === this.form && this.failed());
    }
    phone.addEventListener("change", this.fold);
    document.addEventListener("book-price", this.fill);
    document.addEventListener("click", this.opened);
    const symbol = [`${this.getAttribute("symbol")}/USD`];
    this.stop = live.subscribe("ticker", { symbol }, ({ data }) => this.moved(data.at(-1)));
    for (const node of document.querySelectorAll("[data-needs-script]")) node.hidden = false;
    if (phone.matches) this.sheet();
    this.show();
  }

  disconnectedCallback() {
    this.stop?.();
    clearTimeout(this.timer);
    phone.removeEventListener("change", this.fold);
    document.removeEventListener("book-price", this.fill);
    document.removeEventListener("click", this.opened);
  }

  get form() {
    return this.querySelector(".ticket-form");
  }

  /** Beside the chart it is part of the page; on a phone it waits below the edge until it is opened. */
  sheet() {
    if (!this.dialog) return;
    this.dialog.close();
    if (!phone.matches) this.dialog.setAttribute("open", "");
  }

  /** The button carries what the server says that pressing it does, and can be pressed once it can work. */
  show() {
    const { form } = this;
    if (!form) return;
    for (const node of form.querySelectorAll("[data-needs-script]")) node.hidden = false;
    const said = form.querySelector(".ticket-said");
    const idle = `${form.elements.side.value === "sell" ? "Sell" : "Buy"} ${this.getAttribute("name")}`;
    form.querySelector(".ticket-label").textContent = said?.dataset.label || idle;
    form.querySelector(".ticket-go").disabled = !(form.elements.amount.value && said && "ready" in said.dataset);
  }

  /** What was typed is not what was answered: the button waits for the answer. */
  typed() {
    const { form } = this;
    form?.querySelector(".ticket-answer").setAttribute("aria-live", "polite");
    const go = form?.querySelector(".ticket-go");
    if (go) go.disabled = true;
  }

  /** The price moved: ask again, quietly, at most every few seconds. */
  moved({ last }) {
    if (last === this.last) return;
    this.last = last;
    if (this.timer || !this.form?.elements.amount.value || document.hidden) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      const answer = this.querySelector(".ticket-answer");
      answer?.setAttribute("aria-live", "off");
      answer?.dispatchEvent(new CustomEvent("reprice"));
    }, REPRICE_MS);
  }

  /** Nobody knows whether it was placed; the same ticket again is the same order, so pressing is safe. */
  failed() {
    toast("We did not hear back. Press again: one ticket is one order, however often you press.", { tone: "warn" });
  }

  side(side) {
    if (!side || !this.form) return;
    this.form.elements.side.value = side;
    this.changed();
    this.form.elements.amount.focus();
  }

  part(percent) {
    const { form } = this;
    if (!percent || !form) return;
    const selling = form.elements.side.value === "sell";
    form.elements.measure.value = selling ? "shares" : "dollars";
    form.elements.amount.value = portion(selling ? form.dataset.shares : form.dataset.cash, percent, selling);
    this.changed();
  }

  /** A row of the order book: its price becomes the limit of an order that would meet it. */
  take({ price, side }) {
    if (!price || !this.form) return;
    this.form.elements.side.value = side;
    this.form.elements.type.value = "limit";
    this.form.elements.limit_price.value = price.toFixed(Number.isInteger(Math.round(price * 1e6) / 1e4) ? 2 : 4);
    if (phone.matches && this.dialog && !this.dialog.open) this.dialog.showModal();
    this.changed();
  }

  changed() {
    this.form.elements.amount.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/** A part of a balance, rounded down; all the cash leaves room for the fee. */
function portion(balance, percent, selling) {
  const whole = Number(balance) * (Number(percent) / 100) * (selling || percent !== "100" ? 1 : 0.998);
  if (selling && percent === "100") return balance.replace(/\.?0+$/, "");
  const places = selling ? 1e8 : 100;
  return String(Math.floor(whole * places) / places);
}

customElements.define("order-ticket", OrderTicket);
