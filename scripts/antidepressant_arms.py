"""Drug effects and the response to placebo from counts of responders by arm: pooled, with the spread between trials.

The counts themselves are not part of the project; only what they say in summary is. Both files hold trials of one
systematic review (doi 10.1016/S0140-6736(17)32802-7), response being a fall of the score by half at about week 8:

=============================== ==================================================== ==============================
file                            what                                                 source
=============================== ==================================================== ==============================
mtrank_antidepressants_arms.csv 361 arms of 179 trials of one drug against another,  data set `antidepressants` of
                                without placebo: studyid, drug_name, ntotal,         the R package mtrank
                                responders
hamza2021_dose_arms.csv         457 arms of 170 trials with fixed doses, 118 of them doi 10.5281/zenodo.5866456, data
                                with placebo: id, drug, dose, resp, total,           set `Hamza2021` of the R package
                                dose_label                                           metabook
=============================== ==================================================== ==============================

51 trials are in both; those of the second file whose arms the first has too are taken from the first. The second file
is made in R by ``write.csv(metabook::Hamza2021, "hamza2021_dose_arms.csv", row.names = FALSE)``.

Run it as ``python scripts/antidepressant_arms.py FOLDER``: it prints the tables. ``--check`` compares them with the
files of the package, ``--write`` puts them there: the results of the study file ``antidepressant-arms``, and the table
``antidepressant_arms.tsv``.

Methods
-------
Network: contrasts within trials, random effects with one variance between trials for all contrasts (those of a trial
with more than two arms are correlated by one half), estimated by restricted maximum likelihood [1]_. Where a cell is
empty, 0.5 is added to the four or more of that trial. Response of an arm: binomial counts about a normal of the
log odds between trials, by maximum likelihood with Gauss-Hermite quadrature [2]_.

.. [1] Rücker G. Network meta-analysis, electrical networks and graph theory. Res Synth Methods 2012.
   doi:10.1002/jrsm.1058
.. [2] Stijnen T, Hamza TH, Özdemir P. Random effects meta-analysis of event outcome in the framework of the
   generalized linear mixed model. Stat Med 2010. doi:10.1002/sim.4040
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from individual_summaries import KNOWLEDGE, Summary, differences, results_text, rounded
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, logsumexp

SCRIPT = "scripts/antidepressant_arms.py"
HEAD_TO_HEAD, FIXED_DOSE = "mtrank_antidepressants_arms.csv", "hamza2021_dose_arms.csv"
PLACEBO = "Placebo"
Z95 = 1.959963984540054

Array = NDArray[np.float64]
STUDY, TABLE = "antidepressant-arms", "antidepressant_arms.tsv"
NODES = 41  # of the Gauss-Hermite quadrature
STANDS_FOR = {"escitalopram": "Escitalopram", "sertraline": "Sertraline", "bupropion": "Bupropion",
              "nortriptyline": "Amitriptyline"}  # fmt: skip
"""Arms of the study file, by drug of the library, and the drug of the data."""

# Data


def read_arms(folder: Path) -> pd.DataFrame:
    """Return trial, drug, n and responders by arm: both files, no trial twice, licensed doses of a drug added up.

    Raises
    ------
    ValueError
        If an arm has more responders than patients, or fewer than none.
    """
    first = pd.read_csv(folder / HEAD_TO_HEAD)
    first = first.rename(columns={"studyid": "trial", "drug_name": "drug", "ntotal": "n", "responders": "r"})
    second = pd.read_csv(folder / FIXED_DOSE).rename(columns={"id": "trial", "total": "n", "resp": "r"})
    second = second[second.dose_label == "licensed"].groupby(["trial", "drug"], as_index=False)[["n", "r"]].sum()
    known = {_fingerprint(arms) for _, arms in first.groupby("trial")}
    again = {trial for trial, arms in second.groupby("trial") if _fingerprint(arms) in known}
    second = second[~second.trial.isin(again)]
    parts = [(HEAD_TO_HEAD, first), (FIXED_DOSE, second)]
    table = pd.concat([part.assign(trial=part.trial.astype(int).astype(str) + f" of {name}") for name, part in parts])
    wrong = table[(table.r < 0) | (table.r > table.n) | (table.n < 1)]
    if len(wrong):
        row = wrong.iloc[0]
        raise ValueError(f"trial {row.trial}, {row.drug}: {row.r:g} responders of {row.n:g} patients")
    return table[["trial", "drug", "n", "r"]].reset_index(drop=True)


def _fingerprint(arms: pd.DataFrame) -> frozenset[tuple[str, int, int]]:
    return frozenset(zip(arms.drug, arms.n.astype(int), arms.r.astype(int), strict=True))


# Statistics


@dataclass(frozen=True)
class Network:
    """Log odds ratios of response against a reference and their covariance; ``tau`` between trials.

    ``q`` is Cochran's with its degrees of freedom ``df``, ``i2`` [%] the share of the variance between trials.
    """

    drugs: tuple[str, ...]
    effects: Array
    covariance: Array
    tau: float
    tau_error: float
    q: float
    df: int
    trials: int

    @property
    def i2(self) -> float:
        """Share of the variance that is not by chance [%]."""
        return 100 * max(0.0, 1 - self.df / self.q)

    def against(self, drug: str, other: str = "") -> tuple[float, float]:
        """Log odds ratio of a drug against the reference, or another drug, and its standard error."""
        weights = np.zeros(len(self.drugs))
        weights[self.drugs.index(drug)] = 1.0
        if other:
            weights[self.drugs.index(other)] -= 1.0
        return float(weights @ self.effects), sqrt(weights @ self.covariance @ weights)


def contrasts(arms: pd.DataFrame) -> tuple[Array, Array]:
    """Return the log odds ratios of the other arms of a trial against its first, and their sampling covariance."""
    r, n = arms.r.to_numpy(float), arms.n.to_numpy(float)
    if ((r == 0) | (r == n)).any():
        r, n = r + 0.5, n + 1.0
    logits, variances = np.log(r / (n - r)), 1 / r + 1 / (n - r)
    return logits[1:] - logits[0], np.diag(variances[1:]) + variances[0]


def network(table: pd.DataFrame, reference: str) -> Network:
    """Fit a network meta-analysis of odds ratios with one variance between trials, by restricted likelihood."""
    drugs = tuple(sorted(set(table.drug) - {reference}))
    place = {drug: j for j, drug in enumerate(drugs)}
    blocks: list[tuple[Array, Array, Array]] = []
    for _, arms in table.groupby("trial", sort=True):
        if len(arms) < 2:
            continue
        design = np.zeros((len(arms), len(drugs)))
        for i, drug in enumerate(arms.drug):
            if drug != reference:
                design[i, place[drug]] = 1.0
        blocks.append((*contrasts(arms), design[1:] - design[0]))

    def fit(tau: float) -> tuple[Array, Array, float, float]:
        """Effects, their covariance, Q, and minus twice the restricted log-likelihood."""
        information, score, square, determinant = np.zeros((len(drugs),) * 2), np.zeros(len(drugs)), 0.0, 0.0
        for y, sampling, x in blocks:
            matrix = sampling + tau * tau * 0.5 * (np.eye(len(y)) + 1.0)
            weight = np.linalg.inv(matrix)
            information += x.T @ weight @ x
            score += x.T @ weight @ y
            square += y @ weight @ y
            determinant += np.linalg.slogdet(matrix)[1]
        covariance = np.linalg.inv(information)
        effects = covariance @ score
        q = float(square - score @ effects)
        return effects, covariance, q, float(determinant + np.linalg.slogdet(information)[1] + q)

    tau = float(minimize_scalar(lambda t: fit(t)[3], bounds=(0.0, 2.0), method="bounded", options={"xatol": 1e-8}).x)
    step = 1e-3
    curvature = (fit(tau + step)[3] - 2 * fit(tau)[3] + fit(abs(tau - step))[3]) / step**2
    effects, covariance, _, _ = fit(tau)
    df = sum(len(y) for y, _, _ in blocks) - len(drugs)
    error = sqrt(2 / curvature) if curvature > 0 else float("nan")
    return Network(drugs, effects, covariance, tau, error, fit(0.0)[2], df, len(blocks))


@dataclass(frozen=True)
class ArmResponse:
    """Log odds of response in one kind of arm: mean over trials and SD between them, with standard errors."""

    mean: float
    mean_error: float
    sd: float
    sd_error: float
    trials: int
    patients: int


def arm_response(r: Array, n: Array) -> ArmResponse:
    """Fit binomial counts whose log odds are normal between trials."""
    nodes, weights = np.polynomial.hermite.hermgauss(NODES)
    z, w = sqrt(2) * nodes, np.log(weights / sqrt(np.pi))

    def loss(at: Array) -> float:
        eta = at[0] + np.exp(at[1]) * z[None, :]
        terms = r[:, None] * -np.logaddexp(0, -eta) + (n - r)[:, None] * -np.logaddexp(0, eta)
        return -float(logsumexp(terms + w, axis=1).sum())

    share = float(r.sum() / n.sum())
    found = minimize(loss, np.array([np.log(share / (1 - share)), np.log(0.4)]), method="BFGS", options={"gtol": 1e-6})
    hessian = _hessian(loss, found.x)
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    sd = exp(found.x[1])
    return ArmResponse(float(found.x[0]), float(errors[0]), sd, float(sd * errors[1]), len(r), int(n.sum()))


def _hessian(loss: Any, at: Array, step: float = 1e-3) -> Array:
    eye = np.eye(len(at)) * step
    return np.array([[
        (loss(at + a + b) - loss(at + a - b) - loss(at - a + b) + loss(at - a - b)) / (4 * step * step) for b in eye
    ] for a in eye])  # fmt: skip


# What is kept


def drug_table(table: pd.DataFrame, found: Network) -> pd.DataFrame:
    """Return by drug: trials, patients, odds ratio against placebo, direct trials, log odds of response in its arms."""
    placebo = set(table[table.drug == PLACEBO].trial)
    rows = []
    for drug in (PLACEBO, *found.drugs):
        own = table[table.drug == drug]
        response = arm_response(own.r.to_numpy(float), own.n.to_numpy(float)) if len(own) > 2 else None
        effect, error = (0.0, 0.0) if drug == PLACEBO else found.against(drug)
        rows.append(
            {
                "drug": drug.lower(), "trials": len(own), "patients": int(own.n.sum()),
                "against_placebo": 0 if drug == PLACEBO else len(placebo & set(own.trial)),
                "log_or": effect, "log_or_se": error, "or": exp(effect),
                "or_low": exp(effect - Z95 * error), "or_high": exp(effect + Z95 * error),
                "logit_mean": response.mean if response else np.nan,
                "logit_mean_se": response.mean_error if response else np.nan,
                "logit_sd": response.sd if response else np.nan,
                "logit_sd_se": response.sd_error if response else np.nan,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def table_text(drugs: pd.DataFrame, found: Network) -> str:
    """Return the table as it is committed."""
    head = f"""\
# Response to antidepressants and placebo (fall of the score by half, about week 8) in {found.trials} trials: odds ratio
# against placebo from a network meta-analysis (SD between trials {rounded(found.tau):g}, standard error
# {rounded(found.tau_error):g}; Q {found.q:.0f} on {found.df}, I2 {found.i2:.0f} %), and the log odds of response in the
# arms of each drug: mean over trials and SD between them (logit_sd), with standard errors. Trials and patients in
# licensed doses; against_placebo: trials that have both. Counts of doi:10.1016/S0140-6736(17)32802-7, in part by way of
# doi:10.5281/zenodo.5866456. Made by {SCRIPT}.
"""
    lines = ["\t".join(drugs.columns)]
    for _, row in drugs.iterrows():
        lines.append("\t".join(
            "" if isinstance(v, float) and np.isnan(v) else f"{rounded(v):g}" if isinstance(v, float) else str(v)
            for v in row
        ))  # fmt: skip
    return head + "\n".join(lines) + "\n"


def study_summary(drugs: pd.DataFrame, found: Network) -> Summary:
    """Return what the study file holds: odds ratios of the library's drugs, and the response to placebo."""
    rows: list[dict[str, Any]] = []
    for arm, drug in STANDS_FOR.items():
        design = "near" if arm == drug.lower() else "far"
        effect, error = found.against(drug)
        rows.append({
            "endpoint": "odds-ratio", "of": "HAMD17", "week": 8, "arm": arm, "versus": "placebo",
            "value": exp(effect), "se": error, "figure": "computed",
            "source": f"network of {found.trials} trials" + ("" if design == "near" else f", {drug.lower()}")
            + f", {SCRIPT}", "provenance": "seen",
            "mismatch": {"indication": "exact", "species": "human", "design": design, "quality": "meta-analysis"},
        })  # fmt: skip
    placebo = drugs.set_index("drug").loc["placebo"]
    share = float(expit(placebo.logit_mean))
    rows.append({
        "endpoint": "response", "of": "HAMD17", "week": 8, "arm": "placebo", "value": share, "unit": "fraction",
        "se": share * (1 - share) * placebo.logit_mean_se, "figure": "computed",
        "source": f"median of {int(placebo.trials)} trials, {SCRIPT}", "provenance": "seen",
        "mismatch": {"indication": "exact", "species": "human", "design": "near", "quality": "meta-analysis"},
    })  # fmt: skip
    return Summary(STUDY, {}, rows, network_lines(drugs, found))


def network_lines(drugs: pd.DataFrame, found: Network) -> list[str]:
    """Return lines to print."""
    return [
        f"  {found.trials} trials; SD between trials {found.tau:.3f} ({found.tau_error:.3f}), "
        f"Q {found.q:.1f} on {found.df}, I2 {found.i2:.0f} %",
        *(drugs.to_string(index=False, float_format=lambda v: f"{v:.3f}").splitlines()),
    ]


def main() -> None:
    """Print, check or write the summaries."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the two files of counts")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="compare with the package; exit 1 where they differ")
    what.add_argument("--write", action="store_true", help="write results and table into the package")
    options = parser.parse_args()
    try:
        table = read_arms(options.folder)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"antidepressant_arms: {error}")
    found = network(table, PLACEBO)
    drugs = drug_table(table, found)
    summary = study_summary(drugs, found)
    path = KNOWLEDGE / "studies" / f"{STUDY}.toml"
    if options.write:
        head = path.read_text(encoding="utf-8").split("[[result]]")[0]
        path.write_text(head + results_text(summary.rows), encoding="utf-8")
        (KNOWLEDGE / TABLE).write_text(table_text(drugs, found), encoding="utf-8")
    if options.write or options.check:
        problems = differences(summary, path.read_text(encoding="utf-8"))
        if (KNOWLEDGE / TABLE).read_text(encoding="utf-8") != table_text(drugs, found):
            problems.append(f"{TABLE}: is not what the data give")
        print("\n".join(problems) or "the files of the package hold what the data say")
        sys.exit(bool(problems))
    print("\n".join(summary.lines))
    print(results_text(summary.rows))


if __name__ == "__main__":
    main()
