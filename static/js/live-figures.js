/** How the market's elements write numbers and build their parts. */
const formats = new Map();

/** Write a number with so many decimals, thousands apart. */
export function figure(value, decimals = 2) {
  if (!formats.has(decimals)) {
    formats.set(decimals, new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  }
  return formats.get(decimals).format(value);
}

/** Write shares: four decimals say enough, a crumb is shown in full. */
export function shares(value) {
  return value !== 0 && Math.abs(value) < 0.0001 ? figure(value, 8) : figure(value, 4);
}

/** Build an element: `make("span", { className: "x", textContent: "y" }, ...children)`. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}
