"""What every reader returns: the cells of a file as text, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Entry", "Reading"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of one analyte of one patient, as text and as it stood in the file.

    Attributes
    ----------
    place : str
        Where it stood, for messages: ``line 3``, ``sheet 'Results', row 7``, ``Observation/a1``.
    value : str
        A number, ``<0.11``, ``>500``, ``0.11..0.5`` (between), or one of the words for missing.
    lod, lloq : str
        Limits of detection and of quantification, in ``unit``.
    confirmed : str
        ``yes`` where an extreme value was confirmed.
    cv : str
        Coefficient of variation of this very value [fraction], where the assay reports one.
    quality : str
        ``doubtful`` or ``failed``, where quality control said so.
    remarks : tuple of str
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
    sha256 : str
        The hash itself, where the content is too large to be kept.
    """

    entries: Iterable[Entry]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    content: bytes = b""
    decimal: str = "."
    sha256: str = ""
