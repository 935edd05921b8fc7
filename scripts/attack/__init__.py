"""Attacks on Crosstalk: each breaks something at random and counts what became of it.

Run ``python scripts/attack`` from a clone (``--help`` for counts, seeds and choices). A file in this folder is read by
itself and adds attacks:

    @attack("panels", "panels with cells, lines and encodings mangled", count=5000)
    def panels(rng: np.random.Generator, count: int) -> Tally: ...
"""

from __future__ import annotations

from attack.registry import ATTACKS, LIMIT, Attack, Tally, attack

__all__ = ["ATTACKS", "LIMIT", "Attack", "Tally", "attack"]
