"""What trials showed beside a forecast: the stratum that holds the patient, the sign, and indirect comparisons."""

from __future__ import annotations

import pytest

from crosstalk.evidence.such_patients import Found, Published
from crosstalk.knowledge.loader import load_knowledge

CRP = "hsCRP"


@pytest.fixture(scope="module")
def base() -> Published:
    return Published(load_knowledge())


def found(base: Published, regimen: str, crp: tuple[float, float] | None = None) -> tuple[Found, ...]:
    known = load_knowledge()
    within = None if crp is None else (CRP, *crp)
    return base.effects(known.regimen(regimen), known.regimen("ssri"), within)


@pytest.mark.parametrize(
    ("crp", "stratum"),
    [
        ((0.5, 0.5), "hsCRP < 1 mg/L"),
        ((2.0, 2.0), "1 <= hsCRP < 3 mg/L"),
        ((4.0, 4.0), "3 <= hsCRP < 5 mg/L"),
        ((5.0, 5.0), "hsCRP >= 5 mg/L"),
        ((0.0, 0.9), "hsCRP < 1 mg/L"),
        ((0.0, 2.0), ""),  # a censored value that may lie in two strata has none
    ],
)
def test_the_stratum_holds_the_patient(base: Published, crp: tuple[float, float], stratum: str) -> None:
    effects = [f for f in found(base, "ssri-infliximab", crp) if f.studies[0][0] == "raison2013"]
    assert [f.stratum for f in effects] == ([stratum] if stratum else [])
    for effect in effects:
        assert effect.n is not None
        assert effect.k == 1
        assert effect.low < effect.value < effect.high
        assert effect.studies[0][1] == "10.1001/2013.jamapsychiatry.4"


def test_more_inflamed_gain_more_where_the_trial_says_so(base: Published) -> None:
    low, high = (found(base, "ssri-infliximab", (v, v))[0].value for v in (0.5, 8.0))
    assert high < 0 < low  # negative is better


def test_the_reference_is_compared_with_nothing(base: Published) -> None:
    assert found(base, "ssri", (5.0, 5.0)) == ()


def test_leaving_the_drug_out_turns_its_effect_round(base: Published) -> None:
    pytest.importorskip("pymare")
    (left_out,) = found(base, "placebo")
    assert left_out.value > 0  # worse without
    assert left_out.comparison == "escitalopram left out"


def test_an_indirect_comparison_is_the_difference_of_two_effects(base: Published) -> None:
    pytest.importorskip("pymare")
    (indirect,) = found(base, "sertraline")
    assert indirect.comparison.endswith("indirectly by the effect of each")
    first, second = base._pool(("sertraline",), (), None), base._pool(("escitalopram",), (), None)
    assert first is not None
    assert second is not None
    assert indirect.value == pytest.approx(first.value - second.value)
    assert indirect.high - indirect.low > max(first.high - first.low, second.high - second.low)
    assert indirect.k == first.k + second.k


def test_a_trial_head_to_head_goes_before_an_indirect_comparison(base: Published) -> None:
    (direct,) = found(base, "nortriptyline")
    assert "indirectly" not in direct.comparison
    assert direct.comparison.startswith("nortriptyline against escitalopram")
    assert ("only stated" in direct.comparison) is (direct.value == 0)
