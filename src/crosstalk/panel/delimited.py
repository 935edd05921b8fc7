"""From the bytes of a CSV or TSV to rows of cells: encoding, separator, quotes, comments."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.limits import TABLE
from crosstalk.panel.entries import Reading, Wanted
from crosstalk.panel.header import is_header
from crosstalk.panel.layout import arrange
from crosstalk.panel.table_rows import SEARCHED
from crosstalk.panel.text import decode_text

__all__ = ["read"]

SEPARATORS = "\t;|,"
HEAD = 1_000_000  # characters in which the separator is looked for


def read(path: Path, wanted: Wanted | None = None) -> Reading:
    """Read a CSV or TSV in the long or the wide layout.

    Parameters
    ----------
    path : Path
    wanted : Wanted, optional

    Raises
    ------
    PanelError
        If the file is no table of text at all.
    """
    size = path.stat().st_size
    if size > TABLE:
        raise PanelError(f"{path}: has {size / 1e9:.1f} GB; a table is read up to {TABLE / 1e9:g} GB; split the file")
    content = path.read_bytes()
    warnings: list[str] = []
    text = decode_text(path, content, warnings).replace("\ufeff", "")
    stated, text = _stated(text)
    separator = stated or _separator(text)
    rows = _Rows(path, text, separator)
    reading = arrange(str(path), rows, "line", commas=separator == ",", content=content, wanted=wanted or Wanted())
    if rows.several:
        first, last = rows.several[0]
        warnings.append(
            f"{path}, lines {first} to {last}: a quoted cell runs over several lines{_more(rows.several)}; "
            f"check its quotes"
        )
    if rows.comments:
        warnings.append(
            f"{path}, line {rows.comments[0]}: starts with # and was left out as a comment, though it has the columns "
            f"of a row{_more(rows.comments)}"
        )
    if "\ufffd" in text:
        line = text.count("\n", 0, text.index("\ufffd")) + 1
        warnings.append(f"{path}, line {line}: a character was lost (U+FFFD) when the file was saved")
    if not text.endswith(("\n", "\r")):
        warnings.append(
            f"{path}, line {rows.number}: the last line does not end with a line break; check that the file is whole"
        )
    return replace(reading, warnings=[*warnings, *reading.warnings])


def _more(found: Sequence[object]) -> str:
    return f" (and {len(found) - 1} more)" if len(found) > 1 else ""


def _stated(text: str) -> tuple[str, str]:
    """The separator that Excel's first line ``sep=;`` states, and the text with that line emptied."""
    first = text[:8].splitlines()[0].strip('"') if text.strip() else ""
    if first.lower().startswith("sep=") and len(first) == 5 and first[4] in SEPARATORS:
        return first[4], text[text.index(first[4]) + 1 :].lstrip('"')
    return "", text


def _separator(text: str) -> str:
    """The separator under which a header appears, with most columns; else the most frequent one."""
    best, most = "", 0
    text = text[:HEAD]
    for candidate in SEPARATORS:
        lines = _without_comments(io.StringIO(text, newline=""))
        try:
            head = list(islice(csv.reader(lines, delimiter=candidate), SEARCHED))
        except csv.Error:
            continue
        width = next((len(row) for row in head if is_header(row)), 0)
        if width > most:
            best, most = candidate, width
    if best:
        return best
    first = next((line for line in _without_comments(io.StringIO(text, newline="")) if line.strip()), "")
    return max(reversed(SEPARATORS), key=first.count)


def _without_comments(lines: Iterator[str]) -> Iterator[str]:
    return (line for line in lines if not line.lstrip().startswith("#"))


class _Rows:
    """The records of a text with the line each starts on; quoted cells may run over several lines."""

    def __init__(self, path: Path, text: str, separator: str) -> None:
        self.path = path
        self.number = 0
        self.several: list[tuple[int, int]] = []
        self.comments: list[int] = []  # lines that may have been meant as rows
        self._width = 2**31
        self._fresh = True
        self._start = 0
        self._text = text
        self._separator = separator

    def _lines(self) -> Iterator[str]:
        for line in io.StringIO(self._text, newline=""):
            self.number += 1
            if self._fresh:
                if line.lstrip().startswith("#"):
                    if line.count(self._separator) + 1 >= self._width:
                        self.comments.append(self.number)
                    continue
                self._start = self.number
                self._fresh = False
            yield line

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        records = csv.reader(self._lines(), delimiter=self._separator, strict=True)
        try:
            for row in records:
                if self.number > self._start:
                    self.several.append((self._start, self.number))
                if row:
                    self._width = len(row)
                yield self._start, row
                self._fresh = True
        except csv.Error as error:
            raise PanelError(
                f"{self.path}, line {self._start}: cannot be split into columns ({error}); check its quotes"
            ) from None
