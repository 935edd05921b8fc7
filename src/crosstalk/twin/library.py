"""Courses of one virtual population under some regimens, simulated once and kept, for forecasts of many patients.

`crosstalk.forecast` moves virtual patients to where they explain one patient best and simulates them. Here they stay
where they are, as in `crosstalk.twin.cohort`, so that a cohort costs matrix products; a forecast is as good as the
number of virtual patients that resemble the patient, which is told for each. Baseline scores of the virtual patients
are spread evenly over a part of the scale, so that a cohort milder or graver than the usual trial finds its like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Engine
from crosstalk.errors import TwinError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Distribution, Regimen, Scale
from crosstalk.model.assembly import assemble
from crosstalk.model.scales import score_at
from crosstalk.population.latent import latent_space, patient_uniforms
from crosstalk.population.patients import Patients, baseline, draw_patients
from crosstalk.provenance import versions
from crosstalk.store import cached
from crosstalk.twin.courses import chance_of_at_most, simulate_regimens
from crosstalk.twin.posterior import Posterior, twin_outputs
from crosstalk.twin.sequential import Scores, effective_sample, spread_of

__all__ = ["CourseLibrary", "Outcome", "course_library"]

Array = NDArray[np.float64]

FORMAT = 2  # raised when the content of a file changes its meaning
SEVERITY = (0.08, 0.75)  # part of the anchor that baselines are spread over: 4 to 39 points of HAMD-17 (assumed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """End of a course as a rater would record it, one entry per patient; NaN where no virtual patient resembles him.

    Attributes
    ----------
    mean, sd : array, shape (m,) [points]
        Of the last score.
    change : array, shape (m,) [points]
        Mean change from baseline; negative is improvement.
    response, remission : array, shape (m,)
        Probabilities.
    low, high : array, shape (m,) [points]
        90 % interval of the last score, before it is rounded.
    sample : array, shape (m,)
        Effective sample of the weights.
    """

    mean: Array
    sd: Array
    change: Array
    response: Array
    remission: Array
    low: Array
    high: Array
    sample: Array


@dataclass(frozen=True)
class CourseLibrary:
    """Virtual patients with a baseline score, and their true courses by regimen.

    Attributes
    ----------
    patients : Patients
        Those who ran to the end of every regimen.
    scale : Scale
    severity : Distribution or None
        Of the diagnosis' recorded baseline, for patients without a score.
    courses : mapping of str to array, shape (n, n_weeks) [points]
        By week from 0 on.
    """

    patients: Patients
    scale: Scale
    severity: Distribution | None
    courses: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def start(self) -> Array:
        """True scores at baseline, shape (n,) [points]."""
        return self.patients.outputs[self.scale.id]

    def log_severity(self, recorded: Array) -> Array:
        """Log weight of each virtual patient for recorded baselines, shape (m, n); the diagnosis' own where NaN."""
        with_score = -0.5 * ((recorded[:, None] - self.start) / self.scale.rater_sd) ** 2
        d = self.severity
        usual = np.zeros(len(self)) if d is None or not d.spread else -0.5 * ((self.start - d.center) / d.spread) ** 2
        return np.where(np.isfinite(recorded)[:, None], with_score, usual)

    def outcome(
        self,
        log_weight: Array,
        recorded: Array,
        regimen: str,
        *,
        seen: Sequence[Mapping[int, float]] = (),
        on: str | None = None,
        seed: int = 1,
    ) -> Outcome:
        """Forecast patients under a regimen.

        Parameters
        ----------
        log_weight : array, shape (m, n)
            Of the virtual patients for each patient, baseline included.
        recorded : array, shape (m,) [points]
            Baseline scores; NaN where there is none.
        regimen : str
        seen : sequence of mapping of int to float, optional
            Early scores of each patient by week; see `crosstalk.twin.sequential`.
        on : str, optional
            Regimen that they were recorded under; ``regimen`` by default.
        seed : int
            Of the draws behind the intervals.
        """
        true, observed = self.courses[regimen], self.courses[on or regimen]
        spread = spread_of(self.patients, self.scale)
        rng = np.random.default_rng([seed, 24])
        rows = []
        for i, weight in enumerate(log_weight):
            scores = Scores(self.scale, dict(seen[i]) if len(seen) else {})
            fit = weight + scores.log_likelihood(observed, spread)
            sample = effective_sample(fit)
            if not sample:
                rows.append([np.nan] * 7 + [0.0])
                continue
            share = np.exp(fit - fit.max())
            share /= share.sum()
            mean, sd = scores.last(observed, spread)
            mean = mean + true[:, -1] - observed[:, -1]
            start = np.full(len(self), recorded[i]) if np.isfinite(recorded[i]) else self.start
            half = np.floor(start * (1 - self.scale.response_fraction))
            remitted = np.full(len(self), self.scale.remission_max)
            drawn = rng.choice(len(self), size=2000, p=share)
            values = np.clip(mean[drawn] + sd[drawn] * rng.standard_normal(len(drawn)), 0.0, self.scale.maximum)
            center = float(share @ mean)
            rows.append(
                [
                    center,
                    float(np.sqrt(share @ (sd**2 + (mean - center) ** 2))),
                    float(share @ (mean - start)),
                    float(share @ chance_of_at_most(mean, sd, self.scale, half)),
                    float(share @ chance_of_at_most(mean, sd, self.scale, remitted)),
                    *np.quantile(values, [0.05, 0.95]),
                    sample,
                ]
            )
        return Outcome(*np.array(rows, dtype=np.float64).reshape(-1, 8).T)


def course_library(
    knowledge: Knowledge,
    engine: Engine,
    regimens: Sequence[Regimen],
    *,
    n: int,
    worlds: int,
    seed: int,
    weeks: int,
    diagnosis: str = "mdd",
    scale: str | None = None,
) -> CourseLibrary:
    """Courses from the cache, or simulated.

    Parameters
    ----------
    regimens : sequence of Regimen
    n : int
        Virtual patients; some of them fail and are left out.
    weeks : int
        Horizon.
    scale : str, optional
        Id of the scale; that of the diagnosis by default.

    Raises
    ------
    TwinError
        If no virtual patient runs to the end of every regimen.

    Notes
    -----
    Kept in the cache, see `crosstalk.store`.
    """
    definition = knowledge.diagnosis(diagnosis)
    chosen = knowledge.scales[scale or definition.scale]
    severity = definition.severity if chosen.id == definition.scale else None
    drawn = draw_patients(knowledge, latent_space(definition), np.arange(n), seed=seed, worlds=worlds)
    model = assemble(tuple(sorted({dose.drug for r in regimens for dose in r.doses})), knowledge)
    store = cached(
        "courses", FORMAT, model.sha256, knowledge.sha256, type(engine).__name__, diagnosis, chosen.id, n, worlds, seed,
        weeks, [(r.id, r.doses) for r in regimens], SEVERITY, versions(), drawn.parameters,
    )  # fmt: skip
    arrays = store.load_arrays()
    if arrays is None:
        arrays = _simulate(drawn, chosen, knowledge, engine, regimens, weeks, diagnosis)
        store.save_arrays(arrays)
    patients = drawn.take(arrays["rows"].astype(np.intp))
    patients = replace(
        patients,
        parameters={**patients.parameters, **_named(arrays, "parameter:")},
        outputs=_named(arrays, "output:"),
        failures={},
    )
    return CourseLibrary(patients, chosen, severity, _named(arrays, "course:"))


def _simulate(
    drawn: Patients,
    scale: Scale,
    knowledge: Knowledge,
    engine: Engine,
    regimens: Sequence[Regimen],
    weeks: int,
    diagnosis: str,
) -> dict[str, Array]:
    low, high = score_at(scale, scale.equivalents[-1][0] * np.array(SEVERITY))
    start = low + (high - low) * patient_uniforms(drawn.seed, "library severity", drawn.index)
    outputs = (*twin_outputs(knowledge), scale.id)
    settled = baseline(drawn, knowledge, engine, outputs=outputs, score=(scale.id, start))
    rows = np.flatnonzero(settled.ok)
    people = settled.take(rows)
    stand_in = Posterior(people, people, (), scale, start[rows], True, float(len(rows)))
    courses = simulate_regimens(stand_in, regimens, knowledge, engine, weeks=weeks, diagnosis=diagnosis)
    if not courses.complete.any():
        raise TwinError("no virtual patient of the library ran to the end")
    done = np.flatnonzero(courses.complete)
    people = people.take(done)
    return {
        "rows": rows[done].astype(np.float64),
        **{f"parameter:{k}": v for k, v in people.parameters.items() if k not in drawn.parameters},
        **{f"output:{k}": people.outputs[k] for k in outputs},
        **{f"course:{k}": v[done] for k, v in courses.scale.items()},
    }


def _named(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
