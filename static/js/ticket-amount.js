/**
 * Parts of what somebody has, as a ticket's amount. A purchase is counted in dollars and leaves room for the
 * fee, a sale in shares; an iceberg is always by shares. Everything rounds down.
 */
import { readNumber, writeNumber } from "./numbers.js";

const CENTS = 100;
const STEPS = 1e4; // of a share, for a part of a balance

function means(form) {
  const { cash, shares, taker } = form.querySelector(".ticket-has").dataset;
  const selling = form.elements.side.value === "sell";
  return { selling, all: selling ? Number(shares) : Number(cash) / (1 + Number(taker)), exact: shares };
}

function byShares(form) {
  const { advanced, special_type: special } = form.elements;
  return advanced.checked && special.value === "iceberg";
}

/** Give `{ measure, amount }` for so many percent; `price` is what a share costs. */
export function part(form, percent, price) {
  const { selling, all, exact } = means(form);
  if (selling && percent === 100) return { measure: "shares", amount: all ? plain(exact) : "" };
  const sum = all * (percent / 100);
  if (selling) return { measure: "shares", amount: floor(sum, STEPS) };
  const limit = Number(readNumber(form.elements.limit_price.value)) || price;
  if (byShares(form) && limit) return { measure: "shares", amount: floor(sum / limit, STEPS) };
  return { measure: "dollars", amount: floor(sum, CENTS) };
}

/** Give how many percent of what there is the typed amount is, 0 to 100. */
export function shareOf(form, price) {
  const { selling, all } = means(form);
  const { amount, measure } = form.elements;
  const typed = Number(readNumber(amount.value)) || 0;
  const factor = measure.value === "shares" ? (selling ? 1 : price) : selling ? 1 / price : 1;
  return all && factor ? Math.min(100, Math.round((typed * factor * 100) / all)) : 0;
}

function floor(value, steps) {
  return value ? plain((Math.floor(value * steps + 1e-9) / steps).toFixed(Math.log10(steps))) : "";
}

function plain(text) {
  return writeNumber(text.includes(".") ? text.replace(/\.?0+$/, "") : text);
}
