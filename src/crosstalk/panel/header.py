"""The header of a table: which column holds what, which belongs to which, and which could change a value unread."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from crosstalk.errors import PanelError, UnitError
from crosstalk.limits import COLUMNS, shown
from crosstalk.panel.vocabulary import fluid, parted, role, squeeze, words
from crosstalk.spreadsheets import unescape
from crosstalk.units import parse_unit

__all__ = [
    "NAME", "OF_VALUE", "USUAL", "Column", "Header", "as_text", "is_header", "is_unit", "normal", "split_header",
    "understand",
]  # fmt: skip

# roles that are of one value: in the wide layout they belong to the column whose name they carry
OF_VALUE = (
    "lod",
    "lloq",
    "uloq",
    "operator",
    "below",
    "detected",
    "cv",
    "quality",
    "unit",
    "flag",
    "remarks",
    "method",
)
# where columns of one meaning may be several
SEVERAL = ("visit", "date", "quality", "status", "valid", "excluded", "harmed", "flag", "remarks", "source", "stimulus",
           "below", "detected", "row", "scaled", "dilution")  # fmt: skip
# columns without a unit: high-sensitivity CRP is given in mg/L
USUAL = {"hscrp": "mg/L", "crphs": "mg/L"}
PAIRS = ({"testcode", "testname"}, {"lbtestcd", "lbtest"})  # two names of one test
# parts of a name that say that the column qualifies values, though not which
TELLING = {"lod", "llod", "loq", "lloq", "uloq", "bdl", "blq", "nondetect", "censored", "operator", "comparator",
           "stimulation", "stimulus",
           "stimulated", "unstimulated", "dilution", "specimen", "timepoint"}  # fmt: skip
NAME = 200  # characters of a patient's id or of an analyte's name
LISTED = 6  # columns of a header named in a message
_AS_TEXT = re.compile(r'="(.*)"', re.DOTALL)


class Column(NamedTuple):
    """One column of values of the wide layout."""

    at: int
    name: str
    unit: str
    specimen: str = ""


@dataclass
class Header:
    """A header as it is understood.

    Attributes
    ----------
    texts : list of str
    patient : int
    roles : dict
        Role to the positions of its columns.
    values : list of Column
        Columns of analytes, in the wide layout.
    attached : dict
        Position of a column of values to role to position, for columns such as ``IL-6 LOD``.
    kept : list of int
        Columns that are no values and change none.
    unknown : list of Column
        Those of them that look like values of something that is no analyte.
    silent : list of int
        Notes, visits and dates, which are kept too.
    numbers : int
        Column named ``id`` beside one that names the patient, or -1: it must number the rows.
    long : bool
    """

    texts: list[str]
    patient: int = -1
    roles: dict[str, list[int]] = field(default_factory=dict)
    values: list[Column] = field(default_factory=list)
    attached: dict[int, dict[str, int]] = field(default_factory=dict)
    kept: list[int] = field(default_factory=list)
    unknown: list[Column] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)
    numbers: int = -1
    long: bool = False

    def at(self, name: str) -> int:
        """Position of the one column of a role; -1 where there is none."""
        return self.roles.get(name, [-1])[0]


def as_text(cell: str) -> str:
    """A cell without blanks around it, and without what makes a spreadsheet take it as text: ="...", or an apostrophe.

    An apostrophe stays where nothing follows that a spreadsheet would run.
    """
    plain = cell.strip()
    if plain.startswith('="'):
        match = _AS_TEXT.fullmatch(plain)
        return match[1].strip() if match else plain
    return unescape(plain)


def normal(cell: str) -> str:
    """A name for comparison within one header: blanks, hyphens and dots are one sign."""
    return re.sub(r"[\s_.-]+", "_", as_text(cell).rstrip(": ").lower())


def is_header(row: list[str]) -> bool:
    """Whether a row names a column for the patient and at least one more."""
    # no more columns than are read, so that a line without end is refused at once
    row = row[: COLUMNS + 1]
    found = [role(as_text(cell)) if len(cell) < 60 else "" for cell in row]
    named = "patient" in found or any(normal(cell) == "id" for cell in row)
    return named and sum(bool(cell.strip()) for cell in row) > 1


def is_unit(text: str) -> bool:
    """Whether a text is a unit."""
    try:
        parse_unit(text)
    except UnitError:
        return False
    return True


def split_header(text: str) -> tuple[str, str]:
    """The name and the unit of a header such as ``insulin [u[IU]/mL]``; the unit is empty where there is none.

    Examples
    --------
    >>> split_header("hsCRP [mg/L]"), split_header("insulin [u[IU]/mL]"), split_header("age")
    (('hsCRP', 'mg/L'), ('insulin', 'u[IU]/mL'), ('age', ''))
    """
    whole = text.rstrip()
    if len(whole) > NAME or not whole.endswith(("]", ")")):
        return text, ""
    body = whole[:-1]
    last = max(body.rfind("]"), body.rfind(")"))
    # the unit itself may hold one pair of square brackets
    earlier = body.rfind("]", 0, last) if body[last : last + 1] == "]" else last
    for at in range(max(1, earlier + 1), len(body)):
        if body[at] not in "[(":
            continue
        inner = body.find("[", at + 1, last)
        closed = body.find(")", at + 1, last)
        if at > last or (inner >= 0 and (closed < 0 or inner < closed)):
            return body[:at].rstrip(), body[at + 1 :]
    return text, ""


def split(text: str) -> Column:
    """Name, unit and fluid of a header such as ``IL-6 (CSF) [pg/mL]``; its position is not known yet."""
    name, unit, specimen = text, "", ""
    while (found := split_header(name))[0] != name:
        inside = found[1].strip()
        other = not is_unit(inside) and fluid(inside) not in ("", "unknown")
        if (other and specimen) or (not other and unit):
            break
        name, unit, specimen = found[0], unit if other else inside, inside if other else specimen
    return Column(-1, name, unit, specimen)


def understand(place: str, texts: list[str], known: Callable[[str], str], keep: Sequence[str]) -> Header:
    """Say what each column is.

    Parameters
    ----------
    place : str
        For messages.
    texts : list of str
    known : callable
        Of which kind the analyte of a name is, "" for none.
    keep : sequence of str
        Columns that the caller reads himself, whatever they are named.

    Raises
    ------
    PanelError
        If a column is lost, stands twice, or may change values and cannot be told to which it belongs.
    """
    header = Header(texts)
    names = [normal(text) for text in texts]
    twice = next((name for name, n in Counter(names).items() if name and n > 1), None)
    if twice is not None:
        raise PanelError(f"{place}: column '{shown(twice)}' stands twice; keep one")
    apart = {squeeze(name) for name in keep}
    rest: list[Column] = []
    for i, text in enumerate(texts):
        if not text:
            continue
        column = split(text)._replace(at=i)
        if squeeze(text) in apart:
            header.kept.append(i)
        elif found := role(column.name) or role(text):
            header.roles.setdefault(found, []).append(i)
        else:
            rest.append(column)
    header.silent = [i for key in ("source", "visit", "date") for i in header.roles.get(key, ())]
    _patient(place, header)
    _layout(place, header)
    if header.long:
        header.kept += [column.at for column in rest]
        _refuse_telling(place, header, rest)
        return header
    header.values = [_with_unit(column) for column in rest if known(column.name)]
    taken = {column.at for column in header.values}
    _attach(place, header, [column for column in rest if column.at not in taken], known)
    return header


def _with_unit(column: Column) -> Column:
    """A column with the unit that its name ends with, as ``il6_pgml``."""
    unit = parted(column.name)[1]
    return column._replace(unit=unit) if unit and not column.unit else column


def _patient(place: str, header: Header) -> None:
    named = header.roles.get("patient", [])
    numbered = [i for i in header.roles.get("row", []) if normal(header.texts[i]) == "id"]
    if len(named) > 1:
        both = " and ".join(shown(normal(header.texts[i])) for i in named[:LISTED])
        raise PanelError(f"{place}: columns {both} both name the patient; rename all but one")
    if named:
        header.patient = named[0]
        header.numbers = numbered[0] if numbered else -1
    elif numbered:
        header.patient = numbered[0]
        header.roles["row"].remove(numbered[0])


def _layout(place: str, header: Header) -> None:
    received = ", ".join(map(shown, header.texts[:LISTED]))
    lost = [key for key in ("analyte", "value") if key not in header.roles]
    if lost and {"analyte", "unit"} & header.roles.keys():
        raise PanelError(f"{place}: no column '{lost[0]}'; expected patient, analyte, value, unit; received {received}")
    if header.patient < 0:
        raise PanelError(
            f"{place}: no column for the patient; expected one named patient, subject, id, patient_id; "
            f"received {received}"
        )
    header.long = not lost
    for key, at in header.roles.items():
        both = [squeeze(header.texts[i]) for i in at]
        several = len(at) > 1 and key not in SEVERAL and not (key == "analyte" and {*both} in PAIRS)
        if several and (header.long or key not in OF_VALUE):
            listed = " and ".join(shown(normal(header.texts[i])) for i in at[:LISTED])
            raise PanelError(f"{place}: columns {listed} both give the {key}; rename all but one")


def _attach(place: str, header: Header, rest: Sequence[Column], known: Callable[[str], str]) -> None:
    """Give columns such as ``IL-6 LOD`` to the analyte that they name; keep the others."""
    owners = {squeeze(name): column.at for column in header.values for name in (column.name, parted(column.name)[0])}
    strangers = [column for column in rest if _qualifies(column.name) is None]
    theirs = {squeeze(column.name) for column in strangers}
    for column in rest:
        found = _qualifies(column.name)
        if found is None:
            continue
        key, name = found
        own = squeeze(name)
        if own in owners:
            taken = header.attached.setdefault(owners[own], {})
            if key in taken:
                raise PanelError(
                    f"{place}: '{shown(header.texts[taken[key]])}' and '{shown(header.texts[column.at])}' both give "
                    f"the {key}"
                )
            taken[key] = column.at
        elif own in theirs or not (known(name) or squeeze(column.name) in theirs):
            strangers.append(column)
        else:
            header.kept.append(column.at)  # of an analyte that the table does not hold
    _refuse_telling(place, header, [c for c in strangers if not _stranger(c, theirs)])
    header.kept += [column.at for column in strangers]
    header.unknown = [column for column in strangers if column.unit]


def _stranger(column: Column, theirs: set[str]) -> bool:
    found = _qualifies(column.name)
    return found is not None and squeeze(found[1]) in theirs


def _qualifies(name: str) -> tuple[str, str] | None:
    """The role of one value and the name that it belongs to, in a header such as ``LOD of IL-6`` or ``crp_flag``."""
    tokens = re.findall(r"[^\s_.,:;]+", name)
    for n in range(min(4, len(tokens) - 1), 0, -1):
        for part, others in ((tokens[-n:], tokens[:-n]), (tokens[:n], tokens[n:])):
            key = role(" ".join(part))
            if key in OF_VALUE:
                return key, "_".join(token for token in others if words(token) not in ("of", "for", "von", "de", "di"))
    return None


def _refuse_telling(place: str, header: Header, columns: Sequence[Column]) -> None:
    """A column that may change what values mean is never left unread."""
    for column in columns:
        tokens = words(column.name).split()
        if TELLING & {*tokens, *("".join(pair) for pair in pairwise(tokens))}:
            raise PanelError(
                f"{place}: column '{shown(header.texts[column.at])}' may change what the values mean, and it is not "
                f"known how; name it lod, lloq, operator, specimen, visit or stimulus, or by its analyte as in "
                f"'IL-6 LOD', or leave it out"
            )
