"""The prognostic score sharpens a comparison and biases nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosstalk.trial.prognosis import fit_prognosis
from crosstalk.trial.replicates import replicate


def test_it_is_least_squares() -> None:
    rng = np.random.default_rng(1)
    n = 5000
    baseline, age, crp = rng.normal(24, 4, n), rng.uniform(20, 60, n), np.exp(rng.normal(0.7, 1, n))
    outcome = 2 + 0.5 * baseline + 0.1 * age + 2.0 * np.log(crp) + rng.normal(0, 3, n)
    rule = fit_prognosis(baseline, {"age": age, "hsCRP": crp}, {"age": False, "hsCRP": True}, outcome)
    design = np.column_stack([np.ones(n), baseline, age, np.log(crp)])
    fitted = design @ np.linalg.lstsq(design, outcome, rcond=None)[0]
    found = rule.score(baseline, {"hsCRP": crp, "age": age})
    assert np.abs(found - fitted).max() < 0.05
    explained = fitted.var() / outcome.var()
    assert rule.explained == pytest.approx(explained, abs=0.002)


def test_a_constant_measurement_does_no_harm() -> None:
    rng = np.random.default_rng(2)
    baseline = rng.normal(24, 4, 200)
    rule = fit_prognosis(baseline, {"sex": np.ones(200)}, {"sex": False}, baseline + rng.normal(size=200))
    assert np.isfinite(rule.score(baseline, {"sex": np.ones(200)})).all()


def test_it_narrows_the_standard_error_without_bias(made: Any) -> None:
    """The true level depends on age; the score explains it."""
    analyses = (made.analysis(), made.analysis(id="sharp", covariates=("prognosis",)))
    ready = made.setting(made.design(*analyses, n=160), benefit=3.0)
    age = ready.pool.levels["age"]
    shift = (age - age.mean())[:, None] * np.minimum(ready.pool.times_h / 168.0, 1.0)
    pool = made.replace(ready.pool, courses={k: v + shift for k, v in ready.pool.courses.items()})
    end = pool.courses["placebo", "S"][:, 4]
    rule = fit_prognosis(pool.recorded, pool.levels, {"hsCRP": True, "age": False, "sex": False}, end)
    runs = replicate(made.replace(ready, pool=pool, prognosis=rule), 200, seed=1, label="power")
    plain, sharp = (runs.column("se", i).mean() for i in ("primary", "sharp"))
    # age has an SD of 11.5, a score otherwise of 10
    assert sharp / plain == pytest.approx(10 / np.hypot(10, 40 / np.sqrt(12)), rel=0.05)
    estimate = runs.column("estimate", "sharp")
    assert estimate.mean() == pytest.approx(-3.0, abs=3 * estimate.std() / np.sqrt(200))
