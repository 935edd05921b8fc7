"""Verbs that list what is known, or show one entry: `drugs`, `regimens`, `analytes`; and `schema`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosstalk.cli.common import check_outputs, show
from crosstalk.cli.options import JsonFile, names_of

if TYPE_CHECKING:
    from crosstalk.report.catalogue import Table

__all__ = ["analytes", "drugs", "regimens", "schema"]


def drugs(
    drug: Annotated[
        str | None, typer.Argument(metavar="[DRUG]", help="Show one.", autocompletion=names_of("drugs"))
    ] = None,
    json: JsonFile = None,
) -> None:
    """List the drug library, or show one drug with its sources."""
    from crosstalk.report.catalogue import drug_tables

    _catalogue(drug_tables, drug, json)


def regimens(
    regimen: Annotated[
        str | None, typer.Argument(metavar="[REGIMEN]", help="Show one.", autocompletion=names_of("regimens"))
    ] = None,
    json: JsonFile = None,
) -> None:
    """List the regimens that a forecast compares, or show one with its evidence."""
    from crosstalk.report.catalogue import regimen_tables

    _catalogue(regimen_tables, regimen, json)


def analytes(
    analyte: Annotated[
        str | None, typer.Argument(metavar="[ANALYTE]", help="Show one.", autocompletion=names_of("analytes"))
    ] = None,
    json: JsonFile = None,
) -> None:
    """List what a panel may hold, with units and codes, or show one analyte."""
    from crosstalk.report.catalogue import analyte_tables

    _catalogue(analyte_tables, analyte, json)


def schema(name: Annotated[str, typer.Argument(help="assess, forecast, forecasts, simulate or validate.")]) -> None:
    """Print the JSON schema of a result."""
    import json as json_module

    from crosstalk.report.documents import json_schema

    print(json_module.dumps(json_schema(name), indent=2))


def _catalogue(make: Callable[[str | None], tuple[Table, ...]], name: str | None, json: Path | None) -> None:
    check_outputs(json)
    show(make(name), json)
