"""Units as people and laboratories write them, on pint: a subset of UCUM with the usual human spellings."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from crosstalk.errors import UnitError

if TYPE_CHECKING:
    import pint

__all__ = ["KNOWN", "convert", "parse_unit"]

# canonical text and what pint reads for it
KNOWN: Mapping[str, str] = {
    **{f"{p}g/{v}": f"{p}g/{v}" for p in ("", "m", "u", "n", "p") for v in ("L", "mL", "dL")},
    **{f"{p}mol/L": f"{p}mol/L" for p in ("", "m", "u", "n", "p")},
    **{f"{p}M": f"{p}mol/L" for p in ("m", "u", "n", "p")},
    **{f"{p}mol/{q}mol": f"{p}mol/{q}mol" for p in ("", "m", "u", "n") for q in ("", "m", "u")},
    **{f"{p}IU/{v}": f"{f} * iu_/{v}" for p, f in (("", "1"), ("m", "1e-3"), ("u", "1e-6"), ("M", "1e6")) for v in ("L", "mL")},
    **{f"{p}g/kg": f"{p}g/kg" for p in ("", "m", "u", "n")},
    **{f"{p}g/{t}": f"{p}g/{u}" for p in ("m", "u", "n") for t, u in (("h", "hour"), ("d", "day"))},
    **{f"{v}/{t}": f"{v}/{u}" for v in ("L", "mL") for t, u in (("h", "hour"), ("d", "day"), ("min", "minute"))},
    **{f"{v}/{t}/kg": f"{v}/{u}/kg" for v in ("L", "mL") for t, u in (("h", "hour"), ("d", "day"), ("min", "minute"))},
    "L/kg": "L/kg", "mL/kg": "mL/kg", "kg": "kg", "g": "g", "mg": "mg", "ug": "ug", "ng": "ng", "pg": "pg",
    "mol": "mol", "mmol": "mmol", "umol": "umol", "nmol": "nmol", "IU": "iu_", "MIU": "1e6 * iu_", "MIU/h": "1e6 * iu_/hour",
    "L": "L", "dL": "dL", "mL": "mL", "uL": "uL", "m": "m", "cm": "cm", "m2": "m**2", "kg/m2": "kg/m**2",
    "h": "hour", "min": "minute", "s": "second", "d": "day", "wk": "week", "mo": "year/12", "a": "year", "1/h": "1/hour", "1/d": "1/day",
    "%": "0.01", "1": "1", "dimensionless": "1", "points": "1",
    "/uL": "cell_/uL", "10*3/uL": "1e3 * cell_/uL", "10*9/L": "1e9 * cell_/L", "10*6/L": "1e6 * cell_/L",
}  # fmt: skip

_ALIASES = {
    "year": "a", "years": "a", "yr": "a", "yrs": "a", "y": "a", "hour": "h", "hours": "h", "hr": "h", "day": "d", "days": "d",
    "week": "wk", "weeks": "wk", "month": "mo", "months": "mo", "minute": "min", "minutes": "min", "second": "s",
    "{score}": "points", "score": "points", "point": "points", "percent": "%", "fraction": "1", "": "1",
    "kg/m^2": "kg/m2", "kg/m**2": "kg/m2", "m^2": "m2", "cells/uL": "/uL", "{cells}/uL": "/uL", "cell/uL": "/uL", "/mm3": "/uL",
    "cells/mm3": "/uL", "10^3/uL": "10*3/uL", "10e3/uL": "10*3/uL", "x10^3/uL": "10*3/uL", "K/uL": "10*3/uL", "k/uL": "10*3/uL",
    "10^9/L": "10*9/L", "10e9/L": "10*9/L", "x10^9/L": "10*9/L", "G/L": "10*9/L", "10^6/L": "10*6/L", "1000/uL": "10*3/uL",
}  # fmt: skip


def parse_unit(text: str) -> str:
    """Canonical spelling of a unit.

    Parameters
    ----------
    text : str
        As written: UCUM (``u[IU]/mL``, ``10*9/L``, ``{score}``) or as people do (``µg/ml``, ``uIU/mL``, ``10^9/L``).

    Returns
    -------
    str
        A key of `KNOWN`.

    Raises
    ------
    UnitError
        If the unit is not known; the message names the nearest known ones.

    Examples
    --------
    >>> parse_unit("µg/ml"), parse_unit("u[IU]/mL"), parse_unit("10^9/L")
    ('ug/mL', 'uIU/mL', '10*9/L')
    """
    found = _canonical(text)
    if found is None:
        near = difflib.get_close_matches(_tidy(text), [*KNOWN, *_ALIASES], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "write it as in mg/L, pg/mL, umol/L or 10*9/L"
        raise UnitError(f"unknown unit '{text}'; {hint}")
    return found


def _tidy(text: str) -> str:
    clean = re.sub(r"\bper\b", "/", text.strip()).replace("µ", "u").replace("μ", "u")
    clean = clean.replace(" ", "").replace("²", "2").replace("·", "*").replace("[IU]", "IU").replace("mcg", "ug")
    clean = re.sub(r"(?<![A-Za-z])([muM]?)U/", r"\1IU/", clean)
    clean = re.sub(r"([a-zA-Z]?)l\b", lambda m: f"{m.group(1)}L" if m.group(1) in "mdu" else m.group(0), clean)
    return re.sub(r"\bI\.?U\.?\b", "IU", clean)


@lru_cache(maxsize=512)
def _canonical(text: str) -> str | None:
    clean = _tidy(text)
    for candidate in (clean, _ALIASES.get(clean), _ALIASES.get(clean.lower())):
        if candidate is not None and candidate in KNOWN:
            return candidate
    return None


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(cache_folder=None)
    # cells and international units are dimensions of their own: neither may turn into a mass or a bare number
    registry.define("cell_ = [cell]")
    registry.define("iu_ = [international_unit]")
    return registry


def convert(
    value: float,
    from_unit: str,
    to_unit: str,
    *,
    molar_mass: float | None = None,
    factors: Mapping[str, float] | None = None,
) -> float:
    """Convert a value between units.

    Parameters
    ----------
    value : float
    from_unit, to_unit : str
    molar_mass : float [g/mol], optional
        Allows mass to amount of substance and back.
    factors : mapping of str to float, optional
        Rules of one analyte: unit to factor into ``to_unit``; they come before everything else.

    Raises
    ------
    UnitError
        If a unit is unknown or the two do not convert.

    Examples
    --------
    >>> convert(1.0, "mg/dL", "mg/L")
    10.0
    >>> round(convert(12.25, "mg/L", "umol/L", molar_mass=204.23), 2)
    59.98
    """
    if from_unit == to_unit:
        return value
    rule = _rule(from_unit, factors)
    if rule is not None:
        return value * rule
    return value * _factor(parse_unit(from_unit), parse_unit(to_unit), molar_mass)


def _rule(unit: str, factors: Mapping[str, float] | None) -> float | None:
    if not factors:
        return None
    if unit in factors:
        return factors[unit]
    wanted = _canonical(unit)
    return next((f for u, f in factors.items() if wanted is not None and _canonical(u) == wanted), None)


@lru_cache(maxsize=1024)
def _factor(source: str, target: str, molar_mass: float | None) -> float:
    import pint

    registry = _registry()
    start, end = registry.Quantity(1.0, "dimensionless"), registry.Quantity(1.0, "dimensionless")
    start, end = start * registry.parse_expression(KNOWN[source]), end * registry.parse_expression(KNOWN[target])
    choices = [1.0 * registry.dimensionless]
    if molar_mass:
        mass = molar_mass * registry.gram / registry.mol
        choices += [mass, 1 / mass]
    for choice in choices:
        try:
            # rounding keeps factors such as 10 exact
            return float(f"{float((start * choice / end).to('dimensionless').magnitude):.13g}")
        except pint.DimensionalityError:
            continue
    wants = "" if molar_mass else "; mass and amount of substance need the molar mass of the analyte"
    raise UnitError(f"'{source}' does not convert to '{target}'{wants}")
