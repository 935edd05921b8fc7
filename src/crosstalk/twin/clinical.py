"""Limits that clinicians know: strata of C-reactive protein and degrees of severity, from ``clinical.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import inf
from pathlib import Path
from typing import Any

from crosstalk.knowledge.records import Source

__all__ = ["STRATIFIER", "Band", "Bands", "bands_of", "severity", "stratified"]

STRATIFIER = "hsCRP"


@dataclass(frozen=True, slots=True)
class Band:
    """A range of values; ``end`` belongs to it where ``closed``."""

    end: float
    closed: bool
    label: str
    words: str

    def ends_before(self, value: float) -> bool:
        """Whether a value lies beyond the band."""
        return value > self.end if self.closed or self.end == inf else value >= self.end


@dataclass(frozen=True, slots=True)
class Bands:
    """The bands of an analyte or a scale, in ascending order, and where they come from.

    ``inflamed`` is the limit from which a value tells of low-grade inflammation, infinite where there is none.
    """

    bands: tuple[Band, ...]
    unit: str
    inflamed: float
    source: Source

    def place(self, value: float) -> int:
        """Number of the band that a value lies in."""
        return next(i for i, band in enumerate(self.bands) if not band.ends_before(value))

    def between(self, low: float, high: float) -> Band | None:
        """The band that holds all that a value may be; none where it may lie in several.

        Examples
        --------
        >>> crp = bands_of("hsCRP")
        >>> crp.between(6.2, 6.2).label, crp.between(0.0, 5.0)
        ('3 to 10', None)
        """
        first = self.place(low)
        return self.bands[first] if first == self.place(high) else None


@cache
def _tables() -> Mapping[str, Bands]:
    table = tomllib.loads(Path(__file__).with_name("clinical.toml").read_text(encoding="utf-8"))
    return {name: _bands(entry) for kind in ("strata", "severity") for name, entry in table[kind].items()}


def _bands(entry: Mapping[str, Any]) -> Bands:
    bands = tuple(
        Band(float(b.get("up_to", b.get("below", inf))), "up_to" in b, b.get("label", ""), b["words"])
        for b in entry["band"]
    )
    source = Source("measured", entry["place"], entry["doi"])
    return Bands(bands, entry.get("unit", "points"), float(entry.get("inflamed", inf)), source)


def bands_of(name: str) -> Bands | None:
    """The bands of an analyte or a symptom scale; none where no limits are commonly used."""
    return _tables().get(name)


def stratified() -> Bands:
    """The strata of C-reactive protein."""
    return _tables()[STRATIFIER]


def severity(scale: str, score: float) -> str:
    """Degree of severity of a score in words; empty where the scale has no limits that are commonly used.

    Examples
    --------
    >>> severity("HAMD17", 22), severity("PHQ9", 22), severity("none", 1)
    ('moderate', 'severe', '')
    """
    found = bands_of(scale)
    return "" if found is None else found.bands[found.place(score)].words
