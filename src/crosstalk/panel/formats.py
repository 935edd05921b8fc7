"""Which format a file has, and the reader for it."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.panel.entries import Reading

__all__ = ["FORMATS", "read_cells", "recognise"]

# format: the module of this package whose function `read` reads it
FORMATS = {
    "table": "delimited",
    "workbook": "workbook",
    "xponent": "xponent",
    "msd": "msd",
    "plate": "msd",
    "nhanes": "nhanes",
    "fhir": "fhir",
}
TABLES = ("table", "workbook")
TABLE = "save its concentrations as a table with the columns patient, analyte, value, unit"
# files that are known and not read: a sign of them, what they are, what to do
REFUSED = tuple((re.compile(sign, re.MULTILINE), name, remedy) for sign, name, remedy in (
    (r"\A\x0b?(?:MSH|FHS|BHS)\|", "an HL7 v2 message", f"export the results as FHIR Observations, or {TABLE}"),
    (r"^\W*Type\W+Well\W+Description\b", "an export of Bio-Plex Manager",
     f"{TABLE}, with 'OOR <' and '*' as they stand and a column lloq"),
    (r"(?:^|[,;\t\"])NPX(?:[,;\t\"\r\n]|$)", "an export of Olink in NPX, a relative scale",
     "ask for quantified values in pg/mL (Target 48, Flex)"),
    (r"^##BLOCKS=", "an export of SoftMax Pro", TABLE),
    (r"^\W*(?:Software Version\W+[\d.]+(?s:.{0,400})Reader Type|Gen5)", "an export of Gen5", TABLE),
    (r"^\W*STUDYID\W+DOMAIN\W+USUBJID", "a CDISC data set", f"{TABLE} (USUBJID, LBTESTCD, LBSTRESN, LBSTRESU)"),
    (r"\bmeasurement_concept_id\b", "a table of OMOP (MEASUREMENT)", f"join it with CONCEPT and {TABLE}"),
    (r"^DATE,PATIENT,ENCOUNTER,(?:CATEGORY,)?CODE,DESCRIPTION,VALUE,UNITS", "a table of Synthea",
     "export FHIR from Synthea"),
))  # fmt: skip
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
    for sign, name, remedy in REFUSED:
        if sign.search(text[:4096]):
            raise PanelError(f"{path}: is {name}, which is not read; {remedy}")
    head = text[:2000].replace('"', "")
    if head.startswith(("Program,xPONENT", "Program;xPONENT")):
        return "xponent"
    msd = import_module("crosstalk.panel.msd")
    if msd.recognises(path):
        return "msd" if msd.is_msd(path) else "plate"
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

    rows = list(first_rows(path))
    for sign, name, remedy in REFUSED:
        if any(sign.search(",".join(row)) for row in rows):
            raise PanelError(f"{path}: is {name}, which is not read; {remedy}")
    if not any({"sample", "assay", "well"} <= {cell.lower() for cell in row} for row in rows):
        return "workbook"
    return "msd" if import_module("crosstalk.panel.msd").is_msd(path) else "plate"


def read_cells(path: Path, knowledge: Knowledge | None = None, keep: Sequence[str] = ()) -> tuple[str, Reading]:
    """Recognise the format and read the cells.

    Parameters
    ----------
    path : Path
    knowledge : Knowledge, optional
        Whose analytes to look for.
    keep : sequence of str
        Columns of a table that the caller reads himself.

    Raises
    ------
    PanelError
        If the file is none of the formats, or is broken beyond cells.
    """
    found = recognise(path)
    reader = import_module(f"crosstalk.panel.{FORMATS[found]}")
    read: Callable[..., Reading] = getattr(reader, "stream", reader.read)
    if found in TABLES:
        return found, read(path, knowledge, keep)
    return found, read(path, knowledge) if found == "fhir" else read(path)
