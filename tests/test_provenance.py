"""Hashes, versions, and files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstalk.errors import OutputError, UsageError
from crosstalk.provenance import (
    _create,
    atomic_write,
    hash_bytes,
    hash_file,
    temporary_folder,
    versions,
    write_together,
)


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


# Several files together, and what killed processes leave


def test_several_files_are_replaced_together(tmp_path: Path) -> None:
    one, two = tmp_path / "a.json", tmp_path / "b.html"
    one.write_text("old")
    write_together({one: "new", two: b"new too"})
    assert (one.read_text(), two.read_bytes()) == ("new", b"new too")
    assert sorted(tmp_path.iterdir()) == [one, two]


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_or_none_is_wherever_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, at: int) -> None:
    """The second file is new, so that it must go again; the others get their old content back."""
    paths = [tmp_path / name for name in ("a.json", "b.html", "c.csv")]
    for path in (paths[0], paths[2]):
        path.write_text(f"old {path.name}")
    calls = [0]

    def failing(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            calls[0] += 1
            if calls[0] == at:
                raise OSError(28, "No space left on device")
            return real(*arguments)

        return call

    if broken == "fsync":
        monkeypatch.setattr("crosstalk.provenance.os.fsync", failing(os.fsync))
    else:
        monkeypatch.setattr(Path, "replace", failing(Path.replace))
    with pytest.raises(OutputError) as caught:
        write_together(dict.fromkeys(paths, "new"))
    assert str(caught.value).startswith(f"{paths[at - 1]}: cannot be written (No space left on device)")
    assert "none of the files was replaced" in str(caught.value)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json": "old a.json", "c.csv": "old c.csv"}


def test_what_cannot_be_taken_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links."""
    one, two = tmp_path / "a.json", tmp_path / "b.html"
    one.write_text("old")
    two.write_text("old")
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == two:
            raise OSError(1, "Operation not permitted")
        return real(self, target)

    def link(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("crosstalk.provenance.os.link", link)
    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OutputError) as caught:
        write_together({one: "new", two: "new"})
    assert f"already new: {one}" in str(caught.value)
    assert f"as before: {two}" in str(caught.value)
    assert (one.read_text(), two.read_text()) == ("new", "old")
    assert sorted(tmp_path.iterdir()) == [one, two]


@pytest.mark.skipif(os.name != "posix", reason="needs locks of POSIX")
def test_temporary_files_of_dead_processes_are_swept_and_of_living_ones_are_not(tmp_path: Path) -> None:
    dead = tmp_path / ".result.json.crosstalk-0123abcd.tmp"
    dead.write_text("half a")
    strangers = [tmp_path / name for name in (".other.tmp", ".result.json.deadbeef.tmp", "x.crosstalk-0123abcd.tmp")]
    for path in strangers:
        path.write_text("precious")
    with _create(tmp_path / "another.json", None)[0] as living:
        living.write(b"half")
        atomic_write(tmp_path / "result.json", "whole")
        assert not dead.exists()
        assert all(path.read_text() == "precious" for path in strangers)
        assert len(list(tmp_path.glob(".another.json.crosstalk-*.tmp"))) == 1
    atomic_write(tmp_path / "result.json", "whole")
    assert not list(tmp_path.glob(".another.json.crosstalk-*.tmp"))


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_a_kill_in_a_write_leaves_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    atomic_write(path, "old" * 100_000)
    script = (
        "import sys; from pathlib import Path; from crosstalk.provenance import atomic_write\n"
        "while True: atomic_write(Path(sys.argv[1]), 'new' * 100_000); print('written', flush=True)"
    )
    for k in range(6):
        child = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.003 * k)
        child.kill()
        child.communicate()
        assert path.read_text() in ("old" * 100_000, "new" * 100_000)
    atomic_write(path, "last")
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_links_that_go_round_are_refused(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.symlink_to(two)
    two.symlink_to(one)
    with pytest.raises(OutputError, match=r"one: cannot be written \(.*give another path"):
        atomic_write(one, "x")
    assert one.is_symlink()


def test_a_name_of_the_greatest_length_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".csv")
    atomic_write(path, "x")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="needs limits of POSIX")
def test_a_disk_that_is_full_at_the_second_output_leaves_both_as_they_were(tmp_path: Path) -> None:
    one, two = tmp_path / "a.json", tmp_path / "b.html"
    one.write_text("old")
    script = (
        "import resource, sys; from pathlib import Path; from crosstalk.provenance import write_together\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "write_together({Path(sys.argv[1]): 'n' * 4000, Path(sys.argv[2]): 'n' * 6000})"
    )
    found = subprocess.run([sys.executable, "-c", script, one, two], capture_output=True, text=True, check=False)
    assert "OutputError: " in found.stderr
    assert "b.html: cannot be written (File too large)" in found.stderr
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.json": "old"}


@pytest.mark.skipif(os.name != "posix", reason="needs locks of POSIX")
def test_temporary_folders_of_dead_processes_go_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosstalk.provenance.tempfile.tempdir", str(tmp_path))
    script = (
        "import os, sys, tempfile; from crosstalk.provenance import temporary_folder\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "with temporary_folder() as folder: (folder / 'patients.csv').write_text('x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert len(list(tmp_path.rglob("patients.csv"))) == 1
    (tmp_path / "crosstalk-stranger.tmp").mkdir()
    (tmp_path / "crosstalk-stranger.tmp" / "thesis.txt").write_text("precious")
    with temporary_folder() as one, temporary_folder() as two:
        assert one.is_dir()
        assert one != two
        assert stat.S_IMODE(one.stat().st_mode) == 0o700
        assert not list(tmp_path.rglob("patients.csv"))
    assert [p.name for p in tmp_path.iterdir()] == ["crosstalk-stranger.tmp"]


def test_a_temporary_folder_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosstalk.provenance.tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(OutputError, match=r"gone: no temporary file can be written \(.*set TMPDIR"), temporary_folder():
        pass
    monkeypatch.setattr("crosstalk.provenance.tempfile.tempdir", str(tmp_path))
    with pytest.raises(OutputError, match="No space left on device"), temporary_folder():
        raise OSError(28, "No space left on device")
    with pytest.raises(FileNotFoundError), temporary_folder():
        (tmp_path.parent / "no such file").read_text()
