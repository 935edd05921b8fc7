"""Features that the mechanism gives: scores and forecasts of the twin for every row, learned from no outcome.

Both estimators weigh one cached virtual population by how well its members explain each row, as `crosstalk assess` does
for a cohort. Nothing is learned in ``fit``, so that nothing can leak from the outcome or from held-out rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from crosstalk.errors import CrosstalkError, TwinError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.learn.columns import Layout, Others, TableReader
from crosstalk.learn.table_transformer import TableTransformer
from crosstalk.panel.records import Panel
from crosstalk.twin.cohort_weights import Usable, Weigher
from crosstalk.twin.likelihood import observations
from crosstalk.twin.posterior import covariates_of
from crosstalk.twin.relations import indications

if TYPE_CHECKING:
    from crosstalk.engine.ensemble import Engine
    from crosstalk.population.patients import Patients
    from crosstalk.twin.library import CourseLibrary

__all__ = ["MechanismScores", "TwinForecast"]

Array = NDArray[np.float64]

VIRTUAL_PATIENTS = 20_000  # as assess and forecast
FEWEST = 5.0  # effective sample below which there is no feature, as in assess_cohort


class _TwinFeatures(TableTransformer):
    """What both have in common: a table becomes panels, panels become weights."""

    row_wise = True

    layout: Layout
    others: Others

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags

    def fit(self, X: Any, y: object = None) -> Self:
        """Check the columns; nothing is learned.

        Parameters
        ----------
        X : data frame, shape (n_samples, n_features)
        y : ignored
        """
        self._read(X, reset=True)
        self.n_virtual_ = len(self._population())
        return self

    def _population(self) -> Patients:
        raise NotImplementedError

    def _read(self, X: Any, *, reset: bool) -> list[Panel]:
        table = self._table(X, reset=reset)
        if reset:
            names = list(getattr(self, "feature_names_in_", ()))
            others = "ignore" if self.others == "pass" else self.others
            self._reader = TableReader(names, table.shape[1], self.layout, others)
        if not self._reader.headers:
            # an array must at least hold numbers
            self._reader.plain(table, range(table.shape[1]))
        panels = self._reader.panels(table)
        self._reader.tell()
        return panels


class MechanismScores(_TwinFeatures):
    """The mechanism scores of the twin, with their uncertainty.

    For each of the five scores two features: the logarithm of its posterior mean (geometric) and the width of its 90 %
    interval on the logarithm; then ``log effective_sample``. A row without a value that the model predicts has the
    scores of the virtual population and their full width; one that hardly any virtual patient resembles has NaN.

    Parameters
    ----------
    layout : {"wide", "cohort"}, default="wide"
        See `crosstalk.learn.columns`.
    others : {"refuse", "ignore"}, default="refuse"
        What to do with columns that are no analyte.
    virtual_patients : int, default=20000
        Size of the virtual population, which is computed once and kept in the cache.
    seed : int, default=1
        Of that population.

    Attributes
    ----------
    n_virtual_ : int
        Virtual patients with a valid baseline.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Raises
    ------
    ColumnError
        If a column or a cell cannot be read.

    See Also
    --------
    crosstalk.assess_cohort : the same scores with a report.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"hsCRP [mg/L]": [0.4, 6.0]})
    >>> features = MechanismScores(virtual_patients=400).set_output(transform="pandas").fit_transform(X)
    >>> features.shape, bool(features["log innate_activation"].diff()[1] > 0)
    ((2, 11), True)
    """

    def __init__(
        self,
        *,
        layout: Layout = "wide",
        others: Others = "refuse",
        virtual_patients: int = VIRTUAL_PATIENTS,
        seed: int = 1,
    ) -> None:
        self.layout = layout
        self.others = others
        self.virtual_patients = virtual_patients
        self.seed = seed

    def transform(self, X: Any) -> Array:
        """Features of each row, shape (n_samples, 11)."""
        check_is_fitted(self)
        knowledge = load_knowledge()
        usable = _usable(self._read(X, reset=False), knowledge)
        found = Weigher(self._population(), usable, knowledge).scores()
        with np.errstate(invalid="ignore", divide="ignore"):
            logs, width = np.log(found.mean), np.log(found.high) - np.log(found.low)
            pairs = np.stack([logs, width], axis=2).reshape(len(usable), -1)
            out = np.column_stack([pairs, np.log(found.sample)])
        out[~(found.sample >= FEWEST)] = np.nan
        return np.asarray(out, dtype=np.float64)

    def _names(self) -> list[str]:
        scores = load_knowledge().scores
        return [f"{what} {s}" for s in scores for what in ("log", "width")] + ["log effective_sample"]

    def _population(self) -> Patients:
        from crosstalk.engine import get_engine

        engine = get_engine()
        try:
            return _virtual_patients(self.virtual_patients, self.seed, engine)
        finally:
            engine.close()


class TwinForecast(_TwinFeatures):
    """What the twin forecasts for each row under some regimens.

    For each regimen three features: ``change`` (mean change of the recorded score to the last week, points; negative is
    improvement), ``sd`` of the last score, and ``response``, the probability that a rater records a drop by half; then
    ``log effective_sample``. Rows that hardly any virtual patient
    resembles, or whose baseline score none can have, have NaN.

    Parameters
    ----------
    regimens : sequence of str, optional
        Ids; the reference regimen by default.
    weeks : int, default=12
        Horizon.
    scale : str, optional
        Scale of the forecast; that of the diagnosis by default. A panel's score on it is the baseline; a row without
        one is as ill as the usual patient.
    layout, others
        As in `MechanismScores`.
    virtual_patients : int, default=20000
        Size of the virtual population and of the library of its courses, see `crosstalk.twin.library`; both are
        simulated once and kept in the cache.
    seed : int, default=1

    Attributes
    ----------
    n_virtual_ : int
        Virtual patients who ran to the end of every regimen.
    n_features_in_, feature_names_in_
        As in all of scikit-learn.

    Raises
    ------
    ColumnError
        If a column or a cell cannot be read.
    UsageError
        On an unknown regimen or scale.

    See Also
    --------
    crosstalk.forecast : one patient, from the same library and with the same weights.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"hsCRP [mg/L]": [0.4, 6.0], "HAMD17": [24, 18]})
    >>> step = TwinForecast(virtual_patients=200, weeks=4).fit(X)
    >>> step.transform(X).shape, list(step.get_feature_names_out())[-1]
    ((2, 4), 'log effective_sample')
    """

    def __init__(
        self,
        regimens: Sequence[str] | None = None,
        *,
        weeks: int = 12,
        scale: str | None = None,
        layout: Layout = "wide",
        others: Others = "refuse",
        virtual_patients: int = VIRTUAL_PATIENTS,
        seed: int = 1,
    ) -> None:
        self.regimens = regimens
        self.weeks = weeks
        self.scale = scale
        self.layout = layout
        self.others = others
        self.virtual_patients = virtual_patients
        self.seed = seed

    def transform(self, X: Any) -> Array:
        """Features of each row, shape (n_samples, 3 n_regimens + 1)."""
        check_is_fitted(self)
        from crosstalk.twin.sequential import Scores, last_score

        knowledge = load_knowledge()
        panels = self._read(X, reset=False)
        population, library = self._library()
        scale = library.scale if self.scale is None else knowledge.scale(self.scale)
        usable = _usable(panels, knowledge)
        weigher = Weigher(population, usable, knowledge)
        nothing = Scores(scale, {})
        out = np.full((len(panels), len(self._names())), np.nan)
        for i, (panel, fit) in enumerate(zip(panels, usable, strict=True)):
            score = panel.measurements.get(scale.id)
            recorded = None if score is None or score.censored else score.value
            try:
                twins = library.twins(weigher.log_weights([i])[0], fit, scale, recorded)
            except TwinError:  # a score that no virtual patient has
                continue
            if twins.effective_sample < FEWEST:
                continue
            for j, regimen in enumerate(library.courses):
                found = last_score(twins, regimen, nothing)
                out[i, 3 * j : 3 * j + 3] = found.change, found.sd, found.response
            out[i, -1] = np.log(twins.effective_sample)
        return out

    def _names(self) -> list[str]:
        names = [f"{what} {r.id}" for r in self._chosen() for what in ("change", "sd", "response")]
        return [*names, "log effective_sample"]

    def _chosen(self) -> list[Any]:
        if self.scale is not None:  # refused here, not at the first row
            load_knowledge().scale(self.scale)
        knowledge = load_knowledge()
        if self.regimens is None:
            return [r for r in knowledge.regimens.values() if r.reference]
        return [knowledge.regimen(r) for r in self.regimens]

    def _library(self) -> tuple[Patients, CourseLibrary]:
        from crosstalk.engine import get_engine
        from crosstalk.twin.library import course_library

        knowledge, engine = load_knowledge(), get_engine()
        try:
            everyone = _virtual_patients(self.virtual_patients, self.seed, engine)
            return everyone, course_library(everyone, knowledge, engine, self._chosen(), weeks=self.weeks)
        finally:
            engine.close()

    def _population(self) -> Patients:
        return self._library()[0]


def _virtual_patients(n: int, seed: int, engine: Engine) -> Patients:
    from crosstalk.population.cache import virtual_population
    from crosstalk.twin.posterior import twin_outputs
    from crosstalk.twin.twin import how_many_worlds

    knowledge = load_knowledge()
    everyone = virtual_population(
        knowledge, engine, diagnosis="mdd", n=n, worlds=how_many_worlds(knowledge), seed=seed,
        outputs=twin_outputs(knowledge),
    )  # fmt: skip
    return everyone.take(np.flatnonzero(everyone.ok))


def _usable(panels: Sequence[Panel], knowledge: Knowledge) -> list[Usable]:
    """What the weights use of each row."""
    found = []
    for panel in panels:
        try:
            found.append(Usable(observations(panel, knowledge), covariates_of(panel, knowledge), indications(panel)))
        except CrosstalkError as error:
            raise type(error)(f"{panel.patient}: {error}") from None
    return found
