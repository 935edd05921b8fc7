"""What the data cannot tell, whether populations carry the targets, and on what a benefit depends."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from crosstalk.calibrate.calibration import Calibration, Settings
from crosstalk.calibrate.identifiability import confounded, contractions, load_bearing, profiles
from crosstalk.calibrate.recovery import recover
from crosstalk.calibrate.sensitivity import benefit_sensitivity
from crosstalk.calibrate.support import bins, duplicates, effective_samples
from crosstalk.calibrate.targets import Targets, gather
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import CalibrationError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.run import simulate_worlds
from crosstalk.population.worlds import prior_worlds
from crosstalk.study.schema import read_study


def linear(small: Calibration, slopes: np.ndarray, values: np.ndarray, n: int = 3000) -> Calibration:
    """A calibration whose counterparts are linear in two unknowns, with its exact posterior."""
    rng = np.random.default_rng(2)
    errors = 0.5 * np.eye(len(values))
    precision = np.eye(2) + slopes.T @ np.linalg.solve(errors, slopes)
    spread = np.linalg.inv(precision)
    mean = spread @ slopes.T @ np.linalg.solve(errors, values)
    prior = rng.standard_normal((n, 2))
    after = rng.multivariate_normal(mean, spread, n)
    items = tuple(replace(t, value=float(v)) for t, v in zip(small.targets.items, values, strict=False))
    return replace(
        small, unknowns=small.unknowns[:2], prior=prior, scores=after, before=prior @ slopes.T, after=after @ slopes.T,
        targets=Targets(small.targets.studies, items, values, errors),
    )  # fmt: skip


def test_contraction_is_the_share_of_the_variance_that_is_gone(small: Calibration) -> None:
    slopes = np.array([[3.0, 0.0], [0.0, 0.3], [2.0, 0.0]])
    found = {c.unknown: c for c in contractions(linear(small, slopes, np.array([1.0, 1.0, 1.0])))}
    first, second = (found[u.id] for u in small.unknowns[:2])
    assert first.contraction == pytest.approx(1 - 1 / (1 + 13 / 0.5), abs=0.01)
    assert second.contraction == pytest.approx(1 - 1 / (1 + 0.09 / 0.5), abs=0.08)
    assert (first.verdict, second.verdict) == ("identified", "not")
    assert first.posterior[0] < first.posterior[1] < first.posterior[2]


def test_a_sum_that_is_known_confounds_its_parts(small: Calibration) -> None:
    c = linear(small, np.array([[4.0, 4.0], [4.0, 4.0], [4.0, 4.0]]), np.zeros(3))
    (pair,) = confounded(c)
    assert pair.correlation < -0.9
    assert {pair.first, pair.second} == {u.id for u in small.unknowns[:2]}


def test_profiles_of_a_linear_model_are_exact(small: Calibration) -> None:
    """Twice the loss of log-likelihood along one unknown is a parabola, as curved as the marginal likelihood."""
    slopes = np.array([[2.0, 1.0], [0.5, -1.0], [1.0, 0.0]])
    values = np.array([1.0, 0.2, 0.4])
    c = linear(small, slopes, values)
    (profile,) = profiles(c, [small.unknowns[0].id])
    spread = 0.5 * np.eye(3) + np.outer(slopes[:, 1], slopes[:, 1])
    curvature = slopes[:, 0] @ np.linalg.solve(spread, slopes[:, 0])
    best = slopes[:, 0] @ np.linalg.solve(spread, values) / curvature
    grid = np.linspace(-3, 3, 25)
    expected = curvature * (grid - best) ** 2
    assert profile.distance == pytest.approx(expected - expected.min(), abs=0.05 * expected.max())
    assert profile.r2 > 0.99
    assert profile.verdict == "identified"


def test_an_unknown_that_no_target_feels_has_a_flat_profile(small: Calibration) -> None:
    c = linear(small, np.array([[2.0, 0.0], [0.5, 0.0], [1.0, 0.0]]), np.zeros(3))
    (profile,) = profiles(c, [small.unknowns[1].id])
    assert profile.distance.max() < 0.5
    assert profile.verdict == "not"
    assert (profile.low, profile.high) == (None, None)


def test_the_load_is_borne_by_what_drug_effects_follow(small: Calibration) -> None:
    names = load_bearing(small, 5)
    assert len(set(names)) == 5
    assert set(names) <= {u.id for u in small.unknowns}


def test_effective_samples_shrink_with_information(small: Calibration) -> None:
    found = effective_samples(small)
    assert [e.members for e in found] == sorted(e.members for e in found)
    assert all(1 <= e.effective <= e.members for e in found)
    assert found[-1].effective < 0.5 * small.settings.members


def test_bins_without_patients_are_told(knowledge: Knowledge, engine: Engine) -> None:
    study = read_study("raison2013", knowledge)
    targets = gather([study], knowledge)
    run = simulate_worlds(study, prior_worlds(knowledge, 1, 6), patients=12, seed=1, knowledge=knowledge, engine=engine)
    found = {b.target: b for b in bins(run, targets.items)}
    whole = found[targets.items[0].id]
    assert (whole.median, whole.smallest, whole.short) == (12, 12, 0)
    strata = [b for t, b in zip(targets.items, found.values(), strict=True) if t.result.stratum is not None]
    assert any(not b.supported for b in strata)
    assert sum(b.median for b in strata[:4]) <= 14


def test_a_result_told_twice_is_found(targets: Targets) -> None:
    assert duplicates(targets) == ()
    first = targets.items[0]
    twice = replace(targets, items=(*targets.items, replace(first, study="other2020", number=9)))
    assert duplicates(twice) == ((first.id, "other2020.9"),)


def test_the_shipped_evidence_tells_nothing_twice(knowledge: Knowledge) -> None:
    from crosstalk.calibrate.targets import studies_of

    assert duplicates(gather(studies_of("calibrate", knowledge), knowledge)) == ()


def test_the_benefit_of_an_antibody_depends_on_the_patient_and_on_the_window(
    knowledge: Knowledge, engine: Engine
) -> None:
    found = benefit_sensitivity("ssri-infliximab", "ssri", knowledge, engine, patients=700, week=8)
    shares = {i.name: i for i in found.influences}
    assert shares["fI of the patient"].kind == "individual"
    assert shares["xopt"].kind == "population"
    assert "celecoxib_innate_drive_max" not in shares
    top = [i.name for i in found.influences[:8]]
    assert {"BMI of the patient", "fI of the patient"} & set(top)
    assert all(i.first_order >= 0 for i in found.influences)


def test_a_benefit_does_not_depend_on_a_drug_of_a_like_name(knowledge: Knowledge, engine: Engine) -> None:
    found = benefit_sensitivity("ssri-epa", "ssri", knowledge, engine, patients=300, week=4)
    effects = {i.name for i in found.influences if i.name.endswith("_max")}
    assert "epa_innate_drive_max" in effects
    assert "epacadostat_ido_activity_max" not in effects


@pytest.mark.parametrize(
    ("regimen", "versus", "patients"), [("ssri", "ssri", 500), ("ssri", "placebo", 10), ("nothing", "placebo", 500)]
)
def test_comparisons_that_make_no_sense(
    regimen: str, versus: str, patients: int, knowledge: Knowledge, engine: Engine
) -> None:
    with pytest.raises(UsageError):
        benefit_sensitivity(regimen, versus, knowledge, engine, patients=patients)


def test_without_salib_the_message_says_how_to_get_it(
    knowledge: Knowledge, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "SALib.analyze", None)
    with pytest.raises(CalibrationError, match=r"pip install 'crosstalk-mdd\[sensitivity\]'"):
        benefit_sensitivity("ssri", "placebo", knowledge, engine, patients=500)


@pytest.mark.slow
def test_intervals_hold_known_truths(knowledge: Knowledge, engine: Engine) -> None:
    """Fifty worlds of the prior as the truth, a small budget each; the intervals claim 90 %."""
    targets = gather([read_study(s, knowledge) for s in ("windoloski2024", "uher2014", "osimo2020")], knowledge)
    found = recover(targets, knowledge, engine, Settings(members=60, effort=0.2), sets=50)
    assert 0.80 <= found.coverage <= 0.97
    assert 0.80 <= found.informed_coverage <= 0.97
    assert found.predictive_coverage >= 0.80
