"""The posterior of one patient: calibrated on simulated patients, narrower with more assays, honest at its limits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, kstest

from crosstalk.engine import Ensemble, Failure, Problem, Status, SteadyStates, get_engine
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Measurement, Panel
from crosstalk.population.latent import latent_space, patient_normals, patient_uniforms, quantile
from crosstalk.population.measure import analyte_log_sd, observable_factor
from crosstalk.population.patients import Patients, baseline, draw_patients
from crosstalk.twin.assessment import applicability
from crosstalk.twin.posterior import (
    Posterior,
    _degree,
    _effective,
    _resample,
    covariates_of,
    infer,
    score_of,
    twin_outputs,
)

Array = NDArray[np.float64]
MakePanel = Callable[..., Panel]
Infer = Callable[..., Posterior]

PERSON: dict[str, float | str] = {"BMI": 30.0, "age": 40.0, "sex": 1.0, "HAMD17": 22.0}
ASSAYS = ("hsCRP", "IL-6")


class Refusing:
    """An engine that finds steady states for a whole population only, as if nobody else had one."""

    def __init__(self, population: int) -> None:
        self.engine, self.population = get_engine(), population

    def simulate(self, problem: Problem, *, rtol: float = 1e-6, strict: bool = False) -> Ensemble:
        return self.engine.simulate(problem, rtol=rtol, strict=strict)

    def steady_state(
        self, problem: Problem, *, solve: Mapping[str, tuple[str, Array]] | None = None, warm: bool = False
    ) -> SteadyStates:
        found = self.engine.steady_state(problem, solve=solve, warm=warm)
        if problem.n == self.population:
            return found
        return replace(found, failures=dict.fromkeys(range(problem.n), Failure(Status.NO_STEADY_STATE)))

    def close(self) -> None:
        self.engine.close()


def simulated(n: int, seed: int) -> tuple[Patients, list[Panel]]:
    """Virtual patients of another seed, each in a world of its own, and what a laboratory and a rater would report."""
    knowledge = load_knowledge()
    index = np.arange(n)
    drawn = draw_patients(knowledge, latent_space(knowledge.diagnosis("mdd")), index, seed=seed, worlds=n)
    scale, severity = knowledge.scales["HAMD17"], knowledge.diagnosis("mdd").severity
    assert severity is not None
    recorded = np.round(quantile(severity, patient_uniforms(seed, "severity", index)))
    true = recorded - scale.rater_sd * patient_normals(seed, "rater", index)
    true = np.clip(true, 0.5 * recorded, scale.maximum)
    people = baseline(drawn, knowledge, get_engine(), outputs=twin_outputs(knowledge), score=("HAMD17", true))
    model = assemble((), knowledge)
    measured = {"BMI": people.parameters["BMI"], "HAMD17": recorded}
    measured |= {"age": people.covariates["age"], "sex": people.covariates["female"]}
    for name in ASSAYS:
        analyte = knowledge.analytes[name]
        error = analyte_log_sd(analyte, between_assays=True) * patient_normals(seed, f"laboratory:{name}", index)
        measured[name] = people.outputs[analyte.observable] * observable_factor(model, analyte) * np.exp(error)
    panels = []
    for i in index:
        values = {}
        for name, column in measured.items():
            lod = knowledge.analytes[name].lod if name in ASSAYS else None
            below = lod is not None and column[i] < lod
            values[name] = Measurement(name, float(lod if below else column[i]), "left" if below else "")  # type: ignore[arg-type]
        panels.append(Panel(f"simulated {i}", values))
    good = np.flatnonzero(people.ok)
    return people.take(good), [panels[i] for i in good]


def ranks(people: Patients, panels: list[Panel], make: Callable[[Panel], Posterior]) -> dict[str, Array]:
    """By output: share of the draws below the truth; uniform if the posterior is calibrated. And the widths."""
    found: dict[str, list[float]] = {"innate_score": [], "CRP": [], "width": []}
    for i, panel in enumerate(panels):
        posterior = make(panel)
        for output in ("innate_score", "CRP"):
            draws = posterior.patients.outputs[output]
            low, high = np.quantile(draws, [0.05, 0.95])
            truth = people.outputs[output][i]
            found[output].append(float(np.mean(draws < truth)))
            found.setdefault(f"{output} covered", []).append(float(low <= truth <= high))
            everyone = posterior.population.outputs[output]
            found["width"].append(float(np.std(np.log(draws)) / np.std(np.log(everyone))))
    return {k: np.array(v) for k, v in found.items()}


def expected_coverage(draws: int) -> float:
    """Coverage of the 5th to 95th percentile of so many independent draws by one more of them."""
    return 0.9 * (draws - 1) / (draws + 1)


def test_intervals_cover_the_truth_as_often_as_they_say(twin_of: Infer) -> None:
    people, panels = simulated(24, seed=7)
    assert len(panels) >= 20
    found = ranks(people, panels, partial(twin_of, draws=40))
    for output in ("innate_score", "CRP"):
        covered = int(found[f"{output} covered"].sum())
        assert binomtest(covered, len(panels), expected_coverage(40)).pvalue > 0.01, (output, covered)
    # and not because they are as wide as the population
    assert np.median(found["width"]) < 0.8


@pytest.mark.slow
def test_intervals_of_the_size_in_use_cover_the_truth_and_ranks_are_uniform() -> None:
    people, panels = simulated(120, seed=8)
    engine = get_engine(jobs=2)
    found = ranks(people, panels, lambda panel: infer(panel, load_knowledge(), engine))
    engine.close()
    for output in ("innate_score", "CRP"):
        covered = int(found[f"{output} covered"].sum())
        assert binomtest(covered, len(panels), expected_coverage(200)).pvalue > 0.01, (output, covered)
        assert kstest(found[output], "uniform").pvalue > 0.01, output


def test_covariates_are_those_of_the_panel_exactly(twin_of: Infer, panel_of: MakePanel) -> None:
    posterior = twin_of(panel_of({"hsCRP": 3.0, "height": 171.0}, **PERSON))
    patients = posterior.patients
    n = len(patients)
    assert 25 <= n <= 30  # who cannot have the score is left out
    assert patients.parameters["BMI"] == pytest.approx(np.full(n, 30.0), rel=1e-6)
    assert patients.covariates["age"] == pytest.approx(np.full(n, 40.0), rel=1e-6)
    assert patients.covariates["height_cm"] == pytest.approx(np.full(n, 171.0), rel=1e-6)
    assert (patients.covariates["female"] == 1).all()
    assert patients.ok.all()


def test_draws_are_at_the_score_less_the_error_of_the_rater(twin_of: Infer, panel_of: MakePanel) -> None:
    posterior = twin_of(panel_of({"hsCRP": 3.0}, **PERSON), draws=100)
    assert posterior.has_score
    assert posterior.scale.id == "HAMD17"
    assert (posterior.recorded == 22).all()
    error = posterior.recorded - posterior.patients.outputs["HAMD17"]
    assert error.std() == pytest.approx(posterior.scale.rater_sd, rel=0.3)
    assert error.mean() == pytest.approx(0, abs=1.0)
    assert (posterior.patients.parameters["vul"] > 0).all()


def test_another_scale_is_used_where_the_panel_holds_that(twin_of: Infer, panel_of: MakePanel) -> None:
    person = {k: v for k, v in PERSON.items() if k != "HAMD17"}
    posterior = twin_of(panel_of(MADRS=30.0, hsCRP=2.0, **person))
    assert posterior.scale.id == "MADRS"
    assert posterior.patients.outputs["MADRS"].mean() == pytest.approx(30, abs=2)


def test_without_a_score_the_baseline_is_that_of_the_population(twin_of: Infer, panel_of: MakePanel) -> None:
    posterior = twin_of(panel_of(hsCRP=3.0, BMI=30.0), draws=120)
    severity = load_knowledge().diagnosis("mdd").severity
    assert severity is not None
    assert not posterior.has_score
    assert posterior.scale.id == "HAMD17"
    assert posterior.recorded.mean() == pytest.approx(severity.center, abs=4 * severity.spread / np.sqrt(120))
    assert posterior.recorded.std() == pytest.approx(severity.spread, rel=0.3)
    assert ((posterior.recorded >= severity.lower) & (posterior.recorded <= severity.upper)).all()


def width(posterior: Posterior, output: str) -> float:
    return float(np.std(np.log(posterior.patients.outputs[output])))


def test_more_assays_narrow_the_posterior(twin_of: Infer, panel_of: MakePanel) -> None:
    """CRP, then IL-6 and TNF: of what they measure and of the innate score behind them."""
    sets: tuple[dict[str, float | str], ...] = ({}, {"hsCRP": 4.0}, {"hsCRP": 4.0, "IL-6": 2.2, "TNF": 2.4})
    none, one, three = (twin_of(panel_of(s, **PERSON), draws=150) for s in sets)
    assert width(one, "CRP") < 0.7 * width(none, "CRP")
    assert width(three, "innate_score") < 0.95 * width(one, "innate_score")
    assert width(three, "innate_score") < 0.85 * width(none, "innate_score")


def test_a_censored_value_pulls_to_its_side(twin_of: Infer, panel_of: MakePanel) -> None:
    values: tuple[dict[str, float | str], ...] = ({}, {"hsCRP": "<0.3"}, {"hsCRP": ">10"})
    nothing, low, high = (twin_of(panel_of(v, **PERSON), draws=100) for v in values)
    for output in ("CRP", "innate_score"):
        medians = [float(np.median(p.patients.outputs[output])) for p in (low, nothing, high)]
        assert medians == sorted(medians), (output, medians)
    assert np.median(low.patients.outputs["CRP"]) < 0.4
    assert np.median(low.patients.outputs["CRP"]) < 0.5 * np.median(nothing.patients.outputs["CRP"])
    assert np.median(high.patients.outputs["CRP"]) > 8


def test_censored_is_not_the_limit_itself(twin_of: Infer, panel_of: MakePanel) -> None:
    """Below 0.3 mg/L lies lower than 0.3 mg/L; a limit far above everyone says nothing."""
    at, below = (twin_of(panel_of({"hsCRP": v}, **PERSON), draws=100) for v in (0.3, "<0.3"))
    assert np.median(below.patients.outputs["CRP"]) < np.median(at.patients.outputs["CRP"])
    idle, nothing = (twin_of(panel_of(v, **PERSON), draws=100) for v in ({"hsCRP": "<100000"}, {}))
    assert np.log(idle.patients.outputs["CRP"]).mean() == pytest.approx(
        np.log(nothing.patients.outputs["CRP"]).mean(), abs=1e-6
    )


IMPOSSIBLE: list[dict[str, float | str]] = [
    {"hsCRP": 1e6},
    {"hsCRP": 1e-6},
    {"IL-6": 40_000.0, "TNF": 0.01},
    {"hsCRP": "<0.001"},
    {"kynurenine": 1e4, "tryptophan": 1e-3},
]


@pytest.mark.parametrize("values", IMPOSSIBLE, ids=str)
def test_a_panel_that_nobody_can_have_is_outside_or_refused(
    twin_of: Infer, panel_of: MakePanel, values: dict[str, float | str]
) -> None:
    panel = panel_of(values, **PERSON)
    verdict = ""
    with contextlib.suppress(TwinError):
        verdict = applicability(panel, twin_of(panel), load_knowledge()).level
    assert verdict in ("", "outside")


def test_a_panel_that_nobody_can_explain_is_refused(twin_of: Infer, panel_of: MakePanel) -> None:
    """A population without a finite prediction, as a panel of an infinite value makes it."""
    with pytest.raises(TwinError, match="patient A: no virtual patient can explain the panel; check the values"):
        twin_of(panel_of({"hsCRP": float("inf")}, **PERSON))


def test_a_score_that_cannot_be_reached_is_refused(twin_of: Infer, panel_of: MakePanel) -> None:
    with pytest.raises(TwinError) as caught:
        twin_of(panel_of({"hsCRP": 3.0}, **{**PERSON, "HAMD17": 0.0}))
    message = str(caught.value)
    assert "patient A" in message
    assert "HAMD17 of 0 cannot be reached by" in message
    assert "of 30 virtual patients" in message


def test_covariates_without_a_steady_state_are_refused(twin_of: Infer, panel_of: MakePanel) -> None:
    """All draws fail at once: a message about the patient, not about the population."""
    knowledge = load_knowledge()
    engine = Refusing(150)
    panel = panel_of({"hsCRP": 3.0}, **PERSON)
    with pytest.raises(TwinError, match="no virtual patient with these covariates has a steady state"):
        infer(panel, knowledge, engine, virtual_patients=150, worlds=5, draws=30)


def same(a: Posterior, b: Posterior) -> bool:
    equal = [np.array_equal(a.patients.coordinates, b.patients.coordinates), a.effective_sample == b.effective_sample]
    equal += [np.array_equal(a.patients.outputs[k], b.patients.outputs[k]) for k in a.patients.outputs]
    return bool(np.all(equal))


def test_same_seed_same_posterior_whatever_the_jobs(
    twin_of: Infer, panel_of: MakePanel, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of({"hsCRP": 3.0, "IL-6": 2.0}, **PERSON)
    one = twin_of(panel, draws=80)
    assert same(one, twin_of(panel, draws=80))
    # the virtual population is computed again too
    monkeypatch.setenv("CROSSTALK_CACHE", str(tmp_path))
    assert same(one, twin_of(panel, draws=80, jobs=3))


def test_another_seed_gives_another_sample_of_the_same_posterior(twin_of: Infer, panel_of: MakePanel) -> None:
    panel = panel_of({"hsCRP": 3.0}, **PERSON)
    one, other = (twin_of(panel, draws=100, n=400, worlds=20, seed=s) for s in (1, 2))
    assert not same(one, other)
    means = [float(np.log(p.patients.outputs["CRP"]).mean()) for p in (one, other)]
    assert means[0] == pytest.approx(means[1], abs=0.3)


def test_every_draw_lives_in_a_world_of_the_population(twin_of: Infer, panel_of: MakePanel) -> None:
    posterior = twin_of(panel_of({"hsCRP": 3.0}, **PERSON))
    patients, population = posterior.patients, posterior.population
    assert len(population) == 150
    known = set(zip(population.world.tolist(), population.parameters["E_stress_M"].tolist(), strict=True))
    assert set(zip(patients.world.tolist(), patients.parameters["E_stress_M"].tolist(), strict=True)) <= known
    # what happens by chance after baseline is each draw's own
    assert len(np.unique(patients.index)) == len(patients)


def test_the_effective_sample_falls_with_what_is_known(twin_of: Infer, panel_of: MakePanel) -> None:
    sets: tuple[dict[str, float | str], ...] = (
        {},
        {"hsCRP": 3.0},
        {"hsCRP": 3.0, "BMI": 30.0},
        {"hsCRP": 3.0, "BMI": 30.0, "age": 40.0},
    )
    sizes = [twin_of(panel_of(s)).effective_sample for s in sets]
    assert sizes[0] == pytest.approx(150)
    assert sizes == sorted(sizes, reverse=True)


def test_what_the_panel_fixes(panel_of: MakePanel) -> None:
    knowledge = load_knowledge()
    panel = panel_of({"hsCRP": 3.0, "height": ">150"}, **PERSON)
    # a censored covariate is not known exactly
    assert covariates_of(panel, knowledge) == {"BMI": 30.0, "age": 40.0, "female": 1.0}
    found = score_of(panel, knowledge)
    assert found is not None
    assert (found[0].id, found[1]) == ("HAMD17", 22.0)
    assert score_of(panel_of(hsCRP=3.0), knowledge) is None


def test_twin_outputs_hold_every_observable_and_score() -> None:
    knowledge = load_knowledge()
    outputs = twin_outputs(knowledge)
    assert len(outputs) == len(set(outputs))
    assert {s.output for s in knowledge.scores.values()} <= set(outputs)
    assert {a.observable for a in knowledge.analytes.values() if a.kind == "laboratory" and a.observable} <= set(
        outputs
    )


weights = st.lists(st.floats(-400, 0), min_size=2, max_size=60)


@given(weights, st.integers(1, 200), st.integers(0, 1000))
def test_systematic_resampling_takes_each_as_often_as_its_weight_says(
    log_weight: list[float], n: int, seed: int
) -> None:
    fit = np.array([*log_weight, -np.inf])
    chosen = _resample(fit, n, np.random.default_rng(seed))
    weight = np.exp(fit - fit.max())
    expected = n * weight / weight.sum()
    counts = np.bincount(chosen, minlength=len(fit))
    assert counts.sum() == n
    assert (np.abs(counts - expected) < 1 + 1e-6).all()
    assert counts[-1] == 0


@given(weights, st.floats(0, 0.9), st.floats(1.5, 40))
def test_the_likelihood_is_let_in_as_far_as_the_sample_allows(
    log_weight: list[float], start: float, wanted: float
) -> None:
    fit = np.array([*log_weight, -np.inf])
    finite = fit[:-1]
    degree = _degree(fit, start, wanted)
    assert start < degree <= 1
    if _effective((1 - start) * finite) >= wanted:
        assert degree == 1
    elif degree > start + 2e-3:
        assert _effective((degree - start) * finite) == pytest.approx(wanted, rel=0.01)


def test_effective_sample_of_equal_and_of_single_weights() -> None:
    assert _effective(np.zeros(12)) == pytest.approx(12)
    assert _effective(np.array([0.0, -np.inf, -np.inf])) == pytest.approx(1)
    assert _effective(np.array([-1e4, -1e4])) == pytest.approx(2)
