"""Earlier failures of one patient: virtual patients who would have responded are left out, as in a trial."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge
from crosstalk.limits import COURSES
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Panel
from crosstalk.population.resistance import eased, still_ill
from crosstalk.study.protocol import earlier_doses
from crosstalk.study.records import Population
from crosstalk.twin.posterior import Posterior

__all__ = ["failed_courses", "resisted"]

FEWEST = 20  # different virtual patients that a forecast can rest on (assumed), as for early scores


def failed_courses(panel: Panel) -> int:
    """How many earlier courses failed; 0 where none is given."""
    m = panel.measurements.get("failed_trials")
    return 0 if m is None or m.censored or m.quality == "failed" else int(m.value)


def resisted(
    posterior: Posterior, courses: int, knowledge: Knowledge, engine: Engine, *, draws: int, diagnosis: str = "mdd"
) -> tuple[Posterior, str]:
    """Keep the virtual patients who did not respond to earlier courses, and let the episode have eased meanwhile.

    Parameters
    ----------
    posterior : Posterior
        Candidates, more than ``draws``.
    courses : int
        Of eight weeks each with the antidepressant of the reference regimen, see `crosstalk.population.resistance`.
    draws : int
        Virtual patients wanted.

    Returns
    -------
    (Posterior, str)
        And what was done, in words. Where too few are left, the candidates as they were.
    """
    used = min(courses, COURSES)
    population = Population(diagnosis, {}, None, "", failed_steps=used)
    doses = earlier_doses(population, knowledge)
    model = assemble(tuple(sorted({dose.drug for dose in doses})), knowledge)
    ill = still_ill(posterior.patients, posterior.recorded, population, posterior.scale, model, knowledge, engine, {})
    left = np.flatnonzero(ill)
    n = len(posterior.patients)
    name = next(r.name for r in knowledge.regimens.values() if r.reference)
    capped = f" ({courses} are given)" if used < courses else ""
    if len(left) < FEWEST:
        rows = np.arange(n)[:draws]
        return _part(posterior, rows), (
            f"{used} failed trials{capped} are given and not used: of {n} virtual patients only {len(left)} would not "
            f"have responded to {used} courses of {name}, too few to forecast from."
        )
    rows = left[np.linspace(0, len(left) - 1, min(draws, len(left))).round().astype(np.intp)]
    kept = _part(posterior, rows)
    eased_ = replace(kept, patients=eased(kept.patients, used, knowledge))
    return eased_, (
        f"{used} failed trials{capped}: {n - len(left)} of {n} virtual patients were left out, who would have "
        f"responded to one of {used} courses of eight weeks of {name}; which drugs failed is not asked."
    )


def _part(posterior: Posterior, rows: np.ndarray) -> Posterior:
    return replace(posterior, patients=posterior.patients.take(rows), recorded=posterior.recorded[rows])
