"""What an attack is, what it gives back, and the table of all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf

import numpy as np

__all__ = ["ATTACKS", "LIMIT", "Attack", "Tally", "attack"]


@dataclass
class _Limit:
    until: float = inf


LIMIT = _Limit()
"""When attacks that begin now must end."""


@dataclass
class Tally:
    """What became of the tries of one attack.

    Attributes
    ----------
    tried : int
    refused : int
        Ended with a message that says what is wrong and what to do.
    right : int
        Gave what an undisturbed run gives, or what is right in spite of the damage.
    faults : list of str
        Anything else, each in one line with what is needed to repeat it: a traceback, a wrong number unsaid, a lost
        file, no end. ``tried == refused + right + len(faults)``.
    until : float
        When the attack's time is over, by `time.monotonic`.
    """

    tried: int = 0
    refused: int = 0
    right: int = 0
    faults: list[str] = field(default_factory=list)
    until: float = field(default_factory=lambda: LIMIT.until)

    def tries(self, count: int) -> Iterator[int]:
        """Numbers from 0, as long as there is time."""
        for number in range(count):
            if time.monotonic() > self.until:
                return
            yield number

    def add(self, other: Tally) -> None:
        """Count what another process has tried."""
        self.tried, self.refused, self.right = (
            self.tried + other.tried, self.refused + other.refused, self.right + other.right
        )  # fmt: skip
        self.faults += other.faults

    def refuse(self) -> None:
        """Count a try that was refused well."""
        self.tried, self.refused = self.tried + 1, self.refused + 1

    def pass_(self) -> None:
        """Count a try that came out right."""
        self.tried, self.right = self.tried + 1, self.right + 1

    def fault(self, line: str) -> None:
        """Count a try that went wrong."""
        self.tried += 1
        self.faults.append(line)


@dataclass(frozen=True)
class Attack:
    """One kind of attack: what it does in words, how often by default, and the function that does it."""

    name: str
    words: str
    count: int
    run: Callable[[np.random.Generator, int], Tally]


ATTACKS: dict[str, Attack] = {}


def attack(name: str, words: str, *, count: int) -> Callable[[Callable[[np.random.Generator, int], Tally]], Attack]:
    """Enter a function into the table of attacks."""

    def enter(run: Callable[[np.random.Generator, int], Tally]) -> Attack:
        if name in ATTACKS:
            raise ValueError(f"two attacks are called {name!r}")
        ATTACKS[name] = Attack(name, words, count, run)
        return ATTACKS[name]

    return enter
