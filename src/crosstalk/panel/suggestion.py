"""A first map of a file as TOML: what was understood, and ``?`` where the file leaves something open."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from crosstalk.panel.mapping import OPEN
from crosstalk.panel.understanding import Item, Question, Understanding

__all__ = ["answered", "suggested", "toml"]

ANSWERS = {"missing": ""}  # words of a choice that stand for another text


def suggested(found: Understanding) -> dict[str, Any]:
    """The map as TOML would read it, with ``?`` where it is open."""
    table: dict[str, Any] = {"file": {}, "columns": {}, "tests": {}, "visits": {}}
    for item in found.items:
        if ", item " not in item.meaning:  # items of a scale are known by their names
            table[item.kind][item.name] = _rule(item)
    for question in found.questions:
        _put(table, question, OPEN)
    return {key: value for key, value in table.items() if value}


def answered(found: Understanding, answers: Sequence[str]) -> dict[str, Any]:
    """The map with the answers to the questions of a file, in their order."""
    table = suggested(found)
    for question, answer in zip(found.questions, answers, strict=True):
        _put(table, question, ANSWERS.get(answer, answer))
    return table


def _rule(item: Item) -> str | dict[str, Any]:
    more = {"of": item.of, "unit": item.unit if "," not in item.unit else ""}
    # what stands in the file needs no map; a unit that was read from a name is written down
    kept = {key: text for key, text in more.items() if text and item.kind == "columns"}
    return {"is": item.meaning, **kept} if kept else item.meaning


def _put(table: dict[str, Any], question: Question, answer: str) -> None:
    *path, last = question.key
    place = table
    for depth, part in enumerate(path):
        inner = place.get(part)
        if not isinstance(inner, dict):
            # a column or a test is what it is; what it has is a table
            inner = {"is": OPEN if inner in (None, "ignore") else inner} if depth == 1 else {}
            place[part] = inner
        place = inner
    if isinstance(place.get(last), dict):  # what it is, beside what else is said of it
        place[last]["is"] = answer
    else:
        place[last] = answer


def toml(found: Understanding, table: Mapping[str, Any]) -> str:
    """The map as a text to be edited, with examples and questions as comments."""
    items = {(item.kind, item.name): item for item in found.items}
    general = [q.text for q in found.questions if q.key[0] == "file"]
    lines = [
        f"# A map of {_one_line(found.path)}: what its columns and tests are; use it with --map.",
        f"# Write an answer where a '{OPEN}' stands.",
        "# A column is a role (patient, visit, date, unit, lod, ...), an analyte (see `crosstalk analytes`), or keep.",
    ]  # fmt: skip
    for section in ("file", "columns", "tests", "visits"):
        if section not in table:
            continue
        lines += ["", f"[{section}]"]
        if section == "file":
            lines += [f"# {_one_line(text)}" for text in general]
        for name, value in table[section].items():
            item = items.get((section, name))
            if item is not None and item.questions:
                lines += [f"# {_one_line(text)}" for text in item.questions]
            examples = f"  # {_one_line('; '.join(item.examples))}" if item is not None and item.examples else ""
            lines.append(f"{_key(name)} = {_value(value)}{examples}")
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)[:120]


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", text) + '"'
