"""What the processes behind the page do: one function for each kind of work, from plain values to texts.

Adding a kind is adding an entry of `KINDS`.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from crosstalk.errors import CrosstalkError
from crosstalk.limits import shown

__all__ = ["KINDS", "serve"]

Say = Callable[[str, float], None]
Payload = Mapping[str, Any]
Texts = dict[str, str]

NAME = "the panel"


def serve(pipe: Connection) -> None:
    """Do what comes through a pipe until it closes."""
    # Ctrl+C ends the server, which ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(Exception):
        _warm()
    while True:
        try:
            kind, payload = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: tuple[str, Any] = ("done", KINDS[kind](payload, lambda w, s: pipe.send(("progress", (w, s)))))
        except CrosstalkError as error:
            answer = ("failed", str(error))
        except MemoryError:
            answer = ("failed", "not enough memory; ask for fewer patients")
        except Exception as error:
            answer = ("failed", f"a fault of Crosstalk, please report it ({type(error).__name__}: {shown(error)})")
        pipe.send(answer)


def _warm() -> None:
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.model.assembly import assemble

    assemble((), load_knowledge())


def _panel(payload: Payload) -> Any:
    """The one panel of a form: read as a file is, so that it is checked as a file is."""
    from crosstalk.panel.reader import one_patient, read_panel
    from crosstalk.spreadsheets import rows_csv

    columns = ("patient", "analyte", "value", "unit", "specimen", "method")
    rows = [[NAME, *(str(v.get(c, "")) for c in columns[1:])] for v in payload["values"]]
    with TemporaryDirectory(prefix="crosstalk-", suffix=".panel") as folder:
        file = Path(folder) / "panel.csv"
        file.write_text(rows_csv(columns, rows), encoding="utf-8")
        try:
            return one_patient(read_panel(file))
        except CrosstalkError as error:
            raise type(error)(str(error).replace(str(file), NAME)) from None


def _file(payload: Payload) -> Any:
    from crosstalk.panel.mapping import FileMap
    from crosstalk.panel.reader import read_panel

    mapping = None if payload.get("map") is None else FileMap.check(payload["map"], "the answers")
    return _named(payload, lambda: read_panel(payload["path"], batch=True, mapping=mapping))


def _named(payload: Payload, run: Callable[[], Any]) -> Any:
    """Run, and speak of the file by the name that the person knows."""
    try:
        return run()
    except CrosstalkError as error:
        raise type(error)(str(error).replace(payload["path"], payload["name"])) from None


def read(payload: Payload, say: Say) -> Texts:
    """What is understood of a file, and what it leaves open; a map with answers where there are some."""
    import dataclasses

    from crosstalk.panel.mapping import FileMap
    from crosstalk.panel.suggestion import answered, toml
    from crosstalk.panel.understanding import look
    from crosstalk.report.documents import plain

    say("reading", 0.2)
    found = _named(payload, lambda: look(payload["path"]))
    table = None
    if payload.get("answers") is not None and found.questions:
        table = answered(found, payload["answers"])
        mapping = FileMap.check(table, "the answers")
        found = _named(payload, lambda: look(payload["path"], mapping=mapping))
    document = plain(dataclasses.asdict(found))
    document["path"] = payload["name"]
    document["problems"] = [p.replace(payload["path"], payload["name"]) for p in document["problems"]]
    document["warnings"] = [w.replace(payload["path"], payload["name"]) for w in document["warnings"]]
    texts = {"document": json.dumps(document, ensure_ascii=False), "map.json": json.dumps(table)}
    if table is not None:
        texts["map.toml"] = toml(found, table).replace(payload["path"], payload["name"])
    return texts


def assess(payload: Payload, say: Say) -> Texts:
    """The mechanism scores of one panel."""
    from crosstalk.report.documents import dump
    from crosstalk.report.html import assessment_html
    from crosstalk.twin import assess as run

    say("reading the mechanisms", 0.1)
    found = run(_panel(payload), seed=payload["seed"], virtual_patients=payload["virtual_patients"])
    return {"document": dump(found), "report.html": assessment_html(found)}


def forecast(payload: Payload, say: Say) -> Texts:
    """The full forecast of one panel, from a form or of one patient of a file."""
    from crosstalk.panel.reader import one_patient
    from crosstalk.report.documents import dump
    from crosstalk.report.html import forecast_html
    from crosstalk.twin import forecast as run
    from crosstalk.twin.sequential import EarlyScore

    panel = one_patient(_file(payload), payload["patient"]) if "path" in payload else _panel(payload)
    early = [EarlyScore(s["week"], s["scale"], s["score"]) for s in payload.get("scores", ())]
    found = run(
        panel, regimens=payload["regimens"], scores=early, on=payload.get("on") if early else None,
        seed=payload["seed"], virtual_patients=payload["virtual_patients"], weeks=payload["weeks"],
        progress=lambda words: say(words, 0.3),
    )  # fmt: skip
    return {"document": dump(found), "report.html": forecast_html(found)}


def cohort(payload: Payload, say: Say) -> Texts:
    """The mechanism scores of every patient of a file, and the summary."""
    import dataclasses

    from crosstalk.report.cohort import cohort_csv, cohort_html, cohort_json
    from crosstalk.twin.cohort import assess_cohort

    file = dataclasses.replace(_file(payload), path=payload["name"])
    found = assess_cohort(
        file, seed=payload["seed"], virtual_patients=payload["virtual_patients"],
        progress=lambda words, share: say(words, 0.9 * share),
    )  # fmt: skip
    say("writing", 0.95)
    return {"document": cohort_json(found), "table.csv": cohort_csv(found), "report.html": cohort_html(found)}


def trial(payload: Payload, say: Say) -> Texts:
    """Operating characteristics of a design, and what may be taken home: TOML, data of one trial, an R script."""
    from crosstalk.app.designs import r_script
    from crosstalk.engine import get_engine
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.report.trial_data import tidy_frame
    from crosstalk.report.trials import trial_html, trial_json
    from crosstalk.spreadsheets import frame_csv
    from crosstalk.trial.example import one_trial
    from crosstalk.trial.plan import read_trial
    from crosstalk.trial.run import TrialSettings, characterise, make_pools

    knowledge, engine = load_knowledge(), get_engine()
    with TemporaryDirectory(prefix="crosstalk-", suffix=".design") as folder:
        file = Path(folder) / "design.toml"
        file.write_text(payload["design"], encoding="utf-8")
        try:
            plan = read_trial(str(file), knowledge)
        except CrosstalkError as error:
            raise type(error)(str(error).replace(str(file), "the design")) from None
    settings = TrialSettings(payload["replicates"], payload["worlds"], payload["seed"])
    pools = make_pools(plan, settings, knowledge, engine, say)
    found = characterise(plan, pools, settings, knowledge=knowledge, engine=engine, progress=say)
    data = frame_csv(tidy_frame(*one_trial(plan, pools.typical, knowledge, payload["seed"])))
    return {
        "document": trial_json(found), "report.html": trial_html(found), "design.toml": payload["design"],
        "data.csv": data, "analysis.R": r_script(plan),
    }  # fmt: skip


def listing(payload: Payload, say: Say) -> Texts:
    """Published results that match."""
    import dataclasses

    from crosstalk.evidence.listing import published, resolve, select
    from crosstalk.evidence.records import Query
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.report.documents import plain
    from crosstalk.report.evidence import value_text

    say("searching", 0.5)
    knowledge = load_knowledge()
    rows = select(published(_entries()), resolve(Query(**_tuples(payload["query"])), knowledge))
    words = [w for w in payload.get("text", "").casefold().split() if w]
    chosen = [r for r in rows if all(w in _searched(r) for w in words)]
    made = [{**plain(dataclasses.asdict(r)), "shown": value_text(r)} for r in chosen]
    for row in made:
        row["file"] = Path(row["file"]).name
    return {"document": json.dumps({"results": made}, ensure_ascii=False)}


def _searched(row: Any) -> str:
    parts = (row.study, row.title, row.of, row.endpoint, row.arm, row.versus, *row.drugs, row.role, row.diagnosis)
    return " ".join(parts).casefold()


def _tuples(query: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in query.items()}


def _entries() -> Any:
    from crosstalk.evidence.sources import read_entries, study_paths
    from crosstalk.knowledge.loader import load_knowledge

    knowledge = load_knowledge()
    return read_entries(study_paths((), knowledge), knowledge)[0]


def pooled(payload: Payload, say: Say) -> Texts:
    """A random-effects pool of comparable results, with its forest plot."""
    from crosstalk.evidence.listing import published
    from crosstalk.evidence.pooling import pool
    from crosstalk.evidence.records import Query
    from crosstalk.report.documents import dump
    from crosstalk.report.evidence_charts import forest_chart
    from crosstalk.report.html import pool_html

    say("pooling", 0.5)
    found = pool(published(_entries()), Query(**_tuples(payload["query"])))
    return {"document": dump(found), "forest.svg": forest_chart(found), "report.html": pool_html(found)}


def beside(payload: Payload, say: Say) -> Texts:
    """The results of one study beside what the model says of them."""
    from crosstalk.calibrate.validation import validate
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.population.calibrated import possible_worlds
    from crosstalk.report.documents import dump
    from crosstalk.study.schema import read_study

    knowledge = load_knowledge()
    if payload["study"] not in knowledge.study_files:
        raise CrosstalkError(f"{shown(payload['study'])}: no study of this id ships")
    found = validate(
        [read_study(payload["study"], knowledge)], possible_worlds(knowledge, 1, 60), knowledge=knowledge,
        patients=60, prior_draws=20, progress=say,
    )  # fmt: skip
    return {"document": dump(found)}


def whatif(payload: Payload, say: Say) -> Texts:
    """The what-if page."""
    from crosstalk.app.whatif import made

    say("collecting virtual patients", 0.2)
    return {"page.html": made()}


KINDS: dict[str, Callable[[Payload, Say], Texts]] = {
    "assess": assess,
    "beside": beside,
    "cohort": cohort,
    "forecast": forecast,
    "listing": listing,
    "pool": pooled,
    "read": read,
    "trial": trial,
    "whatif": whatif,
}
