// How well each virtual patient explains what is known of a person (crosstalk.twin.likelihood, .cohort_weights, .library).
//
// A person: { observed: [{id, value, censored}], known: {covariate: value}, told: {answer: value}, scale: id or "",
// recorded: score or null, early: [{week, score}], on: regimen }.
import { effectiveSample, logNdtr, ndtr, quantiles } from "./numbers.js";
import { Estimator } from "./estimator.js";
import { gather } from "./library.js";

// what cannot be drawn, and why; `kind` tells the page which words to show
export class Refusal extends Error {
  constructor(kind, message) { super(message); this.kind = kind; }
}

export class Weigher {
  constructor(library) {
    this.library = library;
    this.kept = new Map();
  }

  // the last result of a part of the panel, so that moving one value leaves the others
  keep(part, key, make) {
    const old = this.kept.get(part);
    if (old && old.key === key) return old.value;
    const value = make();
    this.kept.set(part, { key, value });
    return value;
  }

  residuals(observed) {
    const a = this.library.analytes[observed.id], logs = this.library.log(a.variable);
    const center = Math.log(observed.value) - Math.log(a.factor), sd = a.logSd, z = new Float64Array(logs.length);
    for (let i = 0; i < z.length; i++) z[i] = (center - logs[i]) / sd;
    return z;
  }

  fitOf(observed) {
    return this.keep(`fit ${observed.id}`, `${observed.value} ${observed.censored}`, () => {
      const z = this.residuals(observed);
      for (let i = 0; i < z.length; i++) {
        z[i] = observed.censored === "left" ? logNdtr(z[i]) : observed.censored === "right" ? logNdtr(-z[i]) : -0.5 * z[i] * z[i];
      }
      return z;
    });
  }

  // log kernel of a covariate (crosstalk.twin.likelihood.likeness)
  likenessOf(name, value) {
    return this.keep(`known ${name}`, value, () => {
      const column = this.library.people[name], spread = this.library.header.kernel[name];
      return Float64Array.from(column, (own) => {
        const gap = (name === "BMI" ? Math.log(own / value) : own - value) / spread;
        return -0.5 * Math.min(gap * gap, 25 + 0.01 * gap * gap);
      });
    });
  }

  // log likelihood of an answer (crosstalk.twin.relations.relation_fit)
  answerOf(id, value) {
    return this.keep(`told ${id}`, value, () => {
      const r = this.library.header.answers.find((a) => a.id === id), cut = this.library.header.constants.cut;
      const y = Math.min(Math.max((value - r.center) / r.spread, -cut), cut), rest = 1 - r.correlation ** 2;
      return this.library.unknown(r.unknown).map((z) => -0.5 * (y - r.correlation * z) ** 2 / rest);
    });
  }

  // by the panel's values and covariates; the baseline score has no part in it
  logWeights(person) {
    const total = new Float64Array(this.library.n);
    const add = (part) => { for (let i = 0; i < total.length; i++) total[i] += part[i]; };
    for (const o of person.observed) add(this.fitOf(o));
    for (const [name, value] of Object.entries(person.known)) if (name in this.library.header.kernel) add(this.likenessOf(name, value));
    for (const [id, value] of Object.entries(person.told)) {
      if (this.library.header.answers.find((a) => a.id === id).used) add(this.answerOf(id, value));
    }
    return total;
  }

  // true and recorded score at baseline, and the log likelihood of the latter (CourseLibrary.started)
  started(scale, recorded) {
    const { header } = this.library;
    const true_ = this.keep("start", scale.id, () => this.library.score(scale, header.regimens[0].id, 0));
    if (recorded !== null) {
      if (recorded < scale.low || recorded > scale.high) {
        throw new Refusal("score", `A ${scale.id} of ${recorded} cannot be reached by the virtual patients, who have `
          + `${Math.ceil(scale.low)} to ${Math.floor(scale.high)}: the model speaks of depressed patients.`);
      }
      return [true_, null, true_.map((t) => -0.5 * ((recorded - t) / scale.raterSd) ** 2)];
    }
    const own = this.library.tables.recorded.column(0), d = header.severity;
    return [true_, own, own.map((s) => (!d ? 0 : s < d.lower || s > d.upper ? -Infinity : -0.5 * ((s - d.center) / d.spread) ** 2))];
  }

  // the patients who stand for this one, their weights, and how they are adjusted (CourseLibrary.twins)
  twins(person) {
    const { library } = this, { header } = library, { constants } = header;
    const panel = this.logWeights(person), panelSample = effectiveSample(panel);
    if (panelSample < constants.fewest) {
      throw new Refusal("few", `${panelSample.toFixed(1)} of ${library.n} virtual patients resemble this one, fewer than `
        + `${constants.fewest}: too few to draw anything from. Check the values and their units.`);
    }
    const scale = library.scales[person.scale || header.scale], recorded = person.recorded;
    const [true_, own, severity] = this.started(scale, recorded);
    const all = panel.map((v, i) => v + severity[i]);
    const rows = weighty(all, constants.least);
    if (!rows.length) throw new Refusal("few", "No virtual patient explains these values.");
    const pick = (column) => gather(column, rows);
    const score = recorded === null ? pick(own) : new Float64Array(rows.length).fill(recorded);
    const columns = [], target = [];
    for (const [name, value] of Object.entries(person.known)) {
      const log = name === "BMI", column = pick(library.people[name]);
      columns.push(log ? column.map(Math.log) : column);
      target.push(log ? Math.log(value) : value);
    }
    const fixed = columns.length;
    if (recorded !== null) {
      const start = pick(true_);
      columns.push(start, start.map((t) => (t - recorded) ** 2));
      target.push(recorded, scale.raterSd ** 2);
    }
    for (const j of this.silent(person)) { columns.push(pick(library.coordinate(j))); target.push(0); }
    const fluctuation = pick(library.people.fluctuation);
    return {
      panel, panelSample, scale, recorded, rows, score, columns, target, fixed, logWeight: pick(all),
      world: Uint16Array.from(rows, (i) => library.world[i]), spread: fluctuation.map((f) => f * scale.span),
    };
  }

  // coordinates on which nothing of the panel depends (CourseLibrary.silent)
  silent(person) {
    const { header, analytes } = this.library, loud = new Set();
    const names = [...person.observed.map((o) => analytes[o.id].variable), ...Object.keys(person.known),
      ...Object.keys(person.told).map((id) => header.answers.find((a) => a.id === id).unknown)];
    for (const name of names) for (const j of header.loud[name] ?? []) loud.add(j);
    return [...this.library.tables.coordinates.planes.keys()].filter((j) => !loud.has(j));
  }

  // means over the twins, with the likelihood of what was seen later
  estimator(twins, later = null) {
    const fit = later ? twins.logWeight.map((v, i) => v + later[i]) : twins.logWeight;
    let top = -Infinity;
    for (const v of fit) if (v > top) top = v;
    const some = later ? twins.fixed : twins.columns.length;
    return new Estimator(fit.map((v) => Math.exp(v - top)), twins.world, twins.columns.slice(0, some),
      twins.target.slice(0, some), this.library.header.constants.ridge);
  }

  // how rarely a member of the virtual population has a value as extreme (crosstalk.twin.likelihood.tail_probability)
  tailOf(observed) {
    return this.keep(`tail ${observed.id}`, `${observed.value} ${observed.censored}`, () => {
      const z = this.residuals(observed);
      let below = 0;
      for (const v of z) below += ndtr(v);
      below /= z.length;
      return observed.censored === "left" ? below : observed.censored === "right" ? 1 - below : 2 * Math.min(below, 1 - below);
    });
  }

  // how far the person lies from the virtual patients (crosstalk.twin.assessment.applicability)
  applicability(person, twins) {
    const { header } = this.library, c = header.constants;
    const surprises = person.observed.map((o) => ({ id: o.id, tail: this.tailOf(o) }));
    for (const [name, value] of Object.entries(person.known)) {
      if (name === "female") continue;
      let below = 0;
      for (const v of this.library.people[name]) if (v <= value) below++;
      below /= this.library.n;
      surprises.push({ id: header.covariates.find((a) => a.covariate === name).id, tail: 2 * Math.min(below, 1 - below) });
    }
    surprises.sort((a, b) => a.tail - b.tail);
    const lowest = surprises.length ? 1 - (1 - surprises[0].tail) ** surprises.length : 1, sample = twins.panelSample;
    const level = lowest < c.outsideTail || sample < c.fewest ? "outside" : lowest < c.edgeTail || sample < c.edgeSample ? "edge" : "inside";
    return { level, sample, surprises, lowest };
  }

  // the five mechanism scores under the panel's weights, and what covariates alone tell (crosstalk.twin.assessment.mechanism_scores)
  scores(person, panel) {
    const alone = this.scoresUnder(person, this.logWeights({ ...person, observed: [] }));
    return this.scoresUnder(person, panel).map((score, j) => ({ ...score, alone: alone[j], byCovariates: Math.min(alone[j].told, score.told) }));
  }

  // the scores under some weights (crosstalk.twin.cohort_weights.Weigher.scores)
  scoresUnder(person, panel) {
    const { library } = this;
    let top = -Infinity, sum = 0, squares = 0;
    for (const v of panel) if (v > top) top = v;
    const weight = panel.map((v) => Math.exp(v - top));
    for (const w of weight) { sum += w; squares += w * w; }
    const sample = sum * sum / squares, small = (1 + 1 / sample) * sample / Math.max(sample - 2, 1);
    for (let i = 0; i < weight.length; i++) weight[i] /= sum;
    const moment = (a, b = null) => { let s = 0; for (let i = 0; i < a.length; i++) s += weight[i] * (b ? a[i] * b[i] : a[i]); return s; };
    const fat = this.keep("log BMI", "", () => library.people.BMI.map(Math.log)), near = moment(fat);
    const spread = Math.max(moment(fat, fat) - near * near, 1e-12), own = Math.log(person.known.BMI ?? NaN);
    return library.header.scores.map((definition) => {
      const column = library.log(definition.output), mean = moment(column), raw = Math.max(moment(column, column) - mean * mean, 1e-12);
      const slope = Number.isFinite(own) ? (moment(column, fat) - mean * near) / spread : 0;
      const shift = Number.isFinite(own) ? slope * (own - near) : 0;
      const variance = Math.max(raw - slope * slope * spread, 1e-12) * small, all = this.everyone(definition.output);
      const sorted = all.sorted, ends = [0.05, 0.95].map((share) => {
        let reached = 0;
        for (const i of sorted) { reached += weight[i]; if (reached >= share) return column[i]; }
        return column[sorted[sorted.length - 1]];
      });
      const [low, high] = ends.map((e) => Math.exp((e - mean) * Math.sqrt(variance / raw) + mean + shift));
      const told = Math.min(Math.max(1 - variance / all.variance, 0), 1);
      return { definition, mean: Math.exp(mean + shift), low, high, told, population: all };
    });
  }

  // how a variable varies in the whole virtual population
  everyone(variable) {
    return this.keep(`all ${variable}`, "", () => {
      const column = this.library.log(variable), n = column.length, equal = new Float64Array(n).fill(1 / n);
      let mean = 0, square = 0;
      for (const v of column) { mean += v / n; square += v * v / n; }
      const sorted = Uint32Array.from(column.keys()).sort((a, b) => column[a] - column[b]);
      const [low, high] = quantiles(column, equal).map(Math.exp);
      return { mean: Math.exp(mean), low, high, variance: square - mean * mean, sorted };
    });
  }
}

// positions of all but the lightest, in their order (crosstalk.twin.library)
function weighty(logWeight, least) {
  let top = -Infinity, sum = 0;
  for (const v of logWeight) if (v > top) top = v;
  if (!Number.isFinite(top)) return new Uint32Array(0);
  const weight = logWeight.map((v) => Math.exp(v - top)), sorted = weight.slice().sort();
  for (const w of sorted) sum += w;
  let reached = 0, light = 0;
  while (light < sorted.length - 1 && reached + sorted[light] < least * sum) reached += sorted[light++];
  // of equal weights the first go
  const bound = sorted[light];
  let equal = 0;
  while (light > 0 && sorted[light - 1] === bound) { light--; equal++; }
  const rows = [];
  for (let i = 0; i < weight.length; i++) {
    if (weight[i] > bound || (weight[i] === bound && equal-- <= 0)) rows.push(i);
  }
  return Uint32Array.from(rows);
}
