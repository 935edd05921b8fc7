"""What every reader returns: the cells of a file as text, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from crosstalk.knowledge.loader import Knowledge
    from crosstalk.panel.mapping import FileMap

__all__ = ["Entry", "Kept", "Reading", "Understood", "Wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader is asked: whose analytes, which columns the caller reads himself, what a map says of the file."""

    knowledge: Knowledge | None = None
    keep: Sequence[str] = ()
    mapping: FileMap | None = None


class Understood(NamedTuple):
    """One column of a table as it was understood.

    ``meaning`` is a role of ``vocabulary.toml``, "measured" for the values of an analyte, "keep", or ""; ``name`` is
    what its entries call their analyte.
    """

    column: str
    meaning: str
    unit: str = ""
    specimen: str = ""
    name: str = ""


class Entry(NamedTuple):
    """One value of one analyte of one patient, as text and as it stood in the file.

    Attributes
    ----------
    place : str
        Where it stood, for messages: ``line 3``, ``sheet 'Results', row 7``, ``Observation/a1``.
    value : str
        A number, ``<0.11``, ``>500``, ``0.11..0.5`` (between), or one of the words for missing.
    lod, lloq, uloq : str
        Limits of detection and of quantification, in ``unit`` or with a unit of their own behind the number.
    time : str
        Hours.
    confirmed : str
        ``yes`` where an extreme value was confirmed.
    cv : str
        Coefficient of variation of this very value [fraction], where the assay reports one.
    quality : str
        ``doubtful`` or ``failed``, where quality control said so.
    remarks : tuple of str
    visit, date : str
        The occasion, as the file names it.
    """

    place: str
    patient: str
    analyte: str
    value: str
    unit: str
    specimen: str = ""
    method: str = ""
    lod: str = ""
    time: str = ""
    confirmed: str = ""
    lloq: str = ""
    cv: str = ""
    quality: str = ""
    remarks: tuple[str, ...] = ()
    uloq: str = ""
    visit: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """The cells of one row that are kept beside the panel: column to text; and where the row stood."""

    place: str
    patient: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Reading:
    """A file as a reader understood it.

    Attributes
    ----------
    entries : iterable of Entry
        A list, or made while they are asked for; problems and warnings are whole after the last.
    problems : list of str
        What must be mended before anything can be trusted; one line each, with the place and the remedy.
    warnings : list of str
        What was left out or assumed, with the place; reading goes on.
    content : bytes
        What the hash of the file is taken of.
    decimal : str
        The decimal sign of the entries' numbers: ``.`` or ``,``.
    kept : list of Kept
        Columns that are no values of the panel, row by row.
    columns : tuple of str
        The header of a table.
    once : bool
        Whether a patient has one row: the wide layout.
    understood : tuple of Understood
        Of a table: each column, left to right.
    sha256 : str
        The hash itself, where the content is too large to be kept.
    """

    entries: Iterable[Entry]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    content: bytes = b""
    decimal: str = "."
    kept: list[Kept] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    once: bool = False
    sha256: str = ""
    understood: tuple[Understood, ...] = ()
