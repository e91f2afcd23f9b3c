/** What stands above a price chart: the ranges, and the choice of line or candles. */
import { make } from "./live-figures.js";

export const RANGES = {
  "1h": { label: "1H", words: "1 hour", interval: "1m", minutes: 1, bars: 60 },
  "1d": { label: "1D", words: "1 day", interval: "5m", minutes: 5, bars: 288 },
  "1w": { label: "1W", words: "1 week", interval: "1h", minutes: 60, bars: 168 },
  "1m": { label: "1M", words: "1 month", interval: "4h", minutes: 240, bars: 186 },
  "1y": { label: "1Y", words: "1 year", interval: "1d", minutes: 1440, bars: 366 },
};

/** Build the tools of a chart; `chosen` hears of another `range`, and of another `kind`. */
export function chartTools(chart, chosen) {
  return make("div", { className: "chart-tools" }, ranges(chart, chosen.range), candles(chart, chosen.kind));
}

function ranges(chart, chosen) {
  const radios = Object.entries(RANGES).map(([value, { label, words }]) => {
    const input = make("input", { type: "radio", name: `range-${chart.symbol}`, value, ariaLabel: words });
    input.checked = value === (chart.getAttribute("range") ?? "1d");
    return make("label", {}, input, make("span", { textContent: label }));
  });
  const set = make("fieldset", { className: "segments" }, make("legend", { className: "sr-only", textContent: "Range" }), ...radios);
  set.addEventListener("change", (event) => chosen(event.target.value));
  return set;
}

function candles(chart, chosen) {
  const button = make("button", { type: "button", className: "icon-button", title: "Candles", ariaLabel: "Candles", ariaPressed: "false" });
  button.innerHTML = '<svg class="icon" aria-hidden="true"><use></use></svg>';
  button.querySelector("use").setAttribute("href", `${chart.getAttribute("sprite")}#chart-candlestick`);
  button.addEventListener("click", () => {
    const pressed = button.ariaPressed !== "true";
    button.ariaPressed = String(pressed);
    chosen(pressed ? "candles" : "line");
  });
  return button;
}
