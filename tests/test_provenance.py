"""Hashes, versions, and files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstalk.errors import OutputError, UsageError
from crosstalk.provenance import atomic_write, hash_bytes, hash_file, versions


def test_hash_of_a_known_text() -> None:
    assert hash_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_bytes("µ") == hashlib.sha256("µ".encode()).hexdigest()


@given(st.binary(max_size=200))
@settings(max_examples=20, deadline=None)
def test_a_file_has_the_hash_of_its_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = atomic_write(tmp_path_factory.mktemp("hash") / "file", content)
    assert path.read_bytes() == content
    assert hash_file(path) == hash_bytes(content)


def test_hash_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.csv: cannot be read"):
        hash_file(tmp_path / "gone.csv")


def test_versions_name_python_and_what_is_installed() -> None:
    found = versions()
    assert {"python", "numpy", "pydantic"} <= set(found)
    assert all(found.values())


def test_text_is_written_in_utf8_with_its_line_ends(tmp_path: Path) -> None:
    path = atomic_write(tmp_path / "report.html", "µg\r\nend\n")
    assert path.read_bytes() == b"\xc2\xb5g\r\nend\n"


def test_an_old_file_is_replaced_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")
    path.chmod(0o640)
    atomic_write(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target.txt", tmp_path / "link.txt"
    target.write_text("old")
    link.symlink_to(target)
    atomic_write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_failure_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crosstalk.provenance.os.fsync", full)
    with pytest.raises(OutputError, match=r"result\.json: cannot be written \(No space left on device\)"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="needs named pipes")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    atomic_write(path, "result")
    assert os.read(reader, 100) == b"result"
    os.close(reader)
    assert path.is_fifo()


def test_a_missing_folder_and_a_folder_as_target_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist; create it first"):
        atomic_write(tmp_path / "no" / "result.json", "x")
    with pytest.raises(OutputError, match="is a folder"):
        atomic_write(tmp_path, "x")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permissions"):
        atomic_write(tmp_path / "result.json", "x")
    tmp_path.chmod(0o700)
