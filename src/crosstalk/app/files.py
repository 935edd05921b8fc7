"""Files that were dropped in: kept under names of the server's own in a folder that goes with it.

The name that the client gives is a label. No path of a client is ever opened.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosstalk.errors import UsageError

__all__ = ["Dropped", "Files"]

KEPT = 20  # files; the oldest goes when another comes
_SUFFIX = re.compile(r"\.(csv|tsv|txt|xlsx|xlsm|xpt|json|ndjson|xml|hl7|parquet)")
"""Endings that a reader may look at; the format is told by the content."""


@dataclass
class Dropped:
    """One file. ``name`` is what the client calls it, ``map`` what its columns mean where that was asked."""

    id: str
    name: str
    path: Path
    size: int
    map: dict[str, Any] | None = None

    def payload(self) -> dict[str, Any]:
        """What the work needs of it."""
        return {"path": str(self.path), "name": self.name, "map": self.map}


class Files:
    """The files of one server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: OrderedDict[str, Dropped] = OrderedDict()
        self._lock = threading.Lock()

    def place(self, name: str) -> Dropped:
        """A place for a file; the caller writes it."""
        label = re.split(r"[\\/]", name)[-1].strip()[:120] or "file"
        found = _SUFFIX.fullmatch(Path(label.lower()).suffix)
        key = secrets.token_urlsafe(12)
        path = self._folder / f"{secrets.token_hex(12)}{found[0] if found else '.dat'}"
        return Dropped(key, label, path, 0)

    def keep(self, dropped: Dropped) -> None:
        """Take a file that is written; the oldest goes when there are too many."""
        with self._lock:
            self._files[dropped.id] = dropped
            while len(self._files) > KEPT:
                _, old = self._files.popitem(last=False)
                old.path.unlink(missing_ok=True)

    def get(self, key: str) -> Dropped:
        """A file by its id.

        Raises
        ------
        UsageError
            If there is none.
        """
        with self._lock:
            found = self._files.get(key)
        if found is None:
            raise UsageError("no such file; drop it in again")
        return found

    def drop(self, key: str) -> None:
        """Remove a file."""
        with self._lock:
            found = self._files.pop(key, None)
        if found is not None:
            found.path.unlink(missing_ok=True)

    def all(self) -> list[dict[str, Any]]:
        """What is kept, newest first."""
        with self._lock:
            return [{"id": f.id, "name": f.name, "size": f.size} for f in reversed(self._files.values())]
