"""Imputation under several assumptions, against published results of R's rbmi and by what must hold."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.errors import UsageError
from crosstalk.statistics import ancova
from crosstalk.statistics.missing_visits import ImputationModel, imputation_model
from crosstalk.statistics.mmrm import mmrm
from crosstalk.statistics.sensitivity import Imputed, impute, jackknife, rubin, tipping_point

Array = NDArray[np.float64]


def simulated(n: int = 80, *, effect: float = -2.0, seed: int = 1) -> tuple[Array, NDArray[Any], Array]:
    rng = np.random.default_rng(seed)
    arm, base = np.arange(n) % 2, rng.normal(24, 4, n)
    y = rng.normal(size=(n, 1)) * 3 + np.cumsum(rng.normal(size=(n, 3)) * 2, axis=1) - 3
    y += effect * arm[:, None] * np.array([0.3, 0.7, 1.0])
    left = rng.random(n)
    y[left < 0.1, 1:] = np.nan
    y[left > 0.8, 2] = np.nan
    y[5, 1] = np.nan
    return y, arm, base


@pytest.fixture(scope="module")
def model() -> ImputationModel:
    y, arm, base = simulated()
    return imputation_model(y, arm, base)


@pytest.fixture(scope="module")
def antidepressant(request: pytest.FixtureRequest) -> ImputationModel:
    """The trial of rbmi's vignettes; the arm coded 1 is the placebo, as the first level there is the drug."""
    folder: Path = request.getfixturevalue("shared_data")
    with (folder / "rbmi_antidepressant_data.csv").open() as file:
        rows = list(csv.DictReader(file))
    patients = sorted({r["PATIENT"] for r in rows})
    y, arm, base = np.full((len(patients), 4), np.nan), np.zeros(len(patients), int), np.zeros(len(patients))
    for r in rows:
        k = patients.index(r["PATIENT"])
        y[k, int(r["VISIT"]) - 4] = float(r["CHANGE"])
        arm[k], base[k] = r["THERAPY"] == "DRUG", float(r["BASVAL"])
    return imputation_model(y, arm, base)


@pytest.mark.shared
def test_rbmi_jump_to_reference(antidepressant: ImputationModel) -> None:
    """Vignette "Inference with Conditional Mean Imputation" of rbmi, commit c872d4a: method_condmean("jackknife").

    Placebo minus drug there; both variances; also the visit of week 2.
    """
    found = jackknife(antidepressant, ("J2R",))["J2R"]
    assert (-found.estimate, found.se) == pytest.approx((2.126, 0.858), abs=5.1e-4)
    assert (-found.upper, -found.lower) == pytest.approx((0.444, 3.807), abs=5.1e-4)
    assert found.p == pytest.approx(0.013, abs=5e-4)
    anchored = jackknife(antidepressant, ("J2R",), inference="information-anchored")["J2R"]
    assert (-anchored.estimate, anchored.se, anchored.p) == pytest.approx((2.126, 1.123, 0.058), abs=5.1e-4)
    early = jackknife(antidepressant, ("J2R",), visit=1)["J2R"]
    assert (-early.estimate, early.se, early.p) == pytest.approx((1.305, 0.878, 0.137), abs=5.1e-4)


@pytest.mark.shared
def test_rbmi_multiple_imputation(antidepressant: ImputationModel) -> None:
    """Quickstart vignette of rbmi: 150 imputations by Stan give 2.169 (SE 1.120) and 1.950 (0.994).

    Its own chance at 150 imputations is some 0.04 for the estimate, so 500 here come within 0.1 and 2 % of the SE.
    """
    found = rubin(impute(antidepressant, "J2R", imputations=500))
    assert -found.estimate == pytest.approx(2.169, abs=0.1)
    assert found.se == pytest.approx(1.120, rel=0.02)
    earlier = rubin(impute(antidepressant, "J2R", visit=2, imputations=500))
    assert -earlier.estimate == pytest.approx(1.950, abs=0.08)
    assert earlier.se == pytest.approx(0.994, rel=0.02)
    # nothing is missing at the first visit: the ANCOVA itself, to all digits that rbmi prints
    first = rubin(impute(antidepressant, "J2R", visit=0, imputations=2))
    assert (-first.estimate, first.se) == pytest.approx((-0.09180645, 0.6826279), abs=1e-7)
    assert (-first.upper, -first.lower, first.p) == pytest.approx((-1.43949684, 1.2558839, 0.8931772), abs=1e-6)


def test_at_random_agrees_with_the_mixed_model(model: ImputationModel) -> None:
    """Conditional means of an unstructured model with ANCOVA give its estimate, and imputation its standard error."""
    y, arm, base = simulated()
    fit = mmrm(y, arm, base).contrast()
    found = rubin(impute(model, "MAR", imputations=400))
    assert found.estimate == pytest.approx(fit.estimate, abs=0.15)
    assert found.se == pytest.approx(fit.se, rel=0.08)
    mean = model.complete(model.best, "MAR")[:, -1]
    assert ancova(mean, arm, base).estimate == pytest.approx(fit.estimate, abs=0.02)


def test_what_was_seen_stays(model: ImputationModel) -> None:
    seen = np.isfinite(model.outcome)
    rng = np.random.default_rng(1)
    for strategy in ("MAR", "J2R", "CIR", "CR"):
        found = model.complete(model.best, strategy, rng)
        assert np.isfinite(found).all()
        np.testing.assert_array_equal(found[seen], model.outcome[seen])


def test_strategies_differ_as_their_names_say(model: ImputationModel) -> None:
    own, jump, increments, copy = (model.means(model.best, s) for s in ("MAR", "J2R", "CIR", "CR"))
    other = model.design(0) @ model.best.surface.T
    left, whole = model.last < 2, model.last == 2
    for found in (jump, increments, copy):
        np.testing.assert_array_equal(found[whole], own[whole])
        control = model.arm == 0
        np.testing.assert_allclose(found[control], own[control], atol=1e-12)
    for patient in np.flatnonzero(left & (model.arm == 1)):
        last = model.last[patient]
        np.testing.assert_array_equal(jump[patient, : last + 1], own[patient, : last + 1])
        np.testing.assert_array_equal(jump[patient, last + 1 :], other[patient, last + 1 :])
        np.testing.assert_allclose(np.diff(increments[patient])[last:], np.diff(other[patient])[last:], atol=1e-12)
        np.testing.assert_array_equal(copy[patient], other[patient])


def test_nothing_before_dropout_copies_the_reference() -> None:
    y, arm, base = simulated()
    y[1] = np.nan
    model = imputation_model(y, arm, base)
    assert model.last[1] == -1
    other = model.design(0) @ model.best.surface.T
    for strategy in ("J2R", "CIR", "CR"):
        np.testing.assert_allclose(model.means(model.best, strategy)[1], other[1])
        assert np.isfinite(model.complete(model.best, strategy)).all()


def test_jump_to_reference_takes_effect_away(model: ImputationModel) -> None:
    found = jackknife(model, ("MAR", "J2R", "CIR", "CR"))
    assert abs(found["J2R"].estimate) < abs(found["CIR"].estimate) < abs(found["MAR"].estimate)
    anchored = jackknife(model, ("J2R",), inference="information-anchored")["J2R"]
    assert anchored.estimate == found["J2R"].estimate
    assert anchored.se > found["J2R"].se


def test_rubin_of_complete_data_is_the_analysis() -> None:
    _, arm, base = simulated()
    y = np.random.default_rng(3).normal(size=80) - arm
    found = rubin(Imputed(np.array([y, y]), np.zeros(80, bool), arm, base[:, None]))
    one = ancova(y, arm, base)
    assert (found.estimate, found.se) == pytest.approx((one.estimate, one.se))


def test_the_tipping_point_is_where_significance_ends() -> None:
    y, arm, base = simulated(effect=-4.0)
    imputed = impute(imputation_model(y, arm, base), "MAR", imputations=50)
    found = tipping_point(imputed, most=20.0)
    assert found.tips is not None
    assert found.effects[0].p < 0.05
    assert rubin(imputed, delta=found.tips + 1e-6).p >= 0.05
    assert rubin(imputed, delta=found.tips - 1e-3).p < 0.05
    # each patient imputed moves the arm's mean by his share
    assert found.effects[-1].estimate > found.effects[0].estimate
    assert tipping_point(imputed, most=-1.0).tips is None


def test_the_same_seed_gives_the_same_numbers(model: ImputationModel) -> None:
    one, two, other = (rubin(impute(model, "CR", imputations=5, seed=s)) for s in (1, 1, 2))
    assert one == two
    assert one.estimate != other.estimate


def test_draws_hold_the_fit_and_its_uncertainty(model: ImputationModel) -> None:
    """The spread of the coefficients is that of the mixed model, a little wider for the covariance is unknown."""
    y, arm, base = simulated()
    fit = mmrm(y, arm, base, method="satterthwaite").contrast()
    drawn = np.array([d.surface[-1, 1] for d in model.draws(600, np.random.default_rng(1))])
    assert drawn.mean() == pytest.approx(fit.estimate, abs=4 * fit.se / np.sqrt(600) + 0.02)
    assert drawn.std() == pytest.approx(fit.se, rel=0.12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: impute(m, "LOCF"), "'MAR', 'J2R', 'CIR', 'CR'"),
        (lambda m: impute(m, "MAR", imputations=1), "at least 2"),
        (lambda m: jackknife(m, ("MAR",), inference="bootstrap"), "'frequentist'"),
        (lambda m: tipping_point(impute(m, "MAR", imputations=2), most=0), "other than 0"),
    ],
)
def test_wrong_calls_are_explained(model: ImputationModel, call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(model)
