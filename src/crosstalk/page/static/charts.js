// Charts as SVG: the forest of regimens, the course of one, the map of the mechanism.
import { h, number, percent, s, signed, sourced, ticks, write } from "./elements.js";

// The forest: one row for each regimen, made once and moved. A table, so that every figure can be read without the picture.
export class Forest {
  constructor(body, axis, header, { choose }) {
    this.header = header;
    this.axis = axis;
    this.body = body;
    this.reach = null;
    this.rows = header.regimens.map((r) => this.row(r, choose));
    body.replaceChildren(...this.rows.map((r) => r.element));
  }

  row(regimen, choose) {
    const { header } = this;
    const mark = (tag, attributes) => s(tag, attributes), lines = [0, 1, 2, 3, 4, 5, 6].map(() => mark("line", { class: "grid", y1: 0, y2: "100%" }));
    const parts = {
      zero: mark("line", { class: "zero", y1: 0, y2: "100%" }),
      published: mark("line", { class: "published", y1: "76%", y2: "76%" }),
      diamond: s("svg", { y: "76%", overflow: "visible" }, mark("path", { class: "published", d: "M-5 0 0 -4 5 0 0 4Z" })),
      ghost: mark("line", { class: "ghost", y1: "22%", y2: "22%" }), ghostDot: mark("circle", { class: "ghost", cy: "22%", r: 3.5 }),
      line: mark("line", { class: "model", y1: "48%", y2: "48%" }), dot: mark("circle", { class: "model", cy: "48%", r: 5 }),
    };
    const plot = s("svg", { class: "plot", "aria-hidden": "true" }, ...lines, ...Object.values(parts));
    const button = h("button", { type: "button", class: "regimen", "aria-pressed": "false", title: regimen.name, onclick: () => choose(regimen.id) }, shorter(regimen, header));
    const cells = { versus: sourced("", `versus ${regimen.id}`, regimen.name), response: sourced("", `response ${regimen.id}`, regimen.name), words: h("span", {}), published: h("span", {}) };
    const element = h("tr", { "data-regimen": regimen.id }, h("th", { scope: "row" }, button), h("td", { class: "plotted" }, plot),
      h("td", { class: "num" }, cells.versus), h("td", { class: "words" }, cells.words), h("td", { class: "num" }, cells.response), h("td", { class: "num pub" }, cells.published));
    return { id: regimen.id, name: regimen.name, element, button, parts, lines, cells };
  }

  published(id, scale) {
    const found = this.header.published.find((p) => p.regimen === id);
    if (!found) return null;
    const sd = this.header.usualSd * scale.maximum;
    const known = found.low !== null && found.high !== null;
    return { ...found, mean: found.estimate * sd, lower: known ? found.low * sd : NaN, upper: known ? found.high * sd : NaN };
  }

  draw(found, chosen, pinned, sorted) {
    const { scale } = found.twins, both = [...found.regimens, ...(pinned?.regimens ?? [])];
    const low = Math.min(...both.map((r) => r.versus.low)), high = Math.max(...both.map((r) => r.versus.high));
    // an axis that grows and does not jump
    if (!this.reach || this.reach.scale !== scale.id) this.reach = { scale: scale.id, low: -4, high: 2 };
    this.reach.low = Math.min(this.reach.low, Math.floor(low / 2) * 2);
    this.reach.high = Math.max(this.reach.high, Math.ceil(high / 2) * 2);
    const { low: from, high: to } = this.reach, x = (v) => `${(4 + 92 * (Math.min(Math.max(v, from), to) - from) / (to - from)).toFixed(2)}%`;
    const steps = ticks(from, to, 5);
    this.axis.replaceChildren(...steps.map((v) => s("text", { x: x(v), y: 12, "text-anchor": "middle" }, v === 0 ? "0" : signed(v, 0))));
    const set = (element, attributes) => { for (const [k, v] of Object.entries(attributes)) element.setAttribute(k, v); };
    const hide = (element, hidden) => element.setAttribute("display", hidden ? "none" : "inline");
    for (const row of this.rows) {
      const r = found.regimens.find((o) => o.id === row.id), before = pinned?.regimens.find((o) => o.id === row.id), p = row.parts;
      const reference = row.id === this.header.reference, pub = this.published(row.id, scale);
      row.lines.forEach((line, i) => { hide(line, i >= steps.length); if (i < steps.length) set(line, { x1: x(steps[i]), x2: x(steps[i]) }); });
      set(p.zero, { x1: x(0), x2: x(0) });
      set(p.line, { x1: x(r.versus.low), x2: x(r.versus.high), class: `model ${tone(r.verdict)}` });
      set(p.dot, { cx: x(r.versus.mean), class: `model ${tone(r.verdict)}` });
      hide(p.ghost, !before); hide(p.ghostDot, !before);
      if (before) { set(p.ghost, { x1: x(before.versus.low), x2: x(before.versus.high) }); set(p.ghostDot, { cx: x(before.versus.mean) }); }
      const comparable = pub?.added && !reference;
      hide(p.published, !comparable || !Number.isFinite(pub.lower)); hide(p.diamond, !comparable);
      if (comparable) { if (Number.isFinite(pub.lower)) set(p.published, { x1: x(pub.lower), x2: x(pub.upper) }); set(p.diamond, { x: x(pub.mean) }); }
      const versus = reference ? "reference" : `${signed(r.versus.mean)} (${signed(r.versus.low)} to ${signed(r.versus.high)})`;
      write(row.cells.versus, versus);
      row.cells.versus.setAttribute("aria-label", `${row.name}, ${reference ? "the reference" : `difference ${versus} points`}: open the source`);
      const response = `${percent(r.response.mean)} (${(100 * r.response.low).toFixed(0)} to ${(100 * r.response.high).toFixed(0)})`;
      write(row.cells.response, response);
      row.cells.response.setAttribute("aria-label", `${row.name}, response ${response}: open the source`);
      write(row.cells.words, certainty(r, reference));
      const text = pub ? `${signed(pub.mean)}${Number.isFinite(pub.lower) ? ` (${signed(pub.lower)} to ${signed(pub.upper)})` : ""}${pub.added ? "" : " vs absence"}` : "";
      if (row.shown !== text) {
        row.shown = text;
        row.cells.published.replaceChildren(pub ? sourced(text, `published ${row.id}`, `published effect of ${pub.name}`) : h("span", { class: "soft" }, "none pooled"));
      }
      row.button.setAttribute("aria-pressed", String(row.id === chosen));
      row.element.classList.toggle("chosen", row.id === chosen);
    }
    const wanted = sorted ? [...this.rows].sort((a, b) => mean(found, a.id) - mean(found, b.id)) : this.rows;
    if (wanted.some((row, i) => this.body.children[i] !== row.element)) {
      const focused = document.activeElement;
      this.body.replaceChildren(...wanted.map((row) => row.element));
      if (focused && this.body.contains(focused)) focused.focus();
    }
  }
}

const mean = (found, id) => found.regimens.find((r) => r.id === id).versus.mean;
const tone = (verdict) => (verdict === "estimated better" ? "better" : verdict === "estimated worse" ? "worse" : "unsure");

// what the interval says, in words
function certainty(r, reference) {
  if (reference) return "what the others are held against";
  return r.verdict;
}

// what is added to the reference by its own name
function shorter(regimen, header) {
  const start = `${header.regimens.find((r) => r.id === header.reference).name} + `;
  return regimen.name.startsWith(start) ? `+ ${regimen.name.slice(start.length)}` : regimen.name;
}

// The course of one quantity with its band, and of a pinned state as a dashed line.
export function courseChart(title, points, { low, high, unit, before = null, format = (v) => String(v) }) {
  const W = 560, H = 240, left = 46, right = 12, top = 12, bottom = 34, last = points[points.length - 1].week;
  const x = (w) => left + (W - left - right) * w / last, y = (v) => top + (H - top - bottom) * (1 - (v - low) / (high - low));
  const path = (list, key) => list.map((p, i) => `${i ? "L" : "M"}${x(p.week).toFixed(1)} ${y(p[key]).toFixed(1)}`).join("");
  const band = path(points, "high") + [...points].reverse().map((p) => `L${x(p.week).toFixed(1)} ${y(p.low).toFixed(1)}`).join("") + "Z";
  const end = points[points.length - 1];
  return s("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${title}: ${format(points[0].mean)} at week 0, ${format(end.mean)} (${format(end.low)} to ${format(end.high)}) ${unit} at week ${last}` },
    ...ticks(low, high, 4).map((v) => s("g", {}, s("line", { class: "grid", x1: left, x2: W - right, y1: y(v), y2: y(v) }), s("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, format(v)))),
    ...ticks(0, last, 6).map((w) => s("text", { x: x(w), y: H - 14, "text-anchor": "middle" }, String(w))),
    s("text", { class: "soft", x: (left + W - right) / 2, y: H - 1, "text-anchor": "middle" }, "week"),
    s("path", { class: "band", d: band }), before ? s("path", { class: "ghost", d: path(before, "mean") }) : null,
    s("path", { class: "model", d: path(points, "mean") }), s("circle", { class: "model", cx: x(last), cy: y(end.mean), r: 4 }));
}

// how strongly a fold of health is coloured: fully at a factor of four
const STRONGEST = Math.log(4);
const shade = (log) => {
  const part = Math.min(Math.abs(log) / STRONGEST, 1) * 85;
  return `fill: color-mix(in oklab, var(${log > 0 ? "--high" : "--low"}) ${part.toFixed(0)}%, var(--node))`;
};

// The map of the mechanism: boxes coloured by where the patient lies, arrows of the model, and what a regimen changes.
export function mapChart(drawn, folds, { regimen, open }) {
  const X = 10, Y = 10.4, W = 114, H = 40, places = Object.fromEntries(drawn.nodes.map((n) => [n.id, { x: n.x * X, y: n.y * Y + 28 }]));
  const arrow = (e) => {
    const a = places[e.start], b = places[e.end], dx = b.x - a.x, dy = b.y - a.y;
    const share = Math.min((W / 2 + 5) / Math.max(Math.abs(dx), 1e-9), (H / 2 + 5) / Math.max(Math.abs(dy), 1e-9), 0.45);
    const from = { x: a.x + dx * share, y: a.y + dy * share }, to = { x: b.x - dx * share, y: b.y - dy * share };
    const bend = 0.08, mid = { x: (from.x + to.x) / 2 - dy * bend, y: (from.y + to.y) / 2 + dx * bend };
    return s("path", { class: `edge ${e.sign < 0 ? "holds" : "drives"}`, d: `M${from.x} ${from.y}Q${mid.x} ${mid.y} ${to.x} ${to.y}`, "marker-end": `url(#${e.sign < 0 ? "bar" : "tip"})` });
  };
  const node = (n) => {
    const { x, y } = places[n.id], f = folds[n.id], symptom = Boolean(n.dimension);
    const value = symptom ? percent(f.share) : `\u00d7${number(Math.exp(f.log), 2)}`;
    const change = symptom ? f.change : f.response;
    const moved = change === null ? "" : symptom ? `${signed(100 * change, 0)}` : Math.abs(change) < 0.02 ? "=" : `${change > 0 ? "\u25b2" : "\u25bc"} ${change > Math.LN2 ? `\u00d7${Math.exp(change).toFixed(1)}` : `${Math.abs(100 * (Math.exp(change) - 1)).toFixed(0)} %`}`;
    const words = `${n.label}: ${symptom ? `${value} of its range` : `${value} of health`}${moved ? `; ${regimen}: ${symptom ? `${moved} points of 100` : moved === "=" ? "unchanged" : moved.replace("\u25b2", "up").replace("\u25bc", "down")}` : ""}; open the source`;
    const act = () => open(`node ${n.id}`);
    return s("g", { class: "node", tabindex: 0, role: "button", "aria-label": words, "data-node": n.id, transform: `translate(${x} ${y})`, onclick: act, onkeydown: (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); act(); } } },
      s("rect", { x: -W / 2, y: -H / 2, width: W, height: H, rx: 7, style: symptom ? `fill: color-mix(in oklab, var(--high) ${(85 * f.share).toFixed(0)}%, var(--node))` : shade(f.log) }),
      s("text", { y: -4, "text-anchor": "middle", class: "label" }, n.label),
      s("text", { y: 13, x: moved ? -W / 2 + 8 : 0, "text-anchor": moved ? "start" : "middle" }, value),
      moved ? s("text", { y: 13, x: W / 2 - 8, "text-anchor": "end", class: "moved" }, moved) : null);
  };
  return s("svg", { viewBox: "0 0 1000 620", class: "map", role: "group", "aria-label": `Map of the mechanism under ${regimen}` },
    s("defs", {}, s("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, s("path", { class: "tip", d: "M0 0 8 4 0 8Z" })),
      s("marker", { id: "bar", viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto-start-reverse" }, s("path", { class: "stop", d: "M4 0V8" }))),
    ...drawn.groups.map((g) => s("g", {}, s("rect", { class: "group", x: g.x * X + 4, y: 34, width: g.width * X - 8, height: 580, rx: 10 }), s("text", { class: "heading", x: (g.x + g.width / 2) * X, y: 22, "text-anchor": "middle" }, g.name))),
    ...drawn.edges.map(arrow), ...drawn.nodes.map(node));
}
