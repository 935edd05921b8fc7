"""Measured panels: readers, units, censoring, reference ranges. Knows nothing of the model's inside."""

from crosstalk.panel.records import Measurement, Panel, PanelFile

__all__ = ["Measurement", "Panel", "PanelFile"]
