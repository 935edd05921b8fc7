"""The result of `run_trial`, as typed records, as a table, and as the JSON that is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from crosstalk.results import Reported
from crosstalk.study.design import Design
from crosstalk.study.methods import analysis_method
from crosstalk.trial.analyse import favours
from crosstalk.trial.assumed import AssumedPower
from crosstalk.trial.basis import Basis
from crosstalk.trial.characteristics import AnalysisCharacteristics, Assurance, Value

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CurvePoint", "Look", "TrialResult", "TrialStratum"]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """True effect at one level of the marker: in the typical world, and 90 % of the possible worlds."""

    marker: float
    effect: float
    lo90: float
    hi90: float
    participants: int


@dataclass(frozen=True, slots=True)
class TrialStratum:
    """Marker-positive or -negative participants: their share of the randomised, and the true effect in them.

    ``power`` is that of the first analysis that compares the same arms by the same method within the part, if there is
    one.
    """

    part: str
    share: Value
    truth: float
    power: Value | None


@dataclass(frozen=True, slots=True)
class Look:
    """One look: share of the patients, two-sided level, share of trials that end there, also where no drug works."""

    information: float
    level: float
    ends: Value
    ends_null: Value | None


@dataclass(frozen=True, repr=False)
class TrialResult(Reported):
    """What a design would show.

    Attributes
    ----------
    analyses : tuple of AnalysisCharacteristics
        The primary one first.
    assurance : Assurance
        Of the primary analysis, over what is uncertain.
    funnel : mapping of str to Value
        Candidates of one trial by what became of them.
    by_group : mapping of str to mapping of str to Value
        Patients, and the share who left, by group.
    naive_search : Value, optional
        Share of trials without any effect in which a search over subgroups finds one at p < 0.05.
    misclassified : Value
        Share of the randomised whose measured marker puts them on the wrong side of the cut-off.
    participants : (int, int)
        Possible participants in the typical world, and in all others.
    basis : tuple of Basis
        What the result rests on.
    assumed : AssumedPower, optional
        Power under the effect that the design assumes itself.
    """

    study: str
    title: str
    design: Design
    visits_weeks: tuple[float, ...]
    arms: tuple[str, ...]
    replicates: int
    seed: int
    analyses: tuple[AnalysisCharacteristics, ...]
    assurance: Assurance
    funnel: Mapping[str, Value]
    screened_range: tuple[float, float]
    randomised: Value
    randomised_null: Value | None
    looks: tuple[Look, ...]
    by_group: Mapping[str, Mapping[str, Value]]
    strata: tuple[TrialStratum, ...]
    curve: tuple[CurvePoint, ...]
    naive_search: Value | None
    misclassified: Value
    cost: Value | None
    prognosis_explained: float | None
    notes: tuple[tuple[str, int], ...]
    calibrated: bool
    knowledge: str
    version: str
    model_sha256: str
    study_sha256: str
    engine: str
    worlds: int
    participants: tuple[int, int]
    failed_participants: int
    basis: tuple[Basis, ...]
    assumed: AssumedPower | None = None

    @property
    def primary(self) -> AnalysisCharacteristics:
        """Characteristics of the primary analysis."""
        return self.analyses[0]

    def to_dict(self) -> dict[str, Any]:
        """What is written as JSON; a number that could not be computed is null."""
        first = self.primary
        head = {
            "study": self.study,
            "title": self.title,
            "replicates": self.replicates,
            "seed": self.seed,
            "power": asdict(first.power),
            "effect": {
                **asdict(first.effect), "truth": first.truth, "bias": asdict(first.bias),
                "coverage": asdict(first.coverage), "standard_error": first.standard_error,
            },
            "type_i_error": first.type_i_error.value,
            "type_i_error_se": first.type_i_error.se,
            "screened": self.funnel["screened"].value,
            "screened_se": self.funnel["screened"].se,
            "by_stratum": [asdict(s) for s in self.strata],
        }  # fmt: skip
        rest = asdict(self)
        for name in ("study", "title", "replicates", "seed", "strata"):
            del rest[name]
        cleaned: dict[str, Any] = _clean({**head, **rest, "research_use_only": True})
        return cleaned

    def to_frame(self) -> pd.DataFrame:
        """One row per analysis."""
        import pandas as pd

        return pd.json_normalize([_clean(asdict(a)) for a in self.analyses])

    def summary(self) -> str:
        """The main findings in words."""
        first = self.primary
        where = "" if first.part == "all" else f" in the marker-{first.part}"
        points = " points" if analysis_method(first.method).unit == "points" else ""
        what = f"{first.arm} less {first.versus}, {first.of} at week {first.week:g}{where}"
        better = bool(favours(self.design.primary, np.array([first.truth]))[0])
        lines = [
            f"{self.title}: {self.design.n} randomised, {self.replicates} simulated trials of each kind.",
            f"Primary analysis '{first.id}': {what}. The true effect is {first.truth:.2f}{points}, "
            f"{'in favour of the arm' if better else 'against the arm'}; the mean estimate {first.effect.value:.2f} "
            f"with a standard error of {first.standard_error:.2f} in a trial.",
            f"Power {_share(first.power)} in the typical world; probability of success "
            f"{_share(self.assurance.probability)} with knowledge as uncertain as it is.",
            f"On average {self.funnel['screened'].value:.0f} are screened and {self.randomised.value:.0f} randomised"
            f"{', since some trials end early' if self.looks else ''}.",
        ]
        if isfinite(first.type_i_error.value):
            lines.append(f"Type I error {_share(first.type_i_error)}.")
        return "\n".join(lines)


def _share(value: Value) -> str:
    return f"{100 * value.value:.1f} % (Monte-Carlo SE {100 * value.se:.1f})"


def _clean(value: Any) -> Any:
    """Records as plain values; what is no finite number becomes None."""
    if isinstance(value, Mapping):
        return {str(k): _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(v) for v in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
