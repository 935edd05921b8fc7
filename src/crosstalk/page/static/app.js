// The page: what is typed becomes a forecast, what costs time follows when the hand rests.
import { at, h, number, percent, s, signed, sourced, write } from "./elements.js";
import { Forest, courseChart, mapChart } from "./charts.js";
import { Forecaster } from "./forecast.js";
import { Form } from "./form.js";
import { Library } from "./library.js";
import { Sources } from "./sources.js";
import { empty, fromFile, fromFragment, personOf, sane, toCommand, toFragment, toPanel, toPython } from "./state.js";
import { Refusal, Weigher } from "./weigh.js";

const LEVELS = { inside: "Among the virtual patients", edge: "At the edge of the virtual patients", outside: "Outside the virtual patients" };
const LATER = 60, IDLE = 220; // milliseconds

class Page {
  constructor(header, library) {
    this.header = header;
    this.library = library;
    this.weigher = new Weigher(library);
    this.forecaster = new Forecaster(library, this.weigher);
    this.sources = new Sources(library, this.weigher);
    this.form = new Form(library, this.weigher, { change: () => this.changed() });
    this.forest = new Forest(at("forest"), at("axis"), header, { choose: (id) => { this.state.regimen = id; this.changed(); } });
    this.pinned = null;
    this.sorted = false;
    this.waiting = [];
    at("panel").addEventListener("submit", (event) => event.preventDefault());
    at("sort").addEventListener("change", () => { this.sorted = at("sort").checked; this.redraw(); });
    at("pin").addEventListener("click", () => this.pin());
    at("unpin").addEventListener("click", () => this.unpin());
    at("reset").addEventListener("click", () => this.start(empty(this.header)));
    at("example").addEventListener("click", () => this.start(this.example()));
    at("copy-link").addEventListener("click", () => this.copy("link", location.href.split("#")[0] + toFragment(this.state)));
    at("copy-command").addEventListener("click", () => this.copy("command", toCommand(this.state, header)));
    at("copy-python").addEventListener("click", () => this.copy("Python", toPython(this.state, header)));
    at("save").addEventListener("click", () => this.save());
    at("open").addEventListener("change", (event) => this.read(event.target.files[0]));
    window.addEventListener("hashchange", () => { const found = fromFragment(location.hash, header); if (found) this.start(found); });
  }

  example() { return sane({ values: { hsCRP: { text: "6.2" }, BMI: { text: "29" }, age: { text: "42" } }, scale: this.header.scale, score: "24" }, this.header); }

  start(state) {
    this.state = state;
    this.form.show(state);
    this.redraw();
  }

  // one redraw for all that happens within a frame
  changed() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = 0; this.redraw(); });
  }

  redraw() {
    for (const t of this.waiting) clearTimeout(t);
    this.waiting = [];
    const begun = performance.now(), { person, wrong } = personOf(this.state, this.header);
    this.form.mark(wrong);
    try {
      this.found = this.forecaster.run(person);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.refuse(error, wrong);
      return;
    }
    this.sources.found = this.found;
    at("refused").hidden = true;
    at("results").hidden = false;
    this.forest.draw(this.found, this.state.regimen, this.pinned?.found, this.sorted);
    this.status(wrong);
    this.took = performance.now() - begun;
    this.waiting.push(setTimeout(() => { this.details(); this.waiting.push(setTimeout(() => this.rest(), IDLE)); }, LATER));
  }

  refuse(error, wrong) {
    at("results").hidden = true;
    at("refused").hidden = false;
    at("refused-words").textContent = error.message;
    this.found = this.sources.found = null;
    this.status(wrong);
  }

  status(wrong) {
    const { found } = this, ignored = Object.keys(wrong);
    const level = found ? found.applicability.level : "outside";
    at("status").className = `status ${found ? level : "refusal"}`;
    write(at("level"), found ? LEVELS[level] : "Nothing is drawn");
    at("sample").replaceChildren(...(found ? [sourced(number(found.estimator.sample), "applicability", "effective sample size"), " count for this one",
      found.told ? ` (${number(found.told.candidates)} before the early scores)` : ""] : []));
    const odd = found?.applicability.surprises[0];
    write(at("odd"), found && found.applicability.lowest < this.header.constants.edgeTail && odd ? `The most unusual value is ${odd.id} (as far out in ${number(100 * odd.tail, 2)} % of them).` : "");
    write(at("ignored"), ignored.length ? `Not used: ${ignored.join(", ")}; see the form.` : "");
    const scale = this.library.scales[found?.person.scale || this.header.scale];
    for (const e of document.querySelectorAll(".scale-name")) write(e, scale.id);
    write(at("baseline"), found ? (found.twins.recorded === null ? `no score given: that of the virtual patients, ${number(found.baseline)}` : `baseline ${found.twins.recorded}`) : "");
  }

  // the chosen regimen, the map, the scores
  details() {
    const { found, state, header } = this, id = state.regimen, regimen = header.regimens.find((r) => r.id === id), entry = found.regimens.find((r) => r.id === id);
    const course = this.forecaster.course(found, id), { scale } = found.twins;
    const same = this.pinned && this.pinned.found.twins.scale.id === scale.id ? this.forecaster.course(this.pinned.found, id) : null;
    write(at("chosen-name"), regimen.name);
    at("chosen-facts").replaceChildren(
      fact("Change by week " + header.weeks, sourced(`${signed(course.change.mean)} (${signed(course.change.low, 0)} to ${signed(course.change.high, 0)})`, `change ${id}`, "change"), "points; 90 % of what may be recorded"),
      fact("Response", sourced(`${percent(entry.response.mean)} (${(100 * entry.response.low).toFixed(0)} to ${(100 * entry.response.high).toFixed(0)})`, `response ${id}`, "response"), "and what is not known"),
      fact("Remission", sourced(`${percent(course.remission.mean)} (${(100 * course.remission.low).toFixed(0)} to ${(100 * course.remission.high).toFixed(0)})`, `remission ${id}`, "remission"), `${scale.id} of at most ${scale.remissionMax}`),
      fact("Best of all", sourced(percent(entry.best), `versus ${id}`, "best of all"), "in so many virtual patients"));
    const top = Math.ceil(Math.max(...course.points.map((p) => p.high), ...(same?.points.map((p) => p.mean) ?? [])) / 5) * 5;
    at("course").replaceChildren(figure(`${scale.id}, as recorded`, courseChart(`${scale.id} under ${regimen.name}`, course.points, { low: 0, high: top, unit: "points", before: same?.points, format: (v) => number(Math.round(v * 10) / 10) })),
      ...["Neurovegetative symptoms", "Mood and cognition"].map((name, d) => figure(`${name}, share of their range`, courseChart(`${name} under ${regimen.name}`, course.dimensions[d], { low: 0, high: 1, unit: "of the range", before: same?.dimensions[d], format: percent }))));
    this.drawMap(found, id, regimen.name);
    this.drawScores(found);
    this.drawTold(found);
    this.drawCompare();
    at("command").textContent = toCommand(state, header);
    at("python").textContent = toPython(state, header);
    at("panel-file").textContent = toPanel(state, header);
  }

  drawMap(found, id, name) {
    const mapped = this.forecaster.map(found, id), focused = document.activeElement?.dataset?.node;
    this.sources.folds = mapped.folds;
    at("map").replaceChildren(mapChart(this.header.map, mapped.folds, { regimen: name, open: (key) => this.sources.open(key) }));
    if (focused) at("map").querySelector(`[data-node="${focused}"]`)?.focus();
    write(at("map-words"), mapped.enough ? `Arrows beside a value: what ${name} makes of it by week ${this.header.weeks}, in ${number(mapped.sample)} virtual patients of equal weight.`
      : `What ${name} changes is not shown: ${mapped.sample.toFixed(1)} of the ${this.header.shown.length} virtual patients whose map was simulated resemble this one, fewer than ${this.header.constants.fewest}.`);
  }

  drawScores(found) {
    const scores = this.weigher.scores(found.person, found.twins.panel);
    at("scores").replaceChildren(...scores.map((score) => {
      const logs = [score.low, score.high, score.population.low, score.population.high, 1].map(Math.log), low = Math.min(...logs) - 0.05, high = Math.max(...logs) + 0.05;
      const x = (v) => `${(3 + 94 * (Math.log(v) - low) / (high - low)).toFixed(1)}%`, d = score.definition;
      return h("tr", {}, h("th", { scope: "row" }, d.name), h("td", { class: "plotted" }, s("svg", { class: "plot", "aria-hidden": "true" },
        s("line", { class: "population", x1: x(score.population.low), x2: x(score.population.high), y1: "50%", y2: "50%" }), s("line", { class: "zero", x1: x(1), x2: x(1), y1: "10%", y2: "90%" }),
        s("line", { class: "model", x1: x(score.low), x2: x(score.high), y1: "50%", y2: "50%" }), s("circle", { class: "model", cx: x(score.mean), cy: "50%", r: 5 }))),
      h("td", { class: "num" }, sourced(`${number(score.mean)} (${number(score.low)} to ${number(score.high)})`, `score ${d.id}`, d.name)), h("td", { class: "words" }, reading(score, this.header, found.person)));
    }));
  }

  drawTold(found) {
    at("told").hidden = !found.told;
    if (!found.told) return;
    const name = this.header.regimens.find((r) => r.id === found.on).name;
    at("told-words").textContent = `Early scores under ${name}: ${found.told.seen.map((e) => `week ${e.week}: ${e.score}, expected ${e.mean.toFixed(0)} (${e.low} to ${e.high})`).join("; ")}. Other regimens are shown as if given from week 0 on instead; a switch is not forecast.`;
  }

  // what costs most: which assay would tell most
  rest() {
    const { found } = this;
    if (!found) return;
    const assays = this.forecaster.nextAssays(found), most = Math.max(...assays.map((a) => a.reduction), 0.1);
    const useful = assays.filter((a) => a.reduction >= 0.005).slice(0, 6);
    at("next").replaceChildren(...useful.map((a) => h("li", {}, h("button", { type: "button", class: "link", onclick: () => { at("more-values").open = true; at(`v-${a.id}`).focus(); } }, a.name),
      h("span", { class: "bar", style: `--part:${(100 * a.reduction / most).toFixed(0)}%`, "aria-hidden": "true" }), sourced(percent(a.reduction), `next ${a.id}`, `expected gain of ${a.name}`))));
    at("next-none").hidden = useful.length > 0;
    this.rested = found;
  }

  pin() {
    if (!this.found) return;
    this.pinned = { state: structuredClone(this.state), found: this.found };
    at("unpin").hidden = false;
    this.redraw();
    at("pin-note").textContent = "This state is pinned: change the panel, and both are shown.";
  }

  unpin() {
    this.pinned = null;
    at("unpin").hidden = true;
    at("pin-note").textContent = "";
    at("pin").focus();
    this.redraw();
  }

  drawCompare() {
    at("compare").hidden = !this.pinned;
    if (!this.pinned) return;
    const { found: before, state } = this.pinned, { found } = this;
    const same = before.twins.scale.id === found.twins.scale.id;
    at("compare-words").textContent = `Pinned: ${summary(state, this.header)}. Now: ${summary(this.state, this.header)}.` + (same ? "" : " The scales differ, so that changes are not compared.");
    at("compare-rows").replaceChildren(...this.header.regimens.map((r) => {
      const a = before.regimens.find((o) => o.id === r.id), b = found.regimens.find((o) => o.id === r.id);
      return h("tr", {}, h("th", { scope: "row" }, r.name), h("td", { class: "num" }, percent(a.response.mean)), h("td", { class: "num" }, sourced(percent(b.response.mean), `response ${r.id}`, r.name)), h("td", { class: "num" }, `${signed(100 * (b.response.mean - a.response.mean), 0)}`),
        h("td", { class: "num" }, same ? signed(a.change) : ""), h("td", { class: "num" }, signed(b.change)), h("td", { class: "num" }, same ? signed(b.change - a.change) : ""));
    }));
  }

  async copy(what, text) {
    try {
      await navigator.clipboard.writeText(text);
      at("case-note").textContent = `${what} copied`;
    } catch {
      // a page from a file may not write to the clipboard: the text can be taken by hand
      at("case-text").value = text;
      at("case-text").hidden = false;
      at("case-text").focus();
      at("case-text").select();
      at("case-note").textContent = `${what}: copy it from here`;
    }
  }

  save() {
    const url = URL.createObjectURL(new Blob([toPanel(this.state, this.header)], { type: "text/csv" }));
    h("a", { href: url, download: "case.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  async read(file) {
    if (!file) return;
    try {
      const state = fromFile(await file.text(), this.header), { lost, ...rest } = state;
      this.start(rest);
      at("case-note").textContent = `${file.name} is open${lost?.length ? `; not used here: ${lost.join(", ")}` : ""}`;
    } catch (error) {
      at("case-note").textContent = `${file.name}: ${error.message}`;
    }
  }
}

const fact = (name, value, words) => h("div", { class: "fact" }, h("span", { class: "name" }, name), value, h("span", { class: "soft" }, words));
const figure = (caption, chart) => h("figure", {}, h("figcaption", {}, caption), chart);

// the score in words (crosstalk.twin.sentences.reading)
export function reading(score, header, person) {
  const { definition: d, low, high, told, alone, byCovariates } = score, { within: [lower, upper], informed } = header.constants;
  const untold = "not told by this panel";
  if (told - byCovariates >= informed) {
    if (lower <= low && high <= upper) return d.within;
    if (low > upper) return d.high;
    if (high < lower) return d.low;
    const reach = low < lower && high > upper ? "from low to high" : high > upper ? "from that of health to high" : "from low to that of health";
    return `${untold}: the interval reaches ${reach}`;
  }
  const names = [...header.covariates.filter((c) => c.covariate in person.known && c.covariate in header.kernel).map((c) => c.id), ...Object.keys(person.told)];
  if (byCovariates < informed || !names.length) return `${untold}; what is shown is that of the population`;
  const listed = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  const short = (v) => String(Number(v.toPrecision(2)));
  return `${untold}; ${listed} alone suggest${names.length > 1 ? "" : "s"} ${short(alone.low)} to ${short(alone.high)} ${d.unit.replace("healthy", "health")} (90 %)`;
}

// a case in one line
function summary(state, header) {
  const values = [...header.analytes, ...header.covariates, ...header.answers].filter((a) => state.values[a.id]?.text).map((a) => `${a.id} ${state.values[a.id].text}`);
  if (String(state.score).trim()) values.unshift(`${state.scale} ${state.score}`);
  if (state.sex) values.push(state.sex);
  if (state.early.length) values.push(`early scores ${state.early.map((e) => e.score).join(", ")}`);
  return values.join(", ") || "no value";
}

const header = JSON.parse(at("header").textContent);
try {
  const page = new Page(header, await Library.open(header, at("tables").textContent.trim()));
  // for scripts: set a case, and read what is drawn
  window.whatIf = {
    header,
    set: (state) => page.start(sane(state, header)),
    forecast: (state) => {
      const { person, wrong } = personOf(sane(state, header), header), found = page.forecaster.run(person);
      return { ...found, wrong, mechanisms: page.weigher.scores(person, found.twins.panel) };
    },
    page,
  };
  at("loading").hidden = true;
  at("app").hidden = false;
  page.start(fromFragment(location.hash, header) ?? page.example());
  document.documentElement.dataset.ready = "yes";
} catch (error) {
  at("loading").textContent = `This browser cannot show the page: ${error.message}. It needs Chrome or Edge 111, Firefox 113, Safari 16.4, or a later one.`;
  throw error;
}
