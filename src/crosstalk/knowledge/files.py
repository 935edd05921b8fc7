"""Files of the knowledge base: text and TOML checked against a schema, errors with file and key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crosstalk.errors import KnowledgeError
from crosstalk.limits import read_toml, shown

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["by_stem", "check_id", "named_tables", "read_tables", "read_text", "validated"]

Model = TypeVar("Model", bound="BaseModel")


def read_text(path: Path) -> str:
    """Text of a file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KnowledgeError(f"{path}: no such file; the knowledge base is incomplete, reinstall Crosstalk") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KnowledgeError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def read_tables(path: Path) -> dict[str, Any]:
    """Content of a TOML file."""
    try:
        return read_toml(read_text(path))
    except ValueError as error:
        raise KnowledgeError(f"{path}: not valid TOML: {shown(error, 200)}; correct it") from error


def validated(model: type[Model], content: object, path: Path, prefix: str = "") -> Model:
    """Content that keeps a schema.

    Raises
    ------
    KnowledgeError
        With a line for each problem: file, key, what was received, what was expected.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise KnowledgeError("\n".join(_explain(path, prefix, error.errors()))) from None


def _explain(path: Path, prefix: str, errors: Iterable[Any]) -> Iterator[str]:
    """Yield one line per error: file, key path, what was received, what was expected, what to do."""
    for error in errors:
        place = ".".join([prefix] * bool(prefix) + [str(part) for part in error["loc"]]) or "the file"
        message, received = error["msg"], error["input"]
        if error["type"] == "extra_forbidden":
            yield f"{path}: {place}: unknown key; check its spelling or drop it"
        elif error["type"] == "missing":
            yield f"{path}: {place}: missing; add it"
        elif error["type"] == "value_error":
            yield f"{path}: {place}: {message.removeprefix('Value error, ')}"
        else:
            shown = repr(received)
            shown = shown if len(shown) <= 60 else shown[:57] + "..."
            yield f"{path}: {place}: received {shown}, expected: {message[:1].lower() + message[1:]}; correct the value"


def named_tables(path: Path, model: type[Model], key: str = "") -> dict[str, Model]:
    """Read a TOML file that is one table of tables, at the top (``key`` empty) or under ``key``."""
    content = read_tables(path)
    if key:
        unknown = sorted(set(content) - {key})
        if unknown or not isinstance(content.get(key), dict):
            raise KnowledgeError(
                f"{path}: expected only tables [{key}.<id>], got {sorted(content)}; move or drop the rest"
            )
        content = content[key]
    prefix = f"{key}." if key else ""
    return {id_: validated(model, table, path, f"{prefix}{id_}") for id_, table in content.items()}


def by_stem(folders: Iterable[Path], part: str) -> dict[str, Path]:
    """TOML files of one part of some folders, by the stem of their names; none stands twice."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / part).glob("*.toml")):
            if path.stem in found:
                raise KnowledgeError(
                    f"{path}: {path.stem!r} is already defined by {found[path.stem]}; nothing is replaced silently, "
                    "so give the file and its id another name"
                )
            found[path.stem] = path
    return found


def check_id(path: Path, table: str, id_: str) -> None:
    """Raise `KnowledgeError` if an id is not the name of its file."""
    if id_ != path.stem:
        raise KnowledgeError(
            f"{path}: {table}.id: received {id_!r}, expected the name of the file ({path.stem!r}); rename one of them"
        )
