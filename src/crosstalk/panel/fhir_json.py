"""From a FHIR file to its resources: JSON, NDJSON line by line, arrays, bundles and contained resources."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosstalk.errors import PanelError
from crosstalk.limits import DOCUMENT, shown

__all__ = ["Document", "Number", "Object", "Resource", "member", "members", "text"]

Object = dict[str, Any]

LINES = 40  # bits of the number of a line
# keys do not stand twice (`_unique`), so a line that begins so is an Observation and nothing else
_OBSERVATION = re.compile(r'\s*\{\s*"resourceType"\s*:\s*"Observation"\s*[,}]')


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


class _RefusedError(ValueError):
    """JSON that parses but could be misread."""


class Document:
    """The resources of a file, each once; NDJSON is read line by line, once for `others`, again for `observations`.

    Attributes
    ----------
    sha256 : str
    problems, warnings : list of str
        They grow while the resources are read.

    Raises
    ------
    PanelError
        If the file is no FHIR in JSON at all, or one document too large to be read as a whole.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.warnings: list[str] = []
        # of type and id: content and line; and where it stands, if not on a line of its own
        self._seen: dict[int, int] = {}
        self._places: dict[int, str] = {}
        self._again: set[int] = set()  # lines whose Observations are found by parsing them alone
        self._whole: list[Resource] | None = None
        self._text: list[str] | None = None
        try:
            self.sha256, streamed, wide = _survey(path)
        except OSError as error:
            raise PanelError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None
        if streamed and not wide:
            return
        words = _decode(path, path.read_bytes())
        if wide and _is_ndjson(words):
            self._text = words.split("\n")
            return
        self._whole = []
        for place, value in _document(path, words):
            self._whole += self._walk(value, place)

    def others(self) -> Iterator[Resource]:
        """Every resource that is no Observation and is in none; an Observation may refer to any of them."""
        if self._whole is not None:
            yield from self._once(r for r in self._whole if r.type != "Observation")
            return
        for number, line in self._lines():
            if _OBSERVATION.match(line):
                continue
            found = self._parsed(number, line)
            if any(r.type == "Observation" for r in found):
                self._again.add(number)
            yield from self._once((r for r in found if r.type != "Observation"), number)

    def observations(self) -> Iterator[Resource]:
        """The Observations, and what they contain, after `others`."""
        if self._whole is not None:
            yield from self._once(r for r in self._whole if r.type == "Observation")
            return
        for number, line in self._lines():
            if number in self._again:
                told = len(self.problems), len(self.warnings)
                found = [r for r in self._parsed(number, line) if r.type == "Observation"]
                del self.problems[told[0] :], self.warnings[told[1] :]  # what is wrong was said by `others`
                yield from self._once(found, number)
            elif _OBSERVATION.match(line):
                yield from self._once(self._parsed(number, line), number)

    def _lines(self) -> Iterator[tuple[int, str]]:
        """Number and text of each line that is not blank."""
        if self._text is not None:
            yield from ((n, line) for n, line in enumerate(self._text, start=1) if line.strip())
            return
        with self.path.open("rb") as file:
            for number, content in enumerate(file, start=1):
                try:
                    line = content.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError:
                    raise PanelError(_not_text(self.path, number, "UTF-8")) from None
                if line.strip():
                    yield number, line

    def _parsed(self, number: int, line: str) -> list[Resource]:
        try:
            return self._walk(_parse(line), f"line {number}")
        except json.JSONDecodeError as error:
            self.problems.append(
                f"{self.path}, line {number}, column {error.colno}: broken JSON ({error.msg}); mend or remove the line"
            )
        except (_RefusedError, RecursionError) as error:
            self.problems.append(f"{self.path}, line {number}: {_why(error)}")
        return []

    def _walk(self, value: object, place: str) -> list[Resource]:
        """A resource, those of a bundle's entries, and the contained ones; with a stack, since bundles may nest."""
        if not isinstance(value, dict):
            self.problems.append(f"{self.path}, {place or 'top'}: {_kind(value)}; expected a FHIR resource (an object)")
            return []
        if not text(value, "resourceType"):
            self.problems.append(
                f"{self.path}{', ' + place if place else ''}: JSON without resourceType, so no FHIR; expected an "
                f"Observation, a Bundle or NDJSON of Observations"
            )
            return []
        found, waiting = [], [Resource(value, _name(value, place))]
        while waiting:
            resource = waiting.pop()
            try:
                inner = self._entries(resource) if resource.type == "Bundle" else []
                for number, one in enumerate(members(resource.content, "contained"), start=1):
                    where = f"{resource.place}, contained {text(one, 'id') or number}"
                    inner.append(Resource(one, where, "", resource.content))
            except PanelError as error:
                self.problems.append(f"{self.path}, {resource.place}: {error}")
                continue
            if resource.type == "OperationOutcome":
                self.warnings.append(f"{self.path}, {resource.place}: the server says: {_outcome(resource.content)}")
            elif resource.type != "Bundle":
                found.append(resource)
            waiting.extend(reversed(inner))
        return found

    def _entries(self, bundle: Resource) -> list[Resource]:
        where = f"{self.path}: {bundle.place or 'Bundle'}"
        entries = members(bundle.content, "entry")
        if "implicitRules" in bundle.content:
            self.warnings.append(
                f"{where}: follows rules of its own (implicitRules), which may change the meaning of all that it "
                f"holds; its {len(entries)} entries are left out"
            )
            return []
        found, bare, deleted = [], 0, dict[str, int]()
        for number, entry in enumerate(entries, start=1):
            one, request = member(entry, "resource"), member(entry, "request")
            if text(request, "method") == "DELETE":
                named = f"{text(one, 'resourceType')}/{text(one, 'id')}" if one else text(request, "url")
                deleted.setdefault(named.split("/_history/")[0], number)
                continue
            if not one:
                bare += 1
                continue
            place = f"{bundle.place}, entry {number}" if bundle.place else f"entry {number}"
            found.append((number, Resource(one, _name(one, place), text(entry, "fullUrl"))))
        # a history holds the newest version first: what stands before the deletion came after it
        history = text(bundle.content, "type") == "history"
        kept = []
        for number, resource in found:
            at = deleted.get(f"{resource.type}/{resource.id}")
            if at is None or (history and number < at):
                kept.append(resource)
        if deleted:
            self.warnings.append(
                f"{where}: {len(deleted)} entries are deletions ({shown(', '.join(deleted))}); left out, with "
                f"{len(found) - len(kept)} entries that they delete"
            )
        if bare:
            self.warnings.append(f"{where}: {bare} entries hold no resource")
        for link in members(bundle.content, "link"):
            if text(link, "relation") == "next":
                self.warnings.append(
                    f"{self.path}: more pages exist ({text(link, 'url')[:120] or 'no address'}); this file is one page "
                    f"of several, fetch all of them"
                )
        return kept

    def _once(self, resources: Iterable[Resource], line: int = 0) -> Iterator[Resource]:
        """Yield each resource once; one that stands twice with different content is a problem."""
        for resource in resources:
            name = resource.url or resource.id
            if resource.container is not None or not name:
                yield resource
                continue
            # numbers instead of texts: a file may hold millions
            key = _number(f"{resource.type} {name}")
            try:
                content = _number(json.dumps(resource.content, sort_keys=True))
            except RecursionError as error:
                self.problems.append(f"{self.path}, {resource.place}: {_why(error)}")
                continue
            first = self._seen.get(key)
            if first is None:
                self._seen[key] = content << LINES | line
                if not line:
                    self._places[key] = resource.place
                yield resource
                continue
            where = self._places.get(key) or f"{resource.type}/{resource.id} (line {first & ((1 << LINES) - 1)})"
            if first >> LINES == content:
                self.warnings.append(f"{self.path}, {resource.place}: stands twice, first at {where}; read once")
            else:
                self.problems.append(
                    f"{self.path}, {resource.place}: differs from {where}, which has the same id; keep the version "
                    f"that holds"
                )


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
    if not isinstance(found, str) or isinstance(found, Number):
        return ""
    if not found.isascii():  # halves of a character, which JSON can write and no file can hold
        found = found.encode("utf-8", "backslashreplace").decode("utf-8")
    return found.strip()


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
        raise PanelError(_not_text(path, line, "UTF-16" if wide else "UTF-8")) from None
    if words.lstrip().startswith("<"):
        raise PanelError(f"{path}: is XML; ask the server for JSON (Accept: application/fhir+json) or convert it")
    return words


def _survey(path: Path) -> tuple[str, bool, bool]:
    """Hash of a file, whether it is NDJSON, and whether it is UTF-16; without more than a line of it in memory.

    Raises
    ------
    PanelError
        If it is one document, or has a line, too large to be read as a whole.
    """
    digest, lines, objects, size, longest, wide = hashlib.sha256(), 0, 0, 0, 0, False
    with path.open("rb") as file:
        while line := file.readline(DOCUMENT):
            wide = wide or (not size and line.startswith((b"\xff\xfe", b"\xfe\xff")))
            digest.update(line)
            size, longest = size + len(line), max(longest, len(line))
            content = line.removeprefix(b"\xef\xbb\xbf").strip()
            lines += bool(content)
            objects += content.startswith(b"{") and content.endswith(b"}")
    streamed = lines > 1 and 2 * objects >= lines
    if longest >= DOCUMENT or (size > DOCUMENT and (wide or not streamed)):
        raise PanelError(
            f"{path}: one JSON document of {size / 1e6:.0f} MB; one is read up to {DOCUMENT / 1e6:.0f} MB; export "
            f"NDJSON, a resource a line, which has no limit"
        )
    return digest.hexdigest(), streamed, wide


def _is_ndjson(words: str) -> bool:
    lines = [line.strip() for line in words.split("\n") if line.strip()]
    return len(lines) > 1 and 2 * sum(line.startswith("{") and line.endswith("}") for line in lines) >= len(lines)


def _document(path: Path, words: str) -> Iterator[tuple[str, object]]:
    """Yield (place, value) of what is at the top of one document: itself, or each item of an array."""
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


def _not_text(path: Path, line: int, encoding: str) -> str:
    return f"{path}, line {line}: holds bytes that are not {encoding}; FHIR's JSON is UTF-8, save it as that"


def _number(words: str) -> int:
    """A number of 64 bits that stands for a text."""
    return int.from_bytes(hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


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
