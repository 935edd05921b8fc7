"""Trials from a form: the study file that says the same, and an R script that analyses the data of one trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Dose
from crosstalk.limits import shown
from crosstalk.provenance import package_version

if TYPE_CHECKING:
    from crosstalk.study.records import Study

__all__ = ["design_toml", "r_script"]


def design_toml(form: Mapping[str, Any], knowledge: Knowledge) -> str:
    """A study file of a trial of one regimen against another.

    Parameters
    ----------
    form : mapping
        ``title, regimen, control, n, weeks, scale, marker, cutoff, unit, design, dropout, severity, alpha``; checked by
        the server, and again when the file is read.
    """
    weeks, scale = int(form["weeks"]), knowledge.scale(form["scale"])
    visits = sorted({0, *range(2, weeks + 1, 2), weeks})
    arms = [(name, knowledge.regimen(form[key])) for name, key in (("treatment", "regimen"), ("control", "control"))]
    lines = [
        f"# Written by Crosstalk {package_version()}. Run it with: crosstalk trial FILE",
        "[study]",
        'id = "designed"',
        f"title = {_text(form['title'])}",
        'role = "design"',
        f"duration_weeks = {weeks}",
        f"visits = {visits}",
        "",
        "[population]",
        'diagnosis = "mdd"',
        f'severity = {{ scale = "{scale.id}", mean = {form["severity"]:g}, sd = {0.17 * form["severity"]:.3g}, '
        'source = "assumed" }',
    ]
    for name, regimen in arms:
        lines += ["", "[[arm]]", f'id = "{name}"', f"# {shown(regimen.name)}"]
        if regimen.doses:
            lines += ["dose = [", *(f"  {_dose(d, weeks)}," for d in regimen.doses), "]"]
    lines += ["", "[trial]", f'design = "{form["design"]}"', f"n = {int(form['n'])}", 'control = "control"']
    if form["design"] != "parallel":
        lines.append(
            f"marker = {{ analyte = {_text(form['marker'])}, min = {form['cutoff']:g}, unit = {_text(form['unit'])} }}"
        )
    lines += ["", "[trial.conduct]", f"dropout = {form['dropout']:g}"]
    analyses = [("primary", "mmrm", ""), ("response", "response", "confirmatory = false")]
    if form["design"] == "stratified":
        analyses.append(("interaction", "interaction", "confirmatory = false"))
    for name, method, more in analyses:
        lines += [
            "", "[[trial.analysis]]", f'id = "{name}"', f'method = "{method}"', f'of = "{scale.id}"', f"week = {weeks}",
            'arm = "treatment"', f"alpha = {form['alpha']:g}",
        ]  # fmt: skip
        lines += [more] if more else []
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A basic string of TOML, which JSON's strings are."""
    return json.dumps(str(value), ensure_ascii=True)


def _dose(d: Dose, end: int) -> str:
    """A dose entry; single doses at the end of the trial or later are not given in it."""
    keys = [f'drug = "{d.drug}"', f"amount = {d.amount:g}", f'unit = "{d.unit}"', f'route = "{d.route}"']
    if d.every_h is not None:
        keys.append(f"every_h = {d.every_h:g}")
        keys += [f"start_week = {d.start_week:g}"] if d.start_week else []
        keys += [f"stop_week = {d.stop_week:g}"] if d.stop_week is not None else []
    else:
        keys.append(f"weeks = {[float(w) for w in d.weeks if w < end]}")
    return "{ " + ", ".join(keys) + " }"


def r_script(plan: Study) -> str:
    """An R script that analyses ``data.csv`` as the primary analysis does; it needs nothing but R."""
    design = plan.trial
    assert design is not None
    primary = design.primary
    # a title of several lines would be more than a comment
    return f"""# {shown(plan.title, 100)}: one simulated trial, analysed as the design says.
# Written by Crosstalk {package_version()}.
# Run it in the folder of data.csv:  Rscript analysis.R
data <- read.csv("data.csv", stringsAsFactors = FALSE)
scale <- "{primary.of}"; week <- {primary.time_h / 168:g}; arm <- "{primary.arm}"; control <- "{design.control}"
base <- data[data$visit_week == 0, c("patient", scale)]; names(base)[2] <- "base"
long <- merge(data[data$visit_week > 0 & data$treatment %in% c(arm, control), ], base, by = "patient")
long$change <- long[[scale]] - long$base
long <- long[!is.na(long$change), ]
long$arm <- factor(long$treatment, levels = c(control, arm))
last <- long[long$visit_week == week, ]

cat("ANCOVA of the change at week", week, "\\n")
print(summary(lm(change ~ arm + base, data = last))$coefficients)
response <- tapply(last[[scale]] <= last$base / 2, last$arm, mean)
cat("\\nResponse:", sprintf("%s %.0f%%", names(response), 100 * response), "\\n")

# the mixed model for repeated measures, where the package mmrm is installed
if (requireNamespace("mmrm", quietly = TRUE)) {{
  long$visit <- factor(long$visit_week); long$patient <- factor(long$patient)
  fit <- mmrm::mmrm(change ~ arm * visit + base * visit + us(visit | patient), data = long, method = "Kenward-Roger")
  print(summary(fit)$coefficients)
}} else cat("\\nInstall the package mmrm for the primary analysis (MMRM).\\n")
"""
