"""Write the equations, constants and sources of the model into ``model.md``, from the knowledge files.

Each region of the page between ``<!-- equations: NAME -->`` and ``<!-- end -->`` is replaced; the text around them is
written by hand. Equations are LaTeX in fenced ``math`` blocks, which code hosts render too; Sphinx turns them into
MathML (``conf.py``). ``python docs/make_equations.py`` brings the page up to date; a test fails if it is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from equations import SCALES, Equation, definitions, equations
from latex import equation, symbol

from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Dose, Drug, Parameter, Quantity, Source, Target
from crosstalk.model.assembly import OPTION
from crosstalk.model.pharmacokinetics import drug_block, pk_parameters

PAGE = Path(__file__).resolve().parent / "model.md"

_REGION = re.compile(r"(?<=<!-- equations: )(?P<name>[\w ]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
_DOI = re.compile(r"10\.\d{4,9}/[^\s;,]+")


def render(page: str, knowledge: Knowledge) -> str:
    """Return the page with its regions written anew."""
    found = equations(knowledge)

    def region(match: re.Match[str]) -> str:
        name = match["name"]
        special: dict[str, Callable[[], str]] = {
            "functions": lambda: _functions(knowledge),
            "slots": lambda: _slots(knowledge),
            "drug": _drug,
            "sources": lambda: _sources(page, knowledge),
        }
        content = special[name]() if name in special else _module(name, found, knowledge)
        return f"{name}{match[2]}\n{content}\n\n"

    # sources come last: they list what the other regions cite
    page = _REGION.sub(region, page)
    return _REGION.sub(lambda m: region(m) if m["name"] == "sources" else m[0], page)


def _module(name: str, found: Iterable[Equation], knowledge: Knowledge) -> str:
    own = [e for e in found if e.module == name]
    constants = [p for p in knowledge.parameters.values() if p.module == name]
    if not own:
        raise SystemExit(f"{PAGE}: the model has no module '{name}'")
    parts = [_equation(e) for e in own]
    if name == SCALES:
        rows = [(f"`{s.id}`", s.source.kind, _source(s.source, knowledge)) for s in knowledge.scales.values()]
        parts.append(_table(("scale", "kind", "source of the weights"), rows))
    if constants:
        header = ("constant", "meaning", "value", "unit", "prior", "role", "kind", "source")
        parts.append(_table(header, [_constant(p, knowledge) for p in constants]))
    return "\n\n".join(parts)


def _equation(e: Equation) -> str:
    note = "\n\n".join(_sentence(paragraph) for paragraph in e.note.split("\n\n"))
    when = "at time 0" if e.module == OPTION else "in health"
    head = f"`{e.variable}`: {e.meaning} [{e.unit}]; {e.healthy:.4g} {when}."
    return f"{note}\n\n{head}\n\n{_math(e.latex)}".lstrip()


def _constant(p: Parameter, knowledge: Knowledge) -> tuple[str, ...]:
    name, source = f"${symbol(p.id)}$ `{p.id}`", _source(p.source, knowledge)
    return name, p.meaning, f"{p.value:.6g}", p.unit, p.prior, p.role, p.source.kind, source


def _functions(knowledge: Knowledge) -> str:
    parts = []
    for d in definitions(knowledge):
        parts += [_sentence(d.note)] * bool(d.note) + [_math(d.latex)]
    return "\n\n".join(parts)


def _slots(knowledge: Knowledge) -> str:
    rows = [
        (f"${symbol(s.id)}$ `{s.id}`", s.meaning, s.combine, "0" if s.combine == "add" else "1")
        for s in knowledge.slots.values()
    ]
    return _table(("slot", "meaning", "combines by", "without drugs"), rows)


def _drug() -> str:
    """Equations of a drug D that has all compartments, one saturating and one binding target."""

    def quantity(unit: str) -> Quantity:
        return Quantity(1.0, unit, Source("assumed", "a drug that stands for all"))

    units = {
        "clearance": "L/h", "volume": "L", "peripheral_clearance": "L/h", "peripheral_volume": "L", "vmax": "mg/h",
        "km": "mg/L", "absorption_half_life": "h", "effect_half_life": "h",
    }  # fmt: skip
    drug = Drug(
        id="D",
        name="D",
        drug_class="",
        amount_unit="mg",
        concentration_unit="mg/L",
        routes=("sc",),
        pk={key: quantity(unit) for key, unit in units.items()},
        bioavailability={},
        targets=(Target("slot", quantity("mg/L"), quantity("dimensionless")), Target("ligand", quantity("mg/L"))),
        usual=Dose("D", 1.0, "mg", "sc", (0.0,)),
        usual_source=Source("assumed", ""),
    )
    meanings = {
        "D_depot": "amount at the place of absorption; doses by other routes than iv enter it",
        "D_peripheral": "amount in the peripheral compartment",
        "D_central": "amount in the central compartment; iv doses enter it",
        "D_conc": "concentration in plasma",
        "D_site": "concentration at the effect site",
        "D_slot": "effect on a slot, with Hill exponent 1, 2 or 4",
        "D_ligand": "effect on a slot whose ligand the drug binds",
    }
    parts = []
    for left, right, unit in drug_block(drug):
        name = left.rstrip("':")
        if isinstance(right, str):
            rate = f"\\frac{{\\mathrm{{d}}{symbol(name)}}}{{\\mathrm{{d}}t}}"
            parts.append(f"{meanings[name][:1].upper()}{meanings[name][1:]} [{unit}]:")
            parts.append(_math(equation(rate if left.endswith("'") else symbol(name), right)))
    rows = [(f"${symbol(f'D_{n}')}$", u, f"`pk.{key}`") for n, (_, u, key) in pk_parameters(drug).items()]
    rows.append((f"${symbol('D_input')}$", "mg/h", "mean input rate of a drug that is taken daily"))
    rows.append((f"${symbol('D_slot_half')}$", "mg/L", "`target.half`"))
    rows.append((f"${symbol('D_slot_max')}$", "dimensionless", "`target.maximum`"))
    return "\n\n".join([*parts, _table(("symbol", "unit", "in the drug's file"), rows)])


def _sources(page: str, knowledge: Knowledge) -> str:
    """Citations of all DOIs that the page links to, by citation."""
    body = re.sub(r"(?s)<!-- equations: sources -->.*?<!-- end -->", "", page)
    cited = {unquote(doi) for doi in re.findall(r"\]\(https://doi\.org/([^)\s]+)\)", body)}
    unknown = sorted(cited - knowledge.references.keys())
    if unknown:
        raise SystemExit(f"{PAGE}: references.tsv lacks {', '.join(unknown)}; add the citations")
    return "\n".join(sorted(f"- {knowledge.references[doi]} {_link(doi)}" for doi in cited))


def _source(source: Source, knowledge: Knowledge) -> str:
    if source.doi and source.doi not in knowledge.references:
        raise SystemExit(f"references.tsv lacks {source.doi}; add its citation")
    return " ".join([_link(source.doi)] * bool(source.doi) + [_cite(source.place)])


def _sentence(note: str) -> str:
    """A comment of a file as a sentence, with the ids in it as code."""
    text = note[:1].upper() + note[1:] + "." * (note[-1:].isalnum() or note.endswith(")"))
    return _cite(re.sub(r"\b\w+_\w+\b", r"`\g<0>`", text))


def _cite(text: str) -> str:
    """Link the DOIs in a text."""

    def link(match: re.Match[str]) -> str:
        doi = match[0].rstrip(".")
        while doi.count(")") > doi.count("("):
            doi = doi[: doi.rindex(")")]
        return _link(doi) + match[0][len(doi) :]

    return _DOI.sub(link, text)


def _link(doi: str) -> str:
    return f"[{doi}](https://doi.org/{quote(doi)})"


def _math(latex: str) -> str:
    return f"```math\n{latex}\n```"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), load_knowledge()), encoding="utf-8", newline="\n")
    print(f"written: {PAGE.name}")
