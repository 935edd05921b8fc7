"""Write the tables of ``beliefs.md``: what the posterior says of inflammation and treatment, in plain words.

Each region of the page between ``<!-- beliefs: NAME -->`` and ``<!-- end -->`` is replaced. It
takes a few minutes on two cores.
"""

from __future__ import annotations

import re
from math import sqrt
from pathlib import Path

import numpy as np

from crosstalk.calibrate.moderation import Asked, ModelAnswer, ask
from crosstalk.calibrate.never_surer import Beside, beside_moderation
from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.evidence.sources import read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.population.calibrated import PosteriorFile, posterior_in_force, posterior_worlds
from crosstalk.population.worlds import prior_worlds
from crosstalk.provenance import atomic_write
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Eligibility, Result

PAGE = Path(__file__).resolve().parent / "beliefs.md"
_REGION = re.compile(r"(?<=<!-- beliefs: )(?P<name>[\w-]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)

DRAWS, PATIENTS, SEED = 240, 120, 1
WEEK = 8.0
Z95 = 1.959964
COEFFICIENTS = {
    "m_serotonin": "serotonergic drugs",
    "m_catecholamine": "catecholamine drugs",
    "m_glutamate": "ketamine",
    "m_immune": "anti-inflammatory drugs other than antibodies",
}
STRATA = (("below 1", None, 1.0), ("1 to 3", 1.0, 3.0), ("3 to 10", 3.0, 10.0))
REGIMENS = (
    ("ssri", "placebo"), ("nortriptyline", "placebo"), ("bupropion", "placebo"), ("ssri-infliximab", "ssri"),
    ("ssri-celecoxib", "ssri"), ("ssri-minocycline", "ssri"),
)  # fmt: skip
TRIALS = (100, 300, 1000)


def main() -> None:
    knowledge = load_knowledge()
    posterior = posterior_in_force(None, knowledge)
    if posterior is None:
        raise SystemExit("the shipped posterior does not fit the model; make one with `crosstalk calibrate`")
    engine = get_engine()
    entries, _ = read_entries(study_paths((), knowledge), knowledge)
    compared = beside_moderation(entries, knowledge, engine, posterior, draws=DRAWS, patients=PATIENTS, seed=SEED)
    regions = {
        "coefficients": coefficients(posterior, knowledge),
        "questions": questions(compared.rows),
        "strata": strata(posterior, knowledge, engine),
        "trials": trials(compared.rows, posterior.between.get("moderation", 0.0)),
    }
    engine.close()
    text = _REGION.sub(lambda m: f"{m['name']}{m[2]}{regions[m['name']]}", PAGE.read_text(encoding="utf-8"))
    atomic_write(PAGE, text)


def coefficients(posterior: PosteriorFile, knowledge: Knowledge) -> str:
    """What the calibration did to the coefficients of drug class by central activity."""
    prior = prior_worlds(knowledge, SEED, 4000).values
    lines = [
        "| class | before: 90 % interval | after: median (90 % interval) | told by the data |",
        "| --- | --- | --- | --- |",
    ]
    for name, words in COEFFICIENTS.items():
        low, high = np.quantile(prior[name], [0.05, 0.95])
        draws = posterior.draws[name]
        q = np.quantile(draws, [0.05, 0.5, 0.95])
        share = max(0.0, 1 - float(draws.var() / prior[name].var()))
        side = "less in inflamed brains" if q[2] < 0 else "more in inflamed brains" if q[0] > 0 else "not told"
        lines.append(
            f"| {words} | {low:.0f} to {high:.0f} | {q[1]:.1f} ({q[0]:.1f} to {q[2]:.1f}) | {side}; "
            f"{share:.0%} of the prior variance is gone |"
        )
    return "\n".join(lines) + "\n"


def questions(rows: tuple[Beside, ...]) -> str:
    """The model's answers in words that their intervals allow."""
    lines = ["| question | published results alone | model | which means |", "| --- | --- | --- | --- |"]
    for row in rows:
        if row.model is None or not np.isfinite(row.model.sd):
            continue
        m = row.model
        direct = "none"
        if np.isfinite(row.direct.estimate):
            direct = f"{row.direct.estimate:+.2f} ({row.direct.low:+.2f} to {row.direct.high:+.2f})"
        lines.append(f"| {row.words} | {direct} | {m.mean:+.2f} ({m.low:+.2f} to {m.high:+.2f}) | {means(m)} |")
    return "\n".join(lines) + "\n"


def means(answer: ModelAnswer) -> str:
    if answer.high < 0:
        return "does better where the marker is high"
    if answer.low > 0:
        return "does worse where the marker is high"
    return "not told"


def strata(posterior: PosteriorFile, knowledge: Knowledge, engine: Engine) -> str:
    """Effects in points of the HAMD-17 by stratum of CRP, and the difference between the outer strata."""
    worlds = posterior_worlds(posterior, knowledge, SEED, DRAWS)
    asked = [
        Asked(f"{regimen}|{words}", (Result(
            "change", "HAMD17", regimen, versus, WEEK * HOURS_PER_WEEK, stratum=Eligibility("hsCRP", low, high)),))
        for regimen, versus in REGIMENS
        for words, low, high in STRATA
    ]  # fmt: skip
    found = {a.id: a for a in ask(asked, worlds, knowledge, engine, patients=PATIENTS, seed=SEED)}
    header = ["treatment", "against", *(f"CRP {words} mg/L" for words, _, _ in STRATA)]
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    for regimen, versus in REGIMENS:
        cells = []
        for words, _, _ in STRATA:
            a = found[f"{regimen}|{words}"]
            cells.append(f"{a.mean:+.1f} ({a.low:+.1f} to {a.high:+.1f})")
        names = [knowledge.regimen(r).name for r in (regimen, versus)]
        lines.append(f"| {' | '.join([*names, *cells])} |")
    return "\n".join(lines) + "\n"


def trials(rows: tuple[Beside, ...], tau: float) -> str:
    """How much a trial of two arms would narrow what is open: its interaction has a standard error of 2 / sqrt(n)."""
    open_ = [r for r in rows if r.model is not None and np.isfinite(r.model.sd) and r.model.low <= 0 <= r.model.high]
    compared = [r for r in open_ if "against" in r.words]
    header = ["question that is open", "SD now", *(f"after {n} patients" for n in TRIALS)]
    lines = [f"| {' | '.join(header)} |", "| --- " * len(header) + "|"]
    for row in sorted(compared, key=lambda r: -(r.model.sd if r.model else 0.0)):
        assert row.model is not None
        now = row.model.sd
        after = [1 / sqrt(1 / now**2 + 1 / (4 / n + tau**2)) for n in TRIALS] if now > 0 else [0.0] * len(TRIALS)
        cells = [f"{sd:.2f} (-{1 - sd / now:.0%})" if now > 0 else "0" for sd in after]
        lines.append(f"| {' | '.join([row.words, f'{now:.2f}', *cells])} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
