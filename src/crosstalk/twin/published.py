"""What trials showed, beside each number of a forecast: in such patients if a trial has them, and in whole samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crosstalk.errors import EvidenceError
from crosstalk.evidence.such_patients import Found, Published
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Scale
from crosstalk.panel.records import Panel
from crosstalk.panel.references import ends
from crosstalk.twin.clinical import STRATIFIER
from crosstalk.twin.records import PublishedEffect, RegimenForecast

__all__ = ["with_published"]


def with_published(
    results: Sequence[RegimenForecast], reference: str, panel: Panel, scale: Scale, knowledge: Knowledge
) -> tuple[tuple[RegimenForecast, ...], str]:
    """Forecasts with the published effect of each regimen against the reference, and a note where none can be pooled.

    Standard deviations of the score become points by its usual standard deviation (`scale_sd` of ``evidence.toml``).
    """
    base = _base(knowledge)
    measured = panel.measurements.get(STRATIFIER)
    within = None
    if measured is not None and measured.quality != "failed":
        within = (STRATIFIER, *ends(measured))
    spread = knowledge.discounts.scale_sd * scale.maximum
    own = knowledge.regimen(reference)
    try:
        found = tuple(
            replace(r, published=tuple(_effect(f, spread) for f in base.effects(knowledge.regimen(r.id), own, within)))
            for r in results
        )
    except EvidenceError as error:
        return tuple(results), f"What trials showed is left out: {error}"
    return found, ""


def _effect(found: Found, spread: float) -> PublishedEffect:
    return PublishedEffect(
        found.comparison, found.stratum, found.diagnoses, found.k, found.n, found.value * spread, found.low * spread,
        found.high * spread, found.value, found.studies,
    )  # fmt: skip


_READ: dict[str, Published] = {}  # the last evidence base by the hash of its knowledge


def _base(knowledge: Knowledge) -> Published:
    if knowledge.sha256 not in _READ:
        _READ.clear()
        _READ[knowledge.sha256] = Published(knowledge)
    return _READ[knowledge.sha256]
