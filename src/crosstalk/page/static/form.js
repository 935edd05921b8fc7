// The panel form: typed values with units, sliders, covariates, the score, early scores.
import { at, h, number } from "./elements.js";
import { readValue } from "./state.js";

const FIRST = ["hsCRP", "BMI", "age"];
const UNITLESS = ["dimensionless", "points", "1"];
const GROUPS = { 1: "Routine laboratory", 2: "Immunoassays", 3: "Sensitive and multiplex immunoassays", 4: "Mass spectrometry", 5: "Flow cytometry" };

export class Form {
  constructor(library, weigher, { change }) {
    this.library = library;
    this.weigher = weigher;
    this.header = library.header;
    this.change = change;
    this.fields = {};
    this.build();
  }

  build() {
    const { header } = this, covariates = Object.fromEntries(header.covariates.map((c) => [c.id, c]));
    const first = at("first"), more = at("more");
    first.append(this.scoreField());
    for (const id of FIRST) first.append(this.field(this.library.analytes[id] ?? covariates[id]));
    first.append(this.sexField());
    const rest = header.analytes.filter((a) => !FIRST.includes(a.id));
    for (const cost of Object.keys(GROUPS)) {
      const own = rest.filter((a) => String(a.cost) === cost || (cost === "1" && !a.cost));
      if (own.length) more.append(h("fieldset", {}, h("legend", {}, GROUPS[cost]), ...own.map((a) => this.field(a))));
    }
    more.append(h("fieldset", {}, h("legend", {}, "Body and answers"), this.field(covariates.height), ...header.answers.map((a) => this.field(a))));
    at("early-add").addEventListener("click", () => {
      const last = Math.max(0, ...this.state.early.map((e) => Number(e.week) || 0));
      this.state.early.push({ week: String(Math.min(last + 2, header.weeks - 1)), score: "" });
      this.earlyRows();
      at("early").querySelector("li:last-child input:last-of-type").focus();
    });
    const on = at("on");
    on.replaceChildren(...header.regimens.map((r) => h("option", { value: r.id }, r.name)));
    on.addEventListener("change", () => { this.state.on = on.value; this.change(); });
  }

  // from where to where a slider goes: what nearly all virtual patients have
  range(definition) {
    if (definition.variable) {
      const { sorted } = this.weigher.everyone(definition.variable), column = this.library.log(definition.variable), n = sorted.length;
      const end = (share) => column[sorted[Math.round(share * (n - 1))]] + Math.log(definition.factor);
      return { low: end(0.002), high: end(0.998), middle: end(0.5), log: true };
    }
    const column = this.library.people[definition.covariate];
    if (!column) return { low: definition.plausible[0], high: definition.plausible[1], middle: definition.center ?? definition.plausible[0], log: false };
    const sorted = column.slice().sort(), end = (share) => sorted[Math.round(share * (sorted.length - 1))];
    return { low: end(0.002), high: end(0.998), middle: end(0.5), log: false };
  }

  field(definition) {
    const { id, name, unit } = definition, range = this.range(definition);
    const input = h("input", { id: `v-${id}`, inputmode: "decimal", autocomplete: "off", placeholder: "not measured", "aria-describedby": `e-${id}` });
    const slider = h("input", { type: "range", min: 0, max: 1000, step: 1, "aria-label": `${name}, slider`, "data-analyte": id });
    const error = h("p", { class: "error", id: `e-${id}`, "aria-live": "polite" });
    const units = definition.units && Object.keys(definition.units).length > 1
      ? h("select", { "aria-label": `unit of ${name}` }, ...Object.keys(definition.units).map((u) => h("option", { value: u }, pretty(u))))
      : h("span", { class: "unit" }, UNITLESS.includes(unit) ? "" : pretty(unit));
    const clear = h("button", { type: "button", class: "clear", "aria-label": `remove ${name}`, title: "remove" }, "\u00d7");
    const label = h("label", { for: `v-${id}` }, id === "hsCRP" ? "CRP" : id), info = h("button", { type: "button", class: "info", "data-source": `analyte ${id}`, "aria-label": `about ${name}: open the source` }, "i");
    const factor = () => definition.units?.[units.value] ?? 1;
    const own = () => (this.state.values[id] ??= { text: "" });
    const scaled = (v) => (range.log ? Math.log(v) : v);
    const place = () => {
      const read = readValue(input.value), at_ = read && read.value > 0 ? scaled(read.value * factor()) : range.middle;
      slider.value = String(Math.round(1000 * (Math.min(Math.max(at_, range.low), range.high) - range.low) / (range.high - range.low)));
      const said = read ? `${input.value} ${units.value ?? unit}` : "not measured";
      slider.setAttribute("aria-valuetext", said);
      slider.classList.toggle("unset", !read);
      clear.disabled = !input.value;
    };
    input.addEventListener("input", () => { own().text = input.value; place(); this.change(); });
    slider.addEventListener("input", () => {
      const v = range.low + (range.high - range.low) * Number(slider.value) / 1000;
      const typed = range.log ? Math.exp(v) / factor() : v;
      input.value = range.log ? String(Number(typed.toPrecision(3))) : String(Math.round(typed * 2) / 2);
      own().text = input.value;
      place();
      this.change();
    });
    if (units.tagName === "SELECT") {
      // the text stays as typed: another unit is another value
      units.addEventListener("change", () => { own().unit = units.value; place(); this.change(); });
    }
    clear.addEventListener("click", () => { input.value = ""; own().text = ""; place(); input.focus(); this.change(); });
    this.fields[id] = { set: () => { const v = this.state.values[id]; input.value = v?.text ?? ""; if (units.tagName === "SELECT") units.value = v?.unit ?? unit; place(); }, error, input };
    return h("div", { class: "field" }, h("div", { class: "line" }, label, info, input, units, clear), slider, error);
  }

  scoreField() {
    const { header } = this;
    const input = h("input", { id: "v-score", inputmode: "decimal", autocomplete: "off", placeholder: "not recorded", "aria-describedby": "e-score" });
    const scale = h("select", { "aria-label": "symptom scale" }, ...header.scales.map((s) => h("option", { value: s.id }, s.id)));
    const slider = h("input", { type: "range", min: 0, max: 60, step: 1, "aria-label": "Baseline score, slider" });
    const error = h("p", { class: "error", id: "e-score", "aria-live": "polite" });
    const bounds = () => { const s = header.scales.find((o) => o.id === this.state.scale); slider.min = Math.ceil(s.low); slider.max = Math.floor(s.high); slider.value = readValue(String(this.state.score))?.value ?? Math.round((s.low + s.high) / 2); slider.classList.toggle("unset", !String(this.state.score).trim()); slider.setAttribute("aria-valuetext", String(this.state.score).trim() ? `${this.state.score} points` : "not recorded"); };
    input.addEventListener("input", () => { this.state.score = input.value; bounds(); this.change(); });
    scale.addEventListener("change", () => { this.state.scale = scale.value; bounds(); this.change(); });
    slider.addEventListener("input", () => { input.value = slider.value; this.state.score = slider.value; bounds(); this.change(); });
    this.fields.score = { set: () => { scale.value = this.state.scale; input.value = this.state.score; bounds(); }, error, input };
    return h("div", { class: "field" }, h("div", { class: "line" }, h("label", { for: "v-score" }, "Baseline score"), h("button", { type: "button", class: "info", "data-source": "scale", "aria-label": "about the scale: open the source" }, "i"), input, scale, h("span", {})), slider, error);
  }

  sexField() {
    const choose = h("select", { id: "v-sex" }, h("option", { value: "" }, "not given"), h("option", { value: "female" }, "female"), h("option", { value: "male" }, "male"));
    choose.addEventListener("change", () => { this.state.sex = choose.value; this.change(); });
    this.fields.sex = { set: () => { choose.value = this.state.sex; } };
    return h("div", { class: "field" }, h("div", { class: "line" }, h("label", { for: "v-sex" }, "Sex"), h("span", {}), choose, h("span", {}), h("span", {})));
  }

  earlyRows() {
    at("early").replaceChildren(...this.state.early.map((e, i) => {
      const week = h("input", { value: e.week, inputmode: "numeric", class: "short", "aria-label": `week of early score ${i + 1}`, oninput: () => { e.week = week.value; this.change(); } });
      const score = h("input", { value: e.score, inputmode: "decimal", class: "short", "aria-label": `early score ${i + 1}`, oninput: () => { e.score = score.value; this.change(); } });
      const error = h("p", { class: "error", "aria-live": "polite", "data-early": i });
      return h("li", {}, h("span", { class: "early" }, "week ", week, " score ", score,
        h("button", { type: "button", class: "clear", "aria-label": `remove early score ${i + 1}`, onclick: () => { this.state.early.splice(i, 1); this.earlyRows(); at("early-add").focus(); this.change(); } }, "\u00d7")), error);
    }));
    at("on-line").hidden = this.state.early.length === 0;
  }

  show(state) {
    this.state = state;
    for (const field of Object.values(this.fields)) field.set();
    at("on").value = state.on;
    this.earlyRows();
    const hidden = this.header.analytes.filter((a) => !FIRST.includes(a.id) && state.values[a.id]?.text).length;
    if (hidden) at("more-values").open = true;
    if (state.early.length) at("early-values").open = true;
  }

  // what is wrong, beside the field that it is about
  mark(wrong) {
    for (const [id, field] of Object.entries(this.fields)) {
      if (!field.error) continue;
      field.error.textContent = wrong[id] ?? "";
      field.input.setAttribute("aria-invalid", String(id in wrong));
    }
    for (const element of at("early").querySelectorAll("[data-early]")) element.textContent = wrong[`early ${element.dataset.early}`] ?? "";
  }
}

export const pretty = (unit) => unit.replace("^2", "\u00b2").replace("m2", "m\u00b2").replace("ug", "\u00b5g").replace("umol", "\u00b5mol").replace("/uL", "/\u00b5L").replace("10*", "10^").replace("dimensionless", "");
export const spoken = (value, unit) => `${number(value)} ${UNITLESS.includes(unit) ? "" : pretty(unit)}`.trim();
