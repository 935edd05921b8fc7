// Distributions, quantiles and small linear algebra. Each mirrors the function of the Python package that it names.

// log of the complementary error function, relative error of erfc below 1.2e-7 (Numerical Recipes, erfcc)
function logErfc(x) {
  const z = Math.abs(x), t = 1 / (1 + 0.5 * z);
  return Math.log(t) - z * z - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
    + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
}

// standard normal distribution function (scipy.special.ndtr)
export function ndtr(z) {
  const x = Math.abs(z) * Math.SQRT1_2;
  if (x > 26) return z < 0 ? 0 : 1;
  const t = 1 / (1 + 0.5 * x);
  const tail = 0.5 * t * Math.exp(-x * x - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418
    + t * (-0.18628806 + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587
    + t * (-0.82215223 + t * 0.17087277)))))))));
  return z < 0 ? tail : 1 - tail;
}

// its logarithm, also far out (scipy.special.log_ndtr)
export function logNdtr(z) {
  return z > 0 ? Math.log1p(-ndtr(-z)) : logErfc(-z * Math.SQRT1_2) - Math.LN2;
}

export const density = (z) => Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);

// logarithm of the gamma function (Lanczos)
function logGamma(x) {
  const c = [76.18009172947146, -86.50532032941677, 24.01409824083091, -1.231739572450155, 0.1208650973866179e-2,
    -0.5395239384953e-5];
  let y = x, sum = 1.000000000190015;
  const t = x + 5.5 - (x + 0.5) * Math.log(x + 5.5);
  for (const v of c) sum += v / ++y;
  return -t + Math.log(2.5066282746310005 * sum / x);
}

// regularised incomplete beta function, by its continued fraction
function betaShare(x, a, b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  if (x > (a + 1) / (a + b + 2)) return 1 - betaShare(1 - x, b, a);
  let c = 1, d = 1 / Math.max(1 - (a + b) * x / (a + 1), 1e-300), h = d;
  for (let m = 1; m < 500; m++) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d); c = 1 + even / c; h *= d * c;
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d); c = 1 + odd / c;
    h *= d * c;
    if (Math.abs(d * c - 1) < 1e-10) break;
  }
  return front * h / a;
}

function betaQuantile(share, a, b) {
  let low = 0, high = 1;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (betaShare(middle, a, b) < share) low = middle; else high = middle;
  }
  return (low + high) / 2;
}

// 90 % interval of a probability of a mean and SD (crosstalk.twin.estimate.probability_interval)
export function probabilityInterval(mean, sd) {
  const m = Math.min(Math.max(mean, 0), 1), limit = m * (1 - m);
  if (sd <= 1e-9 || limit <= 1e-9) return [m, m];
  const concentration = Math.max(limit / Math.min(sd * sd, 0.95 * limit) - 1, 1e-3);
  const a = m * concentration, b = (1 - m) * concentration;
  return [Math.min(betaQuantile(0.05, a, b), m), Math.max(betaQuantile(0.95, a, b), m)];
}

// positions in ascending order of the values: whole numbers carry value and position through a native sort
export function order(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
  const unit = (high - low) / 2 ** 36 || 1, n = values.length, keys = new Float64Array(n), found = new Uint32Array(n);
  for (let i = 0; i < n; i++) keys[i] = Math.round((values[i] - low) / unit) * 32768 + i;
  keys.sort();
  for (let i = 0; i < n; i++) found[i] = keys[i] % 32768;
  return found;
}

// weighted quantiles; weights sum to 1 (crosstalk.twin.summary.quantiles)
export function quantiles(values, weight, shares = [0.05, 0.95]) {
  const sorted = order(values), n = sorted.length, place = new Float64Array(n), first = weight[sorted[0]];
  let total = 0;
  for (let i = 0; i < n; i++) {
    const own = weight[sorted[i]];
    total += own;
    place[i] = total - (own + first) / 2;
  }
  const last = place[n - 1] > 0 ? place[n - 1] : 1;
  return shares.map((share) => {
    const wanted = share * last;
    let low = 0, high = n - 1;
    if (wanted <= place[0]) return values[sorted[0]];
    while (high - low > 1) { const middle = (low + high) >> 1; if (place[middle] <= wanted) low = middle; else high = middle; }
    const gap = place[high] - place[low], part = gap > 0 ? (wanted - place[low]) / gap : 1;
    return values[sorted[low]] + part * (values[sorted[high]] - values[sorted[low]]);
  });
}

// lower Cholesky factor of a positive definite matrix, as rows
export function cholesky(matrix) {
  const n = matrix.length, low = matrix.map((row) => new Float64Array(row.length));
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i][j];
      for (let k = 0; k < j; k++) sum -= low[i][k] * low[j][k];
      low[i][j] = i === j ? Math.sqrt(sum) : sum / low[j][j];
    }
  }
  return low;
}

export function solve(low, right) {
  const n = low.length, x = Float64Array.from(right);
  for (let i = 0; i < n; i++) { for (let k = 0; k < i; k++) x[i] -= low[i][k] * x[k]; x[i] /= low[i][i]; }
  for (let i = n - 1; i >= 0; i--) { for (let k = i + 1; k < n; k++) x[i] -= low[k][i] * x[k]; x[i] /= low[i][i]; }
  return x;
}

// eigenvalues, and eigenvectors as columns, of a symmetric matrix (Jacobi)
export function eigen(matrix) {
  const n = matrix.length, a = matrix.map((row) => [...row]);
  const v = a.map((_, i) => a.map((__, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p][q] ** 2;
    if (off < 1e-22) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (a[p][q] === 0) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1), s = t * c;
        for (let k = 0; k < n; k++) { const x = a[k][p], y = a[k][q]; a[k][p] = c * x - s * y; a[k][q] = s * x + c * y; }
        for (let k = 0; k < n; k++) { const x = a[p][k], y = a[q][k]; a[p][k] = c * x - s * y; a[q][k] = s * x + c * y; }
        for (let k = 0; k < n; k++) { const x = v[k][p], y = v[k][q]; v[k][p] = c * x - s * y; v[k][q] = s * x + c * y; }
      }
    }
  }
  return { values: a.map((row, i) => row[i]), vectors: v };
}

// how many equal weights are as good (crosstalk.twin.summary.effective_sample)
export function effectiveSample(logWeight) {
  let top = -Infinity, sum = 0, squares = 0;
  for (const v of logWeight) if (v > top) top = v;
  if (!Number.isFinite(top)) return 0;
  for (const v of logWeight) { const w = Math.exp(v - top); sum += w; squares += w * w; }
  return sum * sum / squares;
}

// mean of a quantity that cannot be negative (crosstalk.population.between.non_negative)
export function nonNegative(estimate, error) {
  if (error <= 0) return Math.max(estimate, 0);
  const a = estimate / error;
  if (a < -30) return error / -a;
  return estimate + error * density(a) / ndtr(a);
}
