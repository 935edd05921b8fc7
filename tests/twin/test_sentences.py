"""No sentence says what its interval does not allow: over random intervals, and over random panels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.engine import get_engine
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin.assessment import mechanism_scores, profile
from crosstalk.twin.posterior import infer
from crosstalk.twin.records import Interval, MechanismScore, NextAssay, ProfileItem
from crosstalk.twin.sentences import INFORMED, NOT_TOLD, listed, next_assay_words, reading, side, verdict
from crosstalk.twin.twin import how_many_worlds

LOW, HIGH = 0.8, 1.25  # written out here, so that a changed band is seen
LABORATORY = {
    "hsCRP": (0.2, 30.0), "IL-6": (0.5, 12.0), "TNF": (0.8, 8.0), "leptin": (1.0, 80.0), "cortisol": (120.0, 800.0),
    "tryptophan": (30.0, 90.0), "kynurenine": (0.9, 4.0),
}  # fmt: skip


def check_score(m: MechanismScore) -> None:
    """What a reader may conclude from the sentence alone, held against the numbers beside it."""
    definition = load_knowledge().scores[m.id]
    claims = {
        definition.low: m.hi90 < LOW,
        definition.high: m.lo90 > HIGH,
        definition.within: m.lo90 >= LOW and m.hi90 <= HIGH,
    }
    if m.reading in claims:
        assert claims[m.reading], (m.reading, m.lo90, m.hi90)
        assert m.told_by_panel >= INFORMED
    else:
        assert m.reading.startswith(NOT_TOLD)
        for words in ("monocytes", "Th17", "regulatory", "NMDA", "adipose", "brain immune tone"):
            assert words not in m.reading
    if "alone suggest" in m.reading:
        assert m.told_by_panel < INFORMED <= m.told_by_covariates
        assert m.by_covariates is not None
        shown = re.search(r"suggests? ([\d.e+-]+) to ([\d.e+-]+)", m.reading)
        assert shown is not None
        assert float(shown[1]) == pytest.approx(m.by_covariates.lo90, rel=0.06)
        assert float(shown[2]) == pytest.approx(m.by_covariates.hi90, rel=0.06)
    if "from low to high" in m.reading:
        assert m.lo90 < LOW
        assert m.hi90 > HIGH
    assert m.told_by_panel + m.told_by_covariates == pytest.approx(m.contraction)
    assert 0 <= m.told_by_panel <= 1
    assert 0 <= m.told_by_covariates <= 1


def check_value(item: ProfileItem) -> None:
    if item.reference is not None and not item.censored:
        place = (item.value < item.reference.p2_5, item.value > item.reference.p97_5)
        assert item.position == {(True, False): "below", (False, True): "above", (False, False): "within"}[place]
    if item.stratum:
        low, high = {"below 1": (0, 1), "1 to 3": (1, 3), "3 to 10": (3, 10), "above 10": (10, np.inf)}[
            item.stratum.split(" mg/L")[0]
        ]
        assert item.analyte == "hsCRP"
        assert item.use != "failed"
        if item.censored == "left":
            assert low == 0
            assert item.value <= high
        else:
            assert low <= item.value <= high


def random_panel(rng: np.random.Generator, i: int) -> Panel:
    given_: dict[str, Measurement] = {}
    for name, (low, high) in LABORATORY.items():
        if rng.random() < 0.3:
            value = float(np.exp(rng.uniform(np.log(low), np.log(high))))
            given_[name] = Measurement(name, value, "left" if rng.random() < 0.1 else "")
    for name, low, high in (("age", 18, 80), ("BMI", 17, 45), ("HAMD17", 8, 34), ("CTQ", 25, 100), ("PSS10", 5, 38)):
        if rng.random() < 0.5:
            given_[name] = Measurement(name, float(rng.uniform(low, high)))
    if rng.random() < 0.5:
        given_["sex"] = Measurement("sex", float(rng.integers(2)))
    return Panel(f"R{i}", given_)


@pytest.mark.parametrize("panels", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_sentence_on_a_random_panel_says_more_than_its_interval(panels: int) -> None:
    knowledge, engine, rng = load_knowledge(), get_engine(), np.random.default_rng(17)
    said = 0
    for i in range(panels):
        panel = random_panel(rng, i)
        try:
            posterior = infer(
                panel, knowledge, engine, seed=1, virtual_patients=1500, worlds=how_many_worlds(knowledge)
            )
        except TwinError:
            continue  # too few alike: refused, and nothing is said
        scores = mechanism_scores(posterior, knowledge, panel)
        for m in scores:
            check_score(m)
            if not set(panel.measurements) & set(LABORATORY):
                assert m.told_by_panel == 0
                assert m.reading.startswith(NOT_TOLD)
        for item in profile(panel, posterior, knowledge):
            check_value(item)
        said += sum(not m.reading.startswith(NOT_TOLD) for m in scores)
    assert said  # else the test would hold for a report that says nothing


finite = st.floats(-60, 60)


@given(st.tuples(finite, finite, finite))
def test_a_verdict_follows_its_interval(numbers: tuple[float, float, float]) -> None:
    low, mean, high = sorted(numbers)
    scale: Scale = load_knowledge().scales["HAMD17"]
    words = verdict(Interval(mean, low, high), scale)
    margin = 0.02 * 52
    allowed = {
        "estimated better": high < -margin,
        "estimated worse": low > margin,
        "too small a difference to matter": -margin <= low and high <= margin,
        "not worse; how much better is open": high < 0,
        "not better; how much worse is open": low > 0,
        "no evidence of a difference": low <= 0 <= high,
    }
    assert allowed[words]


@given(st.floats(0.01, 50), st.floats(0.01, 50), st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_reading_follows_its_interval(a: float, b: float, panel: float, covariates: float, known: bool) -> None:
    low, high = sorted((a, b))
    for definition in load_knowledge().scores.values():
        found = Interval((low * high) ** 0.5, low, high)
        words = reading(definition, found, found if known else None, (panel, covariates), ("BMI",) if known else ())
        check_score(
            MechanismScore(
                definition.id, definition.name, definition.unit, found.mean, low, high, 1.0, found, panel + covariates,
                words, panel, covariates, found if known else None,
            )
        )  # fmt: skip


def test_nothing_is_said_of_no_interval() -> None:
    nan = float("nan")
    assert side(Interval(nan, nan, nan), (LOW, HIGH)) == "open"


def test_what_to_measure_next_is_named_only_if_it_tells() -> None:
    none = next_assay_words([NextAssay("TNF", "TNF", 0.0)], "A", "B")
    assert none.startswith("No further assay")
    some = next_assay_words([NextAssay("TNF", "TNF", 0.2), NextAssay("IL-6", "IL-6", 0.0)], "A", "B")
    assert some.startswith("TNF: expected to take away 20%")
    assert "IL-6" not in some
    assert "Then IL-6 (5%)" in next_assay_words([NextAssay("TNF", "TNF", 0.2), NextAssay("x", "IL-6", 0.05)], "A", "B")
    assert listed([]) == ""
