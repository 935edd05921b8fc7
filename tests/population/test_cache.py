"""The cached population: used when whole, never trusted when not, and never needed."""

from __future__ import annotations

import io
import pickle
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from crosstalk.engine import Engine, Ensemble, Failure, Problem, Status, SteadyStates, get_engine
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.cache import _packed, _unpacked, virtual_population
from crosstalk.population.calibrated import POSTERIOR, VARIABLE
from crosstalk.population.patients import Patients
from crosstalk.store import cached

Array = NDArray[np.float64]
Edited = Callable[[Path], AbstractContextManager[Any]]

OUTPUTS = ("CRP", "innate_score")


class Counting:
    """The reference engine, counting how often it finds steady states."""

    def __init__(self) -> None:
        self.engine = get_engine()
        self.calls = 0

    def simulate(self, problem: Problem, *, rtol: float = 1e-6, strict: bool = False) -> Ensemble:
        return self.engine.simulate(problem, rtol=rtol, strict=strict)

    def steady_state(
        self, problem: Problem, *, solve: Mapping[str, tuple[str, Array]] | None = None, warm: bool = False
    ) -> SteadyStates:
        self.calls += 1
        return self.engine.steady_state(problem, solve=solve, warm=warm)

    def close(self) -> None:
        self.engine.close()


class Other(Counting):
    """Another engine by name."""


def make(engine: Engine, *, n: int = 6, seed: int = 1, worlds: int = 2, outputs: tuple[str, ...] = OUTPUTS) -> Patients:
    return virtual_population(load_knowledge(), engine, diagnosis="mdd", n=n, worlds=worlds, seed=seed, outputs=outputs)


@pytest.fixture
def engine() -> Counting:
    return Counting()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSTALK_CACHE", str(tmp_path / "cache" / "of" / "ours"))
    return tmp_path / "cache" / "of" / "ours"


def only_file(folder: Path) -> Path:
    files = populations(folder)
    assert len(files) == 1
    return files[0]


def populations(folder: Path) -> list[Path]:
    """Files of populations; the engine may keep its own beside them."""
    return list(folder.glob("population-*"))


def assert_same(a: Patients, b: Patients) -> None:
    assert (a.index == b.index).all()
    assert (a.coordinates == b.coordinates).all()
    assert a.failures == b.failures
    for field in ("parameters", "covariates", "states", "outputs"):
        x, y = getattr(a, field), getattr(b, field)
        assert set(x) == set(y), field
        for name in x:
            assert np.array_equal(x[name], y[name], equal_nan=True), (field, name)


def test_the_second_call_reads_what_the_first_computed(folder: Path, engine: Counting) -> None:
    first = make(engine)
    assert engine.calls == 1
    again = make(engine)
    assert engine.calls == 1
    assert_same(first, again)
    assert only_file(folder).stat().st_size > 0


@pytest.mark.parametrize("change", [{"n": 7}, {"seed": 2}, {"worlds": 3}, {"outputs": ("CRP",)}])
def test_anything_that_changes_the_result_is_computed_anew(
    folder: Path, engine: Counting, change: dict[str, int | tuple[str, ...]]
) -> None:
    make(engine)
    other = make(engine, **change)  # type: ignore[arg-type]
    assert engine.calls == 2
    assert set(other.outputs) == set(change.get("outputs", OUTPUTS))  # type: ignore[arg-type]
    assert len(populations(folder)) == 2


def test_another_engine_does_not_use_what_this_one_computed(folder: Path, engine: Counting) -> None:
    make(engine)
    other = Other()
    make(other)
    assert other.calls == 1


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def without_the_end(content: bytes) -> bytes:
    return content[:-1]


def longer(content: bytes) -> bytes:
    return content + b"\0"


def one_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def empty(content: bytes) -> bytes:
    return b""


def text(content: bytes) -> bytes:
    return b"patient,hsCRP [mg/L]\nA,5.2\n"


def zeros(content: bytes) -> bytes:
    return bytes(len(content))


def an_array(content: bytes) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(6.0))
    return buffer.getvalue()


def a_foreign_archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, CRP=np.full(6, 99.0))
    return buffer.getvalue()


def a_pickle(content: bytes) -> bytes:
    return pickle.dumps({"output:CRP": [99.0] * 6})


@pytest.mark.parametrize(
    "damage",
    [truncated, without_the_end, longer, one_bit, empty, text, zeros, an_array, a_foreign_archive, a_pickle],
    ids=lambda f: f.__name__,
)
def test_a_damaged_or_foreign_file_is_computed_again_and_repaired(
    folder: Path, engine: Counting, damage: Callable[[bytes], bytes]
) -> None:
    first = make(engine)
    path = only_file(folder)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert_same(first, make(engine))
    assert engine.calls == 2
    assert only_file(folder).read_bytes() == whole
    make(engine)
    assert engine.calls == 2


def test_the_population_of_another_call_under_this_name_is_not_trusted(folder: Path, engine: Counting) -> None:
    """A whole and valid file, but of other patients."""
    first = make(engine)
    mine = only_file(folder)
    make(engine, seed=2)
    foreign = next(f for f in populations(folder) if f != mine)
    mine.write_bytes(foreign.read_bytes())
    assert_same(first, make(engine))
    assert engine.calls == 3


def test_a_folder_in_the_place_of_the_file_only_costs_time(folder: Path, engine: Counting) -> None:
    first = make(engine)
    path = only_file(folder)
    path.unlink()
    path.mkdir()
    assert_same(first, make(engine))
    assert_same(first, make(engine))
    assert engine.calls == 3


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Counting
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("CROSSTALK_CACHE", str(blocked / "cache"))
    first, second = make(engine), make(engine)
    assert engine.calls == 2
    assert_same(first, second)
    assert blocked.read_text() == "not a folder"
    monkeypatch.setenv("CROSSTALK_CACHE", str(blocked))
    assert_same(first, make(engine))


def test_failures_survive_the_cache(folder: Path, engine: Counting) -> None:
    """A patient who failed stays one who failed, with the reason."""
    patients = make(engine)
    failed = replace(patients, failures={1: Failure(Status.UNSTABLE, "MC"), 4: Failure(Status.INVALID_INPUT, "BMI")})
    store = cached("failed")
    store.save_arrays(_packed(failed))
    arrays = store.load_arrays()
    assert arrays is not None
    found = _unpacked(arrays, patients)
    assert {i: str(f) for i, f in found.failures.items()} == {i: str(f) for i, f in failed.failures.items()}


def test_another_posterior_has_a_population_of_its_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Counting, edited: Edited
) -> None:
    """The states of one posterior's patients are no steady states of another's."""
    posterior = tmp_path / "other.nc"
    shutil.copy(load_knowledge().root / POSTERIOR, posterior)
    with edited(posterior) as file:
        draws = file.groups["posterior"].variables["E_IL6_APR"]
        draws[...] = 0.98 * np.asarray(draws[...])
    shipped = make(engine)
    monkeypatch.setenv(VARIABLE, str(posterior))
    other = make(engine)
    assert engine.calls == 2
    assert (other.parameters["E_IL6_APR"] < shipped.parameters["E_IL6_APR"]).all()
    assert (other.outputs["CRP"] != shipped.outputs["CRP"]).all()
    assert (make(engine).outputs["CRP"] == other.outputs["CRP"]).all()
    assert engine.calls == 2
