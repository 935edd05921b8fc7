"""Limits, and texts of strangers in messages."""

from __future__ import annotations

import time
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.limits import TooDeepError, deeper, nested, printable, read_toml, shown


@given(st.text())
def test_nothing_printable_moves_a_cursor(text: str) -> None:
    safe = printable(text)
    assert not any((ord(c) < 32 and c not in "\t\n") or 0x7F <= ord(c) < 0xA0 for c in safe)
    assert not set(safe) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069")
    assert printable(safe) == safe


@given(st.text(max_size=300), st.integers(1, 100))
def test_shown_is_one_short_line(text: str, length: int) -> None:
    line = shown(text, length)
    assert "\n" not in line
    assert len(line) <= 10 * length + 40
    if len(text) > length:
        assert line.endswith(f"... ({len(text)} characters)")


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize(
    "text",
    [
        "a = [[['x', \"[[[\"]]]", "a = '''\n[[[\n''' # [[[[",
        'a = """\\"[["" [[""" ', "# don't [[[\na = [1]", "[[a]]\n[[a]]",
        "a = {b = {c = [1]}}", "a = ']'\nb = [[1]]", "a.b.c = 1", "[a.b.c.d]\ne = 1",
    ],
)  # fmt: skip
def test_depth_is_that_of_the_parser(text: str) -> None:
    value = tomllib.loads(text)
    depth = depth_of(value)
    assert not deeper(text, depth, toml=True)
    assert not nested(value, depth)
    assert nested(value, depth - 1)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6,
        "a." * 10**6,
        ".'x'" * 10**6,
        '"' + '\\"' * 10**6 + "{" * 200,
        "'" * 10**6,
        '"""' + '"[' * 10**6,
        "#[" * 10**6,
    ],
)
def test_depth_takes_one_pass(text: str) -> None:
    begun = time.process_time()
    deeper(text)
    deeper(text, toml=True)
    assert time.process_time() - begun < 3


@pytest.mark.parametrize(
    "text",
    ["a" + ".a" * 50_000 + " = 1", "[a" + " . 'a'" * 50_000 + "]", "x = " + "[" * 5000 + "]" * 5000,
     "x = " + "{a = " * 5000 + "1" + "}" * 5000, "[[a.b]]\n" * 3 + "x = " + "[" * 101 + "]" * 101],
)  # fmt: skip
def test_deep_toml_is_not_parsed(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(TooDeepError, match="100 deep"):
        read_toml(text)
    assert time.process_time() - begun < 3


def test_dots_of_numbers_and_texts_open_no_tables() -> None:
    numbers = ", ".join(["1.5"] * 200)
    found = read_toml(
        f"# {'.' * 300}\nx = [{numbers}]\ny = '{'.' * 300}'\nz.a = 1.5\n" + "k.v = 2024-01-01T00:00:00.5Z\n"
    )
    assert len(found["x"]) == 200
