"""Short runs of the command line that attacks disturb, and what they write.

Runs are children of this process, which has imported everything and done each once: a thousand of them do not import a
thousand times. `launch` starts a process of its own instead, with its pools of workers.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import logging
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np

from attack.registry import LIMIT

COHORT = "patient,hsCRP [mg/L],IL-6 [pg/mL],HAMD17\n" + "".join(
    f"P{i},{1 + i % 7},{1 + i % 3},{18 + i % 9}\n" for i in range(12)
)
ONE = "patient,hsCRP [mg/L],HAMD17\nA,3,22\n"
TRIAL = """[study]
id = "small"
role = "design"
duration_weeks = 2
visits = [0, 2]
[population]
diagnosis = "mdd"
severity = { scale = "HAMD17", mean = 22, sd = 4, min = 14, source = "assumed" }
[[arm]]
id = "escitalopram"
dose = [{ drug = "escitalopram", amount = 10, unit = "mg", route = "oral", every = "24 h" }]
[[arm]]
id = "placebo"
[trial]
design = "parallel"
n = 24
[[trial.analysis]]
id = "primary"
method = "ancova"
of = "HAMD17"
week = 2
arm = "escitalopram"
"""


def learning(n: int = 160) -> str:
    """A cohort with an outcome, the same each time."""
    rng = np.random.default_rng(3)
    rows = ["patient,age,sex,hsCRP [mg/L],IL-6 [pg/mL],resp"]
    for i in range(n):
        crp = float(np.exp(rng.normal(0.5, 1)))
        cells = (rng.integers(20, 70), "FM"[i % 2], f"{crp:.3g}", f"{float(np.exp(rng.normal(0.5, 0.6))):.3g}")
        rows.append(f"P{i},{','.join(map(str, cells))},{int(rng.random() < 0.5)}")
    return "\n".join(rows) + "\n"


VERBS: dict[str, tuple[dict[str, str], str, float]] = {
    "assess": ({"panel.csv": ONE}, "assess panel.csv --virtual-patients 20 --json o.json --html o.html -j 1", 0.25),
    "assess-cohort": ({"panel.csv": COHORT}, "assess panel.csv --json o.json --csv o.csv --html o.html -j 1", 0.1),
    "forecast": (
        {"panel.csv": ONE},
        "forecast panel.csv --virtual-patients 100 --weeks 1 -r sertraline --json o.json --html o.html -j 1", 0.1,
    ),
    "simulate": ({}, "simulate kofod2022 --patients 8 --json o.json --csv o.csv -j 1", 0.5),
    "trial": (
        {"t.toml": TRIAL},
        "trial t.toml -r 2 --worlds 1 --no-null --work w --json o.json --csv o.csv --html o.html -j 1", 0.03,
    ),
    "learn": (
        {"cohort.csv": learning(100)},
        "learn cohort.csv --outcome resp --no-mechanism --no-boosting --repeats 1 --folds 2 --bootstrap 0 "
        "--json o.json --html o.html --out o.model.json", 0.02,
    ),
}  # fmt: skip
"""Inputs, arguments and how often each is chosen; each runs in a folder of its own, and writes ``o.*``."""

TOO_LONG_S = 900


def choose(rng: np.random.Generator) -> str:
    """One of the verbs."""
    return str(rng.choice(list(VERBS), p=[share for *_, share in VERBS.values()]))


@dataclass
class Run:
    """A run in a child of this process."""

    name: str
    folder: Path
    pid: int
    begun: float

    def end(self, after_s: float | None = None) -> int:
        """Wait for the end, or kill it after a while; minus the signal, or the exit code."""
        while after_s is not None and time.monotonic() < self.begun + after_s:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        if after_s is not None:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def said(self) -> str:
        """What it has printed, on both streams."""
        return (self.folder / "said").read_text(encoding="utf-8", errors="replace")


def start(name: str, folder: Path, cache: Path, *, limit: int | None = None, temporary: Path | None = None) -> Run:
    """Start a run; ``limit`` is the largest file that it may write [bytes], ``temporary`` its TMPDIR."""
    place(name, folder)
    begun, child = time.monotonic(), os.fork()
    if child:
        return Run(name, folder, child, begun)
    code = 70
    try:
        signal.signal(signal.SIGALRM, _ended)
        signal.alarm(TOO_LONG_S)
        said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        _obey(name, folder, cache, limit, temporary)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _ended(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"still at work after {TOO_LONG_S} s")


def _obey(name: str, folder: Path, cache: Path, limit: int | None, temporary: Path | None) -> None:
    import resource

    from crosstalk.cli import main

    os.chdir(folder)
    os.environ["CROSSTALK_CACHE"] = str(cache)
    if temporary is not None:
        os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
    sys.argv = ["crosstalk", *VERBS[name][1].split(), "-q"]
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    main()


def place(name: str, folder: Path) -> None:
    """Put the inputs of a verb into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in VERBS[name][0].items():
        if not (folder / file).exists():
            (folder / file).write_text(text, encoding="utf-8")


def warm(base: Path) -> dict[str, dict[str, bytes]]:
    """A warm cache as ``base / "cache"``, and the outputs of undisturbed runs by verb and name."""
    begun = time.monotonic()
    alone, cache = _warmed()
    LIMIT.until += time.monotonic() - begun  # the time of an attack is that of its tries
    shutil.copytree(cache, base / "cache")
    return alone


@functools.cache
def _warmed() -> tuple[dict[str, dict[str, bytes]], Path]:
    """Import everything, do each verb once here, then in a child: the children's outputs, and the cache they filled."""
    import crosstalk

    for module in pkgutil.walk_packages(crosstalk.__path__, "crosstalk."):
        if not module.name.endswith("__main__") and "migrations" not in module.name:  # Alembic's to run
            importlib.import_module(module.name)
    base = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, base, ignore_errors=True)
    here, cache = Path.cwd(), os.environ.get("CROSSTALK_CACHE")
    alone: dict[str, dict[str, bytes]] = {}
    for name in VERBS:
        begun = time.monotonic()
        place(name, base / f"{name}-warm")
        try:
            _obey(name, base / f"{name}-warm", base / "cache", None, None)
        except SystemExit as error:
            if error.code:
                raise RuntimeError(f"{name} ends with {error.code}") from error
        finally:
            os.chdir(here)
            os.environ.pop("CROSSTALK_CACHE")
            if cache is not None:
                os.environ["CROSSTALK_CACHE"] = cache
        first, begun = time.monotonic() - begun, time.monotonic()
        run = start(name, base / f"{name}-alone", base / "cache")
        if run.end():
            raise RuntimeError(f"{name}: {run.said[-500:]}")
        alone[name] = outputs(run.folder)
        print(f"{name}: {first:.1f} s the first time, {time.monotonic() - begun:.1f} s in a child", flush=True)
    logging.getLogger("crosstalk").handlers = []
    return alone, base / "cache"


def launch(name: str, folder: Path, cache: Path) -> subprocess.Popen[str]:
    """Start a process of its own."""
    place(name, folder)
    source = str(Path(__file__).resolve().parents[2] / "src")
    environment = {**os.environ, "CROSSTALK_CACHE": str(cache), "PYTHONPATH": source}
    arguments = VERBS[name][1].replace(" -j 1", "").split()
    return subprocess.Popen(
        [sys.executable, "-m", "crosstalk", *arguments, "-q"], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def outputs(folder: Path) -> dict[str, bytes]:
    """What a run has written so far."""
    return {p.name: p.read_bytes() for p in sorted(folder.glob("o.*"))}


def litter(*folders: Path) -> list[str]:
    """Temporary files that are left."""
    return [str(p) for folder in folders for p in folder.rglob("*.tmp")]
