"""The registry on a PostgreSQL server that the test starts."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crosstalk.errors import RegistryError
from crosstalk.registry import database
from crosstalk.registry.chain import faults
from crosstalk.registry.database import backup, open_registry, restore
from crosstalk.registry.judgement import judge
from crosstalk.registry.people import Register
from crosstalk.registry.pseudonyms import Key

Add = Callable[..., str]

pytest.importorskip("psycopg", reason="psycopg is not installed")


def program(name: str) -> str:
    """A program of the server: on the path, or where Debian keeps it."""
    found = shutil.which(name) or next((str(p) for p in sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), "")
    if not found:
        pytest.skip(f"PostgreSQL's {name} is not installed (Debian's package `postgresql`)")
    return str(Path(found).resolve())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the socket of a server of this module's own, which ends with it."""
    initdb, control = program("initdb"), program("pg_ctl")
    # the server does not run as root, and sockets have short names
    place = Path("/tmp") / f"crosstalk-pg-{os.getpid()}"
    place.mkdir(mode=0o755)
    as_user: list[str] = []
    if os.geteuid() == 0:
        try:
            owner = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("there is no user `postgres` to run the server")
        os.chown(place, owner.pw_uid, owner.pw_gid)
        as_user = ["runuser", "-u", "postgres", "--"]
    data = place / "data"
    run = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 120, "cwd": "/"}
    try:
        subprocess.run([*as_user, initdb, "-D", str(data), "-A", "trust", "-U", "crosstalk"], **run)  # type: ignore[call-overload]
        options = f"-k {place} -c listen_addresses='' -c fsync=off"
        subprocess.run(
            [*as_user, control, "-D", str(data), "-w", "-l", str(place / "log"), "-o", options, "start"], **run
        )  # type: ignore[call-overload]
        try:
            yield place
        finally:
            subprocess.run([*as_user, control, "-D", str(data), "-m", "immediate", "stop"], **run)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def url(server: Path, request: pytest.FixtureRequest) -> str:
    """The address of an empty database."""
    import psycopg

    name = f"t{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(f"host={server} user=crosstalk dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return f"postgresql://crosstalk@/{name}?host={server}"


def test_the_whole_life_of_a_registry(url: str, tmp_path: Path, add_to: Add) -> None:
    with pytest.raises(RegistryError, match="holds no registry"):
        open_registry(url)
    with open_registry(url, create=True) as registry:
        register = Register(registry, Key(bytes(32)))
        for k in range(3):
            add_to(register, f"P{k}")
            register.give(f"P{k}", "ssri")
            register.score(f"P{k}", 12, "HAMD17", 10 + k)
        assert len(judge(registry).judged) == 3
        register.forget("P0")
        with registry.reading() as connection:
            assert faults(connection) == []
        entries = backup(registry, tmp_path / "copy.sqlite")
        people = register.people()
    assert restore(tmp_path / "copy.sqlite", tmp_path / "file.sqlite") == entries
    with open_registry(tmp_path / "file.sqlite") as file:
        assert Register(file).people() == people


def test_a_file_moves_to_a_server(url: str, tmp_path: Path, registry: database.Registry, add_to: Add) -> None:
    add_to(Register(registry, Key(bytes(32))), "P1")
    entries = backup(registry, tmp_path / "copy.sqlite")
    assert restore(tmp_path / "copy.sqlite", url) == entries
    with pytest.raises(RegistryError, match="is not empty"):
        restore(tmp_path / "copy.sqlite", url)


def test_many_writers_make_one_chain(url: str, add_to: Add) -> None:
    open_registry(url, create=True).close()
    failed: list[BaseException] = []

    def write(who: str) -> None:
        try:
            with open_registry(url) as registry:
                for k in range(10):
                    add_to(Register(registry, Key(bytes(32))), f"{who}{k}")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(who,)) for who in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with open_registry(url) as registry:
        assert len(Register(registry).people()) == 40
        with registry.reading() as connection:
            assert faults(connection) == []


def test_a_lock_that_is_held_is_told(url: str, add_to: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_S", 0.3)
    with (
        open_registry(url, create=True) as holder,
        open_registry(url) as other,
        holder.writing(),
        pytest.raises(RegistryError, match="another process has been writing"),
    ):
        add_to(Register(other, Key(bytes(32))), "P1")
    with open_registry(url) as registry:
        assert Register(registry).people() == ()


def test_two_who_make_it_at_once_make_one(url: str) -> None:
    threads = [threading.Thread(target=lambda: open_registry(url, create=True).close()) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with open_registry(url) as registry:
        assert [e["action"] for e in Register(registry).trail()] == ["create"]
