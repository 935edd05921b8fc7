"""A trialist's own assumed effect beside the model's: power, patients, chance at each look, by the usual formulas.

Nothing of the model is in these numbers. They are those of `sizes` and `boundaries`, which agree with rpact; `script`
writes the lines of R that repeat them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, sqrt

from scipy.special import ndtri

from crosstalk.errors import TrialError
from crosstalk.statistics.boundaries import Boundaries, Operation, boundaries
from crosstalk.statistics.sizes import SampleSize, power_means, power_rates, sample_size_means, sample_size_rates
from crosstalk.study.design import Assumed, Design

__all__ = ["AssumedPower", "assumed_power", "rpact_script", "sized"]

RATES = ("response", "remission")
MEANS = ("mmrm", "ancova")


@dataclass(frozen=True, slots=True)
class AssumedPower:
    """What a design would show under the assumed effect.

    Attributes
    ----------
    effect : float
        As assumed: points, or difference of the rates.
    patients : float
        Of both arms of the primary comparison who are expected to be analysed: the randomised less dropout.
    power : float
        Of the primary analysis, looks included.
    target : float
        The power asked for, 0.8 where none is; ``needed`` are the patients to randomise for it.
    ends : tuple of float
        Chance that the trial ends at each look for efficacy; ``futile`` for futility, where a limit is assumed.
    futile_null : tuple of float
        The same without any effect.
    interaction_power : float, optional
        Of the test that the effect differs between marker-positive and -negative patients.
    margin_power : float, optional
        That the interval leaves out a loss of the margin (non-inferiority), at the end.
    months : float, optional
        From the first patient to the last visit.
    """

    effect: float
    sd: float | None
    patients: float
    power: float
    target: float
    needed: float
    expected: float
    ends: tuple[float, ...]
    futile: tuple[float, ...]
    futile_null: tuple[float, ...]
    interaction_power: float | None
    margin_power: float | None
    months: float | None


def assumed_power(design: Design) -> AssumedPower:
    """Power and size of a design under its own assumption.

    Raises
    ------
    TrialError
        If it has none, or its primary analysis is of another kind.
    """
    given = _given(design)
    looks, shares = _looks(design), _shares(design)
    ratio, kept = shares[0] / shares[1], _kept(design)
    patients = design.n * kept
    target = given.power or 0.8
    found = _operation(design, looks, patients, ratio)
    size = _size(design, looks, target, ratio)
    null = _operation(replace(design, assumed=replace(given, effect=0.0)), looks, patients, ratio)
    alpha = design.primary.alpha
    interaction = None
    if given.interaction is not None and given.sd is not None and given.positive_share is not None:
        share = given.positive_share
        se = given.sd * sqrt((1 + ratio) ** 2 / ratio / patients * (1 / share + 1 / (1 - share)))
        interaction = _reaches(abs(given.interaction) / se, alpha)
    margin = None
    if given.margin is not None:
        # one-sided at half the level, as the interval does it
        margin = _operation(design, boundaries(alpha=alpha / 2, sided=1), patients, ratio, given.margin).power
    futile = (found.futile, null.futile) if given.futility else ((), ())
    months = None
    if given.per_month is not None:
        months = design.n / given.per_month + design.primary.time_h / (24 * 30.4375)
    return AssumedPower(
        given.effect, given.sd, patients, found.power, target, _whole(design, size, kept),
        size.expected_alternative / kept,
        found.rejection, *futile, interaction, margin, months,
    )  # fmt: skip


def sized(design: Design) -> Design:
    """The design with the number of patients that its assumption and power need, where it gives none itself.

    Rounded up to whole blocks, so that the allocation holds.

    Raises
    ------
    TrialError
        If more patients were needed than a trial may have.
    """
    from crosstalk.limits import PATIENTS

    if design.n:
        return design
    given = _given(design)
    assert given.power is not None
    shares = _shares(design)
    size = _size(design, _looks(design), given.power, shares[0] / shares[1])
    n = _whole(design, size, _kept(design))
    if n > PATIENTS:
        raise TrialError(
            f"an effect of {given.effect:g} needs {n:.3g} patients for a power of {given.power:g}; a trial has at most "
            f"{PATIENTS}"
        )
    if design.interim is not None and design.interim.information[0] * n < 8:
        raise TrialError(
            f"the first look would see {design.interim.information[0] * n:.0f} of {n:.0f} patients; drop it"
        )
    return replace(design, n=int(n))


def _given(design: Design) -> Assumed:
    if design.assumed is None:
        raise TrialError("the design has no [trial.assumed]; add effect and sd, or effect and control_rate")
    method = design.primary.method
    if method in RATES and design.assumed.control_rate is None:
        raise TrialError(
            f"the primary analysis is '{method}': [trial.assumed] needs control_rate and a difference of rates"
        )
    if method in MEANS and design.assumed.sd is None:
        raise TrialError(f"the primary analysis is '{method}': [trial.assumed] needs sd, of the residual of the change")
    if method not in RATES + MEANS or design.kind in ("crossover", "match"):
        raise TrialError(
            f"[trial.assumed] is offered for parallel arms with a primary analysis by {', '.join(MEANS + RATES)}; "
            f"received '{method}' in a design '{design.kind}'"
        )
    better = design.assumed.effect > 0 if method in RATES else design.assumed.effect < 0
    if not better and design.assumed.effect:
        words = "rates rise with improvement; write it above 0" if method in RATES else "scores fall; write it below 0"
        raise TrialError(f"[trial.assumed] effect is {design.assumed.effect:g}, against the arm: {words}")
    if design.primary.part != "all" and design.kind != "enrichment" and design.assumed.positive_share is None:
        raise TrialError(
            f"the primary analysis is of the marker-{design.primary.part}: give positive_share, and interaction"
        )
    return design.assumed


def _kept(design: Design) -> float:
    """Share of the randomised who count in the primary comparison."""
    part, positive = design.primary.part, 1.0 if design.assumed is None else design.assumed.positive_share
    share = {"all": 1.0, "positive": positive or 1.0, "negative": 1 - (positive or 0.0)}[part]
    return sum(_shares(design)) * (1 - _dropout(design)) * share


def _shares(design: Design) -> tuple[float, float]:
    return design.allocation[design.primary.arm], design.allocation[design.primary.versus]


def _dropout(design: Design) -> float:
    """Who has no score at the end; counted as failures, they leave no gap."""
    assert design.assumed is not None
    own = design.assumed.dropout
    if own is not None:
        return own
    return 0.0 if design.primary.method in RATES and design.primary.nonresponder else design.conduct.dropout


def _looks(design: Design) -> Boundaries:
    """Boundaries of the looks; one-sided at half the level with a limit for futility, since that has a direction."""
    assert design.assumed is not None
    alpha, futility = design.primary.alpha, design.assumed.futility
    if design.interim is None:
        return boundaries(alpha=alpha, sided=2)
    kind = design.interim.boundary
    spending = kind.startswith("spending-")
    name = kind.removeprefix("spending-")
    return boundaries(
        design.interim.information,
        alpha=alpha / 2 if futility else alpha,
        sided=1 if futility else 2,
        kind="spending" if spending else name,  # type: ignore[arg-type]
        spending=name if spending else "obrien-fleming",  # type: ignore[arg-type]
        futility=futility,
        beta=1 - (design.assumed.power or 0.8),
    )


def _operation(design: Design, looks: Boundaries, patients: float, ratio: float, margin: float = 0.0) -> Operation:
    given = design.assumed
    assert given is not None
    if given.control_rate is not None and design.primary.method in RATES:
        if margin:
            # by the variance of the assumed rates
            active, control = given.control_rate + given.effect, given.control_rate
            sd = sqrt(active * (1 - active) / ratio + control * (1 - control)) / sqrt((1 + ratio) / ratio)
            return power_means(looks, given.effect + margin, sd, patients, ratio=ratio, normal=True)
        return power_rates(looks, given.control_rate + given.effect, given.control_rate, patients, ratio=ratio)
    assert given.sd is not None
    # scores fall with improvement
    return power_means(looks, margin - given.effect, given.sd, patients, ratio=ratio)


def _size(design: Design, looks: Boundaries, power: float, ratio: float) -> SampleSize:
    given = design.assumed
    assert given is not None
    if given.control_rate is not None and design.primary.method in RATES:
        return sample_size_rates(looks, given.control_rate + given.effect, given.control_rate, power=power, ratio=ratio)
    assert given.sd is not None
    return sample_size_means(looks, given.effect, given.sd, power=power, ratio=ratio)


def _whole(design: Design, size: SampleSize, kept: float) -> float:
    """Patients to randomise in all arms, in whole multiples of the smallest block."""
    fits = (k for k in range(1, design.block + 1) if all(abs(k * s % 1) < 1e-6 for s in design.allocation.values()))
    step = next(fits, design.block)
    return float(step * ceil(size.maximum / kept / step - 1e-9))


def _reaches(statistic: float, alpha: float) -> float:
    from scipy.special import ndtr

    critical = -ndtri(alpha / 2)
    return float(ndtr(statistic - critical) + ndtr(-statistic - critical))


def rpact_script(design: Design, title: str) -> str:
    """Lines of R that repeat the analytic part with the package rpact.

    Raises
    ------
    TrialError
        As for `assumed_power`.
    """
    given, found = _given(design), assumed_power(design)
    shares = _shares(design)
    ratio, alpha = shares[0] / shares[1], design.primary.alpha
    one_sided = design.interim is not None and given.futility is not None
    lines = [f"# {title}: power under the assumed effect, by rpact", "library(rpact)"]
    if design.interim is None:
        beta = f"{1 - found.target:g}"
        lines.append(f"design <- getDesignGroupSequential(kMax = 1, alpha = {alpha:g}, sided = 2, beta = {beta})")
    else:
        kinds = {"obrien-fleming": "OF", "pocock": "P", "spending-obrien-fleming": "asOF", "spending-pocock": "asP"}
        rates = ", ".join(f"{r:g}" for r in design.interim.information)
        level = alpha / 2 if one_sided else alpha
        spent = {"obrien-fleming": "bsOF", "pocock": "bsP"}
        futile = f', typeBetaSpending = "{spent[given.futility]}", bindingFutility = FALSE' if given.futility else ""
        form = kinds[design.interim.boundary]
        lines.append(
            f"design <- getDesignGroupSequential(informationRates = c({rates}), alpha = {level:g}, "
            f'sided = {1 if one_sided else 2}, beta = {1 - found.target:g}, typeOfDesign = "{form}"{futile})'
        )
    if design.primary.method in RATES:
        assert given.control_rate is not None
        what = (
            f"pi1 = {given.control_rate + given.effect:g}, pi2 = {given.control_rate:g}, "
            f"allocationRatioPlanned = {ratio:g}"
        )
        names, verbs = "directionUpper = TRUE, ", "Rates"
    else:
        what = f"alternative = {-given.effect:g}, stDev = {given.sd:g}, allocationRatioPlanned = {ratio:g}"
        names, verbs = "", "Means"
    lines += [
        f"summary(getPower{verbs}(design, {names}{what}, maxNumberOfSubjects = {found.patients:.6g}))",
        f"summary(getSampleSize{verbs}(design, {what}))",
        f"# here: power {found.power:.4f}; {found.needed:.0f} randomised for a power of {found.target:g}, with dropout",
    ]
    return "\n".join(lines) + "\n"
