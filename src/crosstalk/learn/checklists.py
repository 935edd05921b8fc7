"""Checklists filled with what a run knows; what only the authors know stays blank. The items are data."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from string import Formatter

from crosstalk.errors import UsageError
from crosstalk.learn.records import Learnt, ModelResult
from crosstalk.limits import read_toml

__all__ = ["CHECKLISTS", "Checklist", "Filled", "fill_checklist", "model_card"]

CHECKLISTS = ("tripod_ai", "probast_ai")


@dataclass(frozen=True, slots=True)
class Filled:
    """An item; ``status`` is ``filled``, ``partly`` or ``blank``."""

    id: str
    section: str
    asks: str
    answer: str
    status: str


@dataclass(frozen=True, slots=True)
class Checklist:
    """A filled checklist."""

    name: str
    title: str
    doi: str
    items: tuple[Filled, ...]


def fill_checklist(name: str, found: Learnt) -> Checklist:
    """Fill a checklist with the facts of a run.

    Parameters
    ----------
    name : {"tripod_ai", "probast_ai"}
    found : Learnt

    Raises
    ------
    UsageError
        On another name.
    """
    if name not in CHECKLISTS:
        raise UsageError(f"unknown checklist '{name}'; expected one of {', '.join(CHECKLISTS)}")
    text = (files("crosstalk.knowledge") / "checklists" / f"{name}.toml").read_text(encoding="utf-8")
    content = read_toml(text)
    known = _facts(found)
    items = []
    for item in content["item"]:
        pattern = item.get("fill", "")
        answer = pattern.format_map(known).strip()
        # a fact that the run does not have leaves nothing to say
        empty = not answer or any(key and not known[key] and pattern == f"{{{key}}}" for _, key, _, _ in _keys(pattern))
        status = "blank" if empty else "partly" if item.get("partly") else "filled"
        items.append(Filled(item["id"], item["section"], item["asks"], "" if empty else answer, status))
    return Checklist(content["name"], content["title"], content["doi"], tuple(items))


def _keys(pattern: str) -> list[tuple[str, str | None, str | None, str | None]]:
    return list(Formatter().parse(pattern))


def _facts(f: Learnt) -> dict[str, str]:
    event = f.kind == "event"
    fullest = next((m for m in f.models[::-1] if m.rung == "panel" and not m.skipped), None)
    ran = [m for m in f.models if not m.skipped and m.predictors]
    shown: ModelResult | None = fullest or (ran[-1] if ran else None)
    size = shown.adequacy.reason if shown is not None and shown.adequacy is not None else ""
    sites = ", ".join(f"{name} ({n})" for name, n in f.sites.items())
    missing = ", ".join(f"{name} {share:.0%}" for name, share in f.missing.items())
    claim = next((d for d in f.differences if d.claim), None)
    names = {m.rung: m.name for m in f.models}
    treated = f.heterogeneity is not None
    return {
        "outcome": f.outcome, "n": str(f.n), "positive_words": f", event: {f.positive}" if event else " (a score)",
        "events_words": f", {f.events} with the event" if event else "", "input_sha256": f.input_sha256,
        "reference": names.get(claim.reference, "what is known without it") if claim else "what is known without it",
        "sites": sites or "not told", "sites_words": "; sites left out in turn" if sites else "",
        "sites_method": "Each site was predicted by models of the others." if sites else "",
        "sites_results": "See the table of sites." if sites else "",
        "groups_words": f", {f.groups} groups kept together" if f.groups else "",
        "groups_method": f"{f.groups} groups (families) were never torn between training and evaluation."
        if f.groups else "No groups were named; people are taken as unrelated.",
        "treatment": "The treatment is a predictor; who benefits was judged on held-out people." if treated else "",
        "size": size[:1].upper() + size[1:],
        "missing": f"Filled by the median of training rows (regression) or left to the trees: {missing}." if missing
        else "No predictor was missing.",
        "predictors": ", ".join(shown.predictors) if shown else "", "folds": str(f.folds), "repeats": str(f.repeats),
        "boosting_words": "; gradient boosting of small trees with fixed settings beside it"
        if any(m.learner == "boosting" for m in f.models) else "",
        "bootstrap_words": f", {f.bootstrap} bootstrap samples for optimism and stability" if f.bootstrap else "",
        "measures": "AUC, Brier and logarithmic score, calibration in the large, slope and curve, net benefit" if event
        else "R2, root mean squared and absolute error, slope and intercept",
        "output": "Probability of the event; no threshold was chosen, net benefit is shown for all." if event
        else "A score, with a conformal interval once locked.",
        "crosstalk": f.versions.get("crosstalk", ""), "sklearn": f.versions.get("scikit-learn", ""),
        "command": f.command,
        "warnings": " ".join(w.removeprefix(f"{f.path}: ") + "." for w in f.warnings), "conclusion": f.conclusions[0],
    }  # fmt: skip


def model_card(found: Learnt) -> tuple[tuple[str, str], ...]:
    """A model card: what it is for, of whom it was made, how good it is, what it must not be used for.

    The form is that of Mitchell et al. 2019, doi 10.1145/3287560.3287596.
    """
    f = _facts(found)
    best = [
        m for m in found.models if m.rung in ("panel", "crp", "clinical") and m.learner == "penalised" and not m.skipped
    ]
    rows = [
        ("What", f"Risk of {found.outcome} ({found.positive})" if found.kind == "event" else f"Score {found.outcome}"),
        ("Kind", "Penalised regression; gradient boosting beside it is never locked"),
        ("Made of", f"{found.n} patients{f['events_words']}; sites: {f['sites']}"),
        ("Predictors", f["predictors"]),
        ("Use", "Research: to form hypotheses and to be validated elsewhere"),
        ("Not for", "Decisions about a patient; people unlike those of the cohort; other assays without a check"),
        ("Size", f["size"]),
        ("Missing data", f["missing"]),
    ]
    for m in best:
        p = m.performance
        if p is not None and p.auc is not None and p.calibration is not None:
            rows.append((m.name, f"AUC {p.auc.value:.2f} ({p.auc.low:.2f} to {p.auc.high:.2f}), calibration slope "
                         f"{p.calibration.slope.value:.2f}"))  # fmt: skip
        elif p is not None and p.r2 is not None:
            rows.append((m.name, f"R2 {p.r2.value:.2f} ({p.r2.low:.2f} to {p.r2.high:.2f})"))
    parts = [g for m in best[-1:] for g in m.groups if g.note]
    rows.append(("Parts", "; ".join(f"{g.group}: {g.note}" for g in parts) or "by sex and age as in the table"))
    rows.append(("Conclusion", found.conclusions[0]))
    return tuple(rows)
