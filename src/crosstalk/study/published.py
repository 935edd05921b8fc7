"""One published result: what it is about, its value in the endpoint's unit, and its standard error."""

from __future__ import annotations

import difflib
from math import inf, sqrt
from statistics import NormalDist

from crosstalk.errors import UnitError, UsageError
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Analyte, Scale
from crosstalk.statistics.effect_sizes import proportion_se, smd_se
from crosstalk.study.checks import POINTS, KeyPath, eligibility, fail, measurable, model_variables, unit_factor
from crosstalk.study.endpoints import ENDPOINTS, error_scale
from crosstalk.study.protocol import HOURS_PER_WEEK
from crosstalk.study.records import Marker, Result
from crosstalk.study.tables import MarkerTable, ResultTable, StudyFile
from crosstalk.units import convert

__all__ = ["build_result", "result_time_h", "subject"]

_SMDS = ("smd", "responder-smd")
_QUANTILE = {"p2_5": 0.025, "p10": 0.1, "p25": 0.25, "p75": 0.75, "p90": 0.9, "p97_5": 0.975}


def result_time_h(table: ResultTable) -> float | None:
    """Return the time of a result [h], if it has one."""
    if table.hour is not None:
        return table.hour
    return None if table.week is None else round(table.week * HOURS_PER_WEEK, 6)


def build_result(file: StudyFile, index: int, duration_h: float | None, knowledge: Knowledge) -> Result:
    """Make the record of one result.

    Parameters
    ----------
    file : StudyFile
    index : int
        Which result.
    duration_h : float [h] or None
        Length of the study, if it could be found.
    knowledge : Knowledge

    Raises
    ------
    StudyProblem
    """
    table, path = file.result[index], ("result", index)
    _check_arms(file, table, path)
    of, unit, record = subject(table.of, (*path, "of"), knowledge)
    kind = ENDPOINTS[table.endpoint]
    of_scores = kind.of_scores or (table.endpoint == "odds-ratio" and table.threshold is None)
    if of_scores and not isinstance(record, Scale):
        fail((*path, "of"), f"received {table.of!r}, expected a symptom scale, since endpoint is {table.endpoint!r}")
    time_h = result_time_h(table)
    if time_h is not None and duration_h is not None and time_h > duration_h + 1e-6:
        fail(
            (*path, "week" if table.week is not None else "hour"),
            f"received a time of {time_h:g} h, which lies after the end of the study ({duration_h:g} h); "
            "correct it or duration_weeks",
        )
    partner_h = None if table.with_week is None else round(table.with_week * HOURS_PER_WEEK, 6)
    if partner_h is not None and duration_h is not None and partner_h > duration_h + 1e-6:
        fail(
            (*path, "with_week"),
            f"received a time of {partner_h:g} h, which lies after the end of the study ({duration_h:g} h); "
            "correct it or duration_weeks",
        )
    threshold = table.threshold
    if threshold is not None and isinstance(record, Scale) and not 0 <= threshold <= record.maximum:
        expected = f"expected 0 to {record.maximum:g} ({record.id})"
        fail((*path, "threshold"), f"received {threshold:g}, {expected}; correct it")
    partner = ""
    if table.partner:
        partner, _, other = subject(table.partner, (*path, "with"), knowledge)
        if table.endpoint == "responder-smd" and not isinstance(other, Scale):
            fail((*path, "with"), f"received {table.partner!r}, expected the symptom scale that defines response")
    value, se = None, None
    if file.study.role == "design":
        if table.value is not None:
            fail((*path, "value"), "a design has no results: drop value, or set role to validate or calibrate")
    else:
        value, se = _published(file, table, unit, record, path)
    return Result(
        endpoint=table.endpoint,
        of=of,
        arm=table.arm,
        versus=table.versus,
        time_h=time_h,
        stratum=None if table.stratum is None else eligibility(table.stratum, (*path, "stratum"), knowledge),
        value=value,
        unit={"subject": unit, "share": "fraction", "time": "h"}.get(kind.numbers, "dimensionless"),
        se=se,
        source=table.source,
        provenance=table.provenance,
        mismatch=table.mismatch.pairs(),
        partner=partner,
        partner_h=partner_h,
        threshold=threshold,
        se_source=table.se_source,
        marker=None if table.marker is None else _marker(table.marker, (*path, "marker"), knowledge),
        event=table.event,
        adjust=tuple(measurable(name, (*path, "adjust"), knowledge).id for name in table.adjust),
        shares=table.shares,
        figure=table.figure,
    )


def subject(name: str, path: KeyPath, knowledge: Knowledge) -> tuple[str, str, Scale | Analyte | None]:
    """Return (id, unit, record) of a scale, an analyte or a variable of the model (no record)."""
    try:
        analyte = knowledge.analyte(name)
    except UsageError as error:
        variables = model_variables(knowledge)
        if name in variables:
            return name, variables[name], None
        near = difflib.get_close_matches(name, variables, n=2)
        also = f"; near variables of the model: {', '.join(near)}" if near else ""
        fail(path, f"{error} Expected a scale, an analyte or a variable of the model{also}")
    if analyte.kind == "scale":
        return analyte.id, "points", knowledge.scale(analyte.id)
    if not analyte.observable:
        fail(path, f"received {name!r}, which the model does not predict; expected an analyte with an observable")
    return analyte.id, analyte.unit, analyte


def _marker(table: MarkerTable, path: KeyPath, knowledge: Knowledge) -> Marker:
    """A marker with its step and limits in the analyte's own unit."""
    analyte = measurable(table.analyte, (*path, "analyte"), knowledge)
    if not table.unit:
        return Marker(analyte.id, table.per)
    factor = unit_factor(table.unit, analyte, (*path, "unit"))
    limits = (None if limit is None else limit * factor for limit in (table.min, table.max))
    return Marker(analyte.id, table.per, analyte.unit, table.step * factor, *limits)


def _check_arms(file: StudyFile, table: ResultTable, path: KeyPath) -> None:
    ids = [arm.id for arm in file.arm]
    for key, name in (("arm", table.arm), ("versus", table.versus)):
        if name and name not in ids:
            near = difflib.get_close_matches(name, ids, n=1) or ids
            fail((*path, key), f"received {name!r}, expected an arm of this study: {' or '.join(near)}")


def _published(
    file: StudyFile, table: ResultTable, unit: str, record: Scale | Analyte | None, path: KeyPath
) -> tuple[float, float | None]:
    if table.value is None:
        fail((*path, "value"), f"missing; role is {file.study.role!r}, so every result needs a value")
    for key in ("source", "provenance"):
        if not getattr(table, key):
            fail((*path, key), "missing; say where the number stands, and whether it was seen or is from memory")
    factor = _factor(table, unit, record, path)
    value = table.value * factor
    low, high = _limits(table, record)
    open_ends = ENDPOINTS[table.endpoint].scale != "identity"
    if not low <= value <= high or (open_ends and value in (low, high)):
        given = f"{table.value:g} {table.unit}".rstrip()
        fail(
            (*path, "value"),
            f"received {given}, expected {low:g} to {high:g} ({table.endpoint} of {table.of}); correct it or its unit",
        )
    se = _standard_error(file, table, value, factor, path)
    if se is None and file.study.role != "context":
        fail(path, "no standard error; add se, sd and n, ci, or quantiles and n")
    return value, se


def _factor(table: ResultTable, unit: str, record: Scale | Analyte | None, path: KeyPath) -> float:
    """Return what the published numbers are multiplied by to get the endpoint's unit."""
    place, given, numbers = (*path, "unit"), table.unit, ENDPOINTS[table.endpoint].numbers
    if numbers == "subject":
        return _mean_factor(given, unit, record, table.of, place)
    if numbers == "share":
        if given not in ("%", "fraction"):
            fail(place, f"received {given!r}, expected '%' or 'fraction'; correct it")
        return 0.01 if given == "%" else 1.0
    if numbers == "time":
        try:
            return convert(1.0, given, "h")
        except UnitError as error:
            fail(place, f"received {given!r}, expected a time such as h or min: {error}")
    if given not in ("", "dimensionless", "fold"):
        fail(place, f"received {given!r}, but {table.endpoint} has no unit; drop it")
    return 1.0


def _mean_factor(given: str, unit: str, record: Scale | Analyte | None, of: str, place: KeyPath) -> float:
    if isinstance(record, Scale):
        if given not in POINTS:
            fail(place, f"received {given!r}, expected 'points' ({record.id}); correct it")
        return 1.0
    if not given:
        fail(place, f"missing; add a unit such as {unit}")
    if record is not None:
        return unit_factor(given, record, place)
    if given.replace("/", "_per_").replace("^", "") != unit:
        fail(place, f"received {given!r}, expected {unit} (variable {of} of the model); correct it")
    return 1.0


def _limits(table: ResultTable, record: Scale | Analyte | None) -> tuple[float, float]:
    """Return the limits of what the endpoint can be."""
    kind, difference = ENDPOINTS[table.endpoint], bool(table.versus)
    if kind.numbers == "share":
        return (-1.0 if difference else 0.0), 1.0
    if kind.numbers == "correlation":
        return -1.0, 1.0
    if kind.scale == "logarithm" or kind.numbers == "time":
        return 0.0, inf
    if kind.numbers == "subject" and isinstance(record, Scale):
        return (0.0 if table.endpoint == "level" and not difference else -record.maximum), record.maximum
    return -inf, inf


def _standard_error(file: StudyFile, table: ResultTable, value: float, factor: float, path: KeyPath) -> float | None:
    """Return the standard error on the endpoint's error scale, from whatever was published."""
    kind = ENDPOINTS[table.endpoint]
    unit = factor if kind.numbers in ("subject", "share", "time") else 1.0
    if table.se is not None:
        return table.se * unit / (value if table.endpoint == "sd" else 1.0)
    if table.ci is not None:
        try:
            low, high = (error_scale(table.endpoint, bound * unit) for bound in table.ci)
        except ValueError:
            fail((*path, "ci"), f"received {table.ci}, which {table.endpoint} cannot be; correct it")
        return (high - low) / (2 * NormalDist().inv_cdf(0.5 + table.ci_level / 2))
    n = _sizes(file, table)
    if table.endpoint == "sd":
        # of the logarithm, for a normal variable
        return None if n is None or n[0] < 2 else 1 / sqrt(2 * (n[0] - 1))
    spread = table.sd or _quantile_sd(table)
    if spread is not None:
        if kind.moderation or kind.numbers not in ("subject", "time"):
            fail(path, f"an sd gives no standard error of {table.endpoint}; give se or ci")
        if n is None:
            fail((*path, "n"), "missing; sd and quantiles need n (two numbers for an arm and its versus)")
        spreads = [*spread, *spread][: len(n)]
        return unit * sqrt(sum(sd * sd / size for sd, size in zip(spreads, n, strict=True)))
    if n is not None and kind.numbers == "share" and len(n) == 1:
        return proportion_se(value, n[0])
    if n is not None and table.endpoint in _SMDS and len(n) == 2:
        return smd_se(value, n[0], n[1])
    if n is not None and table.endpoint == "correlation" and n[0] > 3:
        return 1 / sqrt(n[0] - 3)
    return None


def _sizes(file: StudyFile, table: ResultTable) -> list[int] | None:
    """Return the number of patients in the arm, and in the one it is compared with."""
    names = [name for name in (table.arm, table.versus) if name]
    if table.n is not None:
        # responders and non-responders are two groups of one arm
        return table.n if len(table.n) == len(names) or table.endpoint == "responder-smd" else None
    if table.stratum is not None:
        return None
    sizes = {arm.id: arm.n for arm in file.arm}
    found = [size for name in names if (size := sizes[name]) is not None]
    return found if len(found) == len(names) else None


def _quantile_sd(table: ResultTable) -> list[float] | None:
    """Return the standard deviation of the normal distribution that has the two outer quantiles."""
    if table.quantiles is None:
        return None
    given = list(table.quantiles.given().items())
    (first, low), (last, high) = given[0], given[-1]
    normal = NormalDist()
    return [(high - low) / (normal.inv_cdf(_QUANTILE[last]) - normal.inv_cdf(_QUANTILE[first]))]
