"""From the bytes of a FHIR file to its resources: JSON, NDJSON, arrays, bundles and contained resources."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosstalk.errors import PanelError

__all__ = ["Document", "Number", "Object", "Resource", "load", "member", "members", "text"]

Object = dict[str, Any]


class Number(str):
    """A number of JSON as it stood in the file, so that no digit is lost and no string passes for one."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource, where it stood, its full URL, and the resource that contains it."""

    content: Object
    place: str
    url: str = ""
    container: Object | None = None

    @property
    def type(self) -> str:
        """Its resourceType, empty where there is none."""
        return text(self.content, "resourceType")

    @property
    def id(self) -> str:
        """Its id, empty where there is none."""
        return text(self.content, "id")


@dataclass(frozen=True)
class Document:
    """The resources of a file, in its order, each once."""

    content: bytes
    resources: list[Resource] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class _RefusedError(ValueError):
    """JSON that parses but could be misread."""


def load(path: Path) -> Document:
    """Read the resources of a JSON or NDJSON file.

    Raises
    ------
    PanelError
        If the file is no FHIR in JSON at all.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PanelError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
    words = _decode(path, content)
    document = Document(content)
    for place, value in _values(path, words, document):
        if not isinstance(value, dict):
            document.problems.append(f"{path}, {place or 'top'}: {_kind(value)}; expected a FHIR resource (an object)")
            continue
        if not text(value, "resourceType"):
            document.problems.append(
                f"{path}{', ' + place if place else ''}: JSON without resourceType, so no FHIR; expected an "
                f"Observation, a Bundle or NDJSON of Observations"
            )
            continue
        _walk(path, value, place, document)
    kept = list(_once(path, document))
    document.resources[:] = kept
    return document


def member(owner: Object, key: str) -> Object:
    """An object inside an object, empty where there is none.

    Raises
    ------
    PanelError
        If something else stands there.
    """
    found = owner.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise PanelError(f"{key}: received {_kind(found)}, expected an object")
    return found


def members(owner: Object, key: str) -> list[Object]:
    """The objects of a list inside an object.

    Raises
    ------
    PanelError
        If something else stands there.
    """
    found = owner.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise PanelError(f"{key}: received {_kind(found)}, expected a list of objects")
    return found


def text(owner: Object, key: str) -> str:
    """A string inside an object, empty where there is none or something else."""
    found = owner.get(key)
    return found.strip() if isinstance(found, str) and not isinstance(found, Number) else ""


def _kind(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Number):
        return f"the number {value[:20]}"
    return {"str": "a string", "list": "a list", "dict": "an object"}[type(value).__name__]


def _decode(path: Path, content: bytes) -> str:
    if not content.strip(b" \t\r\n\x00\xef\xbb\xbf\xff\xfe"):
        raise PanelError(f"{path}: the file is empty; expected FHIR in JSON")
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        words = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise PanelError(
            f"{path}, line {line}: holds bytes that are not {'UTF-16' if wide else 'UTF-8'}; FHIR's JSON is UTF-8, "
            f"save it as that"
        ) from None
    if words.lstrip().startswith("<"):
        raise PanelError(f"{path}: is XML; ask the server for JSON (Accept: application/fhir+json) or convert it")
    return words


def _values(path: Path, words: str, document: Document) -> Iterator[tuple[str, object]]:
    """Yield (place, value) of each value at the top of the file."""
    # not splitlines: strings of JSON may hold its rarer line ends
    lines = [(n, line) for n, line in enumerate(words.split("\n"), start=1) if line.strip()]
    objects = sum(line.lstrip().startswith("{") and line.rstrip().endswith("}") for _, line in lines)
    if len(lines) > 1 and 2 * objects >= len(lines):
        for number, line in lines:
            try:
                yield f"line {number}", _parse(line)
            except json.JSONDecodeError as error:
                document.problems.append(
                    f"{path}, line {number}, column {error.colno}: broken JSON ({error.msg}); mend or remove the line"
                )
            except (_RefusedError, RecursionError) as error:
                document.problems.append(f"{path}, line {number}: {_why(error)}")
        return
    try:
        value = _parse(words)
    except json.JSONDecodeError as error:
        raise PanelError(
            f"{path}, line {error.lineno}, column {error.colno}: broken JSON ({error.msg}); is the file cut off or "
            f"edited? Export it again"
        ) from None
    except (_RefusedError, RecursionError) as error:
        raise PanelError(f"{path}: {_why(error)}") from None
    if isinstance(value, list):
        yield from ((f"item {number}", one) for number, one in enumerate(value, start=1))
    else:
        yield "", value


def _parse(words: str) -> object:
    return json.loads(words, parse_float=Number, parse_int=Number, parse_constant=_constant, object_pairs_hook=_unique)


def _constant(name: str) -> object:
    raise _RefusedError(f"holds {name}, which is no number of JSON; leave the value out and give a dataAbsentReason")


def _unique(pairs: list[tuple[str, Any]]) -> Object:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise _RefusedError(f"an object holds the key '{twice}' twice; keep one")
    return found


def _why(error: Exception) -> str:
    return (
        str(error) if isinstance(error, _RefusedError) else "is nested deeper than any FHIR resource; export it again"
    )


def _walk(path: Path, top: Object, place: str, document: Document) -> None:
    """Collect a resource, those of a bundle's entries, and the contained ones; with a stack, since bundles may nest."""
    waiting = [Resource(top, _name(top, place))]
    while waiting:
        resource = waiting.pop()
        try:
            inner = _entries(path, resource, document) if resource.type == "Bundle" else []
            for number, one in enumerate(members(resource.content, "contained"), start=1):
                where = f"{resource.place}, contained {text(one, 'id') or number}"
                inner.append(Resource(one, where, "", resource.content))
        except PanelError as error:
            document.problems.append(f"{path}, {resource.place}: {error}")
            continue
        if resource.type == "OperationOutcome":
            document.warnings.append(f"{path}, {resource.place}: the server says: {_outcome(resource.content)}")
        elif resource.type != "Bundle":
            document.resources.append(resource)
        waiting.extend(reversed(inner))


def _entries(path: Path, bundle: Resource, document: Document) -> list[Resource]:
    found, bare = [], 0
    for number, entry in enumerate(members(bundle.content, "entry"), start=1):
        one = member(entry, "resource")
        if not one:
            bare += 1
            continue
        place = f"{bundle.place}, entry {number}" if bundle.place else f"entry {number}"
        found.append(Resource(one, _name(one, place), text(entry, "fullUrl")))
    if bare:
        document.warnings.append(f"{path}: {bundle.place or 'Bundle'}: {bare} entries hold no resource")
    for link in members(bundle.content, "link"):
        if text(link, "relation") == "next":
            document.warnings.append(
                f"{path}: more pages exist ({text(link, 'url')[:120] or 'no address'}); this file is one page of "
                f"several, fetch all of them"
            )
    return found


def _name(resource: Object, place: str) -> str:
    kind, id_ = text(resource, "resourceType"), text(resource, "id")
    if kind == "Bundle":
        return place
    name = f"{kind}/{id_}" if id_ else kind or "resource"
    return f"{name} ({place})" if place else name


def _outcome(outcome: Object) -> str:
    issues = outcome.get("issue")
    words = []
    for issue in issues if isinstance(issues, list) else []:
        if isinstance(issue, dict):
            details = issue.get("details")
            said = text(issue, "diagnostics") or (text(details, "text") if isinstance(details, dict) else "")
            words.append(f"{text(issue, 'severity') or 'issue'}: {said or text(issue, 'code') or 'no words'}")
    return "; ".join(words)[:300] or "OperationOutcome without an issue"


def _once(path: Path, document: Document) -> Iterator[Resource]:
    """Yield each resource once; one that stands twice with different content is a problem."""
    seen: dict[tuple[str, str], Resource] = {}
    for resource in document.resources:
        key = (resource.type, resource.url or resource.id)
        if resource.container is not None or not key[1]:
            yield resource
        elif key not in seen:
            seen[key] = resource
            yield resource
        elif seen[key].content == resource.content:
            document.warnings.append(f"{path}, {resource.place}: stands twice, first at {seen[key].place}; read once")
        else:
            document.problems.append(
                f"{path}, {resource.place}: differs from {seen[key].place}, which has the same id; keep the version "
                f"that holds"
            )
