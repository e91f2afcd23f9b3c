/**
 * `<order-ticket symbol name>` around the server's ticket: its answer follows the typing by htmx. This
 * adds what HTML cannot: the button says what it does, the answer follows price and market, parts of a
 * balance and rows of the order book fill the ticket in, and on phones it is a sheet from the bottom.
 */
import { openDialog } from "../dialogs.js";
import { live } from "../live.js";
import { writeNumber } from "../numbers.js";
import { part, shareOf } from "../ticket-amount.js";
import { toast } from "../toasts.js";

const REPRICE_MS = 2500;
const PLAIN = new Set(["market", "limit"]);
const LIMITED = new Set(["limit", "stop-loss-limit", "take-profit-limit", "iceberg"]);
const phone = matchMedia("(max-width: 1079.98px)");

class OrderTicket extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    this.outside = {
      fold: () => this.sheet(),
      fill: (event) => this.take(event.detail),
      opened: (event) => this.side(event.target.closest("[data-opens=ticket]")?.dataset.side),
      market: () => this.ask(),
    };
    this.addEventListener("click", (event) => this.pressed(event));
    this.addEventListener("input", (event) => this.typed(event.target));
    this.addEventListener("htmx:afterSettle", () => this.show());
    for (const failure of ["htmx:responseError", "htmx:sendError"]) {
      this.addEventListener(failure, (event) => event.target === this.form && this.failed());
    }
    phone.addEventListener("change", this.outside.fold);
    document.addEventListener("book-price", this.outside.fill);
    document.addEventListener("click", this.outside.opened);
    document.body.addEventListener("live:market", this.outside.market);
    const symbol = [`${this.getAttribute("symbol")}/USD`];
    this.stop = live.subscribe("ticker", { symbol }, ({ data }) => this.moved(data.at(-1)));
    if (phone.matches) this.sheet();
    this.show();
  }

  disconnectedCallback() {
    this.stop?.();
    clearTimeout(this.timer);
    phone.removeEventListener("change", this.outside.fold);
    document.removeEventListener("book-price", this.outside.fill);
    document.removeEventListener("click", this.outside.opened);
    document.body.removeEventListener("live:market", this.outside.market);
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
    const said = form.querySelector(".ticket-said");
    const idle = `${form.elements.side.value === "sell" ? "Sell" : "Buy"} ${this.getAttribute("name")}`;
    const label = "review" in said.dataset ? "Review this order" : said.dataset.label;
    form.querySelector(".ticket-label").textContent = label || idle;
    form.querySelector(".ticket-go").disabled = !(form.elements.amount.value && "ready" in said.dataset);
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
    form.elements[said.dataset.field]?.setAttribute?.("aria-invalid", "true");
  }

  /** What was typed is not what was answered: the button waits for the answer. */
  typed(target) {
    const { form } = this;
    if (!form) return;
    if (target.matches(".ticket-share")) this.fill(target.value);
    if (target.name === "amount") form.querySelector(".ticket-share").value = shareOf(form, this.price);
    if (target.name === "advanced") this.carry(target.checked);
    form.querySelector(".ticket-answer").setAttribute("aria-live", "polite");
    form.querySelector(".ticket-go").disabled = true;
  }

  /** Between simple and advanced the type stays what it was, where both know it. */
  carry(advanced) {
    const { type, special_type: special } = this.form.elements;
    if (advanced) special.value = type.value;
    else if (PLAIN.has(special.value)) type.value = special.value;
  }

  /** The price moved: ask again, quietly, at most every few seconds. */
  moved({ last, reference_price: reference }) {
    this.price = reference;
    if (last === this.last) return;
    this.last = last;
    if (this.timer || !this.form?.elements.amount.value || document.hidden) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.ask("off");
    }, REPRICE_MS);
  }

  ask(aloud = "polite") {
    const answer = this.querySelector(".ticket-answer");
    answer?.setAttribute("aria-live", aloud);
    answer?.dispatchEvent(new CustomEvent("reprice"));
  }

  /** Nobody knows whether it was placed; the same ticket again is the same order, so pressing is safe. */
  failed() {
    toast("We did not hear back. Press again: one ticket is one order, however often you press.", { tone: "warn" });
  }

  pressed(event) {
    const share = event.target.closest("[data-part]")?.dataset.part;
    if (share) {
      this.fill(share);
      this.changed();
    }
    if (event.target.closest("[data-reviewed]")) {
      event.preventDefault();
      this.querySelector(".ticket-review").replaceChildren();
      this.form.elements.amount.focus();
    }
  }

  side(side) {
    if (!side || !this.form) return;
    this.form.elements.side.value = side;
    this.changed();
    this.form.elements.amount.focus();
  }

  /** So many percent of what there is: dollars for a purchase, shares for a sale. */
  fill(percent) {
    const { form } = this;
    const { measure, amount } = part(form, Number(percent), this.price);
    form.elements.measure.value = measure;
    form.elements.amount.value = amount;
    form.querySelector(".ticket-share").value = percent;
  }

  /** A row of the order book: its price becomes the limit of an order that would meet it. */
  take({ price, side }) {
    if (!price || !this.form) return;
    const { elements } = this.form;
    elements.side.value = side;
    elements.type.value = "limit";
    if (!LIMITED.has(elements.special_type.value)) elements.special_type.value = "limit";
    elements.limit_price.value = writeNumber(price.toFixed(Number.isInteger(Math.round(price * 1e6) / 1e4) ? 2 : 4));
    if (phone.matches && this.dialog) openDialog(this.dialog);
    this.changed();
  }

  changed() {
    this.form.elements.amount.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

customElements.define("order-ticket", OrderTicket);
