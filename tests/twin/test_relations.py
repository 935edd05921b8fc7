"""Answers that tell of stress, earlier failures, and what is said to be not used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.population.latent import latent_space
from crosstalk.population.patients import baseline
from crosstalk.population.resistance import still_ill
from crosstalk.study.records import Population
from crosstalk.twin import history
from crosstalk.twin.cohort import assess_cohort
from crosstalk.twin.history import failed_courses, resisted
from crosstalk.twin.library import course_library
from crosstalk.twin.posterior import Posterior, infer
from crosstalk.twin.relations import indications, relation_fit, relations, unused, unused_of_many
from crosstalk.twin.twin import forecast

KNOWLEDGE = load_knowledge()
LATENT = latent_space(KNOWLEDGE.diagnosis("mdd"))


def panel(**values: float) -> Panel:
    named = {name.replace("_", "-") if name == "IL_6" else name: value for name, value in values.items()}
    return Panel("P", {name: Measurement(name, value, place="line 2") for name, value in named.items()})


def test_every_relation_names_what_there_is_and_its_source() -> None:
    for name, r in relations().items():
        assert name in KNOWLEDGE.analytes
        assert r.unknown in LATENT.names
        assert 0 < r.correlation < 1
        assert r.source.doi
        assert r.population.doi or r.population.kind == "assumed"


def test_the_likelihood_gives_back_the_published_correlation() -> None:
    """The mean of the normal score given an answer is the correlation times the answer, for a standard normal prior."""
    rng = np.random.default_rng(3)
    coordinates = rng.standard_normal((4000, len(LATENT.names)))
    z = coordinates @ LATENT.factor[LATENT.names.index("stress")]
    r = relations()["PSS10"]
    means = []
    for answer in (-1.0, 0.0, 1.0):
        weight = np.exp(relation_fit(coordinates, LATENT, {"PSS10": r.center + answer * r.spread}))
        means.append(float((weight * z).sum() / weight.sum()))
    np.testing.assert_allclose(np.diff(means), [r.correlation] * 2, atol=0.04)
    far = [relation_fit(coordinates, LATENT, {"CTQ": answer}) for answer in (90.0, 91.0, 120.0)]
    assert np.array_equal(far[1], far[2])  # beyond three spreads an answer says no more
    assert np.array_equal(far[0], far[1])


def test_stress_moves_with_the_answers_and_the_environment_with_it() -> None:
    engine = get_engine()
    found = {}
    for name, more in (("calm", {"PSS10": 12.0, "CTQ": 26.0}), ("stressed", {"PSS10": 39.0, "CTQ": 95.0})):
        own = panel(hsCRP=2.0, HAMD17=22.0, **more)
        posterior = infer(own, KNOWLEDGE, engine, seed=1, virtual_patients=600, worlds=20)
        table = posterior.population.parameters
        found[name] = {p: float(posterior.weight @ np.log(table[p])) for p in ("stress", "env_level")}
    assert found["stressed"]["stress"] > found["calm"]["stress"] + 0.1
    assert found["stressed"]["env_level"] > found["calm"]["env_level"]


def test_an_answer_enters_the_weights_once() -> None:
    plain, told = (
        infer(panel(hsCRP=2.0, **more), KNOWLEDGE, get_engine(), seed=1, virtual_patients=600, worlds=20)
        for more in ({}, {"PSS10": 36.0})
    )
    fit = relation_fit(plain.population.coordinates, LATENT, {"PSS10": 36.0})
    np.testing.assert_allclose(told.log_weight - plain.log_weight, fit, atol=1e-9)


def test_a_cohort_uses_the_answers_too() -> None:
    people = (panel(hsCRP=2.0), panel(hsCRP=2.0, PSS10=39.0, CTQ=95.0))
    named = tuple(replace(p, patient=f"P{i}") for i, p in enumerate((*people, *people)))
    scores = assess_cohort(PanelFile("made", "", named), virtual_patients=400).to_frame()
    assert scores["innate_activation"].iloc[0] != scores["innate_activation"].iloc[1]


@pytest.fixture(scope="module")
def ill() -> Posterior:
    own = panel(hsCRP=2.0, HAMD17=22.0, failed_trials=2.0)
    assert failed_courses(own) == 2
    return infer(own, KNOWLEDGE, get_engine(), seed=1, virtual_patients=600, worlds=20)


def test_the_chance_of_no_response_is_what_the_trials_simulate(ill: Posterior) -> None:
    """Weights stand for what `still_ill` draws: whether each of two courses had a response, rater and all."""
    engine, scale = get_engine(), ill.scale
    reference = next(r for r in KNOWLEDGE.regimens.values() if r.reference)
    found = resisted(ill, 2, KNOWLEDGE, engine, weeks=8)
    settled = baseline(ill.population, KNOWLEDGE, engine, outputs=("NV", "MOOD"), score=(scale.id, np.full(
        len(ill.population), 22.0)))  # fmt: skip
    library = course_library(ill.population, KNOWLEDGE, engine, [reference], weeks=8)
    true, score, _ = library.started(scale, 22.0)
    assert np.array_equal(score, np.full(len(true), 22.0))
    # those whose severity in the library is that of the trial's patients
    near = np.flatnonzero(settled.ok & (np.abs(true - 22.0) < 3.0) & np.isfinite(found.log_likelihood))
    model = assemble(tuple(sorted({dose.drug for dose in reference.doses})), KNOWLEDGE)
    twice = Population("mdd", {}, None, "", failed_steps=2)
    drawn = still_ill(settled.take(near), np.full(len(near), 22.0), twice, scale, model, KNOWLEDGE, engine)
    chance = np.exp(found.log_likelihood[near])
    assert len(near) > 40
    error = np.sqrt((chance * (1 - chance)).sum()) / len(near)
    assert abs(drawn.mean() - chance.mean()) < 4 * error
    assert chance[drawn].mean() > chance[~drawn].mean()


def test_each_failure_tells_more_and_the_episode_eases(ill: Posterior) -> None:
    once, twice = (resisted(ill, n, KNOWLEDGE, get_engine(), weeks=8) for n in (1, 2))
    assert 0 < twice.chance < once.chance < 1
    assert np.all(twice.log_likelihood <= once.log_likelihood)
    assert np.all(once.log_likelihood <= 0)
    first, then = (found.patients.parameters["recovery_floor"] for found in (once, twice))
    waning = first < 1  # the strength of the others grows
    assert waning.any()
    assert np.all(then[waning] >= first[waning])
    assert np.any(then[waning] > first[waning])
    assert "1 failed trial:" in once.note
    assert f"{twice.chance:.0%} on average" in twice.note


def test_who_failed_before_is_expected_to_respond_less() -> None:
    plain, failed = (
        forecast(panel(hsCRP=2.0, HAMD17=22.0, **more), regimens=["placebo"], virtual_patients=600, weeks=8)
        for more in ({}, {"failed_trials": 2.0})
    )
    assert all(after.response.mean < before.response.mean for before, after in zip(
        plain.regimens, failed.regimens, strict=True))  # fmt: skip
    assert failed.notes[0].startswith("2 failed trials: ")
    assert next(item.use for item in failed.profile if item.analyte == "failed_trials") == "history"
    assert plain.mechanisms == failed.mechanisms


def test_more_failures_than_are_counted_are_told(ill: Posterior, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "COURSES", 1)
    assert resisted(ill, 3, KNOWLEDGE, get_engine(), weeks=8).note.startswith("1 failed trial (3 are given): ")


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("ad_current", "sertraline 100", "untreated at baseline"),
        ("Pille", "ja", "hormones can raise CRP"),
        ("Smoker", "yes", "spread of CRP"),
        ("ad_current", "none", ""),
        ("contraceptives", "no", ""),
        ("site", "Bonn", ""),
    ],
)
def test_what_is_given_and_not_used_is_said(column: str, cell: str, words: str) -> None:
    said = " ".join(unused(replace(panel(hsCRP=2.0), extra={column: cell}), KNOWLEDGE, history=True))
    assert (words in said) if words else not said


def test_a_cohort_says_it_with_numbers() -> None:
    people = [replace(panel(hsCRP=2.0, WBC=6.0), extra={"ad_current": drug}) for drug in ("none", "sertraline", "x")]
    said = " ".join(unused_of_many([*people, panel(hsCRP=1.0, failed_trials=2.0)], KNOWLEDGE))
    assert all(words in said for words in ("WBC (3)", "ad_current (2)", "failed_trials (1)"))
    assert unused_of_many([panel(hsCRP=2.0)], KNOWLEDGE) == ()


def test_values_that_are_only_shown_and_failures_are_said() -> None:
    own = panel(hsCRP=2.0, WBC=6.0, failed_trials=3.0, PSS10=20.0)
    assert any("WBC" in s for s in unused(own, KNOWLEDGE, history=True))
    assert any("3 failed trials" in s for s in unused(own, KNOWLEDGE, history=False))
    assert indications(own) == {"PSS10": 20.0}
