"""A cohort from a file: one row per patient, the outcome, who belongs together, clinical columns and the panel.

Columns that options name are read here; the rest are read as a panel by `crosstalk.panel.reader.read_panel`, with its
names, units, limits of detection and messages. A column that is neither is left out with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from crosstalk.errors import LearnError, PanelError, UsageError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.panel.layout import LONG, PATIENT
from crosstalk.panel.reader import read_panel
from crosstalk.panel.records import PanelFile
from crosstalk.provenance import hash_file, temporary_folder
from crosstalk.spreadsheets import frame_csv, unescape

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BELOW", "Cohort", "CohortColumns", "header_of", "read_cohort", "read_frame", "read_patients"]

Array = NDArray[np.float64]
Kind = Literal["event", "score"]
BELOW = " below"  # suffix of the column that marks values below the limit of detection
MISSING = {"", "na", "nan", "n/a", "null", "none", ".", "missing", "unknown"}
YES, NO = {"1", "1.0", "yes", "true", "y"}, {"0", "0.0", "no", "false", "n"}
SCORE_VALUES = 10  # a score takes more values than this (assumed); fewer are categories, which are not modelled


@dataclass(frozen=True)
class CohortColumns:
    """Which columns of the file mean what; all but the outcome are optional.

    Attributes
    ----------
    outcome : str, optional
        None to read patients without one.
    positive : str, optional
        Value that is the event.
    site, group : str, optional
        Where treated; who belongs together (family).
    treatment, treated : str, optional
        Randomised treatment and the value that is the active arm.
    covariates : tuple of str
        Clinical columns besides age, sex, BMI and scores, which the panel's reader knows.
    week2, baseline : str, optional
        Score in week 2 and at baseline, for the rule of early improvement.
    """

    outcome: str | None
    positive: str | None = None
    site: str | None = None
    group: str | None = None
    treatment: str | None = None
    treated: str | None = None
    covariates: tuple[str, ...] = ()
    week2: str | None = None
    baseline: str | None = None

    def named(self) -> dict[str, str]:
        """Each named column and the option that names it.

        Raises
        ------
        UsageError
            If two options name the same column.
        """
        single = {"outcome": self.outcome, "site": self.site, "group": self.group, "treatment": self.treatment,
                  "week2": self.week2, "baseline": self.baseline}  # fmt: skip
        found: dict[str, str] = {}
        for option, column in [*single.items(), *(("covariates", c) for c in self.covariates)]:
            if column is None:
                continue
            if column in found and {option, found[column]} != {"covariates", "baseline"}:
                words = "the outcome is no predictor" if "outcome" in (option, found[column]) else "give each its own"
                raise UsageError(f"column '{column}' is named by --{found[column]} and by --{option}; {words}")
            found.setdefault(column, option)
        return found


@dataclass(frozen=True)
class Cohort:
    """Patients with predictors, and an outcome if the file has one.

    Attributes
    ----------
    path, sha256 : str
    patients : tuple of str
    table : pandas.DataFrame, shape (n, k)
        A column per analyte in its own unit (below the limit of detection: the limit over the square root of 2, and a
        column ``NAME below`` of 0 and 1), per covariate, NaN where missing; categories are texts.
    y : array, shape (n,)
        0 and 1, or a score; empty without outcome.
    kind : {"event", "score"}
    outcome, positive : str
    clinical, categories, analytes : tuple of str
        Columns of `table`: clinical numbers, clinical texts, laboratory values.
    units : mapping of str to str
        Unit of each number, empty where the file's own is kept.
    site, group : tuple of str or None
    treatment : array of 0 and 1, or None
    improved : array of 0 and 1, or None
        Whether the score fell by a fifth or more until week 2.
    panels : PanelFile or None
        The panels as read, in the order of the patients.
    warnings : tuple of str
    treated : (column, value)
        Of the active arm.
    """

    path: str
    sha256: str
    patients: tuple[str, ...]
    table: pd.DataFrame
    y: Array
    kind: Kind
    outcome: str
    positive: str
    clinical: tuple[str, ...]
    categories: tuple[str, ...]
    analytes: tuple[str, ...]
    units: Mapping[str, str]
    site: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    treatment: Array | None = None
    improved: Array | None = None
    panels: PanelFile | None = None
    warnings: tuple[str, ...] = ()
    treated: tuple[str, str] = ("", "")

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def events(self) -> int | None:
        """People with the event; None for a score."""
        return int(self.y.sum()) if self.kind == "event" else None


EARLY = 0.2  # fall of the score by week 2 that counts as improved: Szegedi et al. 2009, doi 10.4088/JCP.07m03780


def read_cohort(path: str | Path, columns: CohortColumns, *, knowledge: Knowledge | None = None) -> Cohort:
    """Read a cohort.

    Parameters
    ----------
    path : str or Path
        CSV (or separated by semicolons or tabulators), a header, one row per patient.
    columns : CohortColumns
    knowledge : Knowledge, optional

    Raises
    ------
    UsageError
        If a named column is absent or named twice.
    LearnError
        If a patient stands twice, the outcome has one value or more than two and is no score, a predictor is the
        outcome under another name, or a cell cannot be read; with the place and what to do.
    PanelError
        From the reader of panels, with the line.
    """
    file, known = Path(path), knowledge or load_knowledge()
    frame, separator = read_frame(file)
    named = columns.named()
    for column, option in named.items():
        if column not in frame:
            near = ", ".join(map(str, frame.columns[:12]))
            raise UsageError(f"{file}: no column '{column}' (--{option}); its columns are {near}")
    who = _patient_column(file, frame)
    told: list[str] = []
    y, kind, positive, keep = _outcome(file, frame, columns, separator, told)
    frame = frame.loc[keep].reset_index(names="row")
    line = (frame["row"] + 2).to_numpy()
    analytes, headers = _analyte_columns(frame, who, {*named, "row"}, known, told, file)
    panels = _panels(file, frame, who, headers, separator, known, line) if headers else None
    table, laboratory, clinical, units = _panel_table(panels, analytes, known, told)
    categories: list[str] = []
    numbers = [
        *columns.covariates,
        *([columns.baseline] if columns.baseline not in (None, *columns.covariates) else []),
    ]
    for name in numbers:
        assert name is not None
        if name in table:
            raise UsageError(f"{file}: covariate '{name}' has the name of an analyte of the file; rename it")
        values, is_number, below = _covariate(file, name, frame[name], separator, line)
        table[name] = values
        (clinical if is_number else categories).append(name)
        if below is not None:
            table[f"{name}{BELOW}"] = below
            clinical.append(f"{name}{BELOW}")
            told.append(
                f"{file}: {int(below.sum())} values of '{name}' lie below a limit and count as the limit over the "
                f"square root of 2, beside a column '{name}{BELOW}' of 0 and 1"
            )
    arm, treated = None, ("", "")
    if columns.treatment is not None:
        arm, value = _two(file, frame[columns.treatment], columns.treatment, columns.treated, line, "--treated")
        treated = (columns.treatment, value)
        table[columns.treatment] = arm
        clinical.append(columns.treatment)
    empty = [c for c in map(str, table) if table[c].isna().all()]
    if empty:
        told.append(f"{file}: {', '.join(empty)}: no value in any patient used; left out")
    table = table.drop(columns=empty)
    _refuse_copies(file, table, categories, y[keep] if columns.outcome else np.array([]))
    return Cohort(
        str(file), hash_file(file), tuple(frame[who]), table, y[keep] if columns.outcome else np.array([]), kind,
        columns.outcome or "", positive, _kept(table, clinical), _kept(table, categories), _kept(table, laboratory),
        {k: v for k, v in units.items() if k in table},
        _labels(file, frame, columns.site, line), _labels(file, frame, columns.group, line), arm,
        _improved(file, frame, columns, separator), panels, (*(panels.warnings if panels else ()), *told),
        treated,
    )  # fmt: skip


def header_of(path: str | Path) -> tuple[str, ...]:
    """Columns of a table with a row per patient; none for other formats."""
    file = Path(path)
    return tuple(read_frame(file)[0].columns) if file.suffix.lower() in (".csv", ".tsv", ".txt") else ()


def read_patients(path: str | Path, columns: CohortColumns, *, knowledge: Knowledge | None = None) -> Cohort:
    """Read patients of any format that `read_panel` knows; a table with a row per patient as `read_cohort` does.

    Other formats hold no columns besides the panel, so no outcome can be named in them.
    """
    file = Path(path)
    if file.suffix.lower() in (".csv", ".tsv", ".txt"):
        header = {c.lower() for c in read_frame(file)[0].columns}
        if not (header & set(LONG["analyte"]) and header & set(LONG["value"])):
            return read_cohort(file, columns, knowledge=knowledge)
    if named := columns.named():
        raise UsageError(
            f"{file}: holds panels, not a row per patient; column '{next(iter(named))}' cannot be read from it"
        )
    known, told = knowledge or load_knowledge(), list[str]()
    panels = read_panel(file, knowledge=known)
    analytes = list(dict.fromkeys(a for p in panels.panels for a in p.measurements))
    table, laboratory, clinical, units = _panel_table(panels, analytes, known, told)
    return Cohort(
        str(file), panels.sha256, tuple(p.patient for p in panels.panels), table, np.array([]), "event", "", "",
        tuple(clinical), (), tuple(laboratory), units, panels=panels, warnings=(*panels.warnings, *told),
    )  # fmt: skip


def _kept(table: pd.DataFrame, names: list[str]) -> tuple[str, ...]:
    return tuple(c for c in names if c in table)


def read_frame(file: Path) -> tuple[pd.DataFrame, str]:
    """Read the cells of a table as texts without blanks, and what separates them.

    Raises
    ------
    UsageError, LearnError
        If the file cannot be read or is no table.
    """
    import pandas as pd

    try:
        with file.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        separator = max(",;\t", key=header.count)
        frame = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror}); check the path and its permissions") from error
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise LearnError(
            f"{file}: is no table of text in UTF-8 ({str(error).strip()}); expected CSV with a header"
        ) from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise LearnError(
            f"{file}: rows have more cells than the header; a decimal comma or an unquoted separator adds cells"
        )
    frame.columns = [" ".join(unescape(str(c)).split()) for c in frame.columns]
    if not len(frame):
        raise LearnError(f"{file}: a header and no row; expected one row per patient")
    return frame.apply(lambda column: column.str.strip().map(unescape)), separator


def _patient_column(file: Path, frame: pd.DataFrame) -> str:
    found = [c for c in map(str, frame) if re.sub(r"[\s_.-]+", "_", c.lower()) in PATIENT]
    if len(found) != 1:
        raise LearnError(
            f"{file}: {len(found)} columns for the patient ({', '.join(found) or 'none'}); expected one named "
            f"{', '.join(PATIENT[:4])}"
        )
    who = found[0]
    blank = frame.index[frame[who] == ""]
    if len(blank):
        raise LearnError(f"{file}, line {blank[0] + 2}: no patient; fill the column '{who}'")
    twice = frame.index[frame[who].duplicated()]
    if len(twice):
        raise LearnError(
            f"{file}, line {twice[0] + 2}: patient {frame[who][twice[0]]} stands twice; expected one row per patient. "
            "Keep the baseline row"
        )
    return who


def _missing(cells: pd.Series[str]) -> pd.Series[bool]:
    return cells.str.lower().isin(MISSING)


def _numbers(cells: pd.Series[str], separator: str) -> pd.Series[float]:
    import pandas as pd

    text = cells if separator == "," else cells.str.replace(",", ".", regex=False)
    return pd.to_numeric(text.mask(_missing(cells)), errors="coerce")


def _outcome(
    file: Path, frame: pd.DataFrame, columns: CohortColumns, separator: str, told: list[str]
) -> tuple[Array, Kind, str, NDArray[np.bool_]]:
    if columns.outcome is None:
        return np.array([]), "event", "", np.ones(len(frame), dtype=bool)
    cells, name = frame[columns.outcome], columns.outcome
    absent = _missing(cells).to_numpy()
    if absent.all():
        raise LearnError(f"{file}: column '{name}' holds no outcome at all")
    if absent.any():
        lines = np.flatnonzero(absent) + 2
        first = ", ".join(map(str, lines[:5])) + (" ..." if len(lines) > 5 else "")
        told.append(
            f"{file}: {len(lines)} of {len(cells)} patients have no outcome (lines {first}) and are left out; if who "
            "drops out differs from who stays, every result is biased"
        )
    known = cells[~absent]
    values = known.unique()
    number = _numbers(known, separator)
    if columns.positive is None and len(values) > SCORE_VALUES and number.notna().all():
        y = np.full(len(cells), np.nan)
        y[~absent] = number
        return y, "score", "", ~absent
    line = np.flatnonzero(~absent) + 2
    coded, positive = _two(file, known, name, columns.positive, line, "--positive")
    y = np.full(len(cells), np.nan)
    y[~absent] = coded
    return y, "event", positive, ~absent


def _two(file: Path, cells: pd.Series[str], name: str, chosen: str | None, line: Any, option: str) -> tuple[Array, str]:
    """Cells of two values as 0 and 1, and the value that is 1."""
    blank = np.flatnonzero(_missing(cells))
    if len(blank):
        raise LearnError(f"{file}, line {line[blank[0]]}: column '{name}' is empty; every patient needs a value")
    values = sorted(cells.unique())
    shown = ", ".join(values[:6]) + (" ..." if len(values) > 6 else "")
    if len(values) < 2:
        raise LearnError(
            f"{file}: column '{name}' holds one value only ({shown}); nothing can be learnt from one class"
        )
    if len(values) > 2:
        raise LearnError(
            f"{file}: column '{name}' holds {len(values)} values ({shown}); expected two, or a score of more than "
            f"{SCORE_VALUES} numbers. Recode it"
        )
    if chosen is None:
        yes = [v for v in values if v.lower() in YES]
        no = [v for v in values if v.lower() in NO]
        if len(yes) != 1 or len(no) != 1:
            raise UsageError(f"{file}: column '{name}' holds {shown}; say which one is meant with {option}")
        chosen = yes[0]
    if chosen not in values:
        raise UsageError(f"{file}: {option} {chosen}: column '{name}' holds {shown}")
    return np.asarray(cells == chosen, dtype=float), chosen


def _analyte_columns(
    frame: pd.DataFrame, who: str, taken: set[str], known: Knowledge, told: list[str], file: Path
) -> tuple[list[str], list[str]]:
    """Analytes and their headers; the rest is told."""
    analytes, headers, rest = [], [], []
    for column in map(str, frame):
        if column == who or column in taken:
            continue
        found = known.find_analyte(re.split(r"[\[(]", column, maxsplit=1)[0].rstrip())
        if found is None:
            rest.append(column)
        else:
            analytes.append(found.id)
            headers.append(column)
    if rest:
        told.append(
            f"{file}: columns not used, being no analyte and named by no option: {', '.join(rest)}; clinical ones are "
            "named with --covariates"
        )
    return analytes, headers


def _panels(
    file: Path, frame: pd.DataFrame, who: str, headers: list[str], separator: str, known: Knowledge, line: Any
) -> PanelFile:
    """The analytes of the cohort through the reader of panels; blank lines keep the numbers of lines."""
    with temporary_folder() as folder:
        part = folder / file.with_suffix(".csv").name
        blocks = frame_csv(frame[[who, *headers]], separator=separator).splitlines()
        rows, at = [blocks[0]], 2
        for number, text in zip(line, blocks[1:], strict=True):
            rows += [""] * (int(number) - at)
            rows.append(text)
            at = int(number) + 1
        part.write_text("\n".join(rows) + "\n", encoding="utf-8")
        try:
            found = read_panel(part, knowledge=known)
        except PanelError as error:
            raise PanelError(str(error).replace(str(part), str(file))) from None
        warnings = tuple(w.replace(str(part), str(file)) for w in found.warnings)
    return PanelFile(str(file), found.sha256, found.panels, warnings, found.format)


def _panel_table(
    panels: PanelFile | None, analytes: list[str], known: Knowledge, told: list[str]
) -> tuple[pd.DataFrame, list[str], list[str], dict[str, str]]:
    import pandas as pd

    if panels is None:
        return pd.DataFrame(), [], [], {}
    names = [*dict.fromkeys(analytes)]
    if {"weight", "height"} <= {*names} and "BMI" not in names:
        names.append("BMI")
    table = pd.DataFrame(np.nan, index=range(len(panels.panels)), columns=names)
    failed = 0
    for i, panel in enumerate(panels.panels):
        for name in names:
            m = panel.measurements.get(name)
            if m is None:
                continue
            if m.quality == "failed":
                failed += 1
                continue
            value = m.value
            if m.censored == "left":
                # a made-up number that keeps the order; the flag lets a step do better
                value /= np.sqrt(2)
                if name + BELOW not in table:
                    table[name + BELOW] = 0.0
                table.loc[i, name + BELOW] = 1.0
            elif m.censored == "interval" and m.upper is not None:
                value = np.sqrt(max(m.value, 1e-12) * m.upper)
            table.loc[i, name] = value
    below = {c.removesuffix(BELOW): int(table[c].sum()) for c in map(str, table) if c.endswith(BELOW)}
    if below:
        listed = ", ".join(f"{name} {n}" for name, n in below.items())
        told.append(
            f"{panels.path}: below the limit of detection, taken as the limit over the square root of 2: {listed}"
        )
    if failed:
        told.append(f"{panels.path}: {failed} values failed in quality control; treated as missing")
    kinds = {name: known.analyte(name).kind for name in names}
    laboratory = [name for name in names if kinds[name] == "laboratory"]
    clinical = [name for name in names if kinds[name] != "laboratory"]
    return table, laboratory, clinical, {name: known.analyte(name).unit for name in names}


def _covariate(
    file: Path, name: str, cells: pd.Series[str], separator: str, line: NDArray[np.int64]
) -> tuple[Any, bool, Array | None]:
    """Values of a covariate, whether they are numbers, and which lie below a limit (``None`` if none does)."""
    missing = _missing(cells)
    number = _numbers(cells, separator)
    if number.notna().eq(~missing).all():
        return number.to_numpy(dtype=float), True, None
    bound = cells.str.extract(r"^\s*(<=?|≤)\s*(.*)$")
    limit = _numbers(bound[1].fillna(""), separator)
    below = limit.notna() & (limit > 0)
    known = number.where(~below, limit / 2**0.5)
    unread = ~missing & known.isna()
    if not below.any() and 2 * int(number.notna().sum()) < int((~missing).sum()):
        return cells.mask(missing, "missing").to_numpy(dtype=object), False, None
    if unread.any():
        first = int(np.flatnonzero(unread)[0])
        raise LearnError(
            f"{file}, line {line[first]}: '{cells.iloc[first]}' in the column of numbers '{name}'; write a number, a "
            "value below the limit as '<2.5', or nothing where it is missing"
        )
    return known.to_numpy(dtype=float), True, np.asarray(below, dtype=np.float64)


def _labels(file: Path, frame: pd.DataFrame, column: str | None, line: Any) -> tuple[str, ...] | None:
    if column is None:
        return None
    blank = np.flatnonzero(_missing(frame[column]))
    if len(blank):
        raise LearnError(f"{file}, line {line[blank[0]]}: column '{column}' is empty; every patient needs one")
    return tuple(frame[column])


def _improved(file: Path, frame: pd.DataFrame, columns: CohortColumns, separator: str) -> Array | None:
    if columns.week2 is None:
        return None
    if columns.baseline is None:
        raise UsageError("--week2 needs --baseline COLUMN: the same scale before treatment")
    early, before = _numbers(frame[columns.week2], separator), _numbers(frame[columns.baseline], separator)
    if (before <= 0).any():
        raise LearnError(
            f"{file}: column '{columns.baseline}' holds a score of 0 or less; improvement is a share of it"
        )
    fall = (1 - early / before >= EARLY).astype(float)
    return np.where(early.notna() & before.notna(), fall, np.nan)


def _refuse_copies(file: Path, table: pd.DataFrame, categories: list[str], y: Array) -> None:
    """A predictor that is the outcome under another name makes every result a lie."""
    if not len(y):
        return
    for name in table:
        known = table[name].notna().to_numpy()
        column, truth = table[name][known], y[known]
        if len(column) < 10 or column.nunique() < 2 or len(np.unique(truth)) < 2:
            continue
        texts = name in categories
        codes = column.astype("category").cat.codes if texts else column
        two = column.nunique() == 2
        if (texts and not two) or (len(np.unique(y)) == 2 and not two):
            continue  # a number of more values, or a text of more levels, is no copy of two outcomes
        if abs(np.corrcoef(codes.to_numpy(dtype=float), truth)[0, 1]) > 1 - 1e-9:
            raise LearnError(f"{file}: predictor '{name}' is the outcome under another name; leave the column out")
