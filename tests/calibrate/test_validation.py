"""Verdicts: intervals that hold what they should, signs, scores against rivals, whatever the endpoint."""

from __future__ import annotations

from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from crosstalk.calibrate.covariance import typical_sd
from crosstalk.calibrate.rivals import neutral
from crosstalk.calibrate.targets import Target
from crosstalk.calibrate.validation import Judge, Verdict, summarise, validate, without_chance
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.worlds import prior_worlds
from crosstalk.study.records import Arm, Population, Result, Study
from crosstalk.study.schema import read_study

CHANGE = Result("change", "HAMD17", "drug", "placebo", 1344.0, value=-2.0, unit="points", se=0.5)


STUDY = Study(
    "any2020", "", "", "validate", Population("mdd", {}, None, ""), (Arm("drug", ()), Arm("placebo", ()), Arm("a", ())),
    (), 1344.0, (0.0, 1344.0), ("HAMD17",),
)  # fmt: skip


@pytest.fixture(scope="module")
def judges(knowledge: Knowledge) -> Judge:
    return Judge(knowledge, {}, {})


def judged(
    judges: Judge, target: Target, worlds: np.ndarray, prior: np.ndarray | None = None,
    class_mean: tuple[float, float] | None = None,
) -> Verdict:  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges.means, "of", lambda *_: class_mean)
        return judges.of(STUDY, target, worlds, worlds if prior is None else prior)


def target(result: Result, value: float, error: float) -> Target:
    return Target("any2020", 0, result, value, error, "symptoms")


def test_the_interval_holds_model_and_sampling_error(judges: Judge) -> None:
    """With both normal the interval is that of their sum; the worlds are a normal's own quantiles."""
    worlds = norm.ppf((np.arange(1000) + 0.5) / 1000, -1.0, 2.0)
    found = judged(judges, target(CHANGE, -2.0, 1.5), worlds)
    half = norm.ppf(0.95) * np.hypot(2.0, 1.5)
    assert (found.lo90, found.hi90) == pytest.approx((-1 - half, -1 + half), abs=0.01)
    assert found.predicted_median == pytest.approx(-1.0, abs=0.01)
    assert (found.model_lo90, found.model_hi90) == pytest.approx((-4.29, 2.29), abs=0.01)
    assert (found.observed_lo90, found.observed_hi90) == pytest.approx((-2 - 1.645 * 1.5, -2 + 1.645 * 1.5), abs=1e-3)
    assert found.inside90


def test_another_study_differs_by_what_lies_between_studies(knowledge: Knowledge) -> None:
    """A tau of 0.1 standard deviations between patients, 7.8 points of the HAMD-17 each; of another domain: nothing."""
    worlds = np.linspace(-1.1, -0.9, 500)
    apart, alone = (Judge(knowledge, {domain: 0.1}, {}) for domain in ("contrast", "course"))
    asked = target(CHANGE, -2.0, 1.0)
    wide, narrow = (judged(j, asked, worlds) for j in (apart, alone))
    size = typical_sd(CHANGE, knowledge)
    assert size == pytest.approx(7.8)
    assert wide.hi90 - wide.lo90 == pytest.approx(2 * 1.645 * np.hypot(1.0, 0.1 * size), rel=0.02)
    assert narrow.hi90 - narrow.lo90 == pytest.approx(2 * 1.645, rel=0.02)
    assert wide.prior.hi90 - wide.prior.lo90 == pytest.approx(2 * 1.645, rel=0.02)


def test_a_miss_is_a_miss(judges: Judge) -> None:
    found = judged(judges, target(CHANGE, -2.0, 0.3), np.full(50, 1.0) + np.linspace(-0.1, 0.1, 50))
    assert not found.inside90
    assert found.sign_ok is False
    assert found.log_score < (found.log_score_no_effect or 0)


def test_the_interval_covers_as_it_says(judges: Judge) -> None:
    """Truth from the worlds, an observation with its error: nine of ten lie inside."""
    rng = np.random.default_rng(7)
    worlds = rng.normal(0.5, 1.0, 100)
    inside = [
        judged(judges, target(CHANGE, float(rng.choice(worlds) + 0.7 * rng.standard_normal()), 0.7), worlds).inside90
        for _ in range(2000)
    ]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)


def test_the_log_score_is_that_of_the_mixture(judges: Judge) -> None:
    worlds = np.array([-1.0, 0.0, 2.0])
    found = judged(judges, target(CHANGE, -0.5, 0.8), worlds, class_mean=(-1.0, 0.6))
    assert found.log_score == pytest.approx(log(np.mean(norm.pdf(-0.5, worlds, 0.8))))
    assert found.log_score_no_effect == pytest.approx(norm.logpdf(-0.5, 0, 0.8))
    assert found.log_score_class_mean == pytest.approx(norm.logpdf(-0.5, -1.0, 1.0))


def test_ratios_come_back_from_logarithms(judges: Judge) -> None:
    ratio = Result("ratio", "hsCRP", "drug", "placebo", 336.0, value=0.5, unit="dimensionless", se=0.1)
    found = judged(judges, target(ratio, log(0.5), 0.1), np.full(20, log(0.6)) + np.linspace(-0.2, 0.2, 20))
    assert found.observed == pytest.approx(0.5)
    assert found.predicted_median == pytest.approx(0.6, rel=0.02)
    assert 0 < found.lo90 < found.predicted_median < found.hi90


def test_shares_stay_between_nothing_and_all(judges: Judge) -> None:
    share = Result("response", "HAMD17", "drug", "", 336.0, value=0.05, unit="fraction", se=0.1)
    found = judged(judges, target(share, 0.05, 0.1), np.linspace(0.0, 0.1, 50))
    assert found.lo90 == 0.0
    assert found.sign_ok is None
    assert found.log_score_no_effect is None


def test_a_result_whose_interval_holds_no_effect_has_no_sign(judges: Judge) -> None:
    assert judged(judges, target(CHANGE, -0.2, 0.5), np.linspace(1, 2, 20)).sign_ok is None


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (CHANGE, 0.0),
        (replace(CHANGE, versus=""), None),
        (Result("correlation", "IL-6", "a", "", 0.0, partner="TNF"), 0.0),
        (Result("prevalence", "hsCRP", "a", "", 0.0, threshold=3.0), None),
    ],
)
def test_what_no_effect_would_be(result: Result, expected: float | None) -> None:
    assert neutral(result) == expected


def test_counts_and_median_differences(judges: Judge) -> None:
    good = judged(judges, target(CHANGE, -2.0, 0.5), np.linspace(-2.5, -1.5, 50), class_mean=(-1.0, 0.3))
    bad = judged(judges, target(CHANGE, -2.0, 0.5), np.linspace(2.0, 3.0, 50))
    found = summarise([good, bad])
    assert (found.results, found.coverage.model, found.signs, found.signs_ok) == (2, 1, 2, 1)
    assert found.compared_class_mean == 1
    gaps = [v.log_score - (v.log_score_no_effect or 0) for v in (good, bad)]
    assert found.better_than_no_effect == pytest.approx(np.median(gaps))


def test_a_readers_own_trial_is_judged_like_any_other(knowledge: Knowledge, engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "mine2026.toml"
    path.write_text(
        """
[study]
id = "mine2026"
doi = "10.1000/mine"
role = "validate"
duration_weeks = 6
[population]
diagnosis = "mdd"
[[arm]]
id = "drug"
n = 100
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every = "24 h" }]
[[arm]]
id = "placebo"
n = 100
[[result]]
endpoint = "change"
of = "HAMD17"
week = 6
arm = "drug"
versus = "placebo"
value = 40
unit = "points"
se = 1.0
source = "abstract"
provenance = "seen"
[[result]]
endpoint = "response"
of = "HAMD17"
week = 6
arm = "drug"
stratum = { analyte = "hsCRP", min = 590, unit = "mg/L" }
value = 0.5
unit = "fraction"
se = 0.1
source = "abstract"
provenance = "seen"
""",
        encoding="utf-8",
    )
    worlds = prior_worlds(knowledge, 1, 6)
    study = read_study(path, knowledge)
    found = validate([study], worlds, knowledge=knowledge, engine=engine, patients=8, prior_draws=4)
    assert [v.study for v in found.results] == ["mine2026"]
    assert not found.results[0].inside90
    assert found.results[0].sign_ok is False
    assert found.unsupported == ("mine2026.1",)
    assert found.overall.results == 1
    (one,) = found.results
    assert one.domain == "treatment contrast"
    assert one.prior.basis == "4 draws of the prior"
    assert one.trivial is not None
    assert "studies, change, same domain" in one.trivial.basis
    # 40 points more on the drug surprise everybody, and those most who expect little spread
    assert not one.prior.inside90
    assert not one.trivial.inside90
    assert one.log_score < one.trivial.log_score


def test_the_chance_of_few_patients_is_taken_out_of_the_spread() -> None:
    """Whatever the noise, the spread that is left is that of the worlds."""
    rng = np.random.default_rng(3)
    truth = rng.normal(-1.0, 0.5, (4000, 1))
    for noise in (0.0, 0.4, 1.0):
        first, second = (truth + noise * rng.standard_normal(truth.shape) for _ in range(2))
        found = without_chance(first, second)
        assert found.mean() == pytest.approx(-1.0, abs=0.05)
        assert found.std() == pytest.approx(0.5, rel=0.06)


@pytest.mark.parametrize("worlds", [8, 40, 200])
def test_worlds_that_chance_alone_tells_apart_keep_some_width(worlds: int) -> None:
    """Never none at all, and the less the more worlds there are; none only where all agree exactly."""
    rng = np.random.default_rng(5)
    left = []
    for _ in range(50):
        first, second = rng.standard_normal((worlds, 1)), rng.standard_normal((worlds, 1))
        found = without_chance(first, second)
        assert found.std() > 0
        left.append(found.var(ddof=1))
    assert np.mean(left) < 1.1 / np.sqrt(worlds)  # of a chance of 0.5
    same = np.full((worlds, 1), 2.0)
    assert without_chance(same, same).std() == 0


def test_worlds_without_patients_in_one_half_keep_the_other() -> None:
    first, second = np.array([[1.0], [np.nan], [3.0], [np.nan]]), np.array([[1.0], [2.0], [3.0], [np.nan]])
    found = without_chance(first, second)
    assert found[:3, 0] == pytest.approx([1.0, 2.0, 3.0])
    assert np.isnan(found[3, 0])
