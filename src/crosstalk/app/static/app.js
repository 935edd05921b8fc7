// The parts of the page, the address that names one, and the list of work.
import { ask, el, fail, follow, percent, sleep } from "./parts.js";
import { patient } from "./patient.js";
import { cohort } from "./cohort.js";
import { trial } from "./trial.js";
import { evidence } from "./evidence.js";

const PARTS = { whatif: ["What if", whatif], patient: ["Patient", patient], cohort: ["Cohort", cohort],
  trial: ["Trial", trial], evidence: ["Evidence", evidence] };
const main = document.getElementById("main");
let state;

async function whatif(place) {
  if (!state.whatif) {
    place.replaceChildren(el("h1", {}, "What if"), el("p", {}, "This version has no what-if page; everything else works."));
    return;
  }
  const room = el("div");
  place.replaceChildren(room);
  try {
    const job = await follow(await ask("POST", "/api/whatif"), room, null);
    if (current() === "whatif") room.replaceChildren(el("iframe", { class: "page", src: `/whatif/${job.id}`, title: "What if" }));
  } catch (error) {
    fail(room, error);
  }
}

const current = () => (location.hash.slice(1) in PARTS ? location.hash.slice(1) : state.whatif ? "whatif" : "patient");

function show() {
  const name = current();
  document.getElementById("tabs").replaceChildren(...Object.entries(PARTS).map(([id, [words]]) =>
    el("a", { href: `#${id}`, "aria-current": id === name ? "page" : null }, words)));
  document.title = `${PARTS[name][0]} · Crosstalk`;
  main.replaceChildren();
  PARTS[name][1](main, state);
}

async function jobs() {
  for (;;) {
    try {
      const found = await ask("GET", "/api/jobs");
      const open = found.filter((j) => j.state === "running" || j.state === "waiting");
      document.getElementById("busy").textContent = open.length ? `(${open.length})` : "";
      if (document.getElementById("work").open) list(found);
    } catch {
      document.getElementById("busy").textContent = "(no answer)";
    }
    await sleep(2000);
  }
}

function list(found) {
  const rows = found.slice(0, 20).map((j) => el("div", { class: "job" },
    el("strong", {}, j.label), el("span", { class: "soft" }, ` ${j.state === "running" ? `${j.words} ${percent(j.share)}` : j.state}`),
    j.state === "running" ? el("progress", { max: 1, value: j.share, "aria-label": j.label }) : null,
    j.error ? el("p", { class: "soft warn" }, j.error) : null,
    el("div", { class: "buttons" },
      j.state === "running" || j.state === "waiting" ? el("button", { onclick: () => ask("DELETE", `/api/jobs/${j.id}`) }, "Stop") : null,
      j.results.includes("report.html") ? el("a", { class: "button", href: `/api/jobs/${j.id}/report.html`, target: "_blank", rel: "noopener" }, "Report") : null)));
  document.getElementById("jobs").replaceChildren(...(rows.length ? rows : [el("p", { class: "soft" }, "Nothing has been asked yet.")]));
}

try {
  state = await ask("GET", "/api/state");
  document.getElementById("footer").textContent = `Crosstalk ${state.crosstalk}, ${state.knowledge}. Research use only, not a medical device. Nothing leaves this machine.`;
  document.getElementById("work").addEventListener("toggle", async () => list(await ask("GET", "/api/jobs")));
  addEventListener("hashchange", () => { show(); main.focus({ preventScroll: true }); scrollTo(0, 0); });
  show();
  jobs();
} catch (error) {
  fail(main, error);
}
