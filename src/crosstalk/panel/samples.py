"""The values of one analyte over panels, as a sample whose values may be known only by their limits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from crosstalk.errors import PanelError
from crosstalk.panel.records import Measurement, Panel
from crosstalk.statistics.censored import CensoredSample

__all__ = ["sample_of"]


def sample_of(panels: Iterable[Panel], analyte: str) -> CensoredSample:
    """Collect the values of one analyte, one per panel, in the order of the panels; who has none is missing.

    A value that failed quality control is missing and named in ``left_out``.

    Examples
    --------
    >>> panels = [Panel("A", {"TNF": Measurement("TNF", 1.1)}), Panel("B", {"TNF": Measurement("TNF", 0.5, "left")})]
    >>> sample_of(panels, "TNF").counts["left"]
    1
    """
    low, high, left_out = [], [], []
    for panel in panels:
        found = panel.measurements.get(analyte)
        limits = (0.0, np.inf)
        if found is not None and found.quality == "failed":
            left_out.append(f"{panel.patient}: {'; '.join(found.remarks) or 'failed quality control'}")
        elif found is not None:
            limits = _limits(found)
            if not (0 <= limits[0] <= limits[1] and limits[1] > 0):
                raise PanelError(
                    f"{found.place or 'panel'}, patient {panel.patient}, {analyte}: {limits[0]:g} to {limits[1]:g} is "
                    f"no positive value; write one below the limit of detection as <LOD"
                )
        low.append(limits[0])
        high.append(limits[1])
    return CensoredSample(low, high, analyte, left_out)


def _limits(found: Measurement) -> tuple[float, float]:
    if found.censored == "left":
        return 0.0, found.value
    if found.censored == "right":
        return found.value, np.inf
    return found.value, found.value if found.upper is None or found.censored != "interval" else found.upper
