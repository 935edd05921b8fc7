"""Tables for people: within 80 columns and with the content of the JSON."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from crosstalk.report.catalogue import Table, analyte_tables, drug_tables, regimen_tables
from crosstalk.report.documents import Simulation
from crosstalk.report.terminal import fit, render_assessment, render_forecast, render_simulation, render_table
from crosstalk.twin.records import Assessment, Forecast


def written(render: object, result: object, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    render(result, console)  # type: ignore[operator]
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def test_nothing_is_wider_than_the_terminal(forecasted: Forecast, assessed: Assessment, simulated: Simulation) -> None:
    for render, result in (
        (render_forecast, forecasted),
        (render_assessment, assessed),
        (render_simulation, simulated),
    ):
        for width in (80, 100):
            assert all(len(line) <= width for line in written(render, result, width).splitlines())


def test_the_forecast_shows_what_the_json_holds(forecasted: Forecast) -> None:
    text = " ".join(written(render_forecast, forecasted, 200).split())
    assert "uncalibrated" not in text
    assert forecasted.conclusion in text
    for regimen in forecasted.regimens:
        assert regimen.name in text
        assert f"{100 * regimen.response.mean:.0f}" in text
    for score in forecasted.mechanisms:
        assert score.name in text
    assert forecasted.applicability.message in text
    # markup of a patient's name is shown, not obeyed
    assert '<script>alert("1")</script>' in text


def test_words_stay_whole_where_there_is_room_for_them() -> None:
    (table,) = analyte_tables()
    console = Console(file=io.StringIO(), width=96)
    render_table(table.title, table.columns, table.rows, console)
    printed = set(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert {word for row in table.rows for cell in row for word in cell.split()} <= printed
    assert fit([10, 40, 30], [10, 8, 12], 60) == [10, 25, 25]
    assert fit([10, 40, 30], [10, 8, 28], 60) == [10, 22, 28]
    assert sum(fit([10, 40, 30], [10, 30, 28], 40)) == 40
    assert fit([3, 4], [3, 4], 60) == [3, 4]


def test_square_brackets_of_a_name_are_no_markup(assessed: Assessment) -> None:
    from dataclasses import replace

    assert "[bold]x[/bold]" in written(render_assessment, replace(assessed, patient="[bold]x[/bold]"))


@pytest.mark.parametrize("make", [drug_tables, regimen_tables, analyte_tables])
def test_catalogues_list_everything_and_show_one(make: object) -> None:
    (listing,) = [t for t in make(None) if isinstance(t, Table)]  # type: ignore[operator]
    assert len(listing.rows) >= 14
    first = str(listing.rows[0][0])
    shown = make(first)  # type: ignore[operator]
    assert shown
    text = " ".join([str(t.title) for t in shown] + [str(c) for t in shown for row in t.rows for c in row])
    assert any(str(cell) in text for cell in listing.rows[0]), (first, text)
    for table in (listing, *shown):
        console = Console(file=io.StringIO(), width=80)
        render_table(table.title, table.columns, table.rows, console)
        assert all(len(line) <= 80 for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]
