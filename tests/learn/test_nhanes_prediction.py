"""Depression predicted across ten years of a survey: the statistics agree with R, the page with the data."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.special import expit

from crosstalk.statistics.metrics import auc
from crosstalk.statistics.survey import SurveyDesign

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))
        yield importlib.import_module("nhanes_prediction")


def test_weighted_calibration_and_auc_agree_with_survey(script: ModuleType) -> None:
    """R 4.2.2, survey 4.1-1.

    ::

        i <- 1:200
        lp <- 2*sin(1.7*i) + 0.5*cos(0.3*i)
        y <- as.numeric(((i*0.6180339887) %% 1) < plogis(0.3 + 0.6*lp))
        d <- data.frame(y, lp, st = i %% 5, psu = i %% 20, w = 1 + i %% 7)
        s <- svydesign(id = ~psu, strata = ~st, weights = ~w, data = d, nest = TRUE)
        f <- svyglm(y ~ lp, s, family = quasibinomial(), control = glm.control(epsilon = 1e-14)); coef(f); SE(f)
        g <- svyglm(y ~ offset(lp), s, family = quasibinomial(), control = glm.control(epsilon = 1e-14)); coef(g); SE(g)
        W <- outer(d$w[y==1], d$w[y==0])
        sum(W * (outer(lp[y==1], lp[y==0], ">") + 0.5*outer(lp[y==1], lp[y==0], "=="))) / sum(W)
    """
    i = np.arange(1, 201)
    lp = 2 * np.sin(1.7 * i) + 0.5 * np.cos(0.3 * i)
    y = ((i * 0.6180339887) % 1 < expit(0.3 + 0.6 * lp)).astype(float)
    design = SurveyDesign.of(i % 5, i % 20, 1.0 + i % 7)
    (_, large, large_se), (_, slope, slope_se) = script.weighted_calibration(design, y, expit(lp))
    assert large == pytest.approx(0.3327970690916, rel=1e-6)
    assert large_se == pytest.approx(0.1748220570804, rel=1e-6)
    assert slope == pytest.approx(0.7152360556377, rel=1e-6)
    assert slope_se == pytest.approx(0.1251905766721, rel=1e-6)
    assert script.weighted_auc(design, y, expit(lp))[0] == pytest.approx(0.7599402282771, rel=1e-6)


def test_the_weighted_auc_of_equal_people_is_that_of_delong(script: ModuleType) -> None:
    rng = np.random.default_rng(1)
    y = np.repeat([0.0, 1.0], [400, 200])
    p = expit(rng.normal(y, 1.5)).round(2)
    value, se = script.weighted_auc(SurveyDesign.of(np.zeros(600), np.arange(600), np.ones(600)), y, p)
    found = auc(y, np.clip(p, 0.01, 0.99))
    assert value == pytest.approx(found.value, rel=1e-12)
    assert se == pytest.approx(found.se, rel=0.01)


@pytest.mark.shared
@pytest.mark.slow
def test_the_page_says_what_the_data_say(script: ModuleType, shared_data: Path) -> None:
    text = script.main(*(shared_data / f"nhanes_{years}_adults_raw.csv.gz" for years in ("2007_2008", "2017_2018")))
    assert text == (ROOT / "docs" / "results" / "nhanes_prediction.txt").read_text(encoding="utf-8")
