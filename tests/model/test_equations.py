"""The equations as mathematics: complete, and read back from LaTeX they give the numbers of the engine."""

from __future__ import annotations

import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from equations import SCALES, definitions, equations
from hypothesis import given
from hypothesis import strategies as st
from latex import LINE, equation, symbol

import crosstalk.knowledge
from crosstalk.engine.sbml import OdeSystem, read_sbml
from crosstalk.errors import KnowledgeError, ModelError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.model.assembly import OPTION, assemble, unit_id


def copy_of_knowledge(tmp_path: Path) -> Path:
    root = tmp_path / "knowledge"
    shutil.copytree(
        Path(crosstalk.knowledge.__file__).parent, root, ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    return root


# LaTeX back to numbers, by a reader that shares nothing with the printer but the symbols


def group(text: str, start: int) -> tuple[str, int]:
    """What stands between the brace at ``start`` and its partner, and the place after it."""
    depth = 0
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[start + 1 : i], i + 1
    raise AssertionError(f"no closing brace: {text}")


def to_python(latex: str, names: Iterable[str]) -> str:
    """Turn the right side of an equation into a Python expression."""
    text = re.sub(r"\\(begin|end)\{aligned\}|&(\\quad)?|\\\\\n|\n", " ", latex)
    text = text.partition(" = ")[2] if " = " in text else text
    held: list[str] = []
    for name in sorted(names, key=lambda n: -len(symbol(n))):
        letter = len(symbol(name)) == 1
        pattern = rf"(?<![\w\\{{]){name}(?![\w(]|\}}\()" if letter else re.escape(symbol(name)) + r"(?![\w(])"
        text = re.sub(pattern, f"@{len(held)}@", text)
        held.append(name)
    text = re.sub(r"\\mathrm\{(\w+?)\}(?:_\{(\d)\})?\(", r" \1\2(", text)
    while (found := re.search(r"\\(frac|sqrt)(?=\{)", text)) is not None:
        first, end = group(text, found.end())
        if found[1] == "frac":
            second, end = group(text, end)
            new = f"(({first})/({second}))"
        else:
            new = f"sqrt({first})"
        text = text[: found.start()] + new + text[end:]
    text = re.sub(r" \\times 10\^\{(-?\d+)\}", r"e\1", text)
    text = re.sub(r"\^\{(\d+)\}", r"**\1", text)
    for old, new in ((";\\,", ","), ("\\cdot", "*"), ("\\exp", "exp")):
        text = text.replace(old, new)
    assert "\\" not in text, text
    return re.sub(r"@(\d+)@", lambda m: held[int(m[1])], text).strip()


def functions() -> dict[str, Callable[..., float]]:
    """The functions of the mechanism, read back from their definitions."""
    found: dict[str, Any] = {"exp": math.exp, "sqrt": math.sqrt}
    texts = load_knowledge().mechanisms["functions"]
    for d in definitions():
        arguments = re.search(rf"function {d.name}\(([^)]*)\)", texts)
        assert arguments is not None
        names = arguments[1].split(", ")
        found[d.name] = eval(f"lambda {arguments[1]}: {to_python(d.latex, names)}", {"sqrt": math.sqrt})
    return found


def engine_values(system: OdeSystem, values: dict[str, float]) -> dict[str, float]:
    """Rates of states and values of variables, as the engine computes them from the SBML."""
    names = list(system.variables)
    numbers = system.graph.evaluate([*system.rates, *(system.variables[n] for n in names)], values)
    return dict(zip((*system.states, *names), numbers, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_the_latex_gives_the_numbers_of_the_engine(seed: int) -> None:
    model = assemble((), circadian=True)
    system = read_sbml(model.sbml)
    rng = np.random.default_rng(seed)
    start = dict(zip(system.states, system.initial, strict=True)) | system.parameters
    values = {k: (v or 0.1) * float(rng.uniform(0.8, 1.25)) for k, v in start.items()}
    expected = engine_values(system, values)
    # a rule reads the values of other rules; a state in a formula is its value, not its rate
    known = expected | values
    library = functions()
    for e in equations():
        got = eval(to_python(e.latex, known), {**library, **known})
        assert got == pytest.approx(expected[e.variable], rel=1e-9, abs=1e-14), e.variable


def test_the_healthy_values_solve_the_equations() -> None:
    library, found = functions(), [e for e in equations() if e.module != OPTION]
    healthy = {e.variable: e.healthy for e in found}
    values = dict(assemble().constants) | healthy
    for e in found:
        got = eval(to_python(e.latex, values), {**library, **values})
        expected = 0.0 if e.kind == "ode" else e.healthy
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-12), e.variable


def test_every_state_and_every_rule_occurs_once() -> None:
    model, found = assemble((), circadian=True), equations()
    assert Counter(e.variable for e in found if e.kind == "ode") == Counter(model.states)
    assert Counter(e.variable for e in found if e.kind == "rule") == Counter(model.variables)
    knowledge = load_knowledge()
    for e in found:
        if e.module == SCALES:
            assert e.variable in knowledge.scales
        else:
            sign = "' = " if e.kind == "ode" else " := "
            assert f"\n{e.variable}{sign}" in f"\n{knowledge.mechanisms[e.module]}"


def test_units_are_those_of_the_model() -> None:
    model = assemble((), circadian=True)
    for e in equations():
        if e.module == SCALES:
            assert e.unit == "points"
        else:
            assert unit_id(e.unit) == model.units[e.variable]


def test_notes_are_the_comments_of_the_files() -> None:
    notes = {e.variable: e.note for e in equations()}
    assert notes["APR"] == "acute-phase response of the liver and its readout; CRP drives nothing"
    assert notes["CRP"] == ""
    assert notes["LPS"].split("\n\n")[1].startswith("endotoxin")


def test_symbols_are_distinct() -> None:
    model = assemble((), circadian=True)
    names = {*model.states, *model.variables, *model.constants}
    assert len({symbol(n) for n in names}) == len(names)


def test_every_function_is_defined_once() -> None:
    called = {name for e in equations() for name in re.findall(r"\\mathrm\{(\w+)\}(?:_\{\d\})?\(", e.latex)}
    defined = Counter(d.name for d in definitions())
    assert max(defined.values()) == 1
    assert called <= {name.rstrip("0123456789") for name in defined}


def test_a_variable_without_a_meaning_is_named(tmp_path: Path) -> None:
    root = copy_of_knowledge(tmp_path)
    file = root / "mechanisms" / "innate.ant"
    file.write_text(file.read_text() + "\nMARKER' = k_CRP*(CRP/CRP0 - MARKER)\nMARKER = 1; MARKER has dimensionless\n")
    with pytest.raises(ModelError, match=r"does not explain 'MARKER' of innate\.ant"):
        equations(load_knowledge(root))


def test_a_meaning_without_a_variable_is_named(tmp_path: Path) -> None:
    root = copy_of_knowledge(tmp_path)
    with (root / "variables.tsv").open("a") as table:
        table.write("GHOST\tnothing\n")
    with pytest.raises(ModelError, match="GHOST"):
        equations(load_knowledge(root))


def test_an_equation_in_another_form_is_not_lost(tmp_path: Path) -> None:
    root = copy_of_knowledge(tmp_path)
    file = root / "mechanisms" / "innate.ant"
    file.write_text(file.read_text().replace("MA := MB", "MA:= MB"))
    with pytest.raises(ModelError, match="equations of MA"):
        equations(load_knowledge(root))


@pytest.mark.parametrize(("row", "expected"), [("TNF\tonce more\n", "already explained"), ("NEW\t\n", "is empty")])
def test_a_wrong_row_of_meanings_is_named(tmp_path: Path, row: str, expected: str) -> None:
    root = copy_of_knowledge(tmp_path)
    with (root / "variables.tsv").open("a") as table:
        table.write(row)
    with pytest.raises(KnowledgeError, match=rf"variables\.tsv: line \d+: .*{expected}"):
        load_knowledge(root)


@pytest.mark.parametrize("formula", ["a^2", "a**2", "a if b else c", "a > b", "exp(a, b)", "f()", "a*(b", "'a'"])
def test_what_cannot_be_written_is_refused(formula: str) -> None:
    with pytest.raises(ModelError, match=r"cannot (write|read)"):
        equation("y", formula)


NAMES = ("x", "K", "TNF0", "K_TNF_act", "sert_block", "rho_HT", "IL6_free", "IL10")
ATOMS = st.sampled_from([*NAMES, "2", "0.5", "1e-5"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.builds(lambda p, sign: f"({p[0]}{sign}{p[1]})", pair, st.sampled_from("+-*/")),
        inner.map(lambda a: f"({a}*{a})"),
        inner.map(lambda a: f"(-{a})"),
        inner.map(lambda a: f"exp({a})"),
        pair.map(lambda p: f"h1({p[0]}, {p[1]})"),
    )


@given(st.recursive(ATOMS, larger, max_leaves=25))
def test_any_formula_is_read_back_as_it_was_written(formula: str) -> None:
    values: dict[str, float] = {name: 0.7 + 0.11 * i for i, name in enumerate(NAMES)}
    scope: dict[str, Any] = {"exp": math.tanh, "h1": lambda x, k: math.sin(x) + 0.3 * k, **values}
    latex = equation("y", formula)
    try:
        expected = eval(formula, scope)
        got = eval(to_python(latex, NAMES), scope)
    except (ZeroDivisionError, OverflowError):
        return
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-9) or math.isnan(expected), latex


def test_long_equations_are_broken_and_short_ones_are_not() -> None:
    found = {e.variable: e.latex for e in equations()}
    assert "aligned" not in found["PL"]
    assert found["CIC"].count("\\\\\n") == 3
    for latex in found.values():
        for line in latex.replace("\\frac", "").splitlines():
            assert len(re.sub(r"\\[a-zA-Z]+|[{}_&\\]", "", line).replace(" ", "")) < 1.5 * LINE
