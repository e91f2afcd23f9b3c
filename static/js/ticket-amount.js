/**
 * Parts of what somebody has, as a ticket's amount. A purchase is counted in dollars and leaves room for the
 * fee, a sale in shares; an iceberg is always by shares. Everything rounds down.
 */
import { readNumber, writeNumber } from "./numbers.js";

const DOLLAR = 6; // decimals of a dollar and of a share, as the books count them
const SHARE = 8;
const CENT = 2; // decimals of an amount that a part makes
const PART = 4;
const PPM = 10n ** 6n;

function means(form) {
  const { cash, shares, taker } = form.querySelector(".ticket-has").dataset;
  const selling = form.elements.side.value === "sell";
  const rate = PPM + units(taker, DOLLAR); // the fee comes on top of what is paid
  return { selling, all: selling ? units(shares, SHARE) : (units(cash, DOLLAR) * PPM) / rate, exact: shares };
}

function byShares(form) {
  const { advanced, special_type: special } = form.elements;
  return advanced.checked && special.value === "iceberg";
}

/** Give `{ measure, amount }` for so many percent; `price` is what a share costs. */
export function part(form, percent, price) {
  const { selling, all, exact } = means(form);
  if (selling && percent === 100) return { measure: "shares", amount: all ? plain(exact) : "" };
  const sum = (all * BigInt(Math.round(percent))) / 100n;
  if (selling) return { measure: "shares", amount: write(sum, SHARE, PART) };
  const limit = units(readNumber(form.elements.limit_price.value) || String(price || 0), DOLLAR);
  if (byShares(form) && limit) return { measure: "shares", amount: write((sum * 10n ** 8n) / limit, SHARE, PART) };
  return { measure: "dollars", amount: write(sum, DOLLAR, CENT) };
}

/** Give how many percent of what there is the typed amount is, 0 to 100. */
export function shareOf(form, price) {
  const { selling, all } = means(form);
  const { amount, measure } = form.elements;
  const typed = Number(readNumber(amount.value)) || 0;
  const factor = measure.value === "shares" ? (selling ? 1 : price) : selling ? 1 / price : 1;
  const whole = Number(all) / 10 ** (selling ? SHARE : DOLLAR);
  return whole && factor ? Math.min(100, Math.round((typed * factor * 100) / whole)) : 0;
}

/** Count a plain decimal in units of so many decimals; what is finer is dropped. */
function units(text, decimals) {
  const [whole, rest = ""] = text.split(".");
  return BigInt((whole || "0") + rest.slice(0, decimals).padEnd(decimals, "0"));
}

/** Write units with at most so many decimals, rounded down; nothing of nothing. */
function write(count, decimals, shown) {
  const kept = count / 10n ** BigInt(decimals - shown);
  const digits = String(kept).padStart(shown + 1, "0");
  return kept ? plain(`${digits.slice(0, -shown)}.${digits.slice(-shown)}`) : "";
}

function plain(text) {
  return writeNumber(text.includes(".") ? text.replace(/\.?0+$/, "") : text);
}
