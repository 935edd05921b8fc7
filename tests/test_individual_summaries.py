"""What the package says of individual data is what the data say, and the statistics behind it are right."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.study.schema import read_study

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "individual_summaries.py"
STUDIES = ROOT / "src" / "crosstalk" / "knowledge" / "studies"
PAGE = ROOT / "docs" / "individual_data.md"
ROLES = {
    "windoloski2024": "calibrate",
    "windoloski2024spread": "calibrate",
    "reisby1977": "calibrate",
    "goldstein2004": "calibrate",
    "nhanes2007": "validate",
    "nhanes2017": "calibrate",
}


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        yield importlib.import_module("individual_summaries")


@pytest.fixture(scope="module")
def nhanes(script: ModuleType) -> ModuleType:
    return sys.modules["nhanes_summaries"]


# With the data


@pytest.mark.shared
def test_the_files_hold_what_the_data_say(script: ModuleType, shared_data: Path) -> None:
    summaries = script.summaries(shared_data)
    assert {summary.id for summary in summaries} == set(ROLES)
    for summary in summaries:
        text = (STUDIES / f"{summary.id}.toml").read_text(encoding="utf-8")
        assert script.differences(summary, text) == []


@pytest.mark.shared
def test_the_bands_hold_what_the_data_say(script: ModuleType, shared_data: Path) -> None:
    text = (script.KNOWLEDGE / script.BANDS).read_text(encoding="utf-8")
    bands = script.lps_bands(shared_data)
    assert script.band_differences(bands, text) == []
    line = next(line for line in text.splitlines() if line.startswith("TNF\t1.5"))
    assert script.band_differences(bands, text.replace(line, line.replace("264.5", "265.5"))) == [
        "lps_individual_bands.tsv: TNF at 1.5 h: 265.5, the data give 264.5"
    ]


@pytest.mark.shared
def test_every_kind_of_difference_is_named(script: ModuleType, shared_data: Path) -> None:
    summary = script.reisby(shared_data)
    text = (STUDIES / "reisby1977.toml").read_text(encoding="utf-8")
    for old, new, said in (
        ("value = -11.17", "value = -11.2", "result 9 (change of HAMD17): value is -11.2"),
        ("dropout = 0.1212", "dropout = 0.13", "population.dropout is 0.13, the data give 0.1212"),
        ("n = 53\n", "", "n is None, the data give 53"),
        ("dropout = 0.1212\n", "", "population.dropout is missing"),
    ):
        assert old in text
        assert any(said in found for found in script.differences(summary, text.replace(old, new))), said
    assert "20 results, the data give 21" in script.differences(summary, text.rpartition("[[result]]")[0])[0]


@pytest.mark.shared
def test_figures_that_others_published_of_the_same_data(script: ModuleType, shared_data: Path) -> None:
    """Dropout of 24 and 26 % (documentation of rbmi); 37 patients with endogenous depression (abstract)."""
    head = script.goldstein(shared_data).head
    assert round(head["arm.drug.dropout"], 2) == 0.24
    assert round(head["arm.placebo.dropout"], 2) == 0.26
    scores, endogenous = script.reisby_scores(shared_data)
    assert (len(scores), int(endogenous.sum())) == (66, 37)


@pytest.mark.shared
def test_the_table_of_2017_is_that_of_the_public_files(nhanes: ModuleType, shared_data: Path) -> None:
    table = nhanes.read_adults(shared_data / "nhanes_2017_2018_adults_raw.csv.gz").set_index("SEQN")
    for file, name, column in (("HSCRP_J", "LBXHSCRP", "crp_mgL"), ("INS_J", "LBXIN", "insulin_uUml")):
        raw = pd.read_sas(shared_data / "nhanes_xpt_2017_2018" / f"{file}.XPT").set_index("SEQN")[name]
        both = pd.concat([raw, table[column]], axis=1, join="inner").dropna()
        assert len(both) > 2000
        assert np.allclose(both[name], both[column])


@pytest.mark.shared
def test_the_command_checks(shared_data: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, shared_data, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "the files of the package hold what the data say")


@pytest.mark.shared
def test_the_page_quotes_what_the_script_prints(script: ModuleType, shared_data: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    lines = {summary.id: summary.lines for summary in script.summaries(shared_data)}

    def printed(study: str, start: str) -> float:
        line = next(line for line in lines[study] if line.strip().startswith(start))
        return float(line.strip().removeprefix(start).split(",")[0])

    odds = "odds ratio of CRP of 3 mg/L or more, PHQ-9 >= 10 against healthy, BMI not matched: "
    unmatched = [printed(f"nhanes{year}", odds) for year in (2017, 2007)]
    assert "would be {:.1f} and {:.1f}".format(*unmatched) in page
    start = "PHQ-9 >= 10: correlation of BMI with log CRP "
    logarithm, line = printed("nhanes2017", start), next(x for x in lines["nhanes2017"] if x.strip().startswith(start))
    raw = float(line.split("with CRP ")[1].split(",")[0])
    assert f"{raw:.2f} in the depressed of 2017-2018, that of its logarithm {logarithm:.2f}" in page
    last = next(line for line in lines["goldstein2004"] if line.startswith("  week 6: drug less placebo"))
    assert f"against {float(last.split('placebo ')[1].split(',')[0]):.1f} without adjustment" in page


# Without the data


def test_a_missing_folder_is_a_message(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lps_bolus_individual_20x8.csv" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "role"), ROLES.items())
def test_every_file_names_its_script_and_its_source(script: ModuleType, name: str, role: str) -> None:
    study = read_study(name, load_knowledge())
    assert study.role == role
    assert study.doi in (script.__doc__ or "") if study.doi else "wwwn.cdc.gov/nchs/nhanes" in study.url
    assert study.results
    for result in study.results:
        assert "scripts/individual_summaries.py" in result.source
        assert result.provenance == "seen"
        assert result.figure == "computed"
        assert result.se is not None
    head = (STUDIES / f"{name}.toml").read_text(encoding="utf-8").partition("[study]")[0]
    assert "written by scripts/individual_summaries.py" in head


def test_the_results_are_laid_out_as_the_script_writes_them(script: ModuleType) -> None:
    for name in ROLES:
        text = (STUDIES / f"{name}.toml").read_text(encoding="utf-8")
        head = text.split("[[result]]")[0]
        assert head + script.results_text(tomllib.loads(text)["result"]) == text


def test_a_change_without_controls_carries_its_bias() -> None:
    assert read_study("reisby1977", load_knowledge()).bias == "uncontrolled"


def test_the_bands_are_complete_and_in_order(script: ModuleType) -> None:
    path = script.KNOWLEDGE / script.BANDS
    assert "doi:10.1113/EP091552" in path.read_text(encoding="utf-8")
    assert "scripts/individual_summaries.py" in path.read_text(encoding="utf-8")
    bands = pd.read_csv(path, sep="\t", comment="#")
    assert set(bands["analyte"]) == {"TNF", "IL-6", "IL-8", "IL-10"}
    assert (bands.groupby("analyte")["hour"].apply(list).str.len() == 8).all()
    assert (bands["n"] == 20).all()
    for low, middle, high in (("p5", "median", "p95"), ("rise_p5", "rise_median", "rise_p95")):
        assert (bands[low] <= bands[middle]).all()
        assert (bands[middle] <= bands[high]).all()


def test_the_page_quotes_the_files(script: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = {name: tomllib.loads((STUDIES / f"{name}.toml").read_text(encoding="utf-8"))["result"] for name in ROLES}
    odds = [next(r for r in files[f"nhanes{y}"] if r["endpoint"] == "odds-ratio")["value"] for y in (2017, 2007)]
    assert "{:.1f} in 2017-2018 and {:.1f} in 2007-2008".format(*odds) in page
    last = next(r for r in files["goldstein2004"] if r["endpoint"] == "change" and r["week"] == 6 and "versus" in r)
    assert f"{last['value']:.1f} points at week 6 (SE {last['se']:.1f})" in page
    bands = pd.read_csv(script.KNOWLEDGE / script.BANDS, sep="\t", comment="#").set_index(["analyte", "hour"])
    assert f"TNF of all 20 men is {bands.loc[('TNF', 2.0), 'mean']:.0f} pg/mL" in page


def test_means_and_spread_after_endotoxin_are_of_the_same_men() -> None:
    """IL-6 rises by 24.6 pg/mL at 1 h in all 20 men; the 9.8 that the authors give is of 17."""
    means, spread = (read_study(name, load_knowledge()) for name in ("windoloski2024", "windoloski2024spread"))
    assert means.population.distributions.keys() == spread.population.distributions.keys()
    sds = {(r.of, r.time_h): r.value for r in spread.results if r.endpoint == "sd"}
    found = {(r.of, r.time_h): r for r in means.results if r.endpoint == "change"}
    assert found["IL-6", 1.0].value == pytest.approx(24.55)
    for where, sd in sds.items():
        assert found[where].se == pytest.approx(sd / np.sqrt(20), rel=1e-3)


# Statistics


def sample(n: int, *, clustered: bool) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    table = pd.DataFrame({"yes": (rng.random(n) < 0.3).astype(float), "first": rng.random(n) < 0.4, "weight": 1.0})
    table["SDMVSTRA"] = np.arange(n) % 5 if clustered else 1
    table["SDMVPSU"] = np.arange(n) % 2 if clustered else np.arange(n)
    return table


def test_a_simple_random_sample_has_the_textbook_errors(nhanes: ModuleType) -> None:
    table = sample(400, clustered=False)
    everyone = pd.Series(True, table.index)
    found = nhanes.share(table, table["yes"], everyone, "weight")
    share = table["yes"].mean()
    assert found.value == pytest.approx(share)
    assert found.se == pytest.approx(np.sqrt(share * (1 - share) / 399))
    odds = nhanes.odds_ratio(table, table["yes"], table["first"], ~table["first"], "weight")
    cells = table.groupby("first")["yes"].value_counts().to_numpy()
    assert odds.se == pytest.approx(np.sqrt((1 / cells).sum() * 400 / 399))
    a = table.groupby("first")["yes"].mean()
    assert odds.value == pytest.approx(a[True] / (1 - a[True]) * (1 - a[False]) / a[False])


def test_the_design_error_of_paired_units_is_that_of_their_differences(nhanes: ModuleType) -> None:
    table = sample(400, clustered=True)
    scores = np.random.default_rng(8).normal(size=400)
    sums = pd.Series(scores).groupby([table["SDMVSTRA"], table["SDMVPSU"]]).sum().unstack()
    assert nhanes.design_error(scores, table) == pytest.approx(np.sqrt(((sums[0] - sums[1]) ** 2).sum()))


def test_a_weight_counts_as_so_many_people(nhanes: ModuleType) -> None:
    table = sample(100, clustered=True)
    table["weight"] = 1.0 + np.arange(100) % 3
    repeated = table.loc[table.index.repeat(table["weight"].astype(int))].reset_index(drop=True).assign(weight=1.0)
    for part in (table, repeated):
        part["everyone"] = True
    first, second = (nhanes.share(part, part["yes"], part["everyone"], "weight") for part in (table, repeated))
    assert first.value == pytest.approx(second.value)
    # the units are the same, so is the error
    assert first.se == pytest.approx(second.se)


def test_a_stratum_with_one_unit_is_refused(nhanes: ModuleType) -> None:
    table = sample(20, clustered=True).query("SDMVSTRA != 0 or SDMVPSU == 0")
    with pytest.raises(ValueError, match="one primary unit"):
        nhanes.design_error(np.ones(len(table)), table)


def test_crp_in_other_units_is_refused(nhanes: ModuleType, tmp_path: Path) -> None:
    columns = {"age": 40, "pregnancy_code": np.nan, "WTMEC2YR": 1.0, "crp_mgL": 0.19}
    path = tmp_path / "table.csv"
    pd.DataFrame([columns] * 3).to_csv(path, index=False)
    with pytest.raises(ValueError, match=r"median of crp_mgL is 0\.19, expected 0\.5 to 5 mg/L"):
        nhanes.read_adults(path)


def test_the_jackknife_of_a_mean_is_its_standard_error(script: ModuleType) -> None:
    values = np.random.default_rng(1).lognormal(size=20)
    assert script.jackknife_error(values, np.mean) == pytest.approx(values.std(ddof=1) / np.sqrt(20))


def test_the_difference_at_equal_baseline_is_a_partial_slope(script: ModuleType) -> None:
    """Frisch and Waugh: the slope of what the baseline leaves of the change on what it leaves of the arm."""
    rng = np.random.default_rng(2)
    baseline = pd.Series(rng.normal(20, 4, 80))
    treated = pd.Series(rng.random(80) < 0.5)
    change = -3.0 * treated - 0.4 * baseline + rng.normal(0, 5, 80)
    value, se = script.ancova(change, baseline, treated)
    y, x = (v - np.polyval(np.polyfit(baseline, v, 1), baseline) for v in (change, treated.astype(float)))
    slope = (x @ y) / (x @ x)
    assert value == pytest.approx(slope)
    assert se == pytest.approx(np.sqrt(((y - slope * x) ** 2).sum() / (80 - 3) / (x @ x)))


def test_pairs_of_visits(script: ModuleType) -> None:
    assert script.visit_pairs([0, 1, 2, 4]) == [(0, 1), (0, 2), (0, 4), (1, 2), (2, 4)]
