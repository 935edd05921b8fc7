"""Exports of Meso Scale Discovery's Methodical Mind: plate maps of signals without samples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from crosstalk.errors import PanelError
from crosstalk.panel.plates.wells import Plate, Well
from crosstalk.panel.text import number

__all__ = ["DATA", "PlateMap", "assay_of", "maps_of"]

DATA = re.compile(r"=+\s*Data\s*=+")
_PLEX = re.compile(r"\b([VUSR])-?PLEX\b", re.IGNORECASE)


def assay_of(words: Sequence[str]) -> str:
    """The kind of kit that the words of an export name."""
    kit = next((match for word in words if (match := _PLEX.search(word))), None)
    return f"MSD {kit[1].upper()}-PLEX" if kit else "MSD"


def maps_of(path: Path, content: bytes, text: str) -> tuple[Plate, ...]:
    """The plates of an export; a plate may have several maps, one a block of spots."""
    tables = list(_tables(path, text))
    found = []
    for name, group in groupby(sorted(tables, key=lambda t: t.plate), key=lambda t: t.plate):
        parts = list(group)
        header = parts[0].header
        wells = [well for part in parts for well in part.wells]
        seen: dict[tuple[str, str], str] = {}
        for well in wells:
            if (well.location, well.analyte) in seen:
                raise PanelError(
                    f"{path}, {well.place}: well {well.location}, {well.analyte} of plate {name} stands twice, first "
                    f"at {seen[well.location, well.analyte]}; keep one"
                )
            seen[well.location, well.analyte] = well.place
        found.append(
            Plate(
                path=str(path),
                plate=name,
                assay=assay_of(list(header.values())),
                instrument=", ".join(w for w in (header.get("Model"), header.get("Serial #")) if w),
                read_at=header.get("Read Time", ""),
                software=header.get("Version", ""),
                units=dict.fromkeys((well.analyte for well in wells), ""),
                wells=tuple(wells),
                attributes={
                    k: v for k, v in header.items() if v and k not in ("Model", "Serial #", "Read Time", "Version")
                },
                warnings=tuple(warning for part in parts for warning in part.warnings),
                content=content,
            )
        )
    order = list(dict.fromkeys(table.plate for table in tables))
    return tuple(sorted(found, key=lambda plate: order.index(plate.plate)))


@dataclass(frozen=True)
class PlateMap:
    """One map and the header above it."""

    plate: str
    header: Mapping[str, str]
    wells: Sequence[Well]
    warnings: Sequence[str]


def _tables(path: Path, text: str) -> Iterator[PlateMap]:
    """Each plate map with the header above it."""
    header: dict[str, str] = {}
    lines = text.splitlines()
    i = 0
    last = ""
    while i < len(lines):
        line = lines[i].replace("\\t", "\t")
        if DATA.match(line):
            end = i + 1
            while end < len(lines) and not lines[end].startswith("==="):
                end += 1
            yield _table(path, header, lines, i, end)
            header, last = {}, ""
            while end < len(lines) and not re.match(r"(FileName|Stack ID|Digital_Signature)", lines[end]):
                end += 1
            i = end
            continue
        key, colon, value = line.partition(":")
        key, value = key.strip(), " ".join(value.split())
        if colon and key and key != "Digital_Signature":
            last = key
            header.setdefault(key, value)
        elif colon and last:  # the legend of the spots runs over several lines
            header[last] = f"{header[last]} {value}".strip()
        i += 1


def _table(path: Path, header: Mapping[str, str], lines: Sequence[str], start: int, end: int) -> PlateMap:
    rows = [
        (n, [cell.strip() for cell in lines[n - 1].split("\t")])
        for n in range(start + 2, end + 1)
        if "\t" in lines[n - 1]
    ]
    where = f"{path}, line {start + 1}"
    if not rows:
        raise PanelError(f"{where}: no plate map follows the line '==Data=='; export the plate again")
    columns = [cell for cell in rows[0][1][1:] if cell]
    if not columns or not all(re.fullmatch(r"[1-9]\d?", cell) for cell in columns):
        raise PanelError(
            f"{path}, line {rows[0][0]}: received '{' '.join(rows[0][1])[:60]}'; expected the numbers of the plate's "
            f"columns: 1, 2, 3 ..."
        )
    plate = header.get("Barcode1", "").strip("<>") or header.get("Plate #", "") or path.stem
    names = [name.strip() for name in header.get("Assays", "").split(",")]
    given = header.get("SpotID", "")
    wells: list[Well] = []
    short: list[int] = []
    spots: dict[str, int] = {}
    letter = ""
    for n, (label, *cells) in rows[1:]:
        if label:
            if not re.fullmatch(r"[A-Za-z]{1,2}", label):
                raise PanelError(f"{path}, line {n}: received the row '{label}'; expected a letter such as A")
            letter = label.upper()
        if not letter:
            raise PanelError(f"{path}, line {n}: belongs to no row of the plate; expected a letter such as A before it")
        spots[letter] = spots.get(letter, 0) + 1
        spot = int(given) if re.fullmatch(r"[1-9]\d?", given) else spots[letter]
        if any(cells[len(columns) :]):
            raise PanelError(
                f"{path}, line {n}: has {len(cells)} values, expected {len(columns)} as in the header of the plate map"
            )
        if len(cells) < len(columns):
            short.append(n)
        analyte = names[spot - 1] if spot <= len(names) and names[spot - 1] else f"Spot {spot}"
        for column, cell in zip(columns, cells, strict=False):
            if cell:
                wells.append(_signal(path, n, plate, f"{letter}{column}", analyte, spot, cell))
    warnings = []
    if short:
        warnings.append(f"{path}, line {short[0]}: {len(short)} rows of the plate map are shorter than its header")
    if end == len(lines):
        warnings.append(
            f"{where}: nothing follows the plate map; the file may be cut off and its last value incomplete"
        )
    held, expected = len({well.location for well in wells}), _wells_expected(header)
    if expected and held != expected:
        warnings.append(f"{where}: plate {plate}: the map holds {held} wells, the header tells {expected}")
    return PlateMap(plate, header, wells, warnings)


def _wells_expected(header: Mapping[str, str]) -> int | None:
    sides = [number(header.get(key, "")) for key in ("Wells Per Row", "Wells Per Col")]
    if sides[0] is not None and sides[1] is not None:
        return int(sides[0] * sides[1])
    match = re.match(r"\d{1,5}", header.get("Type", ""))
    return int(match[0]) if match else None


def _signal(path: Path, line: int, plate: str, location: str, analyte: str, spot: int, cell: str) -> Well:
    signal = number(cell)
    return Well(
        location=location,
        sample=f"{plate}_{location}",
        role="unknown",
        analyte=analyte,
        signal=signal,
        net_signal=None,
        count=None,
        dilution=1.0,
        expected=None,
        reported="",
        place=f"line {line}",
        remarks=() if signal is not None else (f"signal {cell} reported",),
        exported={"Spot": str(spot)},
    )
