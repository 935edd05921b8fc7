"""Quality control of immunoassay plates, and the concentrations read again from their signals.

Limits
------
ICH M10 (2022), ligand binding assays: six levels of the standard; three quarters of them given back within 20 % of
nominal (25 % at LLOQ and ULOQ); precision 20 % (25 %); two thirds of the controls within 20 % of nominal.
Beads: 50 a region are recommended, 35 are the least whose median stands, by Luminex as the guide to MILLIPLEX assays
quotes it (Merck, Equipment settings and data analysis for MILLIPLEX multiplex assays).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from statistics import fmean, median, stdev

from crosstalk.errors import PanelError
from crosstalk.panel.entries import Entry
from crosstalk.panel.plates.curves import CV, CV_END, RECOVERY, fit_curve
from crosstalk.panel.plates.dilutions import Standard
from crosstalk.panel.plates.quality_records import (
    AnalyteQuality,
    Bridge,
    Check,
    Grade,
    PlateQuality,
    PlateReport,
    SampleResult,
)
from crosstalk.panel.plates.replicates import Outcome, of_dilutions, precision
from crosstalk.panel.plates.standard_curve import Curve, Level
from crosstalk.panel.plates.vendor import reanalyse
from crosstalk.panel.plates.wells import EXCLUDED, Plate, Well
from crosstalk.panel.records import Quality
from crosstalk.provenance import hash_bytes, package_version

__all__ = ["assess_plates", "concentrations", "standards_of"]  # fmt: skip


BEADS, BEADS_LEAST = 50, 35
SHARE = 0.75  # ICH M10: of the levels of the standard
LEVELS = 6  # ICH M10
CONTROLS = 2 / 3  # ICH M10: of the controls
R2 = 0.99  # assumed; no guideline judges a curve by it
BELOW = 0.5  # share of the samples below the LLOQ from which an analyte is doubtful: assumed
DRIFT = math.log(1.2)  # between plates: assumed, the limit of recovery
CV_FAILED = 2.0  # times the limit, from which replicates contradict each other: assumed
NUMBERED = re.compile(r"(unknown|sample|unk|x|u|s)[\s._#-]*\d+", re.IGNORECASE)  # names given by the software


def assess_plates(plates: Sequence[Plate]) -> PlateReport:
    """Judge plates and read their concentrations again.

    Nothing is dropped: a value that failed is kept with ``quality`` and ``remarks``.

    Raises
    ------
    PanelError
        If no plate holds a well with a signal.
    """
    if not any(well.signal is not None or well.net_signal is not None for plate in plates for well in plate.wells):
        raise PanelError(
            f"{', '.join(dict.fromkeys(p.path for p in plates)) or 'no plate'}: no well has a signal; expected an "
            "export with medians (xPONENT) or signals (MSD)"
        )
    judged = tuple(_plate(plate) for plate in plates)
    return PlateReport(judged, tuple(_bridges(judged)), package_version())


def concentrations(report: PlateReport) -> list[Entry]:
    """The samples' concentrations as entries of a panel: censored as ``<LLOQ``, failed ones kept and marked.

    A sample at several dilutions gives the value in the range of the curve that is known best; the others are remarks.
    A sample on several plates gives an entry for each.
    """
    found = []
    for plate in report.plates:
        for analyte in plate.analytes:
            groups: dict[str, list[SampleResult]] = {}
            for result in analyte.samples:
                if result.role != "control":
                    groups.setdefault(result.sample, []).append(result)
            found += [_entry(plate, analyte, results) for results in groups.values()]
    return found


def standards_of(wells: Iterable[Well], *, net: bool = False) -> list[Standard]:
    """Standards and blanks among the wells of one analyte: those with an expected value and a signal.

    Parameters
    ----------
    net : bool
        Take the signal less background, as most vendors' curves do. The curve has a bottom of its own, so that the raw
        signal needs no such subtraction, which would take the blank's noise to every well.
    """
    found = []
    for well in wells:
        signal = well.net_signal if net else well.signal
        expected = 0.0 if well.role == "blank" and well.expected is None else well.expected
        used = well.role in ("standard", "blank") and EXCLUDED not in well.remarks
        if used and signal is not None and expected is not None:
            found.append(Standard(well.sample, f"well {well.location} ({well.place})", expected, signal))
    return found


def _plate(plate: Plate) -> PlateQuality:
    groups: dict[str, list[Well]] = {}
    for well in plate.wells:
        groups.setdefault(well.analyte, []).append(well)
    analytes = tuple(
        _analyte(
            name, plate.units.get(name, ""), plate.lod.get(name), wells,
            plate.attributes.get(f"Analysis Types: AnalysisType {name}", ""),
        )
        for name, wells in groups.items()
    )  # fmt: skip
    return PlateQuality(
        plate.path, hash_bytes(plate.content), plate.plate, plate.assay, plate.instrument, plate.read_at,
        plate.software, _worst(a.grade for a in analytes), analytes, plate.warnings,
    )  # fmt: skip


def _analyte(name: str, unit: str, lod: float | None, wells: Sequence[Well], stated: str) -> AnalyteQuality:
    if all(w.signal is None for w in wells):  # an export of net signals only; a single net one is no raw one
        wells = [replace(w, signal=w.net_signal) for w in wells]
    counted = [w for w in wells if w.count is None or w.count >= BEADS_LEAST]
    standards = standards_of(counted)
    curve, checks = _curve(standards)
    samples = tuple(_sample(group, curve) for group in _replicates(wells))
    vendor = reanalyse(counted, curve, stated) if standards else None
    checks += [
        *_beads(wells), *_controls(samples, curve), *_range(samples, lod), *_replicate_check(samples),
        *([] if vendor is None else [Check("vendor", vendor.worst, "1 %", vendor.grade, vendor.message)]),
    ]  # fmt: skip
    grade = _worst(c.grade for c in checks)
    spread = [c for c in checks if c.name in ("curve", "recovery", "controls") and c.grade != "pass"]
    marked = tuple(_marked(s, spread) for s in samples)
    reasons = tuple(c.message for c in checks if c.grade != "pass")
    return AnalyteQuality(name, unit, lod, grade, reasons, tuple(checks), curve, tuple(standards), marked, vendor)


def _curve(standards: Sequence[Standard]) -> tuple[Curve | None, list[Check]]:
    if not any(s.expected > 0 for s in standards):
        message = "no standard with an expected concentration and a signal; no concentration can be computed"
        return None, [Check("curve", None, "", "fail", message)]
    try:
        curve = fit_curve(standards)
    except PanelError as error:
        return None, [Check("curve", None, "", "fail", f"no curve: {error}")]
    grade: Grade = "pass" if curve.r2 >= R2 and not curve.notes else "doubtful"
    words = "; ".join([f"{curve.model}, R2 {curve.r2:.4f}", *curve.notes])
    checks = [Check("curve", curve.r2, f"at least {R2:g}", grade, words)]
    checks += [Check("standards", s.expected / s.would_be, "the series", "doubtful", s.message) for s in curve.left_out]
    good = [lv for lv in curve.levels if lv.accepted] if curve.lloq is not None else []
    share = len(good) / len(curve.levels)
    limit = f"{_percent(SHARE)} of the levels, and {LEVELS} of them"
    bad = [_shortfall(lv) for lv in curve.levels if lv not in good]
    message = f"{len(good)} of {len(curve.levels)} levels of the standard are given back within limits"
    message += f" (not {', '.join(bad)})" if bad else ""
    grade = "fail" if share < SHARE else "doubtful" if len(good) < LEVELS else "pass"
    if grade == "doubtful":
        message += f"; ICH M10 asks for {LEVELS}"
    return curve, [*checks, Check("recovery", share, limit, grade, message)]


def _shortfall(level: Level) -> str:
    if level.recovery is None:
        return f"{level.label} beyond the curve"
    if not RECOVERY[0] <= level.recovery <= RECOVERY[1]:
        return f"{level.label} {_percent(level.recovery)}"
    cv, error = level.cv or 0.0, level.log_sd
    return f"{level.label} CV {_percent(cv)}" if cv > CV else f"{level.label} standard error {_percent(error)}"


def _replicates(wells: Sequence[Well]) -> list[list[Well]]:
    groups: dict[tuple[str, str, float], list[Well]] = {}
    for well in wells:
        if well.role in ("sample", "unknown", "control"):
            groups.setdefault((well.role, well.sample, well.dilution), []).append(well)
    return list(groups.values())


def _sample(wells: Sequence[Well], curve: Curve | None) -> SampleResult:
    """Read one sample at one dilution; wells without beads enough are left out while there are others."""
    remarks = [r for w in wells for r in w.remarks]
    usable = [w for w in wells if w.signal is not None and EXCLUDED not in w.remarks]
    full = [w for w in usable if w.count is None or w.count >= BEADS_LEAST]
    used = full or usable or list(wells)
    quality: Quality = ""
    if full and len(full) < len(usable):
        few = [w for w in usable if w not in full]
        remarks.append("; ".join(f"well {w.location} left out: {w.count} beads, fewer than {BEADS_LEAST}" for w in few))
    counts = [w.count for w in used if w.count is not None]
    fewest = min(counts, default=None)
    if fewest is not None and fewest < BEADS:
        remarks.append(f"{fewest} beads, fewer than {BEADS_LEAST if fewest < BEADS_LEAST else BEADS}")
        quality = "failed" if fewest < BEADS_LEAST else "doubtful"
    signals = [s for s in (w.signal for w in used) if s is not None]
    first = wells[0]
    value = censored = log_sd = unclipped = None
    if not signals:
        quality = "failed"
        remarks.append("no signal")
    elif curve is None:
        quality = "failed"
    else:
        found = curve.concentration(signals, dilution=first.dilution)
        value, censored, log_sd, unclipped = found.value, found.censored, found.log_sd, found.unclipped
        if value is None:
            quality = "failed"
            remarks.append("the curve has no range of quantification")
    cv, limit = _cv(signals, curve)
    if cv is not None and cv > limit:
        quality = "failed" if cv > CV_FAILED * limit or quality == "failed" else "doubtful"
        remarks.append(f"replicates differ: CV {_percent(cv)}, limit {_percent(limit)}")
    return SampleResult(
        sample=first.sample,
        role=first.role,
        places=tuple(f"well {w.location} ({w.place})" for w in wells),
        dilution=first.dilution,
        signal=fmean(signals) if signals else None,
        value=value,
        censored=censored or "",
        log_sd=log_sd,
        unclipped=unclipped,
        cv=cv,
        n=len(signals),
        count=fewest,
        expected=first.expected,
        reported=tuple(w.reported for w in wells),
        quality=quality,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _cv(signals: Sequence[float], curve: Curve | None) -> tuple[float | None, float]:
    """CV of the replicates' concentrations, or of their signals off the curve; and its limit."""
    if len(signals) < 2:
        return None, CV
    found = [curve.invert(s) for s in signals] if curve is not None else [None]
    inside = [f for f in found if f is not None]
    values = inside if len(inside) == len(signals) else list(signals)
    middle = fmean(values)
    at_end = curve is not None and curve.lloq is not None and len(inside) == len(signals) and middle < 1.25 * curve.lloq
    below = curve is not None and curve.lloq is not None and len(inside) == len(signals) and middle < curve.lloq
    if below:  # no concentration is claimed there, so the signals count
        values, middle = list(signals), fmean(signals)
    return (stdev(values) / abs(middle) if middle else None), CV_END if at_end else CV


def _marked(sample: SampleResult, checks: Sequence[Check]) -> SampleResult:
    """What is wrong with the curve or the controls is wrong with every sample that was read by them."""
    if not checks:
        return sample
    failed = any(c.grade == "fail" for c in checks) or sample.quality == "failed"
    reasons = [c.message for c in checks if c.grade == "fail" or not failed]
    return replace(
        sample, quality="failed" if failed else "doubtful", remarks=tuple(dict.fromkeys([*sample.remarks, *reasons]))
    )


def _beads(wells: Sequence[Well]) -> list[Check]:
    counted = [w for w in wells if w.count is not None]
    if not counted:
        return []
    fewest = min(counted, key=lambda w: w.count or 0)
    low = [w for w in counted if (w.count or 0) < BEADS]
    lowest = [w for w in low if (w.count or 0) < BEADS_LEAST]
    # single wells mark their samples; an analyte is doubtful by its beads where every tenth well is
    grade: Grade = "doubtful" if len(low) > 0.1 * len(counted) else "pass"
    message = f"fewest beads {fewest.count} in well {fewest.location}"
    if low:
        message += f"; {len(low)} of {len(counted)} wells below {BEADS}, {len(lowest)} below {BEADS_LEAST}"
    return [Check("beads", float(fewest.count or 0), f"{BEADS}; {BEADS_LEAST} at least", grade, message)]


def _controls(samples: Sequence[SampleResult], curve: Curve | None) -> list[Check]:
    controls = [s for s in samples if s.role == "control" and s.expected]
    if not controls or curve is None:
        return []
    found = {s.sample: s.unclipped / s.expected for s in controls if s.unclipped is not None and s.expected}
    good = [name for name, recovery in found.items() if RECOVERY[0] <= recovery <= RECOVERY[1]]
    words = ", ".join(
        f"{s.sample} {f'{_percent(found[s.sample])}' if s.sample in found else 'beyond the curve'}" for s in controls
    )
    share = len(good) / len(controls)
    grade: Grade = "fail" if share < CONTROLS else "doubtful" if share < 1 else "pass"
    return [Check("controls", share, "two thirds within 80 to 120 %", grade, f"recovery of controls: {words}")]


def _range(samples: Sequence[SampleResult], lod: float | None) -> list[Check]:
    read = [s for s in samples if s.role != "control" and s.value is not None]
    if not read:
        return []
    low, high = sum(s.censored == "left" for s in read), sum(s.censored == "right" for s in read)
    share = low / len(read)
    message = f"{low} of {len(read)} samples below the LLOQ, {high} above the ULOQ"
    if lod is not None:
        under = sum(s.unclipped is None if s.censored == "left" else False for s in read) + sum(
            s.unclipped is not None and s.unclipped < lod * s.dilution for s in read
        )
        message += f", {under} below the LOD of {lod:g}"
    grade: Grade = "doubtful" if share > BELOW else "pass"
    return [Check("range", share, f"at most {_percent(BELOW)} below the LLOQ", grade, message)]


def _replicate_check(samples: Sequence[SampleResult]) -> list[Check]:
    several = [s for s in samples if s.cv is not None]
    if not several:
        return []
    bad = [s for s in several if any(r.startswith("replicates differ") for r in s.remarks)]
    middle = median(s.cv for s in several if s.cv is not None)
    message = f"median CV of replicates {_percent(middle)}, {len(bad)} of {len(several)} above the limit"
    grade: Grade = "doubtful" if len(bad) > 0.1 * len(several) else "pass"
    return [Check("replicates", middle, f"{_percent(CV)}, {_percent(CV_END)} at the LLOQ", grade, message)]


def _bridges(plates: Sequence[PlateQuality]) -> Iterable[Bridge]:
    """Compare each pair of plates by samples of the same name, except names that the software numbers by itself."""
    for a, b in combinations(plates, 2):
        for x in a.analytes:
            y = next((other for other in b.analytes if other.analyte == x.analyte), None)
            if y is None:
                continue
            first, second = _readable(x), _readable(y)
            pairs = {key: (first[key], second[key]) for key in first if key in second}
            if pairs:
                yield _bridge(x.analyte, a.plate, b.plate, pairs)


def _readable(analyte: AnalyteQuality) -> Mapping[tuple[str, float], SampleResult]:
    return {
        (s.sample, s.dilution): s
        for s in analyte.samples
        if not s.censored and s.value and s.log_sd is not None and s.quality != "failed"
        and not NUMBERED.fullmatch(s.sample.strip())
    }  # fmt: skip


def _bridge(
    analyte: str, first: str, second: str, pairs: Mapping[tuple[str, float], tuple[SampleResult, SampleResult]]
) -> Bridge:
    from scipy.stats import t

    ratios = [math.log((q.value or 1.0) / (p.value or 1.0)) for p, q in pairs.values()]
    mean, n = fmean(ratios), len(ratios)
    if n > 1:
        half = float(t.ppf(0.975, n - 1)) * stdev(ratios) / math.sqrt(n)
    else:
        p, q = next(iter(pairs.values()))
        half = 1.959964 * math.hypot(p.log_sd or 0.0, q.log_sd or 0.0)
    grade: Grade = "doubtful" if abs(mean) > DRIFT and abs(mean) > half else "pass"
    names = tuple(dict.fromkeys(name for name, _ in pairs))
    message = (
        f"{analyte}: plate {second} reads {math.exp(mean):.2f} times plate {first} "
        f"({math.exp(mean - half):.2f} to {math.exp(mean + half):.2f}) by {', '.join(names)}"
    )
    return Bridge(analyte, first, second, names, mean, mean - half, mean + half, grade, message)


def _entry(plate: PlateQuality, analyte: AnalyteQuality, results: Sequence[SampleResult]) -> Entry:
    levels = [s.expected for s in analyte.standards if s.expected > 0]
    outcomes = [
        Outcome(
            {"": "", "left": "<", "right": ">"}[s.censored], s.value, s.dilution, s.log_sd, s.quality, s.remarks,
            precision(s.value, s.dilution, levels),
        )
        for s in results
    ]  # fmt: skip
    found = of_dilutions(outcomes, analyte.unit)
    best = next(s for s in results if s.dilution == found.dilution)
    uncertain = best.log_sd is not None and not best.censored
    return Entry(
        place=", ".join(best.places),
        patient=best.sample,
        analyte=analyte.analyte,
        value=_text(best),
        unit=analyte.unit,
        method=plate.assay,
        lod="" if analyte.lod is None else f"{analyte.lod * best.dilution:.6g}",
        lloq="" if analyte.curve is None or analyte.curve.lloq is None else f"{analyte.curve.lloq * best.dilution:.6g}",
        cv=f"{math.sqrt(math.expm1((best.log_sd or 0.0) ** 2)):.4g}" if uncertain else "",
        quality=found.quality,
        remarks=found.remarks,
    )


def _text(result: SampleResult) -> str:
    """``12.3``, ``<LLOQ``, ``>ULOQ``; empty where there is no number at all."""
    if result.value is None:
        return "" if result.unclipped is None else f"{result.unclipped:.6g}"
    return {"": "", "left": "<", "right": ">"}[result.censored] + f"{result.value:.6g}"


def _percent(share: float) -> str:
    """``102 %``; a decimal where it is small."""
    return f"{100 * share:.1f} %" if abs(share) < 0.1 else f"{100 * share:.0f} %"


def _worst(grades: Iterable[Grade]) -> Grade:
    order: tuple[Grade, ...] = ("pass", "doubtful", "fail")
    return max(grades, key=order.index, default="pass")
