"""Analytes by their codes in records of hospitals and registries; what is no analyte is counted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.limits import shown
from crosstalk.panel.values import Interpreter
from crosstalk.panel.vocabulary import BLOOD, fluid

__all__ = ["Coded", "system_of"]

LISTED = 8
_LOINC = re.compile(r"\d{1,5}-\d")


@dataclass
class Coded:
    """Finds analytes by LOINC before their names: a code of another thing is never read by its name."""

    knowledge: Knowledge | None = None
    unknown: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._interpreter = Interpreter(self.knowledge or load_knowledge())
        self._found: dict[tuple[str, ...], str] = {}

    def name(self, code: str, *names: str) -> str:
        """What an entry calls its analyte: its LOINC code, or its name where no code is given; "" where it is none.

        Parameters
        ----------
        code : str
            LOINC, or a code of the laboratory's own.
        names : str
            The plainest first.
        """
        key = (code, *names)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._name(code, names)
        if not found:
            said = " ".join(filter(None, (code, next((n for n in names if n), ""))))
            self.unknown[said] = self.unknown.get(said, 0) + 1
        return found

    def _name(self, code: str, names: tuple[str, ...]) -> str:
        if _LOINC.fullmatch(code):
            analyte = self._interpreter.find(code)
            return code if analyte is not None and code in analyte.loinc else self._scale(code)
        return next((n for n in (code, *names) if n and self._interpreter.knows(n)), "")

    def _scale(self, code: str) -> str:
        """Scales are known by their LOINC too."""
        return code if self._interpreter.knows(code) else ""

    def told(self, file: str) -> list[str]:
        """A warning on what is no analyte."""
        if not self.unknown:
            return []
        ordered = sorted(self.unknown.items(), key=lambda pair: -pair[1])
        listed = ", ".join(f"{shown(name, 60)} ({n})" for name, n in ordered[:LISTED])
        more = f" and {len(ordered) - LISTED} more" if len(ordered) > LISTED else ""
        n = sum(self.unknown.values())
        return [f"{file}: {n} values are of no analyte that is known; left out: {listed}{more}"]


def system_of(words: str) -> str:
    """The fluid that the long name of a LOINC code states where it is none of blood; "" elsewhere.

    Examples
    --------
    >>> system_of("Protein [Mass/volume] in Cerebral spinal fluid"), system_of("CRP [Mass/volume] in Serum or Plasma")
    ('Cerebral spinal fluid', '')
    """
    said = words.rpartition(" in ")[2] if " in " in words else ""
    return said if said and fluid(said) not in ("", "unknown", *BLOOD) else ""
