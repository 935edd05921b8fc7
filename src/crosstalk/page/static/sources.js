// Where each number comes from: one dialog, filled for the number that was opened.
import { at, h, number, percent, signed } from "./elements.js";
import { pretty, spoken } from "./form.js";

const link = (doi) => (doi ? h("a", { href: `https://doi.org/${doi}`, rel: "noreferrer noopener", target: "_blank" }, `doi ${doi}`) : null);
const KINDS = { measured: "measured", derived: "derived", fitted: "fitted", assumed: "assumed: nobody measured it" };

export const place = (source) => h("p", { class: "place" }, h("span", { class: `kind ${source.kind}` }, KINDS[source.kind] ?? source.kind), " ", source.place, " ", link(source.doi));
const facts = (...rows) => h("table", { class: "facts" }, h("tbody", {}, ...rows.filter(Boolean).map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value)))));
const p = (...text) => h("p", {}, ...text);

export class Sources {
  constructor(library, weigher) {
    this.library = library;
    this.weigher = weigher;
    this.header = library.header;
    this.dialog = at("source");
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-source]");
      if (button) this.open(button.dataset.source);
    });
    at("source-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
  }

  open(key) {
    const [kind, ...rest] = key.split(" "), id = rest.join(" "), [title, ...body] = this[kind](id);
    at("source-title").textContent = title;
    at("source-body").replaceChildren(...body.flat().filter(Boolean));
    this.dialog.showModal();
  }

  regimenOf(id) { return this.header.regimens.find((r) => r.id === id); }
  entry(id) { return this.found?.regimens.find((r) => r.id === id); }

  analyte(id) {
    const covariate = this.header.covariates.find((c) => c.id === id), answer = this.header.answers.find((a) => a.id === id), a = this.library.analytes[id];
    if (covariate) return [covariate.name, p("Fixes a trait: virtual patients count by how near they are, and the rest of the difference is taken out by regression."),
      facts(["counts as alike within", covariate.covariate in this.header.kernel ? (covariate.id === "BMI" ? "a tenth of it" : spoken(this.header.kernel[covariate.covariate], covariate.unit)) : "used by regression alone"]), place(covariate.source)];
    if (answer) return [answer.name, p(`Tells something of the unknown "${answer.unknown}": a correlation of ${answer.correlation} with it, around ${answer.center} (SD ${answer.spread}) in depressed people.`), place(answer.source), place(answer.population)];
    return [a.name, p("Compared with what each virtual patient would have. A value is allowed to differ from the person's usual level by the error below."),
      facts(["error of one value", `\u00d7/\u00f7 ${number(Math.exp(a.logSd))} (assay, week-to-week variation, laboratory)`], ["model variable", a.variable], a.lod ? ["usual limit of detection", spoken(a.lod, a.unit)] : null, ["asked back outside", `${a.plausible[0]} to ${spoken(a.plausible[1], a.unit)}`]),
      place(a.source), a.note ? p(a.note) : null,
      a.ranges.length ? h("h3", {}, "In health") : null, ...a.ranges.map((r) => h("div", {}, p(`${spoken(r.median, a.unit)} (${number(r.low)} to ${number(r.high)}), ${r.assay}, ${r.specimen}`), place(r)))];
  }

  scale() {
    const s = this.header.scales.find((o) => o.id === (this.found?.twins.scale.id ?? this.header.scale));
    return [s.name, facts(["range", `0 to ${s.maximum}`], ["rater's error", `SD ${s.raterSd} points`], ["response", `a fall by ${percent(s.responseFraction)} of the baseline score`], ["remission", `at most ${s.remissionMax}`], ["virtual patients have", `${Math.ceil(s.low)} to ${Math.floor(s.high)}`]), place(s.source)];
  }

  method(what) {
    const f = this.found, h_ = this.header;
    return [p(what), p(`It rests on ${h_.virtualPatients - h_.leftOut.length} virtual patients in ${h_.worlds} possible worlds (${h_.worldsWords}), weighed by how well they explain this panel: they count as ${f ? number(f.estimator.sample) : "none"} of equal weight.`)];
  }

  rests(id) { const r = this.regimenOf(id); return [h("h3", {}, "The regimen rests on"), ...r.evidence.map(place), r.note ? p(r.note) : null, p(r.doses.join("; ") || "no drug")]; }

  versus(id) {
    const e = this.entry(id), scale = this.found.twins.scale.id;
    return [`${this.regimenOf(id).name} against ${this.regimenOf(this.header.reference).name}`,
      p(id === this.header.reference ? "The reference: the others are held against it." : `${signed(e.versus.mean, 2)} points of ${scale} at week ${this.header.weeks} (${signed(e.versus.low, 2)} to ${signed(e.versus.high, 2)}, 90 % of the virtual patients who stand for this one). Below zero is better.`),
      p(`It is the best of all in ${percent(e.best)} of them.`), ...this.method("Each virtual patient has run through both treatments; this is the difference of the true scores, in the same patient."), ...this.rests(id)];
  }

  response(id) {
    const e = this.entry(id);
    return [`Response under ${this.regimenOf(id).name}`, p(`${percent(e.response.mean)} (${percent(e.response.low)} to ${percent(e.response.high)}; Monte-Carlo error ${(100 * e.response.error).toFixed(1)} percentage points).`),
      ...this.method("The chance that a rater records a fall by half or more at the end, with the fluctuation of symptoms and the rater's error. The interval is what is not known: what possible worlds differ by."), ...this.rests(id)];
  }

  change(id) {
    return [`Change under ${this.regimenOf(id).name}`, ...this.method("The mean change of the recorded score from baseline; the interval holds 90 % of what a rater may record for one person."), ...this.rests(id)];
  }

  remission(id) { return [`Remission under ${this.regimenOf(id).name}`, ...this.method("The chance that a rater records a score at most that of remission at the end."), ...this.rests(id)]; }

  published(id) {
    const found = this.header.published.find((o) => o.regimen === id), scale = this.found.twins.scale, sd = this.header.usualSd * scale.maximum;
    return [`Published effect of ${found.name}`, p(`${signed(found.estimate, 2)} SD of the score${found.low !== null ? ` (95 % interval ${signed(found.low, 2)} to ${signed(found.high, 2)})` : ""} against its absence, ${found.k} cohort${found.k > 1 ? "s" : ""}, random effects. One SD is taken as ${number(sd)} points of ${scale.id}. It is that of whole samples, not of people like this one.`),
      found.added ? null : p("The trials compare it with placebo, so that it is not drawn beside a difference to the reference."),
      ...found.trials.map((t) => h("div", {}, p(h("b", {}, t.label), ` ${signed(t.value, 2)} (${signed(t.low, 2)} to ${signed(t.high, 2)})`), h("p", { class: "place" }, t.made, " ", link(t.doi))))];
  }

  node(id) {
    const { map } = this.header, n = map.nodes.find((o) => o.id === id), into = map.edges.filter((e) => e.end === id), label = (o) => map.nodes.find((q) => q.id === o).label;
    const f = this.folds?.[id];
    return [n.label, p(n.meaning), n.variable && f ? facts(["in this patient", `\u00d7${number(Math.exp(f.log))} of health (\u00d7${number(Math.exp(f.log - 1.645 * f.sd))} to \u00d7${number(Math.exp(f.log + 1.645 * f.sd))})`], ["in the healthy adult", `${number(n.healthy)} ${pretty(n.unit)}`], ["model variable", n.variable]) : null,
      into.length ? h("h3", {}, "What acts on it") : null,
      ...into.map((e) => { const c = map.constants[e.constant]; return h("div", {}, p(h("b", {}, label(e.start)), e.sign < 0 ? " holds it down" : " drives it", `: ${c.meaning}, ${number(c.value)} ${pretty(c.unit)}`), place(c)); })];
  }

  score(id) {
    const d = this.header.scores.find((o) => o.id === id), everyone = this.weigher.everyone(d.output);
    return [d.name, p(`${d.unit}; in the healthy adult ${number(d.healthy)}, in the virtual population ${number(everyone.mean)} (${number(everyone.low)} to ${number(everyone.high)}).`), p("Low: ", d.low, "."), p("Usual: ", d.within, "."), p("High: ", d.high, "."), ...this.method("The geometric mean with its 90 % interval under the panel's weights, the baseline score apart; the remaining difference of BMI is taken out by regression.")];
  }

  applicability() {
    const a = this.found?.applicability, c = this.header.constants;
    return ["How far the patient lies from the virtual patients", p(`Below ${c.fewest} of equal weight nothing is drawn, below ${c.edgeSample} the patient lies at the edge. A panel is unusual where the least likely of its values is, for as many as there are, below ${c.edgeTail}.`),
      a ? facts(["resemble the patient", number(a.sample)], ...a.surprises.map((s) => [s.id, `as far out in ${number(100 * s.tail, 2)} % of virtual patients`])) : null, ...this.method("")];
  }

  next(id) {
    const a = this.library.analytes[id];
    return [`Measuring ${a.name}`, p("The share by which this value is expected to reduce the variance of the difference between the two best regimens: a measurement is simulated in each virtual patient, the others are weighed by how well they explain it."), ...this.analyte(id).slice(2)];
  }

  library_() {
    const h_ = this.header;
    return ["What this page holds", facts(["Crosstalk", h_.crosstalk], ["worlds", h_.worldsWords], ["virtual patients", `${h_.virtualPatients - h_.leftOut.length} of ${h_.virtualPatients}: those who run to the end of every regimen`], ["seed", h_.seed], ["horizon", `${h_.weeks} weeks`], ["model", h_.model.slice(0, 16)], ["knowledge", h_.knowledge.slice(0, 16)]),
      p(h_.accuracy), p("Courses are kept as principal components, rounded; nothing is sent anywhere. The early failures of a patient are not used here: crosstalk forecast uses them.")];
  }
}
