// A case: what is typed, and the person that it makes. Also its ways out: link, file, command line, Python.
//
// A case is { values: {analyte: {text, unit}}, scale, score, sex, early: [{week, score}], on, regimen }; texts as typed.

export const empty = (header) => ({ values: {}, scale: header.scale, score: "", sex: "", early: [], on: header.reference, regimen: header.reference });

// read a value as typed: 6.2, <0.3, > 10, 6,2
export function readValue(text) {
  const found = /^\s*([<>\u2264\u2265]?)\s*=?\s*(\d+(?:[.,]\d+)?(?:e[+-]?\d+)?)\s*$/i.exec(text);
  if (!found) return null;
  const sign = found[1], value = Number(found[2].replace(",", "."));
  return { value, censored: sign === "<" || sign === "\u2264" ? "left" : sign ? "right" : "" };
}

// the person of a case, and what is wrong with it by field
export function personOf(state, header) {
  const person = { observed: [], known: {}, told: {}, scale: "", recorded: null, early: [], on: state.on || header.reference }, wrong = {};
  const typed = (id) => (state.values[id]?.text ?? "").trim();
  const check = (id, definition, factor) => {
    const text = typed(id);
    if (!text) return null;
    const read = readValue(text);
    if (!read) { wrong[id] = `received "${text.slice(0, 30)}"; expected a number, as in 6.2, or one below or above a limit, as in <0.3`; return null; }
    const value = read.value * factor, [low, high] = definition.plausible;
    // a limit of detection may lie below what is plausible of a value
    if (value > high || (value < low && read.censored !== "left") || (read.censored && value <= 0)) {
      wrong[id] = `received ${text} (${Number(value.toPrecision(3))} ${definition.unit}); expected ${low} to ${high} ${definition.unit}: check value and unit`;
      return null;
    }
    return { value, censored: read.censored };
  };
  for (const a of header.analytes) {
    const found = check(a.id, a, a.units[state.values[a.id]?.unit] ?? 1);
    // a value of zero cannot be used
    if (found && found.value > 0) person.observed.push({ id: a.id, ...found });
    else if (found) wrong[a.id] = "received 0; a laboratory gives a limit instead, as in <0.1";
  }
  const exact = (id, definition) => {
    const found = check(id, definition, 1);
    if (found?.censored) { wrong[id] = "expected a number without < or >"; return null; }
    return found ? found.value : null;
  };
  for (const c of header.covariates) {
    if (c.id === "sex") { if (state.sex) person.known.female = state.sex === "female" ? 1 : 0; continue; }
    const value = exact(c.id, c);
    if (value !== null) person.known[c.covariate] = value;
  }
  for (const a of header.answers) { const value = exact(a.id, a); if (value !== null) person.told[a.id] = value; }
  const scale = header.scales.find((s) => s.id === state.scale), text = String(state.score).trim();
  if (text) {
    const read = readValue(text);
    if (!read || read.censored || read.value > scale.maximum) wrong.score = `received "${text.slice(0, 30)}"; expected a score from 0 to ${scale.maximum}`;
    else { person.scale = scale.id; person.recorded = read.value; }
  }
  const seen = new Set(), own = scale.id === header.scale || text;
  state.early.forEach(({ week, score }, i) => {
    if (String(score).trim() === "") return;
    const w = Number(week), read = readValue(String(score));
    if (!Number.isInteger(w) || w < 1 || w >= header.weeks) wrong[`early ${i}`] = `expected a whole week from 1 to ${header.weeks - 1}`;
    else if (seen.has(w)) wrong[`early ${i}`] = `two scores of week ${w}; keep one`;
    else if (!read || read.censored || read.value > scale.maximum) wrong[`early ${i}`] = `expected a score from 0 to ${scale.maximum}`;
    else if (!own) wrong[`early ${i}`] = `give the baseline ${scale.id} too: without it the forecast is in ${header.scale}`;
    else { seen.add(w); person.early.push({ week: w, score: read.value }); }
  });
  person.early.sort((a, b) => a.week - b.week);
  return { person, wrong };
}

const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) => new TextDecoder().decode(Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)));

export const toFragment = (state) => `#case=${encode(JSON.stringify(state))}`;

// a case from a link or a file; what is not of a case is refused
export function fromFragment(fragment, header) {
  const found = /^#case=([\w-]{1,20000})$/.exec(fragment);
  if (!found) return null;
  try { return sane(JSON.parse(decode(found[1])), header); } catch { return null; }
}

export function sane(given, header) {
  if (typeof given !== "object" || given === null) throw new Error("no case");
  const state = empty(header), text = (v) => (typeof v === "string" || typeof v === "number" ? String(v).slice(0, 40) : "");
  const known = [...header.analytes, ...header.covariates, ...header.answers];
  for (const { id, units } of known) {
    const v = given.values?.[id];
    if (v && text(v.text)) state.values[id] = { text: text(v.text), unit: units && v.unit in units ? v.unit : undefined };
  }
  if (header.scales.some((s) => s.id === given.scale)) state.scale = given.scale;
  state.score = text(given.score);
  if (given.sex === "female" || given.sex === "male") state.sex = given.sex;
  if (Array.isArray(given.early)) state.early = given.early.slice(0, header.weeks).map((e) => ({ week: text(e?.week), score: text(e?.score) }));
  const regimens = header.regimens.map((r) => r.id);
  if (regimens.includes(given.on)) state.on = given.on;
  if (regimens.includes(given.regimen)) state.regimen = given.regimen;
  return state;
}

// lines of a panel file: analyte, value, unit
function lines(state, header) {
  const found = [];
  for (const a of [...header.covariates, ...header.answers, ...header.analytes]) {
    if (a.id === "sex") { if (state.sex) found.push(["sex", state.sex, ""]); continue; }
    const v = state.values[a.id];
    if (v?.text?.trim()) found.push([a.id, v.text.trim().replace(",", "."), ["dimensionless", "points", "1"].includes(a.unit) ? "" : v.unit ?? a.unit]);
  }
  if (String(state.score).trim()) found.push([state.scale, String(state.score).trim(), ""]);
  return found;
}

export const toPanel = (state, header) => ["patient,analyte,value,unit", ...lines(state, header).map((l) => ["case", ...l].join(","))].join("\n") + "\n";

const early = (state) => state.early.filter((e) => String(e.score).trim() && String(e.week).trim()).map((e) => ({ week: e.week, text: `week ${e.week}: ${state.scale}=${e.score}` }));

export function toCommand(state, header) {
  const seen = early(state), parts = ["crosstalk forecast case.csv"];
  for (const e of seen) parts.push(`--scores '${e.text}'`);
  if (seen.length && state.on !== header.reference) parts.push(`--on ${state.on}`);
  if (header.seed !== 1) parts.push(`--seed ${header.seed}`);
  if (header.virtualPatients !== 20000) parts.push(`--virtual-patients ${header.virtualPatients}`);
  if (header.weeks !== 12) parts.push(`--weeks ${header.weeks}`);
  return parts.join(" ");
}

export function toPython(state, header) {
  const seen = early(state), out = ["import crosstalk"];
  if (seen.length) out.push("from crosstalk.twin import EarlyScore");
  out.push("", 'panel = crosstalk.read_panel("case.csv").panels[0]');
  const more = [];
  if (seen.length) more.push(`    scores=[${seen.map((e) => `EarlyScore.read("${e.text}")`).join(", ")}],`);
  if (seen.length && state.on !== header.reference) more.push(`    on="${state.on}",`);
  if (header.seed !== 1) more.push(`    seed=${header.seed},`);
  if (header.virtualPatients !== 20000) more.push(`    virtual_patients=${header.virtualPatients},`);
  if (header.weeks !== 12) more.push(`    weeks=${header.weeks},`);
  out.push(more.length ? `found = crosstalk.forecast(\n    panel,\n${more.join("\n")}\n)` : "found = crosstalk.forecast(panel)");
  out.push("for r in found.regimens:", '    print(f"{r.name}: {r.versus_reference.mean:+.1f} points, response {r.response.mean:.0%}")');
  return out.join("\n");
}

// a case from a panel file of this form, or from the JSON of one
export function fromFile(text, header) {
  if (text.trim().startsWith("{")) return sane(JSON.parse(text), header);
  const state = empty(header), known = new Map([...header.analytes, ...header.covariates, ...header.answers].map((a) => [a.id, a]));
  const rows = text.split(/\r?\n/).filter((l) => l.trim() && !l.startsWith("#")).map((l) => l.split(",").map((c) => c.trim().replace(/^"|"$/g, "")));
  const head = rows.shift()?.map((c) => c.toLowerCase()) ?? [], place = (name) => head.indexOf(name), lost = [];
  if (place("analyte") < 0 || place("value") < 0) throw new Error("expected a table with the columns analyte, value and unit, of one patient; other files are read by crosstalk forecast");
  const patients = new Set(rows.map((r) => r[place("patient")]));
  if (place("patient") >= 0 && patients.size > 1) throw new Error(`the file holds ${patients.size} patients; expected one`);
  for (const row of rows) {
    const id = row[place("analyte")], value = row[place("value")], unit = row[place("unit")] ?? "";
    if (!value) continue;
    const a = known.get(id);
    if (header.scales.some((s) => s.id === id)) { state.scale = id; state.score = value.slice(0, 40); }
    else if (id === "sex") state.sex = /^f/i.test(value) ? "female" : /^m/i.test(value) ? "male" : "";
    else if (a && (!unit || !a.units || unit in a.units)) state.values[id] = { text: value.slice(0, 40), unit: a.units && unit in a.units ? unit : undefined };
    else lost.push(a ? `${id} in ${unit}` : id);
  }
  return { ...state, lost };
}
