/**
 * `<value-chart points='[["2026-11-20T15:00Z", 10200.5], …]'>` around the server's line: drag a finger or
 * use the arrow keys to read what everything was worth at a time. At rest the server's words stand there.
 */
import { make } from "../live-figures.js";
import { moment } from "../times.js";

const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -12, PageUp: 12, Home: -Infinity, End: Infinity };

class ValueChart extends HTMLElement {
  connectedCallback() {
    this.points = JSON.parse(this.getAttribute("points") || "[]");
    this.readout = this.querySelector(".value-chart-readout");
    if (this.points.length < 2 || this.marker) return;
    const values = this.points.map(([, value]) => value);
    this.low = Math.min(...values);
    this.spread = Math.max(...values) - this.low;
    this.words = [...this.readout.childNodes];
    this.marker = make("span", { className: "value-chart-marker" }, make("span", { className: "value-chart-dot" }));
    this.querySelector(".value-chart-field").append(this.marker);
    this.tabIndex = 0;
    this.role = "slider";
    this.ariaLabel = "Value over time";
    this.ariaValueMin = "0";
    this.ariaValueMax = String(this.points.length - 1);
    this.addEventListener("pointerdown", (event) => this.point(event));
    this.addEventListener("pointermove", (event) => this.point(event));
    this.addEventListener("pointerleave", () => this.rest());
    this.addEventListener("keydown", (event) => this.step(event));
    this.addEventListener("blur", () => this.rest());
    this.rest();
  }

  point({ clientX }) {
    const { left, width } = this.querySelector("svg").getBoundingClientRect();
    this.show(Math.round(((clientX - left) / width) * (this.points.length - 1)));
  }

  step(event) {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.show(this.at + step);
  }

  show(index) {
    this.place(index);
    const [time, value] = this.points[this.at];
    const [money, moment] = [dollars.format(value), moment(new Date(time))];
    this.readout.replaceChildren(make("data", { className: "money", value, textContent: money }), ` ${moment}`);
    this.ariaValueText = `${money} on ${moment}`;
    this.toggleAttribute("data-read", true);
  }

  /** Nobody points: the mark is at the end, and the words say how the period went. */
  rest() {
    this.place(this.points.length - 1);
    this.readout.replaceChildren(...this.words);
    this.ariaValueText = this.readout.textContent.trim();
    this.removeAttribute("data-read");
  }

  place(index) {
    const last = this.points.length - 1;
    this.at = Math.min(last, Math.max(0, index));
    this.ariaValueNow = String(this.at);
    // As the server drew it: a flat line runs through the middle.
    const height = this.spread ? 95 - (90 * (this.points[this.at][1] - this.low)) / this.spread : 50;
    this.marker.style.insetInlineStart = `${(this.at / last) * 100}%`;
    this.marker.style.setProperty("--height", `${height}%`);
  }
}

customElements.define("value-chart", ValueChart);
