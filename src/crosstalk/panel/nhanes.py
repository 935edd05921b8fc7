"""NHANES folders: the transport files (XPT) of one cycle, to cells of a panel or to one table for analysis.

The National Health and Nutrition Examination Survey publishes each component of each cycle as one SAS transport file:
``HSCRP_J.XPT`` is CRP of 2017-2018, ``P_HSCRP.XPT`` that of 2017 to March 2020. Traps that are dealt with here:

- A zero of SAS reads as 5.4e-79.
- CRP is in mg/dL until 2010 and in mg/L from 2015; insulin comes in uU/mL and in pmol/L.
- A value below the limit of detection is the limit over the square root of 2, with a comment code where there is one.
- Items of the PHQ-9 hold 7 for refused and 9 for don't know.
- A weight of the fasting sample of 0 means that the person had not fasted for 8 to 24 hours.

Limits, units and codes are those of the codebooks (wwwn.cdc.gov/nchs/nhanes), file by file.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crosstalk.errors import PanelError
from crosstalk.panel.entries import Entry, Reading

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read", "tidy"]

ADULT = 18  # years: the model and its reference ranges are of adults
SAS_ZERO = 1e-70  # anything nearer to 0 is the zero of SAS
COUNT = "automated cell count"
PHQ9 = tuple(f"DPQ0{i}0" for i in range(1, 10))
DIFFICULTY = "DPQ100"
REFUSED = (7, 9, 77, 99)
SMOKED, SMOKES = "SMQ020", "SMQ040"
DESIGN = ("SDMVSTRA", "SDMVPSU", "WTINT2YR", "WTMEC2YR", "WTINTPRP", "WTMECPRP", "WTSAF2YR", "WTSAFPRP", "WTPH2YR")
FASTED = ("WTSAF2YR", "WTSAFPRP")

# suffix of the file names: years, their number, code of the release (SDDSRVYR)
CYCLES = {
    "D": ("2005-2006", 2.0, 4),
    "E": ("2007-2008", 2.0, 5),
    "F": ("2009-2010", 2.0, 6),
    "G": ("2011-2012", 2.0, 7),
    "H": ("2013-2014", 2.0, 8),
    "I": ("2015-2016", 2.0, 9),
    "J": ("2017-2018", 2.0, 10),
    "P": ("2017-2020", 3.2, 66),
    "L": ("2021-2023", 2.0, 12),
}
_NAME = re.compile(r"(?:(?P<pre>P)_)?(?P<part>[A-Z0-9]+(?:_[A-Z0-9]{2,})*?)(?:_(?P<cycle>[A-Z]))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A variable of NHANES: its unit, the factor to the unit of the table, its comment code, its limits by cycle."""

    name: str
    unit: str = ""
    factor: float = 1.0
    code: str = ""
    limits: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: the variables that may hold it, best first, and the analyte that it is in a panel."""

    name: str
    sources: tuple[Source, ...]
    analyte: str = ""
    specimen: str = ""
    method: str = ""
    fasting: bool = False


def _plain(name: str, variable: str, unit: str = "", analyte: str = "", specimen: str = "", method: str = "") -> Column:
    return Column(name, (Source(variable, unit),), analyte, specimen, method)


HDL_METHOD, HBA1C_METHOD = "direct immunoassay", "high-performance liquid chromatography"
CRP = (
    Source("LBXHSCRP", "mg/L", 1.0, "LBDHRPLC", {"I": 0.11, "J": 0.15, "P": 0.15}),
    Source("LBXCRP", "mg/dL", 10.0, "", {"D": 0.02, "E": 0.02, "F": 0.02}),
)
INSULIN = (
    Source("LBXIN", "uIU/mL", 1.0, "LBDINLC", {"H": 1.0, "I": 1.0, "J": 1.0, "P": 1.0}),
    Source("LBDINSI", "pmol/L", 1 / 6),
    Source("LBXINSI", "pmol/L", 1 / 6),
)
COLUMNS = (
    _plain("age", "RIDAGEYR", "year", "age"),
    _plain("sex", "RIAGENDR", "", "sex"),
    _plain("bmi", "BMXBMI", "kg/m2", "BMI", "body", "measured"),
    _plain("waist_cm", "BMXWAIST", "cm", "waist", "body", "measured"),
    _plain("weight_kg", "BMXWT", "kg", "weight", "body", "measured"),
    _plain("height_cm", "BMXHT", "cm", "height", "body", "measured"),
    Column("crp_mgL", CRP, "hsCRP", "serum", "high-sensitivity immunoassay"),
    _plain("wbc_1e9L", "LBXWBCSI", "10*9/L", "WBC", "blood", COUNT),
    _plain("neut_1e9L", "LBDNENO", "10*9/L", "neutrophils", "blood", COUNT),
    _plain("lymph_1e9L", "LBDLYMNO", "10*9/L", "lymphocytes", "blood", COUNT),
    _plain("mono_1e9L", "LBDMONO", "10*9/L", "monocytes", "blood", COUNT),
    _plain("platelets_1e9L", "LBXPLTSI", "10*9/L", "platelets", "blood", COUNT),
    Column("glucose_fast_mgdl", (Source("LBXGLU", "mg/dL"),), "glucose", "plasma", "hexokinase", fasting=True),
    Column("insulin_uUml", INSULIN, "insulin", "serum", "immunoassay", fasting=True),
    _plain("hba1c_pct", "LBXGH", "%", "HbA1c", "blood", HBA1C_METHOD),
    _plain("hdl_mgdl", "LBDHDD", "mg/dL", "HDL", "serum", HDL_METHOD),
    _plain("tchol_mgdl", "LBXTC", "mg/dL", "cholesterol", "serum", "enzymatic"),
    _plain("tg_serum_nonfast_mgdl", "LBXSTR", "mg/dL", "triglycerides", "serum, not fasting", "enzymatic"),
    # of the table only
    _plain("race_eth1", "RIDRETH1"), _plain("pir", "INDFMPIR"), _plain("education", "DMDEDUC2"),
    _plain("pregnancy_code", "RIDEXPRG"), _plain("eos_1e9L", "LBDEONO"), _plain("baso_1e9L", "LBDBANO"),
    _plain("lymph_pct", "LBXLYPCT"), _plain("mono_pct", "LBXMOPCT"), _plain("neut_pct", "LBXNEPCT"),
    _plain("eos_pct", "LBXEOPCT"), _plain("baso_pct", "LBXBAPCT"), _plain("hgb_gdl", "LBXHGB"),
    _plain("rdw", "LBXRDW"), _plain("albumin_gdl", "LBXSAL"), _plain("uric_acid_mgdl", "LBXSUA"),
    _plain("tg_mgdl", "LBXTR"), _plain("ldl_mgdl", "LBDLDL"), _plain("glucose_serum_nonfast_mgdl", "LBXSGL"),
    _plain("DIQ010_diabetes", "DIQ010"), _plain("DLQ150_med_for_depression", "DLQ150"),
)  # fmt: skip
USED = {
    "SEQN", "SDDSRVYR", SMOKED, SMOKES, DIFFICULTY, *DESIGN, *PHQ9,
    *(name for c in COLUMNS for s in c.sources for name in (s.name, s.code) if name),
    "LBDINSI", "LBDGLUSI", "LBDHDDSI", "LBDTCSI",
}  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """The files of one cycle side by side: one row per person, indexed by SEQN.

    Attributes
    ----------
    table : pandas.DataFrame
        Variables under their names in NHANES, zeros mended.
    cycle : str
        Key of `CYCLES`.
    origin : dict
        File of each variable.
    warnings : list of str
    content : bytes
        Names and bytes of the files.
    """

    table: pd.DataFrame
    cycle: str
    origin: dict[str, str]
    warnings: list[str]
    content: bytes


def read(path: Path) -> Reading:
    """Read the adults of a folder of XPT files of one cycle, or of one such file, as cells of panels.

    The patient is ``SEQN``. Values below the limit of detection become ``<0.15``. The PHQ-9 counts where all nine items
    were answered. Glucose and insulin of people who had not fasted are doubtful, and have no fasting specimen.

    Raises
    ------
    PanelError
        If a file is no transport file, the cycle is unknown, or the files are of several cycles.
    """
    raw = _raw(path)
    table, said = raw.table, list(raw.warnings)
    if "RIDAGEYR" in table:
        adult = table["RIDAGEYR"] >= ADULT
        if (~adult).any():
            said.append(f"{path}: {int((~adult).sum())} people under {ADULT} years left out; the model is of adults")
        table = table[adult]
    else:
        said.append(f"{path}: no demographics (DEMO): age and sex are unknown, and children are not left out")
    if "RIDEXPRG" in table and (pregnant := int((table["RIDEXPRG"] == 1).sum())):
        said.append(f"{path}: {pregnant} women are pregnant; reference ranges are of people who are not")
    entries: list[Entry] = []
    for column in COLUMNS:
        if column.analyte:
            entries += _cells(table, raw, column)
    entries += _scores(table, raw)
    return Reading(entries, [], said, raw.content)


def tidy(path: Path) -> pd.DataFrame:
    """One table of a folder of XPT files of one cycle, a row for each person, for analysis.

    Returns
    -------
    pandas.DataFrame
        ``SEQN``, ``cycle``, ``cycle_years``, the columns of the survey's design that the files hold (``SDMVSTRA``,
        ``SDMVPSU``, ``WTMEC2YR``, ``WTSAF2YR``, ...), measurements named with their unit (``crp_mgL``), ratios of
        blood counts, HOMA-IR, and the PHQ-9: ``DPQ010`` to ``DPQ100`` (refused and don't know are missing),
        ``phq9_n_items`` answered, ``phq9_total`` where all nine are. Values below the limit of detection stay the
        fill value of NHANES and are marked in ``crp_below_lod`` and ``insulin_below_lod``. ``sex`` (1 man, 2 woman),
        ``education``, ``pregnancy_code``, ``DIQ010_diabetes`` and ``DLQ150_med_for_depression`` are codes as in the
        codebook. A column whose files are missing is absent.

    Raises
    ------
    PanelError
        As `read`.
    """
    import pandas as pd

    raw = _raw(path)
    table = raw.table
    years, length, _ = CYCLES[raw.cycle]
    found: dict[str, object] = {"SEQN": table.index.to_numpy(), "cycle": years, "cycle_years": length}
    found |= {name: table[name] for name in DESIGN if name in table}
    for column in COLUMNS:
        parts = [(s, table[s.name]) for s in column.sources if s.name in table]
        if not parts:
            continue
        source, values = parts[0]
        found[column.name] = values * source.factor if source.factor != 1 else values
        if any(s.limits for s in column.sources):
            below, limit = _below(table, source, raw.cycle)
            stem, _, unit = column.name.partition("_")
            found[f"{stem}_below_lod"] = below.astype(float).where(values.notna())
            if limit is not None:
                found[f"{stem}_lod_{unit}"] = limit * source.factor
    found |= _questionnaires(table)
    result = pd.DataFrame({k: v.to_numpy() if isinstance(v, pd.Series) else v for k, v in found.items()})
    return result.assign(**_ratios(result))


# column: numerators, denominators, constant below the line
RATIOS: dict[str, tuple[tuple[str, ...], tuple[str, ...], float]] = {
    "homa_ir": (("glucose_fast_mgdl", "insulin_uUml"), (), 405.0),
    "nlr": (("neut_1e9L",), ("lymph_1e9L",), 1.0),
    "mlr": (("mono_1e9L",), ("lymph_1e9L",), 1.0),
    "plr": (("platelets_1e9L",), ("lymph_1e9L",), 1.0),
    "sii": (("platelets_1e9L", "neut_1e9L"), ("lymph_1e9L",), 1.0),
}


def _ratios(table: pd.DataFrame) -> dict[str, pd.Series[float]]:
    found = {}
    for name, (above, below, constant) in RATIOS.items():
        if {*above, *below} <= {*table}:
            bottom = table[list(below)].prod(axis=1, skipna=False) * constant
            found[name] = table[list(above)].prod(axis=1, skipna=False) / bottom.where(bottom > 0)
    return found


def _questionnaires(table: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    import pandas as pd

    found = {name: _answer(table[name]) for name in (*PHQ9, DIFFICULTY) if name in table}
    if {*PHQ9} <= {*found}:
        items = table[list(PHQ9)].apply(_answer)
        found["phq9_n_items"] = items.notna().sum(axis=1)
        found["phq9_total"] = items.sum(axis=1, skipna=False)
    if {SMOKED, SMOKES} <= {*table}:
        never, ever = table[SMOKED] == 2, table[SMOKED] == 1
        word = pd.Series(None, table.index, dtype="object")
        word = word.mask(never, "never").mask(ever & (table[SMOKES] == 3), "former")
        found["smoking"] = word.mask(ever & table[SMOKES].isin([1, 2]), "current")
    return found


def _answer(item: pd.Series[float]) -> pd.Series[float]:
    """Points of an item, missing where refused or unknown."""
    return item.where(~item.isin(REFUSED))


def _below(table: pd.DataFrame, source: Source, cycle: str) -> tuple[pd.Series[bool], float | None]:
    """Who lies below the limit of detection, and the limit in the unit of the file where it is documented."""
    limit = (source.limits or {}).get(cycle)
    values = table[source.name]
    if source.code in table:
        return (table[source.code] == 1) & values.notna(), limit
    # no comment code: what lies below the limit is a fill value
    return values < (limit if limit is not None else -1.0), limit


def _cells(table: pd.DataFrame, raw: Raw, column: Column) -> Iterator[Entry]:
    source = next((s for s in column.sources if s.name in table), None)
    if source is None:
        return
    known = table[table[source.name].notna()]
    below, limit = _below(known, source, raw.cycle)
    place = f"{raw.origin[source.name]}, {source.name}"
    oldest = 85 if raw.cycle == "D" else 80
    weight = next((w for w in FASTED if w in table), None)
    fasted = known[weight] > 0 if weight is not None else known[source.name].notna()
    for seqn, value, low, fast in zip(known.index, known[source.name], below, fasted, strict=True):
        lod = (value * sqrt(2) if limit is None else limit) if low else limit
        text, quality, specimen = f"{value:.10g}", "", column.specimen
        remarks: tuple[str, ...] = ()
        if low:
            text = f"<{lod:.4g}"
        elif column.analyte == "sex":
            text = "female" if value == 2 else "male"
        elif column.analyte == "age" and value >= oldest:
            remarks = (f"NHANES writes {oldest} years for {oldest} and over",)
        if column.fasting:
            specimen = f"{specimen}, fasting" if fast else specimen
            if not fast:
                quality, remarks = (
                    "doubtful",
                    ("had not fasted for 8 to 24 hours: the weight of the fasting sample is 0",),
                )
        yield Entry(
            place, str(int(seqn)), column.analyte, text, source.unit, specimen, column.method,
            "" if lod is None else f"{lod:.4g}", quality=quality, remarks=remarks,
        )  # fmt: skip


def _scores(table: pd.DataFrame, raw: Raw) -> Iterator[Entry]:
    if not {*PHQ9} <= {*table}:
        return
    totals = _questionnaires(table)["phq9_total"].dropna()
    place = f"{raw.origin[PHQ9[0]]}, {PHQ9[0]} to {PHQ9[-1]}"
    for seqn, total in totals.items():
        yield Entry(place, str(seqn), "PHQ9", f"{total:.0f}", "points")


def _raw(path: Path) -> Raw:
    """Read and join the files, and find the cycle."""
    import pandas as pd

    files = sorted((p for p in path.iterdir() if p.suffix.lower() == ".xpt") if path.is_dir() else [path])
    if not files:
        raise PanelError(f"{path}: holds no XPT files; expected the transport files of one cycle of NHANES")
    parts: list[pd.DataFrame] = []
    said: list[str] = []
    origin: dict[str, str] = {}
    content: list[bytes] = []
    for file in files:
        part = _transport(file)
        content += [file.name.encode(), file.read_bytes()]
        if "SEQN" not in part or part["SEQN"].isna().any():
            raise PanelError(f"{file}: has no number (SEQN) for every person; is it a file of NHANES?")
        if (nobody := part["SEQN"] < 1).any():  # records of NUL bytes that fill up the last block
            said.append(f"{file}: {int(nobody.sum())} records without a number (SEQN) are padding; left out")
            part = part[~nobody]
        unknown = [name for name in part.columns if name not in USED]
        wanted = [name for name in part.columns if name in USED and (name not in origin or name == "SEQN")]
        twice = [name for name in part.columns if name in origin and name not in FASTED]
        if twice:
            said.append(f"{file}: {', '.join(twice)} stand in {origin[twice[0]]} too; those are used")
        if unknown:
            said.append(f"{file}: not used: {', '.join(unknown)}")
        if len(wanted) < 2:
            continue
        if part["SEQN"].duplicated().any():
            said.append(f"{file}: has several rows for a person; not read")
            continue
        origin |= {name: file.name for name in wanted if name != "SEQN"}
        parts.append(part[wanted].set_index(part["SEQN"].astype(int)).drop(columns="SEQN"))
    if not parts:
        raise PanelError(
            f"{path}: no file holds a variable that Crosstalk reads; expected CRP, CBC, DPQ, BMX, GLU, ..."
        )
    table = pd.concat(parts, axis=1)
    return Raw(table, _cycle(path, files, table), origin, said, b"\0".join(content))


def _transport(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            # a file of a wrong length is read with a warning
            warnings.simplefilter("error", UserWarning)
            # the text of NHANES is plain ASCII, and none of it is used
            part = pd.read_sas(file, format="xport", encoding="latin-1")
    except StopIteration:
        raise PanelError(f"{file}: holds no record; download it again") from None
    except (ValueError, TypeError, OSError, KeyError, IndexError, UserWarning) as error:
        raise PanelError(f"{file}: cannot be read as a SAS transport file ({error}); download it again") from None
    numeric = part.select_dtypes("number").columns
    values = part[numeric].to_numpy()
    part[numeric] = np.where(np.abs(values) < SAS_ZERO, 0.0, values)
    return part


def _cycle(path: Path, files: list[Path], table: pd.DataFrame) -> str:
    """Key of the cycle: what the demographics say, which the names of the files must not contradict."""
    named: dict[str, str] = {}
    for file in files:
        match = _NAME.fullmatch(file.stem)
        key = ((match["pre"] or match["cycle"] or "") if match else "").upper()
        if key:
            named.setdefault(key, file.name)
    said = {int(v) for v in table["SDDSRVYR"].dropna().unique()} if "SDDSRVYR" in table else set()
    codes = {code: key for key, (_, _, code) in CYCLES.items()}
    found = {*named} | {codes.get(code, f"release {code}") for code in said}
    if len(found) > 1:
        raise PanelError(
            f"{path}: holds files of several cycles ({', '.join(sorted(found))}); units differ between "
            "them, so put the files of each cycle into a folder of its own"
        )
    known = ", ".join(f"{key} {years}" for key, (years, _, _) in CYCLES.items())
    if not found:
        raise PanelError(f"{path}: the cycle is not known; name the files as NHANES does (HSCRP_J.XPT), or add DEMO")
    key = found.pop()
    if key not in CYCLES:
        raise PanelError(f"{path}: received the cycle {key}; expected one of {known}, whose units and limits are known")
    return key
