/** How the market's elements write numbers and build their parts. */
const formats = new Map();

/** Write a number with so many decimals, thousands apart. */
export function figure(value, decimals = 2) {
  if (!formats.has(decimals)) {
    formats.set(decimals, new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  }
  return formats.get(decimals).format(value);
}

const UNITS = 1e8; // a share has eight decimals
const SHOWN = 1e4; // of which four say enough
const SHARES = new Intl.NumberFormat("en-US", { maximumFractionDigits: 8 });

/** Write shares as the server does: four decimals, cut and not rounded; a crumb in full. */
export function shares(value) {
  const cut = Math.trunc(Math.round(value * UNITS) / (UNITS / SHOWN)) / SHOWN;
  return SHARES.format(cut || value);
}

/** Build an element: `make("span", { className: "x", textContent: "y" }, ...children)`. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}
