"""Counterparts: the same patients in every world, and an anchor that takes their chance away."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crosstalk.calibrate.forward import ANOTHER, Forward, plan_patients
from crosstalk.calibrate.targets import Targets, gather
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.worlds import Worlds, prior_scores, unknowns, worlds_at
from crosstalk.study.schema import read_study

STUDY = """
[study]
id = "mine2026"
doi = "10.1000/mine"
role = "calibrate"
duration_weeks = 6
visits = [0, 6]
[population]
diagnosis = "mdd"
[[arm]]
id = "ssri"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every = "24 h" }]
[[result]]
endpoint = "change"
of = "HAMD17"
unit = "points"
week = 6
arm = "ssri"
value = -9.0
se = 0.8
source = "made up"
provenance = "seen"
mismatch = { indication = "exact", species = "human", design = "exact", quality = "trial" }
[[result]]
endpoint = "level"
of = "hsCRP"
week = 0
unit = "mg/L"
arm = "ssri"
value = 3.0
se = 0.3
source = "made up"
provenance = "seen"
mismatch = { indication = "exact", species = "human", design = "exact", quality = "trial" }
"""


@pytest.fixture(scope="module")
def targets(knowledge: Knowledge, tmp_path_factory: pytest.TempPathFactory) -> Targets:
    path: Path = tmp_path_factory.mktemp("study") / "mine2026.toml"
    path.write_text(STUDY, encoding="utf-8")
    return gather([read_study(path, knowledge)], knowledge)


@pytest.fixture(scope="module")
def worlds(knowledge: Knowledge) -> tuple[Worlds, Worlds]:
    """Some worlds not far from each other, and the one amid them."""
    known = unknowns(knowledge)
    scores = 0.3 * prior_scores(known, 3, 6)
    near, middle = (worlds_at(known, s, "calibration") for s in (scores, scores.mean(axis=0, keepdims=True)))
    return near, middle


def test_an_anchor_takes_most_of_the_chance_away(
    targets: Targets, worlds: tuple[Worlds, Worlds], knowledge: Knowledge, engine: Engine
) -> None:
    """Over sets of twelve patients the counterparts scatter far less with an anchor, about the same means."""
    some, anchor = worlds

    def sets(with_anchor: bool) -> np.ndarray:
        found = []
        for k in range(8):
            plan = {"mine2026": 12}
            forward = Forward(knowledge, engine, seed=5 + k * ANOTHER, plan=plan, anchor_patients=300)
            found.append(forward.counterparts(targets, some, "any", anchor=anchor if with_anchor else None))
        return np.array(found)

    alone, anchored = sets(False), sets(True)
    spread = [x.var(axis=0, ddof=1).mean(axis=0) for x in (alone, anchored)]
    assert (spread[1] < 0.3 * spread[0]).all()
    errors = np.sqrt(sum(x.mean(axis=1).var(axis=0, ddof=1) for x in (alone, anchored)) / 8)
    gap = alone.mean(axis=(0, 1)) - anchored.mean(axis=(0, 1))
    assert (np.abs(gap) < 4 * errors).all()


def test_the_same_candidates_live_in_every_world(
    targets: Targets, worlds: tuple[Worlds, Worlds], knowledge: Knowledge, engine: Engine
) -> None:
    forward = Forward(knowledge, engine, seed=5, plan={"mine2026": 4})
    (study,) = targets.studies
    people = forward.run(study, worlds[0], common=True).patients
    numbers = people.index.reshape(worlds[0].n, -1)
    assert (numbers == numbers[0]).all()
    own = forward.run(study, worlds[0]).patients
    assert len(set(own.index.tolist())) == len(own)


def test_more_patients_where_errors_are_small(
    targets: Targets, worlds: tuple[Worlds, Worlds], knowledge: Knowledge, engine: Engine
) -> None:
    exact = Targets(targets.studies, targets.items, targets.values, targets.covariance / 400)
    few, many = (plan_patients(t, *worlds, knowledge, engine, seed=1) for t in (targets, exact))
    assert many.patients["mine2026"] > few.patients["mine2026"]
    assert (many.chance < few.chance).all()
