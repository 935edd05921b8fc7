"""The reader of study files: what it makes of a good file, and what it says about a bad one."""

from __future__ import annotations

from math import log, sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstalk.errors import StudyError
from crosstalk.knowledge import Knowledge, load_knowledge
from crosstalk.knowledge.records import Discounts
from crosstalk.study import Marker, Study, read_study
from crosstalk.study.locate import line_of

SHIPPED = sorted((Path(__file__).parents[2] / "src/crosstalk/knowledge/studies").glob("*.toml"))
EXAMPLES = sorted((Path(__file__).parents[2] / "examples/studies").glob("*.toml"))

GOOD = """\
[study]
id = "trial1"
doi = "10.1000/trial1"
role = "calibrate"

[population]
diagnosis = "mdd"
n = 60
age = { mean = 43, sd = 9 }
female = 0.67
bmi = { mean = 31, sd = 7 }
severity = { scale = "HAM-D", mean = 24, sd = 4 }
failed_steps = 2
background = ["any-antidepressant"]

[[population.eligible]]
analyte = "CRP"
min = 0
max = 5
unit = "mg/dL"

[[arm]]
id = "antibody"
n = 30
dose = [
    { drug = "antibody-b", amount = 5, unit = "mg/kg", route = "iv", weeks = [0, 2, 6] },
]

[[arm]]
id = "placebo"
n = 30

[[result]]
endpoint = "change"
of = "HAM-D"
week = 12
arm = "antibody"
versus = "placebo"
stratum = { analyte = "hsCRP", min = 5, unit = "mg/L" }
value = -3.1
unit = "points"
se = 1.6
source = "registry record"
provenance = "seen"
mismatch = { indication = "exact", species = "human", quality = "trial" }
"""


def read(tmp_path: Path, text: str, knowledge: Knowledge) -> Study:
    path = tmp_path / "trial1.toml"
    path.write_text(text, encoding="utf-8")
    return read_study(path, knowledge)


def message(tmp_path: Path, text: str, knowledge: Knowledge) -> str:
    with pytest.raises(StudyError) as caught:
        read(tmp_path, text, knowledge)
    return str(caught.value)


def swap(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def result(**keys: object) -> str:
    """Return the good study with one result, written from keys."""
    head = GOOD.split("[[result]]")[0]
    given_keys = {"arm": '"antibody"', "source": '"x"', "provenance": '"seen"'} | keys
    lines = [f"{key} = {value}" for key, value in given_keys.items() if value is not None]
    return head + "[[result]]\n" + "\n".join(lines)


# A good file


def test_a_good_file_becomes_a_study(tmp_path: Path, knowledge: Knowledge) -> None:
    study = read(tmp_path, GOOD, knowledge)
    assert (study.id, study.title, study.role) == ("trial1", "trial1", "calibrate")
    assert study.duration_h == 2016
    assert study.output_times_h == tuple(168.0 * week for week in range(13))
    assert study.outputs == ("HAMD17",)
    population = study.population
    assert (population.diagnosis, population.severity_scale, population.n) == ("mdd", "HAMD17", 60)
    assert population.failed_steps == 2
    assert [(dose.drug, dose.amount, dose.every_h) for dose in population.background] == [("tablet-a", 20, 24)]
    assert study.arms[0].doses[0].weeks == (0, 2, 6)
    assert study.arms[1].doses == ()
    found = study.results[0]
    assert (found.of, found.time_h, found.value, found.se) == ("HAMD17", 2016, -3.1, 1.6)
    assert found.stratum is not None
    assert (found.stratum.min, found.stratum.max) == (5, None)
    assert found.mismatch == (("indication", "exact"), ("species", "human"), ("quality", "trial"))


def test_eligibility_comes_in_the_unit_of_its_analyte(tmp_path: Path, knowledge: Knowledge) -> None:
    (limit,) = read(tmp_path, GOOD, knowledge).population.eligible
    assert (limit.analyte, limit.unit, limit.min) == ("hsCRP", "mg/L", 0)
    assert limit.max == pytest.approx(50)


def test_a_lognormal_covariate_keeps_the_mean_and_sd_of_the_study(tmp_path: Path, knowledge: Knowledge) -> None:
    bmi = read(tmp_path, GOOD, knowledge).population.distributions["BMI"]
    assert bmi.family == "lognormal"
    mean = bmi.center * 2.718281828459045 ** (bmi.spread**2 / 2)
    variance = mean**2 * (2.718281828459045 ** (bmi.spread**2) - 1)
    assert mean == pytest.approx(31)
    assert sqrt(variance) == pytest.approx(7)
    assert bmi.source.doi == "10.1000/trial1"


def test_a_challenge_lasts_five_days_and_is_seen_often(tmp_path: Path, knowledge: Knowledge) -> None:
    text = """
[study]
id = "challenge"
doi = "10.1000/challenge"
role = "validate"
[population]
diagnosis = "healthy"
[[arm]]
id = "toxin"
n = 20
dose = [{ drug = "toxin-e", amount = 2, unit = "ng/kg", route = "iv", hours = [0, 1.5] }]
[[result]]
endpoint = "change"
of = "TNF_free"
hour = 1.6
arm = "toxin"
value = 300
unit = "pg/mL"
sd = 200
source = "figure 1"
provenance = "seen"
"""
    study = read(tmp_path, text, knowledge)
    assert study.duration_h == 120
    assert {0, 0.25, 1.5, 1.6, 11.75, 12, 47, 48, 54, 120} <= set(study.output_times_h)
    assert study.arms[0].doses[0].weeks == pytest.approx((0, 1.5 / 168))
    assert study.results[0].se == pytest.approx(200 / sqrt(20))


def test_times_can_be_listed(tmp_path: Path, knowledge: Knowledge) -> None:
    visits = read(tmp_path, swap('role = "calibrate"', 'role = "calibrate"\nvisits = [0, 4, 8, 16]'), knowledge)
    assert (visits.duration_h, visits.output_times_h) == (2688, (0, 672, 1344, 2016, 2688))
    hours = read(tmp_path, swap('role = "calibrate"', 'role = "calibrate"\ntimes_h = [24, 72]'), knowledge)
    assert hours.output_times_h == (0, 24, 72, 2016)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ('every = "24 h"', (24.0, 0.0, None)),
        ('every = "1 day", start_week = 2', (24.0, 2.0, None)),
        ('every = "2 weeks", stop_week = 8', (336.0, 0.0, 8.0)),
        ("every_h = 12", (12.0, 0.0, None)),
    ],
)
def test_repeated_doses(tmp_path: Path, knowledge: Knowledge, entry: str, expected: tuple[object, ...]) -> None:
    (dose,) = read(tmp_path, swap("weeks = [0, 2, 6]", entry), knowledge).arms[0].doses
    assert (dose.every_h, dose.start_week, dose.stop_week) == expected


@pytest.mark.parametrize(
    ("background", "expected"),
    [
        ('["tablet-a"]', [("tablet-a", 10, 24)]),
        ('[{ drug = "tablet-a", amount = 5, unit = "mg", route = "oral", every = "12 h" }]', [("tablet-a", 5, 12)]),
        ("[]", []),
    ],
)
def test_background(tmp_path: Path, knowledge: Knowledge, background: str, expected: list[object]) -> None:
    study = read(tmp_path, swap('["any-antidepressant"]', background), knowledge)
    assert [(dose.drug, dose.amount, dose.every_h) for dose in study.population.background] == expected


@pytest.mark.parametrize(
    ("keys", "value", "se"),
    [
        # standard errors on the scale of the endpoint, from each way of publishing one
        ({"endpoint": '"change"', "of": '"HAMD17"', "week": 4, "value": -5, "unit": '"points"', "sd": 6, "n": 36},
         -5, 1),
        ({"endpoint": '"level"', "of": '"hsCRP"', "week": 4, "value": 0.4, "unit": '"mg/dL"', "ci": "[0.2, 0.6]"},
         4, 2 / 1.959963984540054),
        ({"endpoint": '"change"', "of": '"IL-6"', "week": 4, "value": 2, "unit": '"pg/mL"', "n": 100,
          "quantiles": "{ p25 = 1, p75 = 3 }"}, 2, 2 / (2 * 0.6744897501960817) / 10),
        ({"endpoint": '"change"', "of": '"HAMD17"', "week": 4, "versus": '"placebo"', "value": -2, "unit": '"points"',
          "sd": "[6, 8]", "n": "[9, 16]"}, -2, sqrt(36 / 9 + 64 / 16)),
        ({"endpoint": '"response"', "of": '"HAMD17"', "week": 4, "value": 62, "unit": '"%"', "n": 13}, 0.62,
         sqrt(0.62 * 0.38 / 13)),
        ({"endpoint": '"response"', "of": '"HAMD17"', "week": 4, "value": 0, "unit": '"%"', "n": 9}, 0,
         sqrt(0.05 * 0.95 / 9)),
        ({"endpoint": '"remission"', "of": '"HAMD17"', "week": 4, "value": 30, "unit": '"%"'}, 0.3,
         sqrt(0.3 * 0.7 / 30)),
        ({"endpoint": '"odds-ratio"', "of": '"HAMD17"', "week": 4, "versus": '"placebo"', "value": 2,
          "ci": "[1, 4]"}, 2, log(4) / (2 * 1.959963984540054)),
        ({"endpoint": '"ratio"', "of": '"hsCRP"', "week": 4, "value": 0.6, "ci": "[0.3, 1.2]", "ci_level": 0.9}, 0.6,
         log(4) / (2 * 1.6448536269514722)),
        ({"endpoint": '"smd"', "of": '"HAMD17"', "week": 4, "versus": '"placebo"', "value": -0.5}, -0.5,
         sqrt(2 / 30 + 0.25 / 120)),
        ({"endpoint": '"correlation"', "of": '"IL-6"', "with": '"MADRS"', "week": 4, "value": 0.4}, 0.4, 1 / sqrt(27)),
        ({"endpoint": '"time-of-peak"', "of": '"IL-6"', "value": 90, "unit": '"min"', "se": 30}, 1.5, 0.5),
        ({"endpoint": '"incidence"', "of": '"MADRS"', "threshold": 13, "week": 4, "value": 59, "unit": '"%"',
          "ci": "[48, 70]"}, 0.59, 0.11 / 1.959963984540054),
    ],
)  # fmt: skip
def test_values_and_standard_errors(
    tmp_path: Path, knowledge: Knowledge, keys: dict[str, object], value: float, se: float
) -> None:
    (found,) = read(tmp_path, result(**keys), knowledge).results
    assert found.value == pytest.approx(value)
    assert found.se == pytest.approx(se)


def test_a_design_needs_no_values(tmp_path: Path, knowledge: Knowledge) -> None:
    text = result(endpoint='"response"', of='"HAMD17"', week=6, versus='"placebo"', source=None, provenance=None)
    text = text.replace('role = "calibrate"', 'role = "design"').replace('doi = "10.1000/trial1"\n', "")
    study = read(tmp_path, text, knowledge)
    assert study.results[0].value is None
    assert study.results[0].se is None
    assert study.duration_h == 2016


# Bad files: every message names file, line, key, and what to do


@pytest.mark.parametrize(
    ("old", "new", "line", "parts"),
    [
        ("failed_steps", "failed_step", 13, ["population > failed_step", "unknown key", "failed_steps"]),
        ("n = 60", "n = 0", 8, ["population > n", "received 0", "greater than 0"]),
        ("n = 60", 'n = "60"', 8, ["received '60'", "integer"]),
        ("female = 0.67", "female = 67", 10, ["less than or equal to 1"]),
        ('"mdd"', '"mdx"', 7, ["population > diagnosis", "unknown diagnosis 'mdx'", "mdd"]),
        ('"HAM-D", mean', '"HAMX", mean', 12, ["severity > scale", "unknown scale 'HAMX'"]),
        ("mean = 24, sd = 4", "mean = 64, sd = 4", 12, ["severity > mean", "received 64", "0 to 52"]),
        ("mean = 43, sd = 9", "mean = 43, sd = 9, min = 65, max = 18", 9, ["min is 65 and max 18", "min below max"]),
        ("mean = 43, sd = 9", "mean = 43, sd = 0", 9, ["age > sd", "greater than 0"]),
        ('"any-antidepressant"', '"tablet-b"', 14, ["background 1", "unknown drug 'tablet-b'", "tablet-a"]),
        ('"any-antidepressant"', '"antibody-b"', 14, ["single doses", "stable treatment", "every"]),
        ('"any-antidepressant"', "7", 14, ["background 1", "received 7", "any-antidepressant"]),
        ('"CRP"', '"CRPP"', 17, ["eligible 1 > analyte", "unknown analyte", "hsCRP"]),
        ('"CRP"', '"IL-8"', 17, ["does not predict"]),
        ("max = 5\n", "max = -1\n", 16, ["min is 0 and max -1"]),
        ('"mg/dL"', '"mg"', 20, ["eligible 1 > unit", "received 'mg'", "converts to mg/L"]),
        ('"antibody-b", amount', '"antibody-c", amount', 26, ["arm 1 > dose 1 > drug", "unknown drug", "antibody-b"]),
        (', amount = 5, unit = "mg/kg", route = "iv", weeks = [0, 2, 6]', "", 26,
         ["'antibody-b' without dose", "amount = 5", 'unit = "mg/kg"', "weeks = [0, 2, 6]"]),
        (", weeks = [0, 2, 6]", "", 26, ["without times", 'every = "24 h"']),
        ("weeks = [0, 2, 6]", "weeks = [0, -2]", 26, ["greater than or equal to 0"]),
        ("weeks = [0, 2, 6]", "weeks = [2, 0]", 26, ["ascending"]),
        ("weeks = [0, 2, 6]", "weeks = [0], every_h = 24", 26, ["weeks and every_h", "keep one"]),
        ("weeks = [0, 2, 6]", 'every = "often"', 26, ["received 'often'", '"24 h"']),
        ('route = "iv"', 'route = "oral"', 26, ["received 'oral'", "iv or sc"]),
        ('unit = "mg/kg"', 'unit = "mg/L"', 26, ["cannot be a dose", "mg/kg"]),
        ('unit = "mg/kg"', 'unit = "MIU"', 26, ["cannot be a dose"]),
        ('id = "placebo"', 'id = "antibody"', 30, ["another arm", "own id"]),
        ('"change"', '"chance"', 34, ["result 1 > endpoint", "received 'chance'", "did you mean change"]),
        ('of = "HAM-D"', 'of = "HAM-E"', 35, ["result 1 > of", "scale, an analyte or a variable"]),
        ('of = "HAM-D"', 'of = "MOODY"', 35, ["near variables of the model: MOOD"]),
        ('of = "HAM-D"', 'of = "IL-8"', 35, ["does not predict"]),
        ("week = 12", "week = -1", 36, ["result 1 > week", "greater than or equal to 0"]),
        ("week = 12", "", 33, ["result 1", "no time", "week or hour"]),
        ("week = 12", "week = 12\nhour = 3", 33, ["both week and hour"]),
        ('arm = "antibody"', 'arm = "antibodies"', 37, ["result 1 > arm", "expected an arm", "antibody"]),
        ('versus = "placebo"', 'versus = "placebos"', 38, ["result 1 > versus", "placebo"]),
        ('versus = "placebo"', 'versus = "antibody"', 33, ["both 'antibody'"]),
        ('"hsCRP", min = 5', '"hsCRX", min = 5', 39, ["stratum > analyte", "hsCRP"]),
        (", min = 5", "", 39, ["neither min nor max"]),
        ("value = -3.1", "value = -310", 40, ["received -310 points", "expected -52 to 52"]),
        ("value = -3.1\n", "", 33, ["value", "missing"]),
        ('unit = "points"', 'unit = "mg/L"', 41, ["result 1 > unit", "'points'"]),
        ("se = 1.6\n", "", 33, ["no standard error", "sd and n, ci"]),
        ("se = 1.6", "se = -1.6", 42, ["greater than 0"]),
        ("se = 1.6", "se = 1.6\nsd = 4", 33, ["se and sd", "keep the one"]),
        ("se = 1.6", "sd = 4", 33, ["n", "missing"]),
        ("se = 1.6", "ci = [-2, 1]", 33, ["does not hold value -3.1"]),
        ("se = 1.6", "ci = [1, -5]", 33, ["[lower, upper]"]),
        ('"registry record"', '""', 43, ["result 1 > source", "missing"]),
        ('"seen"', '"heard"', 44, ["provenance", "'heard'"]),
        ('indication = "exact"', 'indication = "exakt"', 45, ["mismatch > indication", "did you mean exact"]),
        ('indication = "exact"', 'indikation = "exact"', 45, ["unknown key", "did you mean indication"]),
        ('doi = "10.1000/trial1"', 'doi = "https://doi.org/10.1000/trial1"', 1, ["bare form"]),
        ('doi = "10.1000/trial1"\n', "", 1, ["doi is missing"]),
        ('role = "calibrate"', 'role = "calibration"', 4, ["study > role", "did you mean calibrate"]),
        ('role = "calibrate"', 'role = "design"', 40, ["a design has no results"]),
        ('role = "calibrate"', 'role = "calibrate"\nduration_weeks = 8', 37, ["lies after the end"]),
        ('role = "calibrate"', 'role = "calibrate"\nduration_weeks = 12\nvisits = [0, 14]', 6, ["received 14"]),
        ('role = "calibrate"', 'role = "calibrate"\nvisits = [0]\ntimes_h = [0]', 1, ["keep one"]),
        ('role = "calibrate"', 'role = "calibrate"\noutputs = ["XYZ"]', 5, ["study > outputs", "unknown analyte"]),
    ],
)  # fmt: skip
def test_violations_name_the_place_and_the_remedy(
    tmp_path: Path, knowledge: Knowledge, old: str, new: str, line: int, parts: list[str]
) -> None:
    said = message(tmp_path, swap(old, new), knowledge)
    assert f"{tmp_path / 'trial1.toml'}: line {line}: " in said
    for part in parts:
        assert part in said


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"endpoint": '"response"', "of": '"hsCRP"', "value": 50, "unit": '"%"'}, "expected a symptom scale"),
        ({"endpoint": '"response"', "of": '"HAMD17"', "value": 150, "unit": '"%"'}, "expected 0 to 1"),
        ({"endpoint": '"response"', "of": '"HAMD17"', "value": 0.5, "unit": '"points"'}, "'%' or 'fraction'"),
        ({"endpoint": '"ratio"', "of": '"hsCRP"', "value": 0, "se": 1}, "expected 0 to inf"),
        ({"endpoint": '"ratio"', "of": '"hsCRP"', "value": 2, "unit": '"mg/L"', "se": 1}, "has no unit"),
        ({"endpoint": '"ratio"', "of": '"hsCRP"', "value": 2, "sd": 1, "n": 4}, "an sd gives no standard error"),
        ({"endpoint": '"ratio"', "of": '"hsCRP"', "value": 2, "ci": "[-1, 4]"}, "which ratio cannot be"),
        ({"endpoint": '"correlation"', "of": '"hsCRP"', "value": 0.2, "se": 1}, "with is missing"),
        ({"endpoint": '"change"', "of": '"hsCRP"', "with": '"IL-6"', "value": 0.2, "se": 1}, "with belongs to"),
        ({"endpoint": '"incidence"', "of": '"MADRS"', "value": 50, "unit": '"%"'}, "threshold is missing"),
        ({"endpoint": '"incidence"', "of": '"MADRS"', "threshold": 70, "value": 50, "unit": '"%"'}, "0 to 60"),
        ({"endpoint": '"odds-ratio"', "of": '"MADRS"', "value": 2, "se": 1}, "add versus"),
        ({"endpoint": '"time-of-peak"', "of": '"IL-6"', "value": 2, "unit": '"h"', "se": 1}, "drop week"),
        ({"endpoint": '"time-of-peak"', "of": '"IL-6"', "week": None, "value": 2, "unit": '"mg"', "se": 1}, "a time"),
        ({"endpoint": '"change"', "of": '"IL-6"', "value": 2, "se": 1}, "add a unit such as pg/mL"),
        ({"endpoint": '"change"', "of": '"TNF_free"', "value": 2, "unit": '"mg/L"', "se": 1}, "expected pg_per_mL"),
        ({"endpoint": '"change"', "of": '"IL-6"', "value": 2, "unit": '"pg/mL"', "n": "[3, 4]", "sd": 2}, "one number"),
    ],
)
def test_results_that_make_no_sense(tmp_path: Path, knowledge: Knowledge, keys: dict[str, object], part: str) -> None:
    assert part in message(tmp_path, result(**({"week": 4} | keys)), knowledge)


def test_all_problems_are_told_at_once(tmp_path: Path, knowledge: Knowledge) -> None:
    text = swap('"mdd"', '"mdx"').replace('"antibody-b"', '"antibody-x"').replace("-3.1", "-99")
    said = message(tmp_path, text, knowledge)
    assert [part.split(": ")[1] for part in said.splitlines()] == ["line 7", "line 26", "line 40"]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"[study]\nid = \n", ["not valid TOML", "line 2"]),
        (b'[study]\nid = "a"; role = "design"\n', ["not valid TOML", "TOML has no ';'"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ["no text file", "UTF-8"]),
        (b"id = 1\x00", ["no text file", "NUL"]),
        (b"", ["study: missing", "population: missing", "arm: missing"]),
    ],
)
def test_files_that_are_no_study(tmp_path: Path, knowledge: Knowledge, content: bytes, parts: list[str]) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(StudyError) as caught:
        read_study(path, knowledge)
    for part in (str(path), *parts):
        assert part in str(caught.value)


def test_a_missing_file_names_its_neighbors(tmp_path: Path, knowledge: Knowledge) -> None:
    (tmp_path / "trial1.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(StudyError, match=r"no such file.*did you mean .*trial1\.toml"):
        read_study(tmp_path / "trail1.toml", knowledge)
    with pytest.raises(StudyError, match="is a folder"):
        read_study(tmp_path, knowledge)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_no_file_gets_past_as_anything_but_a_study_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("study") / "any.toml"
    path.write_bytes(content)
    with pytest.raises(StudyError):
        read_study(path, KNOWN)


KNOWN = Knowledge(
    root=Path(), parameters={}, slots={}, drugs={}, regimens={}, analytes={}, scales={}, diagnoses={}, scores={},
    mechanisms={}, study_files={}, references={}, discounts=Discounts({}, 0, {}, 0, 0, {}, {}, {}, 0, 0, 0, 1, {}),
    sha256="", analyte_names={},
)  # fmt: skip


def test_lines_of_nested_keys() -> None:
    for path, line in (
        (("study", "id"), 2),
        (("population", "severity", "mean"), 12),
        (("population", "eligible", 0, "unit"), 20),
        (("arm", 0, "dose", 0, "unit"), 26),
        (("arm", 1, "id"), 30),
        (("arm", 2, "id"), None),
        (("result", 0, "mismatch", "species"), 45),
        (("result", 0, "absent"), 33),
        (("absent",), None),
    ):
        assert line_of(GOOD, path) == line, path


# What ships


@pytest.mark.parametrize("path", [*SHIPPED, *EXAMPLES], ids=lambda path: path.stem)
def test_every_shipped_study_loads(path: Path) -> None:
    study = read_study(path)
    assert study.id == path.stem
    assert study.arms
    assert study.output_times_h[0] == 0
    for found in study.results:
        if study.role in ("calibrate", "validate"):
            assert found.se is not None
            assert found.se > 0
        if "assumed" in found.se_source or study.role == "design":
            continue
        assert found.source


def test_the_shipped_studies_hold_calibration_and_validation_apart() -> None:
    roles = {path.stem: read_study(path).role for path in SHIPPED}
    assert len(roles) >= 10
    assert {"calibrate", "validate", "context"} == set(roles.values())
    # what must be predicted is never fitted
    assert {roles[name] for name in ("nettis2021", "otte2025", "leboyer2025", "baune2021")} == {"validate"}


def test_to_add_a_study_add_one_file(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    text = GOOD.replace("antibody-b", "infliximab").replace('id = "trial1"', 'id = "mine"')
    (tmp_path / "studies" / "mine.toml").write_text(text, encoding="utf-8")
    known = load_knowledge(extra=[tmp_path])
    study = read_study("mine", known)
    assert study.id == "mine"
    assert study.arms[0].doses[0].drug == "infliximab"


# Moderation, pooled arms, shared patients

MODERATION = (
    GOOD.replace("[[result]]", '[[result]]\nshares = "crp"', 1)
    + """
[[result]]
endpoint = "interaction"
of = "HAM-D"
week = 12
arm = "antibody"
versus = "placebo"
marker = { analyte = "hsCRP", per = "ln" }
shares = "crp"
value = -1.2
unit = "points"
ci = [-2.1, -0.3]
source = "table 2"
provenance = "seen"
mismatch = { indication = "exact", species = "human", quality = "trial" }
"""
)


def test_an_interaction_is_read_with_its_marker(tmp_path: Path, knowledge: Knowledge) -> None:
    found = read(tmp_path, MODERATION, knowledge).results[-1]
    assert (found.endpoint, found.unit, found.marker) == ("interaction", "points", Marker("hsCRP", "ln"))
    assert found.measured == ("hsCRP",)
    assert found.se == pytest.approx(0.9 / 1.959964)


def test_limits_of_strata_come_in_the_unit_of_the_analyte(tmp_path: Path, knowledge: Knowledge) -> None:
    text = MODERATION.replace('per = "ln"', 'per = "stratum", min = 0.3, max = 0.1, unit = "mg/dL"')
    marker = read(tmp_path, text, knowledge).results[-1].marker
    assert marker is not None
    assert (marker.unit, marker.min, marker.max) == ("mg/L", pytest.approx(3), pytest.approx(1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('marker = { analyte = "hsCRP", per = "ln" }', "", "marker is missing: interaction needs it"),
        ('per = "ln" }', 'per = "unit" }', "a marker per unit has no unit: add one"),
        ('per = "ln" }', 'per = "stratum", min = 3 }', "a marker per stratum has no unit: add one"),
        ('per = "ln" }', 'per = "stratum", unit = "mg/L" }', "a marker per stratum has no min"),
        ('per = "ln" }', 'per = "stratum", min = 1, max = 3, unit = "mg/L" }', "overlaps the upper"),
        ('per = "ln" }', 'per = "ln", min = 3 }', "min and max belong to per = 'stratum'"),
        ('per = "ln" }', 'per = "log" }', "received 'log', expected"),
        ('per = "ln" }', 'per = "unit", unit = "mmol/L" }', "hsCRP"),
        ('analyte = "hsCRP", per', 'analyte = "hsCPR", per', "hsCRP"),
        ('endpoint = "interaction"', 'endpoint = "interacton"', "did you mean interaction"),
        ('endpoint = "interaction"', 'endpoint = "interaction-or"', "event is missing: interaction-or needs it"),
        ('endpoint = "interaction"', 'endpoint = "slope"', "slope is a statistic of one arm: drop versus"),
        ('versus = "placebo"\nmarker', "marker", "interaction compares two arms: add versus"),
        (
            'arm = "antibody"\nversus = "placebo"\nmarker',
            'arm = "antibdy"\nversus = "placebo"\nmarker',
            "received 'antibdy'",
        ),
        ('shares = "crp"\nvalue', "value", "are of the same patients; give both the same label"),
        ('endpoint = "interaction"', 'endpoint = "hazard-ratio"\nevent = "response"', "give one of versus and marker"),
        ("value = -1.2", 'adjust = ["hsCPR"]\nvalue = -1.2', "hsCRP"),
        ("value = -1.2", 'figure = "guessed"\nvalue = -1.2', "received 'guessed', expected"),
    ],
)
def test_a_wrong_result_on_moderation_is_named_with_its_place(
    tmp_path: Path, knowledge: Knowledge, old: str, new: str, message: str
) -> None:
    head, tail = MODERATION.rsplit("[[result]]", 1)
    assert old in tail
    with pytest.raises(StudyError, match=r"line \d+: result") as raised:
        read(tmp_path, head + "[[result]]" + tail.replace(old, new), knowledge)
    assert message in str(raised.value)


def test_a_hazard_ratio_is_above_zero(tmp_path: Path, knowledge: Knowledge) -> None:
    head, tail = MODERATION.rsplit("[[result]]", 1)
    tail = tail.replace('endpoint = "interaction"', 'endpoint = "hazard-ratio"\nevent = "response"')
    tail = tail.replace('marker = { analyte = "hsCRP", per = "ln" }\n', "").replace('unit = "points"\n', "")
    for value in ("-1.2", "0"):
        wrong = tail.replace("value = -1.2", f"value = {value}").replace("ci = [-2.1, -0.3]", "se = 0.2")
        with pytest.raises(StudyError, match=rf"value: received {value}, expected 0 to inf \(hazard-ratio"):
            read(tmp_path, head + "[[result]]" + wrong, knowledge)


POOLED = """
[[arm]]
id = "either"
mixture = [{ share = 0.25, dose = [{ drug = "tablet-a", amount = 20, unit = "mg", route = "oral", every = "24 h" }] },
           { share = 0.75 }]
"""


def test_a_pooled_arm_holds_its_parts(tmp_path: Path, knowledge: Knowledge) -> None:
    arm = read(tmp_path, GOOD + POOLED, knowledge).arms[-1]
    assert [(part.share, len(part.doses)) for part in arm.mixture] == [(0.25, 1), (0.75, 0)]
    assert [dose.drug for dose in arm.all_doses] == ["tablet-a"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("share = 0.75", "share = 0.65", "the shares of mixture add up to 0.9: expected 1"),
        ("share = 0.75", "share = -0.75", "share"),
        ('drug = "tablet-a"', 'drug = "tablet-z"', "tablet-a"),
        ('id = "either"', 'id = "either"\ndose = []\nmixtur = 1', "mixture"),
    ],
)
def test_a_wrong_mixture_is_named(tmp_path: Path, knowledge: Knowledge, old: str, new: str, message: str) -> None:
    assert old in POOLED
    with pytest.raises(StudyError, match=r"line \d+: arm 3") as raised:
        read(tmp_path, GOOD + POOLED.replace(old, new), knowledge)
    assert message in str(raised.value)
