"""What the registry keeps, what it never holds, and that a changed byte is seen."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from crosstalk.errors import RegistryError, UsageError
from crosstalk.registry import database
from crosstalk.registry.chain import append, faults
from crosstalk.registry.database import Registry, backup, open_registry, restore, upgrade
from crosstalk.registry.people import Register, nameless
from crosstalk.registry.pseudonyms import Key, key_of
from crosstalk.registry.tables import HEAD, METADATA

Added = Callable[..., str]
Made = Callable[..., Any]


def wrong(registry: Registry, seal: str = "") -> list[str]:
    with registry.reading() as connection:
        return faults(connection, seal)


def everything(registry: Registry) -> bytes:
    assert registry.path is not None
    beside = registry.path.with_name(registry.path.name + "-wal")
    return registry.path.read_bytes() + (beside.read_bytes() if beside.exists() else b"")


def test_a_name_never_gets_into_the_file(registry: Registry, register: Register, added: Added) -> None:
    name = added("Ada Lovelace 1815")
    register.give("Ada Lovelace 1815", "ssri")
    register.score("Ada Lovelace 1815", 12, "HAMD17", 9)
    assert name.startswith("CT-")
    content = everything(registry)
    assert b"Ada" not in content
    assert b"Lovelace" not in content
    assert name.encode() in content
    assert wrong(registry) == []


def test_a_person_is_found_again_by_id_and_by_pseudonym(register: Register, added: Added) -> None:
    name = added("P1")
    assert added("P1") == name
    assert register.give("P1", "ssri") == register.give(name, "ssri") == name
    (one,) = register.people()
    assert (one.pseudonym, one.panels, one.forecasts, one.regimens) == (name, 2, 2, "ssri, then ssri")


def test_another_key_is_refused_before_everyone_is_there_twice(
    registry: Registry, added: Added, made_panel: Made
) -> None:
    added("P1")
    other = Register(registry, Key(bytes(32)))
    with pytest.raises(RegistryError, match="another key"):
        other.add("P1", nameless(made_panel(), other.pseudonym("P1")))
    assert len(other.people()) == 1


def test_a_forecast_of_someone_else_is_refused(register: Register, made_panel: Made, made_forecast: Made) -> None:
    with pytest.raises(RegistryError, match="is of CT-OTHER"):
        register.add("P1", made_panel(), made_forecast("CT-OTHER"))
    assert register.people() == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.score("P1", 12, "HAMD17", 99), "runs from 0 to"),
        (lambda r: r.score("P1", 0, "HAMD17", 9), "week 0: expected 1"),
        (lambda r: r.score("P1", 12, "HAMDX", 9), "HAMDX"),
        (lambda r: r.give("P1", "aspirine"), "aspirine"),
        (lambda r: r.give("P1", "ssri", -1), "week -1"),
    ],
)
def test_what_cannot_be_is_refused(
    register: Register, added: Added, call: Callable[[Register], str], message: str
) -> None:
    added("P1")
    with pytest.raises(Exception, match=message):
        call(register)
    assert register.counts()["score"] == register.counts()["given"] == 0


def test_a_stranger_is_named_with_the_way_to_the_list(register: Register) -> None:
    with pytest.raises(RegistryError, match=r"nobody of this id.*registry list"):
        register.score("nobody", 12, "HAMD17", 9)


def test_a_score_stays_as_it_was_written(register: Register, added: Added) -> None:
    added("P1")
    register.score("P1", 12, "HAMD17", 9)
    with pytest.raises(RegistryError, match="has a HAMD17 of 9 at week 12 already"):
        register.score("P1", 12, "HAMD17", 8)


def test_export_holds_all_of_a_person_and_is_in_the_trail(register: Register, added: Added) -> None:
    added("P1"), added("P2")
    register.give("P1", "ssri")
    found = register.export("P1")
    assert [len(found[k]) for k in ("panel", "forecast", "given", "score")] == [1, 1, 1, 0]
    assert found["forecast"][0]["content"]["patient"] == found["pseudonym"] != register.pseudonym("P2")
    assert found["panel"][0]["content"]["hsCRP"]["value"] == 3.2
    assert register.trail("P1")[-1]["action"] == "export"


def test_a_forgotten_person_leaves_a_number_and_no_byte(registry: Registry, register: Register, added: Added) -> None:
    name, other = added("P1"), added("P2")
    register.give("P1", "ssri-infliximab")
    nonce = register.export("P1")["panel"][0]["nonce"]
    assert nonce.encode() in everything(registry)
    register.forget("P1")
    content = everything(registry)
    assert name.encode() not in content
    assert nonce.encode() not in content
    assert b"ssri-infliximab" not in content
    assert [p.pseudonym for p in register.people()] == [other]
    assert wrong(registry) == []
    assert added("P1") == name  # with a number of its own
    assert wrong(registry) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE score SET value = 8", "score 7 was changed"),
        ("UPDATE forecast SET content = replace(content, '12.0', '12.1')", "forecast 5 was changed"),
        ("UPDATE forecast SET posterior_sha256 = 'x'", "forecast 5 was changed"),
        ("UPDATE given SET person = 99", "given 6 has no entry"),
        ("DELETE FROM score", "score 7 is gone"),
        ("DELETE FROM person", "person 3 is gone"),
        ("UPDATE audit SET at = '2020' WHERE number = 5", "entry 5 of the audit trail was changed"),
        ("DELETE FROM audit WHERE number = 6", "entries 6 to 6"),
        ("INSERT INTO score VALUES (99, 3, '', '', 'HAMD17', 6, 3)", "score 99 has no entry"),
        ("UPDATE frozen SET content = replace(content, '1', '2')", "frozen prediction 8 of made was changed"),
        ("DELETE FROM frozen", "frozen prediction 8 is gone"),
    ],
)
def test_a_changed_byte_is_seen(registry: Registry, register: Register, added: Added, change: str, words: str) -> None:
    import hashlib

    added("P1")
    register.give("P1", "ssri")
    register.score("P1", 12, "HAMD17", 9)
    content = '{"results":[1]}'
    digest = hashlib.sha256(content.encode()).hexdigest()
    with registry.writing() as connection:
        number, seal = append(connection, "freeze", study="made", sha256=digest)
        values = {"n": number, "c": content, "d": digest}
        connection.execute(text("INSERT INTO frozen VALUES (:n, 'made', :c, :d)"), values)
    assert wrong(registry, seal) == []
    registry.close()
    with sqlite3.connect(str(registry.path)) as plain:
        plain.execute(change)
    assert any(words in line for line in wrong(registry)), wrong(registry)


def test_a_chain_made_anew_fits_but_lacks_the_seal(tmp_path: Path) -> None:
    seals = []
    for name in ("one", "two"):
        with open_registry(tmp_path / f"{name}.sqlite", create=True) as registry, registry.writing() as connection:
            seals.append(append(connection, "freeze-like", study=name)[1])
    with open_registry(tmp_path / "two.sqlite") as registry:
        assert wrong(registry) == []
        assert wrong(registry, seals[1]) == []
        assert "is that of no entry" in wrong(registry, seals[0])[0]


def test_a_backup_is_whole_and_restores(tmp_path: Path, registry: Registry, register: Register, added: Added) -> None:
    for k in range(5):
        added(f"P{k}")
    target, again = tmp_path / "backup.sqlite", tmp_path / "again.sqlite"
    entries = backup(registry, target)
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []
    with pytest.raises(RegistryError, match="never replaces another"):
        backup(registry, target)
    assert restore(target, again) == entries == register.counts()["audit"]
    with open_registry(again) as opened:
        assert wrong(opened) == []
        assert Register(opened).people() == register.people()
    with pytest.raises(RegistryError, match="is not empty"):
        restore(target, again)
    with pytest.raises(RegistryError, match="no such registry"):
        restore(tmp_path / "none.sqlite", tmp_path / "never.sqlite")
    assert not (tmp_path / "never.sqlite").exists()
    with sqlite3.connect(target) as plain:
        plain.execute("UPDATE panel SET content = replace(content, '3.2', '3.3')")
    with pytest.raises(RegistryError, match="is no good backup: panel"):
        restore(target, tmp_path / "never.sqlite")


def test_files_are_the_users_alone(registry: Registry, tmp_path: Path) -> None:
    assert registry.path is not None
    assert registry.path.stat().st_mode & 0o077 == 0
    one = key_of(registry, create=True)
    assert key_of(registry).check == one.check
    assert (tmp_path / "registry.sqlite.key").stat().st_mode & 0o077 == 0
    (tmp_path / "registry.sqlite.key").write_text("secret")
    with pytest.raises(RegistryError, match="64 hexadecimal digits"):
        key_of(registry)


def test_migrations_make_the_tables_that_the_code_knows(registry: Registry) -> None:
    from alembic.script import ScriptDirectory

    with registry.engine.connect() as connection:
        assert ScriptDirectory.from_config(database._config(connection)).get_current_head() == HEAD
        seen = inspect(connection)
        for table in METADATA.sorted_tables:
            columns = {c["name"]: (str(c["type"]), c["nullable"]) for c in seen.get_columns(table.name)}
            assert columns == {c.name: (str(c.type), bool(c.nullable)) for c in table.columns}, table.name


def test_each_earlier_version_is_brought_up_with_its_rows(tmp_path: Path, key: Key, add_to: Callable[..., str]) -> None:
    path = tmp_path / "old.sqlite"
    old = database._engine(path, create=True)
    database._migrate(old, "0001")
    register = Register(old, key)
    with old.writing() as connection:
        append(connection, "create")
    name = add_to(register, "P1")
    register.give("P1", "ssri")
    old.close()
    with pytest.raises(RegistryError, match=r"tables of version 0001, expected 0002; `crosstalk registry upgrade`"):
        open_registry(path)
    before, copy = upgrade(path)
    assert before == "0001"
    assert Path(copy).exists()
    with open_registry(path) as opened:
        assert wrong(opened) == []
        (one,) = Register(opened, key).people()
        assert (one.pseudonym, one.forecasts, one.regimens) == (name, 1, "ssri")
    assert upgrade(path) == (HEAD, "")


def test_a_newer_version_is_left_alone(registry: Registry) -> None:
    with registry.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(RegistryError, match="made by a newer Crosstalk"):
        open_registry(registry.path)


@pytest.mark.parametrize(
    ("place", "error", "message"),
    [
        ("mysql://root@localhost/x", UsageError, "expected one of sqlite, postgresql"),
        ("://", UsageError, "cannot be read"),
        ("sqlite://", UsageError, "names no file"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", RegistryError, "cannot be reached"),
    ],
)
def test_an_address_that_is_none(place: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as raised:
        open_registry(place, create=True)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_registry_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("remember the milk\n" * 100)
    with pytest.raises(RegistryError, match="is damaged, or no registry"):
        open_registry(file, create=True)
    assert file.read_text().startswith("remember")
    with pytest.raises(RegistryError, match="is a folder"):
        open_registry(tmp_path, create=True)
    with pytest.raises(RegistryError, match="no such registry"):
        open_registry(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
