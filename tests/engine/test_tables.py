"""Tables of individuals: separators, missing cells, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk.engine.tables import read_table
from crosstalk.errors import UsageError


@pytest.mark.parametrize("separator", [",", ";", "\t", "  "])
def test_separators(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "\ufeff" + separator.join(["ID", "A"]) + "\n\n" + separator.join(["x", "1e3"]) + "\n", encoding="utf-8"
    )
    table = read_table(path, "things")
    assert table.columns == {"ID": ["x"], "A": ["1e3"]}
    assert table.lines == [3]
    assert table.numbers("A")[0] == 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"A,B\n1\n", "line 2: has 1 cells; expected 2"),
        (b"A,A\n1,2\n", "two columns are named 'A'"),
        (b"A,\n1,2\n", "column 2 of the header has no name"),
        (b"A,B\n1,\xff\n", "is no text in UTF-8"),
        (b"A\x00,B\n", "is no text"),
        (b'A,B\n"1,2\n', "expected 2|cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_table(path, "things")


def test_missing_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("A,B\n1,.\n2,NA\n")
    table = read_table(path, "things")
    assert table.numbers("B", missing=0.0).tolist() == [0, 0]
    with pytest.raises(UsageError, match=r"t\.csv, line 2: the column 'B' is empty"):
        table.numbers("B")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_of_a_frame_are_kept_to_the_last_digit(values: list[float]) -> None:
    assert np.array_equal(read_table(pd.DataFrame({"A": values}), "things").numbers("A"), values)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("tables") / "t.csv"
    path.write_bytes(content)
    try:
        read_table(path, "things")
    except UsageError as error:
        assert str(error)
