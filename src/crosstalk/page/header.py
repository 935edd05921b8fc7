"""What the page knows beside its tables, as one JSON value: each number with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import UnitError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Analyte, Distribution, Regimen, Scale, Source
from crosstalk.model.assembly import assemble
from crosstalk.model.scales import scale_shape, score_at
from crosstalk.page.mechanism import Map
from crosstalk.page.published import published_effects
from crosstalk.population.calibrated import knowledge_state
from crosstalk.population.latent import latent_space
from crosstalk.population.measure import FLUCTUATION_H
from crosstalk.provenance import package_version
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.twin import (
    assessment,
    estimate,
    library,
    likelihood,
    next_assay,
    posterior,
    relations,
    sentences,
    sequential,
)
from crosstalk.units import convert

__all__ = ["header_of"]

UNITS = (
    "mg/L", "mg/dL", "g/L", "ug/L", "ug/mL", "ug/dL", "ng/mL", "ng/L", "ng/dL", "pg/mL", "mmol/L", "umol/L", "nmol/L",
    "pmol/L", "/uL", "10*6/L", "10*9/L", "mmol/mol", "umol/mmol", "nmol/umol", "1",
)  # fmt: skip
"""Units that the form offers, where they convert to the analyte's own."""
COVARIATES = ("age", "sex", "BMI", "height")


def header_of(
    knowledge: Knowledge,
    regimens: Sequence[Regimen],
    drawn: Map,
    *,
    seed: int,
    weeks: int,
    worlds: int,
    virtual_patients: int,
    index: NDArray[np.intp],
    variables: Sequence[str],
    shown: NDArray[np.intp],
    people: Mapping[str, float],
    logarithms: Sequence[str],
    severity: Distribution | None,
    scale: Scale,
    anchor: float,
) -> dict[str, Any]:
    """Make the header; see `crosstalk.page.data.collect` for what its parts are."""
    reference = next(r for r in regimens if r.reference)
    calibrated, words = knowledge_state(knowledge)
    latent = latent_space(knowledge.diagnosis("mdd"))
    told = relations.relations()
    healthy = assessment.healthy_scores(knowledge)
    laboratory = [a for a in knowledge.analytes.values() if a.kind == "laboratory" and a.observable]
    left_out = np.setdiff1d(np.arange(virtual_patients), index)
    constants = {e.constant: knowledge.parameters[e.constant] for e in drawn.edges}
    noise = np.random.default_rng([seed, next_assay.STREAM]).standard_normal(next_assay.SOME)
    return {
        "crosstalk": package_version(),
        "model": assemble((), knowledge).sha256,
        "knowledge": knowledge.sha256,
        "calibrated": calibrated,
        "worldsWords": words,
        "seed": seed,
        "weeks": weeks,
        "worlds": worlds,
        "virtualPatients": virtual_patients,
        "leftOut": left_out.tolist(),
        "anchor": anchor,
        "variables": list(variables),
        "people": [{"id": k, "unit": v, "log": k in logarithms} for k, v in people.items()],
        "shown": shown.tolist(),
        "reference": reference.id,
        "regimens": [_regimen(r) for r in regimens],
        "scales": [_scale(s, anchor) for s in knowledge.scales.values()],
        "scale": scale.id,
        "severity": _severity(severity),
        "analytes": [_analyte(a, knowledge) for a in laboratory],
        "covariates": [_covariate(knowledge.analytes[name]) for name in COVARIATES],
        "answers": [_answer(knowledge.analytes[r.analyte], r, latent.names) for r in told.values()],
        "unknowns": {r.unknown: latent.factor[latent.names.index(r.unknown)].tolist() for r in told.values()
                     if r.unknown in latent.names},
        "scores": [{**asdict(s), "healthy": healthy[s.output]} for s in knowledge.scores.values()],
        "map": {
            "nodes": [asdict(n) for n in drawn.nodes],
            "edges": [asdict(e) for e in drawn.edges],
            "groups": [asdict(g) for g in drawn.groups],
            "constants": {k: {"value": p.value, "unit": p.unit, "meaning": p.meaning, **_source(p.source)}
                          for k, p in constants.items()},
        },
        "published": [_finite(asdict(p)) for p in published_effects(regimens, reference, knowledge)],
        "usualSd": knowledge.discounts.scale_sd,
        "kernel": dict(likelihood.KERNEL),
        "noise": [round(float(z), 6) for z in noise],
        "constants": {
            "ridge": estimate.RIDGE, "fewest": posterior.FEWEST, "fewestEarly": sequential.FEWEST,
            "least": library.LEAST, "severity": list(library.SEVERITY), "meaningful": sentences.MEANINGFUL,
            "rounding": sequential.ROUNDING, "fluctuationWeeks": FLUCTUATION_H / HOURS_PER_WEEK, "cut": relations.CUT,
            "outsideTail": assessment.OUTSIDE_TAIL, "edgeTail": assessment.EDGE_TAIL,
            "edgeSample": assessment.EDGE_SAMPLE, "within": list(sentences.WITHIN), "informed": sentences.INFORMED,
        },
    }  # fmt: skip


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN: what is not known is null."""
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in record.items()}


def _source(source: Source) -> dict[str, str]:
    return {"kind": source.kind, "doi": source.doi, "place": source.place}


def _regimen(r: Regimen) -> dict[str, Any]:
    doses = [
        f"{d.drug} {d.amount:g} {d.unit} {d.route}, "
        + (f"every {d.every_h:g} h" if d.every_h else f"at weeks {', '.join(f'{w:g}' for w in d.weeks)}")
        for d in r.doses
    ]
    return {"id": r.id, "name": r.name, "note": r.note, "doses": doses, "evidence": [_source(e) for e in r.evidence]}


def _scale(s: Scale, anchor: float) -> dict[str, Any]:
    slope, kinks, offset = scale_shape(s)
    low, high = (float(v) for v in score_at(s, anchor * np.array(library.SEVERITY)))
    return {
        "id": s.id, "name": s.name, "maximum": s.maximum, "weights": list(s.weights), "slope": slope,
        "kinks": [list(k) for k in kinks], "offset": offset, "span": s.span, "raterSd": s.rater_sd,
        "responseFraction": s.response_fraction, "remissionMax": s.remission_max, "integer": s.integer,
        "low": low, "high": high, "source": _source(s.source),
    }  # fmt: skip


def _severity(d: Distribution | None) -> dict[str, Any] | None:
    if d is None or not d.spread:
        return None
    return {"center": d.center, "spread": d.spread, "lower": d.lower, "upper": d.upper, "source": _source(d.source)}


def _analyte(a: Analyte, knowledge: Knowledge) -> dict[str, Any]:
    o = likelihood.observation(a, 1.0, "", knowledge)
    return {
        "id": a.id, "name": a.name, "unit": a.unit, "units": _units(a), "variable": o.variable, "factor": o.factor,
        "logSd": o.log_sd, "lod": a.lod, "plausible": list(a.plausible), "cost": a.cost_rank, "note": a.note,
        "source": _source(a.source), "ranges": _ranges(a),
    }  # fmt: skip


def _units(a: Analyte) -> dict[str, float]:
    """Unit to the factor into the analyte's own, its own first."""
    found = {a.unit: 1.0}
    for unit in (*UNITS, *a.units_by_rule):
        try:
            zero, one = (convert(x, unit, a.unit, molar_mass=a.molar_mass, factors=a.units_by_rule) for x in (0.0, 1.0))
        except UnitError:
            continue
        # one name for each size
        if zero == 0 and all(abs(one / f - 1) > 1e-9 for f in found.values()):
            found[unit] = one
    return found


def _ranges(a: Analyte) -> list[dict[str, Any]]:
    """Reference ranges: the first of each assay and specimen that holds for both sexes, of adults of any age."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for r in a.references:
        if r.sex == "any":
            found.setdefault(
                (r.assay, r.specimen),
                {"assay": r.assay, "specimen": r.specimen, "median": r.median, "low": r.p2_5, "high": r.p97_5,
                 "age": list(r.age), "bmi": list(r.bmi), **_source(r.source)},
            )  # fmt: skip
    return list(found.values())[:3]


def _covariate(a: Analyte) -> dict[str, Any]:
    return {
        "id": a.id, "name": a.name, "unit": a.unit, "covariate": a.covariate, "plausible": list(a.plausible),
        "source": _source(a.source),
    }  # fmt: skip


def _answer(a: Analyte, r: relations.Relation, names: Sequence[str]) -> dict[str, Any]:
    return {
        "id": a.id, "name": a.name, "unit": a.unit, "plausible": list(a.plausible), "unknown": r.unknown,
        "used": r.unknown in names, "center": r.center, "spread": r.spread, "correlation": r.correlation,
        "population": _source(r.population), "source": _source(r.source),
    }  # fmt: skip
