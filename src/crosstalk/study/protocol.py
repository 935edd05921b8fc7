"""From doses to what an engine takes: events at known times, and parameters that hold a background treatment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from crosstalk.engine.ensemble import Event
from crosstalk.errors import StudyError, UnitError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Dose, Drug
from crosstalk.model.pharmacokinetics import prefix
from crosstalk.study.records import Population
from crosstalk.units import convert

__all__ = [
    "HOURS_PER_WEEK",
    "Protocol",
    "background",
    "body_surface_m2",
    "dose_amount",
    "earlier_doses",
    "protocol",
]

Array = NDArray[np.float64]

HOURS_PER_WEEK = 168.0

# a dose repeated at least this often enters as a mean rate; half-lives of the daily oral drugs are about a day
_MEAN_RATE_MAX_H = 48.0
# week numbers such as 1/7 come back to whole hours
_TIME_DECIMALS = 6


@dataclass(frozen=True)
class Protocol:
    """Drugs and events of one arm.

    Attributes
    ----------
    drugs : tuple of str
        Ids, in order of first appearance, background first: the drugs that the model must hold.
    events : tuple of Event
        In order of time. Amounts are in the drug's amount unit, rates in that unit per hour.
    """

    drugs: tuple[str, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class _Rate:
    start_h: float
    stop_h: float
    rate: Array


def protocol(
    doses: Sequence[Dose],
    knowledge: Knowledge,
    *,
    weight_kg: Array,
    true_daily: bool = False,
    horizon_h: float,
    height_cm: Array | None = None,
    background: Sequence[Dose] = (),
) -> Protocol:
    """Turn the doses of one arm into events.

    A single dose is added to the drug's depot, times its bioavailability by this route; an intravenous dose to its
    central compartment; a challenge to the state that its drug names. A dose that is repeated every 48 hours or more
    often enters as a mean rate (``<drug>_input``), so that the integrator need not stop every day; all others as single
    additions. An arm's dose of a drug adds to the background's.

    Parameters
    ----------
    doses : sequence of Dose
        Of the arm; none for placebo.
    knowledge : Knowledge
    weight_kg : array, shape (n_patients,) [kg]
    true_daily : bool
        Give every dose of the arm by itself, none as a mean rate.
    horizon_h : float [h]
        End of the simulation; later doses are left out.
    height_cm : array, shape (n_patients,) [cm], optional
        Needed for doses per square meter.
    background : sequence of Dose
        Stable treatment, see `background`. It runs on in every arm; its rate is added to that of the arm's doses.

    Returns
    -------
    Protocol

    Raises
    ------
    StudyError
        If a drug has no such route, the unit cannot be a dose, or height or weight is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from crosstalk.knowledge import load_knowledge
    >>> protocol((), load_knowledge(), weight_kg=np.array([70.0]), horizon_h=2016.0).events
    ()
    """
    weight_kg = _body(weight_kg, "weight_kg", "kg")
    rates: dict[str, list[_Rate]] = {}
    settings: dict[str, Array] = {}
    events: list[Event] = []
    drugs = [_drug(dose, knowledge) for dose in (*background, *doses)]
    for dose, drug in zip(doses, drugs[len(background) :], strict=True):
        amount = dose_amount(dose, drug, weight_kg=weight_kg, height_cm=height_cm)
        if _as_rate(dose, drug) and not true_daily:
            rates.setdefault(drug.id, []).append(_rate(dose, drug, amount, horizon_h))
            continue
        target, share = _entry(dose, drug)
        given = amount * share
        scalar = float(given[0]) if len(given) and (given == given[0]).all() else given
        events.extend(Event(time, target, scalar) for time in _times(dose, horizon_h))
    for dose, drug in zip(background, drugs, strict=False):
        rate = _background_rate(dose, drug, weight_kg, height_cm)
        settings[drug.id] = settings.get(drug.id, np.zeros(len(weight_kg))) + rate
    for drug_id, spans in rates.items():
        base = settings.get(drug_id, np.zeros(len(weight_kg)))
        events.extend(_rate_events(f"{prefix(drug_id)}_input", spans, base, horizon_h))
    # sorted() keeps the order of the file at equal times
    return Protocol(
        drugs=tuple(dict.fromkeys(drug.id for drug in drugs)),
        events=tuple(sorted(events, key=lambda event: event.time_h)),
    )


def background(
    doses: Sequence[Dose], knowledge: Knowledge, *, weight_kg: Array, height_cm: Array | None = None
) -> dict[str, Array]:
    """Parameters that hold a stable treatment, at its steady state before time 0 and after.

    Parameters
    ----------
    doses : sequence of Dose
        Repeated doses (``every_h``).
    knowledge : Knowledge
    weight_kg : array, shape (n_patients,) [kg]
    height_cm : array, shape (n_patients,) [cm], optional

    Returns
    -------
    dict of str to array, shape (n_patients,) [amount unit of the drug / h]
        By parameter (``<drug>_input``); two doses of one drug add.

    Raises
    ------
    StudyError
        As `protocol`, and for single doses and challenges, which leave no steady state.
    """
    weight_kg = _body(weight_kg, "weight_kg", "kg")
    settings: dict[str, Array] = {}
    for dose in doses:
        drug = _drug(dose, knowledge)
        name = f"{prefix(drug.id)}_input"
        rate = _background_rate(dose, drug, weight_kg, height_cm)
        settings[name] = settings.get(name, np.zeros(len(weight_kg))) + rate
    return settings


def earlier_doses(population: Population, knowledge: Knowledge) -> tuple[Dose, ...]:
    """What earlier courses consisted of: the stable background, else the antidepressant of the reference regimen."""
    if not population.failed_steps or population.background:
        return ()
    reference = next(r for r in knowledge.regimens.values() if r.reference)
    return tuple(d for d in reference.doses if knowledge.drug(d.drug).antidepressant)


def dose_amount(dose: Dose, drug: Drug, *, weight_kg: Array, height_cm: Array | None = None) -> Array:
    """Amount of one dose in the drug's amount unit, before bioavailability.

    Parameters
    ----------
    dose : Dose
        In a unit of amount, per kg of body weight, or per m2 of body surface.
    drug : Drug
        A challenge whose state is per kilogram (``ng/kg``) takes doses per kilogram as they are.
    weight_kg : array, shape (n_patients,) [kg]
    height_cm : array, shape (n_patients,) [cm], optional

    Returns
    -------
    array, shape (n_patients,) [amount unit of the drug]

    Raises
    ------
    StudyError
        If the unit cannot be a dose of this drug, or the height is needed and missing.
    """
    base, per = _split(dose.unit)
    state_base, state_per = _split(drug.amount_unit)
    try:
        amount = dose.amount * convert(1.0, base, state_base)
    except UnitError as error:
        raise StudyError(_bad_unit(dose, drug)) from error
    if per == state_per:
        return np.full(len(weight_kg), amount)
    if per == "kg":
        return amount * weight_kg
    if per == "" and state_per == "kg":
        return amount / weight_kg
    if per == "m2" and state_per == "":
        if height_cm is None:
            raise StudyError(
                f"dose of {drug.id}: {dose.amount:g} {dose.unit} needs the body surface, and no height was given; "
                "give height_cm, or the dose in an amount or per kg"
            )
        return amount * body_surface_m2(weight_kg, _body(height_cm, "height_cm", "cm"))
    raise StudyError(_bad_unit(dose, drug))


def body_surface_m2(weight_kg: Array, height_cm: Array) -> Array:
    """Body surface area, ``sqrt(height weight / 3600)``.

    Parameters
    ----------
    weight_kg : array [kg]
    height_cm : array [cm]

    Returns
    -------
    array [m2]

    References
    ----------
    Mosteller RD. Simplified calculation of body-surface area. N Engl J Med 1987. doi:10.1056/NEJM198710223171717

    Examples
    --------
    >>> import numpy as np
    >>> body_surface_m2(np.array([80.0]), np.array([180.0]))
    array([2.])
    """
    return np.asarray(np.sqrt(height_cm * weight_kg / 3600), dtype=np.float64)


def _drug(dose: Dose, knowledge: Knowledge) -> Drug:
    drug = knowledge.drug(dose.drug)
    if dose.route not in drug.routes:
        raise StudyError(
            f"dose of {drug.id}: received route {dose.route!r}, expected one of {', '.join(drug.routes)}; "
            "correct the route"
        )
    return drug


def _split(unit: str) -> tuple[str, str]:
    """Return a unit without its "per body" part, and that part: ``kg``, ``m2`` or nothing."""
    text = unit.strip().replace("²", "2").replace("^2", "2").replace(" ", "")
    base, _, per = text.partition("/")
    return base, per


def _bad_unit(dose: Dose, drug: Drug) -> str:
    examples = [drug.amount_unit] if "/" in drug.amount_unit else [drug.amount_unit + per for per in ("", "/kg", "/m2")]
    return (
        f"dose of {drug.id}: received {dose.amount:g} {dose.unit}, which cannot be a dose of this drug; "
        f"expected a unit such as {', '.join(examples)} (usual dose: {drug.usual.amount:g} {drug.usual.unit})"
    )


def _body(values: Array, name: str, unit: str) -> Array:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not (np.isfinite(array) & (array > 0)).all():
        shown = f"an array of shape {array.shape}"
        if array.ndim == 1:
            shown = str(array[~(np.isfinite(array) & (array > 0))][:3].tolist())
        raise StudyError(
            f"{name}: received {shown}, expected one positive number [{unit}] per patient; correct the population"
        )
    return array


def _entry(dose: Dose, drug: Drug) -> tuple[str, float]:
    """Return the state that a dose enters, and the share that gets there."""
    if drug.into_state:
        return drug.into_state, 1.0
    if dose.route == "iv":
        return f"{prefix(drug.id)}_central", 1.0
    return f"{prefix(drug.id)}_depot", drug.bioavailability[dose.route].value


def _as_rate(dose: Dose, drug: Drug) -> bool:
    if dose.every_h is None or dose.every_h > _MEAN_RATE_MAX_H or drug.into_state:
        return False
    # the input feeds the depot where there is one, so an intravenous rate would be absorbed a second time
    return dose.route != "iv" or "absorption_half_life" not in drug.pk


def _span(dose: Dose, horizon_h: float) -> tuple[float, float]:
    stop = horizon_h if dose.stop_week is None else min(_hours(dose.stop_week), horizon_h)
    return _hours(dose.start_week), stop


def _hours(week: float) -> float:
    return round(week * HOURS_PER_WEEK, _TIME_DECIMALS)


def _times(dose: Dose, horizon_h: float) -> list[float]:
    if dose.every_h is None:
        times = [_hours(week) for week in dose.weeks]
    else:
        start, stop = _span(dose, horizon_h)
        count = max(0, ceil(round((stop - start) / dose.every_h, _TIME_DECIMALS)))
        times = [round(start + k * dose.every_h, _TIME_DECIMALS) for k in range(count)]
    return [time for time in times if time < horizon_h]


def _rate(dose: Dose, drug: Drug, amount: Array, horizon_h: float) -> _Rate:
    assert dose.every_h is not None
    start, stop = _span(dose, horizon_h)
    return _Rate(start, stop, amount * _entry(dose, drug)[1] / dose.every_h)


def _background_rate(dose: Dose, drug: Drug, weight_kg: Array, height_cm: Array | None) -> Array:
    if dose.every_h is None or drug.into_state:
        raise StudyError(
            f"background dose of {drug.id}: a background is a stable treatment with repeated doses; "
            'give every = "24 h" in place of weeks, or move the dose to the arms'
        )
    if dose.route == "iv" and "absorption_half_life" in drug.pk:
        raise StudyError(
            f"background dose of {drug.id}: repeated intravenous doses of a drug that is also absorbed have no mean "
            f"rate; give another of its routes ({', '.join(drug.routes)})"
        )
    amount = dose_amount(dose, drug, weight_kg=weight_kg, height_cm=height_cm)
    return amount * _entry(dose, drug)[1] / dose.every_h


def _rate_events(target: str, spans: Iterable[_Rate], base: Array, horizon_h: float) -> list[Event]:
    """Return events that set the total rate wherever a span begins or ends; spans may overlap."""
    spans = [span for span in spans if span.start_h < min(span.stop_h, horizon_h)]
    edges = sorted({edge for span in spans for edge in (span.start_h, span.stop_h) if edge < horizon_h})
    events = []
    for edge in edges:
        total = base + sum((span.rate for span in spans if span.start_h <= edge < span.stop_h), np.zeros(len(base)))
        scalar = float(total[0]) if len(total) and (total == total[0]).all() else total
        events.append(Event(edge, target, scalar, "set"))
    return events
