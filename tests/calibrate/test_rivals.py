"""The rivals: they never know what they are judged on, and speak on the scale of the result."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np
import pytest

from crosstalk.calibrate.rivals import ClassMeans, TrivialPredictor
from crosstalk.calibrate.targets import Target, gather
from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.records import Marker, Result, Study
from crosstalk.study.schema import read_study

CHANGE = Result("change", "HAMD17", "drug", "placebo", 1344.0, value=-2.0, unit="points", se=0.5)


@pytest.fixture(scope="module")
def means(knowledge: Knowledge) -> ClassMeans:
    return ClassMeans(knowledge)


@pytest.fixture(scope="module")
def trivial(knowledge: Knowledge) -> TrivialPredictor:
    return TrivialPredictor(knowledge)


def judged(study: Study, result: Result, value: float = 0.0, error: float = 0.5) -> Target:
    return Target(study.id, 0, result, value, error, "symptoms")


def test_class_means_know_no_held_out_study(means: ClassMeans, knowledge: Knowledge) -> None:
    held_out = {name for name in knowledge.study_files if read_study(name, knowledge).role == "validate"}
    used = {effect.cohort for found in means.classes.values() for effect in found.values()}
    assert used
    assert not used & held_out


def test_the_class_mean_is_without_the_judged_study(means: ClassMeans, knowledge: Knowledge) -> None:
    """Its own effect must not move it; that of another study must."""
    key, effects = max(means.classes.items(), key=lambda item: len(item[1]))
    drug = next(d.id for d in knowledge.drugs.values() if frozenset([d.drug_class]) == key)
    own, other = sorted(effects)[:2]
    study = replace(read_study("rapaport2016", knowledge), id=own, cohort=own)
    before = means.of(study, judged(study, CHANGE), [drug])
    assert before is not None
    try:
        kept = dict(effects)
        effects[own] = replace(kept[own], value=50.0)
        assert means.of(study, judged(study, CHANGE), [drug]) == before
        effects[other] = replace(kept[other], value=50.0)
        assert means.of(study, judged(study, CHANGE), [drug]) != before
    finally:
        effects.update(kept)


def test_the_class_mean_is_on_the_scale_of_the_result(means: ClassMeans, knowledge: Knowledge) -> None:
    """Half a standard deviation is 3.9 points of the HAMD-17 and an odds ratio of 2.5, better being more response."""
    study = read_study("rapaport2016", knowledge)

    def of(result: Result) -> tuple[float, float] | None:
        return means.of(study, judged(study, result), ["escitalopram"])

    smd, points, odds = (of(replace(CHANGE, endpoint=kind)) for kind in ("smd", "change", "odds-ratio"))
    assert smd is not None
    assert points is not None
    assert odds is not None
    assert -1 < smd[0] < 0
    assert points[0] == pytest.approx(7.8 * smd[0])
    assert odds[0] == pytest.approx(-1.8138 * smd[0], rel=1e-3)
    assert of(replace(CHANGE, of="hsCRP", endpoint="ratio")) is None


def test_the_trivial_predictor_never_knows_the_judged_study(trivial: TrivialPredictor, knowledge: Knowledge) -> None:
    """Whatever a study found, the prediction for it is the same; of others it is the mean, each study counting once."""
    study = read_study("otte2025", knowledge)
    targets = [t for t in gather([study], knowledge).items if t.result.of == "MADRS" and t.result.versus]
    (target,) = targets
    prediction, words = trivial.of(study, target) or pytest.fail("no prediction")
    others: dict[str, list[float]] = {}
    for name in knowledge.study_files:
        other = read_study(name, knowledge)
        if other.role not in ("calibrate", "validate") or other.id == study.id:
            continue
        for r in other.results:
            kind = next((k for k in trivial.known if k.cohort == (other.cohort or other.id)), None)
            _, keys = trivial._place(other, r, 0.0)
            if kind and keys[0] == trivial._place(study, target.result, 0.0)[1][0] and r.figure != "stated":
                scale = knowledge.scales[r.of].maximum
                others.setdefault(other.cohort or other.id, []).append((r.value or 0.0) / scale)
    expected = np.mean([np.mean(values) for values in others.values()])
    assert prediction.centers[0] == pytest.approx(60 * expected)
    assert words == f"{len(others)} studies, change, same domain"
    moved = replace(study, results=tuple(replace(r, value=99.0) for r in study.results))
    again, _ = trivial.of(moved, replace(target, value=99.0)) or pytest.fail("no prediction")
    assert again.centers == pytest.approx(prediction.centers)
    assert again.spread == pytest.approx(prediction.spread)


def test_studies_of_the_same_cohort_are_left_out_together(trivial: TrivialPredictor, knowledge: Knowledge) -> None:
    study = read_study("otte2025", knowledge)
    (target,) = [t for t in gather([study], knowledge).items if t.result.of == "MADRS" and t.result.versus]
    _, words = trivial.of(study, target) or pytest.fail("no prediction")
    near = next(
        k for k in trivial.known if k.cohort != "otte2025" and trivial._place(study, target.result, 0)[1][0] in k.keys
    )
    _, fewer = trivial.of(replace(study, cohort=near.cohort), target) or pytest.fail("no prediction")
    # the judged study's own results count again, those of the cohort do not
    assert int(fewer.split()[0]) == int(words.split()[0])
    assert fewer.partition(",")[2] == words.partition(",")[2]


def test_points_are_shares_of_their_scale_and_steps_of_a_marker_its_sd(
    trivial: TrivialPredictor, knowledge: Knowledge
) -> None:
    study = read_study("rapaport2016", knowledge)
    madrs, hamd = (replace(CHANGE, of=of, arm="epa") for of in ("MADRS", "HAMD17"))
    one, _ = trivial.of(study, judged(study, madrs)) or pytest.fail("no prediction")
    other, _ = trivial.of(study, judged(study, hamd)) or pytest.fail("no prediction")
    assert one.centers[0] / 60 == pytest.approx(other.centers[0] / 52)
    spread = Result("sd", "MADRS", "epa", "", 1344.0, value=8.0)
    wide, _ = trivial.of(study, judged(study, spread, log(8))) or pytest.fail("no prediction")
    assert 0 < np.exp(wide.centers[0]) < 60
    per_log2 = Marker("hsCRP", "log2")
    slope = replace(CHANGE, endpoint="interaction", marker=per_log2)
    assert trivial._unit(slope)[0] == pytest.approx(52 * log(2) / knowledge.discounts.marker_log_sd["hsCRP"])


def test_where_no_other_study_has_the_kind_there_is_none(trivial: TrivialPredictor, knowledge: Knowledge) -> None:
    study = read_study("rapaport2016", knowledge)
    alone = Result("change", "ferritin", "epa", "", 1344.0, value=8.0, unit="ug/L")
    assert trivial.of(study, judged(study, alone)) is None
