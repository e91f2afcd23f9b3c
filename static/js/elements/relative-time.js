/** `<relative-time><time datetime="…">`: "2 min ago" for a day, then the date the server wrote. */
const STEPS = [
  [60, 1, "second"],
  [3600, 60, "minute"],
  [86400, 3600, "hour"],
];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const all = new Set();

class RelativeTime extends HTMLElement {
  connectedCallback() {
    this.time = this.querySelector("time");
    this.written ??= this.time?.textContent;
    all.add(this);
    this.show();
  }

  disconnectedCallback() {
    all.delete(this);
  }

  show() {
    if (!this.time) return;
    const seconds = (Date.parse(this.time.dateTime) - Date.now()) / 1000;
    const step = STEPS.find(([below]) => Math.abs(seconds) < below);
    if (!step) this.time.textContent = this.written;
    else if (Math.abs(seconds) < 10) this.time.textContent = "just now";
    else this.time.textContent = words.format(Math.round(seconds / step[1]), step[2]);
  }
}

customElements.define("relative-time", RelativeTime);
setInterval(() => all.forEach((element) => element.show()), 10000);
