"""Olink Target 48 and Flex, quantified in pg/mL: long (CSV, Excel, Parquet) and the wide sheet; NPX is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.entries import Entry, Reading, Wanted
from crosstalk.panel.records import Quality
from crosstalk.panel.registry import Format, Look
from crosstalk.panel.rows import Rows, decimal_of, rows_of
from crosstalk.panel.vocabulary import words

__all__ = ["FORMATS", "read"]

NEEDED = ("sampleid", "assay", "quantified_value", "unit")
METHOD = "Olink"
SAMPLES = ("", "sample", "unknown")
PASSED = ("", "pass", "na", "none", "ok", "false", "no", "no warning")
WARNED = ("warning", "warn", "manual warning", "true", "yes", "qc warning")
FAILED = ("fail", "failed", "excluded", "manual fail", "exclude")
HINT = "NPX is a relative scale of each plate: ask for quantified values in pg/mL (Target 48, Flex), or another assay"
# rows below the samples of the wide sheet
LIMITS = {"lloq": "lloq", "uloq": "uloq", "plate lod": "lod", "lod": "lod", "max lod": "lod"}
BELOW = (*LIMITS, "missing data freq", "normalization", "assay warning", "lowest quantifiable level")


def read(path: Path, wanted: Wanted) -> Reading:
    """Read quantified values of Olink's software.

    Raises
    ------
    PanelError
        If the file is broken, or a value has no unit of concentration.
    """
    look = Look(path)
    if _is_wide(look):
        return _wide(path)
    found = rows_of(path, NEEDED)
    entries = list(_long(found))
    decimal = decimal_of(found, {text: e.place for e in entries for text in (e.value, e.lloq, e.uloq, e.lod)})
    return Reading(entries, found.problems, found.warnings, found.content, decimal)


def _long(found: Rows) -> Iterator[Entry]:
    aside: dict[str, int] = {}
    seen: dict[tuple[str, str], str] = {}
    for row in found.rows:
        kind = words(row.get("sampletype", "sample_type"))
        if kind not in SAMPLES or words(row.get("assaytype")) not in ("", "assay"):
            aside[row.get("sampletype", "sample_type", "assaytype")] = (
                aside.get(row.get("sampletype", "sample_type", "assaytype"), 0) + 1
            )
            continue
        who, assay = row.get("sampleid"), row.get("assay")
        where = f"{found.path}, {row.place}, {who or 'no SampleID'}, {assay}"
        if not who:
            found.problems.append(f"{where}: names no sample; fill SampleID")
            continue
        key = (who, assay)
        if key in seen and row.get("panel") != seen[key]:
            found.warnings.append(f"{where}: is measured on two panels; give one of them another SampleID")
        seen[key] = row.get("panel")
        try:
            quality, remarks = _quality(
                (name, row.get(name))
                for name in ("qc_warning", "sampleqc", "sample_qc", "assay_warning", "assayqc", "assay_qc")
            )
        except PanelError as error:
            found.problems.append(f"{where}: {error}")
            continue
        yield Entry(
            row.place, who, assay, _value(row.get("quantified_value")), row.get("unit"), "", METHOD,
            row.get("plate_lod", "platelod", "lod"), lloq=row.get("lloq", "platelql"), quality=quality,
            remarks=remarks, uloq=row.get("uloq"),
        )  # fmt: skip
    if aside:
        listed = ", ".join(f"{kind} ({n})" for kind, n in aside.items())
        found.warnings.append(f"{found.path}: samples of the laboratory left out: {listed}")


def _value(text: str) -> str:
    return "" if text.lower() in ("nan", "na", "no data") else text


def _quality(flags: Iterable[tuple[str, str]]) -> tuple[Quality, tuple[str, ...]]:
    worst: Quality = ""
    said = []
    for name, text in flags:
        plain = words(text)
        if plain in PASSED:
            continue
        if plain not in (*WARNED, *FAILED):
            raise PanelError(f"{name} is '{text}'; expected PASS, WARN or FAIL")
        worst = "failed" if plain in FAILED or worst == "failed" else "doubtful"
        said.append(f"{name}: {text}")
    return worst, tuple(said)


# The wide sheet: assays in columns, samples in rows, limits below


def _is_wide(look: Look) -> bool:
    firsts = {words(row[0]) for row in look.rows if row}
    return "assay" in firsts and "olinkid" in {f.replace(" ", "") for f in firsts}


def _wide(path: Path) -> Reading:
    rows, content = _cells(path)
    top = {words(row[0]).replace(" ", ""): (place, row) for place, row in reversed(rows) if row and row[0]}
    assays, units = top["assay"][1], top.get("unit", ("", []))[1]
    if not units:
        raise PanelError(f"{path}: has no row Unit, so its values may be NPX; {HINT}")
    begin = next(i for i, (_, row) in enumerate(rows) if row and words(row[0]).replace(" ", "") == "olinkid")
    columns = [
        i for i, name in enumerate(assays)
        if i and name and words(name) not in ("plate id", "qc warning", "qc deviation from median")
        and i < len(units) and units[i]
    ]  # fmt: skip
    flags = [i for i, name in enumerate(assays) if words(name) == "qc warning"]
    limits: dict[str, Mapping[int, str]] = {}
    warned: Mapping[int, str] = {}
    problems: list[str] = []
    samples: list[tuple[str, list[str]]] = []
    for place, row in rows[begin + 1 :]:
        name = words(row[0]) if row else ""
        if name in LIMITS:
            limits.setdefault(LIMITS[name], dict(enumerate(row)))
        elif name == "assay warning":
            warned = dict(enumerate(row))
        elif name and name not in BELOW and name != "unit":
            samples.append((place, row))
    entries = []
    for place, row in samples:
        for i in columns:
            try:
                quality, remarks = _quality(
                    iter(
                        [*(("QC Warning", row[j]) for j in flags if j < len(row)), ("Assay warning", warned.get(i, ""))]
                    )
                )
            except PanelError as error:
                problems.append(f"{path}, {place}, {row[0]}: {error}")
                break
            text = row[i] if i < len(row) else ""
            entries.append(
                Entry(place, row[0], assays[i], _value(text), units[i], "", METHOD, limits.get("lod", {}).get(i, ""),
                      lloq=limits.get("lloq", {}).get(i, ""), uloq=limits.get("uloq", {}).get(i, ""), quality=quality,
                      remarks=remarks)
            )  # fmt: skip
    if not samples:
        raise PanelError(f"{path}: holds no sample below its header; export the plate anew, whole")
    found = Rows(path, (), [], problems, [], content)
    decimal = decimal_of(found, {text: e.place for e in entries for text in (e.value, e.lloq, e.uloq, e.lod)})
    return Reading(entries, found.problems, found.warnings, content, decimal)


def _cells(path: Path) -> tuple[list[tuple[str, list[str]]], bytes]:
    """Every row of the sheet or text that holds anything."""
    content = path.read_bytes()
    if content.startswith(b"PK\x03\x04"):
        from crosstalk.panel.workbook import cell_text, numbered, opened

        with opened(path, content) as book:
            sheet = book.worksheets[0]
            return [(f"sheet '{sheet.title}', row {n}", [cell_text(c) for c in row])
                    for n, row in numbered(path, sheet)], content  # fmt: skip
    from crosstalk.panel.text import decode, split

    text = decode(path, content)
    separator = max("\t;,", key=text[:4000].count)
    return [(f"line {n}", cells) for n, line in enumerate(text.splitlines(), 1)
            if any(cells := split(line, separator))], content  # fmt: skip


def _is_quantified(look: Look) -> bool:
    if look.start.startswith(b"PAR1"):
        return "quantified_value" in _parquet(look)
    if look.holds(*NEEDED):
        return True
    return _is_wide(look) and any(row and words(row[0]) == "unit" for row in look.rows)


def _parquet(look: Look) -> set[str]:
    try:
        import pyarrow.parquet as parquet

        return {str(name).lower() for name in parquet.read_schema(look.path).names}
    except Exception:  # no pyarrow, or no such file: the reader of tables says so
        return set()


def _is_npx(look: Look) -> bool:
    if look.start.startswith(b"PAR1"):
        return "npx" in _parquet(look)
    return _is_wide(look) or look.says(r"(?:^|[,;\t\"])NPX(?:[,;\t\"\r\n]|$)")


FORMATS = (
    Format(
        "olink", "Olink Target 48 and Flex, quantified (CSV, xlsx, Parquet)", _is_quantified, read, kit=True, rank=14
    ),
    Format("olink-npx", "an export of Olink in NPX, a relative scale", _is_npx, refused=HINT, rank=15),
)  # fmt: skip
