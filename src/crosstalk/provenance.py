"""Hashes, versions of the software stack, files that appear whole or not at all, and the folder of the cache."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import platform
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from crosstalk.errors import OutputError, UsageError
from crosstalk.places import cache_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "atomic_write",
    "cache_folder",
    "hash_bytes",
    "hash_file",
    "is_stream",
    "package_version",
    "sweep",
    "target_of",
    "temporary_folder",
    "versions",
    "write_together",
]

STACK = (
    "crosstalk-mdd", "numpy", "scipy", "pandas", "scikit-learn", "pint", "pydantic", "antimony", "python-libsbml",
    "libroadrunner", "llvmlite", "numba",
)  # fmt: skip
"""Distributions whose versions can change a result."""
LOCK = ".crosstalk-lock"
_TEMPORARY = re.compile(r"\..*\.crosstalk-[0-9a-f]{8}\.tmp")


def hash_bytes(content: bytes | str) -> str:
    """Return the SHA-256 of bytes, or of a text in UTF-8, as 64 hexadecimal digits.

    Examples
    --------
    >>> hash_bytes("crosstalk")[:8]
    '506234ab'
    """
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed distributions that can change a result."""
    found = {"python": platform.python_version()}
    for name in STACK:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def is_stream(path: Path) -> bool:
    """Whether a path is a device or a pipe, which no file may replace."""
    return Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()


def atomic_write(path: Path, content: str | bytes) -> Path:
    """Write a file so that a reader sees the old content or the new one, never a part.

    A device or a pipe, such as ``/dev/stdout``, is written to and stays what it is.

    Parameters
    ----------
    path : Path
        Where to write. Its folder must exist. A link is followed.
    content : str or bytes
        What to write; a text is written in UTF-8 with its line ends unchanged.

    Returns
    -------
    Path
        The path as given.

    Raises
    ------
    OutputError
        If the folder is missing or nothing can be written there.
    """
    write_together({path: content})
    return path


def write_together(contents: Mapping[Path, str | bytes], *, mode: int | None = None) -> None:
    """Replace several files together or none of them.

    All are written beside their places first, then they are put there. Where one cannot be put there, the others get
    their old content back.

    Parameters
    ----------
    contents : mapping of Path to str or bytes
    mode : int, optional
        Permissions of the files; by default those of the old ones, or of the user's mask.

    Raises
    ------
    OutputError
        If one cannot be written; it says in which state each of them is.
    """
    # a part of a file's name that is no text is written as an escape, which JSON knows too
    data = {p: c.encode(errors="backslashreplace") if isinstance(c, str) else c for p, c in contents.items()}
    targets = {path: target_of(path) for path in data if not is_stream(path)}
    for folder in {t.parent for t in targets.values()}:
        sweep(folder)
    prepared: dict[Path, Path] = {}
    with contextlib.ExitStack() as held:
        held.callback(_remove_all, prepared)
        for path, target in targets.items():
            try:
                stream, prepared[path] = _create(target, mode)
                held.enter_context(stream)
                rest = memoryview(data[path])
                while rest:
                    rest = rest[stream.write(rest) :]
                os.fsync(stream.fileno())
                if mode is None:
                    with contextlib.suppress(FileNotFoundError):  # it is new, or another process has just removed it
                        shutil.copymode(target, prepared[path])
                if fcntl is None:
                    stream.close()
            except OSError as error:
                raise OutputError(_failure(path, target, error) + _states(contents, ())) from error
        for path in data:
            if path not in targets:
                try:
                    with Path(path).open("wb") as pipe:
                        pipe.write(data[path])
                except BrokenPipeError:
                    raise
                except OSError as error:
                    words = f"{path}: cannot be written ({error.strerror})"
                    raise OutputError(words + _states(contents, ())) from error
        _put(contents, targets, prepared)


def target_of(path: Path) -> Path:
    """The file that a path stands for, links followed.

    Raises
    ------
    OutputError
        If links go round in a circle, the folder is missing, or the path is a folder.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            Path(path).stat()
        target = Path(path).resolve()
    except (OSError, RuntimeError) as error:  # a circle of links is the latter in older versions of Python
        reason = getattr(error, "strerror", None) or "its links go round in a circle"
        raise OutputError(f"{path}: cannot be written ({reason}); give another path") from error
    if not target.parent.is_dir():
        raise OutputError(f"{path}: its folder {target.parent} does not exist; create it first")
    if target.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file in it")
    return target


def sweep(folder: Path) -> None:
    """Remove the temporary files of processes that are dead: nobody holds them locked."""
    if fcntl is None:
        return
    try:
        found = [
            e.path for e in os.scandir(folder) if _TEMPORARY.fullmatch(e.name) and e.is_file(follow_symlinks=False)
        ]
    except OSError:
        return
    for path in found:
        try:
            opened = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(path).unlink(missing_ok=True)
        except OSError:
            continue
        finally:
            os.close(opened)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder of the user's alone for files that go when the block ends; those of dead processes go now.

    Raises
    ------
    OutputError
        If no temporary file can be written.
    """
    where = "the temporary folder"
    try:
        where = tempfile.gettempdir()
        for left in Path(where).glob("crosstalk-*.tmp"):
            _sweep_folder(left)
        with (
            tempfile.TemporaryDirectory(prefix="crosstalk-", suffix=".tmp") as name,
            (Path(name) / LOCK).open("xb") as stream,
        ):
            if fcntl is not None:
                with contextlib.suppress(OSError):  # a file system without locks
                    fcntl.flock(stream, fcntl.LOCK_EX)
            yield Path(name)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(where):
            raise
        raise OutputError(
            f"{where}: no temporary file can be written ({error.strerror}); free some space, or set TMPDIR to another "
            "folder"
        ) from error


def _sweep_folder(folder: Path) -> None:
    """Remove a temporary folder whose process is dead."""
    if fcntl is None:
        return
    try:
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            return
        opened = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        pass
    finally:
        os.close(opened)


def _create(target: Path, mode: int | None) -> tuple[io.FileIO, Path]:
    """A new temporary file beside its target, locked as long as it is open."""
    name = target.name
    if len(os.fsencode(name)) > 200:  # names end at 255 bytes
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    while True:
        path = target.with_name(f".{name}.crosstalk-{secrets.token_hex(4)}.tmp")
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        # unbuffered: what a full disk refuses must not be tried again when the file is closed
        stream = io.FileIO(opened, "wb")
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(opened, fcntl.LOCK_EX)
            # another process may have swept it before it was locked
            if os.fstat(opened).st_nlink == 0:
                stream.close()
                continue
        return stream, path


def _put(contents: Mapping[Path, object], targets: Mapping[Path, Path], prepared: Mapping[Path, Path]) -> None:
    """Put every prepared file in its place, or take all back."""
    done: dict[Path, Path | None] = {}  # with the old content, None where there was none
    kept: list[Path] = []
    try:
        for path, target in targets.items():
            try:
                old = None
                if len(targets) > 1 and target.exists():
                    old = prepared[path].with_name(f"{prepared[path].name[:-12]}{secrets.token_hex(4)}.tmp")
                    with contextlib.suppress(OSError):  # a file system without hard links: it cannot be taken back
                        os.link(target, old)
                        kept.append(old)
                prepared[path].replace(target)
            except OSError as error:
                new = [p for p, before in done.items() if not _taken_back(targets[p], before)]
                raise OutputError(_failure(path, target, error) + _states(contents, new)) from error
            done[path] = old
    finally:
        for old in kept:
            _remove(old)


def _taken_back(target: Path, before: Path | None) -> bool:
    try:
        if before is None:
            target.unlink()
        else:
            before.replace(target)
    except OSError:
        return False
    return True


def _failure(path: Path, target: Path, error: OSError) -> str:
    return f"{path}: cannot be written ({error.strerror}); check space and permissions of {target.parent}"


def _states(contents: Mapping[Path, object], new: Sequence[Path]) -> str:
    """What became of the other files."""
    if len(contents) < 2:
        return ""
    same = [str(p) for p in contents if p not in new]
    words = f"; as before: {', '.join(same)}" if new else "; none of the files was replaced: " + ", ".join(same)
    return words + (f"; already new: {', '.join(map(str, new))}" if new else "")


def _remove_all(prepared: Mapping[Path, Path]) -> None:
    for path in prepared.values():
        _remove(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def package_version() -> str:
    """Return the version of Crosstalk."""
    from crosstalk import __version__

    return __version__
