"""Pool effects of a table of one's own: a row for each study, its effect and its error."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite, log
from pathlib import Path

from crosstalk.errors import EvidenceError, UsageError
from crosstalk.evidence.pooling import by_drug
from crosstalk.evidence.records import Member, Pool
from crosstalk.limits import shown
from crosstalk.panel.sheets import Sheet, read_sheet
from crosstalk.provenance import hash_bytes, package_version
from crosstalk.statistics.estimates import Z95
from crosstalk.statistics.meta_analysis import HartungKnapp, random_effects

__all__ = ["pool_table"]

COLUMNS = ("study", "effect", "se", "low", "high", "drug")


def pool_table(
    path: str | Path, *, ratios: bool = False, mix: bool = False, test: HartungKnapp = "hartung-knapp"
) -> Pool:
    """Pool the effects of a table.

    Parameters
    ----------
    path : str or Path
        CSV, Excel or Dataset-JSON with the columns ``study``, ``effect`` and ``se``, or ``low`` and ``high`` (a 95 %
        interval); ``drug`` where there are several.
    ratios : bool
        Effects are ratios: their logarithms are pooled, and an ``se`` is that of the logarithm.
    mix : bool
        Pool several drugs together, those of each drug first.
    test : str
        As for `random_effects`.

    Raises
    ------
    PanelError, EvidenceError
        With file, line, study and column of what cannot be read; several drugs without ``mix``.
    """
    file = Path(path)
    sheet = read_sheet(file)
    lowered = Sheet(sheet.name, tuple(c.strip().lower() for c in sheet.columns), sheet.rows, sheet.places, sheet.comma)
    lowered.column("study"), lowered.column("effect")
    if "se" not in lowered.columns and not {"low", "high"} <= set(lowered.columns):
        raise EvidenceError(f"{file}: has neither a column 'se' nor 'low' and 'high'; add the error of each effect")
    studies, values, errors, drugs = [], [], [], []
    for row, place in zip(lowered.rows, lowered.places, strict=True):
        study = row[lowered.column("study")]
        where = f"{file}, {place}, {shown(study) or 'no study'}"
        if not study:
            raise EvidenceError(f"{where}: names no study; fill it in")
        studies.append(study)
        value, error = _effect(lowered, row, where, ratios=ratios)
        values.append(value)
        errors.append(error)
        drugs.append(row[lowered.column("drug")] if "drug" in lowered.columns else "")
    doubled = next((s for k, s in enumerate(studies) if s in studies[:k]), None)
    notes = [] if doubled is None else [f"'{doubled}' has several rows, which count as independent groups of patients"]
    if len(values) < 2:
        raise EvidenceError(f"{file}: has {len(values)} effects; expected two or more to pool")
    groups = by_drug(drugs, values, errors, back=exp if ratios else _same, mix=mix, test=test)
    fit = random_effects(values, errors, test=test)
    back = exp if ratios else _same
    members = tuple(
        Member(
            f"{study}, {drug}" if drug else study, study, "", "own table", "seen", "", back(value),
            back(value - Z95 * error), back(value + Z95 * error), 100 * weight,
        )
        for study, drug, value, error, weight in zip(studies, drugs, values, errors, fit.weights, strict=True)
    )  # fmt: skip
    return Pool(
        title=f"Effects of {file.name}", endpoint="effect", of=(file.stem,), contrast="drug", unit="dimensionless",
        scale="logarithm" if ratios else "identity", null=back(0.0), favours=0, k=len(members),
        estimate=back(fit.estimate), low=back(fit.low), high=back(fit.high), prediction_low=back(fit.prediction_low),
        prediction_high=back(fit.prediction_high), se=fit.se, tau2=fit.tau2, tau2_low=fit.tau2_low,
        tau2_high=fit.tau2_high, i2=fit.i2, q=fit.q, q_p=fit.q_p, members=members, left_out=(),
        notes=(*notes, *([fit.note] if fit.note else [])), crosstalk=package_version(), pymare=fit.pymare,
        knowledge_sha256=hash_bytes(file.read_bytes()), subgroups=groups,
    )  # fmt: skip


def _same(value: float) -> float:
    return value


def _effect(sheet: Sheet, row: Sequence[str], where: str, *, ratios: bool) -> tuple[float, float]:
    """Effect and standard error on the scale that is pooled."""
    value = _number(sheet, row, "effect", where)
    if value is None:
        raise EvidenceError(f"{where}: has no effect; fill it in or drop the row")
    if ratios and value <= 0:
        raise EvidenceError(f"{where}: the ratio is {value:g}; expected a positive one, or drop --ratios")
    pooled = log(value) if ratios else value
    error = _number(sheet, row, "se", where)
    low, high = _number(sheet, row, "low", where), _number(sheet, row, "high", where)
    if error is None and low is not None and high is not None:
        if not low < value < high or (ratios and low <= 0):
            raise EvidenceError(
                f"{where}: the effect {value:g} lies outside of its interval {low:g} to {high:g}; correct it"
            )
        error = ((log(high) - log(low)) if ratios else high - low) / (2 * Z95)
    if error is None or not error > 0:
        raise EvidenceError(f"{where}: has no positive se, nor low and high; fill one in or drop the row")
    return pooled, error


def _number(sheet: Sheet, row: Sequence[str], column: str, where: str) -> float | None:
    if column not in sheet.columns:
        return None
    text = row[sheet.column(column)]
    if text in ("", "NA", "."):
        return None
    try:
        value = float(text.replace(",", ".") if sheet.comma else text)
    except ValueError:
        raise EvidenceError(f"{where}: '{column}' is '{shown(text)}', no number; correct it") from None
    if not isfinite(value):
        raise UsageError(f"{where}: '{column}' is '{shown(text)}'; expected a finite number")
    return value
