"""A trial without the model: participants made by hand, with normal scores and a constant benefit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosstalk.knowledge.records import Scale, Source
from crosstalk.study.design import Analysis, Conduct, Design
from crosstalk.study.records import Arm, Eligibility, Population, Study
from crosstalk.trial.pool import Pool
from crosstalk.trial.setting import Setting

WEEK = 168.0
SCALE = Scale("S", "score", 1000.0, 0.5, 0.5, 6.0, 0.5, 40.0, Source("assumed", "made by hand"), integer=False)
MARKER = Eligibility("hsCRP", "mg/L", min=3.0)


def analysis(method: str = "ancova", id: str = "primary", **given: Any) -> Analysis:
    """The drug against placebo on the scale, at week 4."""
    return Analysis(**{
        "id": id, "method": method, "of": "S", "time_h": 4 * WEEK, "arm": "drug", "versus": "placebo", **given
    })  # fmt: skip


def design(*analyses: Analysis, **given: Any) -> Design:
    """Equal parallel groups."""
    usual = {
        "kind": "parallel", "n": 120, "control": "placebo", "allocation": {"drug": 0.5, "placebo": 0.5}, "block": 4,
        "strata": (), "analyses": analyses or (analysis(),),
    }  # fmt: skip
    return Design(**{**usual, **given})


def setting(
    plan: Design,
    *,
    benefit: float = 0.0,
    by_marker: float = 0.0,
    between: float = 8.0,
    mean: float = 100.0,
    recorded: float = 200.0,
    worlds: int = 1,
    spread_of_worlds: float = 0.0,
    people: int = 20_000,
    noise: float = 0.5,
    hazard: float = 0.0,
    weeks: tuple[float, ...] = (0, 1, 2, 4),
    scale: Scale = SCALE,
    seed: int = 1,
) -> Setting:
    """Participants whose true score is ``mean`` with SD ``between`` from week 1 on, lower by the benefit on the drug.

    With raters of SD 6 and ``between = 8`` a score has SD 10. The marker is log-normal around 2; ``by_marker`` is an
    extra benefit above 3.
    """
    rng = np.random.default_rng(seed)
    n = people * worlds
    world = np.repeat(np.arange(worlds), people)
    grid = np.arange(0.0, weeks[-1] + 2) * WEEK
    level = mean + between * rng.standard_normal(n)
    crp = np.exp(np.log(2.0) + rng.standard_normal(n))
    shift = benefit + by_marker * (crp >= 3.0) + spread_of_worlds * rng.standard_normal(worlds)[world]
    ramp = np.minimum(grid / WEEK, 1.0)
    start = np.full(n, recorded)
    control = start[:, None] + (level - recorded)[:, None] * ramp
    drug = start[:, None] + (level - shift - recorded)[:, None] * ramp
    courses = {("placebo", "S"): control, ("drug", "S"): drug}
    treatments: tuple[str, ...] = ("drug", "placebo")
    if plan.crossover is not None:
        again = grid >= plan.crossover.period_h + plan.crossover.washout_h - 1e-6
        first = grid < plan.crossover.period_h + 1e-6
        courses["drug-placebo", "S"] = np.where(first, drug, control)
        courses["placebo-drug", "S"] = np.where(again & ~first, drug, control)
        treatments = ("drug-placebo", "placebo-drug")
    pool = Pool(
        np.arange(worlds + 1) * people, grid, courses, recorded + 10.0 * rng.standard_normal(n), "S",
        {"hsCRP": crp, "age": rng.uniform(20, 60, n), "sex": (rng.random(n) < 0.6).astype(float)},
        np.zeros(n), np.zeros(n),
    )  # fmt: skip
    study = Study(
        id="made", title="Made by hand", doi="", role="design", population=Population("mdd", {}, None, "S"),
        arms=(Arm("drug", ()), Arm("placebo", ())), results=(), duration_h=weeks[-1] * WEEK,
        output_times_h=tuple(w * WEEK for w in weeks), outputs=("S",), trial=plan,
    )  # fmt: skip
    return Setting(
        study, plan, pool, (), {"hsCRP": noise, "age": 0.0, "sex": 0.0}, dict.fromkeys(("hsCRP", "age", "sex"), 0.0),
        {"S": scale}, np.array(weeks) * WEEK, treatments, hazard,
    )  # fmt: skip


class Made:
    """What the tests make trials with."""

    analysis = staticmethod(analysis)
    design = staticmethod(design)
    setting = staticmethod(setting)
    conduct = Conduct
    marker = MARKER
    scale = SCALE
    replace: Callable[..., Any] = staticmethod(replace)


@pytest.fixture(scope="session")
def made() -> type[Made]:
    """Analyses, designs and settings made by hand."""
    return Made
