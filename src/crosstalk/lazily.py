"""Names of a package that are imported on first use, so that importing the package stays light."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from crosstalk.extras import missing

__all__ = ["lazily"]


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    homes : mapping of str to str
        Each public name and the module that defines it, relative to the package: ``"regression"`` is its own,
        ``".statistics.regression"`` one of the package above.

    Examples
    --------
    >>> find, names = lazily("crosstalk", {"hash_bytes": "provenance"})
    >>> find("hash_bytes").__module__, names()
    ('crosstalk.provenance', ['hash_bytes'])
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            return getattr(import_module(f".{homes[name]}", package), name)
        except ModuleNotFoundError as error:
            raise missing(error) or error from error

    return find, lambda: sorted(homes)
