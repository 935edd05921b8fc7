"""The posterior of one patient: calibrated on simulated patients, narrower with more assays, honest at its limits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, kstest

from crosstalk.engine import get_engine
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import assemble
from crosstalk.panel.records import Measurement, Panel
from crosstalk.population.latent import latent_space, patient_normals, patient_uniforms, quantile
from crosstalk.population.measure import analyte_log_sd, observable_factor
from crosstalk.population.patients import Patients, baseline, draw_patients
from crosstalk.statistics.weighted import quantiles
from crosstalk.twin.assessment import applicability
from crosstalk.twin.posterior import Posterior, covariates_of, score_of, twin_outputs

Array = NDArray[np.float64]
MakePanel = Callable[..., Panel]
Infer = Callable[..., Posterior]

PERSON: dict[str, float | str] = {"BMI": 30.0, "age": 40.0, "sex": 1.0, "HAMD17": 22.0}
ASSAYS = ("hsCRP", "IL-6")


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
    """By output: weight below the truth; uniform if the posterior is calibrated. And the widths."""
    found: dict[str, list[float]] = {"innate_score": [], "CRP": [], "width": []}
    for i, panel in enumerate(panels):
        posterior = make(panel)
        for output in ("innate_score", "CRP"):
            values = posterior.population.outputs[output]
            found[output].append(float(posterior.weight[values < people.outputs[output][i]].sum()))
            found["width"].append(width(posterior, output) / float(np.std(np.log(values))))
    return {k: np.array(v) for k, v in found.items()}


def test_intervals_cover_the_truth_as_often_as_they_say(twin_of: Infer) -> None:
    people, panels = simulated(80, seed=7)
    assert len(panels) >= 70
    found = ranks(people, panels, partial(twin_of, n=6000, worlds=200))
    for output in ("innate_score", "CRP"):
        covered = int(((found[output] > 0.05) & (found[output] < 0.95)).sum())
        assert binomtest(covered, len(panels), 0.9).pvalue > 0.01, (output, covered)
        assert kstest(found[output], "uniform").pvalue > 0.01, output
    # and not because they are as wide as the population
    assert np.median(found["width"]) < 0.8


def test_another_scale_is_used_where_the_panel_holds_that(twin_of: Infer, panel_of: MakePanel) -> None:
    person = {k: v for k, v in PERSON.items() if k != "HAMD17"}
    posterior = twin_of(panel_of(MADRS=30.0, hsCRP=2.0, **person))
    assert (posterior.scale.id, posterior.recorded) == ("MADRS", 30.0)
    assert twin_of(panel_of(hsCRP=2.0)).recorded is None


def width(posterior: Posterior, output: str) -> float:
    values = np.log(posterior.population.outputs[output])
    mean = posterior.weight @ values
    return float(np.sqrt(posterior.weight @ (values - mean) ** 2))


def median(posterior: Posterior, output: str) -> float:
    return float(quantiles(posterior.population.outputs[output][:, None], posterior.weight, (0.5,))[0, 0])


def test_more_assays_narrow_the_posterior(twin_of: Infer, panel_of: MakePanel) -> None:
    """CRP, then IL-6 and TNF: of what they measure and of the innate score behind them."""
    sets: tuple[dict[str, float | str], ...] = ({}, {"hsCRP": 4.0}, {"hsCRP": 4.0, "IL-6": 2.2, "TNF": 2.4})
    none, one, three = (twin_of(panel_of(s, **PERSON)) for s in sets)
    assert width(one, "CRP") < 0.7 * width(none, "CRP")
    assert width(three, "innate_score") < 0.95 * width(one, "innate_score")
    assert width(three, "innate_score") < 0.85 * width(none, "innate_score")


def test_a_censored_value_pulls_to_its_side(twin_of: Infer, panel_of: MakePanel) -> None:
    values: tuple[dict[str, float | str], ...] = ({}, {"hsCRP": "<0.3"}, {"hsCRP": ">10"})
    nothing, low, high = (twin_of(panel_of(v, **PERSON)) for v in values)
    for output in ("CRP", "innate_score"):
        medians = [median(p, output) for p in (low, nothing, high)]
        assert medians == sorted(medians), (output, medians)
    assert median(low, "CRP") < 0.4
    assert median(low, "CRP") < 0.5 * median(nothing, "CRP")
    assert median(high, "CRP") > 8


def test_censored_is_not_the_limit_itself(twin_of: Infer, panel_of: MakePanel) -> None:
    """Below 0.3 mg/L lies lower than 0.3 mg/L; a limit far above everyone says nothing."""
    at, below = (twin_of(panel_of({"hsCRP": v}, **PERSON)) for v in (0.3, "<0.3"))
    assert median(below, "CRP") < median(at, "CRP")
    idle, nothing = (twin_of(panel_of(v, **PERSON)) for v in ({"hsCRP": "<100000"}, {}))
    np.testing.assert_allclose(idle.weight, nothing.weight, atol=1e-9)


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


def test_hardly_anybody_alike_is_refused_with_the_most_unusual_value(twin_of: Infer, panel_of: MakePanel) -> None:
    with pytest.raises(TwinError, match=r"patient A: [0-9.]+ of \d+ .* fewer than 5: .* most unusual value is hsCRP"):
        twin_of(panel_of({"hsCRP": 1e6}, **PERSON))


def test_same_seed_same_posterior_whatever_the_jobs(
    twin_of: Infer, panel_of: MakePanel, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = panel_of({"hsCRP": 3.0, "IL-6": 2.0}, **PERSON)
    one = twin_of(panel)
    # the virtual population is computed again too
    monkeypatch.setenv("CROSSTALK_CACHE", str(tmp_path))
    assert np.array_equal(one.log_weight, twin_of(panel, jobs=3).log_weight)


def test_another_seed_gives_another_sample_of_the_same_posterior(twin_of: Infer, panel_of: MakePanel) -> None:
    panel = panel_of({"hsCRP": 3.0}, **PERSON)
    means = [float(p.weight @ np.log(p.population.outputs["CRP"])) for p in (twin_of(panel, seed=s) for s in (1, 2))]
    assert means[0] != means[1]
    assert means[0] == pytest.approx(means[1], abs=0.2)


def test_the_effective_sample_falls_with_what_is_known(twin_of: Infer, panel_of: MakePanel) -> None:
    sets: tuple[dict[str, float | str], ...] = (
        {},
        {"hsCRP": 3.0},
        {"hsCRP": 3.0, "BMI": 30.0},
        {"hsCRP": 3.0, "BMI": 30.0, "age": 40.0},
    )
    sizes = [twin_of(panel_of(s)).effective_sample for s in sets]
    assert sizes[0] == pytest.approx(len(twin_of(panel_of()).population))
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
