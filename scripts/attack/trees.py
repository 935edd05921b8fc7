"""FHIR and study files with a branch, a key, a value or bytes changed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from attack.mutants import NASTY, NUMBERS, Rng, is_shown, mangled, numbers_in, outcome, values
from attack.registry import Tally, attack
from crosstalk.limits import shown


def tree(value: Any, rng: Rng) -> Any:
    """The same tree with one of its leaves or branches replaced, dropped, doubled or renamed."""
    value = json.loads(json.dumps(value))
    spots: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        spots += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], (dict, list))]
    holder, key = spots[int(rng.integers(len(spots)))]
    deep: Any = 1
    for _ in range(int(rng.choice([3, 300, 3000])) if rng.random() < 0.1 else 1):
        deep = [deep]
    nasty: list[Any] = [
        None,
        True,
        -1,
        0,
        1e308,
        1e-320,
        10**400,
        5,
        "x",
        "",
        [],
        {},
        deep,
        "\ud800",
        {"a": {"b": 1}},
        *NASTY,
    ]
    match int(rng.integers(4)):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(holder[key])
        case 2 if isinstance(holder, dict):
            holder[NASTY[int(rng.integers(len(NASTY)))]] = holder.pop(key)
        case _:
            holder[key] = nasty[int(rng.integers(len(nasty)))]
    return value


def dumped(value: Any) -> str:
    import sys

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        return json.dumps(value)
    finally:
        sys.setrecursionlimit(limit)


def bundle() -> dict[str, Any]:
    entries: list[dict[str, Any]] = [
        {"resource": {"resourceType": "Patient", "id": "7", "gender": "female", "birthDate": "1980-01-01"}}
    ]
    for i, (code, unit) in enumerate((("30522-7", "mg/L"), ("26881-3", "pg/mL"), ("2345-7", "mg/dL"))):
        quantity = {"value": 90 if i == 2 else 2.5, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
        entries.append(
            {
                "fullUrl": f"urn:uuid:{i}",
                "resource": {
                    "resourceType": "Observation", "id": f"o{i}", "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                    "subject": {"reference": "Patient/7"}, "effectiveDateTime": f"2024-05-01T08:0{i}:00Z",
                    "valueQuantity": quantity,
                },
            }
        )  # fmt: skip
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def resources(text: str) -> list[Any]:
    """Every JSON object within a text, or within each of its lines."""
    found: list[Any] = []
    for part in [text] if text.count("\n") == 0 else text.split("\n"):
        try:
            waiting = [json.loads(part)]
        except (ValueError, RecursionError):
            continue
        while waiting:
            one = waiting.pop()
            if isinstance(one, dict):
                found.append(one)
                waiting += one.values()
            elif isinstance(one, list):
                waiting += one
    return found


def untold(clean: dict[Any, Any], found: Any, content: bytes) -> str:
    """What is wrong with what was read of a bundle of which one thing was changed."""
    now = {k: v for k, v in values(found).items() if k[1] not in ("age", "sex")}
    there = resources(content.decode("utf-8", "replace"))
    patient, *whole = [e["resource"] for e in bundle()["entry"]]
    told = " ".join([*found.warnings, *(note for p in found.panels for note in p.notes)])
    for resource, (key, value) in zip(whole, clean.items(), strict=True):
        if resource in there and patient in there and now.get(key) != value and resource["id"] not in told:
            # what holds it may have been changed: a bundle that is none, an entry that is a deletion
            if not told:
                return f"{key} was {value} and is {now.get(key)}"
        elif key in now and now[key] != value and not told and not is_shown(now[key][0], numbers_in(content)):
            return f"{key} became {now[key]} without a word"
    for (who, name), (number, _) in now.items():
        who.encode("utf-8")
        if not np.isfinite(number) or number < 0:
            return f"{name} is {number}"
    return ""


@attack("mutated-fhir", "FHIR bundles and NDJSON: a branch or bytes changed", count=5000)
def mutated_fhir(rng: Rng, count: int) -> Tally:
    from crosstalk.panel.reader import read_panel

    tally = Tally()
    with TemporaryDirectory() as made:
        file = Path(made) / "f.json"
        file.write_text(json.dumps(bundle()))
        clean = {k: v for k, v in values(read_panel(file)).items() if k[1] not in ("age", "sex")}
        for _ in tally.tries(count):
            found = tree(bundle(), rng)
            if rng.random() < 0.4:
                entries = found.get("entry") if isinstance(found, dict) else None
                lines = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
                text = "\n".join(map(dumped, lines)) or dumped(found)
            else:
                text = dumped(found)
            content = text.encode("utf-8", "surrogatepass")
            content = mangled(content, rng) if rng.random() < 0.4 else content
            file.write_bytes(content)

            def act(content: bytes = content) -> str:
                return untold(clean, read_panel(file, batch=True), content)

            outcome(tally, shown(content[:3000], 3000), act)
    return tally


@attack("mutated-studies", "study files: keys, values, lines or bytes changed", count=5000)
def mutated_studies(rng: Rng, count: int) -> Tally:
    from crosstalk.knowledge.loader import load_knowledge
    from crosstalk.store import hash_value
    from crosstalk.study.schema import read_study

    knowledge, tally = load_knowledge(), Tally()
    texts = [path.read_bytes() for path in knowledge.study_files.values()]
    clean = [hash_value(read_study(name, knowledge)) for name in knowledge.study_files]
    with TemporaryDirectory() as made:
        file = Path(made) / "s.toml"
        for _ in tally.tries(count):
            which = int(rng.integers(len(texts)))
            content, what = texts[which], "bytes"
            if rng.random() < 0.6:
                lines = content.decode().splitlines()
                at = [i for i, line in enumerate(lines) if "=" in line]
                i = at[int(rng.integers(len(at)))]
                key, _, value = lines[i].partition("=")
                new = NUMBERS[int(rng.integers(len(NUMBERS)))]
                parts = [k for k in range(len(value)) if value[k].isdigit()]
                if parts and rng.random() < 0.6:  # one number within a table in braces
                    k = parts[int(rng.integers(len(parts)))]
                    lines[i] = f"{key}={value[:k]}{new}{value[k + 1 :]}"
                else:
                    lines[i] = f"{key}= {new}"
                content, what = "\n".join(lines).encode(), lines[i]
            else:
                content = mangled(content, rng)
            file.write_bytes(content)

            def act(content: bytes = content, which: int = which) -> str:
                study = read_study(file, knowledge)
                if len(study.output_times_h) >= 20_000:
                    return f"{len(study.output_times_h)} output times"
                # a change of the file must be seen in the study
                before, after = (plain(tomllib.loads(c.decode("utf-8-sig"))) for c in (texts[which], content))
                same = before == after or hash_value(study) != clean[which]
                return "" if same else f"is not seen: {differing(before, after)}"

            outcome(tally, f"{list(knowledge.study_files)[which]}, {shown(what, 200)}", act)
    return tally


def plain(value: Any) -> Any:
    """A tree without what studies may spell in several ways: zeros, marks within names, visits."""
    from crosstalk.knowledge.loader import normal_name

    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "visits"}  # results name their weeks again
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, str):
        return normal_name(value)
    return round(float(value), 300) if isinstance(value, (int, float)) and abs(value) < 1e300 else value


def differing(before: Any, after: Any, path: str = "") -> str:
    """The first place where two trees differ, and both values."""
    if isinstance(before, dict) and isinstance(after, dict):
        pairs = [(str(k), before.get(k), after.get(k)) for k in {**before, **after}]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(str(k), a, b) for k, (a, b) in enumerate(zip(before, after, strict=True))]
    else:
        return f"{path}: {shown(before)} became {shown(after)}"
    return next((differing(a, b, f"{path}/{k}") for k, a, b in pairs if repr(a) != repr(b)), path)
