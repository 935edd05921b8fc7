"""Unknown options, impossible levels and unusual tables at the border of the statistics of trials."""

from __future__ import annotations

import numpy as np
import pytest

from crosstalk.errors import UsageError
from crosstalk.statistics.boundaries import boundaries
from crosstalk.statistics.mmrm import mmrm

RNG = np.random.default_rng(3)
ARM = np.arange(60) % 2
OUTCOME = RNG.normal(size=(60, 1)) * 2 + RNG.normal(size=(60, 3))


@pytest.mark.parametrize("option", [{"kind": "of"}, {"spending": "hsd"}, {"futility": "none"}])
def test_unknown_boundaries_are_refused_with_the_choices(option: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is unknown; expected one of 'obrien-fleming', 'pocock'"):
        boundaries((0.5, 1.0), **option)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"structures": ("toeplitz",)}, "covariance structure 'toeplitz' is unknown; expected one of 'unstructured'"),
        ({"structures": "unstructured"}, "expected a tuple of names"),
        ({"structures": ()}, "expected a tuple of names"),
        ({"level": 95}, "level 95; expected a share between 0 and 1"),
        ({"level": float("nan")}, "expected a share between 0 and 1"),
    ],
)
def test_mmrm_refuses_what_it_does_not_know(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        mmrm(OUTCOME, ARM, **options)  # type: ignore[arg-type]


def test_names_of_sites_are_indicators() -> None:
    site = np.array(["Basel", "Rome", "Porto"] * 20)
    numbers = np.column_stack([site == "Porto", site == "Rome"]).astype(float)
    found, wanted = mmrm(OUTCOME, ARM, None, site).contrast(), mmrm(OUTCOME, ARM, None, numbers).contrast()
    assert (found.estimate, found.se) == (pytest.approx(wanted.estimate), pytest.approx(wanted.se))
    mixed = np.column_stack([site.astype(object), np.arange(60.0)])
    assert np.isfinite(mmrm(OUTCOME, ARM, None, mixed).contrast().se)
    with pytest.raises(UsageError, match="missing for 1 patients, first in row 0"):
        mmrm(OUTCOME, ARM, None, np.where(np.arange(60) == 0, "", site))


def test_a_visit_at_which_all_are_alike_is_named() -> None:
    same = OUTCOME.copy()
    same[:, 1] = 4.0
    with pytest.raises(UsageError, match="visit 1 has the same outcome for everybody, 4"):
        mmrm(same, ARM)


def test_many_visits_need_few_parameters() -> None:
    rng = np.random.default_rng(7)
    outcome = rng.normal(size=(90, 1)) * 4 + rng.normal(size=(90, 70)) * 3
    outcome[rng.random(outcome.shape) < 0.02] = np.nan
    with pytest.raises(UsageError, match="70 visits; an unstructured covariance is fitted with at most 30"):
        mmrm(outcome, np.arange(90) % 2)
    fit = mmrm(outcome, np.arange(90) % 2, structures=("compound symmetry",))
    assert fit.converged
    assert fit.covariance[0, 0] == pytest.approx(25, rel=0.3)
