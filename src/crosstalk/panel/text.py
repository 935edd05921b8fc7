"""From the bytes of a file to its text, and from the text of an instrument's export to its cells and numbers.

`decode_text` reads what people and laboratories save, and says what it had to assume. `decode` reads the exports of
instruments, whose signs are known. Numbers that people type are read by `crosstalk.panel.cells.read_number`, which asks
back where a sign may mean two things; those of instruments have no marks of thousands.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from math import isfinite
from pathlib import Path

from crosstalk.errors import PanelError

__all__ = ["CENSORED", "concentration", "decimal_sign", "decode", "decode_text", "load", "number", "split"]

BINARY = (b"PK\x03\x04", b"%PDF", b"\x1f\x8b", b"\x89PNG", b"\xd0\xcf\x11\xe0")
# bytes that mean the same in Windows-1252 and Latin-1 and stand in units: no-break space, degree, plus-minus, powers,
# micro, dot, times. Letters are not among them: they differ between the code pages of different languages.
WESTERN = {0xA0, 0xB0, 0xB1, 0xB2, 0xB3, 0xB5, 0xB7, 0xD7}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
CENSORED = re.compile(r"(<=|>=|<|>|≤|≥)\s*(.+)")
_DECIMAL = re.compile(r"[<>]?\s*[+-]?\d+([.,])\d+")


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


def number(text: str, decimal: str = ".") -> float | None:
    """A finite number, or None: an empty cell, ``NaN`` and words have no value.

    Examples
    --------
    >>> number("3.5"), number("1,5"), number("1,5", decimal=","), number("NaN")
    (3.5, None, 1.5, None)
    """
    clean = text.strip()
    if decimal == ",":
        clean = "" if "." in clean else clean.replace(",", ".", 1)
    if not _NUMBER.fullmatch(clean):
        return None
    value = float(clean)
    return value if isfinite(value) else None


def concentration(text: str, decimal: str = ".") -> str:
    """A reported concentration in one spelling: ``< 0,4`` is ``<0.4``; any other text stays as it is.

    Examples
    --------
    >>> concentration(" < 3.2 "), concentration("1,5", decimal=","), concentration("OOR <")
    ('<3.2', '1.5', 'OOR <')
    """
    clean = text.strip()
    match = CENSORED.fullmatch(clean)
    sign, rest = (match[1], match[2].strip()) if match else ("", clean)
    if number(rest, decimal) is None:
        return clean
    return sign + (rest.replace(",", ".", 1) if decimal == "," else rest)


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one line, without blanks around them; a line with a broken quote is one cell.

    Each line stands for itself, so that a lost quote cannot swallow the rest of a file.

    Examples
    --------
    >>> split('"1(1,A1)",Unknown1, 3.5', ",")
    ['1(1,A1)', 'Unknown1', '3.5']
    """
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return [line.strip()]


def decimal_sign(path: Path, cells: Iterable[str], delimiter: str) -> str:
    """The decimal sign of an export: a comma only where it separates no columns and no number holds a point.

    Raises
    ------
    PanelError
        If both occur.
    """
    if delimiter == ",":
        return "."
    # instruments' software writes no marks of thousands: a point is the decimal sign
    found = {match[1] for cell in cells if (match := _DECIMAL.fullmatch(cell))}
    if len(found) > 1:
        raise PanelError(
            f"{path}: numbers hold decimal commas and decimal points; expected one of them; export the plate again"
        )
    return found.pop() if found else "."


def load(path: Path) -> bytes:
    """The bytes of a file.

    Raises
    ------
    PanelError
        If there is none, or it cannot be opened, or it is empty.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise PanelError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise PanelError(f"{path}: cannot be read ({error.strerror}); check that it is a file") from error
    if not content.strip():
        raise PanelError(f"{path}: the file is empty; export the plate again")
    return content


def decode(path: Path, content: bytes) -> str:
    """The text of an export: UTF-8, UTF-16 with its mark, or the Windows code page 1252 (micro signs).

    Raises
    ------
    PanelError
        If it is no text.
    """
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise PanelError(f"{path}: is not text; export the plate as CSV (xPONENT, Discovery Workbench) or TXT") from None
