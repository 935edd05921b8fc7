// Published results: search, pool with a forest plot, and the model beside one study.
import { again, ask, choice, downloads, el, fail, field, intervals, number, percent, result, table, work } from "./parts.js";

const SLOT = "evidence";

export function evidence(place, state) {
  const text = el("input", { type: "search", placeholder: "words: infliximab, HAMD17, raison …", "aria-label": "Words" });
  const drug = el("input", { placeholder: "such as infliximab" }), of = el("input", { placeholder: "such as HAMD17" });
  const endpoint = choice([["", "any"], ...["change", "level", "ratio", "response", "remission", "smd", "odds-ratio", "correlation"].map((e) => [e, e])], "");
  const role = choice([["", "any"], ["calibrate", "fitted"], ["validate", "held apart"], ["context", "context"]], "");
  const out = el("div", { "aria-live": "polite" }), beside = el("div", { "aria-live": "polite" });
  const some = (c) => (c.value.trim() ? [c.value.trim()] : []);
  const query = () => ({ text: text.value, drug: some(drug), of: some(of), endpoint: some(endpoint), role: some(role) });
  const search = async (event) => {
    event?.preventDefault();
    try {
      listed(out, beside, await ask("POST", "/api/evidence?wait=30", query()));
    } catch (error) {
      fail(out, error);
    }
  };
  const pool = () => work(out, null, () => ask("POST", "/api/evidence/pool", { ...query(), text: "" }), (job) => pooled(out, job));
  place.replaceChildren(el("h1", {}, "Evidence"), el("p", { class: "lead" }, "The published results that the model was fitted to, and those it must predict."),
    el("div", { class: "cols" },
      el("form", { class: "card", onsubmit: search }, field("Search", text), field("Drug", drug), field("Scale or analyte", of), field("Endpoint", endpoint), field("Role", role),
        el("div", { class: "buttons" }, el("button", { class: "main" }, "Search"), el("button", { type: "button", onclick: pool }, "Pool what is comparable"))),
      el("div", {}, beside, out)));
  search();
  again(beside, SLOT, (job) => compared(beside, job));
}

function listed(out, beside, found) {
  const rows = found.results;
  const compare = (study) => work(beside, SLOT, () => ask("POST", "/api/evidence/beside", { study }), (job) => compared(beside, job));
  const doi = (r) => (r.doi ? el("a", { href: `https://doi.org/${r.doi}`, target: "_blank", rel: "noopener noreferrer", title: r.doi }, "doi") : r.pubmed || "");
  out.replaceChildren(el("div", { class: "card" }, table(["Study", "Result", "Arms", "Published", "Role", "Source", "Model"],
    rows.slice(0, 200).map((r) => [r.study, `${r.endpoint} of ${r.of}`, r.versus ? `${r.arm} against ${r.versus}` : r.arm, el("span", {}, r.shown), r.role, doi(r),
      el("button", { class: "link whole", title: `The model beside ${r.study}`, onclick: () => compare(r.study) }, "compare")]), `${rows.length} results${rows.length > 200 ? ", the first 200" : ""}`)));
}

async function pooled(out, job) {
  const p = await result(job);
  out.replaceChildren(el("div", { class: "card" }, el("h2", {}, p.title || "Pooled results"),
    el("figure", {}, el("img", { src: `/api/jobs/${job.id}/forest.svg`, alt: "Forest plot of the pooled results; the report has them as a table" })),
    downloads(job, { "report.html": "Open the report", document: "JSON" })));
}

async function compared(out, job) {
  const v = await result(job);
  if (!v.results.length) throw new Error("No result of this study can be simulated.");
  const name = (r) => `${r.of} ${r.arm}${r.versus ? ` − ${r.versus}` : ""}${r.week ? ` w${number(r.week)}` : ""}${r.stratum ? ` ${r.stratum}` : ""}`;
  const groups = new Map();
  for (const r of v.results) groups.set(r.unit, [...(groups.get(r.unit) || []), r]);
  out.replaceChildren(el("div", { class: "card scroll" }, el("h2", {}, `${v.results[0].study}: the model beside what was published`),
    [...groups].map(([unit, rows]) => [el("h3", {}, unit), intervals(rows.map((r) => ({ name: name(r), mean: r.predicted_median, low: r.lo90, high: r.hi90, text: r.inside90 ? "inside" : "outside",
      other: { mean: r.observed, low: r.observed_lo90, high: r.observed_hi90 } })), `Predicted and published, ${unit}`, { zero: rows.some((r) => r.versus) ? 0 : null })]),
    el("p", { class: "soft" }, "Circle and bar: what the model says another study of this size would report (90 %). Square: what was published."),
    el("p", { class: "soft" }, `${percent(v.results.filter((r) => r.inside90).length / v.results.length)} inside; ${v.results.length} results; role ${v.results[0].role}.`)));
}
