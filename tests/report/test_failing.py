"""One page that fails costs no other file; values that failed are shown; no control character reaches a terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from crosstalk.cli.common import warn, write_wanted
from crosstalk.errors import OutputError, UsageError
from crosstalk.report.patient import panel_table
from crosstalk.report.terminal import render_table
from crosstalk.report.words import USES
from crosstalk.twin.records import ProfileItem


def test_a_page_that_fails_is_told_after_the_others_are_written(tmp_path: Path) -> None:
    json, page = tmp_path / "a.json", tmp_path / "a.html"

    def broken() -> str:
        raise KeyError("failed")

    with pytest.raises(OutputError, match=r"a\.html: could not be made \(KeyError: 'failed'\).*written: .*a\.json"):
        write_wanted((page, broken), (json, lambda: "{}"), (None, broken))
    assert json.read_text() == "{}"
    assert not page.exists()

    def refused() -> str:
        raise UsageError("no rung of that name")

    with pytest.raises(UsageError, match="no rung"):
        write_wanted((json, lambda: "[]"), (page, refused))
    assert json.read_text() == "[]"


def test_every_use_and_place_of_a_value_has_its_row() -> None:
    hints = get_type_hints(ProfileItem)
    for use in get_args(hints["use"]):
        for position in get_args(hints["position"]):
            for censored in get_args(hints["censored"]):
                item = ProfileItem(
                    analyte="IL-6", name="Interleukin-6", value=3.0, unit="pg/mL", censored=censored, given="3",
                    position=position, percentile=None, reference=None, use=use, predicted=None, upper=4.0,
                )  # fmt: skip
                (row,) = panel_table([item]).rows
                assert row[-1] == USES[use]


def test_no_control_character_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=False, width=80)
    render_table("t\x1b[2J", ("a\x1b[31m", "[red]b"), [("P\x1b]0;x\x07", "\u202ex"), ("\x9b31m", "[bold]y")], console)
    warn(("patient \x1b[31mA\x1b[0m",), quiet=False)
    shown = text.getvalue() + capsys.readouterr().err
    assert not set(shown) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "\\x1b[31mA" in shown
    assert "[red]b" in shown


@given(st.floats(-3, 3), st.floats(1e-6, 3))
@example(-0.0123, 1e-4)
def test_a_log_axis_has_ticks_however_alike_the_patients(low: float, decades: float) -> None:
    from crosstalk.report.cohort import _log
    from crosstalk.report.drawing import new_figure

    _, (axis,) = new_figure(1.0)
    axis.set_xscale("log")
    axis.set_xlim(10.0**low, 10.0 ** (low + decades))
    _log(axis)
    ticks = axis.xaxis.get_majorticklocs()
    assert len(ticks)
    assert all(0.99 * 10.0**low <= t <= 1.01 * 10.0 ** (low + decades) for t in ticks)
