"""Where things may be kept, and whether a place is beyond the reach of other users."""

from __future__ import annotations

import functools
import os
import stat
import tempfile
from pathlib import Path

__all__ = ["VARIABLE", "cache_folder", "make_folder", "private"]

VARIABLE = "CROSSTALK_CACHE"
"""Environment variable that names the folder of what was computed once."""


def cache_folder() -> Path:
    """Return the folder of what was computed once; it need not be there, or be one that can be written.

    That which the environment variable ``CROSSTALK_CACHE`` names; else the user's cache folder of the platform; where
    that cannot be written, a folder of this user alone among the temporary files.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    return _usual(*(os.environ.get(name) for name in ("XDG_CACHE_HOME", "HOME", "TMPDIR")))


def private(found: os.stat_result) -> bool:
    """Whether only the user, or the administrator, could have written it."""
    if os.name != "posix":
        return True
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & 0o022


def make_folder(folder: Path) -> None:
    """Make a folder that is the user's alone, and those above it, where there is none.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    for path in reversed([folder, *folder.parents]):
        if not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)


@functools.lru_cache(maxsize=8)
def _usual(*environment: str | None) -> Path:
    """The folder where no variable names one; ``environment`` is here for the cache alone."""
    import platformdirs

    try:
        usual = Path(platformdirs.user_cache_dir("crosstalk"))
    except RuntimeError:  # a user that the system does not know, and no HOME
        usual = Path("~")
    # older versions of platformdirs leave the sign of a home that is not known as it is
    homeless = usual.parts[0].startswith("~")
    if not homeless and _can_hold(usual):
        return usual
    try:
        base = Path(tempfile.gettempdir())
        own = base / f"crosstalk-{os.geteuid() if os.name == 'posix' else 'cache'}"
        # where no temporary folder can be written, Python takes the current one
        if base != Path.cwd():
            make_folder(own)
            found = own.lstat()
            if stat.S_ISDIR(found.st_mode) and private(found):
                return own
    except OSError:
        pass
    return Path(os.devnull) / "crosstalk" if homeless else usual


def _can_hold(folder: Path) -> bool:
    """Whether a folder is private and can be written, or could be made."""
    try:
        if folder.exists():
            return folder.is_dir() and private(folder.stat()) and os.access(folder, os.W_OK | os.X_OK)
        nearest = next(p for p in folder.absolute().parents if p.exists())
    except (OSError, StopIteration):
        return False
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
