"""The keyed store: what is kept is taken only whole, by the run it belongs to, from a place that is the user's own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosstalk import places, store
from crosstalk.places import VARIABLE, cache_folder
from crosstalk.store import MARK, Store, Work, cached, hash_value

posix = pytest.mark.skipif(os.name != "posix", reason="owner and mode are those of POSIX")
root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    store._told.clear()


@pytest.fixture
def kept(tmp_path: Path) -> Store:
    return Store(tmp_path, "test", hash_value("one"))


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


# Hashes


class Kind(Enum):
    A = 1
    B = 2


@dataclass(frozen=True)
class Record:
    name: str
    hidden: object


def test_every_part_of_a_value_counts() -> None:
    long = np.zeros(5000)
    other = long.copy()
    other[2500] = 1.0  # in the middle, where a printed array shows nothing
    different = [
        long, other, long[:-1], long.reshape(50, 100), long.astype(np.float32), long.astype(np.int64),
        1, 1.0, True, "1", b"1", None, "", [], [1], [1, 2], [[1], 2], [1, [2]], {"a": 1}, {"a": 2}, {"b": 1}, {1},
        {1, 2}, Kind.A, Kind.B, Record("a", 1), Record("a", 2), Record("b", 1), float("nan"), 0.0, -0.0, 1e-300,
        np.array(["a", "b"], dtype=object), np.array(["a", None], dtype=object), ("ab", "c"), ("a", "bc"),
    ]  # fmt: skip
    assert len({hash_value(v) for v in different}) == len(different)
    assert hash_value(long) == hash_value(np.zeros(5000))
    assert hash_value(long[::2]) == hash_value(np.zeros(2500))
    assert hash_value({"a": 1, "b": 2}) == hash_value({"b": 2, "a": 1})
    assert hash_value(np.float64(0.1)) == hash_value(0.1)
    assert hash_value() != hash_value(None) != hash_value(None, None)


def test_what_cannot_be_seen_has_no_hash() -> None:
    with pytest.raises(TypeError, match="the content of object cannot be seen"):
        hash_value([object()])


def test_a_hash_is_the_same_in_another_process() -> None:
    command = "from crosstalk.store import hash_value as h; print(h({'b', 'a', 'c'}, {'x': (1, 2.5)}))"
    found = {
        subprocess.run(
            [sys.executable, "-c", command], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert found == {hash_value({"c", "b", "a"}, {"x": (1, 2.5)})}


# Damage, other runs, strangers' files


@given(st.binary(max_size=300), st.integers(0, 10**6), st.integers(1, 255))
def test_a_changed_byte_is_found_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int, change: int
) -> None:
    one = Store(tmp_path_factory.mktemp("flip"), "test", hash_value("one"))
    assert one.save(content, "part")
    assert one.folder is not None
    path = only(one.folder)
    found = one.load("part")
    assert found is not None
    assert bytes(found) == content
    stored = bytearray(path.read_bytes())
    stored[place % len(stored)] ^= change
    path.write_bytes(bytes(stored))
    assert one.load("part") is None
    assert one.save(content, "part")
    assert one.load("part") is not None


@pytest.mark.parametrize("length", [0, 1, 20, 82, 83, 100])
def test_a_cut_file_is_computed_again_with_a_word(kept: Store, length: int, caplog: pytest.LogCaptureFixture) -> None:
    kept.save_arrays({"x": np.arange(9.0)})
    assert kept.folder is not None
    path = only(kept.folder)
    path.write_bytes(path.read_bytes()[:length])
    with caplog.at_level(logging.WARNING, logger="crosstalk"):
        assert kept.load_arrays() is None
    assert "computed again" in caplog.text
    assert str(path) in caplog.text


def test_a_part_belongs_to_its_name_its_key_and_what_it_depends_on(tmp_path: Path) -> None:
    one, two = (Store(tmp_path, "test", hash_value(k)) for k in ("one", "two"))
    one.save(b"mine", "a", [1.0])
    assert one.load("a", [1.0]) is not None
    assert one.load("a", [2.0]) is None
    assert two.load("a", [1.0]) is None
    whole = only(tmp_path).read_bytes()
    # the file of another run, or another part, under this name
    for holder, name in ((two, "a"), (one, "b")):
        path = holder.path(name)
        assert path is not None
        path.write_bytes(whole)
        assert holder.load(name, [1.0]) is None


def test_a_file_without_the_mark_is_moved_aside_never_lost(kept: Store) -> None:
    path = kept.path("part")
    assert path is not None
    path.write_text("precious")
    assert kept.load("part") is None
    assert path.read_text() == "precious"
    assert kept.save(b"ours", "part")
    assert kept.load("part") is not None
    (aside,) = path.parent.glob("aside-*")
    assert aside.read_text() == "precious"
    kept.clear()
    assert [p.name for p in path.parent.iterdir()] == [aside.name]


def test_clearing_takes_away_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "proj"
    (folder / "power").mkdir(parents=True)
    (folder / "power" / "thesis.txt").write_text("precious")
    work, other = Work(folder), Work(folder)
    mine, theirs = work.store("trial", 1), other.store("trial", 2)
    mine.save(b"a", "0-25")
    mine.save(b"b", "25-50")
    theirs.save(b"c", "0-25")
    fake = mine.path("75-100")
    assert fake is not None
    fake.write_text("a stranger's file with a name of ours")
    work.clear()
    assert mine.load("0-25") is None
    assert theirs.load("0-25") is not None
    assert (folder / "power" / "thesis.txt").read_text() == "precious"
    assert fake.exists()


def test_a_folder_of_its_own_goes_when_it_is_empty(tmp_path: Path) -> None:
    work = Work(tmp_path / "own")
    work.store("trial", 1).save(b"a")
    work.clear()
    assert not (tmp_path / "own").exists()


def test_starting_anew_forgets_this_run_alone(tmp_path: Path) -> None:
    for k in (1, 2):
        Work(tmp_path).store("trial", k).save(b"x")
    assert Work(tmp_path, fresh=True).store("trial", 1).load() is None
    assert Work(tmp_path).store("trial", 2).load() is not None


def test_no_folder_keeps_nothing() -> None:
    one = Work(None).store("trial", 1)
    assert not one.save(b"x")
    assert one.load() is None
    one.clear()


@posix
def test_a_pipe_or_a_folder_in_the_place_of_a_file_does_not_hang(kept: Store) -> None:
    path = kept.path("part")
    assert path is not None
    os.mkfifo(path)
    assert kept.load("part") is None
    path.unlink()
    path.mkdir()
    assert kept.load("part") is None
    assert not kept.save(b"x", "part")


def test_names_of_all_kinds_are_names_of_files(kept: Store) -> None:
    for name in ("stage-a/b", "../up", "x" * 300, "µ\n", "a b"):
        assert kept.save(name.encode(), name)
        found = kept.load(name)
        assert found is not None
        assert bytes(found) == name.encode()
    assert kept.folder is not None
    assert all(p.parent == kept.folder for p in kept.folder.iterdir())


# Who may write there


@posix
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o770, 0o702])
def test_a_cache_that_others_may_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    one = cached("kernel", 1)
    assert one.save(b"code")
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert only(tmp_path / "cache").stat().st_mode & 0o777 == 0o600
    (tmp_path / "cache").chmod(mode)
    with caplog.at_level(logging.WARNING, logger="crosstalk"):
        assert one.load() is None
        assert not one.save(b"code")
    assert "others may write there" in caplog.text
    assert VARIABLE in caplog.text
    (tmp_path / "cache").chmod(0o700)
    assert one.load() is not None


@posix
def test_a_file_that_others_may_write_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    one = cached("kernel", 1)
    one.save(b"code")
    only(tmp_path / "cache").chmod(0o666)
    assert one.load() is None
    assert one.save(b"code")
    assert one.load() is not None


@posix
def test_folders_are_made_private_whatever_the_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "a" / "cache"))
    mask = os.umask(0o002)
    try:
        assert Work(cache_folder() / "trials").store("trial", 1).save(b"x")
        assert Work(tmp_path / "shared").store("trial", 1).save(b"x")
    finally:
        os.umask(mask)
    assert cached("kernel", 1).save(b"x")
    assert all((tmp_path / p).stat().st_mode & 0o777 == 0o700 for p in ("a", "a/cache", "a/cache/trials"))
    # a folder of the user's own is as his mask wants it
    assert only(tmp_path / "shared").stat().st_mode & 0o777 == 0o664


@root
@pytest.mark.parametrize("what", ["folder", "file"])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    one = cached("kernel", 1)
    one.save(b"code")
    os.chown(tmp_path / "cache" if what == "folder" else only(tmp_path / "cache"), 12345, -1)
    assert one.load() is None


@posix
def test_work_in_the_cache_is_guarded_and_a_folder_of_the_user_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group may share its project folder."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    shared = tmp_path / "project"
    shared.mkdir()
    shared.chmod(0o777)
    assert Work(shared).store("trial", 1).save(b"x")
    assert Work(shared).store("trial", 1).load() is not None
    assert Work(cache_folder() / "trials").store("trial", 1).guarded


# Where the cache is


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "XDG_CACHE_HOME", "HOME", "TMPDIR"):
        monkeypatch.delenv(name, raising=False)
    places._usual.cache_clear()


@posix
@pytest.mark.usefixtures("no_variables")
def test_the_platform_s_folder_then_a_private_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / "crosstalk"
    # a file where the folder should be: nothing can be made there, whoever asks
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    private = cache_folder()
    assert private == tmp_path / f"crosstalk-{os.geteuid()}"
    assert private.stat().st_mode & 0o777 == 0o700
    # another user was there first, with a folder that he can write
    private.chmod(0o777)
    places._usual.cache_clear()
    assert cache_folder() != private
    assert not cached("kernel", 1).save(b"code")


@posix
@pytest.mark.usefixtures("no_variables")
def test_no_home_makes_no_folder_called_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda _: "~/.cache/crosstalk")
    # where no temporary folder can be written, the current one is named
    monkeypatch.setattr(places.tempfile, "gettempdir", lambda: str(tmp_path))
    assert not cached("kernel", 1).save(b"code")
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.usefixtures("no_variables")
def test_a_user_without_a_home_has_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: str) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_cache_dir", homeless)
    monkeypatch.setattr(places.tempfile, "gettempdir", lambda: str(tmp_path))
    assert cache_folder() == tmp_path / f"crosstalk-{os.geteuid()}"
    assert cached("kernel", 1).save(b"code")


def test_an_unwritable_cache_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING, logger="crosstalk"):
        for _ in range(3):
            assert not cached("kernel", 1).save(b"code")
            assert cached("kernel", 1).load() is None
    assert caplog.text.count("nothing can be kept there") == 1


def test_the_mark_is_the_first_line(kept: Store) -> None:
    kept.save(b"content")
    assert kept.folder is not None
    first, checksum, content = only(kept.folder).read_bytes().split(b"\n", 2)
    assert first + b"\n" == MARK
    assert len(checksum) == 64
    assert content == b"content"
