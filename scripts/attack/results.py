"""Plates, cohorts, studies and trials of extreme values through every voice of their results."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from attack.mutants import Rng, outcome
from attack.registry import Tally, attack
from attack.runs import TRIAL, learning
from crosstalk.results import Shown

PLATE = Path(__file__).resolve().parents[2] / "tests" / "panel" / "plates" / "refit_xponent.csv"
EXTREME = ("0", "1e-300", "1e-9", "1", "1e9", "1e300", "-1", "NaN", "", "***", "<1", ">1e6")
SIGNAL = re.compile(r'"(-?\d+(?:\.\d+)?)"')


def spoken(found: Shown) -> str:
    """What is wrong with what a result says in its five voices."""
    made = [found.summary(), found.to_json(), found.to_html(), found.to_frame().to_csv()]
    if any(word in made[1] for word in ("NaN", "Infinity")):
        return "the JSON holds a number that JSON does not have"
    return "" if all(text.strip() for text in made) else "a voice says nothing"


def plate_text(rng: Rng) -> str:
    """A plate of which some numbers are extreme."""
    share = 10 ** rng.uniform(-3, -0.3)

    def exchanged(match: re.Match[str]) -> str:
        return f'"{rng.choice(EXTREME)}"' if rng.random() < share else match[0]

    return SIGNAL.sub(exchanged, PLATE.read_text(encoding="utf-8"))


def cohort_text(rng: Rng) -> str:
    """A cohort that can hardly be learnt from: constant, extreme, missing or censored columns, one outcome."""
    header, *rows = learning(int(rng.choice([3, 12, 40, 160]))).splitlines()
    cells = [row.split(",") for row in rows]
    for column in range(1, len(cells[0])):
        kind = rng.integers(0, 8)
        for row in cells:
            if kind == 0:
                row[column] = cells[0][column]
            elif kind == 1 and column > 2:
                row[column] = ["<0.1", "99", "0.0001", ""][int(rng.integers(0, 4))]
            elif kind == 2 and rng.random() < 0.6:
                row[column] = ""
    return "\n".join([header, *(",".join(row) for row in cells)]) + "\n"


def trial_text(rng: Rng) -> str:
    """A trial of hardly any patients, or with an effect of one's own that is far from any."""
    text = TRIAL.replace("n = 24", f"n = {int(rng.choice([4, 6, 24, 60]))}")
    if rng.random() < 0.6:
        sd, effect = 10 ** rng.uniform(-2, 2), 10 ** rng.uniform(-3, 2)
        text = text.replace("[trial]\n", f"[trial]\neffect = -{effect:.3g}\nsd = {sd:.3g}\n")
    return text.replace("ancova", str(rng.choice(["ancova", "mmrm", "response"])))


@attack("reports-of-plates", "plates of extreme signals through every report", count=300)
def plates(rng: Rng, count: int) -> Tally:
    from crosstalk.api.plates import plate

    tally = Tally()
    with TemporaryDirectory() as place:
        path = Path(place) / "plate.csv"
        for _ in tally.tries(count):
            text = plate_text(rng)
            path.write_text(text, encoding="utf-8")
            outcome(tally, f"plate {len(text)}", lambda: spoken(plate(path)))
    return tally


@attack("reports-of-learning", "cohorts that can hardly be learnt from through every report", count=100)
def learnt(rng: Rng, count: int) -> Tally:
    from crosstalk.api.cohorts import learn

    tally = Tally()
    with TemporaryDirectory() as place:
        path = Path(place) / "cohort.csv"
        for _ in tally.tries(count):
            text = cohort_text(rng)
            path.write_text(text, encoding="utf-8")

            def act() -> str:
                return spoken(
                    learn(path, outcome="resp", folds=2, repeats=1, bootstrap=0, boosting=False, mechanism=False)
                )

            outcome(tally, text[:300], act)
    return tally


@attack("reports-of-trials", "trials of few patients and of assumed effects through every report", count=60)
def trials(rng: Rng, count: int) -> Tally:
    from crosstalk.api.studies import run_trial

    tally = Tally()
    with TemporaryDirectory() as place:
        path = Path(place) / "t.toml"
        for _ in tally.tries(count):
            text = trial_text(rng)
            path.write_text(text, encoding="utf-8")

            def act() -> str:
                return spoken(run_trial(path, replicates=2, worlds=1, null=False, participants=(200, 50)))

            outcome(tally, text, act)
    return tally


@attack("reports-of-studies", "shipped studies of a few patients and any seed through every report", count=100)
def studies(rng: Rng, count: int) -> Tally:
    from crosstalk.api.studies import simulate
    from crosstalk.knowledge.loader import load_knowledge

    tally = Tally()
    names = sorted(p.stem for p in (load_knowledge().root / "studies").glob("*.toml"))
    for _ in tally.tries(count):
        name, patients, seed = str(rng.choice(names)), int(rng.choice([1, 2, 5])), int(rng.integers(0, 10**6))

        def act(name: str = name, patients: int = patients, seed: int = seed) -> str:
            return spoken(simulate(name, patients=patients, seed=seed, circadian=bool(seed % 2)))

        outcome(tally, f"{name}, {patients} patients, seed {seed}", act)
    return tally
