"""The simulated counterpart of a published result: which statistic, of which courses, and what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.errors import StudyError
from crosstalk.knowledge.records import Scale, Source
from crosstalk.study import Endpoint, Result, estimate
from crosstalk.study import statistics as e
from crosstalk.study.endpoints import (
    ENDPOINTS,
    ERROR_SCALES,
    EndpointKind,
    ErrorScale,
    error_scale,
    error_scales,
    from_error_scale,
)
from crosstalk.study.statistics import Statistic
from crosstalk.study.tables import known_endpoint

Array = NDArray[np.float64]

WEEK = 168.0
TIMES = np.array([0.0, WEEK, 2 * WEEK])
# response is a fall by 0.4 here, so that a default of one half would be seen
SCALE = Scale("HAMD17", "Hamilton", 52, 22, 30, 2.5, 0.4, 9, Source("assumed", "test"))


def made(seed: int, n: int, *levels: float) -> Array:
    """Positive courses of n patients about some levels, without ties."""
    rng = np.random.default_rng(seed)
    return np.asarray(np.array(levels) * np.exp(rng.normal(0, 0.3, (n, len(levels)))), dtype=np.float64)


DRUG, PLACEBO = made(1, 12, 24, 15, 10), made(2, 9, 24, 20, 17)
CRP, CRP_PLACEBO = made(3, 12, 3, 2.5, 2), made(4, 9, 3, 3, 3)
COURSES = {
    ("drug", "HAMD17"): DRUG,
    ("placebo", "HAMD17"): PLACEBO,
    ("drug", "hsCRP"): CRP,
    ("placebo", "hsCRP"): CRP_PLACEBO,
}
AT = 2 * WEEK

# each endpoint with the keys that it needs, and the statistic that it has to be
EXPECTED: list[tuple[Endpoint, dict[str, object], Statistic]] = [
    ("level", {}, e.level(DRUG, TIMES, AT)),
    ("level", {"versus": "placebo"}, e.level(DRUG, TIMES, AT, PLACEBO)),
    ("change", {"of": "hsCRP", "versus": "placebo"}, e.change(CRP, TIMES, AT, CRP_PLACEBO)),
    ("ratio", {"of": "hsCRP"}, e.ratio(CRP, TIMES, AT)),
    ("ratio", {"of": "hsCRP", "versus": "placebo"}, e.ratio(CRP, TIMES, AT, CRP_PLACEBO)),
    ("response", {}, e.response(DRUG, TIMES, AT, fraction=0.4)),
    ("response", {"versus": "placebo"}, e.response(DRUG, TIMES, AT, fraction=0.4, versus=PLACEBO)),
    ("remission", {"versus": "placebo"}, e.remission(DRUG, TIMES, AT, at_most=9, versus=PLACEBO)),
    ("incidence", {"threshold": 18.0}, e.incidence(DRUG, TIMES, AT, threshold=18.0)),
    (
        "incidence",
        {"threshold": 18.0, "versus": "placebo"},
        e.incidence(DRUG, TIMES, AT, threshold=18.0, versus=PLACEBO),
    ),
    ("prevalence", {"of": "hsCRP", "threshold": 2.0}, e.prevalence(CRP, TIMES, AT, threshold=2.0)),
    (
        "prevalence",
        {"of": "hsCRP", "threshold": 2.0, "versus": "placebo"},
        e.prevalence(CRP, TIMES, AT, threshold=2.0, versus=CRP_PLACEBO),
    ),
    ("sd", {}, e.sd(DRUG, TIMES, AT)),
    ("sd", {"time_h": 0.0}, e.sd(DRUG, TIMES, 0.0)),
    ("smd", {}, e.smd(DRUG, TIMES, AT)),
    ("smd", {"versus": "placebo"}, e.smd(DRUG, TIMES, AT, PLACEBO)),
    (
        "responder-smd",
        {"of": "hsCRP", "partner": "HAMD17"},
        e.responder_smd(CRP, DRUG, TIMES, AT, fraction=0.4),
    ),
    ("odds-ratio", {"versus": "placebo"}, e.odds_ratio(DRUG, TIMES, AT, versus=PLACEBO, fraction=0.4)),
    (
        "odds-ratio",
        {"of": "hsCRP", "threshold": 2.0, "versus": "placebo"},
        e.odds_ratio(CRP, TIMES, AT, versus=CRP_PLACEBO, threshold=2.0),
    ),
    ("time-of-peak", {"of": "hsCRP", "time_h": None}, e.time_of_peak(CRP, TIMES)),
    ("correlation", {"of": "hsCRP", "partner": "HAMD17"}, e.correlation(CRP, DRUG, TIMES, AT)),
    (
        "correlation",
        {"partner": "HAMD17", "time_h": WEEK, "partner_h": AT},
        e.correlation(DRUG, DRUG, TIMES, WEEK, AT),
    ),
]


def result_of(endpoint: Endpoint, keys: dict[str, object]) -> Result:
    return Result(endpoint, **({"of": "HAMD17", "arm": "drug", "time_h": AT} | keys))  # type: ignore[arg-type]


@pytest.mark.parametrize(("endpoint", "keys", "expected"), EXPECTED)
def test_each_endpoint_is_its_statistic(endpoint: Endpoint, keys: dict[str, object], expected: Statistic) -> None:
    found = estimate(result_of(endpoint, keys), COURSES, TIMES, scale=SCALE)
    assert np.isfinite(expected).all()
    assert found == pytest.approx(expected, rel=1e-12)


def test_no_endpoint_is_forgotten_and_no_two_cases_agree() -> None:
    # those that regress on a marker have a file of tests of their own
    regressions = {e for e, kind in ENDPOINTS.items() if {"marker", "event"} & {*kind.needs}}
    assert {endpoint for endpoint, _, _ in EXPECTED} == set(ENDPOINTS) - regressions
    assert len({expected for _, _, expected in EXPECTED}) == len(EXPECTED)


def test_shares_above_a_threshold_need_no_scale() -> None:
    for endpoint in ("incidence", "prevalence", "odds-ratio"):
        keys: dict[str, object] = {"threshold": 15.0, "versus": "placebo"}
        assert np.isfinite(estimate(result_of(endpoint, keys), COURSES, TIMES).value)


@pytest.mark.parametrize(("endpoint", "keys", "expected"), EXPECTED)
def test_a_stratum_takes_its_patients_from_every_course(
    endpoint: Endpoint, keys: dict[str, object], expected: Statistic
) -> None:
    masks = {"drug": np.arange(12) % 4 != 1, "placebo": np.arange(9) % 4 != 1}
    result = result_of(endpoint, keys)
    chosen = {(arm, output): course[masks[arm]] for (arm, output), course in COURSES.items()}
    found = estimate(result, COURSES, TIMES, scale=SCALE, stratum=masks)
    assert np.isfinite(found).all()
    assert found == estimate(result, chosen, TIMES, scale=SCALE)
    assert found != expected


@pytest.mark.parametrize("endpoint", tuple(ENDPOINTS))
def test_a_course_that_was_not_simulated_is_named(endpoint: Endpoint) -> None:
    result = Result(endpoint, "IL-6", "drug", time_h=AT, threshold=1.0, partner="HAMD17")
    with pytest.raises(StudyError, match=rf"{endpoint} of 'IL-6' in arm 'drug': no such course.*add 'IL-6' to the out"):
        estimate(result, COURSES, TIMES, scale=SCALE)
    with pytest.raises(StudyError, match="'HAMD17' in arm 'third'"):
        estimate(replace(result, of="HAMD17", versus="third"), COURSES, TIMES, scale=SCALE)


@pytest.mark.parametrize("endpoint", ["correlation", "responder-smd"])
def test_a_partner_that_was_not_simulated_is_named(endpoint: Endpoint) -> None:
    with pytest.raises(StudyError, match="'MADRS' in arm 'drug': no such course"):
        estimate(result_of(endpoint, {"partner": "MADRS"}), COURSES, TIMES, scale=SCALE)


@pytest.mark.parametrize("endpoint", sorted(set(ENDPOINTS) - {"time-of-peak"}))
def test_a_time_is_needed_and_must_be_an_output(endpoint: Endpoint) -> None:
    keys: dict[str, object] = {"threshold": 15.0, "partner": "HAMD17", "versus": "placebo"}
    with pytest.raises(StudyError, match=rf"{endpoint} of 'HAMD17' in arm 'drug': no time"):
        estimate(result_of(endpoint, keys | {"time_h": None}), COURSES, TIMES, scale=SCALE)
    # an incidence looks at all visits up to its time
    with pytest.raises(
        StudyError,
        match=r"no output time lies between" if endpoint in ("incidence", "hazard-ratio") else r"no output at 50 h",
    ):
        estimate(result_of(endpoint, keys | {"time_h": 50.0}), COURSES, TIMES, scale=SCALE)


@pytest.mark.parametrize("endpoint", ["response", "remission", "responder-smd", "odds-ratio"])
def test_endpoints_of_scores_need_the_scale(endpoint: Endpoint) -> None:
    with pytest.raises(StudyError, match=rf"{endpoint} of 'HAMD17' in arm 'drug': no symptom scale"):
        estimate(result_of(endpoint, {"partner": "HAMD17", "versus": "placebo"}), COURSES, TIMES)


@pytest.mark.parametrize("endpoint", ["incidence", "prevalence"])
def test_shares_above_a_threshold_need_one(endpoint: Endpoint) -> None:
    with pytest.raises(StudyError, match=rf"{endpoint} of 'HAMD17' in arm 'drug': no threshold"):
        estimate(result_of(endpoint, {}), COURSES, TIMES, scale=SCALE)


@pytest.mark.parametrize("keys", [{}, {"threshold": 15.0}])
def test_an_odds_ratio_needs_a_second_arm(keys: dict[str, object]) -> None:
    with pytest.raises(StudyError, match=r"odds-ratio of 'HAMD17' in arm 'drug': no arm to compare with; give versus"):
        estimate(result_of("odds-ratio", keys), COURSES, TIMES, scale=SCALE)


def test_a_made_up_endpoint_needs_its_entry_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A median at a time, on a made-up error scale: counterpart, error scale and its inverse, what a file may write."""
    monkeypatch.setitem(ERROR_SCALES, "root", ErrorScale(np.sqrt, np.square, np.sqrt))
    entry = EndpointKind(
        "median at a time",
        lambda s: Statistic(float(np.median(s.at(s.values))), 1.0),
        scale="root",  # type: ignore[arg-type]
    )
    monkeypatch.setitem(ENDPOINTS, "median", entry)
    result = result_of("median", {})
    found = estimate(result, COURSES, TIMES, scale=SCALE)
    assert found.value == np.median(COURSES["drug", "HAMD17"][:, np.flatnonzero(TIMES == AT)[0]])
    assert error_scale("median", 9.0) == 3.0
    assert from_error_scale("median", 3.0) == 9.0
    assert error_scales([result], np.array([[9.0], [-1.0]]))[:, 0] == pytest.approx([3.0, np.nan], nan_ok=True)
    assert known_endpoint("median") == "median"
    with pytest.raises(ValueError, match="did you mean median"):
        known_endpoint("meidan")
