"""Random-effects meta-analysis of comparable published effects, by PyMARE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import EvidenceError
from crosstalk.evidence.arms import compare_arms
from crosstalk.evidence.comparable import Comparable, Effect, comparable, too_few
from crosstalk.evidence.listing import resolve, select, stratum_text, time_text
from crosstalk.evidence.records import Contrast, Member, Pool, PublishedResult, Query, Subgroup
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.provenance import package_version
from crosstalk.statistics.estimates import Z95
from crosstalk.statistics.meta_analysis import HartungKnapp, random_effects
from crosstalk.study.endpoints import ENDPOINTS, from_error_scale
from crosstalk.study.records import Endpoint

__all__ = ["by_drug", "pool"]

Array = NDArray[np.float64]


def pool(
    rows: Iterable[PublishedResult], query: Query, knowledge: Knowledge | None = None, *, meta_analyses: bool = False,
    mix: bool = False, test: HartungKnapp = "hartung-knapp",
) -> Pool:  # fmt: skip
    """Pool the comparable effects among published results.

    Ratios, odds ratios and standard deviations are pooled as logarithms, correlations as Fisher's z, all others as they
    are; see `crosstalk.evidence.comparable` for what is comparable.

    Parameters
    ----------
    rows : iterable of PublishedResult
    query : Query
        Which to pool; at least one endpoint.
    knowledge : Knowledge, optional
    meta_analyses : bool
        Keep meta-analyses beside trials.
    mix : bool
        Pool several drugs together, those of each first; naming each of them in the query asks for it, too.
    test : str
        As for `random_effects`.

    Raises
    ------
    UsageError
        On unknown names, or endpoints or analytes that cannot be pooled together.
    EvidenceError
        If fewer than two effects are comparable; the message lists what was left out. If they are of several drugs
        and that was not asked for. If PyMARE is not installed.
    """
    known = load_knowledge() if knowledge is None else knowledge
    query = resolve(query, known)
    given = tuple(rows)
    # the arm without the drug has none of the drugs that are asked for
    pairs = select(compare_arms(select(given, replace(query, drug=(), contrast=()))), query)
    chosen = select(given, query)
    if not chosen and not pairs:
        raise EvidenceError("no published result matches; list what there is with `crosstalk evidence list`")
    paired = {(row.study, arm) for row in pairs for arm in (row.arm, row.versus)}
    # an arm that is compared is not pooled, or reported as left out, on its own
    alone = "within" in query.contrast
    kept = [row for row in chosen if alone or row.contrast != "within" or (row.study, row.arm) not in paired]
    found = comparable((*kept, *pairs), query, known, meta_analyses=meta_analyses)
    if len(found.effects) < 2:
        raise too_few(found)
    effects = sorted(found.effects, key=lambda effect: (effect.rows[0].study, effect.value))
    values, errors = [effect.value for effect in effects], [effect.se for effect in effects]

    def back(value: float) -> float:
        return from_error_scale(found.endpoint, value)

    drugs = [_drug(effect, query) for effect in effects]
    groups = by_drug(drugs, values, errors, back=back, mix=mix or len(query.drug) > 1, test=test)
    fit = random_effects(values, errors, test=test)
    members = tuple(_member(effect, weight, found) for effect, weight in zip(effects, fit.weights, strict=True))
    row = effects[0].rows[0]
    return Pool(
        title=_title(found, query, known),
        endpoint=found.endpoint,
        of=found.of,
        contrast=found.contrast,
        unit="SD" if ENDPOINTS[found.endpoint].spread == "sd" else row.unit,
        scale=ENDPOINTS[found.endpoint].scale,
        null=_null(found.endpoint, found.contrast),
        favours=_favours(found, known),
        k=len(members),
        estimate=back(fit.estimate),
        low=back(fit.low),
        high=back(fit.high),
        prediction_low=back(fit.prediction_low),
        prediction_high=back(fit.prediction_high),
        se=fit.se,
        tau2=fit.tau2,
        tau2_low=fit.tau2_low,
        tau2_high=fit.tau2_high,
        i2=fit.i2,
        q=fit.q,
        q_p=fit.q_p,
        members=members,
        left_out=found.left_out,
        notes=(*found.notes, *([fit.note] if fit.note else [])),
        crosstalk=package_version(),
        pymare=fit.pymare,
        knowledge_sha256=known.sha256,
        subgroups=groups,
    )


def _drug(effect: Effect, query: Query) -> str:
    """The drug that an effect is of: the one that was asked for, or those that its arms do not share."""
    row = effect.rows[0]
    if row.contrast == "diagnosis":
        return ""
    own = row.drugs or row.against
    return ", ".join([d for d in own if d in query.drug] or own)


def by_drug(
    drugs: Sequence[str], values: Sequence[float], errors: Sequence[float], *, back: Callable[[float], float],
    mix: bool, test: HartungKnapp = "hartung-knapp",
) -> tuple[Subgroup, ...]:  # fmt: skip
    """Pool the effects of each drug by itself; a drug with one effect keeps that one.

    Parameters
    ----------
    drugs : sequence of str, length k
        Empty where none is named.
    back : callable
        From the scale of the errors to that of the effects.

    Returns
    -------
    tuple of Subgroup
        Empty where all are of one drug.

    Raises
    ------
    EvidenceError
        If there are several drugs and ``mix`` is false.
    """
    names = list(dict.fromkeys(drugs))
    if len(names) < 2:
        return ()
    listed = ", ".join(f"{name or 'none named'} ({drugs.count(name)})" for name in names)
    if not mix:
        raise EvidenceError(
            f"the effects are of several drugs: {listed}; their mean is the effect of none. Choose one (--drug, or "
            "rows of the table), or ask for all together by --mix"
        )
    found = []
    for name in names:
        own = [(v, e) for d, v, e in zip(drugs, values, errors, strict=True) if d == name]
        if len(own) == 1:
            ((value, error),) = own
            found.append(Subgroup(name, 1, back(value), back(value - Z95 * error), back(value + Z95 * error), None))
        else:
            fit = random_effects([v for v, _ in own], [e for _, e in own], test=test)
            found.append(Subgroup(name, len(own), back(fit.estimate), back(fit.low), back(fit.high), fit.i2))
    return tuple(found)


def _member(effect: Effect, weight: float, found: Comparable) -> Member:
    row = effect.rows[0]
    parts = [row.study]
    limits = stratum_text(row.stratum)
    arms = " and ".join(dict.fromkeys(other.arm for other in effect.rows))
    if sum(other.rows[0].study == row.study for other in found.effects) > 1 and not limits:
        parts.append(arms)
    parts += [text for text in (limits, time_text(row.time_h)) if text]
    low, high = (from_error_scale(found.endpoint, effect.value + z * effect.se) for z in (-Z95, Z95))
    return Member(
        label=", ".join(parts),
        study=row.study,
        publication=row.publication,
        role=row.role,
        provenance="memory" if any(other.provenance == "memory" for other in effect.rows) else "seen",
        bias=row.bias,
        value=from_error_scale(found.endpoint, effect.value),
        low=low,
        high=high,
        weight=100 * weight,
        made=effect.made,
    )


def _title(found: Comparable, query: Query, knowledge: Knowledge) -> str:
    if found.contrast == "diagnosis":
        populations = dict.fromkeys(row.diagnosis for effect in found.effects for row in effect.rows)
        others = dict.fromkeys(row.versus for effect in found.effects for row in effect.rows)
        who = f"{', '.join(populations)} against {', '.join(others)}"
    else:
        drugs = dict.fromkeys(
            drug for effect in found.effects for row in effect.rows for drug in row.drugs or row.against
        )
        asked = [drug for drug in drugs if drug in query.drug] or list(drugs)
        names = ", ".join(knowledge.drug(drug).name for drug in asked[:4]) + (" and others" if len(asked) > 4 else "")
        against = {"drug": " against control", "active": " against another treatment"}.get(found.contrast, "")
        who = (names or "no drug") + against
    return f"{found.endpoint} of {', '.join(found.of)}: {who}"


def _null(endpoint: Endpoint, contrast: Contrast) -> float | None:
    kind = ENDPOINTS[endpoint]
    # a change or a fold of one arm can be told from none, too
    compared = contrast != "within" or endpoint in ("change", "smd", "ratio")
    neutral = kind.null(compared=compared)
    return None if neutral is None else kind.inverse(neutral)


def _favours(found: Comparable, knowledge: Knowledge) -> int:
    """Return -1 where a lower effect is good for the patients of the first arm, 1 where a higher one is, else 0."""
    if found.contrast not in ("drug", "active") or not set(found.of) <= set(knowledge.scales):
        return 0
    return ENDPOINTS[found.endpoint].favours
