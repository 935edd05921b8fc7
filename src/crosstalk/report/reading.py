"""What was understood of a file, as tables for `crosstalk read`."""

from __future__ import annotations

from crosstalk.panel.understanding import Item, Understanding
from crosstalk.report.catalogue import Table

__all__ = ["reading_tables"]


def reading_tables(found: Understanding) -> tuple[Table, ...]:
    """A table of columns, one of tests where the file is long or no table, and one of what is open."""
    tables = []
    people = f"{found.patients} panel{'s' if found.patients != 1 else ''}" if not found.problems else "not read"
    title = f"{found.path}: {found.format or 'a table whose header is not understood'}; {people}"
    columns = [item for item in found.items if item.kind == "columns"]
    if columns:
        rows = [
            (i.name, _meaning(i), i.unit, i.specimen, "; ".join(i.examples), " ".join(i.questions)) for i in columns
        ]
        tables.append(Table(title, ("column", "is", "unit", "specimen", "examples", "question"), tuple(rows)))
    tests = [item for item in found.items if item.kind == "tests"]
    if tests:
        rows = [
            (i.name, _meaning(i), i.unit, i.specimen, f"{'; '.join(i.examples)} ({i.number})", " ".join(i.questions))
            for i in tests
        ]
        heads = ("test", "is", "unit", "specimen", "examples (values)", "question")
        tables.append(Table("" if columns else title, heads, tuple(rows)))
    general = [q.text for q in found.questions if q.key[0] == "file"]
    if general or not (columns or tests):
        tables.append(Table("" if columns or tests else title, ("open",), tuple((text,) for text in general)))
    return tuple(tables)


def _meaning(item: Item) -> str:
    words = {"keep": "kept, not read", "ignore": "no analyte that is known"}.get(item.meaning, item.meaning)
    return f"{words} of {item.of}" if item.of else words
