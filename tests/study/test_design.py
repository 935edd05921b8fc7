"""The table [trial]: what becomes of a good one, and why an impossible one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosstalk.errors import StudyError
from crosstalk.knowledge import load_knowledge
from crosstalk.study import Study, read_study
from crosstalk.study.design import Crossover, Interim, LeadIn, Stratum

EXAMPLES = sorted((Path(__file__).parents[2] / "examples/trials").glob("*.toml"))

GOOD = """\
[study]
id = "mine"
role = "design"
duration_weeks = 8
visits = [0, 2, 4, 6, 8]

[population]
diagnosis = "mdd"
severity = { scale = "HAMD17", mean = 22, sd = 4, source = "assumed" }
failed_steps = 1
background = ["any-antidepressant"]
dropout = 0.1

[[arm]]
id = "minocycline"
dose = [{ drug = "minocycline", amount = 200, unit = "mg", route = "oral", every = "24 h" }]

[[arm]]
id = "placebo"

[trial]
design = "stratified"
n = 120
allocation = { minocycline = 2, placebo = 1 }
marker = { analyte = "CRP", min = 0.3, unit = "mg/dL" }
strata = [{ analyte = "sex" }, { analyte = "HAMD17", cuts = [20, 25] }]
multiplicity = "holm"

[trial.conduct]
visit_window_days = 3
side_effects = { minocycline = 1.3 }

[trial.interim]
information = [0.5, 1.0]

[[trial.analysis]]
id = "primary"
method = "mmrm"
of = "HAMD17"
week = 8
arm = "minocycline"
covariates = ["prognosis", "CRP"]

[[trial.analysis]]
id = "positive"
method = "ancova"
of = "HAM-D"
week = 6
arm = "minocycline"
part = "positive"
"""


def read(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_study(path, load_knowledge())


def test_a_good_table_becomes_a_design(tmp_path: Path) -> None:
    design = read(tmp_path, GOOD).trial
    assert design is not None
    assert design.allocation == {"minocycline": pytest.approx(2 / 3), "placebo": pytest.approx(1 / 3)}
    assert (design.block, design.control) == (6, "placebo")
    assert design.marker is not None
    assert (design.marker.analyte, design.marker.min, design.marker.unit) == ("hsCRP", pytest.approx(3.0), "mg/L")
    assert design.strata == (Stratum("sex", (0.5,)), Stratum("HAMD17", (20.0, 25.0)))
    assert design.interim == Interim((0.5, 1.0), "obrien-fleming", 0.2)
    assert design.conduct.dropout == 0.1  # that of the population
    assert design.conduct.visit_window_h == 72.0
    first, second = design.analyses
    assert design.primary is first
    assert (first.versus, first.time_h, first.covariates) == ("placebo", 8 * 168.0, ("prognosis", "hsCRP"))
    assert (second.of, second.part, second.alpha) == ("HAMD17", "positive", 0.05)


def test_a_trial_does_not_change_the_hash_of_the_evidence(tmp_path: Path) -> None:
    """The hash is over what studies look like, and published ones have no trial."""
    with_, without = read(tmp_path, GOOD), read(tmp_path, GOOD.split("[trial]")[0])
    assert without.trial is None
    assert repr(with_) == repr(without)
    assert with_ != without


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_examples_are_designs(path: Path) -> None:
    study = read_study(path, load_knowledge())
    assert study.trial is not None
    assert study.id == path.stem


def changed(old: str, new: str, text: str = GOOD) -> str:
    assert old in text
    return text.replace(old, new, 1)


MARKER = 'marker = { analyte = "CRP", min = 0.3, unit = "mg/dL" }\n'
KIND = 'design = "stratified"\n'
PRIMARY = 'method = "mmrm"\nof = "HAMD17"\nweek = 8\n'
POSITIVE = GOOD[GOOD.index('[[trial.analysis]]\nid = "positive"') :]
INTERIM = "[trial.interim]\ninformation = [0.5, 1.0]\n"
WITHOUT_MARKER = changed(MARKER, "", changed(KIND, "", changed(POSITIVE, "")))
CROSSOVER = changed(
    "allocation = { minocycline = 2, placebo = 1 }\n", "crossover = { period_weeks = 4 }\n",
    changed(INTERIM, "", changed(PRIMARY, PRIMARY.replace("mmrm", "crossover").replace("8", "4"),
            changed(MARKER, "", changed(KIND, 'design = "crossover"\n', changed(POSITIVE, ""))))),
)  # fmt: skip


def test_other_designs(tmp_path: Path) -> None:
    crossover = read(tmp_path, CROSSOVER).trial
    assert crossover is not None
    assert crossover.crossover == Crossover(4 * 168.0, 0.0)
    assert list(crossover.allocation) == ["minocycline-placebo", "placebo-minocycline"]
    led = read(tmp_path, changed("n = 120\n", "n = 120\nlead_in = { weeks = 1 }\n")).trial
    assert led is not None
    assert led.lead_in == LeadIn(168.0, 0.25)
    match = changed('arm = "minocycline"\ncovariates', 'arm = "matched"\ncovariates', changed(POSITIVE, ""))
    match = changed(KIND, 'design = "match"\nmatch = { positive = "minocycline", negative = "placebo" }\n', match)
    match = changed("allocation = { minocycline = 2, placebo = 1 }\n", "", changed(INTERIM, "", match))
    design = read(tmp_path, match).trial
    assert design is not None
    assert (design.match, design.primary.versus) == (("minocycline", "placebo"), "mismatched")
    assert list(design.allocation) == ["matched", "mismatched"]
    adaptive = read(tmp_path, changed(KIND, 'design = "adaptive-enrichment"\n')).trial
    assert adaptive is not None
    assert adaptive.interim is not None


REFUSED = {
    "cut-off above everybody": (
        changed("min = 0.3", "min = 900"), "line 25: trial > marker > min: received 900 mg/dL, which nobody reaches",
    ),
    "everybody positive": (changed("min = 0.3", "min = 0"), "trial > marker: everybody is positive"),
    "cut-off without limits": (changed("min = 0.3, ", ""), "trial > marker: neither min nor max is given"),
    "nobody between the limits": (changed("min = 0.3", "min = 3, max = 1"), "nobody would be positive; set min below"),
    "criteria leave the negative alone": (
        changed("[[arm]]", '[[population.eligible]]\nanalyte = "hsCRP"\nmax = 3\nunit = "mg/L"\n\n[[arm]]'),
        "trial > marker: the eligibility criteria exclude every marker-positive patient",
    ),
    "criteria leave the positive alone": (
        changed("[[arm]]", '[[population.eligible]]\nanalyte = "hsCRP"\nmin = 5\nunit = "mg/L"\n\n[[arm]]'),
        "trial > marker: the eligibility criteria leave only marker-positive patients; widen them",
    ),
    "a scale as marker": (
        changed('analyte = "CRP", min = 0.3, unit = "mg/dL"', 'analyte = "HAMD17", min = 20, unit = "points"'),
        "marker > analyte: received 'HAMD17', a symptom scale",
    ),
    "unknown analyte": (changed('analyte = "CRP"', 'analyte = "CRPP"'), "trial > marker > analyte: "),
    "unit that does not convert": (changed('unit = "mg/dL"', 'unit = "mmHg"'), "marker > unit: received 'mmHg'"),
    "shares that do not sum": (
        changed("minocycline = 2, placebo = 1", "minocycline = 0.7, placebo = 0.4"),
        "line 24: trial > allocation: the shares sum to 1.1; expected 1, or whole numbers",
    ),
    "shares that are no ratio": (
        changed("minocycline = 2, placebo = 1", "minocycline = 0.61803398, placebo = 0.38196602"),
        "allocation: received 0.618034, 0.381966, expected a ratio of small whole numbers",
    ),
    "shares of another arm": (
        changed("minocycline = 2, placebo = 1", "drug = 2, placebo = 1"),
        "allocation: received drug, placebo, expected a share for each of minocycline, placebo",
    ),
    "an arm that would be empty": (
        changed("n = 120", "n = 8", changed("minocycline = 2, placebo = 1", "minocycline = 9, placebo = 1")),
        "allocation: 'placebo' would get 0.8 of 8 patients; expected at least 2",
    ),
    "block that does not fit the ratio": (
        changed("n = 120", "n = 120\nblock = 4"), "trial > block: received 4, expected a multiple of 3, since the "
        "allocation is 2 to 1",
    ),
    "block larger than the trial": (
        changed("n = 120", "n = 120\nblock = 300"), "trial > block: received 300, expected at most the 120 patients",
    ),
    "endpoint after the last visit": (
        changed(PRIMARY, PRIMARY.replace("8", "9")),
        "line 40: trial > analysis 1 > week: received 9, which lies after the last visit (week 8); correct it",
    ),
    "endpoint without visit": (
        changed(PRIMARY, PRIMARY.replace("8", "5")), "week: received 5, expected a visit (weeks 2, 4, 6, 8)",
    ),
    "unknown arm": (
        changed('arm = "minocycline"\ncovariates', 'arm = "drug"\ncovariates'),
        "trial > analysis 1 > arm: received 'drug', expected one of minocycline, placebo",
    ),
    "arm against itself": (
        changed('arm = "minocycline"\ncovariates', 'arm = "placebo"\ncovariates'), "versus: received 'placebo'",
    ),
    "unknown method": (
        changed('method = "mmrm"', 'method = "mmrn"'),
        "line 38: trial > analysis 1 > method: received 'mmrn', expected 'mmrm', 'ancova'",
    ),
    "unknown scale": (
        changed(PRIMARY, PRIMARY.replace("HAMD17", "HAMDD")), "line 39: trial > analysis 1 > of: ",
    ),
    "unknown covariate": (changed('"prognosis", "CRP"', '"prognosis", "CRPP"'), "analysis 1 > covariates: "),
    "scale as covariate": (changed('"prognosis", "CRP"', '"MADRS"'), "received 'MADRS', expected 'prognosis'"),
    "unknown key": (changed("n = 120", "n = 120\nmarkr = 3"), "trial > markr: unknown key; did you mean marker?"),
    "unknown design": (changed("stratified", "umbrella"), "trial > design: received 'umbrella'"),
    "stratified without marker": (
        changed(MARKER, ""), "trial > marker: design is 'stratified' but no marker is given; add marker",
    ),
    "plain design with a marker": (
        changed(KIND, ""), "trial > marker: a parallel design looks at no marker; take design = 'stratified'",
    ),
    "plain design with a part": (
        WITHOUT_MARKER + 'part = "positive"\n', "a parallel design was asked for an analysis by marker; take design",
    ),
    "plain design with an interaction": (
        changed('"mmrm"', '"interaction"', WITHOUT_MARKER), "analysis 1: a parallel design was asked for an",
    ),
    "plain design with a slope": (
        changed('"mmrm"', '"marker-slope"', WITHOUT_MARKER), "analysis 1: a parallel design was asked for an",
    ),
    "plain design with futility": (
        changed("[0.5, 1.0]\n", "[0.5, 1.0]\nfutility = 0.1\n", WITHOUT_MARKER),
        "interim > futility: drops the marker-negative, which a parallel design cannot; take design = 'adaptive-enrich",
    ),
    "plain design with a match": (
        changed("n = 120", 'n = 120\nmatch = { positive = "minocycline", negative = "placebo" }', WITHOUT_MARKER),
        "[trial.match] belongs to design = 'match', and the design is 'parallel'",
    ),
    "enrichment with the negative": (
        changed('part = "positive"', 'part = "negative"', changed("stratified", "enrichment")),
        "an enrichment randomises no marker-negative patient",
    ),
    "adaptive without look": (
        changed(INTERIM, "", changed("stratified", "adaptive-enrichment")),
        "trial > interim: design is 'adaptive-enrichment' but there is no interim look",
    ),
    "adaptive with three looks": (
        changed("[0.5, 1.0]", "[0.3, 0.6, 1.0]", changed("stratified", "adaptive-enrichment")),
        "information: received 3 looks, expected two for an adaptive enrichment",
    ),
    "adaptive with a primary in a part": (
        changed(PRIMARY, PRIMARY + 'part = "positive"\n', changed("stratified", "adaptive-enrichment")),
        "analysis 1 > part: the first analysis of an adaptive enrichment is of all patients",
    ),
    "looks out of order": (changed("[0.5, 1.0]", "[1.0, 0.5]"), "trial > interim: information is [1.0, 0.5]: expected"),
    "a look at nobody": (changed("[0.5, 1.0]", "[0.05, 1.0]"), "information: the first look would see 6 patients"),
    "lead-in with a crossover": (
        changed("n = 120", "n = 120\nlead_in = { weeks = 1 }", CROSSOVER), "trial > lead_in: a lead-in is not offered",
    ),
    "crossover of another length": (
        changed("period_weeks = 4", "period_weeks = 3", CROSSOVER),
        "study > duration_weeks: received 8, expected 6: two periods and the washout",
    ),
    "crossover with a usual analysis": (
        changed('"crossover"\nof', '"ancova"\nof', CROSSOVER), "method: received 'ancova' in a crossover design",
    ),
    "crossover with looks": (changed("[trial.conduct]", INTERIM + "[trial.conduct]", CROSSOVER), "interim looks are"),
    "crossover of three arms": (
        changed("[trial]", '[[arm]]\nid = "third"\n[trial]', CROSSOVER), "design: 'crossover' has two arms, received 3",
    ),
    "visits that change places": (
        changed("visit_window_days = 3", "visit_window_days = 9"),
        "visit_window_days: received 9, expected at most 7: visits are 14 days apart",
    ),
    "side effects of nobody": (changed("{ minocycline = 1.3 }", "{ drug = 1.3 }"), "side_effects: received 'drug'"),
    "stratum on another scale": (
        changed('{ analyte = "HAMD17", cuts = [20, 25] }', '{ analyte = "MADRS", cuts = [30] }'),
        "trial > strata 2 > analyte: received 'MADRS', expected HAMD17, the scale of severity",
    ),
    "stratum without cuts": (changed(", cuts = [20, 25]", ""), "strata 2 > cuts: received [], expected"),
    "non-responders without scores off the drug": (
        changed(PRIMARY, PRIMARY.replace("mmrm", "response") + 'estimand = "hypothetical"\n'),
        "analysis 1 > estimand: received 'hypothetical', which leaves out scores off the drug",
    ),
    "two analyses of one name": (
        changed('id = "positive"', 'id = "primary"'), "analysis 2 > id: two analyses are called 'primary'",
    ),
    "closed test of one population": (
        changed('"holm"', '"closed"'), "trial > multiplicity: a closed test needs the primary analysis both of all and",
    ),
    "several levels": (
        changed('part = "positive"\n', 'part = "positive"\nalpha = 0.01\n'), "holm needs one alpha for all",
    ),
    "primary that is exploratory": (
        changed(PRIMARY, PRIMARY + "confirmatory = false\n"), "analysis 1 > confirmatory: the first",
    ),
    "no control": (
        changed('id = "placebo"\n', 'id = "placebo"\ndose = [{ drug = "escitalopram", amount = 10, unit = "mg", '
                'route = "oral", every = "24 h" }]\n'),
        "trial > control: received '', expected one of minocycline, placebo; name the control",
    ),
    "one arm": (changed('[[arm]]\nid = "placebo"\n', ""), "trial: needs two arms, and the study has one"),
    "a published study": (changed('"design"\n', '"context"\ndoi = "10.1000/1"\n'), "trial: belongs to role"),
    "no analysis": (GOOD[: GOOD.index("[[trial.analysis]]")], "trial > analysis: missing; add it"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_impossible_design_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    text, words = REFUSED[name]
    with pytest.raises(StudyError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "mine.toml"))
    assert "line " in message
    assert words in message, message
    # one problem is said once
    assert len(message.splitlines()) == len(set(message.splitlines()))
