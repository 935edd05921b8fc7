"""Which format a file has, and the reader for it."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.entries import Reading

__all__ = ["FORMATS", "read_cells", "recognise"]

# format: the module of this package whose function `read` reads it
FORMATS = {
    "table": "delimited",
    "workbook": "workbook",
    "xponent": "xponent",
    "msd": "msd",
    "nhanes": "nhanes",
    "fhir": "fhir",
}
WORKBOOKS = (".xlsx", ".xlsm")


def recognise(path: Path) -> str:
    """The format of a file or folder, from its content first and its name second.

    Raises
    ------
    PanelError
        If there is no such file, it cannot be opened, or it is of a kind that is not read.
    """
    if path.is_dir():
        if any(p.suffix.lower() == ".xpt" for p in path.iterdir()):
            return "nhanes"
        raise PanelError(f"{path}: is a folder without XPT files; name one file in it")
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except FileNotFoundError:
        raise PanelError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise PanelError(f"{path}: cannot be read ({error.strerror}); check the permissions") from error
    if start.startswith(b"HEADER RECORD*******LIBRARY HEADER"):
        return "nhanes"
    if start.startswith(b"PK\x03\x04"):
        return _recognise_zip(path)
    if start.startswith(b"\xd0\xcf\x11\xe0"):
        raise PanelError(f"{path}: is an old Excel workbook (.xls) or has a password; save it as .xlsx or as CSV")
    if start.startswith(b"%PDF"):
        raise PanelError(f"{path}: is a PDF; export the table as CSV")
    if path.suffix.lower() in WORKBOOKS:
        return "workbook"
    code = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    text = start.decode(code, "replace").replace("\x00", "").lstrip(" \t\r\n\ufffd")
    if text.startswith(("{", "[")) or (text.startswith("<") and "http://hl7.org/fhir" in text):
        return "fhir"
    head = text[:2000].replace('"', "")
    if head.startswith(("Program,xPONENT", "Program;xPONENT")):
        return "xponent"
    if import_module("crosstalk.panel.msd").recognises(path):
        return "msd"
    return "table"


def _recognise_zip(path: Path) -> str:
    """A workbook, whatever its name; one that MSD's instrument software wrote goes to that reader."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            kind = b""
            if "mimetype" in names:
                with archive.open("mimetype") as stated:
                    kind = stated.read(100)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        names, kind = [], b""
    if b"opendocument" in kind:
        raise PanelError(f"{path}: is an OpenDocument file; save it as .xlsx or as CSV")
    if "xl/workbook.xml" not in names and path.suffix.lower() not in WORKBOOKS:
        return "table"  # which refuses a binary file
    from crosstalk.panel.workbook import first_rows

    msd = any({"sample", "assay", "well"} <= {cell.lower() for cell in row} for row in first_rows(path))
    return "msd" if msd else "workbook"


def read_cells(path: Path) -> tuple[str, Reading]:
    """Recognise the format and read the cells.

    Raises
    ------
    PanelError
        If the file is none of the formats, or is broken beyond cells.
    """
    found = recognise(path)
    reader = import_module(f"crosstalk.panel.{FORMATS[found]}")
    read: Callable[[Path], Reading] = getattr(reader, "stream", reader.read)
    return found, read(path)
