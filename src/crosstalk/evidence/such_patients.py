"""What trials showed of a regimen against another one, in whole samples and in a stratum that holds one patient.

The published counterpart of a forecast's difference: head to head where a trial compares the two, by the drug that one
regimen adds or leaves out, else indirectly through the effect of each against its absence [1]_.

.. [1] Bucher HC et al. The results of direct and indirect treatment comparisons in meta-analysis of randomized
   controlled trials. J Clin Epidemiol 1997. doi:10.1016/S0895-4356(97)00049-8
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import hypot, isfinite

from crosstalk.evidence.arms import compare_arms
from crosstalk.evidence.cohort_slopes import CohortSlope, one_per_cohort
from crosstalk.evidence.listing import published, stratum_text
from crosstalk.evidence.main_effects import compares, in_sd
from crosstalk.evidence.moderation import pooled, without_doubles
from crosstalk.evidence.records import PublishedResult
from crosstalk.evidence.sources import Entry, read_entries, study_paths
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.records import Regimen
from crosstalk.statistics.estimates import Z95
from crosstalk.study.records import Eligibility

__all__ = ["STATED", "Found", "Published"]

STATED = ", a zero that is only stated in words"


@dataclass(frozen=True, slots=True)
class Found:
    """A pooled published effect in SD of the score with its 95 % interval, negative where the first is better.

    ``n`` is the number of patients, none where a publication does not give it.
    """

    comparison: str
    stratum: str
    diagnoses: tuple[str, ...]
    k: int
    n: int | None
    value: float
    low: float
    high: float
    studies: tuple[tuple[str, str, str], ...]
    """Id, DOI and role in the model."""


class Published:
    """The evidence base, asked for one comparison after another.

    Parameters
    ----------
    knowledge : Knowledge
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge

    @cached_property
    def _entries(self) -> Mapping[str, Entry]:
        return {e.study.id: e for e in read_entries(study_paths((), self.knowledge), self.knowledge)[0]}

    @cached_property
    def _rows(self) -> tuple[tuple[PublishedResult, bool], ...]:
        """Results with a standard error, and whether each only says in words that there is no difference."""
        found = []
        for entry in self._entries.values():
            figures = {entry.line("result", i): r.figure for i, r in enumerate(entry.study.results)}
            rows = published([entry])
            found += [(row, figures[row.line] == "stated") for row in (*rows, *compare_arms(rows)) if row.se]
        return tuple(found)

    def effects(
        self, regimen: Regimen, reference: Regimen, within: tuple[str, float, float] | None = None
    ) -> tuple[Found, ...]:
        """The effect in the stratum that holds a patient, if any trial has such patients, and in whole samples.

        Parameters
        ----------
        regimen, reference : Regimen
        within : (str, float, float), optional
            An analyte, and between which values the patient's own lies, in the unit of the library.

        Raises
        ------
        EvidenceError
            If PyMARE is not installed and several cohorts are to be pooled.
        """
        own, other = (_drugs(r) for r in (regimen, reference))
        added, dropped = tuple(d for d in own if d not in other), tuple(d for d in other if d not in own)
        if (added, dropped) == ((), ()):
            return ()
        both = (self._pool(added, dropped, within) if within else None, self._pool(added, dropped, None))
        found = tuple(f for f in both if f is not None)
        if found or not (added and dropped):
            return found
        return self._indirect(added, dropped)

    def _pool(
        self, own: tuple[str, ...], other: tuple[str, ...], within: tuple[str, float, float] | None
    ) -> Found | None:
        answers: list[CohortSlope] = []
        sizes: dict[str, int | None] = {}
        who: dict[str, str] = {}
        for row, stated in self._rows:
            sign = compares(row, own, other, self.knowledge) if self._holds(row.stratum, within) else 0
            if not sign:
                continue
            study = self._entries[row.study].study
            answers.append(in_sd(row, sign, study.cohort or study.id, stated, self.knowledge))
            # the size of a study is that of a comparison only where it has no other
            alone = study.population.n if within is None and len(study.arms) == 2 else None
            sizes[row.study] = max(sizes.get(row.study) or 0, sum(row.n) or alone or 0) or None
            who[row.study] = row.diagnosis
        slopes, _ = without_doubles(one_per_cohort(answers), meta_analyses=False)
        printed = [s for s in slopes if not s.stated]
        direct = pooled(printed or slopes)
        if not direct.k or not isfinite(direct.estimate):
            return None
        ids = tuple(dict.fromkeys(m.study for m in direct.members))
        counted = [sizes[i] for i in ids]
        limits = dict.fromkeys(stratum_text(s.stratum) for s in slopes if s.study in ids and s.stratum is not None)
        comparison = self._words(own, other) + ("" if printed else STATED)
        return Found(
            comparison, " or ".join(limits), tuple(dict.fromkeys(who[i] for i in ids)), direct.k,
            None if None in counted else sum(n for n in counted if n is not None),
            direct.estimate, direct.low, direct.high, tuple(self._study(i) for i in ids),
        )  # fmt: skip

    def _indirect(self, own: tuple[str, ...], other: tuple[str, ...]) -> tuple[Found, ...]:
        first, second = self._pool(own, (), None), self._pool(other, (), None)
        if first is None or second is None:
            return ()
        value = first.value - second.value
        se = hypot(first.high - first.low, second.high - second.low) / (2 * Z95)
        n = None if first.n is None or second.n is None else first.n + second.n
        return (
            Found(
                f"{self._words(own, other)}, indirectly by the effect of each", "",
                tuple(dict.fromkeys((*first.diagnoses, *second.diagnoses))), first.k + second.k, n,
                value, value - Z95 * se, value + Z95 * se, tuple(dict.fromkeys((*first.studies, *second.studies))),
            ),
        )  # fmt: skip

    def _holds(self, limits: Eligibility | None, within: tuple[str, float, float] | None) -> bool:
        """Whether a result is of whole samples, or of a stratum in which the patient's value certainly lies."""
        if limits is None or within is None:
            return limits is None and within is None
        analyte, low, high = within
        if limits.analyte != analyte or limits.unit != self.knowledge.analyte(analyte).unit:
            return False
        return (limits.min is None or low >= limits.min) and (limits.max is None or high < limits.max)

    def _words(self, own: Sequence[str], other: Sequence[str]) -> str:
        names = [", ".join(self.knowledge.drug(d).name for d in drugs) for drugs in (own, other)]
        if not names[0]:
            return f"{names[1]} left out"
        return f"{names[0]} against {names[1] or 'its absence'}"

    def _study(self, study: str) -> tuple[str, str, str]:
        found = self._entries[study].study
        return study, found.doi, found.role


def _drugs(regimen: Regimen) -> tuple[str, ...]:
    return tuple(dict.fromkeys(dose.drug for dose in regimen.doses))
