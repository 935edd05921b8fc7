// Cohorts: a file dropped in, what it leaves open, the table with its heat map, and a card per patient.
import { again, ask, choice, downloads, el, fail, field, follow, number, result, svg, table, work } from "./parts.js";
import { forecast } from "./patient.js";

const SLOT = "cohort", FILE = "cohort-file", PAGE = 50;

export function cohort(place, state) {
  const out = el("div", { "aria-live": "polite" });
  const room = el("div");
  const input = el("input", { type: "file", "aria-label": "File of patients" });
  const drop = el("div", { class: "drop" }, el("p", {}, "Drop a file here, or choose one"), input,
    el("p", { class: "soft" }, "CSV, Excel, FHIR, HL7, OMOP, CDISC, REDCap, Luminex, MSD, Olink, NHANES … It stays on this machine, and goes when the server ends."));
  const take = (file) => file && dropped(file, room, out, state);
  input.addEventListener("change", () => take(input.files[0]));
  for (const kind of ["dragover", "dragleave", "drop"]) drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files[0]);
  });
  place.replaceChildren(el("h1", {}, "Cohort"),
    el("p", { class: "lead" }, "Every patient of a file read against references, with the five mechanism scores."), drop, room, out);
  again(out, SLOT, (job) => show(out, job, state));
}

async function dropped(file, room, out, state) {
  out.replaceChildren();
  const body = new FormData();
  body.append("file", file);
  try {
    const answer = await ask("POST", "/api/files", body);
    sessionStorage.setItem(FILE, answer.file);
    await understood(answer.file, await follow(answer.job, room, null), room, out, state);
  } catch (error) {
    fail(room, error);
  }
}

async function understood(file, job, room, out, state) {
  const found = await result(job);
  const controls = found.questions.map((q) => (q.choices.length ? choice(q.choices.map((c) => [c, c]), q.choices[0]) : el("input", { required: true })));
  const answer = async (event) => {
    event.preventDefault();
    try {
      const next = await ask("POST", `/api/files/${file}/answers`, { answers: controls.map((c) => c.value) });
      await understood(file, await follow(next, room, null), room, out, state);
    } catch (error) {
      fail(room, error);
    }
  };
  const ready = !found.problems.length;
  room.replaceChildren(el("div", { class: "card" },
    el("h2", {}, found.format ? `${found.path}: ${found.format}, ${found.patients} patients` : found.path),
    found.problems.map((p) => el("p", { class: "warn" }, p)), found.warnings.slice(0, 8).map((w) => el("p", { class: "soft" }, w)),
    el("details", {}, el("summary", {}, `${found.items.length} columns or tests, as they are understood`),
      table(["In the file", "Taken as", "Unit", "Examples"], found.items.map((i) => [i.name, i.of ? `${i.meaning} of ${i.of}` : i.meaning, i.unit, i.examples.join("; ")]), "Columns")),
    found.questions.length ? el("form", { onsubmit: answer }, el("h3", {}, "What the file leaves open"),
      found.questions.map((q, k) => field(q.text, controls[k])),
      el("div", { class: "buttons" }, el("button", { class: ready ? "" : "main" }, "Read again"))) : null,
    ready ? el("div", { class: "buttons" }, el("button", { class: "main", onclick: () => run(file, out, state) }, `Assess ${found.patients} patients`)) : null));
}

const run = (file, out, state) => work(out, SLOT, () => ask("POST", `/api/files/${file}/assess`, {}), (job) => show(out, job, state));

async function show(out, job, state) {
  const found = await result(job);
  const scores = state.scores, patients = found.patients;
  let sort = null, start = 0, wanted = "";
  const card = el("div", { "aria-live": "polite" });
  const body = el("div");
  const search = el("input", { type: "search", placeholder: "find a patient", "aria-label": "Find a patient", oninput: () => { wanted = search.value.toLowerCase(); start = 0; draw(); } });
  const rest = el("span", { class: "soft" });
  const turn = (by) => el("button", { onclick: () => { start = Math.max(0, start + by); draw(); } }, by < 0 ? "Earlier" : "Later");

  function draw() {
    let rows = patients.filter((p) => String(p.patient).toLowerCase().includes(wanted));
    if (sort) rows = [...rows].sort((a, b) => (b[sort] ?? -1) - (a[sort] ?? -1));
    if (start >= rows.length) start = 0;
    rest.textContent = `${rows.length ? start + 1 : 0} to ${Math.min(start + PAGE, rows.length)} of ${rows.length}`;
    const head = scores.map((s) => el("th", { scope: "col", "aria-sort": sort === s.id ? "descending" : "none" },
      el("button", { class: "link", onclick: () => { sort = sort === s.id ? null : s.id; draw(); } }, s.name)));
    body.replaceChildren(el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Mechanism scores by patient" },
      el("table", { class: "heat" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Patient"), el("th", { scope: "col" }, "Status"), head)),
        el("tbody", {}, rows.slice(start, start + PAGE).map((p) => el("tr", {},
          el("th", { scope: "row" }, el("button", { class: "link", onclick: () => one(card, p, scores, state) }, String(p.patient))),
          el("td", {}, p.status), scores.map((s) => el("td", { class: "cell" }, cell(p, s)))))))));
  }
  draw();
  const strata = found.summary.statuses;
  out.replaceChildren(
    el("div", { class: "card" }, el("h2", {}, `${patients.length} patients: ${Object.entries(strata).filter(([, n]) => n).map(([s, n]) => `${n} ${s}`).join(", ")}`),
      downloads(job, { "report.html": "Open the report", "table.csv": "Table (CSV)", document: "JSON" }),
      el("div", { class: "key" }, "0.25", ramp(), "4 fold of health; grey: no score. Choose a score to sort by it, a patient for the card."),
      el("div", { class: "buttons" }, search, ...(patients.length > PAGE ? [turn(-PAGE), turn(PAGE)] : []), rest), body), card);
}

const colour = (fold) => {
  const t = Math.max(-1, Math.min(1, Math.log(fold) / Math.log(4)));
  const to = t < 0 ? [43, 131, 186] : [230, 97, 1], a = Math.abs(t);
  return `rgb(${to.map((c) => Math.round(245 + (c - 245) * a)).join(" ")})`;
};

function cell(p, s) {
  const value = p[s.id];
  if (value === undefined) return svg("svg", { viewBox: "0 0 60 30", preserveAspectRatio: "none", role: "img", "aria-label": "no score" }, svg("rect", { width: 60, height: 30, fill: "#9aa5b1", opacity: 0.3 }));
  const words = `${number(value)} (${number(p[`${s.id}_lo90`])} to ${number(p[`${s.id}_hi90`])})`;
  const dark = Math.abs(Math.log(value)) > 1.1;
  const made = svg("svg", { viewBox: "0 0 60 30", role: "img", "aria-label": words }, svg("title", {}, words),
    svg("rect", { x: -200, width: 460, height: 30, fill: colour(value) }),
    svg("text", { x: 30, y: 19, "text-anchor": "middle", "font-size": 12, fill: dark ? "#fff" : "#1b1f24" }, number(value, 2)));
  return made;
}

const ramp = () => svg("svg", { viewBox: "0 0 90 9", preserveAspectRatio: "none", "aria-hidden": "true" },
  [...Array(30).keys()].map((k) => svg("rect", { x: 3 * k, width: 3.2, height: 9, fill: colour(4 ** ((k - 14.5) / 14.5)) })));

function one(card, p, scores, state) {
  const out = el("div");
  const measured = state.analytes.filter((a) => p[a.id] !== undefined);
  const file = sessionStorage.getItem(FILE);
  const run = () => work(out, null, () => ask("POST", `/api/files/${file}/forecast`, { patient: String(p.patient) }), (job) => forecast(out, job));
  card.replaceChildren(el("div", { class: "card" }, el("h2", { tabindex: -1 }, `Patient ${p.patient}`), el("p", { class: "soft" }, p.reason || p.status),
    table(["Score", "Fold of health (90 %)", "Told by the panel"], scores.filter((s) => p[s.id] !== undefined).map((s) => [s.name, `${number(p[s.id])} (${number(p[`${s.id}_lo90`])} to ${number(p[`${s.id}_hi90`])})`, number(p[`${s.id}_told`], 2)]), "Mechanism scores"),
    table(["Analyte", "Value", "Place", "z"], measured.map((a) => [a.name, `${p[`${a.id}_censored`] === "left" ? "<" : ""}${number(p[a.id], 4)} ${a.unit === "dimensionless" ? "" : a.unit}`, p[`${a.id}_position`] || "", number(p[`${a.id}_z`], 2)]), "Panel"),
    Object.entries(p.refused || {}).map(([name, why]) => el("p", { class: "warn" }, `${name}: ${why}`)),
    el("div", { class: "buttons" }, el("button", { class: "main", onclick: run, disabled: !file }, "Forecast this patient"))), out);
  card.querySelector("h2").focus();
}
