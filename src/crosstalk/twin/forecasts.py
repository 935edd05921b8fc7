"""Forecasts of many patients: one after another on one library of courses, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.errors import PanelError, TwinError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.panel.records import PanelFile
from crosstalk.results import Reported
from crosstalk.twin.records import Forecast
from crosstalk.twin.twin import WEEKS, forecast

__all__ = ["CohortForecast", "forecast_cohort"]


@dataclass(frozen=True, slots=True, repr=False)
class CohortForecast(Reported):
    """Forecasts of the patients of a file; ``refused`` maps the others to the reason."""

    path: str
    seed: int
    forecasts: tuple[Forecast, ...]
    refused: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.forecasts)

    def rows(self) -> Iterator[dict[str, str | float]]:
        """One row per patient and regimen, see `crosstalk.twin.records.Forecast.rows`."""
        for found in self.forecasts:
            yield from found.rows()


def forecast_cohort(
    file: PanelFile,
    *,
    regimens: Sequence[str] = (),
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    virtual_patients: int | None = None,
    weeks: int = WEEKS,
    progress: Callable[[str, float], None] | None = None,
) -> CohortForecast:
    """Forecast every patient of a file; one who cannot be forecast costs no other.

    Parameters
    ----------
    file : PanelFile
        One panel per patient.
    regimens, seed, virtual_patients, weeks
        As of `crosstalk.twin.twin.forecast`.
    progress : callable, optional
        Told in words what is being done, and which share of the patients is done.

    Raises
    ------
    TwinError
        If no patient can be forecast.
    UsageError
        On an unknown regimen, or a horizon or size of the population that makes no sense.
    """
    knowledge, engine = knowledge or load_knowledge(), engine or get_engine()
    done: list[Forecast] = []
    refused: dict[str, str] = {}
    for number, panel in enumerate(file.panels):

        def say(words: str, share: float = number / len(file.panels), who: str = panel.patient) -> None:
            if progress is not None:
                progress(f"{who}: {words}", share)

        try:
            if not panel.measurements:
                raise PanelError(f"patient {panel.patient}: has no value; a forecast needs at least one")
            found = forecast(
                panel, regimens=regimens, knowledge=knowledge, engine=engine, seed=seed,
                virtual_patients=virtual_patients, weeks=weeks, progress=say,
            )  # fmt: skip
            done.append(found)
        except (PanelError, TwinError) as error:
            refused[panel.patient] = str(error)
    if not done:
        reasons = "\n  ".join(refused.values()) or "it holds no patient"
        raise TwinError(f"{file.path}: no patient can be forecast:\n  {reasons}")
    return CohortForecast(file.path, seed, tuple(done), refused, file.warnings)
