"""The what-if page, made once by the process that serves it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from crosstalk.errors import UsageError

__all__ = ["made", "there"]


def there() -> bool:
    """Whether this version has the page."""
    return find_spec("crosstalk.page") is not None


def made() -> str:
    """The page as one HTML text.

    Raises
    ------
    UsageError
        If this version has none.
    """
    if not there():
        raise UsageError("this version has no what-if page; everything else of the application works")
    from crosstalk.engine import get_engine
    from crosstalk.knowledge.loader import load_knowledge

    collect = import_module("crosstalk.page.data").collect
    return str(import_module("crosstalk.page.export").page_html(collect(load_knowledge(), get_engine())))
