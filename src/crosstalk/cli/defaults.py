"""``crosstalk.toml``: defaults of options, checked against the options that there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosstalk.errors import UsageError

if TYPE_CHECKING:
    import typer

__all__ = ["NAME", "read_defaults"]

NAME = "crosstalk.toml"
OUTPUTS = frozenset({"--json", "--html", "--csv", "--cdisc", "--out", "--output", "--suggest-map"})
"""Options that name a file to write: each run has its own."""
PATHS = frozenset({"--knowledge", "--map", "--posterior", "--work"})


def read_defaults(path: Path, root: typer.Context) -> dict[str, Any]:
    """Read a file of defaults as the command line's own map of defaults.

    Keys are the names of options without dashes. Those above all tables hold for every verb that has the option;
    those in a table ``[verb]`` (``[evidence.pool]``) for that verb. Paths are relative to the file.

    Raises
    ------
    UsageError
        On an unknown verb or option, one that names a file to write, or a value that the option does not take.
    """
    from crosstalk.limits import read_toml, shown

    try:
        content = read_toml(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as TOML ({shown(error, 200)}); correct or remove it") from None
    tree = _verbs(root.command)
    everywhere = {key: value for key, value in content.items() if not isinstance(value, dict)}
    options = {name for verb in tree.values() for name in verb}
    for key in everywhere:
        if key not in options:
            raise UsageError(f"{path}: {key}: no verb has the option --{key}; {_near(key, options)}")
    defaults: dict[str, Any] = {}
    for words, own in tree.items():
        chosen = {key: value for key, value in everywhere.items() if key in own}
        defaults_here = _at(defaults, words)
        for key, value in chosen.items():
            defaults_here[own[key].name] = _value(path, key, own[key], value, root)
    for words, table in _tables(content, ()):
        if words not in tree:
            known = {".".join(w) for w in tree}
            raise UsageError(f"{path}: [{'.'.join(words)}]: no such verb; {_near('.'.join(words), known)}")
        own = tree[words]
        for key, value in table.items():
            place = f"[{'.'.join(words)}] {key}"
            if key not in own:
                raise UsageError(f"{path}: {place}: no such option; {_near(key, own)}")
            _at(defaults, words)[own[key].name] = _value(path, place, own[key], value, root)
    return defaults


def _verbs(command: Any, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], dict[str, Any]]:
    """Options of every verb: its words to name without dashes and the parameter."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, part in getattr(command, "commands", {}).items():
        if hasattr(part, "commands"):
            found |= _verbs(part, (*words, name))
        else:
            found[(*words, name)] = {
                option.removeprefix("--"): parameter
                for parameter in part.params
                for option in parameter.opts
                if option.startswith("--") and option not in OUTPUTS and option != "--help"
            }
    return found


def _tables(content: Mapping[str, Any], words: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], dict[str, Any]]]:
    for key, value in content.items():
        if isinstance(value, dict):
            own = {k: v for k, v in value.items() if not isinstance(v, dict)}
            inner = list(_tables(value, (*words, key)))
            if own or not inner:
                yield (*words, key), own
            yield from inner


def _at(defaults: dict[str, Any], words: tuple[str, ...]) -> dict[str, Any]:
    for word in words:
        defaults = defaults.setdefault(word, {})
    return defaults


def _value(path: Path, place: str, parameter: Any, value: Any, root: typer.Context) -> Any:
    many = bool(parameter.multiple)
    values = value if many and isinstance(value, list) else [value]
    if getattr(parameter, "is_flag", False):
        if not isinstance(value, bool):
            raise UsageError(f"{path}: {place}: received {value!r}; expected true or false")
        return value
    if any(isinstance(one, (list, dict, bool)) for one in values):
        raise UsageError(f"{path}: {place}: received {value!r}; expected {'texts' if many else 'one value'}")
    texts = [str(path.parent / str(one)) if parameter.opts[0] in PATHS else str(one) for one in values]
    try:
        parameter.process_value(root, texts if many else texts[0])
    except Exception as error:
        raise UsageError(f"{path}: {place}: received {value!r}; {getattr(error, 'message', error)}") from None
    return texts if many else texts[0]


def _near(name: str, known: Iterable[str]) -> str:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"expected one of {', '.join(known)}"
