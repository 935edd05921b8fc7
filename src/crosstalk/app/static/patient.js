// One patient: a form of values, the full forecast, and its report.
import { again, ask, downloads, el, field, interval, intervals, number, percent, result, table, work } from "./parts.js";

const SLOT = "patient", FORM = "patient-form";
const START = [["hsCRP", "", ""], ["IL-6", "", ""], ["BMI", "", ""], ["age", "", ""], ["HAMD17", "", ""]];

export function patient(place, state) {
  const units = Object.fromEntries(state.analytes.map((a) => [a.id, a.unit]));
  const rows = el("div");
  const out = el("div", { "aria-live": "polite" });
  const kept = JSON.parse(sessionStorage.getItem(FORM) || "null");
  const names = el("datalist", { id: "analytes" }, state.analytes.map((a) => el("option", { value: a.id }, a.name)));

  function line([analyte, value, unit]) {
    const what = el("input", { list: "analytes", value: analyte, "aria-label": "Analyte", placeholder: "analyte" });
    const is = el("input", { value, "aria-label": `Value of ${analyte || "the analyte"}`, placeholder: "value or <limit", inputmode: "decimal" });
    const of = el("input", { value: unit || usual(analyte), "aria-label": `Unit of ${analyte || "the analyte"}`, placeholder: "unit" });
    what.addEventListener("change", () => { of.value = usual(what.value); });
    const row = el("div", { class: "value" }, what, is, of,
      el("button", { type: "button", "aria-label": "Remove this line", onclick: () => row.remove() }, "×"));
    return row;
  }
  const usual = (id) => (units[id] && units[id] !== "dimensionless" && units[id] !== "1" ? units[id] : "");
  const values = () => [...rows.children].map((row) => [...row.querySelectorAll("input")].map((i) => i.value.trim()));
  rows.append(...(kept?.values || START).map(line));

  const regimens = el("select", { multiple: true, size: 6 }, state.regimens.map((r) => el("option", { value: r.id, selected: kept?.regimens?.includes(r.id) }, r.name)));
  const weeks = el("input", { type: "number", min: 1, max: 104, value: kept?.weeks || 12 });
  const early = el("input", { value: kept?.early || "", placeholder: "week 2: HAMD17=17; week 4: HAMD17=14" });
  const on = el("select", {}, el("option", { value: "" }, "the reference"), state.regimens.map((r) => el("option", { value: r.id, selected: kept?.on === r.id }, r.name)));

  function asked() {
    const form = { values: values(), regimens: [...regimens.selectedOptions].map((o) => o.value), weeks: Number(weeks.value), early: early.value, on: on.value };
    sessionStorage.setItem(FORM, JSON.stringify(form));
    const scores = form.early.split(";").filter((t) => t.trim()).map((text) => {
      const found = /^\s*week\s+(\d+)\s*:\s*([^=]+?)\s*=\s*([\d.]+)\s*$/i.exec(text);
      if (!found) throw new Error(`Early scores: '${text.trim()}' is not written as 'week 2: HAMD17=17'.`);
      return { week: Number(found[1]), scale: found[2], score: Number(found[3]) };
    });
    const given = form.values.filter((v) => v[0] && v[1]).map(([analyte, value, unit]) => ({ analyte, value, unit }));
    if (!given.length) throw new Error("Give at least one value.");
    return { values: given, regimens: form.regimens, weeks: form.weeks, scores, on: form.on || null };
  }
  const run = (event) => {
    event.preventDefault();
    work(out, SLOT, async () => ask("POST", "/api/forecast", asked()), (job) => forecast(out, job));
  };
  place.replaceChildren(
    el("h1", {}, "Patient"),
    el("p", { class: "lead" }, "The full forecast of one panel, with the report that the command line writes."),
    el("div", { class: "cols" },
      el("form", { class: "card", onsubmit: run }, names, el("h2", {}, "Panel"), rows,
        el("button", { type: "button", onclick: () => { rows.append(line(["", "", ""])); rows.lastChild.querySelector("input").focus(); } }, "Add a value"),
        el("p", { class: "soft" }, "A value below the limit of detection is written with its limit: <0.4"),
        field("Regimens (none chosen: all)", regimens), field("Weeks", weeks),
        field("Scores seen early", early), field("… on", on),
        el("div", { class: "buttons" }, el("button", { class: "main" }, "Forecast"))),
      out));
  again(out, SLOT, (job) => forecast(out, job)).then((found) => {
    if (!found) out.replaceChildren(el("div", { class: "card" }, el("p", { class: "soft" }, "The forecast appears here.")));
  });
}

export async function forecast(out, job) {
  const f = await result(job);
  const ranked = [...f.regimens].sort((a, b) => a.versus_reference.mean - b.versus_reference.mean);
  const reference = f.regimens.find((r) => r.id === f.reference);
  out.replaceChildren(
    el("div", { class: "card" }, el("h2", {}, "Forecast"), el("p", {}, f.conclusion), el("p", { class: f.applicability.level === "inside" ? "soft" : "warn" }, f.applicability.message),
      downloads(job, { "report.html": "Open the report", document: "JSON" })),
    el("div", { class: "card scroll" }, el("h2", {}, `Change of ${f.scale} against ${reference.name} [points]`),
      intervals(ranked.filter((r) => r.id !== f.reference).map((r) => ({ name: r.name, mean: r.versus_reference.mean, low: r.versus_reference.lo90, high: r.versus_reference.hi90,
        text: `response ${percent(r.response.mean)}` })), "Difference from the reference"),
      el("p", { class: "soft" }, "Left is better. Bars hold 90 %: what is not known of the patient and of the mechanism.")),
    el("div", { class: "card" }, table(["Regimen", "Change", "Response", "Remission", "What can be said"],
      ranked.map((r) => [r.name, number(r.change.mean), interval(percent(r.response.mean), Math.round(100 * r.response.lo90), percent(r.response.hi90)), percent(r.remission.mean), r.verdict]), "Regimens")),
    el("div", { class: "card" }, table(["Mechanism", "Fold of health (90 %)", "Reading"],
      f.mechanisms.map((m) => [m.name, interval(number(m.mean), number(m.lo90), number(m.hi90)), m.reading]), "Mechanism scores")),
    f.next_assay.length ? el("div", { class: "card" }, table(["Measure next", "Share of the doubt it takes"],
      f.next_assay.slice(0, 6).map((a) => [a.name, percent(a.variance_reduction)]), "What to measure next")) : null,
    el("div", { class: "card" }, el("h2", {}, "Notes"), f.notes.map((n) => el("p", { class: "soft" }, n))));
}
