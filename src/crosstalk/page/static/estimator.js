// Means over weighted virtual patients, regressed on what is known, and what worlds differ by
// (crosstalk.twin.estimate.Estimator; slopes, ridge and variances are derived there).
import { cholesky, nonNegative, solve } from "./numbers.js";

const BLOCK = 512;

function dot(a, b, from, to) { let s = 0; for (let i = from; i < to; i++) s += a[i] * b[i]; return s; }

export class Estimator {
  // weight: need not sum to 1; world: number of each; features: array of columns; target: mean of each column
  constructor(weight, world, features, target, ridge) {
    const n = weight.length;
    let sum = 0;
    for (const w of weight) sum += w;
    this.n = n;
    this.weight = Float64Array.from(weight, (w) => w / sum);
    this.square = 0;
    for (const w of this.weight) this.square += w * w;
    this.sample = 1 / this.square;
    const names = new Map();
    this.group = Uint16Array.from(world, (w) => { if (!names.has(w)) names.set(w, names.size); return names.get(w); });
    this.worlds = names.size;
    this.share = this.total(this.weight);
    this.squares = this.total(this.weight.map((w) => w * w));
    this.x = [];
    features.forEach((column, j) => {
      let first = 0, second = 0;
      for (let i = 0; i < n; i++) { const v = this.weight[i] * column[i]; first += v; second += v * column[i]; }
      const spread = Math.sqrt(Math.max(second - first * first, 0)), goal = target[j];
      if (spread > 1e-9 * Math.max(Math.abs(goal), 1)) {
        const x = new Float64Array(n);
        for (let i = 0; i < n; i++) x[i] = (column[i] - goal) / spread;
        this.x.push(x);
      }
    });
    const inner = this.x.map((x) => this.within(x));
    const d = this.x.length, w = this.weight;
    const weighted = inner.map((x) => { const y = new Float64Array(n); for (let i = 0; i < n; i++) y[i] = x[i] * w[i]; return y; });
    this.weighted = weighted;
    const gram = weighted.map(() => new Float64Array(d));
    this.blocks((from, to) => {
      for (let j = 0; j < d; j++) for (let k = 0; k <= j; k++) gram[j][k] += dot(weighted[j], inner[k], from, to);
    });
    for (let j = 0; j < d; j++) for (let k = 0; k < j; k++) gram[k][j] = gram[j][k];
    this.low = cholesky(gram.map((row, j) => row.map((v, k) => v + (j === k ? ridge * this.square : 0))));
    this.freedom = 0;
    for (let j = 0; j < d; j++) this.freedom += solve(this.low, gram[j])[j];
    const slopes = solve(this.low, this.x.map((x) => dot(w, x, 0, n)));
    const calibrated = Float64Array.from(w);
    for (let j = 0; j < d; j++) { const a = weighted[j], s = slopes[j]; for (let i = 0; i < n; i++) calibrated[i] -= s * a[i]; }
    let all = 0;
    for (let i = 0; i < n; i++) { if (calibrated[i] < 0) calibrated[i] = 0; all += calibrated[i]; }
    this.calibrated = calibrated.map((v) => v / all);
  }

  // rows in parts that stay near the processor while many columns pass over them
  blocks(visit) { for (let from = 0; from < this.n; from += BLOCK) visit(from, Math.min(from + BLOCK, this.n)); }

  // sums by world
  total(values) {
    const found = new Float64Array(this.worlds), group = this.group;
    for (let i = 0; i < values.length; i++) found[group[i]] += values[i];
    return found;
  }

  // distances from the mean of the own world
  within(values) {
    const means = new Float64Array(this.worlds), found = new Float64Array(this.n), w = this.weight, group = this.group;
    for (let i = 0; i < this.n; i++) means[group[i]] += values[i] * w[i];
    for (let g = 0; g < this.worlds; g++) means[g] /= this.share[g];
    for (let i = 0; i < this.n; i++) found[i] = values[i] - means[group[i]];
    return found;
  }

  // some columns of values as they would be at the target of the features
  adjusted(columns) {
    const d = this.x.length, sums = columns.map(() => new Float64Array(d)), found = columns.map((c) => Float64Array.from(c));
    this.blocks((from, to) => columns.forEach((c, m) => { for (let j = 0; j < d; j++) sums[m][j] += dot(this.weighted[j], c, from, to); }));
    const slopes = sums.map((sum) => solve(this.low, sum));
    this.blocks((from, to) => found.forEach((f, m) => {
      for (let j = 0; j < d; j++) { const x = this.x[j], slope = slopes[m][j]; for (let i = from; i < to; i++) f[i] -= slope * x[i]; }
    }));
    return found;
  }

  mean(values) { return dot(this.calibrated, values, 0, this.n); }

  // Monte-Carlo error of the mean
  error(column, mean) {
    const left = Math.max(1 - (this.freedom + 1) * this.square, 0.05);
    let s = 0;
    for (let i = 0; i < this.n; i++) s += (this.weight[i] * (column[i] - mean)) ** 2;
    return Math.sqrt(s / left);
  }

  // of some columns the mean, and the SD of what is not known: between worlds, and the error of the mean
  between(columns) {
    return this.adjusted(columns).map((column, m) => this.apart(column, this.mean(columns[m])));
  }

  apart(column, mean) {
    const error = this.error(column, mean);
    const w = this.weight, means = new Float64Array(this.worlds);
    for (let i = 0; i < this.n; i++) means[this.group[i]] += column[i] * w[i];
    const inner = this.within(column);
    let spreadWithin = 0, shares = 0, noisy = 0, overall = 0;
    for (let i = 0; i < this.n; i++) spreadWithin += w[i] * inner[i] * inner[i];
    const noise = new Float64Array(this.worlds);
    for (let g = 0; g < this.worlds; g++) {
      overall += means[g];
      means[g] /= this.share[g];
      noise[g] = this.squares[g] / this.share[g] ** 2;
      noisy += this.share[g] * noise[g];
      shares += this.share[g] ** 2;
    }
    const freedom = 1 - noisy - this.freedom * this.square, apart = 1 - shares;
    if (apart <= 1e-12) return { mean, error, sd: error };
    let spread = 0;
    for (let g = 0; g < this.worlds; g++) spread += this.share[g] * (means[g] - overall) ** 2;
    if (freedom <= 0.02) return { mean, error, sd: Math.sqrt(spread / apart + error * error) };
    const chance = spreadWithin / freedom, raw = (spread - chance * (noisy - this.square)) / apart;
    let worth = 0;
    for (let g = 0; g < this.worlds; g++) worth += this.share[g] ** 2 * (Math.max(raw, 0) + chance * noise[g]) ** 2;
    const doubt = 2 * chance ** 2 * (noisy - this.square) ** 2 * this.square / freedom;
    const varianceError = Math.sqrt(2 * worth + doubt) / apart;
    return { mean, error, sd: Math.sqrt(nonNegative(raw, varianceError) + error * error) };
  }
}
