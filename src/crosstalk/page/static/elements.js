// Elements by hand: HTML and SVG without strings of markup, so that no text of a person is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return element;
}

export const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
export const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);
export const at = (id) => document.getElementById(id);

// a number as a person writes it: three significant digits (crosstalk.report.words.number)
export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "none";
  const text = Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "\u2212");
}

export const signed = (value, digits = 1) => {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : (value < 0 ? "\u2212" : "+") + text;
};
export const percent = (value) => `${(100 * value).toFixed(0)} %`;

// a number that opens its source
export function sourced(text, key, name) {
  return h("button", { type: "button", class: "n", "data-source": key, "aria-label": `${text}, ${name}: open the source` }, text);
}

// text, and the element only touched where it changes
export function write(element, text) { if (element.textContent !== text) element.textContent = text; }

// steps of an axis that a person would choose
export function ticks(low, high, count = 5) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= rough);
  const found = [];
  for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) found.push(Math.round(v / step) * step);
  return found;
}
