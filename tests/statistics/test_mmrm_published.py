"""The mixed model against what the R package mmrm publishes of itself and of SAS on the same data.

Where the last digits differ, the deviance found here is the lower one: PROC MIXED and L-BFGS-B stop earlier.
github.com/openpharma/mmrm, commit ec290b2: README.md, tests/testthat/test-emmeans.R and test-kenwardroger.R, design/SAS
and design/Robust (outputs of PROC MIXED).
"""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.errors import UsageError
from crosstalk.statistics.mmrm import _estimates, first_covariance, fitted, mmrm
from crosstalk.statistics.structures import Structure, starting_values
from crosstalk.statistics.visit_patterns import VisitPatterns

Array = NDArray[np.float64]
FEV = Path(os.environ.get("CROSSTALK_FEV", ""))
"""The example of R's mmrm, as ``write.csv(mmrm::fev_data, "fev.csv")`` writes it; no file of others is kept here."""


@pytest.fixture(scope="module")
def fev() -> dict[str, NDArray[Any]]:
    """Outcome and weight by patient and visit; arm, race and sex by patient."""
    if not FEV.is_file():
        pytest.skip("needs the example of R's mmrm: write.csv(mmrm::fev_data, 'fev.csv') and set CROSSTALK_FEV to it")
    with FEV.open() as file:
        rows = list(csv.DictReader(file))
    patients = list(dict.fromkeys(r["USUBJID"] for r in rows))
    outcome, weight = np.full((2, len(patients), 4), np.nan)
    first: dict[str, dict[str, str]] = {}
    for r in rows:
        at = patients.index(r["USUBJID"]), int(r["VISITN"]) - 1
        outcome[at] = float(r["FEV1"]) if r["FEV1"] not in ("", "NA") else np.nan
        weight[at] = float(r["WEIGHT"])
        first.setdefault(r["USUBJID"], r)
    people = [first[p] for p in patients]
    return {
        "outcome": outcome,
        "weight": weight,
        "arm": np.array([p["ARMCD"] == "TRT" for p in people]).astype(int),
        "others": np.array([[p["RACE"], p["SEX"]] for p in people], dtype=object),
    }


def test_the_example_of_the_readme(fev: dict[str, NDArray[Any]]) -> None:
    """FEV1 ~ RACE + SEX + ARMCD * AVISIT + us(AVISIT | USUBJID), Satterthwaite, and emmeans(fit, ~ ARMCD | AVISIT)."""
    fit = mmrm(fev["outcome"], fev["arm"], None, fev["others"], method="satterthwaite", structures=("unstructured",))
    assert fit.n == 197
    assert fit.deviance == pytest.approx(3386.45, abs=0.005)
    first, last = fit.contrast(0), fit.contrast(-1)
    # the optimiser of mmrm stops where the deviance still falls in its sixth decimal
    assert (first.estimate, first.se, first.df) == pytest.approx((3.77423, 1.07415, 145.55), rel=1e-4)
    assert first.p == pytest.approx(0.000589, abs=1e-6)
    assert last.estimate == pytest.approx(3.77423004 + 0.62422703, rel=1e-4)
    covariance = [
        [40.5537, 14.3960, 4.9747, 13.3867],
        [14.3960, 26.5715, 2.7855, 7.4745],
        [4.9747, 2.7855, 14.8979, 0.9082],
        [13.3867, 7.4745, 0.9082, 95.5568],
    ]
    np.testing.assert_allclose(fit.covariance, covariance, atol=1e-2)
    means = [fit.mean(visit, arm).estimate for visit in range(4) for arm in (0, 1)]
    assert means == pytest.approx([33.3, 37.1, 38.2, 41.9, 43.7, 46.8, 48.4, 52.8], abs=0.05)
    assert fit.mean(0, 1).estimate - fit.mean(0, 0).estimate == pytest.approx(first.estimate, abs=1e-9)


def constant(data: VisitPatterns, columns: int) -> VisitPatterns:
    """The same data, with one coefficient for all visits of each of the first columns, as these SAS runs have it."""
    f = data.designs.shape[1]
    spread = np.zeros((data.visits, f, columns))
    spread[:, np.arange(columns), np.arange(columns)] = 1.0
    return replace(data, spread=spread.reshape(data.visits * f, columns))


SAS: dict[Structure, tuple[float, float, float, float]] = {
    # -2 restricted log likelihood, estimate; standard error and degrees of freedom of Kenward-Roger (first order)
    "unstructured": (3667.96276376, 3.81972492174648, 0.66124382270307, 160.73326640376),
    "heterogeneous Toeplitz": (3693.28667094, 3.92287746213894, 0.72537324518435, 180.062730071701),
    "Toeplitz": (3830.79965777, 4.47051860580552, 0.87839805519623, 160.027408337368),
    "heterogeneous AR(1)": (3715.28043805, 3.72674356244499, 0.75924807546934, 188.225339095373),
    "AR(1)": (3855.12433951, 4.22574315817874, 0.96058142305176, 188.46934887972),
    "heterogeneous compound symmetry": (3754.18491472, 3.77090812499029, 0.67403858183242, 190.737701349941),
    "compound symmetry": (3890.97896859, 4.19663617897035, 0.7964696053595, 177.038485931223),
}


@pytest.mark.parametrize("structure", SAS)
def test_structures_agree_with_sas(fev: dict[str, NDArray[Any]], structure: Structure) -> None:
    """FEV1 ~ ARMCD with each covariance structure."""
    data = constant(VisitPatterns.of(fev["outcome"], fev["arm"], None, None), 2)
    _, point = fitted(data, structure, starting_values(structure, first_covariance(data)))
    assert point is not None
    found = _estimates(point, np.array([[[0.0, 1.0]]]), "kenward-roger-observed", 0.95, "")[0][0]
    assert point.value == pytest.approx(SAS[structure][0], abs=1e-4)
    assert found.estimate == pytest.approx(SAS[structure][1], rel=1e-4)
    assert (found.se, found.df) == pytest.approx(SAS[structure][2:], rel=5e-4)


WEIGHTED: dict[Structure, tuple[float, float]] = {
    "unstructured": (3762.51113756, 3.49283663375976),
    "heterogeneous Toeplitz": (3780.55823630, 3.41120066426548),
    "Toeplitz": (3917.96776965, 3.89892091409498),
    "heterogeneous compound symmetry": (3829.13714499, 3.22555420139968),
    "AR(1)": (3936.25465682, 3.62838307125478),
}


@pytest.mark.parametrize("structure", WEIGHTED)
def test_weights_agree_with_sas(fev: dict[str, NDArray[Any]], structure: Structure) -> None:
    data = constant(VisitPatterns.of(fev["outcome"], fev["arm"], None, None, weights=fev["weight"]), 2)
    _, point = fitted(data, structure, starting_values(structure, first_covariance(data)))
    assert point is not None
    assert point.value == pytest.approx(WEIGHTED[structure][0], abs=1e-4)
    assert point.coefficients[1] == pytest.approx(WEIGHTED[structure][1], rel=1e-4)


GROUPED: dict[Structure, tuple[float, float, float, int]] = {
    "heterogeneous Toeplitz": (3704.49921127, 41.4766, 0.3563, 170),
    "heterogeneous AR(1)": (3724.36099760, 41.7104, 0.3723, 177),
    "AR(1)": (3872.65212395, 41.9576, 0.4960, 189),
    "heterogeneous compound symmetry": (3764.55218946, 41.8458, 0.3372, 191),
    "compound symmetry": (3915.41985780, 41.9734, 0.4247, 183),
}


@pytest.mark.parametrize("structure", GROUPED)
def test_covariances_of_groups_agree_with_sas(fev: dict[str, NDArray[Any]], structure: Structure) -> None:
    """FEV1 ~ 1 with a covariance of each arm, Satterthwaite."""
    data = constant(VisitPatterns.of(fev["outcome"], fev["arm"], None, None, groups=fev["arm"]), 1)
    assert data.groups == 2
    _, point = fitted(data, structure, np.tile(starting_values(structure, first_covariance(data)), 2))
    assert point is not None
    found = _estimates(point, np.array([[[1.0]]]), "satterthwaite", 0.95, "")[0][0]
    deviance, estimate, se, df = GROUPED[structure]
    assert point.value == pytest.approx(deviance, abs=1e-4)
    assert (found.estimate, found.se) == pytest.approx((estimate, se), abs=2e-4)
    assert round(found.df) == df


def test_derivatives_with_groups_and_weights(fev: dict[str, NDArray[Any]]) -> None:
    """Of the first and second order, by differences."""
    data = VisitPatterns.of(fev["outcome"], fev["arm"], None, fev["others"], fev["arm"], fev["weight"])
    at = np.tile(starting_values("heterogeneous Toeplitz", first_covariance(data) * 1.1), 2)
    from crosstalk.statistics.mmrm import _point

    point = _point(data, "heterogeneous Toeplitz", at)
    assert point is not None
    gradient, hessian, _ = point.slope()
    for j in (0, 4, 6, 7, 13):
        shift = np.eye(len(at))[j] * 1e-5
        ahead, behind = (_point(data, "heterogeneous Toeplitz", at + s) for s in (shift, -shift))
        assert ahead is not None
        assert behind is not None
        assert (ahead.value - behind.value) / 2e-5 == pytest.approx(gradient[j], rel=1e-5, abs=1e-4)
        np.testing.assert_allclose((ahead.slope()[0] - behind.slope()[0]) / 2e-5, hessian[j], rtol=1e-4, atol=1e-4)


def test_equal_weights_change_no_estimate(fev: dict[str, NDArray[Any]]) -> None:
    plain = mmrm(fev["outcome"], fev["arm"], structures=("AR(1)",))
    heavy = mmrm(fev["outcome"], fev["arm"], structures=("AR(1)",), weights=np.full(200, 4.0))
    assert heavy.contrast().estimate == pytest.approx(plain.contrast().estimate, rel=1e-8)
    assert heavy.contrast().se == pytest.approx(plain.contrast().se, rel=1e-6)
    np.testing.assert_allclose(heavy.covariance, 4 * plain.covariance, rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": np.zeros(200)}, "weight in row 0 is not a positive number"),
        ({"weights": np.ones(3)}, r"weights has shape \(3,\)"),
        ({"groups": np.arange(200)}, "fewer than two outcomes"),
        ({"groups": np.arange(3)}, r"groups has shape \(3,\)"),
        ({"margins": "flat"}, "'equal', 'observed'"),
    ],
)
def test_wrong_groups_and_weights_are_explained(
    fev: dict[str, NDArray[Any]], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        mmrm(fev["outcome"], fev["arm"], **wrong)


def test_sixty_two_visits() -> None:
    """Weekly ratings of more than a year: seconds, not gigabytes (some 3 s on one core of 2024)."""
    import time

    rng = np.random.default_rng(62)
    y = rng.normal(size=(60, 1)) * 4 + rng.normal(size=(60, 62)) * 3
    y[rng.random(y.shape) < 0.1] = np.nan
    started = time.thread_time()
    assert mmrm(y, np.arange(60) % 2, structures=("compound symmetry",)).converged
    assert time.thread_time() - started < 60
