"""Plates of immunoassays: readers of the instruments' exports, standard curves, the criteria of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crosstalk.lazily import lazily

if TYPE_CHECKING:
    from crosstalk.panel.plates.files import read_plates as read_plates
    from crosstalk.panel.plates.wells import Plate as Plate
    from crosstalk.panel.plates.wells import Well as Well

__getattr__, __dir__, __all__ = lazily(__name__)
