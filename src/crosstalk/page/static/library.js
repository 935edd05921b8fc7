// The tables of virtual patients, from the text that the page carries (crosstalk.page.codec, crosstalk.page.data).

// a table's columns, made when they are first asked for
class Table {
  constructor(layout, bytes, at) {
    const { rows, columns, components, turned, wide, step } = layout;
    this.layout = layout;
    if (turned) {
      const floats = new Float32Array(bytes.slice(at, at + 4 * columns * (components + 1)).buffer);
      this.center = floats.subarray(0, columns);
      this.basis = floats.subarray(columns);
      at += 4 * columns * (components + 1);
    }
    this.planes = wide.map((two) => {
      const plane = new Int16Array(rows);
      for (let i = 0; i < rows; i++) plane[i] = two ? bytes[at + i] | (bytes[at + rows + i] << 8) : (bytes[at + i] << 24) >> 24;
      at += two ? 2 * rows : rows;
      return plane;
    });
    this.step = step;
    this.end = at;
    this.kept = new Map();
  }

  column(j) {
    if (!this.kept.has(j)) this.kept.set(j, this.make(j));
    return this.kept.get(j);
  }

  // one column of some rows, of all by default; not kept
  make(j, rows = null) {
    const { components, turned } = this.layout, n = rows ? rows.length : this.layout.rows, found = new Float64Array(n);
    const add = (plane, by) => {
      if (rows) for (let i = 0; i < n; i++) found[i] += by * plane[rows[i]];
      else for (let i = 0; i < n; i++) found[i] += by * plane[i];
    };
    if (!turned) { add(this.planes[j], this.step); return found; }
    for (let k = 0; k < components; k++) add(this.planes[k], this.step * this.basis[j * components + k]);
    for (let i = 0; i < n; i++) found[i] += this.center[j];
    return found;
  }
}

export class Library {
  static async open(header, text) {
    const raw = atob(text), packed = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) packed[i] = raw.charCodeAt(i);
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const library = new Library(header, new Uint8Array(await new Response(stream).arrayBuffer()));
    library.prepare();
    return library;
  }

  constructor(header, bytes) {
    this.header = header;
    let at = 0;
    this.tables = {};
    for (const layout of header.tables) {
      this.tables[layout.name] = new Table(layout, bytes, at);
      at = this.tables[layout.name].end;
    }
    this.n = this.tables.courses.layout.rows;
    const out = new Set(header.leftOut);
    this.world = new Uint16Array(this.n);
    for (let i = 0, k = 0; i < header.virtualPatients; i++) if (!out.has(i)) this.world[k++] = i % header.worlds;
    this.people = Object.fromEntries(header.people.map(({ id, unit, log }, j) => {
      const column = this.tables.people.column(j);
      return [id, column.map((v) => (log ? Math.exp(v * unit) : v * unit))];
    }));
    this.unknowns = {};
    this.regimenIndex = Object.fromEntries(header.regimens.map((r, i) => [r.id, i]));
    this.scales = Object.fromEntries(header.scales.map((s) => [s.id, s]));
    this.analytes = Object.fromEntries(header.analytes.map((a) => [a.id, a]));
    this.scoreOrder = {};
  }

  // logarithm of a model variable
  log(variable) { return this.tables.logs.column(this.header.variables.indexOf(variable)); }

  coordinate(j) { return this.tables.coordinates.column(j); }

  // normal score of an unknown of the patient
  unknown(name) {
    if (!this.unknowns[name]) {
      const z = new Float64Array(this.n);
      this.header.unknowns[name].forEach((f, j) => { const c = this.coordinate(j); if (f) for (let i = 0; i < this.n; i++) z[i] += f * c[i]; });
      this.unknowns[name] = z;
    }
    return this.unknowns[name];
  }

  courseColumn(regimen, dimension, week) {
    return (this.regimenIndex[regimen] * 2 + dimension) * (this.header.weeks + 1) + week;
  }

  // one symptom dimension, a fraction of its range: of all patients, kept, or of some rows, not kept
  symptoms(regimen, dimension, week, rows = null) {
    const j = this.courseColumn(regimen, dimension, week), table = this.tables.courses, half = this.header.anchor / 2;
    const key = `${j}:fraction`;
    if (table.kept.has(key)) { const all = table.kept.get(key); return rows ? gather(all, rows) : all; }
    const values = table.make(j, rows);
    for (let i = 0; i < values.length; i++) values[i] = Math.fround(values[i] / half);
    if (!rows) table.kept.set(key, values);
    return values;
  }

  // the columns that every forecast reads: the ends of all courses, and their start
  prepare() {
    for (const { id } of this.header.regimens) for (const d of [0, 1]) this.symptoms(id, d, this.header.weeks);
    for (const d of [0, 1]) this.start(d);
  }

  // untreated severity: as before week 0 of the first regimen
  start(dimension) { return this.symptoms(this.header.regimens[0].id, dimension, 0); }

  // true score on a scale at a week (crosstalk.model.scales.score_at)
  score(scale, regimen, week, rows = null) {
    const nv = this.symptoms(regimen, 0, week, rows), mood = this.symptoms(regimen, 1, week, rows);
    return scoreOf(scale, nv, mood);
  }
}

export function scoreOf(scale, nv, mood) {
  const [a, b] = scale.weights, n = nv.length, found = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const x = a * nv[i] + b * mood[i];
    let y = scale.slope * x - scale.offset;
    for (const [place, change] of scale.kinks) { const away = x - place; y += change * (away + Math.sqrt(away * away + 1)) / 2; }
    found[i] = y;
  }
  return found;
}

// the values of some rows
export function gather(column, rows) {
  const found = new Float64Array(rows.length);
  for (let i = 0; i < found.length; i++) found[i] = column[rows[i]];
  return found;
}
