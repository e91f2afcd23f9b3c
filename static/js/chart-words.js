/** What a price chart shows, in words. */
import { figure, shares } from "./live-figures.js";

/** Say one bar: when, its prices and what was traded. */
export function barWords(bar, when, decimals) {
  const dollars = (value) => `$${figure(value, decimals)}`;
  const volume = bar.volume ? `, ${shares(bar.volume)} traded` : "";
  return `${when}: ${dollars(bar.close)}, low ${dollars(bar.low)}, high ${dollars(bar.high)}${volume}`;
}

/** Say all bars of a range, oldest first, and how many of the customer's trades are among them. */
export function pictureWords(range, bars, fills, decimals) {
  const dollars = (value) => `$${figure(value, decimals)}`;
  const [first, last] = [bars[0].open, bars.at(-1).close];
  const pct = ((last - first) / first) * 100;
  const extremes = `lowest ${dollars(Math.min(...bars.map((bar) => bar.low)))}, highest ${dollars(Math.max(...bars.map((bar) => bar.high)))}`;
  const mine = fills.filter((fill) => fill.time >= bars[0].time).length;
  const change = `${pct < 0 ? "down" : "up"} ${figure(Math.abs(pct))}%`;
  return `${range.words}: from ${dollars(first)} to ${dollars(last)}, ${change}, ${extremes}${mine ? `, with ${mine} of your trades` : ""}`;
}
