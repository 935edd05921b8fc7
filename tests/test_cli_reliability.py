"""The command line with hostile surroundings: outputs over inputs, unwritable places, errors of the system, damage."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

import crosstalk
from crosstalk.knowledge.loader import load_knowledge

Run = Callable[..., tuple[int, str, str]]
PANEL = "patient,hsCRP [mg/L],HAMD17\nA,5,21\nB,3,18\n"
STUDY = Path(crosstalk.__file__).parent / "knowledge" / "studies" / "kofod2022.toml"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of a user with other names for it: a link, a hard link, a way round."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data.csv"
    path.write_text(PANEL)
    (tmp_path / "link.csv").symlink_to(path)
    (tmp_path / "hard.csv").hardlink_to(path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "own.csv").write_text(PANEL)
    (tmp_path / "other.csv").write_text(PANEL)
    return path


NAMES = ("data.csv", "./data.csv", "link.csv", "hard.csv", "folder/../data.csv")
VERBS = {
    "assess, csv": ("assess", "data.csv", "--csv"),
    "assess, html": ("assess", "data.csv", "--html"),
    "forecast": ("forecast", "data.csv", "--json"),
    "plate": ("plate", "other.csv", "data.csv", "--csv"),
    "simulate": ("simulate", "data.csv", "--json"),
    "trial": ("trial", "data.csv", "--cdisc"),
    "trial, a search": ("trial", "data.csv", "--optimise", "--html"),
    "learn, json": ("learn", "data.csv", "--outcome", "x", "--json"),
    "learn, model": ("learn", "data.csv", "--outcome", "x", "--out"),
    "predict, model": ("predict", "data.csv", "other.csv", "--json"),
    "predict, panel": ("predict", "other.csv", "data.csv", "--html"),
    "validate, study": ("validate", "other.csv", "data.csv", "--json"),
    "validate, posterior": ("validate", "--posterior", "data.csv", "--html"),
    "qualify": ("qualify", "--posterior", "data.csv", "--html"),
    "evidence show": ("evidence", "show", "data.csv", "--json"),
    "evidence check": ("evidence", "check", "other.csv", "data.csv", "--json"),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_an_output_is_never_an_input(run: Run, data: Path, verb: tuple[str, ...]) -> None:
    for name in NAMES:
        code, _, err = run(*verb, name)
        assert code == 2, err
        assert f"{Path(name)}: is the input " in err
    # and the other way round: the input by another name
    renamed = ["link.csv" if word == "data.csv" else word for word in verb]
    code, _, err = run(*renamed, "data.csv")
    assert code == 2
    assert "is the input link.csv" in err
    assert data.read_text() == PANEL


def test_an_output_in_a_folder_that_is_read_is_refused(run: Run, data: Path) -> None:
    for name in ("folder/new.json", "folder/own.csv"):
        code, _, err = run("assess", "folder", "--json", name)
        assert code == 2
        assert f"{name}: lies in the input folder folder" in err
    assert (data.parent / "folder" / "own.csv").read_text() == PANEL


BESIDE = {
    "synthea": (
        "observations.csv",
        "DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE",
        ["patients.csv"],
    ),
    "cdisc": ("lb.csv", "STUDYID,DOMAIN,USUBJID,LBTESTCD,LBTEST,LBORRES,LBORRESU,VISIT", ["dm.csv", "QS.xpt"]),
    "omop": ("measurement.csv", "person_id,measurement_concept_id,value_as_number", ["person.csv", "Concept.CSV"]),
}


@pytest.mark.parametrize("name", BESIDE)
def test_files_that_are_read_beside_the_named_one_are_no_outputs(run: Run, data: Path, name: str) -> None:
    main, header, others = BESIDE[name]
    (data.parent / main).write_text(header + "\n" + "," * header.count(",") + "\n")
    for other in others:
        beside = data.parent / other
        beside.write_text("precious")
        code, _, err = run("assess", main, "--csv", other)
        assert code == 2, err
        assert f"{other}: is the input " in err
        assert beside.read_text() == "precious"


def test_parts_of_the_program_and_the_posterior_in_force_are_no_outputs(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posterior = load_knowledge().root / "posterior.nc"
    before = posterior.read_bytes()
    for arguments in (("calibrate", "--out", posterior), ("simulate", "kofod2022", "--json", STUDY)):
        code, _, err = run(*arguments)
        assert code == 2
        assert "is a part of Crosstalk itself" in err
    assert posterior.read_bytes() == before
    monkeypatch.setenv("CROSSTALK_POSTERIOR", str(data))
    for arguments in (("calibrate", "--out", "link.csv"), ("drugs", "--json", "hard.csv")):
        code, _, err = run(*arguments)
        assert code == 2
        assert "is the input" in err


def test_two_outputs_that_are_one_file_are_refused(run: Run, data: Path) -> None:
    for one, two in (("hard.csv", "data.csv"), ("o.json", "O.json"), ("o.json", "folder/../o.json")):
        code, _, err = run("assess", "other.csv", "--json", one, "--html", two)
        assert code == 2
        assert "two outputs have the same path" in err


def test_links_that_go_round_are_one_line(run: Run, data: Path) -> None:
    (data.parent / "a").symlink_to("b")
    (data.parent / "b").symlink_to("a")
    code, _, err = run("assess", "data.csv", "--json", "a")
    assert code == 1
    assert err.startswith("crosstalk: a: cannot be written (")
    code, _, err = run("assess", "a", "--json", "o.json")
    assert code in (1, 2)
    assert err.startswith("crosstalk: a: ")


def test_a_folder_for_work_must_be_one(run: Run, data: Path) -> None:
    code, _, err = run("trial", "other.csv", "--work", "data.csv")
    assert code == 2
    assert "data.csv: is a file; expected a folder" in err
    code, _, err = run("trial", "other.csv", "--work", "data.csv/work")
    assert code == 1
    assert "data.csv/work: cannot be written" in err


# Errors of the system


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/tmp/x"),
            "/tmp/x: No space left on device; free some",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/p"), "/p: Permission denied; check the permissions"),
        (OSError(errno.EROFS, "Read-only file system", "a", None, "b"), "a and b: Read-only file system; check the"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files; raise the limit of open files"),
        (FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), "set TMPDIR to a folder"),
        (OSError("something else"), "something else"),
        (OSError(), "OSError"),
    ],
)
def test_an_error_of_the_system_is_one_line(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("crosstalk.panel.reader.read_panel", fails)
    code, _, err = run("assess", data)
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert words in err


def test_quiet_silences_the_logger_too(run: Run, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    def warns(*_: object, **__: object) -> None:
        logging.getLogger("crosstalk").warning("a cache is damaged")
        raise OSError("end")

    monkeypatch.setattr("crosstalk.panel.reader.read_panel", warns)
    assert "crosstalk: warning: a cache is damaged\n" in run("assess", data)[2]
    assert "a cache is damaged" not in run("assess", data, "-q")[2]
    assert run("assess", data)[2].count("a cache is damaged") == 1


# Places that cannot be written


def simulated(folder: Path, name: str, **environment: str) -> bytes:
    """What `simulate` writes in an environment."""
    out = folder / name
    found = subprocess.run(
        [sys.executable, "-m", "crosstalk", "simulate", "kofod2022", "--patients", "6", "--json", str(out)],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "Traceback" not in found.stderr
    return out.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs limits of POSIX")
def test_no_place_to_keep_anything_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """No home, a temporary folder that is none, a cache below a file, and Numba told to keep its own there too."""
    usual = simulated(tmp_path, "usual.json")
    blocked = tmp_path / "file"
    blocked.write_text("")
    nowhere = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked), "NUMBA_CACHE_DIR": str(blocked)}
    assert simulated(tmp_path, "cache.json", **nowhere, CROSSTALK_CACHE=str(blocked / "x")) == usual
    assert simulated(tmp_path, "home.json", **nowhere, CROSSTALK_CACHE="", TMPDIR=str(blocked)) == usual
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache.json", "file", "home.json", "usual.json"]


def test_the_drivers_code_is_kept_in_the_one_cache(tmp_path: Path) -> None:
    script = (
        "import numpy as np; from crosstalk.engine.jit import compiled\n"
        "@compiled(error_model='numpy')\n"
        "def twice(x): return 2 * x\n"
        "print(twice(np.arange(3.0)).tolist())"
    )
    (tmp_path / "jitted.py").write_text(script)
    cache = tmp_path / "cache"
    environment = {**os.environ, "CROSSTALK_CACHE": str(cache)}

    def result() -> str:
        command = [sys.executable, str(tmp_path / "jitted.py")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert json.loads(result()) == [0, 2, 4]
    (kept,) = cache.iterdir()
    stamp = kept.stat().st_mtime_ns
    assert json.loads(result()) == [0, 2, 4]
    assert kept.stat().st_mtime_ns == stamp
    kept.write_bytes(kept.read_bytes()[:-9] + b"\xcc" * 9)
    assert json.loads(result()) == [0, 2, 4]
    assert kept.stat().st_mtime_ns != stamp
    kept.chmod(0o666)
    assert json.loads(result()) == [0, 2, 4]
    assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs the rights to become another user")
def test_a_read_only_installation_of_an_unknown_user_without_home(tmp_path: Path) -> None:
    """A user without an entry, a home or a variable, and an installation that nobody can write."""
    nobody = 54321
    python = Path(sys.executable).resolve()
    if not all(parent.stat().st_mode & 0o001 for parent in python.parents):
        python = Path("/usr/bin") / f"python3.{sys.version_info.minor}"
    if not python.exists():
        pytest.skip("no interpreter that every user may run")
    libraries = [p for p in sys.path if p.endswith("site-packages")]
    site, out = tmp_path / "site", tmp_path / "out"
    shutil.copytree(Path(crosstalk.__file__).parent, site / "crosstalk", ignore=shutil.ignore_patterns("__pycache__"))
    kept = out / "kept"
    kept.mkdir(parents=True, mode=0o700)
    os.chown(kept, nobody, nobody)
    for path in (site, *site.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for path in (tmp_path, *tmp_path.parents):
        if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
            path.chmod(path.stat().st_mode | 0o011)
    out.chmod(0o777)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join([str(site), *libraries]),
                   "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(kept)}  # fmt: skip
    found = subprocess.run(
        [str(python), "-m", "crosstalk", "simulate", "kofod2022", "--patients", "6", "--json", str(out / "x.json")],
        env=environment, user=nobody, group=nobody, extra_groups=[], cwd=out, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert json.loads((out / "x.json").read_text())
    (cache,) = kept.glob("crosstalk-*")
    assert cache.name == f"crosstalk-{nobody}"
    assert cache.stat().st_mode & 0o777 == 0o700
    assert all(p.stat().st_mode & 0o077 == 0 for p in cache.iterdir())
