"""No headline about the model stands without its rivals, in any text that the project shows."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TEXTS = [
    ROOT / "README.md",
    *sorted(p for p in DOCS.rglob("*.md") if "_build" not in p.parts),
    *sorted((DOCS / "output").glob("*.txt")),
    *sorted((DOCS / "results").glob("*.txt")),
]
COVERAGE = re.compile(
    r"\d+ of \d+[^.|]*\b(?:inside|intervals?)\b|\b(?:inside|intervals?)\b[^.|]*\d+ of \d+|\d+ ?% [^.|]*inside",
    re.IGNORECASE,
)
OF_THE_MODEL = re.compile(r"90 %|predicti|never saw|held[- ]out", re.IGNORECASE)


def unrivalled(text: str) -> list[str]:
    """Paragraphs that tell how many results lie inside the model's intervals, and not how many inside its rivals'."""
    found = []
    for paragraph in re.split(r"\n\s*\n|\n(?=[-|#])", text):
        if COVERAGE.search(paragraph) and OF_THE_MODEL.search(paragraph):
            rivals = "prior predictive" in paragraph and "trivial predictor" in paragraph
            if not rivals:
                found.append(paragraph.strip())
    return found


def test_the_scan_finds_what_it_looks_for() -> None:
    bare = "Of 55 results that it never saw, 39 of 55 (71%) lie inside its 90 % predictive interval."
    assert unrivalled(bare) == [bare]
    assert unrivalled("Validation: 39 of 55 (71 %) of the results lie inside the predicted 90 % interval.")
    told = (
        "39 of 55 lie inside the 90 % intervals, 38 inside those of the prior predictive, 41 of the trivial predictor"
    )
    assert unrivalled(told) == []
    assert unrivalled("The interval holds 85 % of new studies with five studies.") == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_coverage_without_rivals(path: Path) -> None:
    assert unrivalled(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", ["README.md", "docs/credibility.md"])
def test_skill_stands_in_the_first_lines(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()[:12]
    assert any(line.startswith("**Skill.**") for line in lines), f"{name}: run python docs/make_credibility.py"


@pytest.fixture(scope="module")
def history() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verdict_history", DOCS / "verdict_history.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_first_revisions_are_told_as_they_were(history: ModuleType) -> None:
    """Before and after the judging changed, then two posteriors made with the verdicts known."""
    first = history.read()[:4]
    assert [r.counts["inside"] for r in first] == [34, 29, 34, 39]
    assert [r.posterior == first[k].posterior for k, r in enumerate(first[1:])] == [True, False, False]
    assert history.sentence(first).startswith(
        "12 held-out verdicts moved with 2 revisions of the model that were made after they had been seen, 8 of them "
        "of nhanes2007"
    )


def test_a_revision_is_kept_when_verdicts_move(history: ModuleType) -> None:
    page = (
        "<!-- credibility: validation -->\n\n| study | result | verdict |\n| --- | --- | --- |\n"
        "| [a2020](https://doi.org/10.1/x) | change | **outside** |\n| b2021 | smd | inside |\n\n<!-- end -->"
    )
    judged = history.verdicts_of(page)
    assert judged == {"a2020: change": "outside", "b2021: smd": "inside"}
    one = history.revised((), judged, date="2026-01-01", change="first", posterior="x")
    assert history.revised(one, judged, date="2026-01-02", change="again", posterior="y") == one
    moved = {"a2020: change": "inside", "c2022: smd": "outside"}
    two = history.revised(one, moved, date="2026-01-03", change="second", posterior="y", rivals=("1 of 2", "0 of 1"))
    assert two[1].moved == (("a2020: change", "outside", "inside"),)
    table = history.table(two)
    assert "| 2026-01-03 | second | 1 of 2 | 1 of 2, 0 of 1 | 1, 1 of them to the inside: a2020 1 |" in table
    stated = history.revised(two, {**moved, "a2020: change": "stated, not judged"}, date="", change="", posterior="z")
    assert "| none; 1 no longer judged, or judged for the first time |" in history.table(stated)
    assert history.sentence(stated) == history.sentence(two)
    assert history.sentence(one) == "No verdict has moved since the first posterior."


def test_the_page_and_the_readme_tell_the_history(history: ModuleType) -> None:
    kept = history.read()
    page = (DOCS / "credibility.md").read_text(encoding="utf-8")
    assert history.table(kept) in page
    assert history.sentence(kept) in (ROOT / "README.md").read_text(encoding="utf-8")
    table = history.verdicts_of(page)
    assert table == {} or kept[-1].judged == table, "run python docs/make_credibility.py"
