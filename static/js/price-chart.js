/**
 * `<price-chart symbol="AAPLx" name="Apple" decimals="2" range="1d">`: past prices by REST, the forming
 * candle by the channel `ohlc`. Drawn by TradingView's Lightweight Charts, which it credits; says where
 * prices are simulated, and puts what the picture shows into one sentence for screen readers.
 */
import { AreaSeries, CandlestickSeries, createChart } from "../vendor/lightweight-charts/lightweight-charts.mjs";
import { live } from "./live.js";
import { figure, make } from "./live-figures.js";

const RANGES = {
  "1h": { label: "1H", words: "1 hour", interval: "1m", minutes: 1, bars: 60 },
  "1d": { label: "1D", words: "1 day", interval: "5m", minutes: 5, bars: 288 },
  "1w": { label: "1W", words: "1 week", interval: "1h", minutes: 60, bars: 168 },
  "1m": { label: "1M", words: "1 month", interval: "4h", minutes: 240, bars: 186 },
  "1y": { label: "1Y", words: "1 year", interval: "1d", minutes: 1440, bars: 366 },
};
const KINDS = { line: "Line", candles: "Candles" };
let count = 0;

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seconds = (time) => Math.floor(Date.parse(time) / 1000);
const number = ({ open, high, low, close }) => ({ open: +open, high: +high, low: +low, close: +close });

class PriceChart extends HTMLElement {
  connectedCallback() {
    this.symbol = this.getAttribute("symbol");
    this.decimals = Number(this.getAttribute("decimals") ?? 2);
    this.bars = new Map();
    this.kind = "line";
    this.build();
    this.recolor = () => this.paint();
    document.documentElement.addEventListener("theme", this.recolor);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.recolor);
    this.show(RANGES[this.getAttribute("range")] ? this.getAttribute("range") : "1d");
  }

  disconnectedCallback() {
    this.stop?.();
    this.loading?.abort();
    this.chart?.remove();
    document.documentElement.removeEventListener("theme", this.recolor);
    matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", this.recolor);
  }

  build() {
    this.canvas = make("div", { className: "chart-canvas", role: "img", ariaLabel: "Price chart, loading" });
    this.note = make("span", { textContent: "Simulated prices", hidden: true });
    this.problem = make("p", { className: "chart-problem", role: "status" });
    const credit = make("a", { href: "https://www.tradingview.com/", rel: "noopener", target: "_blank", textContent: "Charts by TradingView" });
    const tools = make("div", { className: "chart-tools" }, this.choice("Range", RANGES, (range) => this.show(range)), this.choice("Kind", KINDS, (kind) => this.redraw(kind)));
    this.replaceChildren(tools, this.canvas, this.problem, make("p", { className: "chart-foot" }, this.note, credit));
    const layout = { attributionLogo: false }; // its style would break the page's policy: the credit stands below
    this.chart = createChart(this.canvas, { autoSize: true, layout, handleScroll: { vertTouchDrag: false } });
    this.paint();
  }

  choice(label, options, choose) {
    const name = `chart-${++count}`;
    const radios = Object.entries(options).map(([value, option]) => {
      const input = make("input", { type: "radio", name, value });
      input.checked = value === (label === "Kind" ? this.kind : (this.getAttribute("range") ?? "1d"));
      return make("label", {}, input, make("span", { textContent: option.label ?? option }));
    });
    const set = make("fieldset", { className: "segments" }, make("legend", { className: "sr-only", textContent: label }), ...radios);
    set.addEventListener("change", (event) => choose(event.target.value));
    return set;
  }

  async show(range) {
    this.range = RANGES[range];
    this.stop?.();
    this.loading?.abort();
    this.loading = new AbortController();
    const { interval, minutes, bars } = this.range;
    try {
      const url = `/api/v1/instruments/${encodeURIComponent(this.symbol)}/candles?interval=${interval}&limit=${bars}`;
      const response = await fetch(url, { signal: this.loading.signal });
      if (!response.ok) throw new Error(response.statusText);
      const { results } = await response.json();
      this.bars = new Map(results.map((bar) => [seconds(bar.time), { time: seconds(bar.time), ...number(bar) }]));
      this.note.hidden = !results.some((bar) => bar.simulated);
      this.problem.textContent = results.length ? "" : "There are no prices for this time yet.";
    } catch (error) {
      if (error.name === "AbortError") return;
      this.problem.textContent = "The past prices did not arrive. Choose the range again to try once more.";
    }
    this.redraw(this.kind);
    this.stop = live.subscribe("ohlc", { symbol: [`${this.symbol}/USD`], interval: minutes }, (message) => this.hear(message));
  }

  hear({ type, data }) {
    for (const bar of data) {
      if (bar.interval !== this.range.minutes) continue;
      const time = seconds(bar.interval_begin);
      const known = { time, ...number(bar) };
      this.bars.set(time, known);
      if (type === "update" && time >= (this.newest ?? 0)) this.draw(known);
    }
    if (type === "snapshot") this.redraw(this.kind);
  }

  draw(bar) {
    this.newest = bar.time;
    this.series.update(this.kind === "line" ? { time: bar.time, value: bar.close } : bar);
    this.describe();
  }

  redraw(kind) {
    this.kind = kind;
    if (this.series) this.chart.removeSeries(this.series);
    const format = { type: "price", precision: this.decimals, minMove: 10 ** -this.decimals };
    this.series = this.chart.addSeries(kind === "line" ? AreaSeries : CandlestickSeries, { priceFormat: format, priceLineVisible: false });
    const bars = [...this.bars.values()].sort((a, b) => a.time - b.time).slice(-this.range.bars);
    this.newest = bars.at(-1)?.time;
    this.series.setData(kind === "line" ? bars.map(({ time, close }) => ({ time, value: close })) : bars);
    this.chart.timeScale().applyOptions({ timeVisible: this.range.minutes < 1440 });
    this.chart.timeScale().fitContent();
    this.paint();
    this.describe();
  }

  /** Take the colors of the theme. */
  paint() {
    const [ink, line, up, down, accent] = ["--ink-faint", "--line", "--up", "--down", "--accent"].map(color);
    const grid = { vertLines: { visible: false }, horzLines: { color: line } };
    this.chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: ink, fontFamily: getComputedStyle(this).fontFamily, attributionLogo: false },
      grid,
      rightPriceScale: { borderVisible: false },
      timeScale: { borderVisible: false },
    });
    const candles = { upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false };
    this.series?.applyOptions(this.kind === "line" ? { lineColor: accent, topColor: tint(accent, 0.28), bottomColor: tint(accent, 0), lineWidth: 2 } : candles);
  }

  /** Say what the picture shows. */
  describe() {
    const bars = [...this.bars.values()].slice(-this.range.bars);
    if (!bars.length) return;
    const [first, last] = [bars[0].open, bars.at(-1).close];
    const pct = ((last - first) / first) * 100;
    const dollars = (value) => `$${figure(value, this.decimals)}`;
    const extremes = `lowest ${dollars(Math.min(...bars.map((bar) => bar.low)))}, highest ${dollars(Math.max(...bars.map((bar) => bar.high)))}`;
    const name = this.getAttribute("name") ?? this.symbol;
    this.canvas.ariaLabel = `${name}, ${this.range.words}: from ${dollars(first)} to ${dollars(last)}, ${pct < 0 ? "down" : "up"} ${figure(Math.abs(pct))}%, ${extremes}`;
  }
}

/** Give a color of the theme with some transparency; registered tokens arrive as rgb(). */
function tint(value, alpha) {
  const parts = value.match(/[\d.]+/g);
  return value.startsWith("rgb") && parts ? `rgba(${parts.slice(0, 3).join(", ")}, ${alpha})` : "transparent";
}

customElements.define("price-chart", PriceChart);
