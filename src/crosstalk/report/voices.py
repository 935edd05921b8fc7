"""How each kind of result speaks: which text, page, document, rows and picture are its own.

One entry for each; `crosstalk.results.Reported` looks it up. To give a new result a voice, add an entry to `VOICES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from io import StringIO
from typing import TYPE_CHECKING, Any

from crosstalk.errors import UsageError
from crosstalk.report import pictures

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from rich.console import Console

    from crosstalk.report.catalogue import Table

__all__ = ["VOICES", "Speaker", "voice_of"]

COLUMNS = 80


@dataclass(frozen=True)
class Speaker:
    """The five ways in which one kind of result speaks."""

    tell: Callable[[Any, Console], None]
    html: Callable[[Any], str]
    json: Callable[[Any], str]
    frame: Callable[[Any], pd.DataFrame]
    draw: Callable[[Any, Axes], None]

    def text(self, result: Any) -> str:
        """What the command line prints, at 80 columns."""
        from rich.console import Console

        page = StringIO()
        self.tell(result, Console(file=page, width=COLUMNS, highlight=False, color_system=None, legacy_windows=False))
        return "\n".join(line.rstrip() for line in page.getvalue().splitlines()) + "\n"

    def plot(self, result: Any, axes: Axes) -> None:
        """Draw on axes."""
        self.draw(result, axes)


def voice_of(kind: type) -> Speaker:
    """The voice of a kind of result.

    Raises
    ------
    UsageError
        If it has none.
    """
    make = VOICES.get(kind.__name__)
    if make is None:
        raise UsageError(f"a {kind.__name__} has no voice; expected one of {', '.join(VOICES)}")
    return make()


def _tables(make: Callable[[Any], Iterable[Table]], words: Callable[[Any], Sequence[str]] | None = None) -> Any:
    """Tell by tables, after some words or before them."""

    def tell(result: Any, console: Console) -> None:
        from crosstalk.limits import printable
        from crosstalk.report.terminal import render_table

        for line in words(result) if words else ():
            console.print(printable(line), markup=False)
        for table in make(result):
            render_table(table.title, table.columns, table.rows, console)

    return tell


def _rows(make: Callable[[Any], Iterable[dict[str, Any]]]) -> Callable[[Any], pd.DataFrame]:
    def frame(result: Any) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(list(make(result)))

    return frame


def _own_frame(result: Any) -> pd.DataFrame:
    frame: pd.DataFrame = result.to_frame()
    return frame


@cache
def _assessment() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.html import assessment_html
    from crosstalk.report.terminal import render_assessment

    def rows(r: Any) -> Iterable[dict[str, Any]]:
        for m in r.mechanisms:
            yield {
                "patient": r.patient, "mechanism": m.id, "name": m.name, "unit": m.unit, "mean": m.mean,
                "lo90": m.lo90, "hi90": m.hi90, "healthy": m.healthy, "population_mean": m.population.mean,
                "population_lo90": m.population.lo90, "population_hi90": m.population.hi90,
                "told_by_panel": m.contraction, "reading": m.reading,
            }  # fmt: skip

    return Speaker(render_assessment, assessment_html, dump, _rows(rows), pictures.mechanisms)


@cache
def _forecast() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.html import forecast_html
    from crosstalk.report.terminal import render_forecast

    return Speaker(render_forecast, forecast_html, dump, _rows(lambda r: r.rows()), pictures.ranking)


@cache
def _forecasts() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.forecasts import forecasts_html, forecasts_tables, forecasts_words

    return Speaker(
        _tables(forecasts_tables, forecasts_words), forecasts_html, dump, _rows(lambda r: r.rows()), pictures.patients
    )


@cache
def _cohort() -> Speaker:
    from crosstalk.report.cohort import cohort_html, cohort_json
    from crosstalk.report.terminal import render_cohort

    return Speaker(render_cohort, cohort_html, cohort_json, _own_frame, pictures.cohort)


@cache
def _simulation() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.html import simulation_html
    from crosstalk.report.simulation import summarise
    from crosstalk.report.terminal import render_simulation

    return Speaker(
        lambda r, console: render_simulation(summarise(r, r.known), console),
        lambda r: simulation_html(summarise(r, r.known)),
        lambda r: dump(summarise(r, r.known)),
        _own_frame,
        pictures.courses,
    )


@cache
def _trial() -> Speaker:
    from crosstalk.report.trials import trial_html, trial_json, trial_tables

    return Speaker(
        _tables(trial_tables, lambda r: [r.words() + "\n"]), trial_html, trial_json, _own_frame, pictures.power
    )


@cache
def _learnt() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.learning import learn_html, learn_tables

    def rows(r: Any) -> Iterable[dict[str, Any]]:
        for m in r.models:
            p = m.performance
            row: dict[str, Any] = {"rung": m.rung, "learner": m.learner, "model": m.name, "skipped": m.skipped}
            for measure in ("auc", "brier", "log_score", "rmse", "mae", "r2"):
                found = None if p is None else getattr(p, measure)
                row[measure] = None if found is None else found.value
                row[f"{measure}_se"] = None if found is None else found.se
            yield row

    return Speaker(_tables(learn_tables, lambda r: r.conclusions), learn_html, dump, _rows(rows), pictures.ladder)


@cache
def _prediction() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.learning import predict_html, predict_tables

    def rows(r: Any) -> Iterable[dict[str, Any]]:
        for p in r.patients:
            yield {**asdict(p), "outcomes": " or ".join(p.outcomes), "flags": "; ".join(p.flags)}

    return Speaker(_tables(predict_tables), predict_html, dump, _rows(rows), pictures.predictions)


@cache
def _plates() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.plates import plate_tables, plates_html

    def rows(r: Any) -> Iterable[dict[str, Any]]:
        for plate in r.plates:
            for a in plate.analytes:
                for s in a.samples:
                    yield {
                        "plate": plate.plate, "analyte": a.analyte, "unit": a.unit, "grade": a.grade,
                        "sample": s.sample, "role": s.role, "dilution": s.dilution, "value": s.value,
                        "censored": s.censored, "log_sd": s.log_sd, "cv": s.cv, "quality": s.quality,
                        "remarks": "; ".join(s.remarks),
                    }  # fmt: skip

    return Speaker(_tables(plate_tables), plates_html, dump, _rows(rows), pictures.concentrations)


@cache
def _pool() -> Speaker:
    from crosstalk.report.documents import dump
    from crosstalk.report.evidence import pool_text
    from crosstalk.report.html import pool_html

    def tell(result: Any, console: Console) -> None:
        tables, notes = pool_text(result)
        _tables(lambda _: tables)(result, console)
        for note in notes:
            console.print(note, markup=False)

    return Speaker(tell, pool_html, dump, _rows(lambda r: map(asdict, r.members)), pictures.forest)


@cache
def _validation() -> Speaker:
    from crosstalk.report.credibility import CredibilityReport, credibility_html, validation_tables
    from crosstalk.report.documents import dump

    def rows(r: Any) -> Iterable[dict[str, Any]]:
        for v in r.results:
            row = asdict(v)
            for rival in ("prior", "trivial"):
                for name, value in (row.pop(rival) or {}).items():
                    row[f"{rival}_{name}"] = value
            yield row

    return Speaker(
        _tables(validation_tables), lambda r: credibility_html(CredibilityReport(validation=r)), dump, _rows(rows),
        pictures.verdicts,
    )  # fmt: skip


@cache
def _calibration() -> Speaker:
    from crosstalk.calibrate.identifiability import contractions
    from crosstalk.calibrate.support import effective_samples
    from crosstalk.report.catalogue import tables_json
    from crosstalk.report.credibility import CredibilityReport, calibration_tables, credibility_html

    def rows(r: Any) -> Iterable[dict[str, Any]]:
        for c in contractions(r):
            row: dict[str, Any] = {"unknown": c.unknown, "module": c.module}
            for name, three in (("prior", c.prior), ("posterior", c.posterior)):
                row |= {f"{name}_lo90": three[0], f"{name}_median": three[1], f"{name}_hi90": three[2]}
            yield {**row, "contraction": c.contraction, "verdict": c.verdict}

    return Speaker(
        _tables(calibration_tables),
        lambda r: credibility_html(
            CredibilityReport(calibration=r, contractions=contractions(r), effective=effective_samples(r))
        ),
        lambda r: tables_json(calibration_tables(r)),
        _rows(rows),
        pictures.contraction,
    )


VOICES: dict[str, Callable[[], Speaker]] = {
    "Assessment": _assessment,
    "Calibration": _calibration,
    "CohortAssessment": _cohort,
    "CohortForecast": _forecasts,
    "Forecast": _forecast,
    "Learnt": _learnt,
    "PlateReport": _plates,
    "Pool": _pool,
    "Prediction": _prediction,
    "StudyRun": _simulation,
    "TrialResult": _trial,
    "Validation": _validation,
}
