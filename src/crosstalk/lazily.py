"""Names of a package that are imported on first use, so that importing the package stays light."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from crosstalk.extras import missing

__all__ = ["lazily"]


def lazily(package: str, *, moved_to: str = "") -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make the ``__getattr__``, the ``__dir__`` and the ``__all__`` of a package.

    Its public names are those that its ``__init__.py`` imports for type checkers, ``from home import name as name``
    under ``if TYPE_CHECKING``; so each is written once.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    moved_to : str
        Package that public names of this one have moved to. They are still found here, with a warning.

    Examples
    --------
    >>> import crosstalk.twin
    >>> find, _, names = lazily("crosstalk.twin")
    >>> find("assess_cohort").__module__, names
    ('crosstalk.twin.cohort', ['CohortAssessment', 'assess', 'assess_cohort', 'forecast'])
    """
    homes = {
        name.name: statement.module
        for block in ast.parse(Path(sys.modules[package].__file__ or "").read_text(encoding="utf-8")).body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for name in statement.names
    }

    def find(name: str) -> Any:
        if name not in homes:
            if moved_to and name in import_module(moved_to).__all__:
                warnings.warn(f"{name} has moved to {moved_to}", DeprecationWarning, stacklevel=2)
                return getattr(import_module(moved_to), name)
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(homes[name]), name)
        except ModuleNotFoundError as error:
            raise missing(error) or error from error

    names = sorted(homes)
    return find, lambda: list(names), names
