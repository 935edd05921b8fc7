"""FHIR Observations: every value is read right, or refused or left out with its place and reason."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.knowledge import load_knowledge
from crosstalk.panel.entries import Entry, Reading
from crosstalk.panel.fhir import read
from crosstalk.panel.reader import read_panel

KNOWLEDGE = load_knowledge()
CRP = "30522-7"
Json = dict[str, Any]


def concept(code: str, system: str = "http://loinc.org", **more: str) -> Json:
    return {"coding": [{"system": system, "code": code}], **more}


def quantity(value: Any = 5.2, unit: str = "mg/L", **more: Any) -> Json:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit, **more}


def observation(id_: str = "a1", code: str | Json = CRP, **more: Any) -> Json:
    """An Observation of hsCRP; a field given as None is left out."""
    found = {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": concept(code) if isinstance(code, str) else code,
        "subject": {"reference": "Patient/7"},
        "effectiveDateTime": "2024-05-01T08:00:00Z",
        "valueQuantity": quantity(),
        **more,
    }
    return {key: value for key, value in found.items() if value is not None}


def patient(id_: str = "7", **more: Any) -> Json:
    found = {"resourceType": "Patient", "id": id_, "gender": "female", "birthDate": "1984-05-01", **more}
    return {key: value for key, value in found.items() if value is not None}


def bundle(*resources: Json, kind: str = "collection", **more: Any) -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": one} for one in resources], **more}


def write(folder: Path, content: Any, name: str = "panel.json") -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def take(folder: Path, *resources: Json) -> Reading:
    return read(write(folder, bundle(*resources)))


def laboratory(reading: Reading) -> list[Entry]:
    """Entries that are no covariate of a Patient resource."""
    return [entry for entry in reading.entries if entry.analyte not in ("sex", "age")]


def only(reading: Reading) -> Entry:
    assert reading.problems == []
    (entry,) = laboratory(reading)
    return entry


# Conservation


def count_items(resources: Iterable[Json]) -> int:
    """Values that Observations hold: one each, or one per component and one for a value beside them."""
    total = 0
    for one in resources:
        parts = one.get("component", [])
        own = any(key.startswith("value") or key == "dataAbsentReason" for key in one)
        total += len(parts) + (1 if own or not parts else 0)
    return total


def count_accounted(reading: Reading) -> int:
    """Values that the reading holds, or says in a problem or warning that it left out."""
    total = len(laboratory(reading)) + len(reading.problems)
    for warning in reading.warnings:
        for pattern in (r"values left out: (\d+)$", r": left out: .*: (\d+) \(", r"left out with (\d+) values"):
            total += sum(int(number) for number in re.findall(pattern, warning))
        total += "stands twice" in warning
    return total


# Values


VALUES: dict[str, tuple[Json, str, str]] = {
    "quantity": ({}, "5.2", "mg/L"),
    "digits are kept": ({"valueQuantity": quantity(5)}, "5", "mg/L"),
    "below": ({"valueQuantity": quantity(0.15, comparator="<")}, "<0.15", "mg/L"),
    "at most": ({"valueQuantity": quantity(0.15, comparator="<=")}, "<=0.15", "mg/L"),
    "above": ({"valueQuantity": quantity(300, comparator=">")}, ">300", "mg/L"),
    "at least": ({"valueQuantity": quantity(300, comparator=">=")}, ">=300", "mg/L"),
    "number as a string": ({"valueQuantity": quantity(" 5.20 ")}, "5.20", "mg/L"),
    "code before unit": ({"valueQuantity": {**quantity(), "unit": "mg/dL"}}, "5.2", "mg/L"),
    "unit alone": ({"valueQuantity": {"value": 5.2, "unit": "mg/L"}}, "5.2", "mg/L"),
    "code of another system": (
        {"valueQuantity": {"value": 5.2, "unit": "mg/L", "system": "http://snomed.info/sct", "code": "258796002"}},
        "5.2",
        "mg/L",
    ),
    "off the scale": (
        {"interpretation": [concept("<", "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation")]},
        "<5.2",
        "mg/L",
    ),
    "high is no limit": ({"interpretation": [concept("H", "x")]}, "5.2", "mg/L"),
    "string": ({"valueQuantity": None, "valueString": "<0.15 mg/L"}, "<0.15", "mg/L"),
    "concept": ({"valueQuantity": None, "valueCodeableConcept": {"text": "> 300 mg/L"}}, ">300", "mg/L"),
    "integer": ({"valueQuantity": None, "valueInteger": 5}, "5", ""),
    "range": (
        {"valueQuantity": None, "valueRange": {"low": quantity(0.1), "high": quantity(0.5)}},
        "0.1..0.5",
        "mg/L",
    ),
    "range without a lower end": ({"valueQuantity": None, "valueRange": {"high": quantity(0.5)}}, "<=0.5", "mg/L"),
    "range without an upper end": ({"valueQuantity": None, "valueRange": {"low": quantity(9)}}, ">=9", "mg/L"),
    "absent": ({"valueQuantity": None, "dataAbsentReason": {"text": "haemolysed"}}, "", ""),
    "nothing": ({"valueQuantity": None}, "", ""),
    "quantity without a number": ({"valueQuantity": {"unit": "mg/L"}}, "", ""),
    "words": ({"valueQuantity": None, "valueString": "QNS"}, "", ""),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(tmp_path: Path, name: str) -> None:
    fields, value, unit = VALUES[name]
    reading = take(tmp_path, observation(**fields))
    entry = only(reading)
    assert (entry.value, entry.unit) == (value, unit)
    assert (entry.place, entry.patient, entry.analyte) == ("Observation/a1 (entry 1)", "7", CRP)
    # what is missing is said, with its place
    assert value or any("no value" in w and "Observation/a1" in w for w in reading.warnings)


def test_a_unit_that_contradicts_its_code_gets_a_warning(tmp_path: Path) -> None:
    (warning,) = [
        w for w in take(tmp_path, observation(valueQuantity={**quantity(), "unit": "mg/dL"})).warnings if "UCUM" in w
    ]
    assert "'mg/dL' is not the UCUM code 'mg/L'; the code is used" in warning
    for same in ("ug/mL", "mg/l", "milligrams per litre"):
        warnings = take(tmp_path, observation(valueQuantity={**quantity(), "unit": same})).warnings
        assert not any("UCUM" in w for w in warnings)


REFUSED: dict[str, tuple[Json, str]] = {
    "two values": ({"valueInteger": 5}, "holds valueQuantity and valueInteger"),
    "value and reason": ({"dataAbsentReason": {"text": "x"}}, "obs-6"),
    "unknown comparator": ({"valueQuantity": quantity(comparator="~")}, "comparator '~'; expected one of < <= >= >"),
    "contradiction": (
        {"valueQuantity": quantity(comparator=">"), "interpretation": [concept("<", "x")]},
        "comparator says > and the interpretation <",
    ),
    "not a number": ({"valueQuantity": quantity(True)}, "value: received True, expected a number"),
    "not an object": ({"valueQuantity": 5.2}, "valueQuantity: received the number 5.2, expected an object"),
    "unit is a number": ({"valueQuantity": {"value": 1, "unit": 5}}, "unit of the unit: received '5'"),
    "undetected": ({"valueQuantity": None, "valueString": "Not detected"}, "comparator '<'"),
    "undetected by code": (
        {"valueQuantity": None, "valueCodeableConcept": concept("260415000", "http://snomed.info/sct")},
        "without a limit",
    ),
    "words with digits": (
        {"valueQuantity": None, "valueString": "see report 12"},
        "received the words 'see report 12'",
    ),
    "range in two units": (
        {"valueQuantity": None, "valueRange": {"low": quantity(1), "high": quantity(5, "mg/dL")}},
        "valueRange in mg/L and mg/dL",
    ),
    "no patient": ({"subject": None}, "names no patient; give subject.reference"),
    "subject is a string": ({"subject": "Patient/7"}, "subject: received a string, expected an object"),
    "date": ({"effectiveDateTime": "2024-13-01"}, "effectiveDateTime: received '2024-13-01', expected a date such as"),
    "day first": ({"effectiveDateTime": "01.05.2024"}, "expected a date such as 2024-05-01T08:30:00Z"),
    "two analytes": (
        {"code": {"coding": [*concept(CRP)["coding"], *concept("26881-3")["coding"]]}},
        "its LOINC codes mean hsCRP and IL-6",
    ),
    "code against name": ({"code": concept(CRP, text="IL-6")}, f"LOINC {CRP} is hsCRP, but the name 'IL-6' is IL-6"),
    "code is a list": ({"code": [concept(CRP)]}, "code: received a list, expected an object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_be_misread_is_a_problem_with_its_place(tmp_path: Path, name: str) -> None:
    fields, words = REFUSED[name]
    reading = take(tmp_path, observation(**fields), observation("fine"))
    (problem,) = reading.problems
    assert words in problem
    assert "panel.json, Observation/a1 (entry 1)" in problem
    assert [entry.place for entry in laboratory(reading)] == ["Observation/fine (entry 2)"]


LEFT_OUT: dict[str, tuple[Json, str]] = {
    "entered in error": ({"status": "entered-in-error"}, "status entered-in-error"),
    "cancelled": ({"status": "cancelled"}, "status cancelled"),
    "registered": ({"status": "registered"}, "status registered"),
    "sufficient": ({"valueQuantity": quantity(comparator="ad")}, "'ad' (sufficient to achieve this total)"),
    "ratio": ({"valueQuantity": None, "valueRatio": {}}, "valueRatio is no form"),
    "boolean": ({"valueQuantity": None, "valueBoolean": True}, "valueBoolean is no form"),
    "modifier": ({"modifierExtension": [{"url": "http://x"}]}, "modifierExtension may change its meaning"),
    "group": ({"subject": {"reference": "Group/7"}}, "its subject is a Group"),
    "urine": ({"specimen": {"display": "Urine specimen"}}, "measured in another fluid (urine) than serum"),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_warned_of_with_its_place(tmp_path: Path, name: str) -> None:
    fields, words = LEFT_OUT[name]
    reading = take(tmp_path, observation(**fields), observation("fine"))
    assert reading.problems == []
    assert only(reading).place == "Observation/fine (entry 2)"
    (warning,) = [w for w in reading.warnings if ": left out: " in w]
    assert words in warning
    assert "1 (Observation/a1 (entry 1), hsCRP)" in warning


@pytest.mark.parametrize(
    ("status", "remark"),
    [("preliminary", True), ("amended", True), ("corrected", True), ("unknown", True), (None, True), ("final", False)],
)
def test_a_status_that_is_not_final_stays_with_the_value(tmp_path: Path, status: str | None, remark: bool) -> None:
    reading = take(tmp_path, observation(status=status))
    assert any(r == f"status {status or 'missing'}" for r in only(reading).remarks) is remark
    assert any("status is missing; taken as final: 1 (Observation/a1" in w for w in reading.warnings) is (
        status is None
    )


# Codes


def test_every_loinc_of_the_knowledge_base_is_read_under_its_analyte(tmp_path: Path) -> None:
    codes = [(code, analyte.id) for analyte in KNOWLEDGE.analytes.values() for code in analyte.loinc]
    reading = take(tmp_path, *(observation(f"o{n}", c, valueQuantity=quantity(n)) for n, (c, _) in enumerate(codes)))
    found = [KNOWLEDGE.analyte(entry.analyte).id for entry in laboratory(reading)]
    assert found == [id_ for _, id_ in codes]
    assert len(found) > 15


def test_several_codings_one_of_which_is_known(tmp_path: Path) -> None:
    coding = [{"system": "http://local", "code": "77"}, *concept("11111-1")["coding"], *concept(CRP)["coding"]]
    assert only(take(tmp_path, observation(code={"coding": coding}))).analyte == CRP


@pytest.mark.parametrize("system", ["http://loinc.org", "https://loinc.org/", "urn:oid:2.16.840.1.113883.6.1"])
def test_spellings_of_loinc(tmp_path: Path, system: str) -> None:
    assert only(take(tmp_path, observation(code=concept(CRP, system)))).analyte == CRP


def test_names_count_only_where_no_loinc_stands(tmp_path: Path) -> None:
    assert only(take(tmp_path, observation(code={"text": "hs-CRP"}))).analyte == "hs-CRP"
    local = {"coding": [{"system": "http://local", "code": "77", "display": "Kynurenine"}]}
    assert only(take(tmp_path, observation(code=local))).analyte == "Kynurenine"
    # urinary cortisol is not cortisol, whatever it is called
    reading = take(tmp_path, observation(code=concept("2147-7", text="Cortisol")), observation("fine"))
    (warning,) = [w for w in reading.warnings if "2147-7" in w]
    assert "LOINC 2147-7 (Cortisol); not read as cortisol by its name, since its LOINC is 2143-6" in warning
    assert warning.endswith("values left out: 1")


def test_a_loinc_code_under_another_system_is_not_trusted(tmp_path: Path) -> None:
    for system in ({"system": "urn:oid:1.2.3"}, {}):
        code = {"coding": [{**system, "code": CRP}]}
        reading = take(tmp_path, observation(code=code), observation("fine"))
        assert [w for w in reading.warnings if f"code {CRP} of {system.get('system', 'no system')}" in w]
        assert only(reading).place.startswith("Observation/fine")


def test_unknown_codes_are_counted_in_one_warning_each(tmp_path: Path) -> None:
    others = [observation(f"s{n}", code=concept("2951-2", text=f"Sodium {n % 2}")) for n in range(7)]
    reading = take(tmp_path, observation(), *others, observation("k", code=concept("2823-3")))
    counted = [w.split(": ", 1)[1] for w in reading.warnings if "not among the analytes" in w]
    assert counted == [
        "LOINC 2951-2 (Sodium 0): not among the analytes; values left out: 7",
        "LOINC 2823-3: not among the analytes; values left out: 1",
    ]
    assert len(laboratory(reading)) == 1


def test_components_are_values_of_their_own(tmp_path: Path) -> None:
    parts = [
        {"code": concept("44250-9"), "valueInteger": 2},
        {"code": concept("44261-6"), "valueInteger": 14},
        {"code": concept("44255-8"), "dataAbsentReason": {"text": "asked"}},
    ]
    reading = take(tmp_path, observation(code=concept("44249-1"), valueQuantity=None, component=parts))
    entry = only(reading)
    assert (entry.value, entry.unit, entry.place) == ("14", "", "Observation/a1 (entry 1), component 2")
    assert KNOWLEDGE.analyte(entry.analyte).id == "PHQ9"
    assert count_accounted(reading) == 3


# Patients and times


def test_a_patient_resource_gives_sex_and_age(tmp_path: Path) -> None:
    late = observation(
        "b", "2345-7", effectiveDateTime="2024-05-02T20:30:00+02:00", valueQuantity=quantity(90, "mg/dL")
    )
    reading = take(tmp_path, patient(), late, observation())
    found = {entry.analyte: entry for entry in reading.entries}
    assert (found["sex"].value, found["sex"].unit, found["sex"].place) == ("female", "", "Patient/7 (entry 1)")
    assert (found["age"].value, found["age"].unit) == ("40.00", "a")
    assert {entry.patient for entry in reading.entries} == {"7"}
    assert [found[code].time for code in (CRP, "2345-7")] == ["0", "34.5"]
    assert reading.warnings == []


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"gender": "other"}, "gender is other; sex is missing"),
        ({"gender": "unknown"}, "gender is unknown; sex is missing"),
        ({"gender": None}, "gender is missing; sex is missing"),
        ({"birthDate": None}, "birthDate is missing; age is missing"),
        ({"birthDate": "1984"}, "birthDate without a day; its middle is used"),
    ],
)
def test_what_a_patient_lacks_is_said(tmp_path: Path, fields: Json, warning: str) -> None:
    reading = take(tmp_path, patient(**fields), observation())
    assert reading.problems == []
    assert any(warning in w and "Patient/7" in w for w in reading.warnings)
    found = {entry.analyte: entry.value for entry in reading.entries}
    assert found["sex"] == ("" if "gender" in fields else "female")
    assert found["age"] == {"1984": "39.83", None: ""}.get(fields.get("birthDate", "given"), "40.00")


def test_sex_and_age_of_observations_come_before_those_of_the_patient(tmp_path: Path) -> None:
    sex = observation("s", code={"text": "Sex"}, valueQuantity=None, valueCodeableConcept={"text": "Male (finding)"})
    age = observation("y", code={"text": "Age"}, valueQuantity=quantity(41, "a"))
    found = {entry.analyte.lower(): entry.value for entry in take(tmp_path, patient(), sex, age).entries}
    assert found == {"sex": "male", "age": "41"}


@pytest.mark.parametrize(("born", "years"), [("2015-05-01", "9.0"), ("1880", None), ("2025-05-01", "-1.0")])
def test_ages_beyond_those_of_a_panel(tmp_path: Path, born: str, years: str | None) -> None:
    reading = take(
        tmp_path,
        patient(birthDate=born),
        observation(),
        patient("8"),
        observation("b", subject={"reference": "Patient/8"}),
    )
    assert {entry.patient for entry in reading.entries} == ({"8"} if years else {"8", "7"} - {"7"})
    if years:
        assert any(f"age at the first Observation is {years} a" in w and "patient 7" in w for w in reading.warnings)
        assert count_accounted(reading) == 2
    else:
        assert any("Patient/7" in p and "birthDate: received '1880" in p for p in reading.problems)


def referring(reference: Any) -> Json:
    return observation(subject=reference if isinstance(reference, dict) else {"reference": reference})


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/7", "Patient/7/_history/2", "http://server/fhir/Patient/7",
        "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
        {"identifier": {"system": "http://mrn", "value": "X9"}}, {"display": "Ann"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("there", [True, False])
def test_references_to_a_patient(tmp_path: Path, reference: Any, there: bool) -> None:
    words = reference if isinstance(reference, str) else ""
    entries = [{"resource": referring(reference)}]
    if there:
        who = patient(None if words.startswith("urn") else "7", identifier=[{"system": "http://mrn", "value": "X9"}])
        entries.insert(
            0,
            {"fullUrl": words if "://" in words or words.startswith("urn") else "http://x/Patient/7", "resource": who},
        )
    reading = read(write(tmp_path, {"resourceType": "Bundle", "type": "collection", "entry": entries}))
    resolved = there and reference != {"display": "Ann"}
    label = {True: "7", False: "X9" if isinstance(reference, dict) and "identifier" in reference else "7"}[resolved]
    label = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" if words.startswith("urn") else label
    label = "Ann" if reference == {"display": "Ann"} else label
    assert only(reading).patient == label
    assert ("sex" in [entry.analyte for entry in reading.entries]) is resolved
    assert any("no Patient resource in the file" in w for w in reading.warnings) is not resolved


def test_contained_patients_and_specimens(tmp_path: Path) -> None:
    who = patient("p", identifier=[{"system": "http://mrn", "value": "X9"}])
    what = {"resourceType": "Specimen", "id": "s", "type": {"text": "Plasma specimen"}}
    own = {"subject": {"reference": "#p"}, "specimen": {"reference": "#s"}, "contained": [who, what]}
    reading = take(tmp_path, observation("a", **own), observation("b", "26881-3", **own))
    assert [(e.patient, e.specimen) for e in laboratory(reading)] == [("X9", "plasma")] * 2
    assert [e.value for e in reading.entries if e.analyte == "sex"] == ["female"]


def test_observations_contained_in_a_report(tmp_path: Path) -> None:
    inner = observation("o", subject={"reference": "Patient/7"})
    report = {"resourceType": "DiagnosticReport", "id": "r", "contained": [inner]}
    reading = take(tmp_path, report)
    assert only(reading).place == "DiagnosticReport/r (entry 1), contained o"
    assert any("left out: 1 DiagnosticReport" in w for w in reading.warnings)


def test_two_patients_of_one_id_stay_two(tmp_path: Path) -> None:
    both = [observation(f"o{n}", subject={"reference": f"http://{n}/fhir/Patient/7"}) for n in "ab"]
    patients = {entry.patient for entry in laboratory(take(tmp_path, *both))}
    assert patients == {"http://a/fhir/Patient/7", "http://b/fhir/Patient/7"}


@pytest.mark.parametrize(
    ("fields", "hours", "remark"),
    [
        ({"effectiveDateTime": "2024-05-01T10:00:00+01:00"}, "1", ""),
        ({"effectiveDateTime": "2024-05-01T09:00"}, "1", ""),
        ({"effectiveDateTime": "2024-05-02"}, "16", ""),
        ({"effectiveDateTime": None, "effectiveInstant": "2024-05-01T08:00:01.8Z"}, "0.0005", ""),
        ({"effectiveDateTime": None, "effectivePeriod": {"start": "2024-05-01T08:30:00Z"}}, "0.5", "period's start"),
        ({"effectiveDateTime": None, "effectivePeriod": {"end": "2024-05-01T08:30:00Z"}}, "0.5", "period's end"),
        ({"effectiveDateTime": None, "effectiveTiming": {"event": ["2024-05-01T09:00:00Z"]}}, "1", "first event"),
        ({"effectiveDateTime": None, "issued": "2024-05-01T20:00:00Z"}, "12", "time is that of issue"),
    ],
)
def test_times(tmp_path: Path, fields: Json, hours: str, remark: str) -> None:
    reading = take(tmp_path, observation(), observation("b", "26881-3", **fields))
    assert [entry.time for entry in laboratory(reading)] == ["0", hours]
    assert any(remark in r for r in [*laboratory(reading)[1].remarks, ""])
    vague = fields.get("effectiveDateTime") in ("2024-05-01T09:00", "2024-05-02") or "issued" in fields
    assert any("is assumed" in w or "is used" in w for w in reading.warnings) is vague


def test_a_value_without_a_time_never_passes_for_the_first(tmp_path: Path) -> None:
    bare = observation("b", valueQuantity=quantity(9), effectiveDateTime=None)
    reading = take(tmp_path, bare, observation())
    assert only(reading).value == "5.2"
    assert any("no time, and the analyte has values with one: 1 (Observation/b" in w for w in reading.warnings)
    assert only(take(tmp_path, bare)).time == ""


def test_a_time_far_from_its_encounter_is_said(tmp_path: Path) -> None:
    visit = {"resourceType": "Encounter", "id": "e", "period": {"start": "2024-05-01", "end": "2024-05-01T09:00:00Z"}}
    far = observation("b", effectiveDateTime="2025-05-01T08:00:00Z", encounter={"reference": "Encounter/e"})
    reading = take(tmp_path, visit, observation(encounter={"reference": "Encounter/e"}), far)
    assert [w for w in reading.warnings if "away from its Encounter" in w and "1 (Observation/b" in w]


def test_replays_are_left_out_and_contradictions_kept(tmp_path: Path) -> None:
    reading = take(tmp_path, observation(), observation("b"), observation("c", valueQuantity=quantity(7)))
    assert [entry.value for entry in laboratory(reading)] == ["5.2", "7"]
    assert any("repeats another Observation" in w and "Observation/b" in w for w in reading.warnings)
    twice = take(tmp_path, observation(), observation())
    assert only(twice).value == "5.2"
    assert any("stands twice" in w for w in twice.warnings)
    (problem,) = take(tmp_path, observation(), observation(valueQuantity=quantity(7))).problems
    assert "Observation/a1 (entry 2): differs from Observation/a1 (entry 1), which has the same id" in problem


def test_what_else_is_kept_with_a_value(tmp_path: Path) -> None:
    entry = only(
        take(
            tmp_path,
            observation(
                method={"text": "ELISA"},
                specimen={"display": "Venous blood"},
                referenceRange=[{"low": quantity(0), "high": quantity(5)}],
                note=[{"text": "slightly haemolysed"}],
            ),
        )
    )
    assert (entry.method, entry.specimen, entry.lod) == ("ELISA", "", "")
    assert entry.remarks == (
        "specimen venous blood", "reference of the laboratory: 0 mg/L to 5 mg/L", "note: slightly haemolysed",
    )  # fmt: skip


# Files


@pytest.mark.parametrize("kind", ["collection", "searchset", "transaction", "document", "batch", "message", "history"])
def test_bundles_of_every_type(tmp_path: Path, kind: str) -> None:
    assert only(read(write(tmp_path, bundle(observation(), kind=kind)))).value == "5.2"


def test_one_resource_an_array_lines_and_nested_bundles(tmp_path: Path) -> None:
    one = only(read(write(tmp_path, observation())))
    assert one.place == "Observation/a1"
    assert only(read(write(tmp_path, [patient(), observation()]))).place == "Observation/a1 (item 2)"
    lines = "\r\n".join(json.dumps(r) for r in (patient(), observation())) + "\r\n\r\n"
    assert only(read(write(tmp_path, lines, "x.ndjson"))).place == "Observation/a1 (line 2)"
    assert only(read(write(tmp_path, bundle(bundle(observation()))))).place == "Observation/a1 (entry 1, entry 1)"
    pretty = json.dumps(bundle(patient(), observation()), indent=2)
    assert only(read(write(tmp_path, pretty))).value == "5.2"
    assert read(write(tmp_path, pretty)).content == pretty.encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    words = json.dumps(observation(note=[{"text": "Größe\u2028µ"}]), ensure_ascii=False)
    assert "note: Größe\u2028µ" in only(read(write(tmp_path, words.encode(encoding)))).remarks


GOOD = json.dumps(observation())
BROKEN: dict[str, tuple[Any, str]] = {
    "empty": (b"", "the file is empty"),
    "byte order mark alone": (b"\xef\xbb\xbf \n", "the file is empty"),
    "latin-1": ('{"resourceType":\n "Größe"}'.encode("latin-1"), "line 2: holds bytes that are not UTF-8"),
    "XML": ('<?xml version="1.0"?><Bundle xmlns="http://hl7.org/fhir"/>', "is XML; ask the server for JSON"),
    "cut off": ('{"resourceType": "Bundle",\n "entry": [', "line 2, column 12: broken JSON"),
    "trailing comma": ('{"resourceType": "Observation",}', "line 1, column 3"),
    "not a number": ('{"resourceType": "Observation", "valueQuantity": {"value": NaN}}', "holds NaN"),
    "key twice": ('{"resourceType": "Observation", "id": "a", "id": "b"}', "holds the key 'id' twice"),
    "too deep": ('{"a":' * 100_000, "is nested deeper than any FHIR resource"),
    "no Observation": (bundle(patient()), "holds no Observation; it holds 1 Patient"),
    "another resource": ({"resourceType": "Condition"}, "holds no Observation; it holds 1 Condition"),
    "empty bundle": (bundle(), "holds no Observation; it holds nothing"),
    "refused by the server": (
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "diagnostics": "no such patient"}]},
        "the server says: error: no such patient",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_refused_whole(tmp_path: Path, name: str) -> None:
    content, words = BROKEN[name]
    with pytest.raises(PanelError) as caught:
        read(write(tmp_path, content))
    assert words in str(caught.value)
    assert str(tmp_path / "panel.json") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"a": 1}, "panel.json: JSON without resourceType, so no FHIR"),
        ([observation(), 5], "item 2: the number 5; expected a FHIR resource"),
        (f"{GOOD}\n{{broken}}\n{GOOD}\n", "line 2, column 2: broken JSON"),
        (f'{GOOD}\n{{"a": NaN}}\n', "line 2: holds NaN"),
        (bundle() | {"entry": {}}, "entry: received an object, expected a list of objects"),
        (bundle() | {"entry": [{"resource": "x"}]}, "resource: received a string, expected an object"),
        (observation(contained=[5]), "contained: received a list, expected a list of objects"),
    ],
)
def test_a_broken_part_is_a_problem_with_its_place(tmp_path: Path, content: Any, words: str) -> None:
    (problem,) = read(write(tmp_path, content)).problems
    assert words in problem


def test_pages_outcomes_and_bare_entries_are_warned_of(tmp_path: Path) -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning", "details": {"text": "slow"}}]}
    page = bundle(
        observation(), outcome, link=[{"relation": "self", "url": "a"}, {"relation": "next", "url": "http://b"}]
    )
    page["entry"].append({"response": {"status": "201"}})
    reading = read(write(tmp_path, page))
    said = " ".join(reading.warnings)
    assert "more pages exist (http://b)" in said
    assert "the server says: warning: slow" in said
    assert "1 entries hold no resource" in said
    assert only(reading).value == "5.2"


BASE = bundle(
    patient(identifier=[{"system": "http://mrn", "value": "X"}]),
    observation(
        method={"text": "m"},
        specimen={"reference": "#s"},
        contained=[{"resourceType": "Specimen", "id": "s", "type": {"text": "Serum"}}],
        interpretation=[concept("H", "x")],
        referenceRange=[{"low": quantity(1), "high": quantity(2)}],
        note=[{"text": "n"}],
        encounter={"reference": "Encounter/e"},
    ),
    observation("b", "44249-1", valueQuantity=None, component=[{"code": concept("44261-6"), "valueInteger": 3}]),
    observation("c", "26881-3", valueQuantity=None, valueRange={"low": quantity(1, "pg/mL")}),
    observation("d", "3074-2", valueQuantity=None, valueCodeableConcept=concept("x", "y"), effectiveDateTime="2024"),
    {"resourceType": "Encounter", "id": "e", "period": {"start": "2024-05-01", "end": "2024-05-01"}},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def paths(node: Any, at: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield (*at, key)
        yield from paths(value, (*at, key))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(paths(BASE))), JSON)
def test_any_part_replaced_by_anything_is_read_or_refused(tmp_path: Path, at: tuple[Any, ...], value: Any) -> None:
    content = copy.deepcopy(BASE)
    node: Any = content
    for key in at[:-1]:
        node = node[key]
    node[at[-1]] = value
    try:
        reading = read(write(tmp_path, content))
    except PanelError as error:
        assert "panel.json" in str(error)
    else:
        assert all("panel.json" in line for line in [*reading.problems, *reading.warnings])
        assert all(entry.patient and entry.analyte and entry.place for entry in reading.entries)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        reading = read(write(tmp_path, content))
    except PanelError as error:
        assert "panel.json" in str(error)
    else:
        assert reading.problems


# Output of other software


def test_the_patients_of_carebundle_are_read_whole(tmp_path: Path) -> None:
    carebundle = pytest.importorskip("carebundle")
    for profile in ("healthy", "type2_diabetes", "ckd_stage3", "anaemia"):
        made = json.loads(carebundle.to_json(carebundle.generate_bundle(profile=profile, seed=42, sex="F")))
        reading = read(write(tmp_path, made))
        held = [e["resource"] for e in made["entry"] if e["resource"]["resourceType"] == "Observation"]
        assert reading.problems == []
        assert count_accounted(reading) == count_items(held) > 25
        (who,) = [e["resource"] for e in made["entry"] if e["resource"]["resourceType"] == "Patient"]
        found = {KNOWLEDGE.analyte(e.analyte).id: e for e in reading.entries}
        assert found["sex"].value == who["gender"]
        years = (2026 - int(who["birthDate"][:4])) - (who["birthDate"][5:] > "01-01")
        assert years <= float(found["age"].value) < years + 1.01
        for one in held:
            code = one["code"]["coding"][0]["code"]
            if "valueQuantity" in one and any(code in a.loinc for a in KNOWLEDGE.analytes.values()):
                entry = next(e for e in laboratory(reading) if e.analyte == code)
                assert (float(entry.value), entry.unit) == (one["valueQuantity"]["value"], one["valueQuantity"]["code"])


def test_a_bulk_export_of_carebundle_is_read_whole(tmp_path: Path) -> None:
    carebundle = pytest.importorskip("carebundle")
    files = carebundle.to_ndjson(carebundle.generate_cohort(count=6, seed=7))
    reading = read(write(tmp_path, files["Patient"] + files["Observation"], "export.ndjson"))
    assert reading.problems == []
    assert count_accounted(reading) == count_items(json.loads(line) for line in files["Observation"].splitlines())
    assert len({entry.patient for entry in reading.entries}) == 6
    assert sum(entry.analyte == "age" and entry.value != "" for entry in reading.entries) == 6


DEFECTS = ("missing_field", "duplicate_entry", "out_of_order_timestamp", "unparseable_value", "unknown_code_system")


@pytest.mark.parametrize("kind", DEFECTS)
@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_defects_that_carebundle_injects(tmp_path: Path, kind: str, rate: float) -> None:
    """Each defect is read right, refused, or warned of; no value is lost."""
    carebundle = pytest.importorskip("carebundle")
    made = json.loads(carebundle.to_json(carebundle.generate_bundle(profile="type2_diabetes", seed=42, sex="F")))
    clean = read(write(tmp_path, made))
    dirty, defects = carebundle.inject_defects(made, carebundle.Imperfection(**{kind: rate}), seed=5)
    assert defects
    reading = read(write(tmp_path, dirty))
    held = [e["resource"] for e in dirty["entry"] if e["resource"]["resourceType"] == "Observation"]
    assert count_accounted(reading) == count_items(held)
    places = {entry.place: entry for entry in laboratory(clean)}
    # the defects that hit a value that is read from the clean bundle
    hit = [d for d in defects if any(f"(entry {d.entry_index + 1})" in place for place in places)]
    said = [*reading.problems, *reading.warnings]
    if kind == "missing_field":
        gone = sum("status" in d.detail for d in hit)
        assert sum("status missing" in e.remarks for e in laboratory(reading)) == gone
        assert {(e.place, e.value) for e in laboratory(reading)} == {(e.place, e.value) for e in laboratory(clean)}
    elif kind == "duplicate_entry":
        sources = {int(re.findall(r"entry (\d+) ", d.detail)[0]) + 1 for d in defects}
        known = [place for place in places if any(f"(entry {n})" in place for n in sources)]
        assert [(e.place, e.value) for e in laboratory(reading)] == [(e.place, e.value) for e in laboratory(clean)]
        assert any(f"same time and value: {len(known)} (" in line for line in said)
    elif kind == "out_of_order_timestamp":
        assert any(f"away from its Encounter; read as it stands, check it: {len(hit)} (" in line for line in said)
        if rate < 1:
            moved = [e for e in laboratory(reading) if e.time == "8760"]
            assert len(moved) == len(hit) > 0
    elif kind == "unparseable_value":
        for defect in hit:
            text = defect.detail.split("valueString ")[1].strip("'")
            place = f"(entry {defect.entry_index + 1})"
            entry = next((e for e in laboratory(reading) if place in e.place), None)
            if text == "not detected":
                assert entry is None
                assert any(place in p and "'not detected' without a limit" in p for p in reading.problems)
            elif text == "<0.1":
                # its unit went with the quantity, so the reader of panels asks for it
                assert entry is not None
                assert (entry.value, entry.unit) == ("<0.1", "")
            else:
                assert entry is not None
                assert entry.value == ""
                assert any(f"no value: '{text}'" in w for w in reading.warnings)
    else:
        for defect in hit:
            # a local code is read by its name alone, if that is an analyte's
            coding = dirty["entry"][defect.entry_index]["resource"]["code"]["coding"][0]
            entry = next((e for e in laboratory(reading) if f"(entry {defect.entry_index + 1})" in e.place), None)
            assert entry is None or entry.analyte == coding["display"]
            assert entry is not None or any(f"code {coding['code']} of {coding['system']}" in w for w in said)


CLINOSIM = "import sys; from clinosim.simulator.cli import main; sys.argv = ['clinosim', *sys.argv[1:]]; main()"


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bulk export of a virtual hospital: 40 inhabitants, one year, seed 42."""
    pytest.importorskip("clinosim")
    folder = tmp_path_factory.mktemp("clinosim")
    words = "simulate --country US --population 40 --seed 42 --start 2024-01-01 --end 2024-12-31"
    words += " --format fhir-r4 --output out"
    subprocess.run(
        [sys.executable, "-c", CLINOSIM, *words.split()], cwd=folder, check=True, capture_output=True, timeout=120
    )
    return folder / "out" / "fhir_r4"


def test_a_bulk_export_of_clinosim_is_read_whole(tmp_path: Path, hospital: Path) -> None:
    held = [json.loads(line) for line in (hospital / "Observation.ndjson").read_text("utf-8").splitlines()]
    assert len(held) > 1000
    alone = read(hospital / "Observation.ndjson")
    assert alone.problems == []
    assert count_accounted(alone) == count_items(held)
    parts = [
        (hospital / f"{kind}.ndjson").read_text("utf-8") for kind in ("Patient", "Specimen", "Encounter", "Observation")
    ]
    whole = read(write(tmp_path, "".join(parts), "whole.ndjson"))
    assert whole.problems == []
    assert count_accounted(whole) == count_items(held)
    assert not any("no Patient resource" in w for w in whole.warnings)
    # the values themselves, by an independent walk
    codes = {code for analyte in KNOWLEDGE.analytes.values() for code in analyte.loinc}
    by_place = {re.split(r"[ (]", e.place)[0]: e for e in laboratory(alone)}
    read_ = [o for o in held if o["code"]["coding"][0]["code"] in codes and f"Observation/{o['id']}" in by_place]
    assert len(read_) == len(by_place) > 50
    for one in read_:
        entry = by_place[f"Observation/{one['id']}"]
        assert float(entry.value) == one["valueQuantity"]["value"]
        assert entry.unit == one["valueQuantity"]["code"]
        assert f"Patient/{entry.patient}" == one["subject"]["reference"]


# As a panel


def test_a_bundle_becomes_a_panel(tmp_path: Path) -> None:
    found = read_panel(
        write(
            tmp_path,
            bundle(
                patient(),
                observation(valueQuantity=quantity(0.015, "mg/dL", comparator="<")),
                observation("b", "26881-3", valueQuantity=quantity(3, "ng/L")),
                observation("c", "44261-6", valueQuantity=None, valueInteger=14),
                observation("d", "2143-6", valueQuantity=None, dataAbsentReason={"text": "haemolysed"}),
            ),
        )
    )  # fmt: skip
    (panel,) = found.panels
    assert (found.format, panel.patient) == ("fhir", "7")
    values = panel.measurements
    assert (values["hsCRP"].value, values["hsCRP"].censored) == (pytest.approx(0.15), "left")
    assert (values["sex"].value, values["age"].value, values["PHQ9"].value) == (1.0, 40.0, 14.0)
    assert panel.missing == ("cortisol",)


@pytest.mark.parametrize("minutes", [(0, 1, 2), (0, 2)])
def test_a_birth_date_gives_one_age_whatever_times_the_values_have(tmp_path: Path, minutes: tuple[int, ...]) -> None:
    codes = ((CRP, "mg/L"), ("26881-3", "pg/mL"), ("3074-2", "pg/mL"))
    values = [
        observation(f"o{m}", code, effectiveDateTime=f"2024-05-01T08:0{m}:00Z", valueQuantity=quantity(9.0, unit))
        for m, (code, unit) in zip(minutes, codes, strict=False)
    ]
    (panel,) = read_panel(write(tmp_path, bundle(patient(), *values))).panels
    assert panel.measurements["age"].value == 40.0


def test_the_panels_of_carebundle_and_clinosim(tmp_path: Path, hospital: Path) -> None:
    carebundle = pytest.importorskip("carebundle")
    files = carebundle.to_ndjson(carebundle.generate_cohort(count=6, seed=7))
    found = read_panel(write(tmp_path, files["Patient"] + files["Observation"], "export.ndjson"))
    assert len(found.panels) == 6
    assert all({"sex", "age", "glucose", "WBC"} <= panel.measurements.keys() for panel in found.panels)
    # a hospital measures glucose twice in a minute, and weighs children: refused, each with its place
    try:
        panels = read_panel(hospital / "Observation.ndjson").panels
    except PanelError as error:
        lines = [line for line in str(error).splitlines() if "patient" in line]
        assert lines
        assert all(
            re.search(r"Observation/\S+ \(line \d+\), patient .*(given twice|anything possible)", line)
            or "choose with --occasion" in line
            for line in lines
        )
    else:
        assert len(panels) > 10
