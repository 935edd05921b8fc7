"""From the tables of a study file to its records, checked against the knowledge base."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from math import isfinite, log, sqrt
from typing import TypeVar

import numpy as np
from pydantic import ValidationError

from crosstalk.errors import StudyError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Distribution, Dose, Drug, Source
from crosstalk.limits import TIMES, USUAL, WEEKS
from crosstalk.study.checks import KeyPath, StudyProblem, eligibility, fail, find
from crosstalk.study.design import Design
from crosstalk.study.design_build import build_design
from crosstalk.study.endpoints import ENDPOINTS
from crosstalk.study.protocol import HOURS_PER_WEEK, dose_amount
from crosstalk.study.published import build_result, result_time_h, subject
from crosstalk.study.records import Arm, Population, Result, Share, Study
from crosstalk.study.tables import DoseEntry, SpreadTable, StudyFile

__all__ = ["REFERENCE_BACKGROUND", "build_study", "usual_dose_text"]

REFERENCE_BACKGROUND = "any-antidepressant"
"""As a background: the antidepressant of the reference regimen, at the dose it has there."""

Made = TypeVar("Made")

_DEPRESSION_H = 12 * HOURS_PER_WEEK
_CHALLENGE_H = 120.0
MIN_EVERY_H = 0.25  # between doses; an infusion is one amount
_FINE_UNTIL_H = 14 * 24.0
_EVERY = re.compile(r"(\d+(?:\.\d+)?)\s*(h|hours?|d|days?|w|weeks?)")
_HOURS = {"h": 1.0, "d": 24.0, "w": HOURS_PER_WEEK}
# limits where the diagnosis has no distribution of its own
_LIMITS = {"age": (18.0, 100.0, "year"), "BMI": (12.0, 80.0, "kg/m^2")}


def build_study(file: StudyFile, knowledge: Knowledge) -> tuple[Study | None, list[tuple[KeyPath, str]]]:
    """Make the records of a study.

    Parameters
    ----------
    file : StudyFile
    knowledge : Knowledge

    Returns
    -------
    tuple of (Study or None, list of (key path, message))
        The study, or None and every problem that was found.
    """
    builder = _Builder(file, knowledge)
    study = builder.build()
    return (None if builder.problems else study), builder.problems


def usual_dose_text(drug: Drug) -> str:
    """Write a drug's usual dose as it stands in a study file."""
    usual = drug.usual
    times = f'every = "{usual.every_h:g} h"' if usual.every_h else f"weeks = {list(usual.weeks)}"
    what = f'drug = "{drug.id}", amount = {usual.amount:g}, unit = "{usual.unit}", route = "{usual.route}"'
    return f"{{ {what}, {times} }}"


class _Builder:
    def __init__(self, file: StudyFile, knowledge: Knowledge) -> None:
        self.file = file
        self.knowledge = knowledge
        self.problems: list[tuple[KeyPath, str]] = []

    def attempt(self, make: Callable[[], Made]) -> Made | None:
        """Run one step; a problem is noted, so that the next steps still find theirs."""
        try:
            return make()
        except StudyProblem as problem:
            self.problems.append((problem.path, str(problem)))
            return None

    def attempts(self, make: Callable[[int], Made], entries: Sequence[object]) -> list[Made]:
        made = [self.attempt(lambda i=i: make(i)) for i in range(len(entries))]  # type: ignore[misc]
        return [entry for entry in made if entry is not None]

    def build(self) -> Study | None:
        head = self.file.study
        self.attempt(self.bias)
        population = self.attempt(self.population)
        arms = self.attempts(self.arm, self.file.arm)
        duration = self.attempt(lambda: self.duration(arms))
        if duration is not None:
            self.attempt(lambda: self.check_doses(arms, duration))
        results = self.attempts(lambda i: build_result(self.file, i, duration, self.knowledge), self.file.result)
        self.attempt(self.shared_patients)
        if not self.file.result and head.role != "design":
            self.problems.append((("study", "role"), f"received {head.role!r} but there is no [[result]]; add one"))
        outputs = self.attempt(lambda: self.outputs(results))
        if population is None or duration is None or outputs is None:
            return None
        trial = self.attempt(lambda: self.trial(population, arms, duration, results))
        return Study(
            id=head.id,
            title=head.title or head.id,
            doi=head.doi,
            role=head.role,
            population=population,
            arms=tuple(arms),
            results=tuple(results),
            duration_h=duration,
            output_times_h=self.times(duration, results),
            outputs=outputs,
            bias=head.bias,
            missing=head.missing,
            pubmed=head.pubmed,
            url=head.url,
            cohort=head.cohort,
            trial=trial,
        )

    def trial(
        self, population: Population, arms: Sequence[Arm], duration: float, results: Sequence[Result]
    ) -> Design | None:
        table = self.file.trial
        if table is None or len(arms) < len(self.file.arm):
            return None
        if self.file.study.role != "design":
            fail(("trial",), f"belongs to role = 'design', and role is {self.file.study.role!r}; correct one of them")
        return build_design(table, arms, population, duration, self.times(duration, results), self.knowledge)

    def bias(self) -> None:
        name, known = self.file.study.bias, self.knowledge.discounts.bias
        if name and name not in known:
            fail(("study", "bias"), f"received {name!r}, expected one of {', '.join(known)} (evidence.toml)")

    # Population

    def population(self) -> Population:
        table = self.file.population
        diagnosis = find(self.knowledge.diagnosis, table.diagnosis, ("population", "diagnosis"))
        distributions: dict[str, Distribution] = {}
        for key, name, spread in (("age", "age", table.age), ("bmi", "BMI", table.bmi)):
            if spread is not None:
                usual = diagnosis.distributions.get(name)
                distributions[name] = self.spread(name, spread, usual, ("population", key))
        if table.female is not None:
            distributions["female"] = Distribution(
                "female", "bernoulli", table.female, 0.0, 0.0, 1.0, self.source(""), covariate=True
            )
        severity, scale_id = None, diagnosis.scale
        if table.severity is not None:
            path: KeyPath = ("population", "severity")
            scale = find(self.knowledge.scale, table.severity.scale, (*path, "scale"))
            bounds = Distribution("severity", "normal", 0.0, 1.0, 0.0, scale.maximum, scale.source, unit="points")
            severity, scale_id = self.spread("severity", table.severity, bounds, path), scale.id
        eligible = self.attempts(
            lambda i: eligibility(table.eligible[i], ("population", "eligible", i), self.knowledge), table.eligible
        )
        background = self.attempts(self.background, table.background)
        return Population(
            diagnosis=diagnosis.id,
            distributions=distributions,
            severity=severity,
            severity_scale=scale_id,
            eligible=tuple(eligible),
            background=tuple(dose for doses in background for dose in doses),
            failed_steps=table.failed_steps,
            n=table.n,
            dropout=table.dropout,
        )

    def source(self, text: str) -> Source:
        if text.startswith("assumed") or not self.file.study.doi:
            return Source("assumed", text or "assumed for this design")
        return Source("measured", text or "population of the study", self.file.study.doi)

    def spread(self, name: str, table: SpreadTable, usual: Distribution | None, path: KeyPath) -> Distribution:
        lower, upper, unit = (usual.lower, usual.upper, usual.unit) if usual else _LIMITS[name]
        lower = lower if table.min is None else table.min
        upper = upper if table.max is None else table.max
        # whom the model knows: what a panel may hold
        least, most = self.knowledge.analytes[name].plausible if name in self.knowledge.analytes else (lower, upper)
        for key, bound in (("min", table.min), ("max", table.max)):
            if bound is not None and not least <= bound <= most:
                fail((*path, key), f"received {bound:g}, expected {least:g} to {most:g} {unit}; correct it")
        if table.sd > most - least:
            fail((*path, "sd"), f"received {table.sd:g}, more than all of {least:g} to {most:g} {unit}; correct it")
        if not lower <= table.mean <= upper:
            fail((*path, "mean"), f"received {table.mean:g}, expected {lower:g} to {upper:g} {unit}; correct it")
        lognormal = usual is not None and usual.family == "lognormal"
        # a log-normal one keeps the mean and standard deviation of the study and the shape of the diagnosis
        fold = sqrt(1 + (table.sd / table.mean) ** 2) if lognormal else 1.0
        return Distribution(
            id=name,
            family="lognormal" if lognormal else "normal",
            center=table.mean / fold,
            spread=sqrt(2 * log(fold)) if lognormal else table.sd,
            lower=lower,
            upper=upper,
            source=self.source(table.source),
            unit=unit,
            covariate=name != "severity",
        )

    # Doses

    def background(self, index: int) -> tuple[Dose, ...]:
        entry, path = self.file.population.background[index], ("population", "background", index)
        if isinstance(entry, dict):
            try:
                doses: tuple[Dose, ...] = (self.dose(DoseEntry.model_validate(entry), path),)
            except ValidationError as error:
                first = error.errors()[0]
                message = first["msg"].removeprefix("Value error, ")
                fail((*path, *first["loc"]), f"{message[:1].lower()}{message[1:]}; correct it")
        elif entry == REFERENCE_BACKGROUND:
            doses = tuple(
                dose
                for regimen in self.knowledge.regimens.values()
                for dose in regimen.doses
                if regimen.reference and self.knowledge.drug(dose.drug).antidepressant
            )
            if not doses:
                fail(path, f"received {entry!r}, but the reference regimen has no antidepressant; name a drug")
        elif isinstance(entry, str):
            doses = (find(self.knowledge.drug, entry, path).usual,)
        else:
            fail(
                path,
                f"received {entry!r}, expected {REFERENCE_BACKGROUND!r}, the id of a drug (usual dose) or a dose table",
            )
        for dose in doses:
            if dose.every_h is None or self.knowledge.drug(dose.drug).into_state:
                fail(
                    path,
                    f"received single doses of {dose.drug}, expected a stable treatment; "
                    'give every = "24 h", or move the dose to the arms',
                )
        return doses

    def arm(self, index: int) -> Arm:
        table = self.file.arm[index]
        if table.id in [other.id for other in self.file.arm[:index]]:
            fail(("arm", index, "id"), f"received {table.id!r}, which another arm has; give each arm its own id")
        doses = self.attempts(lambda i: self.dose(table.dose[i], ("arm", index, "dose", i)), table.dose)
        if table.diagnosis:
            find(self.knowledge.diagnosis, table.diagnosis, ("arm", index, "diagnosis"))
        if table.mixture and self.file.study.role == "design":
            fail(("arm", index, "mixture"), "a design has no pooled arms; give each treatment an arm of its own")
        mixture = tuple(self.part(index, i) for i in range(len(table.mixture)))
        return Arm(table.id, tuple(doses), table.n, table.blinded, table.diagnosis, table.dropout, mixture)

    def part(self, arm: int, index: int) -> Share:
        """One treatment of a pooled arm."""
        table, path = self.file.arm[arm].mixture[index], ("arm", arm, "mixture", index, "dose")
        doses = self.attempts(lambda i: self.dose(table.dose[i], (*path, i)), table.dose)
        return Share(table.share, tuple(doses))

    def dose(self, entry: DoseEntry, path: KeyPath) -> Dose:
        drug = find(self.knowledge.drug, entry.drug, (*path, "drug"))
        usual = f"its usual dose is {usual_dose_text(drug)}"
        if entry.amount is None or entry.unit is None or entry.route is None:
            missing = [key for key in ("amount", "unit", "route") if getattr(entry, key) is None]
            fail(path, f"drug {drug.id!r} without dose: {', '.join(missing)} missing; {usual}")
        weeks = tuple(entry.weeks or ()) or tuple(hour / HOURS_PER_WEEK for hour in entry.hours or ())
        every_h = self.every(entry, path)
        if not weeks and every_h is None:
            fail(path, f'drug {drug.id!r} without times: add weeks = [0, 2], hours = [0] or every = "24 h"; {usual}')
        if entry.route not in drug.routes:
            near = difflib.get_close_matches(entry.route, drug.routes, n=1) or drug.routes
            fail((*path, "route"), f"received {entry.route!r}, expected {' or '.join(near)} (routes of {drug.id})")
        dose = Dose(
            drug=drug.id,
            amount=entry.amount,
            unit=entry.unit,
            route=entry.route,
            weeks=weeks,
            every_h=every_h,
            start_week=entry.start_week or 0.0,
            stop_week=entry.stop_week,
        )
        self.check_dose(dose, drug, entry.confirmed, path)
        return dose

    def check_dose(self, dose: Dose, drug: Drug, confirmed: bool, path: KeyPath) -> None:
        """Ask back what a wrong unit most often makes, as panels do: a thousand times the usual dose, or rate."""
        if dose.every_h is not None and not MIN_EVERY_H <= dose.every_h <= HOURS_PER_WEEK * WEEKS:
            fail(
                path,
                f"received a dose every {dose.every_h:g} h, expected every {MIN_EVERY_H:g} h to {WEEKS} weeks; give "
                "what comes faster as one amount",
            )
        body = {"weight_kg": np.array([70.0]), "height_cm": np.array([170.0])}
        try:
            with np.errstate(over="ignore"):  # an endless dose is refused below
                given, usual = (float(dose_amount(d, drug, **body)[0]) for d in (dose, drug.usual))
        except StudyError as error:
            fail((*path, "unit"), str(error))
        often = drug.usual.every_h or HOURS_PER_WEEK
        ratio = given / usual * max(1.0, often / dose.every_h if dose.every_h else 1.0)
        if not isfinite(ratio) or (ratio >= USUAL and not confirmed):
            fail(
                (*path, "amount"),
                f"received {dose.amount:g} {dose.unit}, {ratio:.3g} times the usual dose of {drug.id} "
                f"({usual_dose_text(drug)}); is the unit right? If the dose is, add confirmed = true",
            )

    def check_doses(self, arms: Sequence[Arm], end_h: float) -> None:
        for index, arm in enumerate(arms):
            often = [d.every_h for d in arm.all_doses if d.every_h is not None]
            n = sum(len(d.weeks) for d in arm.all_doses) + sum(end_h / h for h in often)
            if n > TIMES:
                fail(
                    ("arm", index, "dose"), f"{n:.0f} doses in the whole study; at most {TIMES} are given; correct them"
                )

    def every(self, entry: DoseEntry, path: KeyPath) -> float | None:
        if entry.every is None:
            return entry.every_h
        match = _EVERY.fullmatch(entry.every.strip())
        if match is None or float(match[1]) <= 0:
            fail((*path, "every"), f'received {entry.every!r}, expected a time such as "24 h", "1 day" or "2 weeks"')
        return float(match[1]) * _HOURS[match[2][0]]

    def shared_patients(self) -> None:
        """Refuse an interaction beside results in strata of its marker that is not said to be of the same patients."""
        for i, table in enumerate(self.file.result):
            if table.marker is None or not ENDPOINTS[table.endpoint].moderation:
                continue
            for j, other in enumerate(self.file.result):
                same = other.stratum is not None and other.stratum.analyte == table.marker.analyte
                same = same and (other.arm, other.versus, other.of) == (table.arm, table.versus, table.of)
                if same and (not table.shares or table.shares != other.shares):
                    fail(
                        ("result", i, "shares"),
                        f"this {table.endpoint} and result {j + 1} (a stratum of {table.marker.analyte}) are of the "
                        'same patients; give both the same label, such as shares = "crp"',
                    )

    # Times and outputs

    def duration(self, arms: Sequence[Arm]) -> float:
        head = self.file.study
        starts = [(arm, start) for arm in arms for dose in arm.all_doses for start in _starts_h(dose)]
        if head.duration_weeks is not None:
            end = round(head.duration_weeks * HOURS_PER_WEEK, 6)
            if end <= 0:
                fail(("study", "duration_weeks"), f"received {head.duration_weeks:g}, expected a length; correct it")
            for arm, start in starts:
                if start >= end:
                    index = [table.id for table in self.file.arm].index(arm.id)
                    fail(
                        ("arm", index, "dose"),
                        f"received a dose at {start:g} h, expected one before the end of the study ({end:g} h); "
                        "correct it or duration_weeks",
                    )
            for key, times, unit in (("visits", head.visits, HOURS_PER_WEEK), ("times_h", head.times_h, 1.0)):
                late = [time for time in times or () if time * unit > end + 1e-6]
                if late:
                    fail(("study", key), f"received {late[0]:g}, which lies after duration_weeks; correct one of them")
            return end
        given = [hour for result in self.file.result if (hour := result_time_h(result)) is not None]
        given += [result.with_week * HOURS_PER_WEEK for result in self.file.result if result.with_week is not None]
        given += [week * HOURS_PER_WEEK for week in head.visits or ()]
        given += head.times_h or ()
        given += [start for _, start in starts]
        given += [
            dose.stop_week * HOURS_PER_WEEK for arm in arms for dose in arm.all_doses if dose.stop_week is not None
        ]
        floor = 0.0
        if head.visits is None and head.times_h is None:
            floor = _CHALLENGE_H if self.challenge(arms) else _DEPRESSION_H
        end = round(max([floor, *given]), 6)
        if end <= 0:
            fail(("study",), "the study has no length; add duration_weeks, or a visit after week 0")
        return end

    def challenge(self, arms: Iterable[Arm]) -> bool:
        drugs = {dose.drug for arm in arms for dose in arm.all_doses}
        return bool(drugs) and all(self.knowledge.drug(drug).into_state for drug in drugs)

    def times(self, duration_h: float, results: Iterable[Result]) -> tuple[float, ...]:
        head = self.file.study
        if head.times_h is not None:
            times = set(head.times_h)
        elif head.visits is not None:
            times = {round(week * HOURS_PER_WEEK, 6) for week in head.visits}
        elif duration_h <= _FINE_UNTIL_H:
            # quarter-hours for half a day, hours for two days, then every six hours
            grid = [*np.arange(0, 12, 0.25), *np.arange(12, 48, 1.0), *np.arange(48, _FINE_UNTIL_H, 6.0)]
            times = {float(time) for time in grid if time < duration_h} | {duration_h}
        else:
            times = {float(time) for time in np.arange(0, duration_h, HOURS_PER_WEEK)} | {duration_h}
        wanted = {time for result in results for time in (result.time_h, result.partner_h) if time is not None}
        return tuple(sorted({0.0} | times | wanted))

    def outputs(self, results: Iterable[Result]) -> tuple[str, ...]:
        names = [subject(name, ("study", "outputs"), self.knowledge)[0] for name in self.file.study.outputs]
        for result in results:
            names += [name for name in (result.of, result.partner) if name]
        if self.file.population.severity is not None:
            path = ("population", "severity", "scale")
            names.append(find(self.knowledge.scale, self.file.population.severity.scale, path).id)
        if self.file.trial is not None:
            for i, analysis in enumerate(self.file.trial.analysis):
                names.append(find(self.knowledge.scale, analysis.of, ("trial", "analysis", i, "of")).id)
        if not names and not self.problems:
            fail(("study",), 'nothing to look at; add a [[result]], or outputs = ["HAMD17"]')
        return tuple(dict.fromkeys(names))


def _starts_h(dose: Dose) -> list[float]:
    weeks = dose.weeks if dose.every_h is None else (dose.start_week,)
    return [round(week * HOURS_PER_WEEK, 6) for week in weeks]
