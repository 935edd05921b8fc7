"""The data of one simulated trial, as a tidy table and with the column names of CDISC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosstalk.trial.conduct import TrialData
from crosstalk.trial.setting import Setting

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["cdisc_frame", "tidy_frame"]


def tidy_frame(data: TrialData, setting: Setting) -> pd.DataFrame:
    """One simulated trial, a row per patient and visit.

    Columns: patient, group, treatment, stratum, marker and marker_positive (if the design has a marker), left_week
    (empty for those who stay), visit_week as planned, day on which the visit fell, on_drug, a column for each scale
    (empty where no visit took place) and for each measurement of screening.
    """
    import pandas as pd

    n, weeks = len(data), setting.visits_h / 168.0
    v = len(weeks)

    def per_patient(values: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(values, v)

    left = np.where(np.isfinite(data.left_h), data.left_h / 168.0, np.nan)
    marked = {"marker": per_patient(data.marker), "marker_positive": per_patient(data.positive)}
    columns = {
        "patient": per_patient(np.array([f"{setting.study.id}-{i + 1:04d}" for i in range(n)])),
        "group": per_patient(np.array(setting.groups)[data.group]),
        "treatment": per_patient(np.array(setting.treatments)[data.treatment]),
        "stratum": per_patient(data.stratum),
        **(marked if setting.design.marker is not None else {}),
        "left_week": per_patient(left),
        "visit_week": np.tile(weeks, n),
        "day": np.floor(data.times_h / 24.0).astype(int).ravel() + 1,
        "on_drug": data.on_drug.ravel(),
        **{scale: scores.ravel() for scale, scores in data.scores.items()},
        **{f"baseline_{k}": per_patient(values) for k, values in data.covariates.items()},
    }
    return pd.DataFrame(columns)


def cdisc_frame(data: TrialData, setting: Setting) -> pd.DataFrame:
    """One simulated trial with the column names of an ADaM questionnaire data set (ADQS).

    A row per patient, scale and visit that took place. ``PARAMCD`` is the scale's id cut to eight letters.
    """
    import pandas as pd

    weeks, parts = setting.visits_h / 168.0, []
    for scale, scores in data.scores.items():
        rows, visits = np.nonzero(np.isfinite(scores))
        value, base = scores[rows, visits], data.baseline[scale][rows]
        group = np.array(setting.groups)[data.group][rows]
        parts.append(
            pd.DataFrame(
                {
                    "STUDYID": setting.study.id,
                    "USUBJID": [f"{setting.study.id}-{i + 1:04d}" for i in rows],
                    "TRTP": group,
                    "TRTA": np.array(setting.treatments)[data.treatment][rows],
                    "AGE": np.floor(data.covariates["age"][rows]),
                    "SEX": np.where(data.covariates["sex"][rows] > 0.5, "F", "M"),
                    "PARAMCD": scale.upper()[:8],
                    "PARAM": setting.scales[scale].name,
                    "AVISITN": visits,
                    "AVISIT": [f"Week {weeks[k]:g}" if k else "Baseline" for k in visits],
                    "ADY": np.floor(data.times_h[rows, visits] / 24).astype(int) + 1,
                    "AVAL": value,
                    "BASE": base,
                    "CHG": np.where(visits > 0, value - base, np.nan),
                    "ABLFL": np.where(visits == 0, "Y", ""),
                    "ONTRTFL": np.where(data.on_drug[rows, visits], "Y", ""),
                    "ITTFL": "Y",
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
