"""Clinical limits: at, below and between them, and censored values that may lie in two strata."""

from __future__ import annotations

from math import inf, nextafter

import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.twin.clinical import bands_of, severity, stratified


@pytest.mark.parametrize(
    ("value", "label"),
    [(0.0, "below 1"), (0.999, "below 1"), (1.0, "1 to 3"), (2.99, "1 to 3"), (3.0, "3 to 10"), (10.0, "3 to 10"),
     (10.01, "above 10"), (inf, "above 10")],
)  # fmt: skip
def test_strata_of_crp(value: float, label: str) -> None:
    bands = stratified()
    assert bands.bands[bands.place(value)].label == label


def test_a_censored_value_has_a_stratum_only_if_all_it_may_be_lies_in_one() -> None:
    bands = stratified()
    below = bands.between(0.0, nextafter(1.0, 0.0))
    assert below is not None
    assert below.label == "below 1"
    assert bands.between(0.0, 1.0) is None
    assert bands.between(3.0, inf) is None
    above = bands.between(nextafter(10.0, inf), inf)
    assert above is not None
    assert above.label == "above 10"


def test_degrees_rise_with_the_score_and_every_scale_has_its_own() -> None:
    assert [severity("HAMD17", s) for s in (7, 8, 16, 17, 23, 24)] == [
        "no depression", "mild", "mild", "moderate", "moderate", "severe"
    ]  # fmt: skip
    for scale in load_knowledge().scales.values():
        bands = bands_of(scale.id)
        assert bands is not None
        ends = [band.end for band in bands.bands]
        assert ends == sorted(ends)
        assert max(e for e in ends if e < inf) <= scale.maximum
        assert bands.source.doi
    assert bands_of("nothing") is None
