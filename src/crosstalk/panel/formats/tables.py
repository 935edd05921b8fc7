"""Tables of people's own: CSV, TSV and Excel, long or wide. Asked last, since everything is a table."""

from __future__ import annotations

from pathlib import Path

from crosstalk.panel.entries import Reading, Wanted
from crosstalk.panel.registry import Format, Look

__all__ = ["FORMATS"]


def _workbook(path: Path, wanted: Wanted) -> Reading:
    from crosstalk.panel.workbook import read

    return read(path, wanted)


def _text(path: Path, wanted: Wanted) -> Reading:
    from crosstalk.panel.delimited import read

    return read(path, wanted)


def _is_workbook(look: Look) -> bool:
    return look.workbook


def _is_text(look: Look) -> bool:
    return not look.folder


FORMATS = (
    Format("workbook", "Excel workbook (xlsx, xlsm), long or wide", _is_workbook, _workbook, rank=90),
    Format("table", "CSV or TSV, long or wide", _is_text, _text, rank=100),
)
