"""Exports of xPONENT: blocks, separators, locations, several plates, what is refused, and the real files."""

from __future__ import annotations

from collections import defaultdict
from math import fsum
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crosstalk.errors import PanelError
from crosstalk.panel.plates.files import read_plates
from crosstalk.panel.plates.wells import Well
from crosstalk.panel.plates.xponent import plates, read

Table = list[list[str]]

HEADER: Table = [
    ["Program", "xPONENT", "", "MAGPIX"],
    ["Build", "4.2.1705.0"],
    ["Date", "03/04/2024", "9:15 AM"],
    [],
    ["SN", "MAGPX00000001"],
    ["Batch", "RUN 7"],
    ["Operator", "somebody"],
    ["ProtocolDescription", "50 µL, no plate layout"],
    ["BatchStartTime", "3/4/2024 9:15:00 AM"],
    ["CALInfo:"],
    ["Lot", "Result"],
    ["B1", "Pass"],
    ["Samples", "4", "Min Events", "50", "Per Bead"],
    [],
    ["Results"],
    [],
]
ROWS = [
    ("1(1,A1)", "Standard1"),
    ("2(1,B1)", "Background0"),
    ("3(1,C1)", "Control1"),
    ("4(1,D1)", "P-17"),
    ("5(1,E1)", "P-17"),
]
MEDIAN = [["9000.5", "8000"], ["20", "15"], ["3000", "NaN"], ["410", "33.25"], ["450", ""]]
NET = [["8980.5", "7985"], ["0", "0"], ["2980", "NaN"], ["390", "18.25"], ["430", ""]]
RESULT = [["999", "510"], ["NaN", "NaN"], ["98", "51"], ["12.5", "< 0.40"], ["13.5", "<0.4"]]


def block(name: str, rows: Table, cells: Table, *, total: bool = True) -> Table:
    end = [["Total Events"]] + [["900"]] * len(rows) if total else [[]] * (len(rows) + 1)
    body = [["Location", "Sample", "IL-6", "TNF"], *([*row, *line] for row, line in zip(rows, cells, strict=True))]
    return [["DataType:", name], *([*line, *tail] for line, tail in zip(body, end, strict=True)), []]


def export(*, units: tuple[str, str] = ("pg/mL", "pg/mL"), dilution: str = "2", leave_out: str = "") -> Table:
    rows = [list(row) for row in ROWS]
    n = len(rows)
    blocks = {
        "Median": block("Median", rows, MEDIAN),
        "Net MFI": block("Net MFI", rows, NET),
        "Count": block("Count", rows, [["60", "61"], ["55", "70"], ["52", "0"], ["50", "12"], ["51", ""]]),
        "Result": block("Result", rows, RESULT),
        "Comments": block("Comments", rows, [["", ""]] * (n - 1) + [["Insufficient bead count", ""]], total=False),
        "% Recovery": block("% Recovery", rows, [["101", "99"], *[["", ""]] * (n - 1)], total=False),
        "Avg Result": [
            ["DataType:", "Avg Result"], ["Sample", "IL-6", "TNF"], ["Standard1", "999", "510"],
            ["P-17", "13", "<0.4"], [],
        ],
        "Units": [
            ["DataType:", "Units"], ["Analyte:", "IL-6", "TNF"], ["BeadID:", "25", "45"], ["Units:", *units], [],
        ],
        "Standard Expected Concentration": [
            ["DataType:", "Standard Expected Concentration"], ["Reagent", "IL-6", "TNF"],
            ["Standard1", "1000", "500"], [],
        ],
        "Control Expected Concentration": [
            ["DataType:", "Control Expected Concentration"], ["Reagent", "IL-6", "TNF"], ["Control1", "100", "50"], [],
        ],
        "Per Bead Count": [
            ["DataType:", "Per Bead Count"], ["Analyte:", "IL-6", "TNF"], ["BeadID:", "25", "45"],
            ["Per Bead:", "50", "50"], [],
        ],
        "Dilution Factor": [
            ["DataType:", "Dilution Factor"], ["Location", "Sample", "Dilution Factor"],
            *([*row, dilution if row[1] == "P-17" else "1"] for row in rows), [],
        ],
        "R^2": [["DataType:", "R^2"], ["Analyte:", "IL-6", "TNF"], ["R^2", "0.999", "0.998"], []],
        "Warnings/Errors": [
            ["DataType:", "Warnings/Errors"], ["Location", "Status", "Message"],
            ["1,D1", "Warning", "A region did not reach the specified count.  (0x4FF010AB)"], [],
        ],
    }  # fmt: skip
    ends: Table = [["-- CRC --"], ["CRC32: 00000000"]]
    return [*HEADER, *(line for name, lines in blocks.items() if name != leave_out for line in lines), *ends]


def text_of(table: Table, delimiter: str = ",", *, quote: bool = True, decimal: str = ".", end: str = "\r\n") -> str:
    def cell(value: str) -> str:
        if decimal == "," and value.replace(".", "", 1).replace("<", "").replace(" ", "").isdigit():
            value = value.replace(".", ",")
        return f'"{value}"' if quote or delimiter in value else value

    width = max(map(len, table)) if not quote else 0  # as spreadsheets save it: all rows as wide as the widest
    return end.join(delimiter.join([cell(v) for v in row] + [""] * (width - len(row))) for row in table)


def saved(folder: Path, text: str | bytes, name: str = "run.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def by_key(path: Path) -> dict[tuple[str, str], Well]:
    (plate,) = plates(path)
    return {(well.location, well.analyte): well for well in plate.wells}


def test_every_block_finds_its_field(tmp_path: Path) -> None:
    path = saved(tmp_path, text_of(export()))
    (plate,) = read_plates(path)
    assert (plate.plate, plate.assay, plate.software) == ("RUN 7", "Luminex xPONENT", "xPONENT 4.2.1705.0")
    assert (plate.instrument, plate.read_at) == ("MAGPIX, MAGPX00000001", "3/4/2024 9:15:00 AM")
    assert plate.units == {"IL-6": "pg/mL", "TNF": "pg/mL"}
    assert plate.attributes["Min Events"] == "50"
    assert plate.attributes["ProtocolDescription"] == "50 µL, no plate layout"
    assert plate.attributes["R^2: R^2 TNF"] == "0.998"
    assert "Lot" not in plate.attributes
    assert plate.warnings == (f"{path}: 2 of 10 medians are missing or no number",)
    assert plate.content == path.read_bytes()
    wells = {(well.location, well.analyte): well for well in plate.wells}
    assert len(wells) == 10
    standard = wells["A1", "IL-6"]
    assert (standard.role, standard.expected, standard.signal, standard.net_signal) == (
        "standard",
        1000,
        9000.5,
        8980.5,
    )
    assert standard.exported == {
        "Total Events": "900", "% Recovery": "101", "Avg Result": "999", "BeadID": "25", "Per Bead": "50",
    }  # fmt: skip
    assert (wells["C1", "TNF"].role, wells["C1", "TNF"].expected, wells["C1", "TNF"].signal) == ("control", 50, None)
    assert "median NaN reported" in wells["C1", "TNF"].remarks
    assert (wells["B1", "TNF"].role, wells["B1", "TNF"].expected) == ("blank", None)
    sample = wells["D1", "TNF"]
    assert (sample.role, sample.dilution, sample.count, sample.reported) == ("sample", 2.0, 12, "<0.40")
    assert sample.remarks == ("Warning: A region did not reach the specified count.",)
    line = int(sample.place.removeprefix("line "))
    assert "< 0.40" in path.read_text().splitlines()[line - 1]
    assert wells["E1", "TNF"].count is None
    assert wells["E1", "IL-6"].remarks == ("Comments: Insufficient bead count",)


def test_the_samples_become_entries(tmp_path: Path) -> None:
    reading = read(saved(tmp_path, text_of(export())))
    assert not reading.problems
    assert [(e.patient, e.analyte, e.value, e.unit) for e in reading.entries] == [
        ("P-17", "IL-6", f"{(12.5 * 13.5) ** 0.5:.12g}", "pg/mL"),
        ("P-17", "TNF", "<0.8", "pg/mL"),  # the bound of the plate, at dilution 2
    ]
    assert "Comments: Insufficient bead count" in reading.entries[0].remarks
    assert any("samples were diluted (factor 2)" in w for w in reading.warnings)


def test_the_placeholder_of_a_unit_is_none(tmp_path: Path) -> None:
    reading = read(saved(tmp_path, text_of(export(units=("Bead", "")))))
    assert not reading.entries
    assert len(reading.problems) == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_line_ends_and_encodings_change_nothing(tmp_path: Path, end: str, encoding: str) -> None:
    expected = by_key(saved(tmp_path, text_of(export())))
    path = saved(tmp_path, text_of(export(), end=end).encode(encoding), "other.csv")
    assert by_key(path) == expected
    assert plates(path)[0].attributes["ProtocolDescription"] == "50 µL, no plate layout"


@pytest.mark.parametrize("quote", [True, False])
@pytest.mark.parametrize(("delimiter", "decimal"), [(";", "."), (";", ","), ("\t", ","), (",", ".")])
def test_separators_and_decimal_signs_change_nothing(tmp_path: Path, quote: bool, delimiter: str, decimal: str) -> None:
    expected = by_key(saved(tmp_path, text_of(export(leave_out="% Recovery"))))
    text = text_of(export(leave_out="% Recovery"), delimiter, quote=quote, decimal=decimal)
    found = by_key(saved(tmp_path, text, "other.csv"))
    assert found.keys() == expected.keys()
    for key, well in found.items():
        assert (well.signal, well.count, well.dilution, well.expected, well.reported, well.role) == (
            expected[key].signal, expected[key].count, expected[key].dilution, expected[key].expected,
            expected[key].reported, expected[key].role,
        )  # fmt: skip


def test_a_location_that_the_separator_cuts_is_one_cell(tmp_path: Path) -> None:
    text = text_of(export()).replace('"1(1,A1)"', "1(1,A1)").replace('"4(1,D1)"', "4(1,D1)")
    assert by_key(saved(tmp_path, text)) == by_key(saved(tmp_path, text_of(export()), "other.csv"))


def test_the_plates_of_a_batch_are_told_apart(tmp_path: Path) -> None:
    text = text_of(export()).replace("5(1,E1)", "5(2,E1)")
    first, second = plates(saved(tmp_path, text))
    assert (first.plate, second.plate) == ("RUN 7 plate 1", "RUN 7 plate 2")
    assert (len(first.wells), len(second.wells)) == (8, 2)


def test_without_expected_concentrations_the_names_tell_the_roles(tmp_path: Path) -> None:
    found = by_key(saved(tmp_path, text_of(export(leave_out="Standard Expected Concentration"))))
    assert (found["A1", "IL-6"].role, found["A1", "IL-6"].expected) == ("standard", None)


def test_without_results_nothing_is_computed(tmp_path: Path) -> None:
    reading = read(saved(tmp_path, text_of(export(leave_out="Result"))))
    assert not reading.entries
    assert not reading.problems
    assert any("no sample has a reported concentration (P-17)" in w for w in reading.warnings)


def test_without_dilutions_the_factor_is_1(tmp_path: Path) -> None:
    found = by_key(saved(tmp_path, text_of(export(leave_out="Dilution Factor"))))
    assert {well.dilution for well in found.values()} == {1.0}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("Program", "Programm"), "does not begin with 'Program,xPONENT'"),
        (('"3(1,C1)","Control1","3000"', '"3(1,C1)","Control1","30","00"'), "line 21: has 6 columns, expected 5"),
        (('"2(1,B1)","Background0","20"', '"1(1,A1)","Background0","20"'), "stands twice in the block 'Median'"),
        (('"3(1,C1)","Control1","52"', '"3(1,C1)","P-99","52"'), "holds 'P-99' in the block 'Count' and 'Control1'"),
        (('"DataType:","Count"', '"DataType:","Median"'), "the block 'Median' stands twice"),
        (('"3(1,C1)","Control1","3000"', '"C1","Control1","3000"'), "received the location 'C1'"),
        (('"Location","Sample","IL-6","TNF"', '"Location","Sample","IL-6","IL-6"'), "'IL-6' stands twice in the block"),
        (('"P-17","2"', '"P-17","1:2"'), "received the dilution factor '1:2'"),
        (('"P-17","2"', '"P-17","0"'), "received the dilution factor '0'"),
    ],
)  # fmt: skip
def test_what_could_be_misread_is_refused(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    text = text_of(export())
    assert change[0] in text
    with pytest.raises(PanelError, match=words):
        plates(saved(tmp_path, text.replace(*change)))


def test_a_file_without_medians_is_refused(tmp_path: Path) -> None:
    for text in ('"Program","xPONENT"', text_of(HEADER), text_of([*HEADER, ["DataType:", "Median"]])):
        with pytest.raises(PanelError, match="holds no block of medians"):
            plates(saved(tmp_path, text))


def test_decimal_commas_and_points_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PanelError, match="decimal commas and decimal points"):
        plates(saved(tmp_path, text_of(export(), ";").replace("33.25", "33,25")))


def test_a_well_that_only_a_later_block_holds_is_told(tmp_path: Path) -> None:
    text = text_of(export()).replace('"5(1,E1)","P-17","450","","900"\r\n', "")
    warnings = plates(saved(tmp_path, text))[0].warnings
    assert sum("1 wells of the block" in w and "left out, first 1,E1" in w for w in warnings) >= 4


def test_expected_results_by_well_tell_controls_of_any_name(tmp_path: Path) -> None:
    rows = [list(row) for row in ROWS]
    table = block("Expected Result", rows, [["1000", "500"], ["", ""], ["100", "50"], ["7", ""], ["", ""]], total=False)
    text = text_of([*export(leave_out="Standard Expected Concentration")[:-2], *table, ["-- CRC --"]])
    found = by_key(saved(tmp_path, text))
    assert (found["A1", "TNF"].role, found["A1", "TNF"].expected) == ("standard", 500)
    assert (found["D1", "IL-6"].role, found["D1", "IL-6"].expected) == ("control", 7)
    assert (found["D1", "TNF"].role, found["E1", "IL-6"].role) == ("sample", "sample")


names = (
    st.text("abcdefghijkXYZ0123456789 -_./µ()", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda s: s and s.lower() not in ("location", "sample", "total events", "reagent", "notes", "analyte:"))
)
signals = st.one_of(st.none(), st.integers(0, 10**6).map(lambda n: n / 4))
results = st.one_of(
    st.just(""), st.just("NaN"), st.floats(1e-3, 1e6).map(lambda v: f"{v:.6g}"),
    st.integers(1, 999).map(lambda v: f"<{v / 8}"), st.integers(1, 999).map(lambda v: f">{v}"),
)  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> tuple[Table, dict[tuple[str, str], tuple[str, float | None, int, float, str]]]:
    analytes = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    n = draw(st.integers(1, 6))
    wells = [(f"{i + 1}(1,{'ABCDEFGH'[i]}{draw(st.integers(1, 12))})", draw(names)) for i in range(n)]
    drawn = {
        (place[4 + len(str(i)) - 1 : -1], analyte): (
            sample, draw(signals), draw(st.integers(0, 999)), float(draw(st.integers(1, 400))), draw(results),
        )
        for i, (place, sample) in enumerate(wells, start=1)
        for analyte in analytes
    }  # fmt: skip
    dilutions = {place: drawn[place, analytes[0]][3] for place, _ in drawn}
    drawn = {key: (v[0], v[1], v[2], dilutions[key[0]], v[4]) for key, v in drawn.items()}

    def table(name: str, column: int) -> Table:
        def cell(value: object) -> str:
            return "NaN" if value is None else str(value)

        head = ["Location", "Sample", *analytes, "Total Events"]
        body = [
            [place, sample, *(cell(drawn[place.split(",")[1][:-1], a][column]) for a in analytes), "99"]
            for place, sample in wells
        ]
        return [["DataType:", name], head, *body, []]

    blocks = [table("Median", 1), table("Count", 2), table("Result", 4)]
    units: Table = [["DataType:", "Units"], ["Analyte:", *analytes], ["Units:", *["pg/mL"] * len(analytes)], []]
    factor: Table = [
        ["DataType:", "Dilution Factor"], ["Location", "Sample", "Dilution Factor"],
        *([place, sample, f"{dilutions[place.split(',')[1][:-1]]:g}"] for place, sample in wells), [],
    ]  # fmt: skip
    order = draw(st.permutations([*blocks, units, factor]))
    return [*HEADER, *(line for lines in order for line in lines), ["-- CRC --"], ["CRC32: 0"]], drawn


@given(run=runs(), delimiter=st.sampled_from([",", ";"]), end=st.sampled_from(["\n", "\r\n"]), wide=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_is_written_is_read(
    tmp_path: Path, run: tuple[Table, dict[tuple[str, str], tuple[str, float | None, int, float, str]]],
    delimiter: str, end: str, wide: bool,
) -> None:  # fmt: skip
    table, drawn = run
    found = by_key(saved(tmp_path, text_of(table, delimiter, quote=not wide, end=end)))
    assert {k: (w.sample, w.signal, w.count, w.dilution, w.reported) for k, w in found.items()} == drawn


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_off_is_refused_or_told(tmp_path: Path, data: st.DataObject) -> None:
    whole = text_of(export()).encode()
    expected = by_key(saved(tmp_path, whole, "whole.csv"))
    cut = data.draw(st.integers(0, whole.index(b'"-- CRC') - 1))
    path = saved(tmp_path, whole[:cut])
    try:
        (plate,) = plates(path)
    except PanelError as error:
        assert str(path) in str(error)
        return
    assert any("cut off" in warning for warning in plate.warnings)
    for well in plate.wells:
        assert well.signal in (expected[well.location, well.analyte].signal, None)
        assert well.sample == expected[well.location, well.analyte].sample


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mangled_file_never_raises_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(text_of(export()).encode("cp1252"))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content) - 1))
        end = start + data.draw(st.integers(0, 60))
        content[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b",", b";", b"\r\n", b"\x00", b"NaN"])
        )
    try:
        read(saved(tmp_path, bytes(content)))
    except PanelError as error:
        assert "run.csv" in str(error)


# What allotropy 0.1.150 (MIT) reads from the real exports: number of values, their sum and the sum of rank times value
# (ranks from 1, in the order of the file), each "not reported" as 0. Made by:
#   agg = allotrope_from_file(name, Vendor.LUMINEX_XPONENT)["multi analyte profiling aggregate document"]
#   for group in agg["multi analyte profiling document"]:
#       for m in group["measurement aggregate document"]["measurement document"]:
#           add("Total Events", m["assay bead count"]["value"])
#           for a in m["analyte aggregate document"]["analyte document"]:
#               add("Count", a["assay bead count"]["value"])
#               for s in a["statistics aggregate document"]["statistics document"][0][
#                       "statistic dimension aggregate document"]["statistic dimension document"]:
#                   add(s["statistical value"]["has statistic datum role"], s["statistical value"]["value"])
#   for c in agg["calculated data aggregate document"]["calculated data document"]:
#       add(c["calculated data name"], c["calculated result"]["value"])
ALLOTROPY: dict[str, dict[str, tuple[int, float, float]]] = {
    "luminex_xPONENT_NaN_and_not_reported_values.csv": {
        "Total Events": (96, 0.0, 0.0), "Count": (288, 0.0, 0.0), "Median": (288, 0.0, 0.0), "Net MFI": (288, 2.0, 6.0),
        "Dilution Factor": (96, 96.0, 4656.0),
    },
    "luminex_xPONENT_example02.csv": {
        "Total Events": (4, 3316.0, 8379.0), "Count": (8, 260.0, 1182.0), "Median": (8, 163033.5, 735329.5),
        "Net MFI": (8, 163033.5, 735329.5), "Dilution Factor": (4, 4.0, 10.0),
    },
    "luminex_xPONENT_example02_saved.csv": {
        "Total Events": (4, 3316.0, 8379.0), "Count": (8, 260.0, 1182.0), "Median": (8, 163033.5, 735329.5),
        "Net MFI": (8, 163033.5, 735329.5), "Dilution Factor": (4, 4.0, 10.0),
    },
    "luminex_xPONENT_example03.csv": {
        "Total Events": (4, 3140.0, 8105.0), "Count": (8, 272.0, 1278.0), "Median": (8, 167329.5, 748020.5),
        "Net MFI": (8, 167329.5, 748020.5), "Dilution Factor": (4, 4.0, 10.0),
    },
    # allotropy counts 9: three wells give no dilution factor, which is 1 here
    "luminex_xPONENT_missing_optional_fields.csv": {
        "Total Events": (12, 4686.0, 30871.0), "Count": (60, 4686.0, 147583.0),
        "Median": (60, 42411821.28332, 949646758.5463), "Mean": (60, 39975109.51209, 928723717.82883),
        "%CV": (60, 3291.4606, 98658.30001), "Peak": (60, 40281635.0, 936127981.0),
        "Trimmed Peak": (60, 37650957.0, 864721722.0), "Trimmed Mean": (60, 37540323.69383, 862182576.58727),
        "Trimmed Standard Deviation": (60, 13177072.19212, 271662073.30055),
        "Net MFI": (60, 38175780.90114, 812152945.3608), "Avg Net MFI": (60, 38178096.85449, 812294297.90424),
        "Dilution Factor": (12, 12.0, 78.0),
    },
    "test_data_exclude.csv": {
        "Total Events": (2, 1609.0, 2337.0), "Count": (6, 206.0, 707.0), "Median": (6, 139018.5, 504173.5),
        "Net MFI": (6, 139018.5, 504173.5), "Dilution Factor": (2, 4.0, 7.0),
    },
}  # fmt: skip


def summaries(wells: tuple[Well, ...]) -> dict[str, tuple[int, float, float]]:
    values: dict[str, list[float]] = defaultdict(list)
    seen = set()
    for well in wells:
        values["Median"].append(well.signal or 0.0)
        values["Net MFI"].append(well.net_signal or 0.0)
        values["Count"].append(float(well.count or 0))
        for name, text in well.exported.items():
            if name not in ("Total Events", "BeadID", "Per Bead"):
                values[name].append(float(text) if text != "NaN" else 0.0)
        if well.location not in seen:
            seen.add(well.location)
            values["Dilution Factor"].append(well.dilution)
            values["Total Events"].append(float(well.exported["Total Events"]))
    return {
        name: (len(some), fsum(some), fsum(i * value for i, value in enumerate(some, start=1)))
        for name, some in values.items()
    }


@pytest.mark.shared
@pytest.mark.parametrize("name", ALLOTROPY)
def test_the_real_exports_read_as_allotropy_reads_them(shared_data: Path, name: str) -> None:
    (plate,) = read_plates(shared_data / "xponent" / name)
    found = summaries(plate.wells)
    for block_name, expected in ALLOTROPY[name].items():
        assert found[block_name][0] == expected[0], block_name
        assert found[block_name][1:] == pytest.approx(expected[1:], rel=1e-12), block_name


@pytest.mark.shared
def test_every_real_export_is_read_whole(shared_data: Path) -> None:
    files = sorted((shared_data / "xponent").glob("*.csv"))
    assert {f.name for f in files} == set(ALLOTROPY)
    for file in files:
        (plate,) = read_plates(file)
        assert {well.role for well in plate.wells} <= {"sample", "blank"}
        assert not any("cut off" in w for w in plate.warnings)
        reading = read(file)
        assert not reading.entries
        assert not reading.problems
        assert any("no sample has a reported concentration" in w for w in reading.warnings)
    assert plate.wells[0].remarks == ("Warning: maximum count.", "Warning: specified count.")
