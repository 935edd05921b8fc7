"""The line of a TOML file on which a key stands: a cheap search, for error messages only."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["describe", "line_of"]

Key = str | int
LONGEST = 500  # characters of a line with the header of a table

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-\s]+?)\s*\]\]?\s*(?:#.*)?$")


def describe(path: Sequence[Key]) -> str:
    """Write a key path for a person: entries of a list are counted from 1.

    Examples
    --------
    >>> describe(("arm", 0, "dose", 1, "drug"))
    'arm 1 > dose 2 > drug'
    """
    parts: list[str] = []
    for key in path:
        if isinstance(key, int) and parts:
            parts[-1] += f" {key + 1}"
        else:
            parts.append(str(key))
    return " > ".join(parts)


def line_of(text: str, path: Sequence[Key]) -> int | None:
    r"""Find the line (from 1) of a key; where the key is missing, of the table that should hold it.

    Parameters
    ----------
    text : str
        The TOML file.
    path : sequence of str or int
        Keys, and positions in lists from 0.

    Returns
    -------
    int or None
        None if not even the table is found.

    Examples
    --------
    >>> line_of("[study]\nid = 'a'\n[[arm]]\nid = 'x'\n", ("arm", 0, "id"))
    4
    """
    lines = text.splitlines()
    best: tuple[int, int] | None = None
    for number, header in _headers(lines):
        if tuple(path[: len(header)]) == header and (best is None or len(header) > best[1]):
            best = (number, len(header))
    start, depth = best if best is not None else (0, 0)
    if best is None and path and _is_header_name(lines, path[0]):
        return None
    end = next((number for number, _ in _headers(lines) if number > start), len(lines) + 1)
    found = _search(lines, start, end - 1, path[depth:])
    return found or start or None


def _headers(lines: Sequence[str]) -> list[tuple[int, tuple[Key, ...]]]:
    """Return (line, key path) of each table header; entries of an array of tables are counted under their parent."""
    result: list[tuple[int, tuple[Key, ...]]] = []
    counts: dict[tuple[Key, ...], int] = {}
    for number, line in enumerate(lines, 1):
        match = _HEADER.match(line) if len(line) <= LONGEST else None
        if match is None:
            continue
        names = [name.strip() for name in match[2].split(".")]
        path: tuple[Key, ...] = ()
        for position, name in enumerate(names):
            path += (name,)
            last = position == len(names) - 1
            if last and match[1] == "[[":
                counts[path] = counts.get(path, -1) + 1
            if path in counts:
                path += (counts[path],)
        result.append((number, path))
    return result


def _is_header_name(lines: Sequence[str], key: Key) -> bool:
    return any(header[0] == key for _, header in _headers(lines))


def _search(lines: Sequence[str], start: int, end: int, rest: Sequence[Key]) -> int | None:
    """Search the body of one table, lines ``start + 1`` to ``end``, for the remaining keys."""
    body = "\n".join(lines[start:end])
    position, found = 0, False
    for key in rest:
        if isinstance(key, str):
            # a key of the table itself starts its line; one of an inline table may stand anywhere
            before = r"[\s{,]" if found else r"^[ \t]*"
            match = re.compile(rf"{before}({re.escape(key)}|\"{re.escape(key)}\")\s*=", re.MULTILINE).search(
                body, position
            )
            if match is None:
                break
            position, found = match.start(1), True
        else:
            place = position
            for _ in range(key + 1):
                place = body.find("{", place + 1)
                if place < 0:
                    break
            if place < 0:
                break
            position = place
    return start + 1 + body.count("\n", 0, position) if found else None
