/**
 * Reading the numbers that people type, in the format of their country: `<html data-number-format>`.
 * The same reader as `common/numbers.py`, and one table of cases runs against both.
 */
const FORMATS = {
  en: { thousands: ",", decimals: "." },
  de: { thousands: ".", decimals: "," },
  ch: { thousands: "\u2019", decimals: "." },
  fr: { thousands: "\u202f", decimals: "," },
};
const LONGEST = 40;
const SIGN = "(?:US\\s?\\$|USD|[$\uff04])";
const DOLLARS = new RegExp(`^${SIGN}\\s*|\\s*${SIGN}$`, "gi");
const SHAPE = /^(?:[0-9][0-9., ]*|[.,][0-9]+)$/;
const GROUPED = /^[1-9][0-9]{0,2}([., ])[0-9]{3}(?:\1[0-9]{3})*$/;
const DIGITS = /^[0-9]+$/;
const ZEROS = [0x0660, 0x06f0, 0x0966, 0xff10]; // Arabic's, Persian's, Hindi's, wide ones
// What is typed with other keys; apostrophes and blanks only ever separate thousands.
const SIGNS = new Map([
  ...[..."'\u2019\u00a0\u2009\u202f\u066c"].map((sign) => [sign, " "]),
  ...ZEROS.flatMap((zero) => [..."0123456789"].map((digit) => [String.fromCodePoint(zero + Number(digit)), digit])),
  ["\uff0e", "."],
  ["\uff0c", ","],
  ["\u066b", "."],
]);

export const numberFormat = () => document.documentElement.dataset.numberFormat ?? "en";

/** Give the plain decimal that was typed, `1000.50`, or null for what is no number or could be two. */
export function readNumber(text, format = numberFormat()) {
  const typed = plain(text);
  const { whole, mark, decimals } = split(typed, FORMATS[format]);
  const complete = mark ? DIGITS.test(decimals) : whole;
  const grouped = !whole || DIGITS.test(whole) || GROUPED.test(whole);
  if (!SHAPE.test(typed) || !complete || !grouped) return null;
  const digits = whole.replace(/[^0-9]/g, "");
  return mark ? `${digits || 0}.${decimals}` : digits;
}

/** Write a plain decimal, `1000.50`, as it would be typed. */
export function writeNumber(text, format = numberFormat()) {
  const { thousands, decimals } = FORMATS[format];
  const [whole, rest] = text.split(".");
  const grouped = whole.replace(/\B(?=(?:[0-9]{3})+$)/g, thousands);
  return rest === undefined ? grouped : `${grouped}${decimals}${rest}`;
}

function plain(text) {
  const kept = [...text.trim().replace(DOLLARS, "")];
  return kept.length > LONGEST ? "" : kept.map((sign) => SIGNS.get(sign) ?? sign).join("");
}

function split(typed, { thousands, decimals }) {
  const marks = [...typed].filter((sign) => !DIGITS.test(sign));
  const last = marks.at(-1);
  if (![".", ","].includes(last) || marks.indexOf(last) < marks.length - 1) return { whole: typed, mark: "", decimals: "" };
  if (marks.length === 1 && GROUPED.test(typed) && last !== decimals) {
    return last === thousands ? { whole: typed.replace(last, ""), mark: "", decimals: "" } : { whole: "", mark: last, decimals: "" };
  }
  const [whole, rest] = typed.split(last);
  return { whole, mark: last, decimals: rest };
}
