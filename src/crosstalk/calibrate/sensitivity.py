"""On what the benefit of a regimen depends: first-order indices over patients and worlds, from one sample (SALib)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import CalibrationError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.calibrated import possible_worlds
from crosstalk.population.run import simulate
from crosstalk.population.worlds import unknowns
from crosstalk.study.records import Arm, Population, Study

__all__ = ["Influence", "Sensitivity", "benefit_sensitivity"]

Array = NDArray[np.float64]

DIAGNOSIS = "mdd"
FEWEST = 200  # patients below which the indices are noise


@dataclass(frozen=True, slots=True)
class Influence:
    """Share of the variance of the benefit that one quantity explains alone, with the half width of its 95 % interval.

    ``kind``: ``individual`` for what differs between patients, ``population`` for what nobody knows for sure.
    """

    name: str
    kind: Literal["individual", "population"]
    first_order: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Influences on the benefit, the largest first; ``mean`` and ``sd`` of the benefit [points]."""

    regimen: str
    versus: str
    scale: str
    week: int
    patients: int
    worlds: str
    mean: float
    sd: float
    influences: tuple[Influence, ...]


def benefit_sensitivity(
    regimen: str,
    versus: str,
    knowledge: Knowledge,
    engine: Engine,
    *,
    week: int = 12,
    patients: int = 4000,
    seed: int = 1,
) -> Sensitivity:
    """Decompose the variance of a regimen's benefit over virtual patients, each in a world of its own.

    Parameters
    ----------
    regimen, versus : str
        Ids of regimens; the benefit is the score under ``versus`` minus that under ``regimen`` at ``week``.
    patients : int

    Returns
    -------
    Sensitivity
        First-order indices by random balance designs with the bias correction of Tissot and Prieur [1]_; their sum is
        below 1 where quantities interact.

    Raises
    ------
    UsageError
        On an unknown regimen, two equal ones, or too few patients.
    CalibrationError
        If SALib is not installed.

    References
    ----------
    .. [1] Tissot JY, Prieur C. Bias correction for the estimation of sensitivity indices based on random balance
       designs. Reliab Eng Syst Saf 2012. doi:10.1016/j.ress.2012.06.010
    """
    first, second = knowledge.regimen(regimen), knowledge.regimen(versus)
    if first.id == second.id or patients < FEWEST or week < 1:
        raise UsageError(
            f"regimens {first.id} and {second.id}, {patients} patients, week {week}; expected two regimens, at least "
            f"{FEWEST} patients and week 1 or later"
        )
    analyze = _salib()
    scale = knowledge.diagnosis(DIAGNOSIS).scale
    study = Study(
        id="sensitivity", title="", doi="", role="design",
        population=Population(DIAGNOSIS, {}, None, scale),
        arms=(Arm("regimen", first.doses), Arm("versus", second.doses)), results=(),
        duration_h=week * 168.0, output_times_h=(0.0, week * 168.0), outputs=(scale,),
    )  # fmt: skip
    worlds = possible_worlds(knowledge, seed, patients)
    run = simulate(study, patients=patients, seed=seed, knowledge=knowledge, engine=engine, worlds=worlds)
    benefit = run.courses["versus", scale][:, -1] - run.courses["regimen", scale][:, -1]
    people = run.patients
    given = {dose.drug for arm in study.arms for dose in arm.doses}
    columns: dict[str, tuple[Literal["individual", "population"], Array]] = {
        u.id: ("population", worlds.values[u.id][people.world])
        for u in unknowns(knowledge)
        if not u.drug or u.drug in given
    }
    # the share of a person in a parameter, not that of his world
    latent = knowledge.diagnosis(DIAGNOSIS).distributions
    own = {**people.parameters, **people.covariates}
    columns |= {f"{name} of the patient": ("individual", own[name]) for name in latent if name in own}
    columns |= {f"{scale} at baseline": ("individual", run.courses["regimen", scale][:, 0])}
    usable = np.isfinite(benefit)
    varied = {k: v for k, v in columns.items() if np.ptp(v[1][usable]) > 0}
    table = np.column_stack([v[1][usable] for v in varied.values()])
    problem = {"num_vars": len(varied), "names": list(varied), "bounds": [[0.0, 1.0]] * len(varied)}
    found = analyze(problem, table, benefit[usable], seed=seed)
    influences = [
        Influence(name, varied[name][0], max(float(s), 0.0), float(c))
        for name, s, c in zip(varied, found["S1"], found["S1_conf"], strict=True)
    ]
    return Sensitivity(
        first.id, second.id, scale, week, int(usable.sum()), worlds.source, float(benefit[usable].mean()),
        float(benefit[usable].std(ddof=1)), tuple(sorted(influences, key=lambda i: -i.first_order)),
    )  # fmt: skip


def _salib() -> Any:
    try:
        from SALib.analyze import rbd_fast
    except ImportError as error:
        raise CalibrationError(
            "SALib is not installed; global sensitivity needs it: pip install 'crosstalk-mdd[sensitivity]'"
        ) from error
    return rbd_fast.analyze
