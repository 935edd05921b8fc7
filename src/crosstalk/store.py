"""What was computed once and is kept: one form for every cache, checkpoint and work folder.

A file's name holds the hash of everything that its content depends on. Its first line is a mark, its second a checksum
of key, name and content, looked at before anything is parsed. What does not match is computed again, with a word; so is
what cannot be kept. A file without the mark is never removed nor written over.

Machine code and numbers from a cache are used only if nobody else could have put them there: folder and file belong to
the user (or the administrator), and only they may write. A folder that a user names for his own work is his affair.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import OutputError
from crosstalk.places import VARIABLE, cache_folder, make_folder, private
from crosstalk.provenance import write_together

__all__ = ["Store", "Work", "cached", "hash_value"]

Arrays = Mapping[str, NDArray[Any]]

MARK = b"crosstalk kept 1\n"
HEAD = len(MARK) + 65  # the checksum and the end of its line
log = logging.getLogger("crosstalk")


@dataclass(frozen=True)
class Store:
    """Files of one computation.

    Attributes
    ----------
    folder : Path or None
        None keeps nothing.
    kind : str
        First part of the files' names.
    key : str
        Hash of everything that the content depends on.
    guarded : bool
        Whether folder and files must be beyond the reach of other users.
    """

    folder: Path | None
    kind: str
    key: str
    guarded: bool = True

    def path(self, name: str = "") -> Path | None:
        """Where a part is kept."""
        if self.folder is None:
            return None
        part = "." + re.sub(r"[^A-Za-z0-9_-]", "_", name)[:80] if name else ""
        return self.folder / f"{self.kind}-{self.key[:32]}{part}.bin"

    def load(self, name: str = "", *depends: object) -> bytes | memoryview | None:
        """What was kept under a name, or None.

        Parameters
        ----------
        depends : object
            What this part depends on besides the key; see `hash_value`.
        """
        path = self.path(name)
        if path is None or not self._usable(path.parent):
            return None
        try:
            with io.FileIO(path, opener=_opened) as stream:
                found = os.fstat(stream.fileno())
                if self.guarded and not private(found):
                    _tell(f"{path}: others may write this file, so that it is not used; computed again")
                    return None
                stored = stream.readall() if stat.S_ISREG(found.st_mode) else b""
        except FileNotFoundError:
            return None
        except OSError as error:
            _tell(f"{path}: cannot be read ({error.strerror}); computed again")
            return None
        content = memoryview(stored)[HEAD:]
        if stored[:HEAD] != MARK + self._checksum(name, depends, content):
            log.warning("%s: is damaged, or of another computation; computed again", path)
            return None
        return content

    def save(self, content: bytes, name: str = "", *depends: object) -> bool:
        """Keep a part; False where it cannot be kept, which costs time and nothing else."""
        path = self.path(name)
        if path is None:
            return False
        try:
            if self.guarded:
                make_folder(path.parent)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
            if not self._usable(path.parent):
                return False
            _set_aside(path)
            whole = MARK + self._checksum(name, depends, content) + content
            write_together({path: whole}, mode=0o600 if self.guarded else None)
        except (OSError, OutputError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            _tell(f"{path.parent}: nothing can be kept there ({reason}); it is computed again each time")
            return False
        return True

    def load_arrays(self, name: str = "", *depends: object) -> dict[str, NDArray[Any]] | None:
        """Arrays that were kept under a name, or None."""
        content = self.load(name, *depends)
        if content is None:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as opened:
            return {k: opened[k] for k in opened.files}

    def save_arrays(self, arrays: Arrays, name: str = "", *depends: object) -> bool:
        """Keep arrays under a name."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return self.save(buffer.getvalue(), name, *depends)

    def clear(self) -> None:
        """Remove the files of this computation."""
        if self.folder is None or not self.folder.is_dir():
            return
        for path in self.folder.glob(f"{self.kind}-{self.key[:32]}*.bin"):
            if _marked(path):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _checksum(self, name: str, depends: tuple[object, ...], content: bytes | memoryview) -> bytes:
        digest = hashlib.sha256(hash_value(self.kind, self.key, name, depends).encode())
        digest.update(content)
        return digest.hexdigest().encode() + b"\n"

    def _usable(self, folder: Path) -> bool:
        """Whether the folder is there and, where that matters, beyond the reach of others."""
        try:
            found = folder.stat()
        except OSError:
            return False
        if self.guarded and not private(found):
            _tell(
                f"{folder}: is not used, since others may write there or it belongs to another user; "
                f"make it your own (chmod go-w), or name another folder in {VARIABLE}"
            )
            return False
        return True


def cached(kind: str, *depends: object) -> Store:
    """A store in the cache for what depends on these values; see `hash_value`."""
    return Store(cache_folder(), kind, hash_value(kind, *depends))


class Work:
    """A folder for what one run has done so far, so that a run that was stopped goes on.

    Parameters
    ----------
    folder : Path or None
        None keeps nothing.
    fresh : bool
        Start anew, whatever an earlier run has left.
    """

    def __init__(self, folder: Path | None, *, fresh: bool = False) -> None:
        self.folder, self.fresh = folder, fresh
        self._stores: list[Store] = []

    @classmethod
    def of(cls, work: Path | Work | None) -> Work:
        """The work in a folder, or the one that is given."""
        return work if isinstance(work, Work) else cls(work)

    def store(self, kind: str, *depends: object) -> Store:
        """A store for what depends on these values; see `hash_value`."""
        folder = self.folder
        guarded = folder is not None and cache_folder() in (folder, *folder.parents)
        store = Store(folder, kind, hash_value(kind, *depends), guarded)
        if self.fresh:
            store.clear()
        self._stores.append(store)
        return store

    def clear(self) -> None:
        """Remove what was kept, and nothing else, when the result is safe."""
        for store in self._stores:
            store.clear()
        if self.folder is not None:
            with contextlib.suppress(OSError):  # something else is in it
                self.folder.rmdir()


def hash_value(*values: object) -> str:
    """Return the SHA-256 of values whose every part counts: arrays by their bytes, records by all of their fields.

    Numbers, texts, records (dataclasses), mappings, sequences, sets, arrays and None are taken. The ``repr`` of a long
    array shows its ends alone, and that of a record may leave fields out.

    Raises
    ------
    TypeError
        For anything else, such as an object whose content cannot be seen.

    Examples
    --------
    >>> hash_value({"a": 1, "b": (2.0, None)}) == hash_value({"b": [2.0, None], "a": 1})
    True
    >>> hash_value("12", "3") == hash_value("1", "23")
    False
    """
    digest = hashlib.sha256()
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: object) -> None:
    def say(kind: str, content: bytes) -> None:
        digest.update(f"{kind}:{len(content)}:".encode())
        digest.update(content)

    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            say("objects", repr(value.shape).encode())
            for item in value.ravel():
                _feed(digest, item)
        else:
            say("array", repr((value.dtype.str, value.shape)).encode())
            digest.update(np.ascontiguousarray(value).data.cast("B") if value.size else b"")
    elif isinstance(value, np.generic):
        _feed(digest, value.item())
    elif isinstance(value, Enum):
        say("enum", f"{type(value).__qualname__}.{value.name}".encode())
    elif value is None or isinstance(value, (bool, int, float)):
        say("number", repr(value).encode())
    elif isinstance(value, (str, Path)):
        say("text", str(value).encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        say("bytes", value)
    elif is_dataclass(value) and not isinstance(value, type):
        say("record", type(value).__qualname__.encode())
        for field in fields(value):
            say("field", field.name.encode())
            _feed(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        say("mapping", str(len(value)).encode())
        for part in sorted(hash_value(k) + hash_value(v) for k, v in value.items()):
            say("entry", part.encode())
    elif isinstance(value, (set, frozenset)):
        say("set", str(len(value)).encode())
        for part in sorted(hash_value(v) for v in value):
            say("entry", part.encode())
    elif isinstance(value, (list, tuple)):
        say("sequence", str(len(value)).encode())
        for item in value:
            _feed(digest, item)
    else:
        raise TypeError(f"the content of {type(value).__qualname__} cannot be seen, so that it has no hash")


def _opened(path: str, flags: int) -> int:
    """Open a file without waiting for the other end, should it be a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _marked(path: Path) -> bool:
    try:
        with io.FileIO(path, opener=_opened) as stream:
            return stream.read(len(MARK)) == MARK
    except OSError:
        return False


def _set_aside(path: Path) -> None:
    """Give way to a file that is not ours but has a name of ours; an empty one holds nothing to lose."""
    if path.is_file() and path.stat().st_size and not _marked(path):
        other = path.with_name(f"aside-{secrets.token_hex(4)}-{path.name}")
        path.rename(other)
        log.warning("%s: was no file of Crosstalk, and is %s now", path, other.name)


_told: set[str] = set()


def _tell(words: str) -> None:
    """Say it once."""
    if words not in _told:
        _told.add(words)
        log.warning("%s", words)
