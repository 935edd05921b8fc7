"""Numbers and sentences that the terminal and the HTML report share."""

from __future__ import annotations

import math

from crosstalk.twin.records import Change, Interval, MechanismScore, Probability, ProfileItem, PublishedEffect, Rest

__all__ = [
    "PLACES",
    "ROLES",
    "UNCALIBRATED",
    "USES",
    "interval_text",
    "measured_text",
    "number",
    "percent",
    "place_text",
    "points_text",
    "published_text",
    "range_text",
    "rests_text",
    "roles_text",
]

UNCALIBRATED = (
    "Uncalibrated: most constants of the model are assumed, none was fitted to trials. Read it as a way to form "
    "hypotheses, not as a prediction."
)

USES = {
    "fitted": "fitted", "covariate": "covariate", "score": "baseline score", "failed": "failed, not used",
    "related": "tells of stress",
    "history": "earlier failures",
    "shown": "shown only",
}  # fmt: skip
"""What became of a value of a panel."""

PLACES = {
    "below": "below the range", "within": "within the range", "above": "above the range", "unknown": "unknown",
}  # fmt: skip

ROLES = {"calibrate": "fitted", "validate": "predicted, never fitted", "context": "shown, not fitted"}
"""What a published result is to the model."""


def number(value: float | None) -> str:
    """A number as a person writes it: three significant digits, none for large ones.

    Examples
    --------
    >>> number(0.034567), number(12.34), number(1234.5), number(float("nan"))
    ('0.0346', '12.3', '1234', 'none')
    """
    if value is None or not math.isfinite(value):
        return "none"
    if abs(value) >= 1000:
        return f"{value:.0f}"
    text = f"{value:.3g}"
    return "0" if text == "-0" else text


def interval_text(found: Interval | Change | MechanismScore) -> str:
    """Mean and interval."""
    return f"{number(found.mean)} ({number(found.lo90)} to {number(found.hi90)})"


def percent(found: Probability) -> str:
    """Probability and interval in percent."""
    if not math.isfinite(found.mean):
        return "none"
    return f"{100 * found.mean:.0f} % ({100 * found.lo90:.0f} to {100 * found.hi90:.0f})"


def measured_text(item: ProfileItem) -> str:
    """The measured value with its sign of censoring, or both ends of its interval, and its unit."""
    if item.analyte == "sex":
        return "female" if item.value > 0.5 else "male"
    sign = {"left": "< ", "right": "> "}.get(item.censored, "")
    end = f" to {number(item.upper)}" if item.censored == "interval" else ""
    unit = "" if item.unit in ("dimensionless", "1", "points") else f" {item.unit.replace('^2', '²')}"
    return f"{sign}{number(item.value)}{end}{unit}"


def range_text(item: ProfileItem) -> str:
    """The reference range; nothing for what has none by its nature, such as age or a score."""
    if item.reference is not None:
        return f"{number(item.reference.p2_5)} to {number(item.reference.p97_5)}"
    return "" if item.use in ("covariate", "score", "related", "history") else "none for this assay"


def place_text(item: ProfileItem) -> str:
    """Where a value lies: its clinical stratum first, then its place against the reference of people alike."""
    found = [item.stratum] if item.stratum else []
    if range_text(item) and not (item.stratum and item.position == "unknown"):
        adjusted = "" if item.percentile is None else f" of people alike (percentile {item.percentile:.0f})"
        found.append(PLACES[item.position] + adjusted)
    return "; ".join(found)


def points_text(found: Interval | Change) -> str:
    """Mean and interval in points, with one decimal."""
    return f"{found.mean:.1f} ({found.lo90:.1f} to {found.hi90:.1f})".replace("-0.0", "0.0")


def published_text(found: PublishedEffect) -> str:
    """A published effect in points, in whom, and from how many."""
    who = [found.stratum] if found.stratum else []
    others = [d for d in found.diagnoses if d != "mdd"]
    if others and "mdd" not in found.diagnoses:
        who.append(f"in {', '.join(others)}")
    who.append(f"n = {found.n}" if found.n else "n not given")
    who.append(f"{found.k} {'cohort' if found.k == 1 else 'cohorts'}")
    numbers = f"{found.mean:.1f} ({found.lo95:.1f} to {found.hi95:.1f})".replace("-0.0", "0.0")
    kind = "indirect, " if "indirectly" in found.comparison else ""
    kind += "only stated, " if "only stated" in found.comparison else ""
    return f"{numbers}, {kind}{', '.join(who)}"


def roles_text(role: str) -> str:
    """What a study is to the model."""
    return ROLES.get(role, role)


def rests_text(rest: Rest) -> str:
    """A source on one line."""
    kind = "assumed: " if rest.kind == "assumed" else ""
    return f"{kind}{rest.place}" + (f" ({rest.doi})" if rest.doi else "")
