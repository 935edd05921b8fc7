"""One simulated trial of a design, to look at its data."""

from __future__ import annotations

import numpy as np

from crosstalk.knowledge.loader import Knowledge
from crosstalk.study.records import Study
from crosstalk.trial.conduct import TrialData, conduct, setting_of
from crosstalk.trial.pool import Pool
from crosstalk.trial.setting import Setting

__all__ = ["one_trial"]


def one_trial(study: Study, pool: Pool, knowledge: Knowledge, seed: int) -> tuple[TrialData, Setting]:
    """Conduct one trial in the first world of a pool, and return its data and setting."""
    setting = setting_of(study, pool, knowledge)
    return conduct(setting, 0, np.random.default_rng([seed, 2])), setting
