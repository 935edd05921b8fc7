"""Scales are converted as published tables of equivalents say, monotonously, and alike in both engines."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Problem
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.model.scales import convert_score, highest_score, score_at

Array = NDArray[np.float64]

KNOWLEDGE = load_knowledge()
SCALES = KNOWLEDGE.scales
TABLES = tomllib.loads((Path(__file__).parent / "equivalents.toml").read_text(encoding="utf-8"))


def table(name: str) -> tuple[Array, Array]:
    first, second = np.array(TABLES[name]["rows"], dtype=float).T
    return first, second


@pytest.mark.parametrize(("name", "scale"), [("rush2003", "QIDS16"), ("carmody2006", "MADRS"), ("leucht2018", "MADRS")])
def test_a_score_is_within_a_point_of_the_published_table(name: str, scale: str) -> None:
    """Where one score of the HAMD-17 stands for several of the other scale, their middle counts."""
    hamd, score = table(name)
    assert TABLES[name]["columns"] == ["HAMD17", scale]
    one = np.unique(hamd)
    middle = np.array([score[hamd == h].mean() for h in one])
    off = convert_score(one, SCALES["HAMD17"], SCALES[scale]) - middle
    assert np.abs(off).max() <= 1.0, one[np.abs(off).argmax()]


def test_the_phq_is_within_a_point_of_three_published_tables_in_a_row() -> None:
    hamd, bdi = table("furukawa2019")
    seen = hamd <= 30  # beyond, the table has only its maximum
    metric = np.interp(bdi, *table("wahl2014bdi"))
    phq, at = table("wahl2014phq")
    expected = np.interp(metric, at, phq)
    found = convert_score(hamd, SCALES["HAMD17"], SCALES["PHQ9"])
    assert np.abs(found - expected)[seen].max() <= 1.0
    assert found[~seen] == pytest.approx(27, abs=0.1)


def test_the_anchor_keeps_its_numbers() -> None:
    index = np.linspace(0, 52, 53)
    assert score_at(SCALES["HAMD17"], index) == pytest.approx(index, abs=1e-12)
    assert SCALES["HAMD17"].weights == (22.0, 30.0)
    assert SCALES["HAMD17"].span == 52.0


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_rises_everywhere_and_converts_back(scale: str) -> None:
    index = np.linspace(0, 52, 1001)
    found = score_at(SCALES[scale], index)
    assert (np.diff(found) > 0).all()
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert found[-1] == pytest.approx(SCALES[scale].maximum, abs=0.1)
    back = convert_score(found, SCALES[scale], SCALES["HAMD17"])
    assert back == pytest.approx(index, abs=0.05)
    assert 0.9 * SCALES[scale].maximum < highest_score(SCALES[scale]) <= SCALES[scale].maximum


def test_remission_and_severity_of_the_self_ratings_are_no_share_of_the_range() -> None:
    """A HAMD-17 of 7, 17, 20 and 24 was a QIDS of 3.6, 8.7, 10.2 and 12.3 as a share; the table says 5, 13, 16, 19."""
    found = convert_score([7, 17, 20, 24], SCALES["HAMD17"], SCALES["QIDS16"])
    assert found == pytest.approx([5, 13, 16, 19], abs=0.5)


def test_the_model_and_the_reference_engine_give_the_same_scores() -> None:
    pytest.importorskip("roadrunner")
    model = assemble((), KNOWLEDGE)
    rng = np.random.default_rng(3)
    n = 40
    states = {"NV": rng.uniform(0.01, 0.9, n), "MC": rng.uniform(0.01, 0.9, n)}
    outputs = ("NV", "MOOD", *SCALES)
    found = {}
    for engine in ("fast", "reference"):
        problem = Problem(model.sbml, n, {}, np.array([0.0, 24.0]), outputs, states)
        found[engine] = get_engine(engine).simulate(problem, rtol=1e-8, strict=True)
    for name, scale in SCALES.items():
        assert found["fast"][name] == pytest.approx(found["reference"][name], rel=1e-4)
        index = scale.weights[0] * found["fast"]["NV"] + scale.weights[1] * found["fast"]["MOOD"]
        assert found["fast"][name] == pytest.approx(score_at(scale, index), rel=1e-9, abs=1e-9)
