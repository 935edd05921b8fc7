"""A table of one's own effects; several drugs are mixed on demand alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosstalk.errors import CrosstalkError, EvidenceError
from crosstalk.evidence.own_table import pool_table
from crosstalk.evidence.pooling import by_drug
from crosstalk.statistics.meta_analysis import random_effects

pytest.importorskip("pymare")

TABLE = "study,effect,se,drug\nA,-0.9,0.28,alpha\nB,-0.3,0.22,alpha\nC,-1.2,0.35,beta\nD,0.05,0.17,beta\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "mine.csv").write_text(TABLE)
    return tmp_path / "mine.csv"


def test_it_is_the_pool_of_its_columns(table: Path) -> None:
    found = pool_table(table, mix=True)
    fit = random_effects([-0.9, -0.3, -1.2, 0.05], [0.28, 0.22, 0.35, 0.17])
    assert (found.estimate, found.low, found.high, found.k) == (fit.estimate, fit.low, fit.high, 4)
    assert [s.drug for s in found.subgroups] == ["alpha", "beta"]
    alpha = random_effects([-0.9, -0.3], [0.28, 0.22])
    assert (found.subgroups[0].estimate, found.subgroups[0].low) == (alpha.estimate, alpha.low)


def test_drugs_are_not_mixed_unasked(table: Path) -> None:
    with pytest.raises(EvidenceError, match=r"several drugs: alpha \(2\), beta \(2\).*--mix"):
        pool_table(table)
    table.write_text(TABLE.replace("beta", "alpha"))
    assert pool_table(table).subgroups == ()


def test_intervals_and_ratios(tmp_path: Path) -> None:
    """Odds ratios with intervals give the logarithms that they were made of."""
    logs, errors = np.array([0.2, 0.9, 0.5]), np.array([0.2, 0.3, 0.25])
    rows = [
        f"S{k},{np.exp(v):.10g},{np.exp(v - 1.959964 * e):.10g},{np.exp(v + 1.959964 * e):.10g}"
        for k, (v, e) in enumerate(zip(logs, errors, strict=True))
    ]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["Study,Effect,Low,High", *rows]))
    found, fit = pool_table(path, ratios=True), random_effects(logs.tolist(), errors.tolist())
    assert found.estimate == pytest.approx(np.exp(fit.estimate), rel=1e-6)
    assert (found.null, found.scale) == (1.0, "logarithm")


def test_a_drug_with_one_effect_keeps_it() -> None:
    (one, _) = by_drug(["a", "b", "b"], [1.0, 0.0, 0.2], [0.5, 0.1, 0.1], back=float, mix=True)
    assert (one.estimate, one.k, one.i2) == (1.0, 1, None)
    assert one.high == pytest.approx(1 + 1.959964 * 0.5, rel=1e-5)


def test_the_ad_hoc_interval_is_no_narrower(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("study,effect,se\nA,-0.30,0.20\nB,-0.31,0.25\n")
    plain, floor = pool_table(path), pool_table(path, test="ad hoc")
    assert plain.high - plain.low < 0.2
    assert "ad hoc" in plain.notes[0]
    assert floor.high - floor.low > 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("study,effect\nA,1\nB,2\n", "neither a column 'se' nor 'low' and 'high'"),
        ("trial,effect,se\nA,1,1\n", "no column 'study'"),
        ("study,effect,se\nA,one,1\nB,2,1\n", "line 2, A: 'effect' is 'one', no number"),
        ("study,effect,se\nA,1,0\nB,2,1\n", "line 2, A: has no positive se"),
        ("study,effect,se\nA,1,1\n", "has 1 effects"),
        ("study,effect,se\nA,,1\nB,2,1\n", "line 2, A: has no effect"),
        ("study,effect,low,high\nA,1,2,3\nB,2,1,3\n", "line 2, A: the effect 1 lies outside of its interval 2 to 3"),
    ],
)
def test_broken_tables_are_refused_with_their_place(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(CrosstalkError, match=message):
        pool_table(path)


def test_the_command_line(run: Callable[..., tuple[int, str, str]], table: Path, tmp_path: Path) -> None:
    code, _, err = run("evidence", "pool", "--table", table)
    assert code == 1
    assert "--mix" in err
    code, said, err = run("evidence", "pool", "--table", table, "--mix", "--html", tmp_path / "x.html")
    assert code == 0, err
    assert said.index("By drug") < said.index("Effects of mine.csv")
    assert "alpha" in (tmp_path / "x.html").read_text(encoding="utf-8")
    for wrong in (("--drug", "minocycline"), ("--test", "z")):
        options: tuple[Any, ...] = ("evidence", "pool", "--table", table, "--mix", *wrong)
        assert run(*options)[0] == 2
