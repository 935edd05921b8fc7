"""Analyse a trial's own data: a table and a design in, estimates out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from crosstalk.analysis.arrange import TrialTable, arrange
from crosstalk.analysis.design import read_design
from crosstalk.analysis.methods import carry_out
from crosstalk.analysis.records import Analysed, Counts
from crosstalk.panel.sheets import read_sheet, sheet_of_frame
from crosstalk.provenance import hash_bytes, package_version

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["analyse"]


def analyse(
    data: str | Path | pd.DataFrame,
    design: str | Path | Mapping[str, Any],
    *,
    seed: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Analysed:
    """Analyse the data of a trial as its design says.

    Parameters
    ----------
    data : str, Path or DataFrame
        CSV, TSV, Excel, SAS transport or CDISC Dataset-JSON; long, wide, or ADaM.
    design : str, Path or mapping
        A TOML file, or its content. `docs/analyse.md` lists its keys.
    seed : int
        Of multiple imputation.
    progress : callable, optional
        Told which analysis is being done.

    Returns
    -------
    Analysed
        ``summary()`` in words, ``to_frame()`` all estimates, ``finding(id)`` one analysis.

    Raises
    ------
    StudyError
        If the design breaks its schema, with file, line and key.
    PanelError
        If the data cannot be read as the design says, with file, line, patient and column.
    UsageError, TrialError
        If an analysis cannot be done with these data, with its id.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from crosstalk.analysis import analyse
    >>> rng = np.random.default_rng(1)
    >>> arm = np.repeat(["drug", "placebo"], 40)
    >>> table = pd.DataFrame({"id": range(80), "arm": arm, "base": rng.normal(24, 3, 80).round()})
    >>> for week in (2, 4):
    ...     table[f"w{week}"] = (table["base"] - 4 - 2 * (arm == "drug") + rng.normal(0, 4, 80)).round()
    >>> found = analyse(table, {"data": {
    ...     "layout": "wide", "patient": "id", "arm": "arm", "control": "placebo", "baseline": "base",
    ...     "visits": {"w2": 2.0, "w4": 4.0}}})
    >>> found.finding("mmrm").rows[-1].what, len(found.to_frame())
    ('difference', 9)
    """
    plan = read_design(design)
    folder = Path(design).parent if isinstance(design, (str, Path)) else None
    if isinstance(data, (str, Path)):
        sheet = read_sheet(Path(data), plan.data.sheet)
        digest = hash_bytes(Path(data).read_bytes())
        folder = (
            Path(data).parent if plan.data.subjects and (Path(data).parent / plan.data.subjects).exists() else folder
        )
    else:
        sheet = sheet_of_frame(data)
        digest = hash_bytes("\n".join("\t".join(row) for row in (sheet.columns, *sheet.rows)).encode())
    trial = arrange(sheet, plan, folder)
    findings = []
    with threadpool_limits(1):  # many small matrices: threads only wait for each other
        for one in plan.analysis:
            if progress is not None:
                progress(one.id)
            findings.append(carry_out(trial, plan.outcome, one, seed))
    return Analysed(
        plan.title or Path(trial.name).stem, plan.outcome.name, plan.outcome.unit, plan.outcome.better, trial.name,
        digest, _counts(trial), trial.labels, tuple(map(float, trial.weeks)), tuple(findings), trial.warnings, seed,
        package_version(),
    )  # fmt: skip


def _counts(trial: TrialTable) -> tuple[Counts, ...]:
    found = []
    for k, name in enumerate(trial.arms):
        own = trial.arm == k
        base = np.array([np.nan]) if trial.baseline is None else trial.baseline[own]
        seen = tuple(int(n) for n in np.isfinite(trial.scores[own]).sum(axis=0))
        with np.errstate(all="ignore"):
            spread = float(base.std(ddof=1)) if len(base) > 1 else float("nan")
        found.append(Counts(name, int(own.sum()), seen, float(base.mean()), spread))
    return tuple(found)
