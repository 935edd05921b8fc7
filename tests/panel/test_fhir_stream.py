"""FHIR whose meaning another element changes, and NDJSON that is read line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crosstalk.errors import PanelError
from crosstalk.panel import fhir_json, reader
from crosstalk.panel.fhir import read
from crosstalk.panel.reader import read_panel

Json = dict[str, Any]


def observation(id_: str, code: str = "30522-7", value: float = 2.5, **more: Any) -> Json:
    unit = {"30522-7": "mg/L", "26881-3": "pg/mL"}[code]
    return {
        "resourceType": "Observation", "id": id_, "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "subject": {"reference": "Patient/7"},
        "effectiveDateTime": "2024-05-01T08:00:00Z",
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}, **more,
    }  # fmt: skip


def lines(path: Path, *resources: Json) -> Path:
    path.write_text("".join(json.dumps(r) + "\n" for r in resources), encoding="utf-8")
    return path


def bundle(path: Path, kind: str, *entries: Json, **more: Any) -> Path:
    path.write_text(json.dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries), **more}))
    return path


PATIENT = {"resourceType": "Patient", "id": "7", "gender": "female", "birthDate": "1980-01-01"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"focus": [{"reference": "Patient/foetus"}]}, "about somebody or something else"),
        ({"focus": [{"display": "the foetus"}]}, "about somebody or something else"),
        ({"implicitRules": "http://example.org/rules"}, "implicitRules"),
        ({"modifierExtension": [{"url": "x"}]}, "modifierExtension"),
    ],
)
def test_what_changes_the_meaning_is_left_out_with_a_word(tmp_path: Path, more: Json, words: str) -> None:
    reading = read(lines(tmp_path / "x.ndjson", observation("a", **more), observation("b", "26881-3")))
    assert [e.analyte for e in reading.entries if e.value] == ["26881-3"]
    assert any(words in w and "Observation/a" in w for w in reading.warnings)


def test_a_focus_on_the_patient_himself_changes_nothing(tmp_path: Path) -> None:
    found = read(
        lines(tmp_path / "x.ndjson", observation("a", focus=[{"reference": "Patient/7"}]), observation("b", "26881-3"))
    )
    assert len([e for e in found.entries if e.value]) == 2


def test_rules_of_a_bundle_and_of_a_patient(tmp_path: Path) -> None:
    path = bundle(tmp_path / "b.json", "collection", {"resource": observation("a")}, implicitRules="http://example.org")
    with pytest.raises(PanelError, match=r"rules of its own \(implicitRules\).*1 entries are left out"):
        read(path)
    reading = read(lines(tmp_path / "x.ndjson", {**PATIENT, "implicitRules": "x"}, observation("a")))
    assert [e.analyte for e in reading.entries] == ["30522-7"]
    assert any("Patient/7" in w and "not used" in w for w in reading.warnings)


def test_a_deletion_is_no_value(tmp_path: Path) -> None:
    delete = {"request": {"method": "DELETE", "url": "Observation/a"}}
    old, other = {"resource": observation("a")}, {"resource": observation("b", "26881-3")}
    held = {"resource": observation("a"), "request": {"method": "DELETE", "url": "Observation/a"}}
    for entries in ((held, other), (old, delete, other), (delete, old, other)):
        found = read(bundle(tmp_path / "b.json", "transaction", *entries))
        assert [e.place for e in found.entries if e.value] == [f"Observation/b (entry {len(entries)})"]
        assert any("deletions (Observation/a)" in w for w in found.warnings)
    # a history begins with the newest version
    found = read(bundle(tmp_path / "b.json", "history", old, delete, other))
    assert len([e for e in found.entries if e.value]) == 2


def test_lines_and_a_document_say_the_same(tmp_path: Path) -> None:
    made = [
        observation("a"),
        PATIENT,
        observation("b", "26881-3"),
        observation("a"),
        {"resourceType": "Device", "id": "d"},
    ]
    one = read_panel(lines(tmp_path / "x.ndjson", *made))
    two = read_panel(bundle(tmp_path / "x.json", "collection", *({"resource": r} for r in made)))
    for panel in (one.panels[0], two.panels[0]):
        assert {a: m.value for a, m in panel.measurements.items()} == pytest.approx(
            {"sex": 1, "age": 44.33, "hsCRP": 2.5, "IL-6": 2.5}, rel=1e-3
        )
    assert any("Observation/a (line 4): stands twice, first at Observation/a (line 1)" in w for w in one.warnings)
    assert any("left out: 1 Device" in w for w in one.warnings)
    other = lines(tmp_path / "x.ndjson", observation("a"), observation("a", value=3.0))
    with pytest.raises(PanelError, match=r"Observation/a \(line 2\): differs from Observation/a \(line 1\)"):
        read_panel(other)


def test_halves_of_characters_neither_mix_patients_nor_end_the_run(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text(
        "".join(
            json.dumps(observation(f"o{i}", subject={"reference": f"Patient/x{c}"})) + "\n"
            for i, c in enumerate("\ud800\udc01")
        )
    )
    names = [p.patient for p in read_panel(path).panels]
    assert len(set(names)) == 2
    assert "".join(names).encode("utf-8")


def test_one_document_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_json, "DOCUMENT", 1000)
    path = tmp_path / "x.json"
    path.write_text(json.dumps(PATIENT, indent=1) + " " * 2000)
    with pytest.raises(PanelError, match="one JSON document of 0 MB; one is read up to"):
        read_panel(path)
    assert read_panel(lines(tmp_path / "x.ndjson", *(observation(f"o{i}", note=[]) for i in range(5)))).panels


@pytest.mark.slow
def test_memory_does_not_grow_with_lines_that_are_not_read(tmp_path: Path) -> None:
    """100 MB of Observations that no panel holds, and a few that one does."""
    path = tmp_path / "x.ndjson"
    one = observation("a")
    other = {
        **one,
        "code": {"coding": [{"system": "http://loinc.org", "code": "9279-1"}]},
        "note": [{"text": "x" * 600}],
    }
    with path.open("w") as file:
        file.write(json.dumps(one) + "\n")
        for i in range(90_000):
            file.write(json.dumps({**other, "id": f"o{i}"}) + "\n")
    assert path.stat().st_size > 90e6
    code = (
        "import resource, sys; from crosstalk.panel.reader import read_panel; "
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; read_panel(sys.argv[1]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    grown = int(
        subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True, text=True).stdout
    )
    assert grown < 60_000  # kB


def test_blocks_of_a_stream_give_what_one_block_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(
        tmp_path / "x.ndjson",
        *(
            observation(f"o{i}-{t}", subject={"reference": f"Patient/{i}"}, effectiveDateTime=f"2024-0{t}-01T08:00:00Z")
            for t in (1, 5) for i in range(9)
        ),
        observation("broken", subject={"reference": "Patient/9"}, effectiveDateTime="yesterday"),
    )  # fmt: skip
    with pytest.raises(PanelError) as whole:
        read_panel(path)
    monkeypatch.setattr(reader, "BLOCK", 3)
    with pytest.raises(PanelError) as parts:
        read_panel(path)
    assert str(parts.value) == str(whole.value)
    assert "9 patients (0, 1, 2, 3, 4, ...): its values are of 2 occasions" in str(parts.value)
    assert "yesterday" in str(parts.value)
