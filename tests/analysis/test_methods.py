"""Each analysis on the same trial: against the functions it rests on, against R, and by what must hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from crosstalk.analysis import Analysed, analyse
from crosstalk.analysis.marker import effect_curve, spline_basis, strata
from crosstalk.errors import CrosstalkError
from crosstalk.statistics import ancova, hazard_ratio, risk_difference
from crosstalk.statistics.mmrm import mmrm

ALL: list[dict[str, Any]] = [
    {"id": "main", "method": "mmrm"},
    {"id": "toep", "method": "mmrm", "structure": ["heterogeneous Toeplitz"], "by_arm": True, "covariates": ["site"]},
    {"id": "ancova", "method": "ancova", "covariates": ["site"]},
    {"id": "response", "method": "response"},
    {"id": "remission", "method": "remission", "interval": "newcombe", "covariates": ["base"], "threshold": 14.0},
    {"id": "time", "method": "time-to-response"},
    {"id": "marker", "method": "interaction", "marker": "crp"},
    {"id": "strata", "method": "subgroups", "by": "crp", "cuts": [1.0, 3.0], "unit": "mg/L"},
    {"id": "sites", "method": "subgroups", "by": "site", "week": 4.0},
    {"id": "missing", "method": "sensitivity", "imputations": 30, "tipping": 15.0},
]


@pytest.fixture(scope="module")
def found(wide: pd.DataFrame) -> Analysed:
    data = {
        "layout": "wide", "patient": "id", "arm": "arm", "control": "sugar", "baseline": "base",
        "visits": {"w2": 2.0, "w4": 4.0, "w8": 8.0},
    }  # fmt: skip
    return analyse(wide, {"data": data, "analysis": ALL})


@pytest.fixture(scope="module")
def arrays(wide: pd.DataFrame) -> dict[str, Any]:
    y = wide[["w2", "w4", "w8"]].to_numpy()
    base = wide["base"].to_numpy(dtype=float)
    return {"y": y, "base": base, "change": y - base[:, None], "arm": (wide["arm"] == "active").to_numpy().astype(int)}


def one(found: Analysed, id: str, what: str, arm: str = "active", part: str = "") -> Any:
    rows = [r for r in found.finding(id).rows if r.what == what and r.arm == arm and r.part == part]
    return rows[-1].estimate


def test_the_mixed_model(found: Analysed, arrays: dict[str, Any]) -> None:
    fit = mmrm(arrays["change"], arrays["arm"], arrays["base"], method="kenward-roger-observed")
    assert one(found, "main", "difference") == fit.contrast()
    assert one(found, "main", "mean") == fit.mean()
    assert one(found, "main", "mean", "sugar") == fit.mean(-1, 0)
    assert len(found.finding("toep").covariance) == 2
    assert "heterogeneous Toeplitz for each arm" in found.finding("toep").how


def test_ancova_is_that_of_two_arms(found: Analysed, arrays: dict[str, Any], wide: pd.DataFrame) -> None:
    sites = pd.get_dummies(wide["site"], drop_first=True).to_numpy(dtype=float)
    expected = ancova(arrays["change"][:, -1], arrays["arm"], np.column_stack([arrays["base"], sites]))
    got = one(found, "ancova", "difference")
    assert (got.estimate, got.se, got.df) == pytest.approx((expected.estimate, expected.se, expected.df))
    means = one(found, "ancova", "mean").estimate - one(found, "ancova", "mean", "sugar").estimate
    assert means == pytest.approx(got.estimate)


def test_responders(found: Analysed, arrays: dict[str, Any]) -> None:
    last, base = arrays["y"][:, -1], arrays["base"]
    success = np.where(np.isfinite(last), last <= base / 2, 0.0)
    expected = risk_difference(success, arrays["arm"], method="miettinen-nurminen")
    assert one(found, "response", "rate difference") == expected
    rates = one(found, "response", "rate").estimate - one(found, "response", "rate", "sugar").estimate
    assert rates == pytest.approx(expected.estimate)
    assert "counted as failures" in found.finding("response").notes[0]
    assert "Newcombe" in found.finding("remission").how
    assert one(found, "remission", "adjusted rate difference").n == 120


def test_time_to_response(found: Analysed, arrays: dict[str, Any]) -> None:
    reached = arrays["y"] <= arrays["base"][:, None] / 2
    weeks = np.array([2.0, 4.0, 8.0])
    event = reached.any(axis=1)
    last = np.where(np.isfinite(arrays["y"]), weeks, 0).max(axis=1)
    time = np.where(event, weeks[reached.argmax(axis=1)], last)
    assert one(found, "time", "log hazard ratio") == hazard_ratio(time, event.astype(float), arrays["arm"])
    for step in found.finding("time").steps:
        assert list(step.shares) == sorted(step.shares)


def test_a_marker_that_matters_is_found(found: Analysed) -> None:
    marker = found.finding("marker")
    assert marker.p is not None
    assert marker.p < 0.05
    (curve,) = marker.curves
    assert curve.effect[0] > curve.effect[-1]
    assert all(a < e < b for a, e, b in zip(curve.lower, curve.effect, curve.upper, strict=True))
    assert curve.slope.estimate == pytest.approx(-1.5, abs=4 * curve.slope.se)
    parts = [r.part for r in found.finding("strata").rows]
    assert parts == ["below 1 mg/L", "1 to below 3 mg/L", "3 mg/L or more"]
    effects = [r.estimate.estimate for r in found.finding("strata").rows]
    assert effects[0] > effects[-1]
    assert sum(r.estimate.n for r in found.finding("strata").rows) == np.isfinite(curve.marks).sum()
    assert {r.week for r in found.finding("sites").rows} == {4.0}


def test_what_is_missing(found: Analysed) -> None:
    rows = {r.what: r.estimate.estimate for r in found.finding("missing").rows}
    assert list(rows) == ["MAR", "J2R", "CIR", "CR"]
    assert rows["MAR"] < rows["J2R"]
    ((arm, tipping),) = found.finding("missing").tipping
    assert arm == "active"
    assert tipping.deltas[-1] == 15.0


def test_results_as_table_and_text(found: Analysed) -> None:
    frame = found.to_frame()
    assert set(frame["analysis"]) == {a["id"] for a in ALL}
    assert frame["estimate"].notna().all()
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["findings"][0]["id"] == "main"
    assert "Primary analysis 'main', active against sugar at week 8: difference" in found.summary()
    with pytest.raises(CrosstalkError, match="there are main, toep"):
        found.finding("mian")


def test_splines_agree_with_r() -> None:
    """R 4.2.2, restricted cubic spline written out as in Hmisc::rcspline.eval(norm = 2), and lm with anova.

    n <- 60; i <- 1:n; x <- (i * sqrt(2)) %% 1 * 8; arm <- i %% 2
    y <- 2 + arm*(x-4)^2/4 + x/2 + ((i*sqrt(3))%%1 - .5)*4
    k <- quantile(x, c(.1, .5, .9)); p <- function(u) pmax(u, 0)^3
    s <- (p(x-k[1]) - (p(x-k[2])*(k[3]-k[1]) - p(x-k[3])*(k[2]-k[1]))/(k[3]-k[2])) / (k[3]-k[1])^2
    f <- lm(y ~ arm*(x+s)); anova(lm(y ~ arm+x+s), f)   # F, p of the interaction
    anova(lm(y ~ arm*x+s), f)                            # of its curvature
    """
    i = np.arange(1, 61)
    x = (i * np.sqrt(2)) % 1 * 8
    arm = i % 2
    y = 2 + arm * (x - 4) ** 2 / 4 + x / 2 + ((i * np.sqrt(3)) % 1 - 0.5) * 4
    found = effect_curve(y, arm, x, np.empty((60, 0)), names=("a", "b"), label="x", scale="linear")
    assert (found.interaction.statistic, found.interaction.p) == pytest.approx(
        (6.088488803190, 0.004126144632184), rel=1e-8
    )
    assert (found.curvature.statistic, found.curvature.p) == pytest.approx((12.1765906020, 0.000971540411), rel=1e-8)
    assert found.slope.estimate == pytest.approx(-0.004129622744, rel=1e-7)


def test_a_spline_is_straight_beyond_its_knots() -> None:
    basis = spline_basis(np.linspace(10, 20, 5), np.array([1.0, 2.0, 4.0, 5.0]))
    np.testing.assert_allclose(np.diff(basis, 2, axis=0), 0, atol=1e-9)


def test_two_strata_are_the_subgroups_of_a_trial(arrays: dict[str, Any], wide: pd.DataFrame) -> None:
    from crosstalk.statistics.comparisons import subgroups

    seen = np.isfinite(arrays["change"][:, -1])
    y, arm, base = (v[seen] for v in (arrays["change"][:, -1], arrays["arm"], arrays["base"]))
    crp = wide["crp"].to_numpy()[seen]
    found = strata(y, arm, (crp >= 3).astype(np.intp), ("low", "high"), base[:, None])
    old = subgroups(y, arm, crp, 3.0, base)
    assert found.effects[1].estimate == pytest.approx(old.positive.estimate)
    assert found.interaction.statistic == pytest.approx((old.interaction.estimate / old.interaction.se) ** 2)
    assert found.interaction.p == pytest.approx(old.interaction.p)


def test_higher_may_be_better(wide: pd.DataFrame, design: dict[str, Any]) -> None:
    """A scale that is turned round gives the same effects with the other sign."""
    turned = wide.assign(**{c: 60 - wide[c] for c in ("base", "w2", "w4", "w8")})
    plans: list[dict[str, Any]] = [
        {"id": "m", "method": "mmrm"},
        {"id": "r", "method": "remission", "threshold": 14.0},
        {"id": "s", "method": "sensitivity", "imputations": 20, "tipping": 20.0, "strategies": ["MAR"]},
    ]
    one_way = analyse(wide, {**design, "analysis": plans})
    plans[1]["threshold"] = 46.0
    other = analyse(turned, {"data": design["data"], "outcome": {"better": "higher"}, "analysis": plans})
    a, b = (f.finding("m").rows[-1].estimate for f in (one_way, other))
    assert a.estimate == pytest.approx(-b.estimate, rel=1e-6)
    assert one_way.finding("r").rows == other.finding("r").rows
    assert other.finding("s").tipping[0][1].deltas[-1] == -20.0


def test_three_arms(wide: pd.DataFrame, design: dict[str, Any]) -> None:
    three = wide.assign(arm=np.where(np.arange(120) % 5 < 2, "more", wide["arm"]))
    found = analyse(
        three, {**design, "analysis": [p for p in ALL if p["id"] in ("main", "ancova", "response", "marker")]}
    )
    assert [a.arm for a in found.arms] == ["sugar", "more", "active"]
    for finding in found.findings:
        assert {r.arm for r in finding.rows if r.versus} == {"active", "more"}


def test_an_event_of_its_own(wide: pd.DataFrame, design: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    table = wide.assign(AVAL=rng.exponential(10, 120).round(1) + 0.1, CNSR=rng.integers(0, 2, 120))
    plan = {"id": "relapse", "method": "time-to-event", "time": "AVAL", "censored": "CNSR"}
    found = analyse(table, {**design, "analysis": [plan]}).finding("relapse")
    assert f"{int((table['CNSR'] == 0).sum())} events" in found.notes[0]
    table.loc[4, "CNSR"] = 2
    with pytest.raises(CrosstalkError, match=r"analysis 'relapse': patient P004: time .* event 2 "):
        analyse(table, {**design, "analysis": [plan]})


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"method": "mmrm", "week": 5.0}, "analysis 'x': no visit is at week 5; there are 2, 4, 8"),
        ({"method": "ancova", "covariates": ["crp2"]}, "has no column 'crp2'"),
        ({"method": "subgroups", "by": "crp"}, "'crp' has .* values; expected 2 to 12 strata, or cuts"),
        ({"method": "subgroups", "by": "crp", "cuts": [900.0]}, "stratum '900 or more' has no patients"),
        ({"method": "interaction", "marker": "site"}, "'site' is 'north', no number"),
        ({"method": "interaction", "marker": "zero"}, "holds 0, which has no logarithm"),
        ({"method": "interaction", "marker": "arms", "scale": "linear"}, "too few different values for 3 knots"),
        ({"method": "mmrm", "weights": "zero"}, "weight in row 0 is not a positive number"),
        ({"method": "mmrm", "covariates": ["gap"]}, "covariate 'gap' is missing for 1 patients"),
    ],
)
def test_what_cannot_be_done_is_named(
    wide: pd.DataFrame, design: dict[str, Any], plan: dict[str, Any], message: str
) -> None:
    table = wide.assign(zero=0.0, arms=np.arange(120) % 2, gap=np.where(np.arange(120) == 3, np.nan, 1.0))
    with pytest.raises(CrosstalkError, match=message):
        analyse(table, {**design, "analysis": [{"id": "x", **plan}]})


def test_a_visit_that_cannot_be_fitted_is_named(wide: pd.DataFrame, design: dict[str, Any]) -> None:
    plan = [{"id": "x", "method": "mmrm"}]
    with pytest.raises(CrosstalkError, match="at week 4 the change from baseline is -2 for everybody"):
        analyse(wide.assign(w4=wide["base"] - 2), {**design, "analysis": plan})
    gone = wide.assign(w4=wide["w4"].where(wide["arm"] == "sugar"))
    with pytest.raises(CrosstalkError, match="arm active has no score at week 4"):
        analyse(gone, {**design, "analysis": plan})


@pytest.mark.shared
def test_the_antidepressant_trial_from_its_file(shared_data: Path) -> None:
    """Means of R, as in tests/trial/test_mmrm.py and the vignettes of rbmi, from the file that rbmi publishes."""
    data = {
        "layout": "long", "patient": "PATIENT", "arm": "THERAPY", "control": "PLACEBO", "visit": "VISIT",
        "value": "HAMDTL17", "baseline": "BASVAL", "visits": {"4": 1.0, "5": 2.0, "6": 4.0, "7": 6.0},
    }  # fmt: skip
    plans = [
        {"id": "mmrm", "method": "mmrm"},
        {"id": "first", "method": "ancova", "week": 1.0},
        {"id": "j2r", "method": "sensitivity", "strategies": ["J2R"], "inference": "information-anchored"},
    ]
    found = analyse(shared_data / "rbmi_antidepressant_data.csv", {"data": data, "analysis": plans})
    assert [(a.arm, a.patients, a.seen) for a in found.arms] == [
        ("PLACEBO", 88, (88, 81, 76, 65)), ("DRUG", 84, (84, 77, 73, 64)),
    ]  # fmt: skip
    last = found.finding("mmrm").rows[-1].estimate
    assert last.estimate == pytest.approx(-2.8018341, abs=1e-5)
    first = found.finding("first").rows
    # rbmi's quickstart vignette: lsm_alt_4, lsm_ref_4 and trt_4; lsmeans() of rbmi weighs as observed
    assert [r.estimate.estimate for r in first] == pytest.approx([-1.70762640, -1.61581996, 0.09180645], abs=1e-7)
    assert [r.estimate.se for r in first] == pytest.approx([0.4749573, 0.4862316, 0.6826279], abs=1e-7)
    jump = found.finding("j2r").rows[0].estimate
    assert (-jump.estimate, jump.se) == pytest.approx((2.126, 1.123), abs=5.1e-4)
