"""FHIR Observations (R4, R4B, R5) to entries: codes, values, units, times, patients; what is left out is counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sys import intern
from typing import NamedTuple

from crosstalk.errors import PanelError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Analyte
from crosstalk.panel.entries import Entry, Reading
from crosstalk.panel.fhir_json import Document, Object, Resource, member, members, text
from crosstalk.panel.fhir_values import LeftOutError, has_value, value_of, words_of
from crosstalk.panel.vocabulary import BLOOD, FED, fasting, fluid

__all__ = ["read", "stream"]

LOINC = {"http://loinc.org", "https://loinc.org", "loinc", "urn:oid:2.16.840.1.113883.6.1"}
VOID = {"entered-in-error", "cancelled", "registered", "specimen-in-process"}
VALID = {"final", "preliminary", "amended", "corrected", "unknown", "appended"}
FASTED_H = 8.0  # hours without food that count as fasting, as in NHANES
# what is used of the resources that an Observation refers to
KEPT = {
    "Patient": ("resourceType", "id", "identifier", "gender", "birthDate"),
    "Specimen": ("resourceType", "id", "type", "collection"),
    "Encounter": ("resourceType", "id", "period"),
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_DAYS = 365.25  # UCUM's a
PLACES = 5  # named in a warning before the rest is counted
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?"
)  # fmt: skip
_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[^/]+)?$")


class _UnknownError(Exception):
    """A code that is no analyte's: the code, and what else to say of it."""


_Alike = tuple[str, str, str, str, str, tuple[str, ...]]  # analyte, name, unit, specimen, method, remarks


class _Draft(NamedTuple):
    """An entry before its patient's first time is known; what many entries have alike is one object."""

    place: str
    value: str
    when: int | None  # microseconds since 1970
    date: str  # as the file has it, in its own zone
    alike: _Alike

    def packed(self, alike: int) -> str:
        """One text, half the memory of the parts: a file may hold millions."""
        return (
            f"{alike} {'' if self.when is None else self.when} {self.date} {len(self.value)} {self.value}{self.place}"
        )

    @classmethod
    def unpacked(cls, packed: str, alike: Sequence[_Alike]) -> _Draft:
        number, when, date, length, rest = packed.split(" ", 4)
        end = int(length)
        return cls(rest[end:], rest[:end], int(when) if when else None, intern(date), alike[int(number)])


@dataclass
class _Reader:
    path: Path
    knowledge: Knowledge
    problems: list[str] = field(default_factory=list)
    drafts: dict[str, list[str]] = field(default_factory=dict)  # by patient, packed
    alike: dict[_Alike, int] = field(default_factory=dict)  # numbered
    unknown: dict[str, tuple[str, int]] = field(default_factory=dict)  # code: what else to say of it, and how many
    reasons: dict[str, tuple[list[str], int]] = field(default_factory=dict)  # the first places, and how many
    index: dict[tuple[str, str], list[Resource]] = field(default_factory=dict)
    labels: dict[str, tuple[str, Resource | None]] = field(default_factory=dict)
    names: dict[str, Analyte | None] = field(default_factory=dict)

    def note(self, reason: str, place: str) -> None:
        places, n = self.reasons.get(reason, ([], 0))
        if n < PLACES:
            places.append(place)
        self.reasons[reason] = places, n + 1

    # Codes

    def named(self, name: str) -> Analyte | None:
        if name not in self.names:
            self.names[name] = self.knowledge.find_analyte(name) if name else None
        return self.names[name]

    def analyte(self, concept: Object) -> tuple[Analyte, str]:
        """The analyte of a code and the text for its entry; raises `_UnknownError` if there is none."""
        codings = members(concept, "coding")
        words = [w for w in (text(concept, "text"), *(text(c, "display") for c in codings)) if w]
        loinc = [text(c, "code") for c in codings if text(c, "system").lower().rstrip("/") in LOINC]
        known = {a.id: c for c in loinc for a in [self.named(c)] if a is not None and c in a.loinc}
        by_name = {a.id: w for w in words for a in [self.named(w)] if a is not None}
        if len(known) > 1:
            raise PanelError(f"its LOINC codes mean {' and '.join(known)}; keep the one that was measured")
        if known:
            ((id_, code),) = known.items()
            other = next((one for one in by_name if one != id_), None)
            if other is not None:
                raise PanelError(
                    f"LOINC {code} is {id_}, but the name '{by_name[other]}' is {other}; correct one of them"
                )
            return self.knowledge.analytes[id_], code
        if not loinc and len(by_name) > 1:
            raise PanelError(f"its names mean {' and '.join(by_name)}; give a LOINC code")
        if not loinc and by_name:
            ((id_, word),) = by_name.items()
            return self.knowledge.analytes[id_], word
        name = f" ({words[0][:60]})" if words else ""
        if loinc:
            hint = next(iter(by_name), "")
            codes = ", ".join(self.knowledge.analytes[hint].loinc) if hint else ""
            more = f"; not read as {hint} by its name, since its LOINC {'is ' + codes if codes else 'is not known'}"
            raise _UnknownError(f"LOINC {', '.join(dict.fromkeys(loinc))}", f"{name}{more if hint else ''}")
        if codings:
            system = text(codings[0], "system") or "no system"
            raise _UnknownError(f"code {text(codings[0], 'code') or 'missing'} of {system}", name)
        raise _UnknownError(f"no code{name}", "")

    # Resources

    def keep(self, resource: Resource, others: Counter[str]) -> None:
        """Keep what an Observation may refer to, without what is not used; count the others."""
        used = KEPT.get(resource.type)
        if used is None:
            others[resource.type or "resource without a type"] += 1
            return
        if "implicitRules" in resource.content or "modifierExtension" in resource.content:
            self.note("follows rules of its own (implicitRules, modifierExtension); not used", resource.place)
            return
        lean = replace(resource, content={key: resource.content[key] for key in used if key in resource.content})
        for key in _keys(resource):
            self.index.setdefault((resource.type, key), []).append(lean)

    # One Observation

    def observation(self, resource: Resource) -> None:
        content = resource.content
        try:
            parts = members(content, "component")
        except PanelError as error:
            self.problems.append(f"{self.path}, {resource.place}: {error}")
            return
        items = [(content, resource.place)] if has_value(content) or not parts else []
        items += [(part, f"{resource.place}, component {n}") for n, part in enumerate(parts, start=1)]
        for item, place in items:
            try:
                analyte, name = self.analyte(member(item, "code"))
            except _UnknownError as unknown:
                code, more = unknown.args
                said, n = self.unknown.get(code, (more, 0))
                self.unknown[code] = said, n + 1
                continue
            except PanelError as error:
                self.problems.append(f"{self.path}, {place}: {error}")
                continue
            try:
                patient, draft = self.draft(resource, item, place, analyte, name)
                number = self.alike.setdefault(draft.alike, len(self.alike))
                self.drafts.setdefault(patient, []).append(draft.packed(number))
            except LeftOutError as left:
                self.note(f"left out: {left}", f"{place}, {analyte.id}")
            except PanelError as error:
                self.problems.append(f"{self.path}, {place}, {analyte.id}: {error}")

    def draft(self, resource: Resource, item: Object, place: str, analyte: Analyte, name: str) -> tuple[str, _Draft]:
        content = resource.content
        status = text(content, "status")
        if status in VOID:
            raise LeftOutError(f"status {status}")
        if "implicitRules" in content:
            raise LeftOutError("follows rules of its own (implicitRules), which may change its meaning")
        subject = text(member(content, "subject"), "reference")
        if any(text(one, "reference") != subject or not subject for one in members(content, "focus")):
            raise LeftOutError("is about somebody or something else than its patient (focus)")
        if "modifierExtension" in content or "modifierExtension" in item:
            raise LeftOutError("a modifierExtension may change its meaning")
        if status not in VALID:
            self.note(f"status is {status or 'missing'}; taken as final", place)
        remarks = [] if status == "final" else [f"status {status or 'missing'}"]
        value = value_of(item, analyte)
        for note in value.notes:
            self.note(note, f"{place}, {analyte.id}")
        specimen, words = self.specimen(resource, analyte, name, item)
        patient = self.patient(resource, place)
        when, dated = self.time(content, place)
        self.check_encounter(resource, when, place)
        remarks += [*value.remarks, *words, *dated, *_ranges(item), *_notes(content)]
        method = member(content, "method")
        alike = (
            analyte.id, name, value.unit, specimen, words_of(method)[0] if method else "", tuple(remarks),
        )  # fmt: skip
        moment = None if when is None else (when - EPOCH) // timedelta(microseconds=1)
        date = "" if when is None else when.date().isoformat()
        return patient, _Draft(place, value.text, moment, date, alike)

    # Specimen, patient, time

    def specimen(self, resource: Resource, analyte: Analyte, name: str, item: Object) -> tuple[str, list[str]]:
        """Fluid and fasting; raises `LeftOutError` for a value of another fluid."""
        reference = member(resource.content, "specimen")
        found = self.resolve(resource, text(reference, "reference"), "Specimen") if reference else None
        kind = member(found.content, "type") if found else {}
        said = words_of(kind) if kind else [text(reference, "display")] if text(reference, "display") else []
        fluids = [fluid(word) for word in said]
        in_blood = analyte.kind == "laboratory"
        other = next((one for one in fluids if one not in ("", "unknown", *BLOOD)), "")
        if in_blood and other:
            raise LeftOutError(f"measured in another fluid ({other}) than {analyte.specimen or 'blood'}")
        if in_blood and said and said != ["no words"] and not any(one in BLOOD for one in fluids):
            raise LeftOutError(f"measured in '{said[0][:40]}', which is not known as blood")
        concept = member(item, "code")
        spoken = [w for w in (text(concept, "text"), *(text(c, "display") for c in members(concept, "coding"))) if w]
        systems = [fluid(_system(w)) for w in spoken]
        wrong = next((one for one in systems if one not in ("", "unknown", *BLOOD)), "")
        if in_blood and wrong:
            raise LeftOutError(f"its code is of another fluid ({wrong}) than {analyte.specimen or 'blood'}")
        words = " ".join(said).lower()
        sure = list(dict.fromkeys(one for one in fluids if one in ("serum", "plasma")))
        name_ = sure[0] if len(sure) == 1 else "blood" if "blood" in fluids and analyte.specimen == "blood" else ""
        state = self.fasted(found, [name, *spoken]) if analyte.id in FED else ""
        # serum and plasma are drawn as blood: that says nothing against the analyte's own specimen
        return ", ".join(filter(None, (name_, state))), [] if name_ or not words else [f"specimen {words[:40]}"]

    @staticmethod
    def fasted(specimen: Resource | None, spoken: list[str]) -> str:
        """Whether the person had fasted, by the specimen's collection, the code or its words."""
        collection = member(specimen.content, "collection") if specimen else {}
        codes = {text(c, "code") for c in members(member(collection, "fastingStatusCodeableConcept"), "coding")}
        if codes & {"F", "FNA"}:
            return "fasting"
        if codes & {"NF", "NG"}:
            return "not fasting"
        duration = member(collection, "fastingStatusDuration")
        if text(duration, "code") in ("h", "hr") and str(duration.get("value", "")).replace(".", "", 1).isdigit():
            return "fasting" if float(str(duration["value"])) >= FASTED_H else "not fasting"
        found = {fasting(word) for word in spoken} - {None}
        return "not fasting" if False in found else "fasting" if found else ""

    def patient(self, resource: Resource, place: str) -> str:
        """Key of the patient; `labels` holds what to call it and its resource."""
        subject = member(resource.content, "subject")
        reference, identifier = text(subject, "reference"), member(subject, "identifier")
        kind = text(subject, "type")
        match = _REFERENCE.search(reference)
        kind = match[1] if match else kind
        if kind and kind != "Patient":
            raise LeftOutError(f"its subject is a {kind}, no Patient")
        found = self.resolve(resource, reference, "Patient")
        if found is None and text(identifier, "value"):
            found = next(iter(self.index.get(("Patient", _identity(identifier)), [])), None)
        if found is not None:
            same = [_identity(one) for one in members(found.content, "identifier") if text(one, "value")]
            own = found.container is None
            key = f"resource {found.place}" if own or not same else same[0]
            name = found.id if own else ""
            url = found.url.rsplit("/", 1)[-1].removeprefix("urn:uuid:")
            label = name or url or (same[0].rsplit("|", 1)[-1] if same else found.place)
        elif reference and not reference.startswith("#"):
            key = reference.split("/_history/")[0]
            label = match[2] if match else key.removeprefix("urn:uuid:").removeprefix("urn:oid:")
        elif text(identifier, "value"):
            key, label = _identity(identifier), text(identifier, "value")
        elif text(subject, "display"):
            key = label = text(subject, "display")
            self.note("its patient is named by display alone", place)
        else:
            raise PanelError("names no patient; give subject.reference, such as Patient/123")
        self.labels.setdefault(key, (label, found))
        return key

    def resolve(self, resource: Resource, reference: str, kind: str) -> Resource | None:
        if reference.startswith("#"):
            owner = resource.container or resource.content
            for one in members(owner, "contained"):
                if text(one, "id") == reference[1:] and text(one, "resourceType") == kind:
                    return Resource(one, f"{resource.place}, contained {reference[1:]}", "", owner)
            return None
        match = _REFERENCE.search(reference)
        found = self.index.get((kind, reference.split("/_history/")[0])) if reference else None
        if not found and match and match[1] == kind and "://" not in reference:
            found = self.index.get((kind, f"{kind}/{match[2]}"), [])
            if len(found) > 1:
                raise PanelError(f"{reference} may be {' or '.join(one.place for one in found)}; use full URLs")
        return found[0] if found else None

    def time(self, content: Object, place: str) -> tuple[datetime | None, list[str]]:
        for key in ("effectiveDateTime", "effectiveInstant"):
            if text(content, key):
                return self.date(text(content, key), key, place), []
        period, timing = member(content, "effectivePeriod"), member(content, "effectiveTiming")
        for end in ("start", "end"):
            if text(period, end):
                return self.date(text(period, end), f"effectivePeriod.{end}", place), [f"time is the period's {end}"]
        events = timing.get("event")
        if isinstance(events, list) and events and isinstance(events[0], str):
            return self.date(events[0], "effectiveTiming.event", place), ["time is the first event's"]
        if text(content, "issued"):
            self.note("no effective time; the time of issue is used", place)
            return self.date(text(content, "issued"), "issued", place), ["time is that of issue"]
        return None, ["no time"]

    def check_encounter(self, resource: Resource, when: datetime | None, place: str) -> None:
        """Say so where a value was taken on another day than its encounter: one of the two dates is wrong."""
        reference = text(member(resource.content, "encounter"), "reference")
        found = self.resolve(resource, reference, "Encounter")
        period = member(found.content, "period") if found else {}
        if when is None or not text(period, "start") or not text(period, "end"):
            return
        start, _ = _date(text(period, "start"), "Encounter.period.start")
        end, _ = _date(text(period, "end"), "Encounter.period.end")
        if not start - timedelta(days=1) <= when <= end + timedelta(days=1):
            self.note("time is more than a day away from its Encounter; read as it stands, check it", place)

    def date(self, words: str, key: str, place: str) -> datetime:
        """A point in time; a part that is not given is its first, and a warning says so."""
        found, lacks = _date(words, key)
        if lacks:
            self.note(lacks, place)
        return found


def read(path: Path, knowledge: Knowledge | None = None) -> Reading:
    """Read Observations of R4, R4B or R5: one resource, a Bundle of any type, an array, or NDJSON.

    A Patient resource in the same file gives sex and age. Times are hours from the patient's first Observation that is
    read. Observations that are no analyte are counted in one warning per code.

    Parameters
    ----------
    path : Path
    knowledge : Knowledge, optional
        Whose analytes to look for.

    Returns
    -------
    Reading

    Raises
    ------
    PanelError
        If the file is no FHIR in JSON, or holds no Observation.

    References
    ----------
    HL7 FHIR, Observation: https://hl7.org/fhir/R4/observation.html, https://hl7.org/fhir/R5/observation.html

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> observation = '''{"resourceType": "Observation", "id": "a1", "status": "final",
    ...   "code": {"coding": [{"system": "http://loinc.org", "code": "30522-7"}]},
    ...   "subject": {"reference": "Patient/7"}, "effectiveDateTime": "2024-05-01T08:30:00Z",
    ...   "valueQuantity": {"value": 0.15, "comparator": "<", "system": "http://unitsofmeasure.org", "code": "mg/L"}}'''
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "crp.json"
    ...     _ = file.write_text(observation)
    ...     entry = read(file).entries[0]
    >>> entry.place, entry.patient, entry.analyte, entry.value, entry.unit
    ('Observation/a1', '7', '30522-7', '<0.15', 'mg/L')
    """
    reading = stream(path, knowledge)
    return replace(reading, entries=list(reading.entries), content=path.read_bytes())


def stream(path: Path, knowledge: Knowledge | None = None) -> Reading:
    """As `read`, but the entries are made while they are asked for: problems and warnings are whole after the last."""
    document = Document(path)
    reader = _Reader(path, knowledge or load_knowledge(), document.problems)
    observations, others = 0, Counter[str]()
    for resource in document.others():
        reader.keep(resource, others)
    for resource in document.observations():
        if resource.type == "Observation":
            observations += 1
            reader.observation(resource)
        else:
            reader.keep(resource, others)
    held = ", ".join(f"{number} {kind}" for kind, number in others.most_common())
    if not observations and not document.problems:
        patients = len({one.place for (kind, _), found in reader.index.items() if kind == "Patient" for one in found})
        held = ", ".join(filter(None, [f"{patients} Patient" if patients else "", held])) or "nothing"
        said = "; ".join(document.warnings)
        raise PanelError(f"{path}: holds no Observation; it holds {held}{'; ' + said if said else ''}")
    if others:
        document.warnings.append(
            f"{path}: left out: {held}; only Observation, Patient, Specimen and Encounter are read"
        )
    return Reading(_entries(reader, document.warnings), document.problems, document.warnings, sha256=document.sha256)


# Patients


def _entries(reader: _Reader, warnings: list[str]) -> Iterator[Entry]:
    """Name the patients, set the times, add sex and age; what is told of patients is added at the end."""
    often = Counter(reader.labels[key][0] for key in reader.drafts)
    alike = list(reader.alike)
    reader.index.clear()  # what is needed of it has its label
    for key in list(reader.drafts):
        label, resource = reader.labels.pop(key)
        name = label if often[label] == 1 else key.removeprefix("resource ")
        kept = _without_repeats(reader, [_Draft.unpacked(one, alike) for one in reader.drafts.pop(key)])
        whens = {one.when: one.date for one in kept if one.when is not None}
        start = min(whens, default=None)
        held = {one.alike[0] for one in kept if one.value}
        if resource is None:
            reader.note("no Patient resource in the file, so no sex and age; add it (NDJSON files may be joined)", name)
        else:
            try:
                yield from _covariates(reader, resource, name, whens, held)
            except LeftOutError as left:
                reader.note(f"left out with {len(kept)} values: {left}", f"patient {name}")
                continue
            except PanelError as error:
                reader.problems.append(f"{reader.path}, {resource.place}: {error}")
                continue
        for one in kept:
            _, called, unit, specimen, method, remarks = one.alike
            time = "" if one.when is None or start is None else f"{(one.when - start) / 3.6e9:.10g}"
            yield Entry(
                one.place, name, called, one.value, unit, specimen, method, time=time, remarks=remarks, date=one.date
            )
    warnings += [
        f"{reader.path}: {code}{said}: not among the analytes; values left out: {n}"
        for code, (said, n) in reader.unknown.items()
    ]
    warnings += [f"{reader.path}: {reason}: {_listed(*found)}" for reason, found in reader.reasons.items()]


def _without_repeats(reader: _Reader, drafts: list[_Draft]) -> list[_Draft]:
    """Leave out replays of one value, and undated values of an analyte that has dated ones."""
    dated = {one.alike[0] for one in drafts if one.when is not None}
    seen: dict[tuple[object, ...], str] = {}
    kept = []
    for one in drafts:
        analyte, _, unit, *_ = one.alike
        key = (analyte, one.when, one.value, unit)
        where = f"{one.place}, {analyte}"
        if one.when is None and analyte in dated:
            reader.note("left out: no time, and the analyte has values with one", where)
        elif key in seen:
            reader.note("left out: repeats another Observation with the same time and value", f"{where}: {seen[key]}")
        else:
            seen[key] = one.place
            if one.when is None:
                reader.note("no time; taken as the first", where)
            kept.append(one)
    return kept


def _covariates(reader: _Reader, resource: Resource, name: str, whens: dict[int, str], held: set[str]) -> list[Entry]:
    """Sex and age of a Patient resource, unless Observations give them; missing ones get a warning.

    The age is given for each time of an Observation (``whens``, with its date), since a panel may be of any of them.
    """
    found = []
    if "sex" not in held:
        gender = text(resource.content, "gender")
        sex = gender if gender in ("female", "male") else ""
        if not sex:
            reader.note(f"gender is {gender or 'missing'}; sex is missing", resource.place)
        found.append(Entry(resource.place, name, "sex", sex, "", remarks=() if sex else (f"gender {gender}",)))
    if "age" in held:
        return found
    words, remarks = text(resource.content, "birthDate"), list[str]()
    if not words or not whens:
        missing = "birthDate is missing" if not words else "no Observation has a time"
        reader.note(f"{missing}; age is missing", resource.place)
        return [*found, Entry(resource.place, name, "age", "", "")]
    # half a year or half a month later, where the day is not given
    middle = {4: "-07-01", 7: "-15"}.get(len(words), "")
    born, _ = _date(words + middle, "birthDate")
    if middle:
        remarks.append(f"birthDate {words}")
        reader.note("birthDate without a day; its middle is used", resource.place)
    low, high = reader.knowledge.analytes["age"].plausible
    birth = (born - EPOCH) / timedelta(microseconds=1)
    times = sorted(whens)
    ages = [((when - birth) / (YEAR_DAYS * 24 * 3.6e9), when) for when in times]
    fitting = [(years, when) for years, when in ages if low <= years < high]
    if not fitting:
        raise LeftOutError(
            f"age at the first Observation is {ages[0][0]:.1f} a; read are ages of {low:g} to {high:g} a"
        )
    for years, when in fitting:
        hours = f"{(when - times[0]) / 3.6e9:.10g}"
        found.append(Entry(
            resource.place, name, "age", f"{years:.2f}", "a", time=hours, date=whens[when], remarks=tuple(remarks)
        ))  # fmt: skip
    return found


def _keys(resource: Resource) -> set[str]:
    """What a reference may call a resource."""
    keys = {resource.url, f"{resource.type}/{resource.id}" if resource.id and resource.container is None else ""}
    found = resource.content.get("identifier")
    for one in found if isinstance(found, list) and resource.container is None else []:
        if isinstance(one, dict) and text(one, "value"):
            keys.add(_identity(one))
    return keys - {""}


def _identity(identifier: Object) -> str:
    return f"{text(identifier, 'system')}|{text(identifier, 'value')}"


# Words


def _system(words: str) -> str:
    """The system that the display of a code names: ``Cerebral spinal fluid`` of ``... in Cerebral spinal fluid``."""
    return words.rpartition(" in ")[2] if " in " in words else "CSF" if "csf" in words.lower().split() else ""


def _date(words: str, key: str) -> tuple[datetime, str]:
    """A point in time, and what was assumed about it."""
    match = _DATE.fullmatch(words)
    try:
        if match is None or int(match[1]) < 1900:
            raise ValueError
        year, month, day, hour, minute, second = (int(match[n] or "011000"[n - 1]) for n in range(1, 7))
        micro = int((match[7] or "")[:6].ljust(6, "0"))
        offset = match[8] or "Z"
        zone = UTC if offset == "Z" else datetime.fromisoformat(f"2000-01-01T00:00{offset}").tzinfo
        # FHIR allows the leap second
        found = datetime(year, month, day, hour, minute, min(second, 59), micro, zone)
    except ValueError:
        raise PanelError(f"{key}: received '{words[:40]}', expected a date such as 2024-05-01T08:30:00Z") from None
    if match[4] is None:
        return found, "a date without a time of day; its first moment in UTC is used"
    return found, "" if match[8] else "a time without a zone; UTC is assumed"


def _ranges(item: Object) -> list[str]:
    found = []
    for one in members(item, "referenceRange"):
        ends = [member(one, "low"), member(one, "high")]
        shown = [f"{end.get('value', '')} {text(end, 'unit') or text(end, 'code')}".strip() for end in ends]
        said = text(one, "text")
        found.append(f"reference of the laboratory: {' to '.join(filter(None, shown)) or said}")
    return found


def _notes(content: Object) -> list[str]:
    return [f"note: {text(note, 'text')[:200]}" for note in members(content, "note") if text(note, "text")]


def _listed(places: list[str], n: int) -> str:
    more = f"; and {n - len(places)} more" if n > len(places) else ""
    return f"{n} ({'; '.join(places)}{more})"
