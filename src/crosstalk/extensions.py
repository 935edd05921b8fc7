"""What other installed packages bring: folders of knowledge, formats of files and analyses of trials, by entry points.

A package names them in its ``pyproject.toml``: in the group ``crosstalk.knowledge`` the path of a folder as
``load_knowledge`` takes it, in ``crosstalk.formats`` a sequence of `crosstalk.panel.registry.Format`, in
``crosstalk.analyses`` a mapping of names to `crosstalk.study.methods.AnalysisMethod`.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import metadata
from typing import Literal

from crosstalk.errors import UsageError

__all__ = ["ANALYSES", "FORMATS", "KNOWLEDGE", "brought"]

Group = Literal["crosstalk.knowledge", "crosstalk.formats", "crosstalk.analyses"]
KNOWLEDGE: Group = "crosstalk.knowledge"
FORMATS: Group = "crosstalk.formats"
ANALYSES: Group = "crosstalk.analyses"


def brought(group: Group) -> tuple[tuple[str, object], ...]:
    """What installed packages bring, each with ``package: name``, in the order of these.

    Raises
    ------
    UsageError
        If one of them cannot be loaded.
    """
    return _brought(group, tuple(sys.path))


@lru_cache(maxsize=8)
def _brought(group: Group, path: tuple[str, ...]) -> tuple[tuple[str, object], ...]:
    # ``path`` is here for the cache alone: a package that comes or goes changes what is found
    found = []
    for entry in metadata.entry_points(group=group):
        who = f"{entry.dist.name if entry.dist else 'an unnamed package'}: {entry.name}"
        try:
            found.append((who, entry.load()))
        except Exception as error:
            raise UsageError(
                f"the installed package {who} ({entry.value}) cannot be loaded for {group} "
                f"({type(error).__name__}: {error}); mend it, or uninstall it"
            ) from error
    return tuple(sorted(found, key=lambda item: item[0]))
