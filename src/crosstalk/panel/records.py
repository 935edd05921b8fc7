"""Typed records of measured panels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Measurement", "Panel", "PanelFile"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of one analyte, in the analyte's own unit.

    ``censored`` is ``left`` where the truth lies below ``value`` (``<0.11``), ``right`` where it lies above.
    ``given`` is the text as it stood in the file (with its unit), ``line`` its line.
    """

    analyte: str
    value: float
    censored: Literal["", "left", "right"] = ""
    given: str = ""
    line: int = 0
    specimen: str = ""
    method: str = ""
    time_h: float = 0.0
    lod: float | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """All measurements of one patient; ``missing`` are analytes that the file names without a value."""

    patient: str
    measurements: Mapping[str, Measurement]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PanelFile:
    """The panels of one file, with its path, its SHA-256 and the warnings that reading gave."""

    path: str
    sha256: str
    panels: tuple[Panel, ...]
    warnings: tuple[str, ...] = ()
