// The forecast of every regimen from the patients who stand for one (crosstalk.twin.courses, .sequential, .next_assay).
import { density, eigen, effectiveSample, ndtr, probabilityInterval, quantiles } from "./numbers.js";
import { Refusal } from "./weigh.js";

// covariance of the unit fluctuation at two weeks; it starts at 0 in week 0
const covariance = (a, b, forget) => Math.exp(-Math.abs(a - b) / forget) - Math.exp(-(a + b) / forget);

// the joint normal distribution of scores given the true course and those seen (crosstalk.twin.sequential.Scores)
export class Scores {
  constructor(scale, early, constants) {
    this.scale = scale;
    this.constants = constants;
    this.forget = constants.fluctuationWeeks;
    this.early = early;
    this.weeks = early.map((e) => e.week);
    this.variance = scale.raterSd ** 2 + (scale.integer ? constants.rounding : 0);
    const { values, vectors } = eigen(this.weeks.map((a) => this.weeks.map((b) => covariance(a, b, this.forget))));
    this.eigenvalues = values.map((v) => Math.max(v, 0));
    this.vectors = vectors;
  }

  // differences of the scores seen to a course, turned; `seen` holds a column of the true course per week seen
  turned(seen, i) {
    return this.eigenvalues.map((_, k) => {
      let s = 0;
      for (let m = 0; m < this.weeks.length; m++) s += (this.early[m].score - seen[m][i]) * this.vectors[m][k];
      return s;
    });
  }

  logLikelihood(seen, spread) {
    return spread.map((sd, i) => {
      let s = 0;
      this.turned(seen, i).forEach((t, k) => {
        const v = sd * sd * this.eigenvalues[k] + this.variance;
        s -= 0.5 * (t * t / v + Math.log(2 * Math.PI * v));
      });
      return s;
    });
  }

  // mean and SD of the score at a week before rounding; `seen` under the regimen of the early scores
  expected(true_, spread, week, seen) {
    const n = true_.length, mean = Float64Array.from(true_), sd = new Float64Array(n);
    const own = 1 - Math.exp(-2 * week / this.forget), rater = this.scale.raterSd ** 2;
    const across = this.eigenvalues.map((_, k) => this.weeks.reduce((s, w, m) => s + this.vectors[m][k] * covariance(w, week, this.forget), 0));
    for (let i = 0; i < n; i++) {
      const square = spread[i] ** 2;
      let fluctuation = square * own;
      if (this.weeks.length) {
        const turned = this.turned(seen, i);
        for (let k = 0; k < across.length; k++) {
          const v = square * this.eigenvalues[k] + this.variance;
          mean[i] += square * turned[k] * across[k] / v;
          fluctuation -= square * square * across[k] ** 2 / v;
        }
      }
      sd[i] = Math.sqrt(Math.max(fluctuation, 0) + rater);
    }
    return { mean, sd };
  }
}

// mean of a normal score that the scale cuts at its ends
export function recordedMean(mean, sd, scale) {
  return mean.map((m, i) => {
    const safe = Math.max(sd[i], 1e-9), low = -m / safe, high = (scale.maximum - m) / safe;
    const under = low < -8 ? [0, 0] : [ndtr(low), density(low)], over = high > 8 ? [0, 0] : [ndtr(-high), density(high)];
    return m * (1 - over[0] - under[0]) + safe * (under[1] - over[1]) + scale.maximum * over[0];
  });
}

const chanceOfAtMost = (mean, sd, scale, limit) =>
  mean.map((m, i) => ndtr((limit(i) + (scale.integer ? 0.5 : 0) - m) / Math.max(sd[i], 1e-9)));

// 5th and 95th percentile of the score that is recorded: of the mixture itself, without drawing
export function recordedEnds(mean, sd, weight, scale) {
  const step = scale.integer ? 1 : 0.1, last = Math.round(scale.maximum / step);
  return [0.05, 0.95].map((share) => {
    let low = -1, high = last;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      let reached = 0;
      for (let i = 0; i < mean.length; i++) {
        reached += weight[i] * (sd[i] > 0 ? ndtr((middle * step + step / 2 - mean[i]) / sd[i]) : Number(mean[i] <= middle * step));
      }
      if (reached >= share) high = middle; else low = middle;
    }
    return high * step;
  });
}

export class Forecaster {
  constructor(library, weigher) {
    this.library = library;
    this.weigher = weigher;
  }

  // everything of one person that the page draws at once; details of one regimen and the rest come when asked for
  run(person) {
    const { library, weigher } = this, { header } = library, twins = weigher.twins(person);
    const { scale, rows, spread } = twins, weeks = header.weeks, on = person.on || header.reference;
    const scores = new Scores(scale, person.early, header.constants);
    const seen = scores.weeks.map((w) => library.score(scale, on, w, rows));
    const before = weigher.estimator(twins);
    let estimator = before, told = null;
    if (seen.length) {
      const later = scores.logLikelihood(seen, spread), sample = effectiveSample(twins.logWeight.map((v, i) => v + later[i]));
      told = this.told(twins, before, scores, on, sample);
      if (sample < header.constants.fewestEarly) {
        const odd = told.seen.reduce((a, b) => (b.tail < a.tail ? b : a));
        throw new Refusal("early", `The early scores leave an effective sample of ${sample.toFixed(1)} virtual patients, fewer than `
          + `${header.constants.fewestEarly}: too few to draw the rest of the course. The most unusual is that of week ${odd.week}: `
          + `${odd.score}, expected ${odd.mean.toFixed(0)} (${odd.low} to ${odd.high}).`);
      }
      estimator = weigher.estimator(twins, later);
    }
    if (estimator.sample < header.constants.fewest) {
      throw new Refusal("few", `With the baseline score an effective sample of ${estimator.sample.toFixed(1)} virtual patients is left, `
        + `fewer than ${header.constants.fewest}: too few to draw anything from. Check the values and their units.`);
    }
    const weight = estimator.calibrated, n = rows.length;
    const finals = header.regimens.map((r) => library.score(scale, r.id, weeks, rows));
    const reference = finals[library.regimenIndex[header.reference]];
    const best = this.best(finals, weight);
    const half = (i) => Math.floor(twins.score[i] * (1 - scale.responseFraction));
    const ends = finals.map((true_) => scores.expected(true_, spread, weeks, seen));
    const responses = estimator.between(ends.map(({ mean, sd }) => chanceOfAtMost(mean, sd, scale, half)));
    const regimens = header.regimens.map((r, k) => {
      const { mean, sd } = ends[k], response = responses[k];
      const change = recordedMean(mean, sd, scale).map((v, i) => v - twins.score[i]);
      const gain = new Float64Array(n);
      for (let i = 0; i < n; i++) gain[i] = finals[k][i] - reference[i];
      const [low, high] = quantiles(gain, weight), versus = { mean: estimator.mean(gain), low, high };
      const [responseLow, responseHigh] = probabilityInterval(response.mean, response.sd);
      return {
        id: r.id, change: estimator.mean(change), versus, best: best[k], verdict: verdict(versus, r.id === header.reference, scale, header),
        response: { mean: response.mean, low: responseLow, high: responseHigh, error: response.error }, end: ends[k],
      };
    });
    let baseline = 0;
    for (let i = 0; i < n; i++) baseline += weight[i] * twins.score[i];
    return { person, twins, estimator, scores, seen, on, told, regimens, finals, baseline, applicability: weigher.applicability(person, twins) };
  }

  // in how much of the weight each regimen is the best
  best(finals, weight) {
    const found = finals.map(() => 0);
    const count = finals.length;
    for (let i = 0; i < weight.length; i++) {
      let low = Infinity, ties = 0;
      for (let k = 0; k < count; k++) if (finals[k][i] < low) low = finals[k][i];
      for (let k = 0; k < count; k++) if (finals[k][i] <= low + 1e-9) ties++;
      for (let k = 0; k < count; k++) if (finals[k][i] <= low + 1e-9) found[k] += weight[i] / ties;
    }
    return found;
  }

  // what was expected of the scores seen, and what they changed
  told(twins, before, scores, on, sample) {
    const { library } = this, plain = new Scores(twins.scale, [], library.header.constants);
    const seen = scores.early.map(({ week, score }) => {
      const { mean, sd } = plain.expected(library.score(twins.scale, on, week, twins.rows), twins.spread, week, []);
      const wide = twins.scale.integer ? library.header.constants.rounding : 0;
      let below = 0;
      for (let i = 0; i < mean.length; i++) below += before.calibrated[i] * ndtr((score - mean[i]) / Math.sqrt(sd[i] ** 2 + wide));
      const [low, high] = recordedEnds(mean, sd, before.calibrated, twins.scale);
      return { week, score, mean: before.mean(recordedMean(mean, sd, twins.scale)), low, high, tail: 2 * Math.min(below, 1 - below) };
    });
    return { seen, candidates: before.sample, sample };
  }

  // the course of one regimen with its details
  course(found, id) {
    const { library } = this, { twins, scores, seen, estimator } = found, { scale, rows } = twins, weight = estimator.calibrated;
    const weeks = [...Array(library.header.weeks + 1).keys()], entry = found.regimens[library.regimenIndex[id]];
    const points = weeks.map((week) => {
      if (week === 0) { const [low, high] = quantiles(twins.score, weight); return { week, mean: found.baseline, low, high }; }
      const early = id === found.on ? scores.early.find((e) => e.week === week) : null;
      if (early) return { week, mean: early.score, low: early.score, high: early.score };
      const { mean, sd } = scores.expected(library.score(scale, id, week, rows), twins.spread, week, seen);
      const [low, high] = recordedEnds(mean, sd, weight, scale);
      return { week, mean: estimator.mean(recordedMean(mean, sd, scale)), low, high };
    });
    const dimensions = [0, 1].map((d) => weeks.map((week) => {
      const values = library.symptoms(id, d, week, rows), [low, high] = quantiles(values, weight);
      return { week, mean: estimator.mean(values), low, high };
    }));
    const { mean, sd } = entry.end, [between] = estimator.between([chanceOfAtMost(mean, sd, scale, () => scale.remissionMax)]);
    const [low, high] = probabilityInterval(between.mean, between.sd);
    const last = points[points.length - 1];
    return {
      points, dimensions, remission: { mean: between.mean, low, high, error: between.error },
      change: { mean: entry.change, low: last.low - found.baseline, high: last.high - found.baseline },
    };
  }

  // which assay would narrow the choice between the two best regimens most
  nextAssays(found) {
    const { library } = this, { header } = library, { twins, estimator, person } = found;
    const ranked = [...found.regimens].sort((a, b) => a.versus.mean - b.versus.mean);
    const first = found.finals[library.regimenIndex[ranked[0].id]], second = found.finals[library.regimenIndex[(ranked[1] ?? ranked[0]).id]];
    const some = header.noise.length, rows = [];
    let reached = 0, at = 0;
    const steps = [...Array(some).keys()].map((i) => (i + 0.5) / some);
    for (let i = 0; i < twins.rows.length; i++) {
      reached += estimator.calibrated[i];
      if (at < some && steps[at] <= reached) { rows.push(i); while (at < some && steps[at] <= reached) at++; }
    }
    const gain = rows.map((i) => first[i] - second[i]), taken = new Set(person.observed.map((o) => library.analytes[o.id].variable));
    return header.analytes.filter((a) => !taken.has(a.variable)).map((a) => {
      const logs = library.log(a.variable);
      return { id: a.id, name: a.name, cost: a.cost, reduction: reduction(gain, rows.map((i) => logs[twins.rows[i]]), a.logSd, header.noise) };
    }).sort((a, b) => b.reduction - a.reduction);
  }

  // fold of health of each node of the map, and what a regimen makes of it
  map(found, id) {
    const { library } = this, { header } = library, { twins, estimator } = found, weight = estimator.calibrated;
    const nodes = header.map.nodes.filter((n) => n.variable), width = nodes.length, k = library.regimenIndex[id];
    const place = new Map(header.shown.map((row, i) => [row, i])), rows = [], own = [];
    twins.rows.forEach((row, i) => { if (place.has(row)) { rows.push(place.get(row)); own.push(weight[i]); } });
    const sum = own.reduce((a, b) => a + b, 0), sample = sum * sum / own.reduce((a, b) => a + b * b, 0) || 0;
    const enough = sample >= header.constants.fewest;
    const folds = {};
    nodes.forEach((node, j) => {
      const logs = library.log(node.baseline);
      let mean = 0, square = 0;
      for (let i = 0; i < weight.length; i++) { const v = logs[twins.rows[i]]; mean += weight[i] * v; square += weight[i] * v * v; }
      const sd = Math.sqrt(Math.max(square - mean * mean, 0)), healthy = Math.log(node.healthy);
      let response = null;
      if (enough) {
        const column = library.tables.response.column(k * width + j);
        response = rows.reduce((s, row, i) => s + own[i] * column[row], 0) / sum;
      }
      folds[node.id] = { log: mean - healthy, sd, response };
    });
    for (const node of header.map.nodes.filter((n) => n.dimension)) {
      const d = node.dimension === "NV" ? 0 : 1;
      const mean = (week) => estimator.mean(library.symptoms(id, d, week, twins.rows));
      const start = mean(0);
      folds[node.id] = { share: start, change: mean(header.weeks) - start };
    }
    return { folds, sample, enough };
  }
}

// share by which a measurement is expected to reduce the variance of the benefit
function reduction(benefit, signal, sd, noise) {
  const n = benefit.length;
  if (n < 20) return 0;
  const center = benefit.reduce((a, b) => a + b, 0) / n, total = benefit.reduce((s, b) => s + (b - center) ** 2, 0) / n;
  if (total <= 0) return 0;
  let error = 0;
  const scale = 1 / (sd * Math.SQRT2), fits = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const measured = signal[i] + sd * noise[i];
    let top = Infinity;
    for (let j = 0; j < n; j++) { const z = (measured - signal[j]) * scale; fits[j] = j === i ? Infinity : z * z; if (fits[j] < top) top = fits[j]; }
    let sum = 0, mean = 0;
    for (let j = 0; j < n; j++) { const gap = fits[j] - top; if (gap < 40) { const w = Math.exp(-gap); sum += w; mean += w * benefit[j]; } }
    error += (benefit[i] - mean / sum) ** 2 / n;
  }
  return Math.min(Math.max(1 - error / total, 0), 1);
}

// the difference in words (crosstalk.twin.sentences.verdict)
function verdict(versus, isReference, scale, header) {
  if (isReference) return "reference";
  const margin = header.constants.meaningful * scale.span;
  if (versus.high < -margin) return "estimated better";
  if (versus.low > margin) return "estimated worse";
  if (-margin <= versus.low && versus.high <= margin) return "too small a difference to matter";
  if (versus.high < 0) return "not worse; how much better is open";
  if (versus.low > 0) return "not better; how much worse is open";
  return "no evidence of a difference";
}

