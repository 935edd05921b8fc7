"""The panel against its references, the mechanism scores, and how well the model knows such a patient."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.records import Measurement, Panel
from crosstalk.twin.assessment import applicability, mechanism_scores, profile
from crosstalk.twin.cohort_weights import Usable
from crosstalk.twin.posterior import Posterior
from crosstalk.twin.records import Assessment
from crosstalk.twin.sentences import INFORMED, WITHIN
from crosstalk.twin.twin import assess, how_many_worlds

MakePanel = Callable[..., Panel]
Infer = Callable[..., Posterior]

pytestmark = pytest.mark.usefixtures("small_population")

SMALL = 1500
PERSON: dict[str, float | str] = {"BMI": 27.0, "age": 45.0, "sex": 1.0, "HAMD17": 22.0}


@pytest.fixture(scope="module")
def usual(panel_of: MakePanel) -> Panel:
    return panel_of({"TNF": 1.5, "HDL": 1.3, "IL-6": "<0.4", "hsCRP": 1.4}, **PERSON)


@pytest.fixture(scope="module")
def posterior(twin_of: Infer, usual: Panel) -> Posterior:
    return twin_of(usual)


def test_every_measurement_is_shown_once_in_the_order_of_the_knowledge(usual: Panel, posterior: Posterior) -> None:
    items = profile(usual, posterior, load_knowledge())
    order = list(load_knowledge().analytes)
    assert [i.analyte for i in items] == sorted(usual.measurements, key=order.index)
    for item in items:
        measured = usual.measurements[item.analyte]
        assert (item.value, item.censored, item.given) == (measured.value, measured.censored, measured.given)
        assert item.unit == load_knowledge().analytes[item.analyte].unit


def test_what_the_twin_did_with_each_value(usual: Panel, posterior: Posterior) -> None:
    use = {i.analyte: i.use for i in profile(usual, posterior, load_knowledge())}
    fitted = dict.fromkeys(("hsCRP", "IL-6", "TNF"), "fitted")
    known = dict.fromkeys(("BMI", "age", "sex"), "covariate")
    assert use == {**fitted, **known, "HAMD17": "score", "HDL": "shown"}


def test_prediction_beside_a_fitted_value_is_the_posteriors_own(usual: Panel, posterior: Posterior) -> None:
    items = {i.analyte: i for i in profile(usual, posterior, load_knowledge())}
    predicted = items["hsCRP"].predicted
    assert predicted is not None
    values, weight = posterior.population.outputs["CRP"], posterior.weight
    assert predicted.mean == pytest.approx(np.exp(weight @ np.log(values)))
    for end, share in ((predicted.lo90, 0.05), (predicted.hi90, 0.95)):
        assert weight[values <= end].sum() == pytest.approx(share, abs=0.02)
    assert items["HDL"].predicted is None
    assert items["BMI"].predicted is None


@pytest.mark.parametrize(("value", "where"), [(0.05, "below"), (1.0, "within"), (60.0, "above")])
def test_position_against_the_reference_range(
    posterior: Posterior, panel_of: MakePanel, value: float, where: str
) -> None:
    panel = panel_of(hsCRP=value, **PERSON)
    item = next(i for i in profile(panel, posterior, load_knowledge()) if i.analyte == "hsCRP")
    assert item.position == where
    assert item.reference is not None
    assert item.reference.p2_5 < item.reference.median < item.reference.p97_5
    assert item.percentile is not None
    assert (item.percentile < 2.5, item.percentile > 97.5) == (where == "below", where == "above")


def test_a_censored_value_has_a_note_and_no_percentile(usual: Panel, posterior: Posterior) -> None:
    item = next(i for i in profile(usual, posterior, load_knowledge()) if i.analyte == "IL-6")
    assert item.censored == "left"
    assert item.note == "below the limit of detection"
    assert item.percentile is None
    # assays of IL-6 differ several-fold, so without the method no range applies
    assert item.position == "unknown"
    assert item.reference is None


def test_five_scores_each_one_in_health(posterior: Posterior) -> None:
    scores = mechanism_scores(posterior, load_knowledge())
    assert [s.id for s in scores] == list(load_knowledge().scores)
    for s in scores:
        if s.id != "plasticity_window":
            assert s.healthy == pytest.approx(1, rel=1e-6), s.id
        assert s.lo90 <= s.mean <= s.hi90, s.id
        assert s.population.lo90 < s.population.hi90, s.id
        assert 0 <= s.contraction <= 1, s.id


def test_scores_of_the_population_do_not_depend_on_the_panel(
    twin_of: Infer, panel_of: MakePanel, posterior: Posterior
) -> None:
    other = twin_of(panel_of(hsCRP=20.0, **PERSON))
    here, there = (mechanism_scores(p, load_knowledge()) for p in (posterior, other))
    assert [s.population for s in here] == [s.population for s in there]
    innate = [next(s for s in scores if s.id == "innate_activation") for scores in (here, there)]
    assert innate[1].mean > innate[0].mean


def test_contraction_is_nothing_without_a_value_and_more_with_more(twin_of: Infer, panel_of: MakePanel) -> None:
    values: tuple[dict[str, float | str], ...] = ({}, {"hsCRP": 2.0}, {"hsCRP": 2.0, "IL-6": 1.0, "TNF": 2.0})
    found = []
    for v in values:
        scores = mechanism_scores(twin_of(panel_of(v)), load_knowledge())
        found.append(next(s.contraction for s in scores if s.id == "innate_activation"))
    assert found[0] < 0.3
    assert found[2] > found[1] > found[0]


def test_reading_follows_the_interval(twin_of: Infer, panel_of: MakePanel) -> None:
    definition = load_knowledge().scores["innate_activation"]
    inflamed = twin_of(panel_of({"hsCRP": 30.0, "IL-6": 9.0, "TNF": 6.0}, HAMD17=22.0), n=6000)
    score = next(s for s in mechanism_scores(inflamed, load_knowledge()) if s.id == "innate_activation")
    assert score.lo90 > WITHIN[1]
    assert score.told_by_panel > INFORMED
    assert score.reading == definition.high


@pytest.mark.parametrize(
    ("spread", "center", "attribute"),
    [(0.02, 2.0, "high"), (0.02, 0.5, "low"), (0.02, 1.0, "within"), (1.5, 1.0, "uncertain")],
)
def test_readings(posterior: Posterior, spread: float, center: float, attribute: str) -> None:
    """Intervals made for the purpose: clearly high, low, within, and anything."""
    definition = load_knowledge().scores["kynurenine_shift"]
    ends = center * np.exp(spread * np.array([-1.6, 0.0, 1.6]))
    low, mean, high = (np.full_like(posterior.scores.mean, e) for e in ends)
    scores = dataclasses.replace(posterior.scores, mean=mean, low=low, high=high, told=np.full_like(mean, 0.5))
    made = dataclasses.replace(posterior, scores=scores, alone=dataclasses.replace(scores, told=np.zeros_like(mean)))
    score = next(s for s in mechanism_scores(made, load_knowledge()) if s.id == definition.id)
    if attribute == "uncertain":
        assert score.reading.startswith("not told by this panel")
    else:
        assert score.reading == getattr(definition, attribute)


def test_a_usual_patient_lies_inside(usual: Panel, posterior: Posterior) -> None:
    found = applicability(usual, posterior, load_knowledge())
    assert found.level in ("inside", "edge")
    assert found.virtual_patients == len(posterior.population)
    assert found.effective_sample == posterior.effective_sample
    tails = [s.tail_probability for s in found.surprises]
    assert tails == sorted(tails)
    assert {s.analyte for s in found.surprises} == {"hsCRP", "IL-6", "TNF", "BMI", "age"}
    assert all(0 <= t <= 1 for t in tails)


def alike(posterior: Posterior, sample: int) -> Posterior:
    """The same without a value, so many virtual patients having equal weights and the others none."""
    weight = np.where(np.arange(len(posterior.population)) < sample, 0.0, -np.inf)
    return dataclasses.replace(posterior, fit=Usable((), {}), log_weight=weight)


@pytest.mark.parametrize(
    ("sample", "level"), [(100, "inside"), (29, "edge"), (4, "outside"), (30, "inside"), (5, "edge")]
)
def test_few_alike_is_edge_and_hardly_any_is_outside(
    panel_of: MakePanel, posterior: Posterior, sample: int, level: str
) -> None:
    panel = panel_of(BMI=29.0)
    made = alike(posterior, sample)
    assert applicability(panel, made, load_knowledge()).level == level


@pytest.mark.parametrize(("bmi", "level"), [(29.6, "inside"), (64.9, "outside"), (16.1, "outside")])
def test_an_unusual_covariate_is_named(panel_of: MakePanel, posterior: Posterior, bmi: float, level: str) -> None:
    made = alike(posterior, 100)
    found = applicability(panel_of(BMI=bmi), made, load_knowledge())
    assert found.level == level
    assert ("The most unusual value is BMI" in found.message) == (level == "outside")


def test_missing_assays_are_listed_from_cheap_to_dear(usual: Panel, posterior: Posterior) -> None:
    knowledge = load_knowledge()
    missing = applicability(usual, posterior, knowledge).missing
    ranks = [knowledge.analytes[a].cost_rank for a in missing]
    assert ranks == sorted(ranks)
    assert set(missing).isdisjoint(usual.measurements)
    assert "IL-10" in missing
    assert "platelets" not in missing  # the model does not predict them


def test_a_panel_without_laboratory_values_says_so(twin_of: Infer, panel_of: MakePanel) -> None:
    panel = panel_of(**PERSON)
    found = applicability(panel, twin_of(panel), load_knowledge())
    assert "holds no laboratory value that the model predicts" in found.message
    # the scores follow the covariates all the same, so they are not those of everybody
    assert "those of virtual patients alike in BMI, age" in found.message
    score = panel_of(HAMD17=24.0)
    assert "are those of the population." in applicability(score, twin_of(score), load_knowledge()).message
    assert "hsCRP" in found.missing


@pytest.fixture(scope="module")
def assessed(usual: Panel) -> Assessment:
    return assess(usual)


def test_assess_puts_the_parts_together(usual: Panel, assessed: Assessment) -> None:
    assert (assessed.patient, assessed.seed) == ("A", 1)
    assert len(assessed.profile) == len(usual.measurements)
    assert len(assessed.mechanisms) == 5
    p = assessed.provenance
    assert (p.virtual_patients, p.calibrated) == (SMALL, True)
    assert 0.9 * SMALL < p.posterior_draws <= SMALL
    # in a world without a steady state for anyone no virtual patient lives
    assert 0.95 * how_many_worlds(load_knowledge()) <= p.knowledge_draws <= how_many_worlds(load_knowledge())
    assert p.knowledge_sha256 == load_knowledge().sha256
    assert "The patient is taken as untreated at baseline." in assessed.notes
    assert not any("no symptom score" in n for n in assessed.notes)


def test_same_seed_same_bytes(usual: Panel, assessed: Assessment) -> None:
    again = assess(usual)
    one, two = (json.dumps(dataclasses.asdict(a), allow_nan=False) for a in (assessed, again))
    assert one == two
    assert assess(usual, seed=2).mechanisms != assessed.mechanisms


def test_the_hash_of_the_input_follows_the_values_not_their_order(usual: Panel, assessed: Assessment) -> None:
    turned = dataclasses.replace(usual, measurements=dict(reversed(usual.measurements.items())))
    changed = dataclasses.replace(usual, measurements={**usual.measurements, "hsCRP": Measurement("hsCRP", 1.41)})
    hashes = [assess(p).provenance.input_sha256 for p in (turned, changed)]
    assert hashes[0] == assessed.provenance.input_sha256 != hashes[1]


def test_notes_of_the_panel_and_a_missing_score(panel_of: MakePanel) -> None:
    panel = dataclasses.replace(panel_of(hsCRP=2.0), missing=("IL-6", "TNF"), notes=("A note of the reader.",))
    notes = assess(panel).notes
    assert "The panel holds no symptom score; the baseline HAMD17 is that of the virtual population." in notes
    assert "Named in the file without a value: IL-6, TNF." in notes
    assert "A note of the reader." in notes


def test_what_quality_control_said_is_shown_and_a_failed_value_is_not_used(twin_of: Infer, panel_of: MakePanel) -> None:
    panel = panel_of(hsCRP=2.0, TNF=1.5, **PERSON)
    marked = {
        "hsCRP": dataclasses.replace(panel.measurements["hsCRP"], quality="doubtful", remarks=("few beads",)),
        "TNF": dataclasses.replace(panel.measurements["TNF"], quality="failed", remarks=("replicates differ",)),
        "IL-6": Measurement("IL-6", 1.0, "interval", upper=3.0),
    }
    panel = Panel("A", {**panel.measurements, **marked})
    items = {i.analyte: i for i in profile(panel, twin_of(panel), load_knowledge())}
    assert items["hsCRP"].use == "fitted"
    assert items["hsCRP"].note == "doubtful by quality control, used as it stands; few beads"
    assert items["TNF"].use == "failed"
    assert items["TNF"].predicted is None
    assert items["TNF"].note == "failed quality control and not used; replicates differ"
    assert items["IL-6"].use == "fitted"
    assert items["IL-6"].upper == 3.0
    assert items["IL-6"].note == "known to lie between two limits"
