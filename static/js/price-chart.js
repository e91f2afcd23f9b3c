/**
 * `<price-chart symbol="AAPLx" name="Apple" decimals="2" range="1d" sprite="…/sprite.svg">`: past prices by
 * REST, the forming candle by the channel `ohlc`, own trades from the list of them on the same page. Says
 * where prices are simulated, and puts what the picture shows into one sentence for screen readers; the
 * arrow keys read it bar by bar. Until the drawing library has come, the server's line stands there.
 */
import { chartTools, RANGES } from "./chart-tools.js";
import { barWords, pictureWords } from "./chart-words.js";
import { idle, pageStands } from "./idle.js";
import { live } from "./live.js";
import { make } from "./live-figures.js";

const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -12, PageUp: 12, Home: -Infinity, End: Infinity };
const FILLS = "[data-own-fill]";

const seconds = (time) => Math.floor(Date.parse(time) / 1000);
const known = (bar, time) => ({ time, open: +bar.open, high: +bar.high, low: +bar.low, close: +bar.close, volume: +(bar.volume ?? 0) });

class PriceChart extends HTMLElement {
  connectedCallback() {
    this.symbol = this.getAttribute("symbol");
    this.decimals = Number(this.getAttribute("decimals") ?? 2);
    this.bars = new Map();
    this.fills = [];
    this.kind = "line";
    this.build();
    this.settled = (event) => event.target.querySelector?.(FILLS) && this.mark();
    document.addEventListener("htmx:afterSettle", this.settled);
    this.show(RANGES[this.getAttribute("range")] ? this.getAttribute("range") : "1d");
  }

  disconnectedCallback() {
    this.stop?.();
    this.loading?.abort();
    this.picture?.remove();
    document.removeEventListener("htmx:afterSettle", this.settled);
  }

  build() {
    this.canvas = make("div", { className: "chart-canvas", tabIndex: 0, role: "slider", ariaValueNow: "0", ariaLabel: "Price chart, loading" });
    this.canvas.dataset.stale = "";
    this.canvas.append(this.querySelector(".chart-first"));
    this.readout = make("p", { className: "chart-readout", ariaHidden: "true" });
    this.note = make("span", { textContent: "Simulated prices", hidden: true });
    this.traded = make("span", { textContent: "Bars: shares traded here", hidden: true });
    this.problem = make("p", { className: "chart-problem", role: "status" });
    const credit = make("a", { href: "https://www.tradingview.com/", rel: "noopener", target: "_blank", textContent: "Charts by TradingView" });
    const tools = chartTools(this, { range: (range) => this.show(range), kind: (kind) => this.choose(kind) });
    this.replaceChildren(tools, this.canvas, this.readout, this.problem, make("p", { className: "chart-foot" }, this.note, this.traded, credit));
    this.canvas.addEventListener("keydown", (event) => this.step(event));
    this.canvas.addEventListener("blur", () => this.rest());
  }

  async beginPicture() {
    await pageStands();
    const { ChartPicture } = await import("./chart-picture.js");
    await idle();
    if (!this.isConnected) return;
    this.canvas.replaceChildren();
    this.picture = new ChartPicture(this.canvas, this.decimals, (bar) => this.read(bar));
    this.redraw();
  }

  choose(kind) {
    this.kind = kind;
    this.redraw();
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
      this.bars = new Map(results.map((bar) => [seconds(bar.time), known(bar, seconds(bar.time))]));
      this.note.hidden = !results.some((bar) => bar.simulated);
      this.drawing ??= this.beginPicture();
      this.problem.textContent = results.length ? "" : "There are no prices for this time yet.";
    } catch (error) {
      if (error.name === "AbortError") return;
      this.problem.textContent = "The past prices did not arrive. Choose the range again to try once more.";
    }
    this.redraw();
    this.stop = live.subscribe("ohlc", { symbol: [`${this.symbol}/USD`], interval: minutes }, (message) => this.hear(message));
  }

  hear({ type, data }) {
    for (const bar of data) {
      if (bar.interval !== this.range.minutes) continue;
      const one = known(bar, seconds(bar.interval_begin));
      this.bars.set(one.time, one);
      if (type !== "update" || one.time < (this.newest ?? 0)) continue;
      this.newest = one.time;
      this.picture?.update(one);
    }
    if (type === "snapshot") this.redraw();
    else this.describe();
  }

  get shown() {
    return [...this.bars.values()].sort((a, b) => a.time - b.time).slice(-this.range.bars);
  }

  redraw() {
    const bars = this.shown;
    this.newest = bars.at(-1)?.time;
    this.traded.hidden = !bars.some((bar) => bar.volume);
    this.picture?.draw(this.kind, bars, this.range.minutes);
    this.mark();
  }

  /** Own trades stand in a list on the page, which follows the customer's executions; here they get arrows. */
  mark() {
    this.fills = [...document.querySelectorAll(FILLS)].map(({ dataset }) => ({ time: seconds(dataset.ownFill), side: dataset.side }));
    this.picture?.mark(this.fills);
    this.describe();
  }

  /** The change beside the price is that of what is shown. */
  tellChange(bars) {
    const change = document.querySelector(`live-change[symbol="${CSS.escape(this.symbol)}"]`);
    const [first, last] = [bars[0].open, bars.at(-1).close];
    change?.over(((last - first) / first) * 100);
    const words = document.querySelector("[data-change-range]");
    if (change && words) words.textContent = this.range.words.toLowerCase();
  }

  step(event) {
    const step = STEPS[event.key];
    if (step === undefined || !this.picture) return;
    event.preventDefault();
    const last = this.shown.length - 1;
    this.at = Math.min(last, Math.max(0, (this.at ?? last) + step));
    this.read(this.shown[this.at]);
    this.picture.point(this.shown[this.at]);
  }

  rest() {
    this.at = undefined;
    this.picture?.point(null);
    this.read(null);
  }

  /** Say one bar in figures; without one, nothing. */
  read(bar) {
    const words = bar ? barWords(bar, this.picture.moment(bar.time), this.decimals) : "";
    this.readout.textContent = words;
    this.canvas.ariaValueText = words || this.sentence;
  }

  /** Say what the whole picture shows. */
  describe() {
    const bars = this.shown;
    if (!bars.length) return;
    this.sentence = pictureWords(this.range, bars, this.fills, this.decimals);
    this.tellChange(bars);
    this.canvas.ariaLabel = `${this.getAttribute("name") ?? this.symbol}, price chart`;
    this.canvas.ariaValueMin = "0";
    this.canvas.ariaValueMax = String(bars.length - 1);
    this.canvas.ariaValueNow = String(this.at ?? bars.length - 1);
    if (this.at === undefined) this.canvas.ariaValueText = this.sentence;
  }
}

customElements.define("price-chart", PriceChart);
