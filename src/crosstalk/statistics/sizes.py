"""Sample size and power for means and rates of two arms, of a fixed or a group-sequential design."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, sqrt

from scipy.optimize import brentq
from scipy.special import nctdtr, ndtri, stdtrit

from crosstalk.errors import UsageError
from crosstalk.statistics.boundaries import Boundaries, Operation, drift_for_power, operation

__all__ = ["SampleSize", "power_means", "power_rates", "sample_size_means", "sample_size_rates"]


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Patients of both arms together that a power needs; not rounded."""

    fixed: float
    """Without interim looks."""
    maximum: float
    """If no look stops the trial."""
    expected_alternative: float
    """Expected number if the assumed effect is true."""
    expected_null: float
    """Expected number if there is no effect."""
    stages: tuple[float, ...]
    """Patients up to each look."""
    ratio: float
    """Patients of the arm for each one of the control."""
    drift: float
    """Expected standardised statistic at full information."""

    @property
    def patients(self) -> tuple[int, int]:
        """Whole patients of arm and control, each rounded up."""
        # an integer that arithmetic missed by a hair is not raised
        active, control = self.maximum * self.ratio / (1 + self.ratio), self.maximum / (1 + self.ratio)
        return ceil(active - 1e-6), ceil(control - 1e-6)


def sample_size_means(
    design: Boundaries, difference: float, sd: float, *, power: float = 0.8, ratio: float = 1.0, normal: bool = False
) -> SampleSize:
    """Patients that a comparison of two means needs.

    Parameters
    ----------
    design : Boundaries
        Of `boundaries`; one look is a fixed design.
    difference : float
        Assumed difference of the means; its sign does not matter.
    sd : float
        Standard deviation in each arm; for an ANCOVA that of the residuals.
    power : float
        Wanted power.
    ratio : float
        Patients of the arm for each one of the control.
    normal : bool
        Normal instead of the t distribution for the fixed design. The group-sequential design takes its
        inflation from the normal distribution either way.

    Raises
    ------
    UsageError
        No difference, or numbers out of range.

    Examples
    --------
    >>> from crosstalk.statistics import sample_size_means
    >>> from crosstalk.statistics.boundaries import boundaries
    >>> sample_size_means(boundaries(alpha=0.05, sided=2), 3.0, 8.0, power=0.9).patients
    (151, 151)
    """
    _positive(sd=sd, ratio=ratio, difference=abs(difference))
    _possible(design, power)
    one_side = design.alpha / design.sided
    unit = abs(difference) / sd * sqrt(ratio) / (1 + ratio)
    fixed = (ndtri(1 - one_side) + ndtri(power)) ** 2 / unit**2
    if not normal:

        def lacking(n: float) -> float:
            df = max(n - 2, 1e-3)
            return float(nctdtr(df, unit * sqrt(n), stdtrit(df, 1 - one_side)) - (1 - power))

        fixed = brentq(lacking, 2.01, 2 * fixed + 100, xtol=1e-9)
    return _size(design, float(fixed), power, ratio)


def sample_size_rates(
    design: Boundaries, active: float, control: float, *, power: float = 0.8, ratio: float = 1.0
) -> SampleSize:
    """Patients that a comparison of two rates needs, with the pooled rate under the null hypothesis.

    Parameters
    ----------
    design : Boundaries
        Of `boundaries`; one look is a fixed design.
    active, control : float
        Assumed rates of response.
    power, ratio : float
        As for means.

    References
    ----------
    Farrington & Manning 1990, doi:10.1002/sim.4780091208.

    Examples
    --------
    >>> from crosstalk.statistics import sample_size_rates
    >>> from crosstalk.statistics.boundaries import boundaries
    >>> sample_size_rates(boundaries(alpha=0.05, sided=2), 0.45, 0.30, power=0.9).patients
    (217, 217)
    """
    pooled, own = _variances(active, control, ratio)
    _positive(difference=abs(active - control))
    _possible(design, power)
    reach = ndtri(1 - design.alpha / design.sided) * sqrt(pooled) + ndtri(power) * sqrt(own)
    return _size(design, float((reach / (active - control)) ** 2 * (1 + ratio) / ratio), power, ratio)


def power_means(
    design: Boundaries, difference: float, sd: float, patients: float, *, ratio: float = 1.0, normal: bool = False
) -> Operation:
    """Operation of a design for a difference of means and a maximal number of patients of both arms.

    Parameters
    ----------
    design : Boundaries
        Of `boundaries`.
    difference : float
        True difference; positive favours the arm.
    sd, ratio, normal
        As for `sample_size_means`.
    patients : float
        Maximal number of patients of both arms together.
    """
    _positive(sd=sd, ratio=ratio, patients=patients - 2)
    drift = difference / sd * sqrt(ratio) / (1 + ratio) * sqrt(patients)
    if normal or drift == 0:
        return operation(design, drift)
    one_side, df = design.alpha / design.sided, patients - 2
    miss = nctdtr(df, abs(drift), stdtrit(df, 1 - one_side))
    size = ndtri(1 - one_side) - ndtri(miss)
    return operation(design, float(size if drift > 0 else -size))


def power_rates(design: Boundaries, active: float, control: float, patients: float, *, ratio: float = 1.0) -> Operation:
    """Operation of a design for two rates and a maximal number of patients of both arms."""
    pooled, own = _variances(active, control, ratio)
    _positive(patients=patients)
    if active == control:
        return operation(design, 0.0)
    sign = 1.0 if active > control else -1.0
    drift = sqrt(patients * ratio / (1 + ratio)) * (active - control) / sqrt(own)
    critical = ndtri(1 - design.alpha / design.sided)
    return operation(design, float(drift + sign * critical * (1 - sqrt(pooled / own))))


def _variances(active: float, control: float, ratio: float) -> tuple[float, float]:
    """Variances under the null and under the alternative, times the patients of the arm."""
    if not (0 < active < 1 and 0 < control < 1):
        raise UsageError(f"received rates {active} and {control}; expected fractions between 0 and 1")
    _positive(ratio=ratio)
    mean = (ratio * active + control) / (1 + ratio)
    return mean * (1 - mean) * (1 + ratio), active * (1 - active) + ratio * control * (1 - control)


def _size(design: Boundaries, fixed: float, power: float, ratio: float) -> SampleSize:
    drift = drift_for_power(design, power)
    alone = ndtri(1 - design.alpha / design.sided) + ndtri(power)
    maximum = fixed * (drift / alone) ** 2
    there, nothing = operation(design, drift), operation(design, 0.0)
    return SampleSize(
        fixed,
        float(maximum),
        float(maximum * there.expected_information),
        float(maximum * nothing.expected_information),
        tuple(float(maximum * t) for t in design.rates),
        ratio,
        drift,
    )


def _possible(design: Boundaries, power: float) -> None:
    if not design.alpha < power < 1:
        raise UsageError(f"received power {power}; expected a number between alpha ({design.alpha}) and 1")


def _positive(**numbers: float) -> None:
    for name, number in numbers.items():
        if not 0 < number < inf:
            raise UsageError(f"received {name} {number:g}; expected a positive number")
