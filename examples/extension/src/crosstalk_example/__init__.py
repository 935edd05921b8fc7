"""An example of a package that extends Crosstalk."""

from pathlib import Path

__all__ = ["KNOWLEDGE"]

KNOWLEDGE = Path(__file__).parent / "knowledge"
"""Folder of drugs, regimens, studies and analytes; the entry point names it."""
