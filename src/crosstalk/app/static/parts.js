// What all parts of the page share: elements, requests, work that takes long, tables and charts.
// Text from anywhere becomes a text node, never markup.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked" || name === "disabled") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return made;
}

export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.flat());
  return made;
}

export async function ask(method, path, body) {
  const options = { method, headers: {} };
  if (body instanceof FormData) options.body = body;
  else if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["content-type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is `crosstalk app` still running?");
  }
  const kind = answer.headers.get("content-type") || "";
  const content = kind.includes("json") ? await answer.json() : await answer.text();
  if (!answer.ok) throw new Error(content.error || content || `The server refused (${answer.status}).`);
  return content;
}

const PAUSE = 700;
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Follow a job to its end; what is shown of it stands in `place`. A reload finds it again by `slot`.
export async function follow(job, place, slot) {
  if (slot) sessionStorage.setItem(slot, job.id);
  const bar = el("progress", { max: 1, "aria-label": "Progress" });
  const words = el("p", { class: "soft" });
  const stop = el("button", { type: "button", onclick: () => ask("DELETE", `/api/jobs/${job.id}`) }, "Stop");
  place.replaceChildren(el("div", { class: "card", role: "status" }, words, bar, el("div", { class: "buttons" }, stop)));
  while (job.state === "waiting" || job.state === "running") {
    words.textContent = job.state === "waiting" ? "Waiting for other work …" : `${job.words || "Working"} …`;
    if (job.share > 0) bar.value = job.share; else bar.removeAttribute("value");
    await sleep(PAUSE);
    job = await ask("GET", `/api/jobs/${job.id}`);
  }
  if (job.state === "done") {
    place.replaceChildren();
    return job;
  }
  throw new Error(job.state === "cancelled" ? "Stopped." : job.error);
}

export const result = (job, part = "document") => ask("GET", `/api/jobs/${job.id}/${part}`);

export function fail(place, error) {
  place.replaceChildren(el("p", { class: "error", role: "alert" }, error.message));
}

// Run a job and show it; the id of the last one is kept so that a reload comes back to it.
export async function work(place, slot, submit, show) {
  try {
    const job = await follow(await submit(), place, slot);
    await show(job);
  } catch (error) {
    fail(place, error);
  }
}

export async function again(place, slot, show) {
  const id = sessionStorage.getItem(slot);
  if (!id) return false;
  let job;
  try {
    job = await ask("GET", `/api/jobs/${id}`);
  } catch {
    sessionStorage.removeItem(slot);
    return false;
  }
  await work(place, slot, async () => job, show);
  return true;
}

export const number = (value, digits = 3) =>
  value === null || value === undefined ? "" : String(Number(Number(value).toPrecision(digits))).replace("-", "\u2212");
export const interval = (mean, low, high) => el("span", { class: "whole" }, `${mean} (${low} to ${high})`);
export const percent = (value) => (value === null || value === undefined ? "" : `${Math.round(100 * value)} %`);

export function table(columns, rows, caption) {
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", {}, el("caption", { class: "soft" }, caption),
      el("thead", {}, el("tr", {}, columns.map((c) => el("th", { scope: "col" }, c)))),
      el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, k) =>
        el(k ? "td" : "th", k ? {} : { scope: "row" }, cell instanceof Node ? cell : String(cell))))))));
}

// Rows of intervals on one axis: [{name, mean, low, high, text, other: {mean, low, high}}].
export function intervals(rows, label, { zero = 0 } = {}) {
  const left = 330, width = 960, right = 120, step = 26, top = 8;
  const all = rows.flatMap((r) => [r.low, r.high, ...(r.other ? [r.other.low, r.other.high] : [])]).concat(zero ?? []);
  let low = Math.min(...all), high = Math.max(...all);
  const pad = (high - low || 1) * 0.05;
  low -= pad; high += pad;
  const x = (v) => left + ((v - low) / (high - low)) * (width - left - right);
  const height = top + rows.length * step + 34;
  const parts = [];
  if (zero !== null) parts.push(svg("line", { class: "axis", x1: x(zero), x2: x(zero), y1: top, y2: height - 30, "stroke-width": 2 }));
  rows.forEach((r, k) => {
    const y = top + k * step + step / 2;
    const name = svg("text", { x: left - 10, y: y + 4, "text-anchor": "end" }, r.name.length > 50 ? `${r.name.slice(0, 49)}…` : r.name);
    name.append(svg("title", {}, r.name));
    parts.push(name,
      svg("line", { class: "bar", x1: x(r.low), x2: x(r.high), y1: y, y2: y }),
      svg("circle", { class: "dot", cx: x(r.mean), cy: y, r: 4.5 }),
      svg("text", { class: "soft", x: width - right + 10, y: y + 4 }, r.text || ""));
    if (r.other) parts.push(
      svg("line", { class: "otherbar", x1: x(r.other.low), x2: x(r.other.high), y1: y + 8, y2: y + 8 }),
      svg("rect", { class: "other", x: x(r.other.mean) - 3.5, y: y + 4.5, width: 7, height: 7 }));
  });
  const axis = height - 28;
  parts.push(svg("line", { class: "axis", x1: left, x2: width - right, y1: axis, y2: axis }));
  for (const tick of ticks(low, high)) parts.push(
    svg("line", { class: "axis", x1: x(tick), x2: x(tick), y1: axis, y2: axis + 4 }),
    svg("text", { class: "soft", x: x(tick), y: axis + 17, "text-anchor": "middle" }, number(tick)));
  const words = rows.map((r) => `${r.name} ${number(r.mean)} (${number(r.low)} to ${number(r.high)})`).join("; ");
  return svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${label}: ${words}` }, parts);
}

function ticks(low, high) {
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high; t += step) found.push(Math.abs(t) < step / 1e6 ? 0 : t);
  return found;
}

export function downloads(job, names) {
  return el("div", { class: "buttons" }, Object.entries(names).filter(([part]) => job.results.includes(part)).map(([part, words]) =>
    el("a", { class: "button", href: `/api/jobs/${job.id}/${part}`, ...(part.endsWith(".html") ? { target: "_blank", rel: "noopener" } : { download: true }) }, words)));
}

export function field(words, control) {
  return el("label", {}, words, control);
}

export function choice(options, value, attributes = {}) {
  const made = el("select", attributes, options.map(([id, words]) => el("option", { value: id, selected: id === value }, words)));
  return made;
}
