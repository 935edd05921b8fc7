"""The audit trail as a hash chain: each entry holds the hash of the one before, and of the row that it made.

Who may write the file can also make the whole chain anew. So the hash of an entry, its seal, is worth as much as the
place where a copy of it is kept: a paper, a mail to a colleague, a public register.
"""

from __future__ import annotations

import getpass
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from crosstalk.registry.tables import AUDIT, COMMON, FROZEN, OF_PERSON, PERSON

__all__ = ["FIRST", "append", "canonical", "count", "faults", "now", "row_hash"]

FIRST = "0" * 64
"""What stands before the first entry."""
SHOWN = 20  # faults that are listed


def canonical(value: object) -> str:
    """One text for one value: JSON with sorted keys and without blanks.

    Examples
    --------
    >>> canonical({"b": 1.0, "a": [None]})
    '{"a":[null],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def row_hash(nonce: str, content: Mapping[str, Any]) -> str:
    """SHA-256 of a row's content; the nonce goes with the row, so that nobody can try contents on what is left."""
    return hashlib.sha256(f"{nonce}\n{canonical(dict(content))}".encode()).hexdigest()


def now() -> str:
    """The time, as the registry writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def append(connection: Connection, action: str, person: int | None = None, **detail: Any) -> tuple[int, str]:
    """Write an entry, and return its number and its hash.

    Parameters
    ----------
    connection : Connection
        Of `crosstalk.registry.database.Registry.writing`, which alone writes at the time.
    detail : Any
        What JSON holds. No value and no pseudonym of a person: an entry stays when a person is forgotten.
    """
    last = connection.execute(select(AUDIT.c.number, AUDIT.c.hash).order_by(AUDIT.c.number.desc()).limit(1)).first()
    number, previous = (1, FIRST) if last is None else (last.number + 1, last.hash)
    entry = {
        "number": number, "at": now(), "actor": _actor(), "action": action, "person": person,
        "detail": canonical(detail), "previous": previous,
    }  # fmt: skip
    digest = _entry_hash(entry)
    connection.execute(insert(AUDIT).values(**entry, hash=digest))
    return number, digest


def _entry_hash(entry: Mapping[Any, Any]) -> str:
    return hashlib.sha256(canonical({str(k): v for k, v in entry.items() if k != "hash"}).encode()).hexdigest()


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def faults(connection: Connection, seal: str = "") -> list[str]:
    """What does not fit together, in words; empty where every byte is as it was written.

    Parameters
    ----------
    seal : str, optional
        Hash of an entry that was kept elsewhere; it must be in the chain.
    """
    found: list[str] = []
    entries: dict[int, Any] = {}
    previous, expected = FIRST, 1
    for entry in connection.execute(select(AUDIT).order_by(AUDIT.c.number)).mappings():
        if entry["number"] != expected:
            found.append(f"entries {expected} to {entry['number'] - 1} of the audit trail are missing")
        if entry["previous"] != previous:
            found.append(f"entry {entry['number']} of the audit trail does not follow the one before it")
        if _entry_hash(entry) != entry["hash"]:
            found.append(f"entry {entry['number']} of the audit trail was changed")
        entries[entry["number"]], previous, expected = entry, entry["hash"], entry["number"] + 1
    if seal and not any(e["hash"] == seal for e in entries.values()):
        found.append(f"the seal {seal} is that of no entry: the chain was made anew, or is another one")
    known = {p.number for p in connection.execute(select(PERSON.c.number))}
    forgotten = {e["person"] for e in entries.values() if e["action"] == "forget"}
    for table in OF_PERSON:
        own = {n for n, e in entries.items() if e["action"] == table.name and e["person"] not in forgotten}
        for row in connection.execute(select(table)).mappings():
            content = {k: v for k, v in row.items() if k not in COMMON}
            digest, own = row_hash(row["nonce"], content), own - {row["number"]}
            made = entries.get(row["number"])
            if made is None or made["action"] != table.name or made["person"] != row["person"]:
                found.append(f"{table.name} {row['number']} has no entry in the audit trail")
            elif digest != row["sha256"] or json.loads(made["detail"]).get("sha256") != digest:
                found.append(f"{table.name} {row['number']} was changed after it was written")
        found += [f"{table.name} {number} is gone, and its person was not forgotten" for number in sorted(own)]
    frozen = {n for n, e in entries.items() if e["action"] == "freeze"}
    for row in connection.execute(select(FROZEN)).mappings():
        digest, made = hashlib.sha256(row["content"].encode()).hexdigest(), entries.get(row["number"])
        if made is None or row["number"] not in frozen:
            found.append(f"the frozen prediction {row['number']} of {row['study']} has no entry in the audit trail")
        elif digest != row["sha256"] or json.loads(made["detail"]) != {"study": row["study"], "sha256": digest}:
            found.append(f"the frozen prediction {row['number']} of {row['study']} was changed after it was frozen")
        frozen -= {row["number"]}
    found += [f"the frozen prediction {number} is gone" for number in sorted(frozen)]
    people = {e["number"] for e in entries.values() if e["action"] == "person"} - forgotten
    found += [f"person {number} is gone without having been forgotten" for number in sorted(people - known)]
    found += [f"person {number} has no entry in the audit trail" for number in sorted(known - people)]
    more = len(found) - SHOWN
    return found if more <= 0 else [*found[:SHOWN], f"and {more} more"]


def count(connection: Connection) -> int:
    """Entries of the audit trail."""
    return int(connection.execute(select(func.count()).select_from(AUDIT)).scalar_one())
