"""What other columns of a row say of its value: a sign, a limit missed, a flag, a stimulus, a dilution, fasting."""

from __future__ import annotations

from collections.abc import Mapping

from crosstalk.errors import PanelError
from crosstalk.panel.cells import is_word
from crosstalk.panel.entries import Entry
from crosstalk.panel.header import Header
from crosstalk.panel.records import Quality
from crosstalk.panel.vocabulary import BLOOD, cell_is, fluid, row_kind, words

__all__ = ["Qualifiers"]

ROLES = ("operator", "below", "detected", "quality", "status", "valid", "excluded", "harmed", "flag", "stimulus",
         "dilution", "scaled", "fasting", "remarks", "specimen")  # fmt: skip
# what kits write of a sample in the column of its type
SAMPLES = {"unknown", "sample", "unk", "patient", "subject", "test", "u", "x", "unknowns", "samples", "participant"}
# of a column that says whether the value lies below a limit
UNDER = {
    "left",
    "below",
    "bdl",
    "nd",
    "imputed",
    "not detected",
    "undetected",
    "nondetect",
    "below lod",
    "blq",
    "censored",
}
OVER = {"above", "detected", "quantified", "measured", "observed", "none", "detect", "uncensored", "ok"}
WORSE: Mapping[str, int] = {"": 0, "doubtful": 1, "failed": 2}


class Qualifiers:
    """Applies the columns of a header that qualify values, row by row."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.at = {key: header.roles[key] for key in ROLES if key in header.roles}
        own = {key for columns in header.attached.values() for key in columns}
        self.any = bool(self.at) or bool(own)
        self.left_out: dict[str, list[str]] = {}

    def told(self) -> list[str]:
        """Sentences on what was left out."""
        return [
            f"{reason}; left out: {len(places)} ({', '.join(places[:5])}{', ...' if len(places) > 5 else ''})"
            for reason, places in self.left_out.items()
        ]

    def apply(self, cells: list[str], entry: Entry, own: Mapping[str, int]) -> Entry | None:
        """The entry as it is meant, None where the row is no value of a patient's blood.

        Parameters
        ----------
        cells : list of str
        entry : Entry
        own : mapping of role to position
            Columns of this value alone.

        Raises
        ------
        PanelError
            If a cell is not understood and may change the value.
        """
        for i in self.at.get("specimen", ()):
            if (kind := self._laboratory(cells[i])) is not None:
                if kind:
                    self._leave(
                        f"column '{self.header.texts[i]}' says '{cells[i]}', which is no patient's sample", entry
                    )
                    return None
                entry = entry._replace(specimen="")
        for i in self.at.get("stimulus", ()):
            if self._stimulated(i, cells[i]):
                self._leave(
                    f"measured after a stimulus ({self.header.texts[i]} '{cells[i]}'), no level of blood", entry
                )
                return None
        for i in (*self.at.get("dilution", ()), *self.at.get("scaled", ())):
            self._scale(i, cells[i])
        entry = self._value(cells, entry, own)
        entry = self._quality(cells, entry, own)
        for i in self.at.get("fasting", ()):
            if cells[i]:
                entry = entry._replace(specimen=f"{entry.specimen or ''}, {self._fasting(i, cells[i])}".lstrip(", "))
        said = [
            cells[i] for i in (*self.at.get("remarks", ()), *([own["remarks"]] if "remarks" in own else ())) if cells[i]
        ]
        return entry._replace(remarks=(*entry.remarks, *said)) if said else entry

    def _leave(self, reason: str, entry: Entry) -> None:
        self.left_out.setdefault(reason, []).append(f"{entry.place}, patient {entry.patient}, {entry.analyte}")

    def _laboratory(self, cell: str) -> bool | None:
        """Whether a type of sample is one of the laboratory's own; None where it is a fluid or empty."""
        plain = words(cell)
        if not plain or fluid(cell) in BLOOD:
            return None
        if plain in SAMPLES:
            return False
        kind = row_kind(cell)
        return True if kind in ("laboratory", "control?", "lod", "summary") else None

    def _stimulated(self, i: int, cell: str) -> bool:
        if cell_is("unstimulated", cell):
            return False
        if cell_is("stimulated", cell):
            return True
        raise PanelError(
            f"column '{self.header.texts[i]}' says '{cell}', and it is not known whether that is a stimulus of cells "
            f"or a group of people; name the column stimulus (cells: unstimulated, LPS) or group (people)"
        )

    def _scale(self, i: int, cell: str) -> None:
        if cell and cell.replace(",", ".") not in (
            "1",
            "1.0",
            "1:1",
            "1x",
            "none",
            "neat",
            "undiluted",
            "no",
            "0",
            "false",
            "na",
        ):
            raise PanelError(
                f"column '{self.header.texts[i]}' says '{cell}', and it is not known whether the value takes it into "
                f"account; give values of the undiluted sample in the unit that is named, and leave the column out"
            )

    def _fasting(self, i: int, cell: str) -> str:
        if cell_is("yes", cell) or words(cell) in ("fasting", "fasted", "nuchtern"):
            return "fasting"
        if cell_is("no", cell) or words(cell) in ("not fasting", "non fasting", "fed", "random"):
            return "not fasting"
        raise PanelError(f"column '{self.header.texts[i]}': received '{cell}'; expected yes or no")

    def _columns(self, key: str, own: Mapping[str, int]) -> list[int]:
        return [own[key]] if key in own else self.at.get(key, [])

    def _value(self, cells: list[str], entry: Entry, own: Mapping[str, int]) -> Entry:
        for i in self._columns("operator", own):
            entry = entry._replace(value=self._signed(i, cells[i], entry.value))
        for key, inverse in (("below", False), ("detected", True)):
            for i in self._columns(key, own):
                entry = self._below(i, cells[i], entry, inverse)
        return entry

    def _signed(self, i: int, cell: str, value: str) -> str:
        name = self.header.texts[i]
        has = "<" if value[:1] in "<≤" else ">" if value[:1] in ">≥" else ""
        if cell_is("equal", cell):
            return value
        sign = "<" if cell_is("less", cell) else ">" if cell_is("greater", cell) else ""
        if not sign:
            raise PanelError(f"column '{name}': received '{cell}'; expected <, <=, =, >= or >")
        if has and has != sign:
            raise PanelError(f"column '{name}' says {cell}, and the value is '{value}'; keep the one that is right")
        return value if has or is_word(value) else f"{sign}{value}"

    def _below(self, i: int, cell: str, entry: Entry, inverse: bool) -> Entry:
        name, plain = self.header.texts[i], words(cell)
        if not plain:
            return entry
        if plain == "right" and not inverse:
            return entry if is_word(entry.value) else entry._replace(value=f">{entry.value.lstrip('>')}")
        under, over = cell_is("yes", cell) or plain in UNDER, cell_is("no", cell) or plain in OVER
        if inverse:
            under, over = cell_is("no", cell) or plain in UNDER, cell_is("yes", cell) or plain in OVER
        if under == over:
            raise PanelError(f"column '{name}': received '{cell}'; expected yes or no")
        if over:
            return entry
        if entry.value[:1] in "<≤" or is_word(entry.value):
            return entry
        if not entry.lod and not entry.lloq:
            raise PanelError(
                f"column '{name}' marks the value as below a limit, and no column gives the limit; add a column lod, "
                f"or write the value as <LIMIT"
            )
        return entry._replace(value="<LOD" if entry.lod else "<LLOQ")

    def _quality(self, cells: list[str], entry: Entry, own: Mapping[str, int]) -> Entry:
        worst: Quality = ""
        said: list[str] = []
        for key in ("quality", "status", "valid", "excluded", "harmed", "flag"):
            for i in self._columns(key, own):
                found = self._judge(key, i, cells[i])
                if found and words(cells[i]) != found:
                    said.append(f"{self.header.texts[i]}: {cells[i]}")
                if found:
                    worst = max(worst, found, key=WORSE.__getitem__)
        return entry._replace(quality=worst, remarks=(*entry.remarks, *said)) if worst else entry

    def _judge(self, key: str, i: int, cell: str) -> Quality:
        name = self.header.texts[i]
        if key == "excluded":
            if cell_is("no", cell):
                return ""
            return "failed" if cell else ""
        if key == "harmed":
            if cell_is("no", cell) or words(cell) in ("not hemolyzed", "clear", "normal"):
                return ""
            return "doubtful"
        if key == "valid":
            if cell_is("no", cell) and cell:
                return "failed"
            if cell_is("yes", cell) or not cell:
                return ""
        if key == "flag" and cell_is("reference_flags", cell):
            return ""
        quality: tuple[tuple[str, Quality], ...] = (("ok", ""), ("doubtful", "doubtful"), ("failed", "failed"))
        for words_, found in quality:
            if cell_is(words_, cell):
                return found
        raise PanelError(
            f"column {'quality' if key == 'quality' else f'{name!r}'}: received '{cell}'; expected doubtful, failed or "
            f"nothing"
        )
