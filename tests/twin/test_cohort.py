"""Many patients at once: the same likelihood, nearly the same scores, honest summaries, one bad patient harms none."""

from __future__ import annotations

import csv
import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import crosstalk.twin
from crosstalk.engine import get_engine
from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import Measurement, Panel, PanelFile
from crosstalk.panel.references import position
from crosstalk.population.cache import virtual_population
from crosstalk.population.patients import Patients
from crosstalk.statistics.weighted import step_quantiles
from crosstalk.twin.cohort import assess_cohort, place_values
from crosstalk.twin.cohort_records import CohortAssessment, Column
from crosstalk.twin.cohort_summary import STRATA, stratum_of
from crosstalk.twin.cohort_weights import Usable, Weigher
from crosstalk.twin.likelihood import likeness, log_likelihood, observation, observations, tail_probability
from crosstalk.twin.posterior import covariates_of, twin_outputs
from crosstalk.twin.twin import assess

KNOWLEDGE = load_knowledge()
FITTED = [a for a in KNOWLEDGE.analytes.values() if a.kind == "laboratory" and a.observable]
N = 2000  # virtual patients where their number does not matter


def people(n: int, seed: int) -> Patients:
    """Virtual patients of another population, who stand for real ones."""
    engine = get_engine()
    try:
        found = virtual_population(
            KNOWLEDGE, engine, diagnosis="mdd", n=n, worlds=40, seed=seed, outputs=twin_outputs(KNOWLEDGE)
        )
    finally:
        engine.close()
    return found.take(np.flatnonzero(found.ok))


def measured(patients: Patients, analytes: list[str], seed: int, missing: float = 0.0) -> tuple[Panel, ...]:
    """Their panels, with the error of the likelihood; a value below the limit of detection is censored."""
    rng = np.random.default_rng(seed)
    panels = []
    for i in range(len(patients)):
        found = {
            "BMI": Measurement("BMI", float(patients.parameters["BMI"][i])),
            "age": Measurement("age", float(patients.covariates["age"][i])),
            "sex": Measurement("sex", float(patients.covariates["female"][i])),
            "HAMD17": Measurement("HAMD17", float(np.clip(np.round(rng.normal(22, 4)), 10, 40))),
        }
        for name in analytes:
            analyte = KNOWLEDGE.analytes[name]
            o = observation(analyte, 1.0, "", KNOWLEDGE)
            value = float(patients.outputs[o.variable][i] * o.factor * np.exp(o.log_sd * rng.standard_normal()))
            if rng.random() < missing:
                continue
            low = analyte.lod is not None and value < analyte.lod
            found[name] = Measurement(name, analyte.lod, "left") if low else Measurement(name, value)  # type: ignore[arg-type]
        panels.append(Panel(f"P{i}", found, tuple(a for a in analytes if a not in found)))
    return tuple(panels)


def cohort(panels: tuple[Panel, ...], **options: int) -> CohortAssessment:
    return assess_cohort(PanelFile("made", "0" * 64, panels), **{"virtual_patients": N, **options})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def population() -> Patients:
    return people(N, seed=1)


@pytest.fixture(scope="module")
def some() -> CohortAssessment:
    return cohort(measured(people(150, seed=7), ["hsCRP", "IL-6", "TNF", "leptin", "HOMA-IR"], 7, missing=0.2))


def any_panel(rng: np.random.Generator, name: str) -> Panel:
    """Values of every kind: exact, censored on each side and between, with an error of their own, failed, doubtful."""
    found: dict[str, Measurement] = {}
    for analyte in FITTED:
        if rng.random() < 0.5:
            continue
        reference = np.median([r.median for r in analyte.references]) if analyte.references else 1.0
        value = float(reference * np.exp(rng.normal(0, 1)))
        kind = rng.choice(["", "left", "right", "interval"])
        found[analyte.id] = Measurement(
            analyte.id, 0.0 if kind == "interval" and rng.random() < 0.3 else value, kind,
            upper=2 * value if kind == "interval" else None,
            log_sd=float(rng.uniform(0.05, 1)) if rng.random() < 0.4 else None,
            quality=str(rng.choice(["", "doubtful", "failed"])),  # type: ignore[arg-type]
        )  # fmt: skip
    for covariate, value in (("BMI", rng.uniform(17, 50)), ("age", rng.uniform(18, 80)), ("sex", rng.integers(2))):
        if rng.random() < 0.7:
            found[covariate] = Measurement(covariate, float(value))
    return Panel(name, found)


def usable_of(panel: Panel) -> Usable:
    return Usable(observations(panel, KNOWLEDGE), covariates_of(panel, KNOWLEDGE))


def test_weights_are_those_of_one_patient(population: Patients) -> None:
    """The matrices and `log_likelihood` agree for values of every kind, up to a constant per patient."""
    rng = np.random.default_rng(0)
    panels = [any_panel(rng, f"P{i}") for i in range(60)]
    usable = [usable_of(p) for p in panels]
    found = Weigher(population, usable, KNOWLEDGE).log_weights(range(60))
    for row, u in zip(found, usable, strict=True):
        expected = log_likelihood(u.observed, population.outputs, len(population)) + likeness(population, dict(u.known))
        np.testing.assert_allclose(row - row.max(), expected - expected.max(), rtol=1e-9, atol=1e-8)
    kinds = {o.censored for u in usable for o in u.observed}
    assert kinds == {"", "left", "right", "interval"}


def test_weighted_quantiles_are_the_inverse_distribution_function() -> None:
    rng = np.random.default_rng(1)
    weight = rng.exponential(size=(20, 1003)) * (rng.random((20, 1003)) < 0.3)
    weight /= weight.sum(axis=1, keepdims=True)
    values = np.sort(rng.standard_normal(1003))
    found = step_quantiles(weight, values, (0.05, 0.5, 0.95))
    for row, w in zip(found, weight, strict=True):
        for q, share in zip(row, (0.05, 0.5, 0.95), strict=True):
            assert q == values[np.argmax(np.cumsum(w) >= share)]


def test_tail_probabilities_are_those_of_one_patient(population: Patients) -> None:
    rng = np.random.default_rng(2)
    usable = [usable_of(any_panel(rng, f"P{i}")) for i in range(40)]
    for u, tail in zip(usable, Weigher(population, usable, KNOWLEDGE).tails(), strict=True):
        expected = {o.analyte: tail_probability(o, population.outputs) for o in u.observed}
        if tail.analyte in expected:
            assert tail.lowest == pytest.approx(expected[tail.analyte], abs=2e-3)
        assert tail.lowest <= min(expected.values(), default=1.0) + 2e-3
        if tail.values:
            assert tail.adjusted == pytest.approx(1 - (1 - tail.lowest) ** tail.values, abs=1e-9)


def test_scores_are_those_of_one_patient() -> None:
    panels = measured(people(6, seed=9), ["hsCRP", "IL-6", "HOMA-IR", "kynurenine"], 9)
    result = cohort(panels, virtual_patients=2000)
    told = 0
    for i, panel in enumerate(panels):
        if result.patients.status[i] not in ("ok", "edge") or result.patients.effective_sample[i] < 5:
            continue
        told += 1
        one = assess(panel, virtual_patients=2000)
        assert one.applicability.effective_sample == pytest.approx(result.patients.effective_sample[i])
        for s, c in zip(one.mechanisms, result.score_columns, strict=True):
            assert (s.mean, s.lo90, s.hi90) == pytest.approx((c.mean[i], c.low[i], c.high[i]))
    assert told >= 3


def test_intervals_hold_the_truth() -> None:
    """90 % intervals of patients whose true scores are known."""
    truth = people(400, seed=8)
    result = cohort(measured(truth, ["hsCRP", "IL-6", "TNF", "leptin", "KYN/TRP"], 8), virtual_patients=8000)
    for s in result.score_columns:
        known = np.isfinite(s.mean)
        true = truth.outputs[s.definition.output][known]
        held = np.mean((true >= s.low[known]) & (true <= s.high[known]))
        assert known.mean() > 0.9
        assert 0.84 < held < 0.96, s.definition.id


def test_order_of_the_patients_changes_nothing() -> None:
    panels = measured(people(130, seed=6), ["hsCRP", "TNF"], 6)
    forth, back = cohort(panels).to_frame(), cohort(panels[::-1]).to_frame()
    again = back.iloc[::-1].reset_index(drop=True)
    assert (forth["status"] == again["status"]).all()
    np.testing.assert_allclose(forth["innate_activation"], again["innate_activation"], rtol=1e-9)
    np.testing.assert_allclose(forth["metabolic_load_hi90"], again["metabolic_load_hi90"], rtol=1e-9)


def test_positions_are_those_of_one_patient() -> None:
    rng = np.random.default_rng(3)
    panels = [any_panel(rng, f"P{i}") for i in range(80)]
    methods = ["", "MSD V-PLEX", "ELISA", "immunoassay"]
    panels = [
        Panel(
            p.patient,
            {k: dataclasses.replace(m, method=str(rng.choice(methods))) for k, m in p.measurements.items()},
        )
        for p in panels
    ]
    columns = place_values(panels, KNOWLEDGE)
    seen = set()
    for i, panel in enumerate(panels):
        person = {name: panel.measurements[name].value for name in ("sex", "age", "BMI") if name in panel.measurements}
        for name, m in panel.measurements.items():
            analyte = KNOWLEDGE.analytes[name]
            expected = position(analyte, m, sex=person.get("sex"), age=person.get("age"), bmi=person.get("BMI"))
            where = "" if m.quality == "failed" or not analyte.references else expected.where
            assert columns[name].where[i] == where, (name, m)
            seen.add(where)
            if m.quality != "failed" and not m.censored:
                assert columns[name].z[i] == pytest.approx(np.nan if expected.z is None else expected.z, nan_ok=True)
    assert seen == {"", "below", "within", "above", "unknown"}


def test_each_patient_has_a_status_and_none_ends_the_batch() -> None:
    good = {"hsCRP": Measurement("hsCRP", 2.0), "BMI": Measurement("BMI", 27.0)}
    panels = (
        Panel("good", good),
        Panel("only a scale", {"HAMD17": Measurement("HAMD17", 20.0)}),
        Panel("nothing", {}, ("hsCRP",)),
        Panel("only BMI", {"BMI": Measurement("BMI", 30.0)}),
        Panel("failed", {"hsCRP": Measurement("hsCRP", 2.0, quality="failed")}),
        Panel("impossible", {"IL-6": Measurement("IL-6", 2.0, "interval", upper=1.0)}),
        Panel("contradictory", {**good, "neopterin": Measurement("neopterin", 80.0), "KYNA": Measurement("KYNA", 1.0)}),
    )
    result = cohort(panels)
    status = dict(zip(result.patients.patient, result.patients.status, strict=True))
    reason = dict(zip(result.patients.patient, result.patients.reason, strict=True))
    assert status == {
        "good": "ok", "only a scale": "no usable value", "nothing": "no usable value", "only BMI": "ok",
        "failed": "no usable value", "impossible": "refused", "contradictory": "outside",
    }  # fmt: skip
    assert "interval" in reason["impossible"]
    assert "BMI" in reason["only BMI"]
    frame = result.to_frame().set_index("patient")
    for name in ("only a scale", "nothing", "failed", "impossible"):
        assert np.isnan(frame.loc[name, "innate_activation"])
        assert reason[name]
    assert np.isfinite(frame.loc["good", "innate_activation"])
    assert result.clusters.verdict == "not looked for"


def test_too_few_alike_means_no_score() -> None:
    hopeless = {
        "hsCRP": Measurement("hsCRP", 90.0, log_sd=0.01), "leptin": Measurement("leptin", 0.6, log_sd=0.01),
        "BMI": Measurement("BMI", 52.0), "age": Measurement("age", 19.0), "neopterin": Measurement("neopterin", 1.0),
        "IL-6": Measurement("IL-6", 0.2, log_sd=0.01),
    }  # fmt: skip
    row = cohort((Panel("A", hopeless), Panel("B", {"hsCRP": Measurement("hsCRP", 2.0)}))).to_frame().iloc[0]
    assert row["status"] == "outside"
    assert row["effective_sample"] < 5
    assert np.isnan(row["metabolic_load"])
    assert "too few for a score" in row["reason"]


def test_a_failed_value_changes_no_score() -> None:
    base = {"hsCRP": Measurement("hsCRP", 3.0), "age": Measurement("age", 40.0)}
    with_failed = {**base, "TNF": Measurement("TNF", 50.0, quality="failed")}
    frame = cohort((Panel("A", base), Panel("B", with_failed))).to_frame()
    assert frame["innate_activation"][0] == pytest.approx(frame["innate_activation"][1], rel=1e-12)
    failed_bmi = {**base, "BMI": Measurement("BMI", 45.0, quality="failed")}
    assert cohort((Panel("A", failed_bmi),)).to_frame()["metabolic_load"][0] == pytest.approx(
        frame["metabolic_load"][0]
    )
    assert frame["TNF"][1] == 50.0
    assert frame["TNF_quality"][1] == "failed"


def test_a_long_panel_is_not_unusual_for_being_long() -> None:
    """Of patients of the model itself, about as many are outside with twenty values as with two."""
    truth = people(300, seed=5)
    for names in (["hsCRP", "TNF"], [a.id for a in FITTED]):
        result = cohort(measured(truth, names, 5), virtual_patients=8000)
        assert np.mean(result.patients.tail_probability < 0.01) < 0.03


@pytest.mark.parametrize(
    ("measurement", "stratum"),
    [
        (Measurement("hsCRP", 0.99), "below 1"), (Measurement("hsCRP", 1.0), "1 to 3"),
        (Measurement("hsCRP", 3.0), "3 to 10"), (Measurement("hsCRP", 10.0), "3 to 10"),
        (Measurement("hsCRP", 10.1), "above 10"), (Measurement("hsCRP", 0.3, "left"), "below 1"),
        (Measurement("hsCRP", 1.0, "left"), "below 1"), (Measurement("hsCRP", 1.1, "left"), "cannot be told"),
        (Measurement("hsCRP", 10.0, "right"), "above 10"), (Measurement("hsCRP", 9.0, "right"), "cannot be told"),
        (Measurement("hsCRP", 3.0, "interval", upper=9.0), "3 to 10"),
        (Measurement("hsCRP", 0.1, "interval", upper=0.9), "below 1"),
        (Measurement("hsCRP", 0.5, "interval", upper=1.5), "cannot be told"),
        (Measurement("hsCRP", 2.0, quality="failed"), "no value"), (None, "no value"),
    ],
)  # fmt: skip
def test_a_censored_value_is_only_where_it_certainly_belongs(measurement: Measurement | None, stratum: str) -> None:
    column = Column.empty(KNOWLEDGE.analytes["hsCRP"], 1)
    if measurement is not None:
        column.set(0, measurement)
    assert stratum_of(column)[0] == stratum


def test_strata_hold_everybody_once_and_rise_with_inflammation(some: CohortAssessment) -> None:
    assert sum(s.n for s in some.strata) == len(some)
    innate = [s.scores["innate_activation"].mean for s in some.strata if s.label in STRATA and s.scored > 3]
    assert len(innate) >= 3
    assert innate == sorted(innate)
    assert sum(x.n for s in some.strata for x in s.scales) == some.scales[0].n


def test_counts_of_an_analyte() -> None:
    values = [
        Measurement("IL-6", 0.4, "left"), Measurement("IL-6", 0.4, "left"), Measurement("IL-6", 1.0),
        Measurement("IL-6", 2.0), Measurement("IL-6", 4.0, quality="doubtful"), Measurement("IL-6", 50.0, "right"),
        Measurement("IL-6", 1.0, "interval", upper=3.0), Measurement("IL-6", 9.0, quality="failed"),
    ]  # fmt: skip
    panels = [Panel(f"P{i}", {"IL-6": m}) for i, m in enumerate(values)]
    panels += [Panel("gone", {"hsCRP": Measurement("hsCRP", 1.0)}, ("IL-6",))]
    found = next(a for a in cohort(tuple(panels)).analytes if a.analyte == "IL-6")
    assert (found.n, found.missing, found.failed, found.doubtful) == (7, 1, 1, 1)
    assert (found.left, found.right, found.interval) == (2, 1, 1)
    assert "censored values included" in found.values.how
    assert 0 < found.values.p25 < found.values.median < found.values.p75
    # no method is named, and assays of IL-6 differ: no place
    assert found.unplaced == 7
    assert np.isnan(found.share_above)


def test_distribution_with_censored_values_recovers_the_true_one() -> None:
    rng = np.random.default_rng(4)
    values = np.exp(rng.normal(0.5, 1.0, 1500))
    panels = tuple(
        Panel(f"P{i}", {"hsCRP": Measurement("hsCRP", 1.0, "left") if v < 1 else Measurement("hsCRP", float(v))})
        for i, v in enumerate(values)
    )
    found = cohort(panels).analytes[0]
    assert 0.25 < found.left / found.n < 0.36
    assert found.values.median == pytest.approx(np.exp(0.5), rel=0.1)
    assert found.values.p25 == pytest.approx(np.exp(0.5 - 0.6745), rel=0.12)


def test_missing_patterns_are_counted(some: CohortAssessment) -> None:
    assert sum(m.n for m in some.missingness) == len(some)
    counts = [m.n for m in some.missingness if not m.others]
    assert counts == sorted(counts, reverse=True)
    full = next(m for m in some.missingness if m.missing == () and not m.others)
    columns = some.columns.values()
    assert full.n == int(np.all([c.present for c in columns], axis=0).sum())


def test_frame_and_summary(some: CohortAssessment) -> None:
    frame = some.to_frame()
    assert len(frame) == len(some) == some.to_dict()["n"]
    assert list(frame.columns[:3]) == ["patient", "status", "reason"]
    scored = frame[frame["status"].isin(["ok", "edge"])]
    for s in KNOWLEDGE.scores:
        assert (scored[f"{s}_lo90"] <= scored[s]).all()
        assert (scored[s] <= scored[f"{s}_hi90"]).all()
    placed = frame[frame["hsCRP_position"] == "above"]
    assert (placed["hsCRP_percentile"] > 97.5).all()
    assert sum(some.statuses.values()) == len(some)
    assert "clusters" in some.to_dict()


def test_public_name_and_an_empty_file() -> None:
    assert crosstalk.twin.assess_cohort is assess_cohort
    with pytest.raises(PanelError, match="holds no patient"):
        cohort(())


def test_progress_is_told_from_nothing_to_all() -> None:
    told: list[float] = []
    say: Callable[[str, float], None] = lambda _words, share: told.append(share)  # noqa: E731
    assess_cohort(
        PanelFile("made", "", (Panel("A", {"hsCRP": Measurement("hsCRP", 1.0)}),)), virtual_patients=N, progress=say
    )
    assert told[0] == 0
    assert told[-1] == 1
    assert told == sorted(told)


@pytest.mark.shared
def test_adults_of_a_survey(shared_data: Path, tmp_path: Path) -> None:
    """NHANES 2017-2018: counts are those of the file, and what is known of the population comes out."""
    columns = {
        "age": "age [a]", "bmi": "BMI [kg/m2]", "crp_mgL": "hsCRP [mg/L]", "neut_1e9L": "neutrophils [10*9/L]",
        "lymph_1e9L": "lymphocytes [10*9/L]", "glucose_fast_mgdl": "fasting glucose [mg/dL]",
        "insulin_uUml": "fasting insulin [u[IU]/mL]", "phq9_total": "PHQ9",
    }  # fmt: skip
    with gzip.open(shared_data / "nhanes_2017_2018_adults_raw.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))[:3000]
    below = [r["crp_below_lod"] in ("1", "1.0", "True") for r in rows]
    lines = ["patient,sex," + ",".join(columns.values())]
    for r, low in zip(rows, below, strict=True):
        values = [f"<{r['crp_lod_mgL']}" if c == "crp_mgL" and low else r[c] for c in columns]
        lines.append(f"{r['SEQN']},{'female' if r['sex'][0] == '2' else 'male'}," + ",".join(values))
    (tmp_path / "survey.csv").write_text("\n".join(lines) + "\n")
    result = assess_cohort(read_panel(tmp_path / "survey.csv"), virtual_patients=4000)

    crp = [0.0 if low else float(r["crp_mgL"]) for r, low in zip(rows, below, strict=True) if low or r["crp_mgL"]]
    counts = {s.label: s.n for s in result.strata}
    expected = np.bincount(np.searchsorted([1, 3], crp, "right") + (np.array(crp) > 10), minlength=4)
    assert [counts[label] for label in STRATA] == expected.tolist()
    assert counts["cannot be told"] == 0
    analytes = {a.analyte: a for a in result.analytes}
    assert analytes["hsCRP"].left == sum(below)
    assert analytes["hsCRP"].missing == 3000 - len(crp)
    assert analytes["hsCRP"].values.median == pytest.approx(np.median(crp), rel=0.1)
    assert "HOMA-IR" in analytes
    # obesity raises both of these, and is more frequent among people with high CRP
    innate, metabolic = (
        [s.scores[name].mean for s in result.strata if s.label in STRATA]
        for name in ("innate_activation", "metabolic_load")
    )
    assert innate == sorted(innate)
    assert metabolic == sorted(metabolic)
    assert result.clusters.verdict == "no stable clusters"
    scored = result.statuses["ok"] + result.statuses["edge"]
    assert scored > 0.8 * 3000
