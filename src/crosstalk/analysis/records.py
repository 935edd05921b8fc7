"""What an analysis of a trial gives: estimates by arm and visit, what they rest on, and curves for figures."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from crosstalk.analysis.marker import EffectCurve
from crosstalk.statistics.estimates import Estimate
from crosstalk.statistics.sensitivity import Tipping

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Analysed", "Counts", "EstimateRow", "Finding", "Step"]


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """One estimate of one analysis.

    ``what`` is ``mean`` (least-squares mean of an arm), ``difference`` (arm minus control), ``rate``, ``rate
    difference``, ``log odds ratio``, ``log hazard ratio``, ``effect in stratum``, ``interaction`` or a strategy.
    """

    what: str
    arm: str
    versus: str
    week: float | None
    estimate: Estimate
    part: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Kaplan-Meier estimate of one arm: the share with the event by each time."""

    arm: str
    times: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One analysis.

    Attributes
    ----------
    how : str
        The method in words, as a report states it.
    unit : str
        Of the estimates.
    test : str
        A test of several coefficients in words, such as of an interaction.
    notes : tuple of str
        What a reader must know.
    """

    id: str
    method: str
    how: str
    unit: str
    level: float
    rows: tuple[EstimateRow, ...]
    test: str = ""
    p: float | None = None
    notes: tuple[str, ...] = ()
    covariance: tuple[tuple[str, tuple[tuple[float, ...], ...]], ...] = ()
    curves: tuple[EffectCurve, ...] = ()
    tipping: tuple[tuple[str, Tipping], ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """One arm in numbers: patients, with a score at each visit, and mean baseline."""

    arm: str
    patients: int
    seen: tuple[int, ...]
    baseline_mean: float
    baseline_sd: float


@dataclass(frozen=True, slots=True)
class Analysed:
    """All analyses of one trial.

    Examples
    --------
    See `crosstalk.analysis.run.analyse`.
    """

    title: str
    outcome: str
    unit: str
    better: str
    data: str
    data_sha256: str
    arms: tuple[Counts, ...]
    labels: tuple[str, ...]
    weeks: tuple[float, ...]
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    seed: int
    version: str

    @property
    def primary(self) -> Finding:
        """The first analysis."""
        return self.findings[0]

    def finding(self, id: str) -> Finding:
        """The analysis of an id.

        Raises
        ------
        UsageError
            With the ids there are.
        """
        from crosstalk.errors import UsageError

        for found in self.findings:
            if found.id == id:
                return found
        raise UsageError(f"no analysis has the id '{id}'; there are {', '.join(f.id for f in self.findings)}")

    def summary(self) -> str:
        """The primary result in a few sentences."""
        n = sum(a.patients for a in self.arms)
        lines = [f"{self.title}: {n} patients, {', '.join(f'{a.patients} {a.arm}' for a in self.arms)}."]
        found = self.primary
        last = [r for r in found.rows if r.what not in ("mean", "rate")]
        weeks = [r.week for r in last if r.week is not None]
        for row in last:
            if weeks and row.week != max(weeks):
                continue
            e = row.estimate
            at = f" at week {row.week:g}" if row.week is not None else ""
            where = f" ({row.part})" if row.part else ""
            interval = f"{100 * found.level:g} % CI {e.lower:.2f} to {e.upper:.2f}, p = {e.p:.3g}"
            who = f"Primary analysis '{found.id}', {row.arm} against {row.versus}{at}{where}"
            lines.append(f"{who}: {row.what} {e.estimate:.2f} {found.unit} ({interval}).")
        if found.test:
            lines.append(f"{found.test}.")
        return "\n".join(lines)

    def to_frame(self) -> pd.DataFrame:
        """All estimates, a row each, with analysis, what, arm, week, estimate, se, df, limits, p and n."""
        import pandas as pd

        rows = [
            {
                "analysis": f.id, "method": f.method, "what": r.what, "arm": r.arm, "versus": r.versus, "week": r.week,
                "part": r.part, "estimate": r.estimate.estimate, "se": r.estimate.se, "df": r.estimate.df,
                "lower": r.estimate.lower, "upper": r.estimate.upper, "p": r.estimate.p, "n": r.estimate.n,
                "unit": f.unit, "note": r.estimate.note,
            }
            for f in self.findings
            for r in f.rows
        ]  # fmt: skip
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; a number that is not finite is None."""
        from dataclasses import asdict

        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
