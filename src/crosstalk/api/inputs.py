"""What a caller may give instead of a file: tables, dicts, names of engines, folders of knowledge."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from crosstalk.errors import CrosstalkError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge, own_folders

if TYPE_CHECKING:
    import pandas as pd

    from crosstalk.engine.ensemble import Engine

__all__ = ["EngineLike", "KnowledgeLike", "TableLike", "engine_of", "knowledge_of", "read_as_file"]

KnowledgeLike: TypeAlias = "Knowledge | str | Path | Sequence[str | Path] | None"
"""Knowledge, or folders of one's own that add to what is in force (None: that alone)."""
EngineLike: TypeAlias = "Engine | str | None"
"""An engine, or ``fast`` (None) or ``reference``."""
TableLike: TypeAlias = "str | Path | pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]]"
"""A file; a table with its columns; a dict of one row or of columns; a list of rows; a FHIR resource as a dict."""

T = TypeVar("T")
TABLE, RESOURCE = "table.csv", "resource.json"


def knowledge_of(given: KnowledgeLike) -> Knowledge:
    """The knowledge that is meant.

    Raises
    ------
    KnowledgeError
        If a folder holds none.
    """
    if isinstance(given, Knowledge):
        return given
    if given is None:
        return load_knowledge()
    folders = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    return load_knowledge(extra=[*own_folders(), *(Path(folder) for folder in folders)])


@contextmanager
def engine_of(given: EngineLike) -> Iterator[Engine]:
    """Yield the engine that is meant; one that was made here is closed.

    Raises
    ------
    UsageError
        On an unknown name.
    """
    if given is None or isinstance(given, str):
        from crosstalk.engine import get_engine

        engine = get_engine(given or "fast")
        try:
            yield engine
        finally:
            engine.close()
    else:
        yield given


def read_as_file(given: TableLike, read: Callable[[Path], T]) -> T:
    """Run a reader on a file, or on a table or dict as if it were one, so that the same rules hold for all.

    Messages and results name a table ``DataFrame`` or ``dict``; its first row is on line 2.

    Raises
    ------
    UsageError
        If it is none of these.
    CrosstalkError
        What the reader refuses.
    """
    import pandas as pd

    if isinstance(given, (str, os.PathLike)):
        return read(Path(given))
    name = "DataFrame" if isinstance(given, pd.DataFrame) else type(given).__name__
    if isinstance(given, Mapping) and "resourceType" in given:
        file, content = RESOURCE, json.dumps(given)
    else:
        file, content = TABLE, _csv(_frame(given))
    with TemporaryDirectory() as folder:
        path = Path(folder) / file
        path.write_text(content, encoding="utf-8")
        try:
            found = read(path)
        except CrosstalkError as error:
            raise type(error)(str(error).replace(str(path), name)) from None
        named: T = _named(found, str(path), name)
        return named


def _frame(given: object) -> pd.DataFrame:
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        named = [n for n in given.index.names if n is not None]
        return given.reset_index(names=named) if named else given
    if isinstance(given, Mapping):
        single = not any(pd.api.types.is_list_like(value) for value in given.values())
        try:
            return pd.DataFrame([given] if single else given)
        except ValueError as error:
            raise UsageError(f"the columns of the dict make no table: {error}; give each as many values") from None
    if isinstance(given, Sequence) and given and all(isinstance(row, Mapping) for row in given):
        return pd.DataFrame(list(given))
    raise UsageError(
        f"received a {type(given).__name__}; expected a path, a DataFrame, a dict of one row or of columns, or a list "
        "of dicts"
    )


def _csv(frame: pd.DataFrame) -> str:
    return str(frame.map(_cell).to_csv(index=False))


def _cell(value: Any) -> str:
    """A cell as text; a number with a point that none can take for a separator of thousands."""
    import pandas as pd

    if isinstance(value, str):
        return value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        text = repr(value)
        whole, point, decimals = text.partition(".")
        if point and decimals == "0":
            return whole
        return f"{text}0" if len(decimals) == 3 else text
    return str(value)


def _named(found: Any, path: str, name: str) -> Any:
    """The result with the name of the table where it holds the path of the file."""
    if isinstance(found, tuple) and not is_dataclass(found):
        return tuple(_named(part, path, name) for part in found) if any(map(is_dataclass, found)) else found
    if not is_dataclass(found) or isinstance(found, type):
        return found
    changed: dict[str, Any] = {}
    for field in fields(found):
        value = getattr(found, field.name)
        if isinstance(value, str) and path in value:
            changed[field.name] = value.replace(path, name)
        elif isinstance(value, tuple) and any(isinstance(v, str) and path in v for v in value):
            changed[field.name] = tuple(v.replace(path, name) if isinstance(v, str) else v for v in value)
        elif is_dataclass(value) and not isinstance(value, type) and getattr(value, "path", None) == path:
            changed[field.name] = _named(value, path, name)
    return replace(found, **changed) if changed else found
