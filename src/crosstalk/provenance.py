"""Hashes, versions of the software stack, and files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import shutil
from importlib import metadata
from pathlib import Path

from crosstalk.errors import OutputError, UsageError

__all__ = ["atomic_write", "cache_folder", "hash_bytes", "hash_file", "is_stream", "package_version", "versions"]

STACK = (
    "crosstalk-mdd", "numpy", "scipy", "pandas", "scikit-learn", "pint", "pydantic", "antimony", "python-libsbml",
    "libroadrunner", "llvmlite", "numba",
)  # fmt: skip
"""Distributions whose versions can change a result."""


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


def cache_folder() -> Path:
    """Return the folder of what was computed once: ``CROSSTALK_CACHE`` or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("CROSSTALK_CACHE") or platformdirs.user_cache_dir("crosstalk"))


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
    data = content.encode() if isinstance(content, str) else content
    if is_stream(path):
        try:
            with Path(path).open("wb") as stream:
                stream.write(data)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
        return path
    target = Path(path).resolve()
    if not target.parent.is_dir():
        raise OutputError(f"{path}: its folder {target.parent} does not exist; create it first")
    if target.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file in it")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); check space and permissions of {target.parent}"
        ) from error
    return path


def package_version() -> str:
    """Return the version of Crosstalk."""
    from crosstalk import __version__

    return __version__
