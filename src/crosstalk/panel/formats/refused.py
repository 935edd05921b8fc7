"""Files that are known and not read: each by its name, with what to export instead."""

from __future__ import annotations

import re
from collections.abc import Callable

from crosstalk.panel.registry import TABLE, Format, Look

__all__ = ["FORMATS"]


def _says(pattern: str, length: int = 4096) -> Callable[[Look], bool]:
    return lambda look: look.says(pattern, length)


def _starts(*signs: bytes) -> Callable[[Look], bool]:
    return lambda look: look.start.startswith(signs)


def _opendocument(look: Look) -> bool:
    return b"opendocument" in look.kind


def _opener(pattern: str) -> Callable[[Look], bool]:
    """A pattern at the very beginning."""
    sign = re.compile(pattern)
    return lambda look: sign.match(look.text) is not None


FORMATS = (
    Format("xls", "an old Excel workbook (.xls) or has a password", _starts(b"\xd0\xcf\x11\xe0"),
           refused="save it as .xlsx or as CSV", rank=1),
    Format("pdf", "a PDF", _starts(b"%PDF"), refused="export the table as CSV", rank=1),
    Format("ods", "an OpenDocument file", _opendocument, refused="save it as .xlsx or as CSV", rank=1),
    Format("packed", "a packed file (gzip, 7z, RAR)", _starts(b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!"),
           refused="unpack it first", rank=1),
    Format("spss", "a file of SPSS (.sav)", _starts(b"$FL2", b"$FL3"), refused="save it as CSV, with value labels",
           rank=1),
    Format("stata", "a file of Stata (.dta)", _starts(b"<stata_dta>"), refused="export it as CSV, with value labels",
           rank=1),
    Format("sas7bdat", "a file of SAS (.sas7bdat)", _starts(bytes(12) + b"\xc2\xea\x81\x60"),
           refused="export it as CSV", rank=1),
    Format("simoa", "an export of Quanterix Simoa", _says(r"\b(?:Mean|Replicate) AEB\b|\bAEB CV\b"),
           refused=f"{TABLE}: Mean Concentration, with the LLOQ in a column lloq and the dilution taken into account",
           rank=20),
    Format("ella", "an export of ProteinSimple Ella (Simple Plex)",
           _says(r"Simple ?Plex|\bGNR ?\d? ?(?:RFU|Signal|%CV)|\bGNR\d\b"),
           refused=f"{TABLE}: the mean of the three channels, with LLOQ and ULOQ as columns lloq and uloq", rank=20),
    Format("openehr", "a composition of openEHR",
           _says(r"\"archetype_node_id\"|\"ctx/(?:language|territory)\"|schemas\.openehr\.org|openEHR-EHR-"),
           refused=f"query its laboratory results with AQL and {TABLE}, or export FHIR Observations", rank=20),
    Format("pcornet", "a table of PCORnet (LAB_RESULT_CM)", _says(r"\bLAB_RESULT_CM_ID\b"),
           refused=f"{TABLE}: PATID, LAB_LOINC, RESULT_MODIFIER as operator, RESULT_NUM, RESULT_UNIT, SPECIMEN_DATE",
           rank=20),
    Format("i2b2", "a table of i2b2 (OBSERVATION_FACT)", _says(r"\bNVAL_NUM\b"),
           refused=f"{TABLE}: PATIENT_NUM, the LOINC of CONCEPT_CD, TVAL_CHAR as operator, NVAL_NUM, UNITS_CD",
           rank=20),
    Format("somascan", "an export of SomaScan (ADAT), in relative units of fluorescence",
           _opener(r"!Checksum\t|\^HEADER"), refused="no concentration can be had from it; use a quantified assay",
           rank=20),
    Format("astm", "messages of an analyser (ASTM E1394)", _opener(r"H\|\\\^&"),
           refused=f"export the results from the laboratory system, or {TABLE}", rank=20),
)  # fmt: skip
