"""Plates of immunoassays: readers of the instruments' exports, standard curves, the criteria of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.panel.plates.files import read_plates
    from crosstalk.panel.plates.wells import Plate, Well

__all__ = ["Plate", "Well", "read_plates"]

__getattr__, __dir__ = lazily(__name__, {"Plate": "wells", "Well": "wells", "read_plates": "files"})
