// Trials: a design, what it would show, and what may be taken home.
import { again, ask, choice, downloads, el, fail, field, number, percent, result, table, work } from "./parts.js";

const SLOT = "trial", FORM = "trial-form";

export function trial(place, state) {
  const kept = JSON.parse(sessionStorage.getItem(FORM) || "{}");
  const is = (name, otherwise) => kept[name] ?? otherwise;
  const regimens = state.regimens.map((r) => [r.id, r.name]);
  const count = (name, value, min, max, step = 1) => el("input", { type: "number", name, min, max, step, value: is(name, value), required: true });
  const reference = state.regimens.find((r) => r.reference)?.id;
  const controls = {
    title: el("input", { name: "title", value: is("title", "Add-on where CRP is raised"), required: true, maxlength: 200 }),
    regimen: choice(regimens, is("regimen", state.regimens.find((r) => !r.reference)?.id)), control: choice(regimens, is("control", reference)),
    design: choice([["enrichment", "marker-positive alone (enrichment)"], ["stratified", "all, randomised by marker"], ["parallel", "all, no marker"]], is("design", "enrichment")),
    marker: choice(state.analytes.filter((a) => a.kind === "laboratory" && a.observable).map((a) => [a.id, `${a.id} [${a.unit}]`]), is("marker", "hsCRP")),
    cutoff: count("cutoff", 3, 0, undefined, "any"), n: count("n", 160, 20, 5000), weeks: count("weeks", 12, 2, 52),
    scale: choice(state.scales.map((s) => [s.id, s.name]), is("scale", "HAMD17")), severity: count("severity", 22, 1, 100, "any"),
    dropout: count("dropout", 0.15, 0, 0.89, 0.01), replicates: count("replicates", 200, 20, 2000),
  };
  const numbers = ["cutoff", "n", "weeks", "severity", "dropout", "replicates"];
  const asked = () => {
    const form = Object.fromEntries(Object.entries(controls).map(([name, c]) => [name, numbers.includes(name) ? Number(c.value) : c.value]));
    sessionStorage.setItem(FORM, JSON.stringify(form));
    return { ...form, unit: state.analytes.find((a) => a.id === form.marker).unit };
  };
  const out = el("div", { "aria-live": "polite" });
  const toml = async () => {
    try {
      const { replicates, ...form } = asked();
      const text = await ask("POST", "/api/design", form);
      const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: "application/toml" })), download: "design.toml" });
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      fail(out, error);
    }
  };
  const marked = el("div", {}, el("div", { class: "pair" }, field("Marker", controls.marker), field("At or above", controls.cutoff)));
  const sync = () => { marked.hidden = controls.design.value === "parallel"; };
  controls.design.addEventListener("change", sync);
  sync();
  place.replaceChildren(el("h1", {}, "Trial"),
    el("p", { class: "lead" }, "What a design would show: simulated many times in the typical world, in worlds as uncertain as the knowledge is, and with drugs that do nothing."),
    el("div", { class: "cols" },
      el("form", { class: "card", onsubmit: (event) => { event.preventDefault(); work(out, SLOT, () => ask("POST", "/api/trial", asked()), (job) => show(out, job)); } },
        field("Title", controls.title), field("Treatment", controls.regimen), field("Control", controls.control), field("Who is randomised", controls.design), marked,
        el("div", { class: "pair" }, field("Patients", controls.n), field("Weeks", controls.weeks)),
        el("div", { class: "pair" }, field("Scale", controls.scale), field("Mean at baseline", controls.severity)),
        el("div", { class: "pair" }, field("Dropout (share)", controls.dropout), field("Simulated trials", controls.replicates)),
        el("div", { class: "buttons" }, el("button", { class: "main" }, "Simulate"), el("button", { type: "button", onclick: toml }, "Design (TOML)"))),
      out));
  again(out, SLOT, (job) => show(out, job)).then((found) => {
    if (!found) out.replaceChildren(el("div", { class: "card" }, el("p", { class: "soft" }, "Power, error and the probability of success appear here. Some minutes, with progress; a reload of this page loses nothing.")));
  });
}

async function show(out, job) {
  const t = await result(job);
  const a = t.assurance, first = t.analyses[0];
  const value = (v) => (v ? `${percent(v.value)} (${percent(v.se)})` : "");
  out.replaceChildren(
    el("div", { class: "card" }, el("h2", {}, `${t.title}: probability of success ${percent(a.probability.value)}, power ${percent(first.power.value)}`),
      el("p", { class: "soft" }, `The probability of success counts that the model may be wrong; the power does not. ${t.replicates} trials of each kind.`),
      downloads(job, { "report.html": "Open the report", "design.toml": "Design (TOML)", "data.csv": "One trial (CSV)", "analysis.R": "Analysis (R)", document: "JSON" })),
    el("div", { class: "card" }, table(["Analysis", "Method", "Power (MC error)", "Type I error", "True effect", "Mean estimate"],
      t.analyses.map((x) => [x.id, x.method, value(x.power), value(x.type_i_error), number(x.truth), number(x.effect?.value)]), "Power and error")),
    el("div", { class: "card" }, table(["What", "Value"], [
      ["worlds in which the arm is better", percent(a.chance_of_benefit)],
      ["true effect: median, 90 % of worlds", `${number(a.effect_median)} (${number(a.effect_lo90)} to ${number(a.effect_hi90)})`],
      ["power: 90 % of worlds", `${percent(a.power_lo90)} to ${percent(a.power_hi90)}`],
      ["screened, on average", number(t.funnel.screened?.value, 4)], ["randomised", number(t.randomised.value, 4)]], "With knowledge as uncertain as it is")));
}
