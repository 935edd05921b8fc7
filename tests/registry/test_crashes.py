"""Killed in the middle of a write, two writers, a full disk, a locked database: a message, and nothing lost."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from crosstalk.errors import RegistryError
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.registry import database
from crosstalk.registry.chain import faults
from crosstalk.registry.database import Registry, open_registry
from crosstalk.registry.people import Register, posterior_hash
from crosstalk.registry.pseudonyms import Key

Add = Callable[..., str]


def writer(path: Path, who: str, add_to: Add, n: int) -> tuple[int, int]:
    """A child that adds people and says each once it is kept; its process and where it says so."""
    heard, said = os.pipe()
    child = os.fork()
    if child:
        os.close(said)
        return child, heard
    code = 1
    try:
        os.close(heard)
        with open_registry(path) as registry:
            register = Register(registry, Key(bytes(32)))
            for k in range(n):
                os.write(said, (add_to(register, f"{who}{k}") + "\n").encode())
        code = 0
    finally:
        os._exit(code)


def everything(heard: int) -> list[str]:
    """Whole lines that a child has said until it ended."""
    with os.fdopen(heard) as stream:
        return [line.strip() for line in stream if line.endswith("\n")]


@pytest.fixture(autouse=True)
def _warm() -> None:
    """What a child would read again each time."""
    posterior_hash(load_knowledge())


def test_killed_in_mid_write_twenty_times(tmp_path: Path, add_to: Add) -> None:
    path = tmp_path / "registry.sqlite"
    open_registry(path, create=True).close()
    chance = random.Random(1)
    promised: set[str] = set()
    for k in range(20):
        child, heard = writer(path, f"{k}-", add_to, 100_000)
        first = os.read(heard, 16).decode().strip()
        time.sleep(chance.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        promised |= {first, *everything(heard)}
        with open_registry(path) as registry, registry.reading() as connection:
            assert faults(connection) == []
    with open_registry(path) as registry:
        people = Register(registry).people()
    # what was said to be kept is there, with its forecast; at most one more each time, of which nothing was said yet
    assert promised <= {p.pseudonym for p in people}
    assert len(people) <= len(promised) + 20
    assert all((p.panels, p.forecasts) == (1, 1) for p in people)


def test_two_writers_wait_for_each_other(tmp_path: Path, add_to: Add) -> None:
    path = tmp_path / "registry.sqlite"
    open_registry(path, create=True).close()
    children = [writer(path, who, add_to, 30) for who in ("a", "b")]
    for child, heard in children:
        assert len(everything(heard)) == 30
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with open_registry(path) as registry:
        with registry.reading() as connection:
            assert faults(connection) == []
        assert len(Register(registry).people()) == 60


def test_a_locked_database_says_so_and_changes_nothing(
    registry: Registry, register: Register, added: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    added("P1")
    before = register.counts()
    monkeypatch.setattr(database, "WAIT_S", 0.2)
    with open_registry(registry.path) as second:
        holder = sqlite3.connect(str(registry.path), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(RegistryError, match=r"another process has been writing.*nothing was changed, try again"):
            Register(second, register.key).give("P1", "ssri")
        assert register.counts() == before  # who reads is not kept waiting
        holder.execute("ROLLBACK")
        holder.close()
        Register(second, register.key).give("P1", "ssri")


def _until_full(add: Add, message: str) -> int:
    """Add people until there is no room; how many were kept."""
    for k in range(1, 1000):
        try:
            add(f"P{k}")
        except RegistryError as error:
            assert message in str(error)
            return k - 1
    raise AssertionError("the disk was never full")


def test_a_full_disk_says_so_and_loses_nothing(
    registry: Registry, register: Register, added: Callable[..., str]
) -> None:
    added("P0")
    with registry.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        # SQLite refuses a page beyond this as it refuses one for which the disk has no room
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 1}")
        connection.exec_driver_sql("COMMIT")
    kept = _until_full(added, "no space left; nothing was changed and nothing is lost") + 1
    with registry.reading() as connection:
        assert faults(connection) == []
    assert len(register.people()) == kept < 100


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount a small file system")
def test_a_disk_that_is_really_full(tmp_path: Path, add_to: Add) -> None:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        with open_registry(place / "registry.sqlite", create=True) as registry:
            kept = _until_full(partial(add_to, Register(registry, Key(bytes(32)))), "no space left")
        with open_registry(place / "registry.sqlite") as registry, registry.reading() as connection:
            assert faults(connection) == []
            assert kept
            assert len(Register(registry).people()) == kept
    finally:
        subprocess.run(["umount", str(place)], check=True)
