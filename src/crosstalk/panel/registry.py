"""The registry of formats: how each is recognised, who reads it, whether it is a plate, or why it is refused."""

from __future__ import annotations

import csv
import io
import pkgutil
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from crosstalk.errors import PanelError, UsageError
from crosstalk.extensions import FORMATS, brought
from crosstalk.panel.entries import Reading, Wanted

if TYPE_CHECKING:
    from crosstalk.panel.plates.wells import Plate

__all__ = ["START", "TABLE", "Format", "Look", "companions", "formats", "read_cells", "recognise"]

TABLE = "save its concentrations as a table with the columns patient, analyte, value, unit"
START = 65_536  # bytes of a file that are looked at
ROWS = 60  # rows of a table in which its header must stand
WORKBOOKS = (".xlsx", ".xlsm")


@dataclass(frozen=True)
class Format:
    """One format of files.

    Attributes
    ----------
    id : str
    name : str
        In words, for tables and messages: ``Luminex xPONENT (CSV)``.
    sign : callable
        Whether a file that was looked at is of this format.
    read : callable, optional
        The reader: path and `Wanted` to `Reading`.
    plates : callable, optional
        Of exports of plate readers: path to plates, which give the entries, and whose signals ``crosstalk plate`` reads
        anew. A format has a reader, or plates, or is refused.
    refused : str
        What to do with a file that is known and not read.
    kit : bool
        Whether its analytes are those of a kit, known to Crosstalk or not.
    beside : tuple of str
        Names, without their ending, of files that are read too where they stand beside it.
    rank : int
        Formats are asked in the order of their rank, the most particular first.
    """

    id: str
    name: str
    sign: Callable[[Look], bool]
    read: Callable[[Path, Wanted], Reading] | None = None
    plates: Callable[[Path], tuple[Plate, ...]] | None = None
    refused: str = ""
    kit: bool = False
    beside: tuple[str, ...] = ()
    rank: int = 50


class Look:
    """The beginning of a file, as far as it is needed to tell its format."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.is_dir()
        self.start = b""
        if not self.folder:
            try:
                with path.open("rb") as file:
                    self.start = file.read(START)
            except FileNotFoundError:
                raise PanelError(f"{path}: no such file; check the path") from None
            except OSError as error:
                raise PanelError(f"{path}: cannot be read ({error.strerror}); check the permissions") from error

    @cached_property
    def text(self) -> str:
        """The beginning as text; empty for an archive."""
        if self.folder or self.archive:
            return ""
        code = "utf-16" if self.start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        return self.start.decode(code, "replace").replace("\x00", "").lstrip(" \t\r\n\ufffd")

    @cached_property
    def archive(self) -> bool:
        """Whether it is a ZIP archive, as workbooks are."""
        return self.start.startswith(b"PK\x03\x04")

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Names of the parts of an archive; none where it is broken or no archive."""
        return self._archive[0]

    @cached_property
    def kind(self) -> bytes:
        """What an archive says that it is."""
        return self._archive[1]

    @cached_property
    def _archive(self) -> tuple[tuple[str, ...], bytes]:
        if not self.archive:
            return (), b""
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = tuple(archive.namelist())
                if "mimetype" not in names:
                    return names, b""
                with archive.open("mimetype") as stated:
                    return names, stated.read(100)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
            return (), b""

    @property
    def workbook(self) -> bool:
        """Whether it is, or is named, an Excel workbook."""
        named = self.path.suffix.lower() in WORKBOOKS and not self.folder
        return named or "xl/workbook.xml" in self.parts

    @cached_property
    def rows(self) -> list[list[str]]:
        """Cells of the first rows of a text or of every sheet of a workbook, without blanks around them."""
        if self.archive:
            if not self.workbook:
                return []
            from crosstalk.panel.workbook import first_rows

            return [[cell.strip() for cell in row] for row in first_rows(self.path)]
        lines = self.text.splitlines()[:ROWS]
        separator = max("\t;|,", key="\n".join(lines).count)
        try:
            return [[c.strip() for c in row] for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator)]
        except csv.Error:
            return []

    def holds(self, *names: str) -> bool:
        """Whether some row has all of these cells, in whatever case."""
        return any(set(names) <= {cell.lower() for cell in row} for row in self.rows)

    def says(self, pattern: str, length: int = 4096) -> bool:
        """Whether a pattern is found in the beginning of a text, or in a row of a workbook."""
        sign = re.compile(pattern, re.MULTILINE | re.IGNORECASE)
        if self.archive:
            return any(sign.search(",".join(row)) for row in self.rows)
        return bool(sign.search(self.text[:length]))


def formats() -> tuple[Format, ...]:
    """Every format that is known, in the order in which they are asked.

    Those of the modules of ``panel/formats``, and those that installed packages bring (`crosstalk.extensions`).

    Raises
    ------
    UsageError
        If a package brings something else than formats, or one with an id that is taken.
    """
    own = _formats()
    taken = {f.id: "Crosstalk" for f in own}
    found = list(own)
    for who, more in brought(FORMATS):
        for one in more if isinstance(more, (list, tuple)) else (more,):
            if not isinstance(one, Format):
                raise UsageError(f"{who}: brings a {type(one).__name__}; expected crosstalk.panel.registry.Format")
            if one.id in taken:
                raise UsageError(f"{who}: brings the format '{one.id}', which {taken[one.id]} has; rename or uninstall")
            taken[one.id] = who
            found.append(one)
    return tuple(sorted(found, key=lambda f: (f.rank, f.id)))


@cache
def _formats() -> tuple[Format, ...]:
    package = import_module("crosstalk.panel.formats")
    found: list[Format] = []
    for info in pkgutil.iter_modules(package.__path__):
        found += import_module(f"crosstalk.panel.formats.{info.name}").FORMATS
    return tuple(found)


def recognise(path: Path) -> Format:
    """The format of a file or folder, from its content first and its name second.

    Raises
    ------
    PanelError
        If there is no such file, it cannot be opened, or it is of a kind that is not read.
    """
    look = Look(path)
    found = next((f for f in formats() if f.sign(look)), None)
    if found is None:
        raise PanelError(f"{path}: is a folder without XPT files or tables of OMOP; name one file in it")
    if found.refused:
        raise PanelError(f"{path}: is {found.name}, which is not read; {found.refused}")
    return found


def companions(path: Path) -> tuple[Path, ...]:
    """Files beside a file that are read with it, such as the ``patients.csv`` of Synthea; none for what is no panel."""
    from crosstalk.panel.rows import beside_file

    try:
        stems = recognise(path).beside
    except PanelError:
        return ()
    found = (beside_file(path, stem) for stem in stems)
    return tuple(p for p in found if p is not None)


def read_cells(path: Path, wanted: Wanted | None = None) -> tuple[Format, Reading]:
    """Recognise the format and read the cells.

    Raises
    ------
    PanelError
        If the file is none of the formats, or is broken beyond cells.
    """
    found, asked = recognise(path), wanted or Wanted()
    if found.read is not None:
        return found, found.read(path, asked)
    from crosstalk.panel.plates.files import read_plates
    from crosstalk.panel.plates.wells import entries_of

    return found, entries_of(read_plates(path, asked.mapping))
