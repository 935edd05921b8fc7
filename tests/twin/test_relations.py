"""Answers that tell of stress, earlier failures, and what is said to be not used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crosstalk.engine import get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.population.latent import latent_space
from crosstalk.twin.cohort import assess_cohort
from crosstalk.twin.history import failed_courses, resisted
from crosstalk.twin.posterior import infer
from crosstalk.twin.relations import indications, relation_fit, relations, unused, unused_of_many

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
        posterior = infer(panel(hsCRP=2.0, HAMD17=22.0, **more), KNOWLEDGE, engine, draws=120, virtual_patients=600)
        found[name] = {p: float(np.log(posterior.patients.parameters[p]).mean()) for p in ("stress", "env_level")}
    assert found["stressed"]["stress"] > found["calm"]["stress"] + 0.1
    assert found["stressed"]["env_level"] > found["calm"]["env_level"]


def test_a_cohort_uses_the_answers_too() -> None:
    people = (panel(hsCRP=2.0), panel(hsCRP=2.0, PSS10=39.0, CTQ=95.0))
    named = tuple(replace(p, patient=f"P{i}") for i, p in enumerate((*people, *people)))
    scores = assess_cohort(PanelFile("made", "", named), virtual_patients=400).to_frame()
    assert scores["innate_activation"].iloc[0] != scores["innate_activation"].iloc[1]


def test_who_would_have_responded_is_left_out() -> None:
    engine = get_engine()
    own = panel(hsCRP=2.0, HAMD17=22.0, failed_trials=2.0)
    assert failed_courses(own) == 2
    posterior = infer(own, KNOWLEDGE, engine, draws=160, virtual_patients=600)
    once, words = resisted(posterior, 1, KNOWLEDGE, engine, draws=160)
    twice, _ = resisted(posterior, 2, KNOWLEDGE, engine, draws=160)
    assert 20 <= len(twice.patients) < len(once.patients) < len(posterior.patients)
    assert f"{len(posterior.patients) - len(once.patients)} of {len(posterior.patients)} virtual patients" in words
    # the episode had its time to ease: what is left of it is a larger share
    floors = posterior.patients.parameters["recovery_floor"]
    floor = dict(zip(posterior.patients.index, floors, strict=True))
    kept = np.array([floor[i] for i in once.patients.index])
    below = kept < 1
    assert np.all(once.patients.parameters["recovery_floor"][below] >= kept[below])
    few, words = resisted(posterior, 10, KNOWLEDGE, engine, draws=160)
    assert ("not used" in words) == (len(few.patients) == 160) or len(few.patients) >= 20


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
