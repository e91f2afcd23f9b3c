/**
 * `<value-chart points='[["2026-11-20T15:00Z", 10200.5], …]'>` around the server's line: drag a finger or
 * use the arrow keys to read what everything was worth at a time.
 */
const when = new Intl.DateTimeFormat("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const dollars = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageDown: -12, PageUp: 12, Home: -Infinity, End: Infinity };

class ValueChart extends HTMLElement {
  connectedCallback() {
    this.points = JSON.parse(this.getAttribute("points") || "[]");
    this.readout = this.querySelector(".value-chart-readout");
    if (this.points.length < 2 || this.marker) return;
    this.marker = document.createElement("span");
    this.marker.className = "value-chart-marker";
    this.append(this.marker);
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
    const last = this.points.length - 1;
    this.at = Math.min(last, Math.max(0, index));
    const [time, value] = this.points[this.at];
    const text = `${dollars.format(value)} on ${when.format(new Date(time))}`;
    this.readout.textContent = text;
    this.ariaValueNow = String(this.at);
    this.ariaValueText = text;
    this.marker.hidden = false;
    this.marker.style.insetInlineStart = `${(this.at / last) * 100}%`;
  }

  /** Nobody points: say how the period went. */
  rest() {
    this.at = this.points.length - 1;
    this.ariaValueNow = String(this.at);
    this.marker.hidden = true;
    const change = this.points.at(-1)[1] - this.points[0][1];
    const sign = change < 0 ? "\u2212" : "+";
    this.ariaValueText = this.readout.textContent = `${sign}${dollars.format(Math.abs(change))} in this period, money in and out included`;
  }
}

customElements.define("value-chart", ValueChart);
