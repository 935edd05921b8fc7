"""HL7 v2 results: messages ORU^R01, one or many, to entries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.limits import DOCUMENT, shown
from crosstalk.panel.coded import Coded
from crosstalk.panel.entries import Entry, Reading, Wanted
from crosstalk.panel.registry import Format, Look
from crosstalk.panel.rows import age

__all__ = ["FORMATS", "read"]

SEXES = {"M": "male", "F": "female", "": "", "U": "", "O": "", "A": "", "N": ""}
FINAL = ("F", "C", "U", "V", "")
DOUBTED = ("P", "R", "S", "I", "B", "A")  # table 0085: preliminary, not verified, partial, pending
VOID = ("X", "D", "W", "N", "O")  # cannot be obtained, deleted, wrong, not asked, order detail
NUMBERS = ("NM", "ST", "SN", "TX", "FT", "CE", "CWE", "CNE", "")
LEFT_OUT = 5
_BREAK = re.compile(r"\r\n|\r|\n")
_ESCAPES = {"F": 0, "S": 1, "R": 2, "E": 3, "T": 4}


@dataclass
class _Message:
    """The separators of a message and its current patient, order and specimen."""

    bar: str = "|"
    signs: str = "^~\\&"
    patient: str = ""
    born: str = ""
    sex: str = ""
    when: str = ""
    specimen: str = ""

    def split(self, line: str) -> list[str]:
        return line.split(self.bar)

    def parts(self, text: str) -> list[str]:
        """Components of the first repetition, without escapes."""
        first = text.split(self.signs[1])[0] if len(self.signs) > 1 else text
        return [self.plain(part) for part in first.split(self.signs[0])]

    def plain(self, text: str) -> str:
        escape = self.signs[2] if len(self.signs) > 2 else "\\"
        if escape not in text:
            return text.strip()
        signs = self.bar + self.signs
        found = re.sub(
            re.escape(escape) + r"([A-Z0-9.]+)" + re.escape(escape),
            lambda m: signs[[0, 1, 2, 3, 4][_ESCAPES[m[1]]]] if m[1] in _ESCAPES else " ", text,
        )  # fmt: skip
        return found.strip()


@dataclass
class _Reader:
    path: Path
    coded: Coded
    entries: list[Entry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)
    people: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # place, birth, sex
    other: set[str] = field(default_factory=set)

    def leave(self, reason: str, place: str) -> None:
        self.left.setdefault(reason, []).append(place)


def read(path: Path, wanted: Wanted) -> Reading:
    """Read the results of ORU messages (HL7 v2.3 to 2.8), with or without the frames of MLLP and of batches.

    Raises
    ------
    PanelError
        If no message holds a result.
    """
    if path.stat().st_size > DOCUMENT:
        raise PanelError(f"{path}: is larger than {DOCUMENT / 1e6:g} MB; split the messages")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = content[: error.start].count(b"\r") + 1
        raise PanelError(f"{path}, segment {at}: is not UTF-8; save the messages as UTF-8") from None
    reader = _Reader(path, Coded(wanted.knowledge))
    message: _Message | None = None
    results = 0
    for number, raw in enumerate(_BREAK.split(text), start=1):
        line = str(raw).strip("\x0b\x1c \t")
        name, place = line[:3], f"segment {number}"
        if not line or name in ("FHS", "BHS", "BTS", "FTS"):
            continue
        if name == "MSH":
            message = _message(reader, line, place)
            continue
        if message is None:
            raise PanelError(f"{path}, {place}: '{shown(line, 20)}' stands before MSH; save the whole message")
        fields = message.split(line)
        if name == "PID":
            _patient(reader, message, fields, place)
        elif name in ("OBR", "SPM"):
            _order(message, fields, name)
        elif name == "OBX":
            results += 1
            try:
                _result(reader, message, fields, place)
            except PanelError as error:
                reader.problems.append(f"{path}, {place}: {error}")
    if not results:
        kinds = f" (messages of {', '.join(sorted(reader.other))})" if reader.other else ""
        raise PanelError(f"{path}: holds no result (OBX){kinds}; export messages ORU^R01")
    warnings = [
        f"{path}: {reason}; left out: {len(places)} ({', '.join(places[:LEFT_OUT])})"
        for reason, places in reader.left.items()
    ]
    if not text.endswith(("\r", "\n", "\x1c", "\x1c\r")):
        warnings.append(f"{path}: the last segment does not end with a line break; check that the file is whole")
    return Reading(
        [*reader.entries, *_people(reader)], reader.problems, [*warnings, *reader.coded.told(str(path))], content
    )


def _message(reader: _Reader, line: str, place: str) -> _Message:
    if len(line) < 8:
        raise PanelError(f"{reader.path}, {place}: MSH is cut off; save the whole message")
    sign = line[3]
    signs = line[4:].split(sign)[0]
    if len(set(sign + signs)) < len(sign + signs) or len(signs) < 2:
        raise PanelError(
            f"{reader.path}, {place}: MSH-2 is '{shown(signs)}'; expected four different signs such as ^~\\&"
        )
    message = _Message(sign, signs)
    fields = line.split(sign)
    kind = message.parts(fields[8])[0] if len(fields) > 8 else ""
    if kind != "ORU":
        reader.other.add(kind or "no type")
    return message


def _at(fields: list[str], i: int) -> str:
    return fields[i] if i < len(fields) else ""


def _patient(reader: _Reader, message: _Message, fields: list[str], place: str) -> None:
    name = message.parts(_at(fields, 3))[0] or message.parts(_at(fields, 2))[0]
    message.patient, message.when, message.specimen = name, "", ""
    born, sex = _date(message.parts(_at(fields, 7))[0]), message.parts(_at(fields, 8))[0].upper()
    first = reader.people.setdefault(name, (place, born, sex))
    where = f"{reader.path}, {place}: patient {name}"
    if first[1] and born and first[1] != born:
        reader.problems.append(f"{where} has two dates of birth, {first[1]} and {born}; give each person an id")
    if first[2] and sex and first[2] != sex:
        reader.problems.append(f"{where} is {first[2]} and {sex} (PID-8); give each person an id")
    if not name:
        reader.problems.append(f"{reader.path}, {place}: names no patient; fill PID-3")


def _order(message: _Message, fields: list[str], name: str) -> None:
    if name == "OBR":
        message.when = _time(message.parts(_at(fields, 7))[0])
        said = _at(fields, 15)
        first = said.split(message.signs[0])[0]
        message.specimen = message.plain(first.split(message.signs[3])[0] if len(message.signs) > 3 else first)
    else:
        parts = message.parts(_at(fields, 4))
        message.specimen = parts[0] or (parts[1] if len(parts) > 1 else "")
        message.when = message.when or _time(message.parts(_at(fields, 17))[0])


def _result(reader: _Reader, message: _Message, fields: list[str], place: str) -> None:
    code = message.parts(_at(fields, 3))
    triples = [code[i : i + 3] + [""] * 3 for i in (0, 3)]
    loinc = next((t[0] for t in triples if t[2] in ("LN", "LOINC")), "")
    own = [t for t in triples if t[0] or t[1]]
    name = reader.coded.name(loinc or own[0][0] if own else "", *(text for t in own for text in (t[1], t[0])))
    if not name:
        return
    status = _at(fields, 11).strip().upper()[:1]
    if status in VOID:
        reader.leave(f"status {status} (OBX-11)", place)
        return
    if status not in (*FINAL, *DOUBTED):
        raise PanelError(f"OBX-11 is '{shown(status)}'; expected a status of table 0085, such as F or P")
    kind = _at(fields, 2).strip().upper()
    if kind not in NUMBERS:
        reader.leave(f"values of type {kind} are no laboratory values that are read", place)
        return
    if message.signs[1] in _at(fields, 5):
        raise PanelError(f"{name}: OBX-5 holds several values; send each in a segment of its own")
    if not message.patient:
        raise PanelError(f"{name}: no PID names the patient; fill PID-3")
    value = _value(message, kind, _at(fields, 5))
    flags = {f.strip() for f in _at(fields, 8).split(message.signs[1])}
    sign = next((f for f in ("<", ">") if f in flags), "")
    if sign and value and value[:1] not in "<>":
        value = f"{sign}{value}"
    unit = message.parts(_at(fields, 6))
    reader.entries.append(
        Entry(
            place, message.patient, name, value, unit[0] or (unit[1] if len(unit) > 1 else ""), message.specimen,
            quality="doubtful" if status in DOUBTED else "",
            remarks=(f"status {status}",) if status in DOUBTED else (),
            date=_time(message.parts(_at(fields, 14))[0]) or message.when,
        )
    )  # fmt: skip


def _value(message: _Message, kind: str, text: str) -> str:
    parts = message.parts(text)
    if kind != "SN":
        return (parts[1] if len(parts) > 1 and parts[1] and kind in ("CE", "CWE", "CNE") else parts[0]).strip('"')
    sign, first, mark, second = (*parts, "", "", "", "")[:4]
    if not mark and not second:
        return f"{sign if sign not in ('=', '') else ''}{first}"
    if mark == "-" and not sign:
        return f"{first}..{second}"
    raise PanelError(f"OBX-5 is '{shown(text)}'; expected a number, a sign and a number, or two numbers with -")


def _time(text: str) -> str:
    """An ISO date and time of ``20240105103000+0100``; "" where it is none."""
    match = re.match(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d))?", text)
    if match is None:
        return ""
    return f"{match[1]}-{match[2]}-{match[3]}" + (f"T{match[4]}:{match[5]}" if match[4] else "")


def _date(text: str) -> str:
    found = _time(text)[:10]
    try:
        date.fromisoformat(found)
    except ValueError:
        return ""
    return found


def _people(reader: _Reader) -> Iterator[Entry]:
    days: dict[str, dict[str, None]] = {}
    given = {(e.patient, e.analyte) for e in reader.entries}
    for e in reader.entries:
        days.setdefault(e.patient, {})[e.date[:10]] = None
    for name, (place, born, sex) in reader.people.items():
        if name not in days:
            continue
        if (name, "sex") not in given and sex:
            yield Entry(place, name, "sex", SEXES.get(sex, sex), "")
        for day in days[name]:
            if born and day and (years := age(born, day)) and (name, "age") not in given:
                yield Entry(place, name, "age", years, "a", date=day)


def _sign(look: Look) -> bool:
    return look.text.lstrip("\x0b").startswith(("MSH|", "FHS|", "BHS|")) or bool(
        re.match(r"\x0b?MSH[^\w\s]\^~\\", look.text)
    )


FORMATS = (Format("hl7v2", "HL7 v2 results (ORU^R01)", _sign, read, rank=25),)
