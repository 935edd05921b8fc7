"""Summaries of individual data that the study files carry: means, standard deviations, correlations by time.

The data themselves are not part of the project; a calibration needs none of them. The folder holds the public files

===================================== ============================================ =========================
file                                  what                                         source
===================================== ============================================ =========================
lps_bolus_individual_20x8.csv         20 healthy men, LPS 2 ng/kg                  10.1113/EP091552
riesby_imipramine_hdrs.txt            66 inpatients on imipramine                  10.1007/BF00426574
rbmi_antidepressant_data.csv          172 outpatients, antidepressant or placebo   10.1097/01.jcp.0000132448.65972.d9
nhanes_2007_2008_adults_raw.csv.gz    adults of the general population             documentation of NHANES
nhanes_2017_2018_adults_raw.csv.gz    adults of the general population             documentation of NHANES
===================================== ============================================ =========================

Run it as ``python scripts/individual_summaries.py FOLDER``: it prints the tables. ``--check`` compares them with the
study files and the band table of the package, ``--write`` puts them there: everything from the first ``[[result]]``
on; the head of a file is kept. ``nhanes_summaries.py`` says how the tables of NHANES are laid out.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from math import isclose, sqrt
from pathlib import Path
from typing import Any

import nhanes_summaries as nhanes
import numpy as np
import pandas as pd
from numpy.typing import NDArray

KNOWLEDGE = Path(__file__).resolve().parent.parent / "src" / "crosstalk" / "knowledge"
SCRIPT = "scripts/individual_summaries.py"
BANDS = "lps_individual_bands.tsv"
DIGITS = 4  # significant, in the files
TOLERANCE = 1.5e-3  # one unit of the last digit

Array = NDArray[np.float64]
Row = dict[str, Any]

COMPUTED: Row = {"figure": "computed"}  # no publication prints these figures


@dataclass(frozen=True)
class Summary:
    """What one study file holds of the data: facts of its head by place, its results, and lines to print."""

    id: str
    head: dict[str, float]
    rows: list[Row]
    lines: list[str]


# Statistics


def jackknife_error(data: Array, statistic: Any) -> float:
    """Return the jackknife standard error of a statistic of the rows of ``data``."""
    n = len(data)
    left_out = np.array([statistic(np.delete(data, i, axis=0)) for i in range(n)])
    return float(sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))


def log_sd(values: Array) -> float:
    """Return the logarithm of the standard deviation."""
    return float(np.log(values.std(ddof=1)))


def fisher_z(pairs: Array) -> float:
    """Return Fisher's z of the correlation of two columns."""
    return float(np.arctanh(np.corrcoef(pairs.T)[0, 1]))


def ancova(change: pd.Series, baseline: pd.Series, treated: pd.Series) -> tuple[float, float]:
    """Return the difference in change at equal baseline and its standard error, by least squares."""
    design = np.column_stack([np.ones(len(change)), treated.astype(float), baseline - baseline.mean()])
    inverse = np.linalg.inv(design.T @ design)
    slopes = inverse @ design.T @ change.to_numpy()
    residual = change.to_numpy() - design @ slopes
    variance = residual @ residual / (len(change) - design.shape[1])
    return float(slopes[1]), float(sqrt(variance * inverse[1, 1]))


def visit_pairs(weeks: list[int]) -> list[tuple[int, int]]:
    """Return the pairs of visits whose correlation is carried: neighbours, and the first with each other."""
    return sorted({*pairwise(weeks), *((weeks[0], week) for week in weeks[1:])})


def matrix_lines(scores: pd.DataFrame) -> list[str]:
    """Return the correlations of all visits, over the patients seen at both."""
    table = scores.corr()
    return [f"  week {week}: " + " ".join(f"{r:6.3f}" for r in table.loc[week]) for week in table.index]


# LPS


def lps_courses(folder: Path) -> dict[str, pd.DataFrame]:
    """Return pg/mL by cytokine, a row for each man, a column for each hour."""
    data = pd.read_csv(folder / "lps_bolus_individual_20x8.csv")
    return {
        str(name): part.pivot(index="subject", columns="time_h", values="pg_ml")
        for name, part in data.groupby("analyte")
    }


def analyte_id(name: str) -> str:
    """Return the name of a cytokine in the package: ``IL6`` is IL-6."""
    return name.replace("IL", "IL-")


def lps_bands(folder: Path) -> pd.DataFrame:
    """Return what is known of each cytokine at each time: mean, median, log-SD, the band of 90 % of individuals."""
    rows = []
    for name, course in lps_courses(folder).items():
        for hour in course.columns:
            values, rise = course[hour].to_numpy(), (course[hour] - course[0.0]).to_numpy()
            (p5, median, p95), rises = (np.quantile(v, (0.05, 0.5, 0.95)) for v in (values, rise))
            rows.append(
                {"analyte": analyte_id(name), "hour": hour, "n": len(values), "mean": values.mean(), "median": median,
                 "log_sd": np.log(values).std(ddof=1), "p5": p5, "p95": p95,
                 **dict(zip(("rise_p5", "rise_median", "rise_p95"), rises, strict=True))}
            )  # fmt: skip
    return pd.DataFrame(rows)


BANDS_HEADER = f"""\
# Cytokines [pg/mL] of 20 healthy men by hour after a bolus of LPS 2 ng/kg: mean, median, SD of the natural logarithm,
# 5th and 95th percentile of the individuals (linear interpolation), and the same of the rise above the value at 0 h.
# doi:10.1113/EP091552, individual data of the publication's repository, which aligned the baselines: compare rises, or
# levels late enough for the baseline to be small. Nobody is left out. Made by {SCRIPT}.
"""


def bands_text(bands: pd.DataFrame) -> str:
    """Return the table as it is committed."""
    lines = ["\t".join(bands.columns)]
    for _, row in bands.iterrows():
        lines.append("\t".join(v if isinstance(v, str) else f"{rounded(v):g}" for v in row))
    return BANDS_HEADER + "\n".join(lines) + "\n"


# hours at which each cytokine is well above its baseline; pairs (cytokine, hour) whose correlation is carried
LPS_HOURS = {"TNF": (1.0, 1.5, 2.0, 3.0), "IL6": (1.5, 2.0, 3.0, 4.0), "IL10": (2.0, 3.0, 4.0)}
LPS_PAIRS = (
    (("TNF", 1.5), ("IL6", 2.0)), (("TNF", 1.5), ("IL10", 3.0)), (("IL6", 2.0), ("IL10", 3.0)),
    (("TNF", 1.5), ("TNF", 3.0)), (("IL6", 2.0), ("IL6", 4.0)), (("IL10", 2.0), ("IL10", 4.0)),
)  # fmt: skip


LPS_SOURCE = f"individual data of the publication's repository, 20 men, {SCRIPT}"
LPS_MISMATCH: Row = {"indication": "exact", "species": "human", "design": "exact", "quality": "trial"}


def lps_means(folder: Path) -> Summary:
    """Mean rise after LPS and the time of its peak, of the same men as their spread."""
    rows: list[Row] = []
    lines = []
    for name, course in lps_courses(folder).items():
        if name not in LPS_HOURS:  # the model has no IL-8
            continue
        rise = course.sub(course[0.0], axis=0)
        hours = [float(hour) for hour in rise.columns]
        for hour in hours[1:]:
            rows.append(
                {"endpoint": "change", "of": analyte_id(name), "hour": hour, "arm": "lps",
                 "value": float(rise[hour].mean()), "unit": "pg/mL", "sd": float(rise[hour].std()), "n": len(rise),
                 "source": LPS_SOURCE, "provenance": "seen", **COMPUTED, "mismatch": LPS_MISMATCH}
            )  # fmt: skip
        place = int(np.argmax(rise.mean()))
        # the true peak lies between the times of the samples before and after
        around = hours[place + 1] - hours[place - 1]
        rows.append(
            {"endpoint": "time-of-peak", "of": analyte_id(name), "arm": "lps", "value": hours[place], "unit": "h",
             "se": around / 4, "se_source": "assumed: a quarter of the time between the samples before and after",
             "source": f"{LPS_SOURCE}: highest mean", "provenance": "seen", **COMPUTED,
             "mismatch": LPS_MISMATCH | {"design": "near", "quality": "reading"}}
        )  # fmt: skip
        lines.append(f"  {analyte_id(name)}: mean rise " + ", ".join(f"{rise[h].mean():.1f} at {h:g} h" for h in hours))
    rows.sort(key=lambda row: list(map(analyte_id, LPS_HOURS)).index(row["of"]))
    return Summary("windoloski2024", {"arm.lps.n": len(rise)}, rows, lines)


def lps(folder: Path) -> Summary:
    """Spread of the response to LPS and how the cytokines of a person go together."""
    courses = lps_courses(folder)
    source = LPS_SOURCE
    common: Row = {"source": source, "provenance": "seen", **COMPUTED, "mismatch": LPS_MISMATCH}
    rows: list[Row] = []
    for name, hours in LPS_HOURS.items():
        for hour in hours:
            rise = (courses[name][hour] - courses[name][0.0]).to_numpy()
            sd = float(rise.std(ddof=1))
            rows.append(
                {"endpoint": "sd", "of": analyte_id(name), "hour": hour, "arm": "lps", "value": sd,
                 "unit": "pg/mL", "se": sd * jackknife_error(rise, log_sd),
                 "se_source": "jackknife, since the rises are skewed", **common}
            )  # fmt: skip
    for (first, hour), (second, other) in LPS_PAIRS:
        pairs = np.column_stack([courses[first][hour], courses[second][other]])
        # never below the error for a normal pair
        se = max(jackknife_error(pairs, fisher_z), 1 / sqrt(len(pairs) - 3))
        rows.append(
            {"endpoint": "correlation", "of": analyte_id(first), "with": analyte_id(second),
             "hour": hour, "with_week": other / 168, "arm": "lps", "value": float(np.tanh(fisher_z(pairs))), "se": se,
             "se_source": "of Fisher's z: jackknife, at least that of a normal pair",
             **common | {"source": f"{source}: levels at {hour:g} h and {other:g} h"}}
        )  # fmt: skip
    peaks = pd.DataFrame({name: np.log(course.max(axis=1)) for name, course in courses.items()})
    lines = ["  SD of the log of the peak: " + ", ".join(f"{k} {v:.3f}" for k, v in peaks.std().items())]
    lines += [
        f"  correlation of log peaks {a}, {b}: {peaks[a].corr(peaks[b]):.3f}"
        for i, a in enumerate(peaks)
        for b in list(peaks)[i + 1 :]
    ]
    lines += ["  " + line for line in lps_bands(folder).round(3).to_string(index=False).splitlines()]
    return Summary("windoloski2024spread", {"arm.lps.n": len(peaks)}, rows, lines)


# Imipramine


def reisby_scores(folder: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Return Hamilton scores by patient and week, and who had endogenous depression."""
    names = ["patient", "score", "one", "week", "endogenous", "endogenous_week"]
    data = pd.read_csv(folder / "riesby_imipramine_hdrs.txt", sep=r"\s+", names=names, na_values=".")
    data = data.dropna(subset=["patient", "week"])  # the last line holds an end-of-file mark
    data = data[pd.to_numeric(data["patient"], errors="coerce").notna()].astype(float)
    scores = data.pivot(index="patient", columns="week", values="score")
    scores.columns = [int(week) for week in scores.columns]
    return scores, data.groupby("patient")["endogenous"].first()


def reisby(folder: Path) -> Summary:
    """One week on placebo, then four on imipramine."""
    scores, endogenous = reisby_scores(folder)
    weeks = [int(week) for week in scores.columns]
    last = weeks[-1]
    source = f"open individual data of the study, {SCRIPT}"
    mismatch = {"indication": "near", "species": "human", "design": "near", "quality": "trial"}
    rows = _score_rows(scores, "imipramine", source, mismatch, levels=True)
    rows += _share_rows(scores, "imipramine", source, mismatch, (last,))
    lines = _score_lines(scores, "all")
    for label, code in (("endogenous", 1.0), ("not endogenous", 0.0)):
        lines += _score_lines(scores[endogenous == code], label)
    lines += ["  correlations of the weeks:", *matrix_lines(scores)]
    head = {
        "population.n": len(scores), "arm.imipramine.n": len(scores),
        "population.severity.mean": float(scores[0].mean()), "population.severity.sd": float(scores[0].std()),
        "population.dropout": float(scores[last].isna().mean()),
    }  # fmt: skip
    return Summary("reisby1977", head, rows, lines)


def _score_rows(scores: pd.DataFrame, arm: str, source: str, mismatch: Row, *, levels: bool) -> list[Row]:
    """Return change (if ``levels``), its spread and the correlations of an arm; week 0 is the baseline."""
    rows: list[Row] = []
    weeks = [int(week) for week in scores.columns]
    common = {"source": source, "provenance": "seen", **COMPUTED, "mismatch": mismatch}
    for week in weeks[1:]:
        moved = (scores[week] - scores[0]).dropna()
        sd, n = float(moved.std()), len(moved)
        base: Row = {"of": "HAMD17", "week": week, "arm": arm}
        if levels:
            mean = {"value": float(moved.mean()), "unit": "points", "sd": sd, "n": n}
            rows.append({"endpoint": "change", **base, **mean, **common})
        rows.append({"endpoint": "sd", **base, "value": sd, "unit": "points", "n": n, **common})
    for first, second in visit_pairs(weeks):
        both = scores[[first, second]].dropna()
        rows.append(
            {"endpoint": "correlation", "of": "HAMD17", "with": "HAMD17", "week": first, "with_week": second,
             "arm": arm, "value": both[first].corr(both[second]), "n": len(both), **common}
        )  # fmt: skip
    return rows


def _share_rows(scores: pd.DataFrame, arm: str, source: str, mismatch: Row, weeks: tuple[int, ...]) -> list[Row]:
    """Return the shares of responders at some weeks and of remitters at the last, of those seen."""
    rows: list[Row] = []
    common = {"provenance": "seen", **COMPUTED, "mismatch": mismatch}
    for week in weeks:
        both = scores[[0, week]].dropna()
        counts = {"response": int((both[week] <= 0.5 * both[0]).sum())}
        if week == weeks[-1]:
            counts["remission"] = int((both[week] <= 7).sum())
        for endpoint, count in counts.items():
            rows.append(
                {"endpoint": endpoint, "of": "HAMD17", "week": week, "arm": arm, "value": 100 * count / len(both),
                 "unit": "%", "n": len(both), "source": f"{source}: {count} of {len(both)} seen", **common}
            )  # fmt: skip
    return rows


def _score_lines(scores: pd.DataFrame, label: str) -> list[str]:
    lines = []
    for week in scores.columns:
        values, moved = scores[week].dropna(), (scores[week] - scores[0]).dropna()
        both = scores[[0, week]].dropna() if week else scores[[0]].dropna()
        responded = float((both[week] <= 0.5 * both[0]).mean()) if week else 0.0
        lines.append(
            f"  {label}, week {week}: n = {len(values)}, mean {values.mean():.2f}, SD {values.std():.2f}; "
            f"change {moved.mean():.2f}, SD {moved.std():.2f}; halved {responded:.3f}; gone "
            f"{scores.loc[:, week:].isna().all(axis=1).mean():.3f}"
        )
    return lines


# Antidepressant against placebo

VISIT_WEEK = {4: 1, 5: 2, 6: 4, 7: 6}  # by the median day of each visit: 7, 14, 28, 42


def goldstein_scores(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return HAMD-17 by patient and week (0 is the baseline), and the patients' arm and sex."""
    data = pd.read_csv(folder / "rbmi_antidepressant_data.csv")
    people = data.groupby("PATIENT")[["THERAPY", "GENDER", "BASVAL"]].first()
    scores = data.assign(week=data["VISIT"].map(VISIT_WEEK)).pivot(index="PATIENT", columns="week", values="HAMDTL17")
    scores.insert(0, 0, people["BASVAL"])
    return scores, people


def goldstein(folder: Path) -> Summary:
    """Drug against placebo over six weeks."""
    scores, people = goldstein_scores(folder)
    source = f"public, altered copy of the trial's individual data, {SCRIPT}"
    mismatch = {"indication": "exact", "species": "human", "design": "near", "quality": "trial"}
    treated = people["THERAPY"] == "DRUG"
    arms = {"drug": scores[treated], "placebo": scores[~treated]}
    weeks = [int(week) for week in scores.columns]
    rows: list[Row] = []
    lines = []
    for week in weeks[1:]:
        seen = scores[[0, week]].dropna()
        moved, drug = seen[week] - seen[0], treated[seen.index]
        value, se = ancova(moved, seen[0], drug)
        raw = moved[drug].mean() - moved[~drug].mean()
        rows.append(
            {"endpoint": "change", "of": "HAMD17", "week": week, "arm": "drug", "versus": "placebo", "value": value,
             "unit": "points", "se": se, "se_source": "least squares", "provenance": "seen", **COMPUTED,
             "mismatch": mismatch,
             "source": f"{source}: at equal baseline, {int(drug.sum())} and {int((~drug).sum())} seen"}
        )  # fmt: skip
        lines.append(f"  week {week}: drug less placebo {raw:.2f}, at equal baseline {value:.2f} (SE {se:.2f})")
    head: dict[str, float] = {
        "population.n": len(scores), "population.female": float((people["GENDER"] == "F").mean()),
        "population.severity.mean": float(scores[0].mean()), "population.severity.sd": float(scores[0].std()),
    }  # fmt: skip
    for arm, part in arms.items():
        rows += _score_rows(part, arm, source, mismatch, levels=arm == "placebo")
        rows += _share_rows(part, arm, source, mismatch, (2, weeks[-1]))
        lines += [*_score_lines(part, arm), f"  correlations of the weeks, {arm}:", *matrix_lines(part)]
        head[f"arm.{arm}.n"] = len(part)
        head[f"arm.{arm}.dropout"] = float(part[weeks[-1]].isna().mean())
    return Summary("goldstein2004", head, rows, lines)


# NHANES


def survey(folder: Path, years: str) -> Summary:
    """Depressed adults and healthy controls of the general population."""
    table = nhanes.read_adults(folder / f"nhanes_{years.replace('-', '_')}_adults_raw.csv.gz")
    head, rows, lines = nhanes.study_summary(table, f"NHANES {years}, survey-weighted, {SCRIPT}")
    return Summary(f"nhanes{years[:4]}", head, rows, lines)


# Files


def rounded(value: float) -> float:
    """Round to the digits that the files carry."""
    return float(f"{float(value):.{DIGITS}g}")


def _value(value: Any, exact: bool = False) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(part)}" for key, part in value.items()) + " }"
    number = float(value) if exact else rounded(value)
    return str(int(number)) if number.is_integer() else repr(number)


def results_text(rows: list[Row]) -> str:
    """Return the result tables of a study file."""
    blocks = []
    for row in rows:
        # a time must be met exactly
        lines = [f"{key} = {_value(value, exact=key == 'with_week')}" for key, value in row.items()]
        blocks.append("[[result]]\n" + "\n".join(lines) + "\n")
    return "\n".join(blocks)


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, str) or isinstance(second, str):
        return bool(first == second)
    return isclose(float(first), float(second), rel_tol=TOLERANCE, abs_tol=1e-9)


def _fact(file: Row, place: str) -> Any:
    """Return what a study file says at a place such as ``arm.placebo.n``."""
    here: Any = file
    for key in place.split("."):
        if isinstance(here, list):
            here = next((entry for entry in here if entry["id"] == key), {})
        else:
            here = here.get(key, {})
    return here


def differences(summary: Summary, text: str) -> list[str]:
    """Return where the text of a study file is not what the data say."""
    file = tomllib.loads(text)
    found = []
    for place, value in summary.head.items():
        said = _fact(file, place)
        if isinstance(said, dict) or not _same(value, said):
            found.append(f"{summary.id}: {place} is {said or 'missing'}, the data give {rounded(value):g}")
    results = file.get("result", [])
    if len(results) != len(summary.rows):
        found.append(f"{summary.id}: {len(results)} results, the data give {len(summary.rows)}")
    for i, (said, row) in enumerate(zip(results, summary.rows, strict=False)):
        found += [
            f"{summary.id}: result {i + 1} ({row['endpoint']} of {row['of']}): {key} is {said.get(key)}, "
            f"the data give {row.get(key)}"
            for key in sorted({*said, *row})
            if key not in said or key not in row or not _same(said[key], row[key])
        ]
    return found


def band_differences(bands: pd.DataFrame, text: str) -> list[str]:
    """Return where the committed table of bands is not what the data say."""
    wanted, said = ([line.split("\t") for line in t.splitlines()] for t in (bands_text(bands), text))
    if [row[:2] for row in wanted] != [row[:2] for row in said]:
        return [f"{BANDS}: its comments, cytokines or hours are not those of the data; write it again"]
    return [
        f"{BANDS}: {a[0]} at {a[1]} h: {y}, the data give {x}"
        for a, b in zip(wanted, said, strict=True)
        for x, y in zip(a, b, strict=True)
        if x != y and not _same(float(x), float(y))
    ]


def summaries(folder: Path) -> list[Summary]:
    """Return the summaries of every data set of the folder."""
    patients = [lps_means(folder), lps(folder), reisby(folder), goldstein(folder)]
    return patients + [survey(folder, years) for years in ("2007-2008", "2017-2018")]


def main() -> None:
    """Print, check or write the summaries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the public data files")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with the package; exit 1 where they differ")
    what.add_argument("--write", action="store_true", help="write results and bands into the package")
    options = parser.parse_args()
    try:
        found = summaries(options.folder)
        bands = lps_bands(options.folder)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"individual_summaries: {error}")
    problems = []
    for summary in found:
        path = KNOWLEDGE / "studies" / f"{summary.id}.toml"
        if options.write:
            head = path.read_text(encoding="utf-8").split("[[result]]")[0]
            path.write_text(head + results_text(summary.rows), encoding="utf-8")
        if options.write or options.check:
            problems += differences(summary, path.read_text(encoding="utf-8"))
        else:
            print(f"{summary.id}\n" + "\n".join(summary.lines))
            print("\n".join(f"  head: {place} = {rounded(value):g}" for place, value in summary.head.items()))
            print(results_text(summary.rows))
    if options.write:
        (KNOWLEDGE / BANDS).write_text(bands_text(bands), encoding="utf-8")
    if options.write or options.check:
        problems += band_differences(bands, (KNOWLEDGE / BANDS).read_text(encoding="utf-8"))
        print("\n".join(problems) or "the files of the package hold what the data say")
        sys.exit(bool(problems))


if __name__ == "__main__":
    main()
