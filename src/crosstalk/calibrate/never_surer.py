"""Published results alone beside the model, which must not be surer of an effect than they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crosstalk.calibrate.files import read_counterparts
from crosstalk.calibrate.moderation import (
    Asked,
    Influence,
    ModelAnswer,
    Sureness,
    ask,
    asked_effects,
    asked_questions,
    influences,
    sureness,
)
from crosstalk.engine.ensemble import Engine
from crosstalk.evidence.main_effects import DirectEffect, direct_effects
from crosstalk.evidence.moderation import Direct, DirectAnswer, direct_answers
from crosstalk.evidence.records import LeftOut
from crosstalk.evidence.sources import Entry
from crosstalk.knowledge.loader import Knowledge
from crosstalk.knowledge.questions import read_questions
from crosstalk.population.calibrated import PosteriorFile, posterior_worlds
from crosstalk.population.worlds import Worlds, prior_worlds
from crosstalk.provenance import package_version

__all__ = ["Beside", "Comparison", "beside_effects", "beside_moderation"]


@dataclass(frozen=True, slots=True)
class Beside:
    """One question: the direct answer, with and without zeros that are only stated, and the model's.

    ``prior`` is the model's answer before the calibration, None where no posterior fits the model; then ``model`` is
    that of the priors. Both are None where the library has no regimen to ask about.
    """

    id: str
    words: str
    direct: Direct
    stated: Direct
    left_out: tuple[LeftOut, ...]
    model: ModelAnswer | None
    prior: ModelAnswer | None
    sureness: Sureness | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All questions of one kind; ``unit`` is that of their answers, ``knowledge`` says where the worlds come from."""

    kind: str
    unit: str
    rows: tuple[Beside, ...]
    calibrated: bool
    knowledge: str
    draws: int
    patients: int
    seed: int
    crosstalk: str
    knowledge_sha256: str

    @property
    def surer(self) -> tuple[Beside, ...]:
        """Where the model is surer than the evidence, unexplained."""
        return tuple(r for r in self.rows if r.sureness is not None and r.sureness.verdict == "surer than the evidence")


def beside_moderation(
    entries: Sequence[Entry],
    knowledge: Knowledge,
    engine: Engine,
    posterior: PosteriorFile | None,
    *,
    draws: int = 120,
    patients: int = 40,
    seed: int = 1,
    meta_analyses: bool = False,
    say: Callable[[str], None] | None = None,
) -> Comparison:
    """Answer the questions of ``questions.toml`` from published results and by the model.

    Parameters
    ----------
    entries : sequence of Entry
        The studies to pool.
    knowledge : Knowledge
    engine : Engine
    posterior : PosteriorFile or None
        One that fits the model; without, the model's answers are those of its priors.
    draws, patients : int
        Worlds, and virtual patients of each.
    seed : int
    meta_analyses : bool
        Pool meta-analyses with trials.
    say : callable, optional
        Told in words what is being done.

    Raises
    ------
    UsageError
        With too few draws or patients.
    """
    found = direct_answers(entries, knowledge, meta_analyses=meta_analyses)
    rows = [(a.question.id, a) for a in found]
    asked = asked_questions(read_questions(knowledge), knowledge)
    run = _Run(knowledge, engine, posterior, draws, patients, seed, say)
    return run.compare("moderation", "SD of the score per SD of the marker", rows, asked)


def beside_effects(
    entries: Sequence[Entry],
    knowledge: Knowledge,
    engine: Engine,
    posterior: PosteriorFile | None,
    *,
    draws: int = 120,
    patients: int = 40,
    seed: int = 1,
    meta_analyses: bool = False,
    say: Callable[[str], None] | None = None,
) -> Comparison:
    """Effects of the drugs of all classes; parameters as `beside_moderation`."""
    asked = asked_effects(read_questions(knowledge), knowledge)
    found = direct_effects(entries, [a.id for a in asked], knowledge, meta_analyses=meta_analyses)
    run = _Run(knowledge, engine, posterior, draws, patients, seed, say)
    return run.compare("main effects", "SD of the score", [(a.drug, a) for a in found], asked)


@dataclass(frozen=True)
class _Run:
    knowledge: Knowledge
    engine: Engine
    posterior: PosteriorFile | None
    draws: int
    patients: int
    seed: int
    say: Callable[[str], None] | None

    def compare(
        self,
        kind: str,
        unit: str,
        direct: Sequence[tuple[str, DirectAnswer | DirectEffect]],
        asked: Sequence[Asked],
    ) -> Comparison:
        named: dict[str, tuple[Influence, ...]] = {}
        prior: dict[str, ModelAnswer] = {}
        if self.posterior is None:
            words = "priors, not calibrated"
            model = self._ask(asked, prior_worlds(self.knowledge, self.seed, self.draws), "priors")
        else:
            words = f"posterior of version {self.posterior.version}, {self.draws} draws"
            worlds = posterior_worlds(self.posterior, self.knowledge, self.seed, self.draws)
            model = self._ask(asked, worlds, "posterior")
            given = read_counterparts(self.posterior.path)
            chosen = np.random.default_rng(self.seed).permutation(given.prior.n)[: self.draws]
            # what is not in the file, such as a drug that came later, has its prior
            values = prior_worlds(self.knowledge, self.seed, len(chosen)).values
            worlds = given.prior.take(chosen)
            prior = self._ask(asked, Worlds({**values, **worlds.values}, worlds.n, worlds.source), "prior")
            named = {id_: influences(answer, given, chosen) for id_, answer in prior.items()}
        rows = tuple(
            Beside(
                id_, d.words, d.printed, d.stated, d.left_out, model.get(id_), prior.get(id_),
                self._sureness(d.printed, model.get(id_), prior.get(id_), named.get(id_, ())),
            )
            for id_, d in direct
        )  # fmt: skip
        return Comparison(
            kind, unit, rows, self.posterior is not None, words, self.draws, self.patients, self.seed,
            package_version(), self.knowledge.sha256,
        )  # fmt: skip

    def _ask(self, asked: Sequence[Asked], worlds: Worlds, words: str) -> dict[str, ModelAnswer]:
        if self.say is not None:
            self.say(f"simulating the standard trial, {words}")
        answers = ask(asked, worlds, self.knowledge, self.engine, patients=self.patients, seed=self.seed)
        return {answer.id: answer for answer in answers}

    @staticmethod
    def _sureness(
        direct: Direct, model: ModelAnswer | None, prior: ModelAnswer | None, found: tuple[Influence, ...]
    ) -> Sureness | None:
        if model is None or not np.isfinite(model.sd):
            return None
        return sureness(model, direct.se, model.sd if prior is None else prior.sd, found)
