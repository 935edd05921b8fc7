"""Units as people and laboratories write them, on pint: a subset of UCUM with the usual human spellings."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from crosstalk.errors import UnitError
from crosstalk.limits import shown

if TYPE_CHECKING:
    import pint

__all__ = ["KNOWN", "Rules", "convert", "is_bare", "line", "parse_unit"]

# rules of one analyte: unit to the slope, or to slope and intercept, of the line into the analyte's own unit
Rules: TypeAlias = "Mapping[str, float | tuple[float, float]]"

_PREFIX = {"k": 1e3, "": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}

# Canonical text and what pint reads for it. Cells, international units and ratios of amounts are dimensions of their own:
# none of them may turn into a mass, a bare number or a per cent (HbA1c: 53 mmol/mol is 7.0 %, not 5.3 %).
KNOWN: Mapping[str, str] = {
    **{f"{p}g/{v}": f"{p}g/{v}" for p in ("", "m", "u", "n", "p", "f") for v in ("L", "mL", "dL")},
    **{f"{p}mol/{v}": f"{p}mol/{v}" for p in ("", "m", "u", "n", "p", "f") for v in ("L", "mL", "dL")},
    **{f"{p}M": f"{p}mol/L" for p in ("m", "u", "n", "p", "f")},
    **{f"{p}mol/{q}mol": f"{_PREFIX[p] / _PREFIX[q]!r} * amount_ratio_" for p in ("", "m", "u", "n") for q in ("", "m", "u")},
    **{f"{p}IU/{v}": f"{f} * iu_/{v}" for p, f in (("", "1"), ("m", "1e-3"), ("u", "1e-6"), ("k", "1e3"), ("M", "1e6")) for v in ("L", "mL")},
    **{f"{p}g/kg": f"{p}g/kg" for p in ("", "m", "u", "n")},
    **{f"{p}g/{t}": f"{p}g/{u}" for p in ("m", "u", "n") for t, u in (("h", "hour"), ("d", "day"))},
    **{f"{v}/{t}": f"{v}/{u}" for v in ("L", "mL") for t, u in (("h", "hour"), ("d", "day"), ("min", "minute"))},
    **{f"{v}/{t}/kg": f"{v}/{u}/kg" for v in ("L", "mL") for t, u in (("h", "hour"), ("d", "day"), ("min", "minute"))},
    "L/kg": "L/kg", "mL/kg": "mL/kg", "kg": "kg", "g": "g", "mg": "mg", "ug": "ug", "ng": "ng", "pg": "pg", "[lb_av]": "pound",
    "mol": "mol", "mmol": "mmol", "umol": "umol", "nmol": "nmol", "IU": "iu_", "MIU": "1e6 * iu_", "MIU/h": "1e6 * iu_/hour",
    "L": "L", "dL": "dL", "mL": "mL", "uL": "uL", "m": "m", "cm": "cm", "mm": "mm", "[in_i]": "inch", "[ft_i]": "foot",
    "m2": "m**2", "kg/m2": "kg/m**2",
    "h": "hour", "min": "minute", "s": "second", "d": "day", "wk": "week", "mo": "year/12", "a": "year", "1/h": "1/hour", "1/d": "1/day",
    "%": "0.01", "1": "1", "dimensionless": "1", "points": "1",
    "/uL": "cell_/uL", "/mL": "cell_/mL", "/L": "cell_/L", "10*3/uL": "1e3 * cell_/uL", "10*6/uL": "1e6 * cell_/uL",
    "10*3/mL": "1e3 * cell_/mL", "10*6/mL": "1e6 * cell_/mL", "10*6/L": "1e6 * cell_/L", "10*9/L": "1e9 * cell_/L",
}  # fmt: skip

_ALIASES = {
    "year": "a", "years": "a", "yr": "a", "yrs": "a", "y": "a", "hour": "h", "hours": "h", "hr": "h", "day": "d", "days": "d",
    "week": "wk", "weeks": "wk", "month": "mo", "months": "mo", "minute": "min", "minutes": "min", "second": "s",
    "{score}": "points", "score": "points", "point": "points", "percent": "%", "fraction": "1", "": "1",
    "/h": "1/h", "/d": "1/d", "lb": "[lb_av]", "lbs": "[lb_av]", "in": "[in_i]", "inch": "[in_i]", "inches": "[in_i]", "ft": "[ft_i]",
    "1/uL": "/uL", "1/mL": "/mL", "1/L": "/L", "/nL": "10*9/L", "G/L": "10*9/L", "1000/uL": "10*3/uL",
    "g%": "g/dL", "mg%": "mg/dL", "ug%": "ug/dL", "gm/dL": "g/dL", "mmol/molHb": "mmol/mol", "%Hb": "%", "%ofHb": "%", "%oftotalHb": "%",
}  # fmt: skip

# scales that hold within one platform and run, and what they are
_RELATIVE = {
    "npx": "Olink's normalised protein expression on a log2 scale",
    "npq": "NULISA's normalised protein quantity on a log2 scale",
    "rfu": "relative fluorescence",
    "mfi": "median fluorescence intensity",
    "rlu": "relative luminescence",
    "au": "a kit's arbitrary unit",
    "arbu": "a kit's arbitrary unit",
    "arbunit": "a kit's arbitrary unit",
    "arbitraryunit": "a kit's arbitrary unit",
    "ct": "a PCR cycle number",
    "cq": "a PCR cycle number",
    "od": "an optical density",
    "s/co": "a ratio of signal to cut-off",
}
LONGEST = 100  # characters that a unit may have
_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def parse_unit(text: str) -> str:
    """Canonical spelling of a unit.

    UCUM's case-sensitive codes come first, then what people write. Text without a lower-case letter is read by UCUM's
    case-insensitive code where only one unit fits (``MG/DL``). Annotations in braces carry no meaning, as in UCUM.

    Parameters
    ----------
    text : str
        As written: UCUM (``u[IU]/mL``, ``10*3{cells}/uL``, ``mg.L-1``) or as people do (``µg/ml``, ``uIU/mL``,
        ``x10⁹/L``).

    Returns
    -------
    str
        A key of `KNOWN`.

    Raises
    ------
    UnitError
        If the unit is not known (the message names the nearest known ones), or is a relative scale of one platform, such
        as NPX, RFU or MFI.

    References
    ----------
    The Unified Code for Units of Measure, version 2.1, https://ucum.org/ucum

    Examples
    --------
    >>> parse_unit("µg/ml"), parse_unit("u[IU]/mL"), parse_unit("10^9/L"), parse_unit("{cells}/uL")
    ('ug/mL', 'uIU/mL', '10*9/L', '/uL')
    """
    if len(text) > LONGEST:
        raise UnitError(f"unknown unit '{shown(text)}'; write it as in mg/L, pg/mL, umol/L or 10*9/L")
    found = _canonical(text)
    if found is None:
        what = _relative(text)
        if what is not None:
            raise UnitError(
                f"'{shown(text)}' is {what}: a relative scale of one platform, which neither converts to a concentration nor "
                f"compares with another platform; ask for concentrations, as in pg/mL, or leave the value out"
            )
        near = difflib.get_close_matches(_tidy(text), [*KNOWN, *_ALIASES], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "write it as in mg/L, pg/mL, umol/L or 10*9/L"
        raise UnitError(f"unknown unit '{shown(text)}'; {hint}")
    return found


def is_bare(text: str) -> bool:
    """Whether a unit is none: that of a score, a count or a ratio. A per cent is one.

    Examples
    --------
    >>> is_bare("points"), is_bare("1"), is_bare("%"), is_bare("mg/L")
    (True, True, False, False)
    """
    try:
        return parse_unit(text) in ("1", "dimensionless", "points")
    except UnitError:
        return False


def _relative(text: str) -> str | None:
    bare = re.sub(r"[\s.'{}\[\]()_-]", "", text.casefold())
    bare = re.sub(r"^log(2|10)?|/(m|u|d)?l$", "", bare)
    return _RELATIVE.get(bare) or _RELATIVE.get(bare.removesuffix("s"))


def _tidy(text: str) -> str:
    clean = re.sub("(?<=10)[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "*" + m[0].translate(_SUPERSCRIPTS), text.strip())
    clean = unicodedata.normalize("NFKC", clean.translate(_SUPERSCRIPTS))
    clean = re.sub("[µμ]", "u", clean).translate(str.maketrans("−∕⁄·×", "-//.x"))  # noqa: RUF001
    clean = re.sub(r"\{[^{}]*\}", "", clean)
    clean = re.sub(r"\bper\b", "/", clean).replace("[IU]", "IU")
    # mg.L-1, mg L^-1, kg.m-2
    clean = re.sub(r"[.*\s]*\b([A-Za-z]+)\^?-([123])", lambda m: f"/{m[1]}{'' if m[2] == '1' else m[2]}", clean)
    clean = re.sub(r"\s", "", clean)
    clean = re.sub(r"^[xX](?=10)", "", clean)
    clean = re.sub(r"^10(?:\^|\*\*|[eE])(?=\d)", "10*", clean)
    clean = re.sub(r"(?<=m)(\^|\*\*)(?=[23])", "", clean)
    clean = re.sub(r"[.*]?cells?(?=/)", "", clean)
    clean = re.sub(r"/(cu\.?mm|cmm|mm3)\b", "/uL", clean)
    clean = re.sub(r"\bmc(?=(g|mol|L|l|IU|U)\b)", "u", clean)
    clean = re.sub(r"(?<![A-Za-z])([muMk]?)(U|UI|I\.U\.)(?=/|$)", r"\1IU", clean)
    clean = re.sub(r"(?<![A-Za-z])([mdun]?)l\b", r"\1L", clean)
    return re.sub(r"^(K|k|thou|thousand|Tsd\.?)(?=/uL)", "10*3", clean)


# UCUM's case-insensitive code: M is milli there, and mega is MA
_CAPITALS = {name.upper(): name for name in KNOWN if re.match(r"[a-z]?(g|mol)/", name)}


@lru_cache(maxsize=512)
def _canonical(text: str) -> str | None:
    if _relative(text):  # before its braces are dropped: {RFU} would be a bare number
        return None
    clean = _tidy(text)
    for candidate in (clean, _ALIASES.get(text.strip()), _ALIASES.get(clean), _ALIASES.get(clean.lower())):
        if candidate is not None and candidate in KNOWN:
            return candidate
    return _CAPITALS.get(clean)


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(cache_folder=None)
    registry.define("cell_ = [cell]")
    registry.define("iu_ = [international_unit]")
    registry.define("amount_ratio_ = [amount_ratio]")
    return registry


def convert(
    value: float,
    from_unit: str,
    to_unit: str,
    *,
    molar_mass: float | None = None,
    factors: Rules | None = None,
) -> float:
    """Convert a value between units.

    Parameters
    ----------
    value : float
    from_unit, to_unit : str
    molar_mass : float [g/mol], optional
        Allows mass to amount of substance and back.
    factors : mapping of str to float, or to (float, float), optional
        Rules of one analyte: unit to factor, or to slope and intercept, into ``to_unit``; they come before everything
        else.

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
    >>> round(convert(53, "mmol/mol", "%", factors={"mmol/mol": (0.09148, 2.152)}), 1)
    7.0
    """
    slope, intercept = line(from_unit, to_unit, molar_mass=molar_mass, factors=factors)
    return value * slope + intercept if intercept else value * slope


def line(
    from_unit: str, to_unit: str, *, molar_mass: float | None = None, factors: Rules | None = None
) -> tuple[float, float]:
    """Slope and intercept of the line from one unit to another, as `convert` uses them; the slope is positive.

    Parameters
    ----------
    from_unit, to_unit : str
    molar_mass : float [g/mol], optional
    factors : mapping of str to float, or to (float, float), optional

    Returns
    -------
    (float, float)
        The intercept, in ``to_unit``, is 0 but for rules of an analyte.

    Raises
    ------
    UnitError
        If a unit is unknown or the two do not convert.

    Examples
    --------
    >>> line("mg/dL", "mg/L")
    (10.0, 0.0)
    """
    if from_unit == to_unit:
        return 1.0, 0.0
    rule = _rule(from_unit, factors)
    if rule is not None:
        return (float(rule), 0.0) if isinstance(rule, (int, float)) else (float(rule[0]), float(rule[1]))
    return _factor(parse_unit(from_unit), parse_unit(to_unit), molar_mass), 0.0


def _rule(unit: str, factors: Rules | None) -> float | tuple[float, float] | None:
    if not factors:
        return None
    if unit in factors:
        return factors[unit]
    wanted = _canonical(unit) if len(unit) <= LONGEST else None
    return next((f for u, f in factors.items() if wanted is not None and _canonical(u) == wanted), None)


@lru_cache(maxsize=1024)
def _factor(source: str, target: str, molar_mass: float | None) -> float:
    import pint

    registry = _registry()
    start, end = (1.0 * registry.dimensionless * registry.parse_expression(KNOWN[unit]) for unit in (source, target))
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
    ratio = [unit for unit in (source, target) if "amount_ratio_" in KNOWN[unit]]
    if ratio:
        wants = f"; '{ratio[0]}' is a ratio of amounts, which needs a rule of its analyte (as HbA1c in mmol/mol does)"
    else:
        wants = "" if molar_mass else "; mass and amount of substance need the molar mass of the analyte"
    raise UnitError(f"'{source}' does not convert to '{target}'{wants}")
