"""Errors named after the stage that failed.

Each message says what was received, what was expected, where, and what to do.
The command line prints the message alone and exits with ``exit_code``.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "ApplicabilityError",
    "CalibrationError",
    "CrosstalkError",
    "EvidenceError",
    "KnowledgeError",
    "LearnError",
    "ModelError",
    "OutputError",
    "PanelError",
    "PopulationError",
    "RegistryError",
    "SimulationError",
    "StudyError",
    "TrialError",
    "TwinError",
    "UnitError",
    "UsageError",
    "check_level",
    "check_option",
]


class CrosstalkError(Exception):
    """Base of every error that Crosstalk raises on purpose."""

    exit_code = 1


class UsageError(CrosstalkError):
    """The call itself is wrong: an unknown name, an option that does not fit."""

    exit_code = 2


class UnitError(CrosstalkError):
    """A unit is missing, unknown, or cannot be converted."""


class KnowledgeError(CrosstalkError):
    """A file of the knowledge base breaks its schema."""


class ModelError(CrosstalkError):
    """The mechanism does not assemble into a valid model."""


class SimulationError(CrosstalkError):
    """A simulation failed and the caller asked for strictness."""


class StudyError(CrosstalkError):
    """A study file breaks its schema or asks for the impossible."""


class EvidenceError(CrosstalkError):
    """Published results cannot be pooled as asked."""


class PanelError(CrosstalkError):
    """A patient's panel cannot be read, or holds an impossible value."""


class PopulationError(CrosstalkError):
    """No virtual population can be made as asked."""


class CalibrationError(CrosstalkError):
    """A calibration cannot run, or a posterior cannot be used."""


class TwinError(CrosstalkError):
    """A patient's posterior cannot be formed."""


class ApplicabilityError(TwinError):
    """The patient lies outside what the model knows."""


class OutputError(CrosstalkError):
    """A result cannot be written."""


class TrialError(CrosstalkError):
    """A trial cannot be conducted or analysed as its design asks."""


class LearnError(CrosstalkError):
    """A cohort cannot be learnt from as asked, or a locked model cannot be applied."""


class RegistryError(CrosstalkError):
    """The registry of forecasts refuses, cannot be reached, or does not fit together."""


def check_option(option: str, value: object, choices: Sequence[str]) -> None:
    """Raise `UsageError` with the choices if a value is none of them; another default never takes its place."""
    if value not in choices:
        listed = ", ".join(repr(c) for c in choices)
        raise UsageError(f"{option} {value!r} is unknown; expected one of {listed}")


def check_level(level: float) -> None:
    """Raise `UsageError` if the coverage of an interval is no share between 0 and 1."""
    if not 0 < level < 1:
        raise UsageError(f"received level {level:g}; expected a share between 0 and 1, such as 0.95")
