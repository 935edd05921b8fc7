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

__all__ = ["decode_text", "read"]

SEPARATORS = "\t;|,"
HEAD = 1_000_000  # characters in which the separator is looked for
BINARY = (b"PK\x03\x04", b"%PDF", b"\x1f\x8b", b"\x89PNG", b"\xd0\xcf\x11\xe0")
# bytes that mean the same in Windows-1252 and Latin-1 and stand in units: no-break space, degree, plus-minus, powers,
# micro, dot, times. Letters are not among them: they differ between the code pages of different languages.
WESTERN = {0xA0, 0xB0, 0xB1, 0xB2, 0xB3, 0xB5, 0xB7, 0xD7}


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


def decode_text(path: Path, content: bytes, warnings: list[str]) -> str:
    """The text of a file: UTF-8, UTF-16, or Windows-1252 where only signs of units are outside ASCII.

    Raises
    ------
    PanelError
        If it is empty or no such text.
    """
    if not content.strip():
        raise PanelError(f"{path}: the file is empty; expected a CSV with a header and at least one row")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError:
            raise PanelError(f"{path}: starts like UTF-16 but is not; save it as UTF-8 CSV") from None
    if content.startswith(BINARY):
        raise PanelError(f"{path}: is a binary file, not text; export the table as CSV")
    if b"\x00" in content:
        return _wide_characters(path, content, warnings)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        foreign = set(content.translate(None, bytes(range(0x80))))
        if foreign <= WESTERN:
            signs = ", ".join(f"0x{byte:02x} ({bytes([byte]).decode('cp1252')})" for byte in sorted(foreign))
            warnings.append(f"{path}: is not UTF-8 and was read as Windows-1252, for its byte {signs}; check the units")
            return content.decode("cp1252")
        line = content[: error.start].count(b"\n") + 1
        raise PanelError(
            f"{path}, line {line}: holds the byte 0x{content[error.start]:02x}, which is not UTF-8; expected UTF-8 "
            f"text, since letters of other encodings cannot be told apart; save the file as 'CSV UTF-8'"
        ) from None


def _wide_characters(path: Path, content: bytes, warnings: list[str]) -> str:
    """UTF-16 without its byte-order mark: every other byte is zero, and no byte between."""
    for encoding, high, low in (("utf-16-le", content[1::2], content[::2]), ("utf-16-be", content[::2], content[1::2])):
        if len(content) % 2 == 0 and 0 not in low and high.count(0) >= 0.9 * len(high):
            warnings.append(f"{path}: has no byte-order mark and was read as {encoding.upper()}")
            return content.decode(encoding, "replace")
    line = content[: content.index(b"\x00")].count(b"\n") + 1
    raise PanelError(f"{path}, line {line}: holds a NUL, so it is a binary or a damaged file; export the table as CSV")


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
