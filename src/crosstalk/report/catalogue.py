"""Tables of the knowledge base for `crosstalk drugs`, `regimens`, `analytes` and `model check`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.knowledge.records import Dose, Quantity, Source
from crosstalk.model.qa import Finding

__all__ = ["Table", "analyte_tables", "drug_tables", "finding_table", "regimen_tables", "tables_json"]


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table of texts; ``links`` are where cells lead on a page, by row and column; ``note`` is under it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    links: Mapping[tuple[int, int], str] = field(default_factory=dict)


def tables_json(tables: Iterable[Table]) -> str:
    """Tables as JSON: a list of ``{"title", "rows": [{column: text}]}``."""
    content = [{"title": t.title, "rows": [dict(zip(t.columns, row, strict=True)) for row in t.rows]} for t in tables]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def drug_tables(name: str | None = None, knowledge: Knowledge | None = None) -> tuple[Table, ...]:
    """The drug library, or one drug with every constant and its source.

    Raises
    ------
    UsageError
        On an unknown drug.
    """
    knowledge = knowledge or load_knowledge()
    if name is None:
        rows = tuple(
            (d.id, d.drug_class, _dose(d.usual), ", ".join(t.slot for t in d.targets) or f"enters {d.into_state}")
            for d in knowledge.drugs.values()
        )
        return (Table("Drug library", ("drug", "class", "usual dose", "acts on"), rows),)
    drug = knowledge.drug(name)
    lines = [("usual dose", _dose(drug.usual), *_source(drug.usual_source))]
    lines += [(key, _quantity(q), *_source(q.source)) for key, q in drug.pk.items()]
    lines += [(f"bioavailability, {r}", _quantity(q), *_source(q.source)) for r, q in drug.bioavailability.items()]
    for target in drug.targets:
        lines.append((f"{target.slot}: half effect", _quantity(target.half), *_source(target.half.source)))
        if target.maximum is not None:
            lines.append((f"{target.slot}: largest effect", _quantity(target.maximum), *_source(target.maximum.source)))
    title = f"{drug.name}: {drug.drug_class}. {drug.note}".strip()
    return (Table(title, ("quantity", "value", "kind", "source"), tuple(lines)),)


def regimen_tables(name: str | None = None, knowledge: Knowledge | None = None) -> tuple[Table, ...]:
    """The regimens, or one regimen with its doses and evidence.

    Raises
    ------
    UsageError
        On an unknown regimen.
    """
    knowledge = knowledge or load_knowledge()
    if name is None:
        rows = tuple(
            (r.id, r.name, "reference" if r.reference else "", f"{len(r.evidence)}")
            for r in knowledge.regimens.values()
        )
        return (Table("Regimens", ("regimen", "name", "", "sources"), rows),)
    regimen = knowledge.regimen(name)
    doses = tuple((d.drug, _dose(d)) for d in regimen.doses)
    evidence = tuple(_source(e) for e in regimen.evidence)
    return (
        Table(f"{regimen.name}. {regimen.note}".strip(), ("drug", "dose"), doses),
        Table("What its place in a ranking rests on", ("kind", "source"), evidence),
    )


def analyte_tables(name: str | None = None, knowledge: Knowledge | None = None) -> tuple[Table, ...]:
    """What a panel may hold, or one analyte with its reference ranges.

    Raises
    ------
    UsageError
        On an unknown analyte.
    """
    knowledge = knowledge or load_knowledge()
    if name is None:
        rows = tuple(
            (a.id, a.name, a.unit, ", ".join(a.loinc), a.kind, a.observable or a.covariate)
            for a in knowledge.analytes.values()
        )
        return (Table("Analytes", ("analyte", "name", "unit", "LOINC", "kind", "model variable"), rows),)
    analyte = knowledge.analyte(name)
    facts = (
        ("unit", analyte.unit),
        ("also called", ", ".join(analyte.aliases)),
        ("LOINC", ", ".join(analyte.loinc) or "none verified"),
        ("specimen", analyte.specimen),
        ("model variable", analyte.observable or analyte.covariate or "none: shown, not used"),
        ("assay CV", f"{analyte.assay_cv:.0%}"),
        ("CV within a person, between weeks", f"{analyte.within_cv:.0%}"),
        ("spread between assays (log SD)", f"{analyte.offset_log_sd:g}"),
        ("LOD", "none" if analyte.lod is None else f"{analyte.lod:g} {analyte.unit}"),
        ("asked back outside", f"{analyte.plausible[0]:g} to {analyte.plausible[1]:g} {analyte.unit}"),
        ("source", ": ".join(_source(analyte.source))),
    )
    ranges = tuple(
        (
            r.assay, r.specimen, r.sex, f"{r.age[0]:g}-{r.age[1]:g}", f"{r.bmi[0]:g}-{r.bmi[1]:g}",
            f"{r.median:g} ({r.p2_5:g} to {r.p97_5:g})", r.source.doi or r.source.place,
        )
        for r in analyte.references
    )  # fmt: skip
    columns = ("assay", "specimen", "sex", "age", "BMI", f"median (2.5 to 97.5 %) [{analyte.unit}]", "source")
    return (
        Table(f"{analyte.name} ({analyte.id}). {analyte.note}".strip(), ("fact", "value"), facts),
        Table("Reference ranges", columns, ranges),
    )


def finding_table(findings: Sequence[Finding]) -> Table:
    """The quality report of the model."""
    rows = tuple((f.grade, f.check, f.value, f.message) for f in findings)
    return Table("Model quality", ("grade", "check", "value", "meaning"), rows)


def _dose(dose: Dose) -> str:
    amount = f"{dose.amount:g} {dose.unit} {dose.route}"
    if dose.every_h is not None:
        every = f"every {dose.every_h:g} h"
        until = "" if dose.stop_week is None else f" until week {dose.stop_week:g}"
        return f"{amount}, {every}{until}"
    return f"{amount}, week {', '.join(f'{w:g}' for w in dose.weeks)}"


def _quantity(quantity: Quantity) -> str:
    unit = "" if quantity.unit == "dimensionless" else f" {quantity.unit}"
    spread = f" (log SD {quantity.log_sd:g})" if quantity.log_sd else ""
    return f"{quantity.value:g}{unit}{spread}"


def _source(source: Source) -> tuple[str, str]:
    return source.kind, f"{source.place} (doi {source.doi})" if source.doi else source.place
