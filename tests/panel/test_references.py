"""Reference ranges: chosen by assay, specimen, sex, age and BMI, and none at all rather than a guess."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from crosstalk.knowledge.loader import load_knowledge
from crosstalk.knowledge.records import Analyte, ReferenceRange, Source
from crosstalk.panel.records import Measurement
from crosstalk.panel.references import Placement, percentile, position, z_score

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCE = Source("assumed", "example of a test")
ANY = ReferenceRange("any", "serum", 2.0, 1.0, 4.0, SOURCE)
CRP = load_knowledge().analytes["hsCRP"]


def analyte(*ranges: ReferenceRange, spread: float = 0.1) -> Analyte:
    return replace(CRP, references=ranges, offset_log_sd=spread)


def value(v: float, **kwargs: str) -> Measurement:
    return Measurement("hsCRP", v, **kwargs)  # type: ignore[arg-type]


def where(a: Analyte, m: Measurement, **person: float) -> str:
    return position(a, m, **person).where


@pytest.mark.parametrize(("v", "place"), [(0.5, "below"), (1.0, "within"), (4.0, "within"), (4.1, "above")])
def test_position(v: float, place: str) -> None:
    assert where(analyte(ANY), value(v)) == place


def test_censored_values_are_placed_only_where_they_must_lie() -> None:
    a = analyte(ANY)
    assert where(a, value(0.9, censored="left")) == "below"
    assert where(a, value(1.0, censored="left")) == "below"
    assert where(a, value(3.0, censored="left")) == "unknown"
    assert where(a, value(4.0, censored="right")) == "above"
    assert where(a, value(3.0, censored="right")) == "unknown"
    assert where(a, replace(value(0.2, censored="interval"), upper=0.9)) == "below"
    assert where(a, replace(value(1.2, censored="interval"), upper=3.0)) == "within"
    assert where(a, replace(value(0.9, censored="interval"), upper=3.0)) == "unknown"
    assert where(a, replace(value(5.0, censored="interval"), upper=9.0)) == "above"


def test_a_censored_value_has_all_percentiles_that_it_may_have() -> None:
    a = analyte(replace(ANY, n=200))
    exact = {v: position(a, value(v)) for v in (1.5, 3.0)}
    left = position(a, value(1.5, censored="left"))
    right = position(a, value(3.0, censored="right"))
    between = position(a, replace(value(1.5, censored="interval"), upper=3.0))
    assert (left.percentile, left.z, left.lo90) == (None, None, 0.0)
    assert left.hi90 == pytest.approx(exact[1.5].hi90)
    assert (right.hi90, right.lo90) == (100.0, pytest.approx(exact[3.0].lo90))
    assert (between.lo90, between.hi90) == (pytest.approx(exact[1.5].lo90), pytest.approx(exact[3.0].hi90))
    # the value is the truth only where it is not censored
    assert between.percentile is None


def test_a_failed_value_has_no_position() -> None:
    assert position(analyte(ANY), value(9.0, quality="failed")) == Placement()
    assert where(analyte(ANY), value(9.0, quality="doubtful")) == "above"


def test_no_range_for_the_assay_means_no_flag() -> None:
    simoa = replace(ANY, assay="Simoa")
    assert position(analyte(simoa), value(9, method="Luminex")) == Placement()
    assert where(analyte(simoa), value(9, method="simoa")) == "above"
    assert position(analyte(simoa, spread=1.0), value(9)) == Placement()
    assert position(analyte(), value(9)) == Placement()
    assert position(analyte(ANY), value(9, specimen="CSF")) == Placement()


@pytest.mark.parametrize(
    ("method", "found"),
    [
        ("MSD V-PLEX", True),
        ("MSD V-PLEX Proinflammatory Panel 1 (human)", True),
        ("Meso Scale Discovery VPLEX Cytokine Panel 1", True),
        ("msd v-plex plus", True),
        ("MSD S-PLEX", False),
        ("MSD", False),
        ("MSD V-PLEXUS", False),
        ("V-PLEX", False),
        ("Luminex MSD V-PLEX", False),
        ("Simoa", False),
    ],
)
def test_a_method_belongs_to_its_family_and_to_no_other(method: str, found: bool) -> None:
    a = analyte(replace(ANY, assay="MSD V-PLEX"), spread=1.0)
    assert (position(a, value(9, method=method)).range is not None) is found


def test_the_most_specific_family_is_taken() -> None:
    wide, narrow = replace(ANY, assay="MSD"), replace(ANY, assay="MSD V-PLEX", p97_5=20.0)
    for ranges in ((wide, narrow), (narrow, wide)):
        assert position(analyte(*ranges), value(9, method="MSD V-PLEX Panel 1")).range == narrow
        assert position(analyte(*ranges), value(9, method="MSD S-PLEX")).range == wide


def test_sex_and_age_choose_the_range() -> None:
    women = replace(ANY, sex="female", p97_5=8.0)
    old = replace(ANY, age=(60.0, 120.0), p97_5=10.0)
    assert where(analyte(women), value(6), sex=1.0) == "within"
    assert position(analyte(women), value(6), sex=0.0) == Placement()
    assert position(analyte(women), value(6)) == Placement()
    assert where(analyte(old), value(6), age=70.0) == "within"
    assert position(analyte(old), value(6), age=30.0) == Placement()


def test_the_narrowest_group_is_taken_and_the_first_of_equals() -> None:
    young, slim = replace(ANY, age=(18.0, 40.0)), replace(ANY, bmi=(0.0, 25.0))
    both = replace(ANY, age=(18.0, 40.0), bmi=(0.0, 25.0))
    assert position(analyte(ANY, young, both, slim), value(2), age=30.0, bmi=22.0).range == both
    assert position(analyte(ANY, young, slim), value(2), age=30.0, bmi=22.0).range == young
    assert position(analyte(ANY, slim, young), value(2), age=30.0, bmi=22.0).range == slim
    assert position(analyte(ANY, slim, young), value(2), age=50.0, bmi=33.0).range == ANY


def test_what_is_unknown_of_a_person_picks_no_band() -> None:
    young, old = replace(ANY, age=(18.0, 40.0)), replace(ANY, age=(40.0, 120.0), p97_5=9.0)
    assert position(analyte(young, old, ANY), value(2)).range == ANY
    assert position(analyte(young, old), value(2)) == Placement()
    # a source that studied one age group only is all there is
    assert position(analyte(young), value(2)).range == young


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_percentiles_grow_with_the_value(a: float, b: float) -> None:
    low, high = sorted((a, b))
    first, second = percentile(ANY, low), percentile(ANY, high)
    assert first is not None
    assert second is not None
    assert 0 <= first <= second <= 100


def test_percentiles_meet_the_range() -> None:
    assert percentile(ANY, 1.0) == pytest.approx(2.5, abs=0.01)
    assert percentile(ANY, 2.0) == pytest.approx(50)
    assert percentile(ANY, 4.0) == pytest.approx(97.5, abs=0.01)


def test_quartiles_shape_the_percentiles() -> None:
    skew = replace(ANY, p25=1.2, p75=3.5)
    for share, limit in ((2.5, 1.0), (25, 1.2), (50, 2.0), (75, 3.5), (97.5, 4.0)):
        assert percentile(skew, limit) == pytest.approx(share)
    assert percentile(skew, 5.0) > 99.9  # type: ignore[operator]
    assert z_score(skew, 2.0) == pytest.approx(0)
    # coarse counts: a quartile may equal the median or a limit
    coarse = replace(ANY, p25=2.0, p75=4.0)
    assert percentile(coarse, 2.0) == pytest.approx(50)
    assert percentile(coarse, 4.0) == pytest.approx(97.5)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.tuples(st.floats(1, 2), st.floats(2, 4)))
def test_percentiles_grow_with_the_value_whatever_the_quartiles(a: float, b: float, q: tuple[float, float]) -> None:
    shaped = replace(ANY, p25=q[0], p75=q[1])
    low, high = sorted((a, b))
    assert percentile(shaped, low) <= percentile(shaped, high)  # type: ignore[operator]


def test_values_and_limits_of_zero_have_no_percentile() -> None:
    assert percentile(ANY, 0.0) is None
    assert percentile(replace(ANY, p2_5=0.0), 2.0) is None
    assert position(analyte(replace(ANY, p2_5=0.0, n=50)), value(2)).lo90 is None


def test_a_percentile_is_as_certain_as_its_range_has_people() -> None:
    widths = []
    for n in (20, 100, 1000):
        found = position(analyte(replace(ANY, n=n)), value(3.0))
        assert found.percentile is not None
        assert found.lo90 is not None
        assert found.hi90 is not None
        assert found.lo90 < found.percentile < found.hi90
        widths.append(found.hi90 - found.lo90)
    assert widths[0] > widths[1] > widths[2]
    # the effective number of a survey goes before that of its people
    few = position(analyte(replace(ANY, n=1000, n_effective=20)), value(3.0))
    assert few.hi90 - few.lo90 == pytest.approx(widths[0])  # type: ignore[operator]
    assert position(analyte(ANY), value(3.0)).lo90 is None


@pytest.mark.parametrize("n", [50, 150])
def test_intervals_hold_the_true_percentile_as_often_as_they_say(n: int) -> None:
    """Samples of log-normal people; ranges from their quantiles; the truth is known."""
    rng = np.random.default_rng(11)
    truth = np.array([0.05, 0.3, 0.5, 0.9, 0.97])
    points = np.exp(0.8 * ndtri(truth))
    held = np.zeros(len(truth))
    runs = 400
    for _ in range(runs):
        q = np.quantile(np.exp(0.8 * rng.normal(size=n)), (0.025, 0.25, 0.5, 0.75, 0.975))
        a = analyte(ReferenceRange("any", "serum", q[2], q[0], q[4], SOURCE, n, p25=q[1], p75=q[3]))
        for i, (share, point) in enumerate(zip(truth, points, strict=True)):
            found = position(a, value(float(point)))
            assert found.lo90 is not None
            assert found.hi90 is not None
            held[i] += found.lo90 <= 100 * share <= found.hi90
    assert (held / runs > 0.85).all(), held / runs


def test_ranges_of_the_survey_place_a_person() -> None:
    crp = load_knowledge().analytes["hsCRP"]
    slim, heavy = (position(crp, value(4.0), sex=1.0, age=50.0, bmi=bmi) for bmi in (22.0, 33.0))
    assert slim.percentile > heavy.percentile  # type: ignore[operator]
    unknown = position(crp, value(4.0), sex=1.0)
    assert unknown.range is not None
    assert (unknown.range.age, unknown.range.bmi) == ((18.0, 120.0), (0.0, 100.0))
    assert position(crp, value(4.0)).range is not None  # a range for either sex stands in the literature


@pytest.mark.shared
def test_the_table_is_what_the_data_say(shared_data: Path) -> None:
    script = ROOT / "scripts" / "reference_ranges.py"
    table = shared_data / "nhanes_2017_2018_adults_raw.csv.gz"
    run = subprocess.run(
        [sys.executable, str(script), "--check", str(table)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.shared
def test_each_percentile_has_its_share_of_the_reference_people_below_it(shared_data: Path) -> None:
    """Reference people of one group, read from the raw file and held against the shipped range."""
    from crosstalk.statistics.survey import SurveyDesign, mean

    table = pd.read_csv(shared_data / "nhanes_2017_2018_adults_raw.csv.gz", low_memory=False)
    drugs = ["rx_antidepressant", "rx_corticosteroid_sys", "rx_tnf_inhibitor", "rx_interferon", "rx_metformin"]
    health = (table["phq9_total"] < 5) & (table["phq9_n_items"] == 9) & (table["DIQ010_diabetes"] != 1)
    health &= (table[drugs].fillna(0) == 0).all(axis=1) & (table["pregnancy_code"] != 1) & (table["sex"] == 1)
    health &= table["bmi"].between(25, 30, inclusive="left") & table["crp_mgL"].notna()
    found = position(load_knowledge().analytes["hsCRP"], value(1.0), sex=0.0, age=50.0, bmi=27.0).range
    assert found is not None
    assert (found.sex, found.age, found.bmi, found.n) == ("male", (18, 120), (25, 30), int(health.sum()))
    design = SurveyDesign.of_table(table)
    for share, limit in ((2.5, found.p2_5), (25, found.p25), (50, found.median), (75, found.p75), (97.5, found.p97_5)):
        assert limit is not None
        assert mean(design, table["crp_mgL"] <= limit, health).value >= share / 100
        assert mean(design, table["crp_mgL"] < limit, health).value <= share / 100


def test_the_page_quotes_the_table() -> None:
    page = (ROOT / "docs" / "ranges.md").read_text(encoding="utf-8")
    rows = [
        (a.id, r)
        for a in load_knowledge().analytes.values()
        for r in a.references
        if "reference_ranges.py" in r.source.place
    ]
    assert f"{len(rows)} rows for {len({id_ for id_, _ in rows})} analytes" in page
    for id_, r in rows:
        crp = id_ == "hsCRP" and r.age == (18, 120)
        ratio = id_ in ("NLR", "PLR", "SII") and r.age == (60, 120) and r.bmi == (0, 100)
        line = (
            f"| {id_} | {r.sex} | {r.age[0]:g} to {r.age[1]:g} | {r.bmi[0]:g} to {r.bmi[1]:g} | {r.n} | "
            f"{r.n_effective:g} | {r.p2_5:g} | {r.p25:g} | {r.median:g} | {r.p75:g} | {r.p97_5:g} | {r.median_se:g} |"
        )
        assert (line in page) is (crp or ratio)
