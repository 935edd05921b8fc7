"""Quality control of plates: a made-up plate with a vendor's results by R, made-up faults, real exports.

``refit_xponent.csv`` is made up in the format of xPONENT; its results are those of another implementation, R 4.2.2:

    F5 <- deriv(~ d + (a - d) / (1 + exp(exp(lb) * (log(x) - lc)))^exp(lg), c("a", "d", "lc", "lb", "lg"),
                function(x, a, d, lc, lb, lg) {})
    m <- nls(net ~ F5(expected, a, d, lc, lb, lg), standards, weights = 1 / net^2,
             start = list(a = 0.3, d = 21000, lc = 6, lb = 0, lg = -0.3),
             control = nls.control(maxiter = 500, tol = 1e-7, minFactor = 1e-14, warnOnly = TRUE))
    p <- as.list(coef(m))
    exp(p$lc) * (((p$a - p$d) / (net - p$d))^exp(-p$lg) - 1)^exp(-p$lb) * dilution

In it the fifth standard of TNF has lost a decimal point, and the vendor's curve was fitted with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crosstalk.errors import PanelError
from crosstalk.panel.plates.files import read_plates
from crosstalk.panel.plates.quality import assess_plates, concentrations
from crosstalk.panel.plates.quality_records import AnalyteQuality, PlateReport
from crosstalk.panel.plates.vendor import AGREE
from crosstalk.panel.plates.wells import Plate, Well
from crosstalk.report.documents import dump
from crosstalk.report.plates import plates_html

PLATE = Path(__file__).parent / "refit_xponent.csv"


@pytest.fixture(scope="module")
def plate() -> Plate:
    return read_plates(PLATE)[0]


@pytest.fixture(scope="module")
def report(plate: Plate) -> PlateReport:
    return assess_plates([plate])


def analyte(report: PlateReport, name: str = "IL-6", at: int = 0) -> AnalyteQuality:
    return next(a for a in report.plates[at].analytes if a.analyte == name)


def changed(plate: Plate, change: Callable[[Well], Well]) -> Plate:
    return replace(plate, wells=tuple(change(w) for w in plate.wells))


def grade(found: AnalyteQuality, check: str) -> str:
    return next(c.grade for c in found.checks if c.name == check)


def test_where_the_vendors_fit_is_sound_the_refit_agrees_within_1_percent(report: PlateReport) -> None:
    found = analyte(report)
    assert found.vendor is not None
    assert found.vendor.sound
    assert found.vendor.agrees
    assert found.vendor.method == "5PL, weights 1/y^2, net signal"
    assert found.vendor.stated == "Logistic 5P Weighted"
    assert found.vendor.n >= 28
    assert found.vendor.worst == pytest.approx(1, abs=2e-4)
    assert found.grade == "pass"
    assert not found.reasons


def test_where_the_vendors_fit_is_not_sound_it_is_said_with_the_reason(report: PlateReport) -> None:
    found = analyte(report, "TNF")
    assert found.vendor is not None
    assert found.vendor.sound is False
    (why,) = found.vendor.why
    assert why.startswith("Standard5 (1.5625) is given back at 10")
    assert found.grade == "doubtful"
    assert "the vendor's curve is not sound" in found.vendor.message
    assert found.curve is not None
    (suspect,) = found.curve.left_out
    assert "well F1" in suspect.place
    assert "well F2" in suspect.place
    assert (suspect.expected, suspect.would_be) == (1.5625, pytest.approx(15.625, rel=1e-3))
    assert all(lv.accepted for lv in found.curve.levels)


def test_a_vendor_by_another_method_is_told_by_how_much(plate: Plate) -> None:
    shifted = changed(
        plate,
        lambda w: w if w.role == "standard" or not w.reported[:1].isdigit() else replace(
            w, reported=f"{1.05 * float(w.reported):.5g}"
        ),
    )  # fmt: skip
    found = analyte(assess_plates([shifted])).vendor
    assert found is not None
    assert found.sound
    assert not found.agrees
    assert found.worst is not None
    assert AGREE < abs(found.worst - 1) < 0.2
    assert "differs" in found.message


def test_no_reported_concentration_means_no_comparison(plate: Plate) -> None:
    assert analyte(assess_plates([changed(plate, lambda w: replace(w, reported=""))])).vendor is None


def test_samples_are_read_with_their_dilution_and_censored_at_the_lloq(report: PlateReport) -> None:
    found = {s.sample: s for s in analyte(report).samples}
    truth = {"BEAR": 3.1, "LYNX": 12.5, "OTTER": 1.0, "HERON": 410.0, "WREN": 7.4}
    for name, value in truth.items():
        s = found[name]
        assert s.value == pytest.approx(value, rel=0.12)
        assert s.log_sd is not None
        assert abs(math.log(s.value / value)) < 3 * s.log_sd
        assert (s.dilution, s.n, s.quality) == (2.0, 2, "")
    badger = found["BADGER"]
    assert (badger.censored, badger.value) == ("left", pytest.approx(2 * 0.2441406))


def test_few_beads_are_doubtful_and_fewer_fail(plate: Plate) -> None:
    def count(w: Well) -> Well:
        few = {"A5": 42, "B5": 20, "B6": 22, "C5": 12}.get(w.location) if w.analyte == "IL-6" else None
        return w if few is None else replace(w, count=few)

    found = {s.sample: s for s in analyte(assess_plates([changed(plate, count)])).samples}
    assert (found["BEAR"].quality, found["BEAR"].remarks) == ("doubtful", ("42 beads, fewer than 50",))
    assert found["LYNX"].quality == "failed"
    assert found["LYNX"].value is not None
    assert (found["OTTER"].n, found["OTTER"].quality) == (1, "")
    assert found["OTTER"].remarks == ("well C5 left out: 12 beads, fewer than 35",)


def test_a_standard_without_beads_does_not_shape_the_curve(plate: Plate) -> None:
    starved = changed(plate, lambda w: replace(w, signal=9.0, count=5) if w.location == "D1" else w)
    curve = analyte(assess_plates([starved])).curve
    assert curve is not None
    assert next(lv.n for lv in curve.levels if lv.label == "Standard3") == 1
    assert len([lv for lv in curve.levels if lv.accepted]) == 8


def test_replicates_that_differ_are_marked(plate: Plate) -> None:
    def spread(w: Well) -> Well:
        factor = {"A5": 1.4, "B5": 4.0}.get(w.location, 1.0)
        return replace(w, signal=w.signal * factor) if w.signal else w

    found = {s.sample: s for s in analyte(assess_plates([changed(plate, spread)])).samples}
    assert found["BEAR"].quality == "doubtful"
    assert found["LYNX"].quality == "failed"
    assert found["LYNX"].value is not None
    assert "limit 20 %" in found["LYNX"].remarks[0]
    assert found["OTTER"].quality == ""


def test_controls_that_miss_fail_the_samples_but_drop_none(plate: Plate) -> None:
    wrong = changed(plate, lambda w: replace(w, expected=2 * w.expected) if w.role == "control" and w.expected else w)
    report = assess_plates([wrong])
    found = analyte(report)
    assert grade(found, "controls") == "fail"
    assert found.grade == report.plates[0].grade == "fail"
    assert {s.quality for s in found.samples} == {"failed"}
    entries = [e for e in concentrations(report) if e.analyte == "IL-6"]
    assert len(entries) == 6
    assert all(e.value and e.quality == "failed" and "recovery of controls" in e.remarks[-1] for e in entries)


def test_a_bad_curve_fails_and_a_short_one_is_doubtful(plate: Plate) -> None:
    scrambled = {"B1": 3.0, "C1": 0.4, "D1": 2.5, "E1": 0.5, "F1": 2.2}
    bad = changed(plate, lambda w: replace(w, signal=w.signal * scrambled.get(w.location, 1.0)) if w.signal else w)
    assert grade(analyte(assess_plates([bad])), "recovery") == "fail"
    few = replace(plate, wells=tuple(w for w in plate.wells if w.sample not in ("Standard6", "Standard7", "Standard8")))
    found = analyte(assess_plates([few]))
    assert grade(found, "recovery") == "doubtful"
    assert "ICH M10 asks for 6" in next(c.message for c in found.checks if c.name == "recovery")
    assert {s.quality for s in found.samples} <= {"doubtful", "failed"}


def test_without_standards_it_says_so_and_keeps_every_sample(plate: Plate) -> None:
    bare = replace(plate, wells=tuple(w for w in plate.wells if w.role not in ("standard", "blank")))
    report = assess_plates([bare])
    found = analyte(report)
    assert found.grade == "fail"
    assert "no standard with an expected concentration" in found.reasons[0]
    entries = concentrations(report)
    assert len(entries) == 12
    assert all(e.quality == "failed" and e.value == "" for e in entries)


def test_a_plate_without_a_signal_is_refused(plate: Plate) -> None:
    empty = changed(plate, lambda w: replace(w, signal=None, net_signal=None))
    with pytest.raises(PanelError, match="no well has a signal"):
        assess_plates([empty])


def test_drift_is_told_by_samples_on_both_plates(plate: Plate) -> None:
    names = {"OTTER": "Unknown1", "WREN": "Unknown2"}

    def second(w: Well) -> Well:
        weaker = w.role == "sample" and w.signal is not None
        return replace(w, sample=names.get(w.sample, w.sample), signal=0.7 * (w.signal or 0) if weaker else w.signal)

    first = changed(plate, lambda w: replace(w, sample=names.get(w.sample, w.sample)))
    report = assess_plates([first, replace(changed(plate, second), plate="second")])
    bridge = next(b for b in report.bridges if b.analyte == "TNF")
    assert set(bridge.samples) == {"BEAR", "LYNX", "HERON", "BADGER", "Control1", "Control2"}
    assert bridge.first, bridge.second == ("synthetic plate", "second")
    assert bridge.low < bridge.log_ratio < bridge.high
    assert math.exp(bridge.log_ratio) < 0.85
    same = next(b for b in assess_plates([first, replace(first, plate="b")]).bridges if b.analyte == "IL-6")
    assert (same.log_ratio, same.grade) == (0.0, "pass")


def test_one_sample_at_two_dilutions_gives_the_value_in_range(plate: Plate) -> None:
    def dilute(w: Well) -> Well:
        moved = {"A": "HERON", "B": "BADGER"}.get(w.location[0], w.sample) if w.role == "sample" else w.sample
        return replace(w, sample=moved, dilution=20.0 if moved != w.sample else w.dilution)

    entries = {e.patient: e for e in concentrations(assess_plates([changed(plate, dilute)])) if e.analyte == "IL-6"}
    assert entries["HERON"].remarks[-1].startswith("at dilution 20: 3")
    assert float(entries["BADGER"].value) > 100  # the other dilution lies below the LLOQ
    assert entries["BADGER"].remarks[-1] == "at dilution 2: <0.488281 pg/mL"


def test_the_report_is_data_and_a_page(report: PlateReport) -> None:
    data = json.loads(dump(report))
    il6, tnf = data["plates"][0]["analytes"]
    assert (il6["grade"], tnf["grade"], data["plates"][0]["grade"]) == ("pass", "doubtful", "doubtful")
    assert len(il6["curve"]["covariance"]) == 5
    html = plates_html(report)
    for words in ("BADGER", "&lt; 0.488", "lost decimal point", "1026 %", "within 80 to 120 %", "<svg"):
        assert words in html, words
    assert "<script" not in html
    assert 'src="http' not in html
    assert plates_html(report) == html


@pytest.mark.shared
def test_real_exports_without_standards_say_so(shared_data: Path) -> None:
    """None of the real xPONENT exports at hand carries standards with expected concentrations, nor results."""
    files = sorted((shared_data / "xponent").glob("*.csv"))
    assert len(files) == 6
    for file in files:
        plates = read_plates(file)
        if all(w.signal is None and w.net_signal is None for p in plates for w in p.wells):
            with pytest.raises(PanelError, match="no well has a signal"):
                assess_plates(plates)
            continue
        report = assess_plates(plates)
        for judged in report.plates:
            for found in judged.analytes:
                assert found.grade == "fail"
                assert found.curve is None
                assert found.vendor is None
                assert "no standard with an expected concentration" in found.reasons[0]
        samples = {(p.plate, w.sample, w.analyte) for p in plates for w in p.wells if w.role in ("sample", "unknown")}
        assert len(concentrations(report)) == len(samples)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("msd_workbench_test_1.csv", "a standard curve needs five"),
        ("test_msd_workbench_xlsx.xlsx", "do not follow their concentrations"),
    ],
)
def test_real_exports_with_useless_standards_say_why(shared_data: Path, name: str, words: str) -> None:
    for found in assess_plates(read_plates(shared_data / "msd" / name)).plates[0].analytes:
        assert found.curve is None
        assert words in found.reasons[0]
        assert found.vendor is not None
        assert not found.vendor.agrees
