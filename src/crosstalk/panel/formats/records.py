"""Records of hospitals and surveys: FHIR and NHANES."""

from __future__ import annotations

from pathlib import Path

from crosstalk.panel.entries import Reading, Wanted
from crosstalk.panel.registry import Format, Look

__all__ = ["FORMATS"]


def _is_nhanes(look: Look) -> bool:
    if look.folder:
        return any(p.suffix.lower() == ".xpt" for p in look.path.iterdir())
    return look.start.startswith(b"HEADER RECORD*******LIBRARY HEADER")


def _nhanes(path: Path, wanted: Wanted) -> Reading:
    from crosstalk.panel.nhanes import read

    return read(path)


def _is_fhir(look: Look) -> bool:
    text = look.text
    return text.startswith(("{", "[")) or (text.startswith("<") and "http://hl7.org/fhir" in text)


def _fhir(path: Path, wanted: Wanted) -> Reading:
    from crosstalk.panel.fhir import stream

    return stream(path, wanted.knowledge)


FORMATS = (
    Format("nhanes", "NHANES transport files (XPT), a folder of one cycle or one file", _is_nhanes, _nhanes, rank=10),
    Format("fhir", "FHIR Observations (R4, R4B, R5; JSON, NDJSON)", _is_fhir, _fhir, rank=30),
)
