"""Symptom scales: what ``scales.toml`` says of each, and how one is converted to another.

One scale is the anchor: a weighted sum of the two symptom dimensions. Every other follows from a published table of
equivalents with it. Its items weigh the dimensions in another proportion than the anchor's, so that the table is read
at an index that weighs them so, and equals the anchor's score at the typical ``profile`` of a patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from crosstalk.errors import KnowledgeError
from crosstalk.knowledge.records import Analyte, Scale, Source
from crosstalk.knowledge.schema import NonNegative, Pair, Positive, Share, SourceTable, Text, loinc_is_valid

__all__ = ["ScaleTable", "scale_records"]


class ScaleTable(SourceTable):
    """One table of ``scales.toml``."""

    name: Text
    maximum: Positive
    neurovegetative: NonNegative
    mood_cognitive: NonNegative
    rater_sd: NonNegative
    response_fraction: Share
    remission_max: NonNegative
    aliases: list[Text] = Field(default_factory=list)
    loinc: list[str] = Field(default_factory=list)
    integer: bool = True
    profile: Positive | None = None
    exchange: Pair | None = None
    equivalents: Annotated[list[Pair], Field(min_length=2)] | None = None
    equivalents_source: Text | None = None

    @model_validator(mode="after")
    def _check_scale(self) -> Self:
        total = self.neurovegetative + self.mood_cognitive
        if abs(total - self.maximum) > 1e-9:
            raise ValueError(f"the weights sum to {total:g}: expected the maximum of the scale ({self.maximum:g})")
        for code in self.loinc:
            if not loinc_is_valid(code):
                raise ValueError(f"loinc {code!r} has a wrong form or check digit: copy the code again from loinc.org")
        if (self.equivalents is None) is not (self.equivalents_source is None):
            raise ValueError("equivalents and equivalents_source go together: give the published table and where it is")
        anchor = self.profile is not None
        if anchor is not (self.exchange is not None) or anchor is not (self.equivalents is None):
            raise ValueError(
                "expected equivalents (a table of [score of the anchor, score]), or in the anchor alone profile (ratio "
                "of neurovegetative to mood-cognitive symptoms of a typical patient) and exchange (a mild and a severe "
                "score)"
            )
        if self.exchange is not None and not 0 <= self.exchange[0] < self.exchange[1] <= self.maximum:
            raise ValueError(f"exchange is {self.exchange}: expected a mild and a severe score, up to {self.maximum:g}")
        for (x, y), (further, higher) in pairwise(self.equivalents or []):
            if not (x < further and y < higher):
                raise ValueError(
                    f"equivalents: after [{x:g}, {y:g}] received [{further:g}, {higher:g}]; both must rise"
                )
        return self

    def record(self, id_: str, anchor: ScaleTable) -> Scale:
        """Return the scale record, given the table of the anchor."""
        own = {name: getattr(self, name) for name in (
            "name", "maximum", "neurovegetative", "mood_cognitive", "rater_sd", "response_fraction", "remission_max",
            "integer",
        )}  # fmt: skip
        assert anchor.profile is not None
        assert anchor.exchange is not None
        at_profile = (anchor.neurovegetative, anchor.mood_cognitive), (self.neurovegetative, self.mood_cognitive)
        wanted, without = (nv * anchor.profile + mood for nv, mood in at_profile)
        factor = wanted / without
        equivalents = self.equivalents or [[0.0, 0.0], [self.maximum, self.maximum]]
        mild, severe = (_read_off(equivalents, x) for x in anchor.exchange)
        rate = (severe - mild) / (anchor.exchange[1] - anchor.exchange[0])
        return Scale(
            id=id_,
            **own,
            source=self._whole_source(),
            aliases=tuple(self.aliases),
            weights=(round(factor * self.neurovegetative, 4), round(factor * self.mood_cognitive, 4)),
            equivalents=tuple((x, y) for x, y in equivalents),
            span=rate * anchor.maximum,
        )

    def _whole_source(self) -> Source:
        source = self.source()
        if self.equivalents_source is None:
            return source
        return replace(source, place=f"{source.place}; equivalents: {self.equivalents_source}")

    def analyte(self, id_: str) -> Analyte:
        """Return the same scale as an entry of a panel: whole points from 0 to its maximum."""
        return Analyte(
            id=id_,
            name=self.name,
            kind="scale",
            unit="points",
            aliases=tuple(self.aliases),
            loinc=tuple(self.loinc),
            specimen="",
            observable="",
            covariate="",
            assay_cv=0.0,
            within_cv=0.0,
            offset_log_sd=0.0,
            lod=None,
            plausible=(0.0, self.maximum),
            molar_mass=None,
            units_by_rule={},
            references=(),
            source=self.source(),
        )


def _read_off(equivalents: list[list[float]], at: float) -> float:
    """Score at a score of the anchor, on the straight line between its neighbours."""
    (x, y), (further, higher) = next(pair for pair in pairwise(equivalents) if at <= pair[1][0])
    return y + (higher - y) * (at - x) / (further - x)


def scale_records(tables: Mapping[str, ScaleTable], path: Path) -> dict[str, Scale]:
    """Return the records of all scales of a file.

    Raises
    ------
    KnowledgeError
        If there is not exactly one anchor, or a table of equivalents does not run over the whole of both scales.
    """
    anchors = {id_: table for id_, table in tables.items() if table.profile is not None}
    if len(anchors) != 1:
        raise KnowledgeError(
            f"{path}: profile is given by {', '.join(anchors) or 'no scale'}; expected one scale, the anchor that all "
            "others are converted from"
        )
    ((name, anchor),) = anchors.items()
    for id_, table in tables.items():
        if table.equivalents is None:
            continue
        first, last = table.equivalents[0], table.equivalents[-1]
        if (first, last) != ([0.0, 0.0], [anchor.maximum, table.maximum]):
            raise KnowledgeError(
                f"{path}: scale.{id_}.equivalents: runs from {first} to {last}, expected from [0, 0] to "
                f"[{anchor.maximum:g}, {table.maximum:g}], the maxima of {name} and {id_}"
            )
    return {id_: table.record(id_, anchor) for id_, table in tables.items()}
