/**
 * The picture of a price chart, drawn by TradingView's Lightweight Charts: line or candles, volume below,
 * arrows where the customer traded. Its data are in UTC, in which no hour comes twice; only what is read is
 * by the customer's clock.
 */
import { AreaSeries, CandlestickSeries, createChart, createSeriesMarkers, HistogramSeries, TickMarkType } from "../vendor/lightweight-charts/lightweight-charts.mjs";
import { moment, timeFormat } from "./times.js";

const DAY_MINUTES = 1440;
const DAY = { day: "numeric", month: "short" };
const TIME = { hour: "2-digit", minute: "2-digit" };
const TICKS = [{ year: "numeric" }, { month: "short" }, DAY, DAY, DAY]; // by TickMarkType
const dark = matchMedia("(prefers-color-scheme: dark)");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export class ChartPicture {
  /** `reads` hears of the bar under the pointer, null where there is none. */
  constructor(element, decimals, reads) {
    this.element = element;
    this.format = { type: "price", precision: decimals, minMove: 10 ** -decimals };
    const layout = { attributionLogo: false }; // its style would break the page's policy: the credit stands below
    this.chart = createChart(element, { autoSize: true, layout, handleScroll: { vertTouchDrag: false }, handleScale: { mouseWheel: false } });
    this.chart.applyOptions({ localization: { timeFormatter: (time) => this.moment(time) } });
    this.chart.subscribeCrosshairMove(({ time }) => reads(this.bars.get(time) ?? null));
    this.bars = new Map(); // by their time, in seconds
    this.recolor = () => this.paint();
    document.documentElement.addEventListener("theme", this.recolor);
    dark.addEventListener("change", this.recolor);
  }

  remove() {
    this.chart.remove();
    document.documentElement.removeEventListener("theme", this.recolor);
    dark.removeEventListener("change", this.recolor);
  }

  draw(kind, bars, minutes) {
    for (const series of [this.series, this.volume]) if (series) this.chart.removeSeries(series);
    this.kind = kind;
    this.minutes = minutes;
    this.bars = new Map(bars.map((bar) => [bar.time, bar]));
    this.series = this.chart.addSeries(kind === "line" ? AreaSeries : CandlestickSeries, { priceFormat: this.format, priceLineVisible: false });
    this.markers = createSeriesMarkers(this.series, []);
    this.volume = null;
    if (bars.some((bar) => bar.volume)) this.beginVolume();
    this.series.setData(bars.map((bar) => this.pointOf(bar)));
    this.chart.timeScale().applyOptions({ timeVisible: minutes < DAY_MINUTES, tickMarkFormatter: (time, kind) => this.tick(time, kind) });
    this.chart.timeScale().fitContent();
    this.paint();
  }

  beginVolume() {
    const silent = { priceScaleId: "volume", priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false };
    this.volume = this.chart.addSeries(HistogramSeries, silent);
    this.volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  }

  update(bar) {
    if (bar.volume && !this.volume) this.beginVolume();
    this.bars.set(bar.time, bar);
    this.series.update(this.pointOf(bar));
    this.volume?.update(this.barOf(bar));
  }

  /** Arrows at own trades: up below the bar of a purchase, down above that of a sale; one a bar and side. */
  mark(fills) {
    const times = [...this.bars.values()].map((bar) => bar.time);
    const arrows = new Map();
    for (const { time, side } of fills) {
      const begin = times.findLast((one) => one <= time);
      if (begin === undefined) continue;
      const buying = side === "buy";
      const look = buying ? { position: "belowBar", shape: "arrowUp", color: color("--up") } : { position: "aboveBar", shape: "arrowDown", color: color("--down") };
      arrows.set(`${begin} ${side}`, { time: begin, ...look });
    }
    this.markers?.setMarkers([...arrows.values()].sort((a, b) => a.time - b.time));
  }

  /** Put the crosshair on a bar; null takes it away. */
  point(bar) {
    if (bar) this.chart.setCrosshairPosition(bar.close, bar.time, this.series);
    else this.chart.clearCrosshairPosition();
  }

  /** Say the time of a bar: a day keeps its date, whatever the clock. */
  moment(time) {
    const date = new Date(time * 1000);
    return this.minutes >= DAY_MINUTES ? timeFormat({ ...DAY, year: "numeric", timeZone: "UTC" }).format(date) : moment(date);
  }

  /** Say what stands under a mark of the axis, which the library chooses by UTC. */
  tick(time, kind) {
    const date = new Date(time * 1000);
    if (this.minutes >= DAY_MINUTES) return timeFormat({ ...TICKS[kind], timeZone: "UTC" }).format(date);
    return timeFormat(kind < TickMarkType.Time ? DAY : TIME).format(date);
  }

  pointOf(bar) {
    return this.kind === "line" ? { time: bar.time, value: bar.close } : { ...bar, time: bar.time };
  }

  /** A time in which nothing was traded has no bar. */
  barOf(bar) {
    if (!bar.volume) return { time: bar.time };
    return { time: bar.time, value: bar.volume, color: tint(color(bar.close < bar.open ? "--down" : "--up"), 0.35) };
  }

  /** Take the colors of the theme. */
  paint() {
    const [ink, line, up, down, accent] = ["--ink-faint", "--line", "--up", "--down", "--accent"].map(color);
    this.chart.applyOptions({
      layout: { background: { color: "transparent" }, textColor: ink, fontFamily: getComputedStyle(this.element).fontFamily, attributionLogo: false },
      grid: { vertLines: { visible: false }, horzLines: { color: line } },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.1, bottom: 0.2 } },
      timeScale: { borderVisible: false, fixLeftEdge: true, fixRightEdge: true },
    });
    const candles = { upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderVisible: false };
    this.series?.applyOptions(this.kind === "line" ? { lineColor: accent, topColor: tint(accent, 0.28), bottomColor: tint(accent, 0), lineWidth: 2 } : candles);
    this.volume?.setData([...this.bars.values()].map((bar) => this.barOf(bar)));
  }
}

/** Give a color of the theme with some transparency; registered tokens arrive as rgb(). */
function tint(value, alpha) {
  const parts = value.match(/[\d.]+/g);
  return value.startsWith("rgb") && parts ? `rgba(${parts.slice(0, 3).join(", ")}, ${alpha})` : "transparent";
}
