"""A study on more virtual patients than memory holds: block after block of candidates, each a file of its own.

A candidate is made from the seed and his number, so that a block needs nothing from another: it runs here, in another
process, on a cluster, or in one of several parts of an array job. The files together hold what one run in memory would
have given, bit for bit. How large a block is bounds the memory, not how many there are.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from crosstalk.engine import get_engine
from crosstalk.engine.ensemble import Engine
from crosstalk.engine.scheduler import in_order
from crosstalk.errors import OutputError, PopulationError, UsageError
from crosstalk.extras import need
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.places import make_folder
from crosstalk.population.calibrated import possible_worlds
from crosstalk.population.run import StudyRun, simulate_candidates
from crosstalk.progress import Progress
from crosstalk.provenance import atomic_write, versions
from crosstalk.store import hash_value
from crosstalk.study.records import Study

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BLOCK", "Blocks", "Written", "merge", "simulate_to"]

BLOCK = 4096  # candidates
AHEAD = 2  # blocks under way for each worker
MARGIN = 5.0  # standard deviations of chance by which a part does more than its share, so that the parts suffice
BARREN = 25  # blocks in which nobody is eligible, after which the criteria are blamed
NAME = re.compile(r"block-(\d{8})\.parquet")
MARK = b"crosstalk"  # key of the metadata of a file
COLUMNS = ["arm", "patient", "time_h", "variable", "value"]


class Head(TypedDict):
    """What a file says of itself."""

    key: str
    number: int
    candidates: int
    patients: dict[str, int]
    failures: dict[str, int]
    eligible: dict[str, int]  # before the last ones were left out


@dataclass(frozen=True)
class Blocks:
    """What all blocks of a run have in common; small, since it goes to a worker with each block.

    Attributes
    ----------
    knowledge : str
        Hash of the knowledge that a worker must hold, and of the worlds.
    size : int
        Candidates of a block.

    The others are those of `crosstalk.population.run.simulate`.
    """

    study: Study
    seed: int
    worlds: int
    true_daily: bool
    circadian: bool
    knowledge: str
    size: int = BLOCK

    @classmethod
    def of(
        cls, study: Study, knowledge: Knowledge, *, seed: int, worlds: int, true_daily: bool, circadian: bool
    ) -> Blocks:
        """The blocks of a run with this knowledge."""
        return cls(study, seed, worlds, true_daily, circadian, _known(knowledge, seed, worlds))

    @property
    def arms(self) -> list[str]:
        """Names of the study's arms."""
        return [arm.id for arm in self.study.arms]

    @property
    def key(self) -> str:
        """Hash of everything that the content of a block depends on."""
        return hash_value("blocks", self, versions())

    def run(self, number: int, knowledge: Knowledge, engine: Engine) -> StudyRun:
        """Everybody who is eligible among the candidates of one block, through every arm."""
        index = np.arange(number * self.size, (number + 1) * self.size)
        return simulate_candidates(
            self.study, index, seed=self.seed, knowledge=knowledge, engine=engine, worlds=self.worlds,
            true_daily=self.true_daily, circadian=self.circadian,
        )  # fmt: skip


@dataclass(frozen=True)
class Written:
    """What a run has written.

    Attributes
    ----------
    folder : Path
        A dataset of Parquet files with the columns arm, patient, time_h, variable, value.
    patients : mapping of str to int
        By arm.
    failures : mapping of str to int
        Courses that could not be solved, by arm and reason; their values are missing.
    candidates : int
        Screened.
    blocks : int
        Files.
    """

    folder: Path
    patients: Mapping[str, int]
    failures: Mapping[str, int]
    candidates: int
    blocks: int

    def summary(self) -> str:
        """What was written, in words."""
        people = ", ".join(f"{arm} {n}" for arm, n in self.patients.items())
        lines = [f"{self.folder}: {self.blocks} Parquet files of {self.candidates} candidates", f"patients: {people}"]
        lines += [f"not solved, values missing: {reason}, {n}" for reason, n in self.failures.items()]
        return "\n".join(lines)


def simulate_to(
    folder: Path,
    blocks: Blocks,
    patients: int,
    *,
    part: tuple[int, int] = (1, 1),
    knowledge: Knowledge | None = None,
    engine: Engine | None = None,
    executor: Executor | None = None,
    width: int = 1,
    progress: Progress | None = None,
) -> Written:
    """Run a study on any number of virtual patients into a folder; blocks that are there already are not run again.

    Parameters
    ----------
    patients : int
        Patients of each arm, of all parts together.
    part : (int, int)
        Which of how many parts of an array job this is; `merge` makes one run of them.
    engine : Engine, optional
        Runs the blocks, if there is no executor; one is written while the next is computed.
    executor : concurrent.futures.Executor, optional
        Runs ``width`` blocks side by side, each with one thread.

    Raises
    ------
    PopulationError
        If nobody is eligible.
    OutputError
        If the folder holds files of another run.
    """
    need("pyarrow")
    mine, parts = part
    if patients < 1 or not 1 <= mine <= parts:
        raise UsageError(f"{patients} patients, part {mine}/{parts}; expected 1 or more, and a part from 1 to {parts}")
    if not folder.exists():
        make_folder(folder)
    there = {
        number: head for number, head in _there(folder, blocks.key).items() if head["patients"] == head["eligible"]
    }
    share = patients if parts == 1 else ceil((patients + MARGIN * sqrt(patients)) / parts)
    have = dict.fromkeys(blocks.arms, 0)
    knowledge = knowledge or load_knowledge()
    with closing(_made(folder, blocks, count(mine - 1, parts), there, knowledge, engine, executor, width)) as made:
        for done, head in enumerate(made, start=1):
            for arm in blocks.arms:
                have[arm] += head["patients"][arm]
            least = min(have.values())
            if progress is not None:
                progress(f"{least} of {share} patients", min(least / share, 1.0))
            if least >= share:
                break
            if done >= BARREN and not least:
                raise PopulationError(
                    f"study '{blocks.study.id}': nobody is eligible among {done * blocks.size} candidates; widen the "
                    "eligibility criteria"
                )
    return merge(folder, blocks, patients) if parts == 1 else _sum(folder, blocks, _there(folder, blocks.key))


def merge(folder: Path, blocks: Blocks, patients: int) -> Written:
    """Make one run of the parts in a folder: nothing missing, and no patient more than was asked for.

    Raises
    ------
    OutputError
        If blocks are missing, which it names, or the parts have too few patients.
    """
    need("pyarrow")
    there = _there(folder, blocks.key)
    have = dict.fromkeys(blocks.arms, 0)
    for number in count():
        head = there.get(number)
        left = {arm: patients - have[arm] for arm in blocks.arms}
        if head is None or any(head["patients"][a] < min(head["eligible"][a], left[a]) for a in blocks.arms):
            gaps = [n for n in range(number + 1, max(there, default=0)) if n not in there]
            others = f"so are {', '.join(map(str, gaps[:10]))}" if gaps else "no other is"
            raise OutputError(
                f"{folder}: {min(have.values())} of {patients} patients up to block {number}, which is missing "
                f"({others}); run their parts again, what is there is kept"
            )
        if any(head["patients"][arm] > left[arm] for arm in blocks.arms):
            head = _cut(folder, head, left)
            there[number] = head
        for arm in blocks.arms:
            have[arm] += head["patients"][arm]
        if min(have.values()) >= patients:
            break
    for later in [n for n in there if n > number]:
        (folder / _name(later)).unlink()
        del there[later]
    return _sum(folder, blocks, there)


def _cut(folder: Path, head: Head, left: Mapping[str, int]) -> Head:
    """Leave the first patients of a block, as many of each arm as are wanted."""
    import pyarrow.parquet as pq

    path = folder / _name(head["number"])
    table = pq.read_table(path)
    patient, arm_of = table["patient"].to_numpy(), np.asarray(table["arm"].cast("string"))
    keep = np.ones(len(table), dtype=bool)
    for arm, wanted in left.items():
        own = np.flatnonzero(arm_of == arm)
        keep[own] = np.isin(patient[own], np.unique(patient[own])[:wanted])
    fewer = {arm: min(head["patients"][arm], wanted) for arm, wanted in left.items()}
    short: Head = {**head, "patients": fewer}
    atomic_write(path, _bytes(table.filter(keep), short))
    return short


def _made(
    folder: Path,
    blocks: Blocks,
    numbers: Iterable[int],
    there: Mapping[int, Head],
    knowledge: Knowledge,
    engine: Engine | None,
    executor: Executor | None,
    width: int,
) -> Generator[Head, None, None]:
    """What each block holds, in order; those that are not there yet are run and written."""
    if executor is not None:
        tasks = ((blocks, n, n in there) for n in numbers)
        for number, found in in_order(executor, _remote, tasks, AHEAD * width):
            yield there[number] if found is None else _put(folder, *found)
        return
    held = engine or get_engine()

    def here(number: int) -> Head:
        if number in there:
            return there[number]
        return _put(folder, *_content(blocks, number, blocks.run(number, knowledge, held)))

    # one is written while the next is computed
    with ThreadPoolExecutor(AHEAD) as pool:
        yield from in_order(pool, here, numbers, AHEAD)


def _remote(task: tuple[Blocks, int, bool]) -> tuple[int, tuple[Head, bytes] | None]:
    """In a worker: one block as the bytes of its file; nothing where it is there already.

    Raises
    ------
    UsageError
        If the worker holds other knowledge.
    """
    blocks, number, there = task
    if there:
        return number, None
    knowledge = load_knowledge()
    if _known(knowledge, blocks.seed, blocks.worlds) != blocks.knowledge:
        raise UsageError(
            "a worker holds another knowledge base or posterior; install the same version there, with the same "
            "CROSSTALK_KNOWLEDGE and CROSSTALK_POSTERIOR"
        )
    return number, _content(blocks, number, blocks.run(number, knowledge, get_engine(jobs=1)))


def _known(knowledge: Knowledge, seed: int, worlds: int) -> str:
    return hash_value(knowledge.sha256, possible_worlds(knowledge, seed, worlds).values if worlds else None)


def _content(blocks: Blocks, number: int, run: StudyRun) -> tuple[Head, bytes]:
    import pyarrow as pa

    parts = []
    for arm, output, columns in run.columns():
        which = np.zeros(len(columns["value"]), dtype=np.int32)
        names = {
            "arm": pa.DictionaryArray.from_arrays(which, [arm]),
            "variable": pa.DictionaryArray.from_arrays(which, [output]),
        }
        parts.append(pa.table({**names, **columns}).select(COLUMNS))
    eligible = {arm: len(enrolled.patients) for arm, enrolled in run.enrolled.items()}
    reasons = Counter(
        f"{arm}: {failure.status.value}" for arm, failed in run.failures.items() for failure in failed.values()
    )
    head: Head = {
        "key": blocks.key,
        "number": number,
        "candidates": blocks.size,
        "patients": eligible,
        "failures": dict(sorted(reasons.items())),
        "eligible": eligible,
    }
    return head, _bytes(pa.concat_tables(parts).unify_dictionaries(), head)


def _bytes(table: pa.Table, head: Head) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({MARK: json.dumps(head).encode()}), sink, compression="zstd")
    return bytes(sink.getvalue())


def _put(folder: Path, head: Head, content: bytes) -> Head:
    atomic_write(folder / _name(head["number"]), content)
    return head


def _name(number: int) -> str:
    return f"block-{number:08d}.parquet"


def _there(folder: Path, key: str) -> dict[int, Head]:
    """The blocks in a folder.

    Raises
    ------
    OutputError
        If one is of another run, or no block at all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not folder.is_dir():
        raise OutputError(f"{folder}: is no folder; expected that of a run or of its parts")
    found: dict[int, Head] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):  # a temporary file of a run that goes on, or was killed
            continue
        try:
            head = json.loads((pq.read_schema(path).metadata or {})[MARK])
        except (KeyError, OSError, ValueError, pa.ArrowException):
            head = {}
        if not NAME.fullmatch(path.name) or head.get("key") != key:
            raise OutputError(
                f"{folder}: '{path.name}' is not of this run (other study, seed, worlds, posterior or version); "
                "give an empty folder"
            )
        found[head["number"]] = head
    return found


def _sum(folder: Path, blocks: Blocks, there: Mapping[int, Head]) -> Written:
    heads = list(there.values())
    failures: Counter[str] = Counter()
    for head in heads:
        failures.update(head["failures"])
    patients = {arm: sum(head["patients"][arm] for head in heads) for arm in blocks.arms}
    return Written(folder, patients, dict(failures), sum(head["candidates"] for head in heads), len(heads))
