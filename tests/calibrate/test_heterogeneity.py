"""Heterogeneity between studies: learned from contradictions, absent where studies agree, on the right scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosstalk.calibrate.heterogeneity import (
    Heterogeneity,
    heterogeneity_domain,
    learn_heterogeneity,
    spreads,
    step_in_sd,
    widening,
)
from crosstalk.calibrate.targets import Target, Targets
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.records import Marker, Result, Study
from crosstalk.study.schema import read_study

SMD = Result("smd", "HAMD17", "drug", "placebo", 1008.0, value=0.0, se=0.1)


def made(knowledge: Knowledge, values: list[float], se: float, result: Result = SMD, cohort: str = "") -> Targets:
    base = read_study("raison2013", knowledge)
    names = [f"study{i}" for i in range(len(values))]
    studies: tuple[Study, ...] = tuple(replace(base, id=name, cohort=cohort) for name in names)
    items = tuple(
        Target(name, 0, replace(result, value=v), v, se, "symptoms") for name, v in zip(names, values, strict=True)
    )
    return Targets(studies, items, np.array(values), se**2 * np.eye(len(values)))


def counterparts(n_targets: int, spread: float, seed: int = 1) -> np.ndarray:
    """An ensemble that gives all studies the same effect."""
    common = np.random.default_rng(seed).normal(0, spread, (400, 1))
    return np.repeat(common, n_targets, axis=1)


@pytest.mark.parametrize("truth", [0.0, 0.3])
def test_the_standard_deviation_between_studies_is_learned(knowledge: Knowledge, truth: float) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, np.hypot(truth, 0.1), 60).tolist()
    (found,) = learn_heterogeneity(made(knowledge, values, 0.1), counterparts(60, 0.2), knowledge)
    assert (found.domain, found.studies) == ("contrast", 60)
    assert found.lo90 <= max(truth, 0.05)
    assert found.hi90 >= truth
    assert found.tau == pytest.approx(truth, abs=0.08)


def test_its_interval_covers_the_truth(knowledge: Knowledge) -> None:
    scale = knowledge.discounts.heterogeneity["contrast"]
    hits, runs = 0, 60
    for seed in range(runs):
        rng = np.random.default_rng([7, seed])
        truth = abs(rng.normal(0, scale))
        values = (rng.normal(0, 0.2) + rng.normal(0, np.hypot(truth, 0.1), 20)).tolist()
        (found,) = learn_heterogeneity(made(knowledge, values, 0.1), counterparts(20, 0.2, seed), knowledge)
        hits += found.lo90 - 1e-9 <= truth <= found.hi90 + scale / 10
    # 90 % of 60 is 54; below 48 has a chance of 0.5 %
    assert hits >= 48


def test_few_results_leave_it_at_its_prior(knowledge: Knowledge) -> None:
    (found,) = learn_heterogeneity(made(knowledge, [0.1], 0.5), counterparts(1, 0.5), knowledge)
    assert found.tau == pytest.approx(knowledge.discounts.heterogeneity["contrast"], rel=0.25)


def test_domains(knowledge: Knowledge) -> None:
    marker = Marker("hsCRP", "ln")
    assert heterogeneity_domain(SMD, knowledge) == "contrast"
    assert heterogeneity_domain(replace(SMD, versus=""), knowledge) == "course"
    assert heterogeneity_domain(replace(SMD, of="hsCRP"), knowledge) == "biomarker"
    assert heterogeneity_domain(replace(SMD, of="hsCRP", endpoint="ratio"), knowledge) == ""
    assert heterogeneity_domain(replace(SMD, endpoint="interaction", marker=marker), knowledge) == "moderation"
    assert heterogeneity_domain(replace(SMD, endpoint="responder-smd", versus=""), knowledge) == "moderation"


def test_a_step_of_a_marker_in_standard_deviations(knowledge: Knowledge) -> None:
    d = knowledge.discounts
    assert step_in_sd(Marker("hsCRP", "ln"), knowledge) == pytest.approx(1 / d.marker_log_sd["hsCRP"])
    assert step_in_sd(Marker("hsCRP", "log2"), knowledge) == pytest.approx(np.log(2) / d.marker_log_sd["hsCRP"])
    assert step_in_sd(Marker("BMI", "unit", "kg/m^2", step=5.0), knowledge) == pytest.approx(5 / d.marker_sd["BMI"])
    assert step_in_sd(Marker("BMI", "sd"), knowledge) == 1


def test_it_is_on_the_scale_of_each_result_and_turned_where_more_is_better(knowledge: Knowledge) -> None:
    points = replace(SMD, endpoint="change")
    odds = replace(SMD, endpoint="odds-ratio")
    study = replace(read_study("raison2013", knowledge), id="one")
    items = tuple(Target("one", i, r, 0.0, 0.1, "symptoms") for i, r in enumerate((SMD, points, odds)))
    targets = Targets((study,), items, np.zeros(3), 0.01 * np.eye(3))
    matrix = spreads(targets, knowledge)["contrast"]
    assert np.sqrt(np.diag(matrix)) == pytest.approx([1.0, knowledge.discounts.scale_sd * 52, 1.8138], rel=1e-4)
    assert matrix[0, 1] > 0
    assert matrix[0, 2] < 0
    assert (np.linalg.eigvalsh(matrix) > 0).all()


def test_publications_on_one_cohort_deviate_together(knowledge: Knowledge) -> None:
    apart = spreads(made(knowledge, [0.0, 0.0], 0.1), knowledge)["contrast"]
    together = spreads(made(knowledge, [0.0, 0.0], 0.1, cohort="GENDEP"), knowledge)["contrast"]
    assert apart[0, 1] == 0
    assert together[0, 1] == pytest.approx(0.5)


def test_it_widens_errors(knowledge: Knowledge) -> None:
    targets = made(knowledge, [0.5, -0.5, 0.6, -0.6], 0.05)
    found = learn_heterogeneity(targets, counterparts(4, 0.05), knowledge)
    extra = widening(found, targets, knowledge)
    assert np.diag(extra) == pytest.approx(found[0].tau ** 2)
    assert np.diag(targets.widened(extra).covariance) == pytest.approx(0.05**2 + found[0].tau ** 2)


def test_shares_and_odds_of_a_marker_differ_between_studies_as_its_mean_does(knowledge: Knowledge) -> None:
    """A shift of the marker by one SD moves a share beyond a threshold by p (1 - p) logistic SD, odds by one."""
    share = Result("prevalence", "hsCRP", "drug", "", 0.0, threshold=3.0, value=0.2, se=0.01)
    odds = replace(share, endpoint="odds-ratio", versus="placebo")
    level = replace(share, endpoint="level")
    assert [heterogeneity_domain(r, knowledge) for r in (share, odds, level)] == ["biomarker", "biomarker", ""]
    for result, value, size in ((share, 0.2, 0.16), (share, 0.02, 0.0196), (odds, 0.4, 1.0)):
        targets = made(knowledge, [value], 0.01, result)
        added = widening((Heterogeneity("biomarker", 0.2, 0.1, 0.3, 9),), targets, knowledge)
        assert np.sqrt(added[0, 0]) == pytest.approx(0.2 * size * np.pi / np.sqrt(3))


def test_a_larger_share_goes_with_larger_odds(knowledge: Knowledge) -> None:
    """What is common to the results of a study has one direction."""
    share = Result("prevalence", "hsCRP", "drug", "", 0.0, threshold=3.0, value=0.2, se=0.01)
    results = (share, replace(share, endpoint="odds-ratio", versus="placebo"), replace(share, endpoint="smd"))
    base = made(knowledge, [0.2], 0.01, share)
    items = tuple(Target("study0", i, r, 0.2, 0.01, "symptoms") for i, r in enumerate(results))
    targets = Targets(base.studies, items, np.full(3, 0.2), 0.01**2 * np.eye(3))
    assert (spreads(targets, knowledge)["biomarker"] > 0).all()
