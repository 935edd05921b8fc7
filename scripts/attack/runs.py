"""Short runs of the command line that attacks disturb, and what they write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

COHORT = "patient,hsCRP [mg/L],IL-6 [pg/mL],HAMD17\n" + "".join(
    f"P{i},{1 + i % 7},{1 + i % 3},{18 + i % 9}\n" for i in range(12)
)


def learning() -> str:
    """A cohort with an outcome, the same each time."""
    rng = np.random.default_rng(3)
    rows = ["patient,age,sex,hsCRP [mg/L],IL-6 [pg/mL],resp"]
    for i in range(160):
        crp = float(np.exp(rng.normal(0.5, 1)))
        cells = (rng.integers(20, 70), "FM"[i % 2], f"{crp:.3g}", f"{float(np.exp(rng.normal(0.5, 0.6))):.3g}")
        rows.append(f"P{i},{','.join(map(str, cells))},{int(rng.random() < 0.5)}")
    return "\n".join(rows) + "\n"


COMMANDS: dict[str, tuple[dict[str, str], list[str]]] = {
    "assess": ({"panel.csv": COHORT}, ["assess", "panel.csv", "--json", "o.json", "--csv", "o.csv"]),
    "simulate": ({}, ["simulate", "kofod2022", "--patients", "24", "--json", "o.json", "--csv", "o.csv"]),
    "learn": (
        {"cohort.csv": learning()},
        ["learn", "cohort.csv", "--outcome", "resp", "--no-mechanism", "--no-boosting", "--repeats", "3",
         "--bootstrap", "0", "--json", "o.json", "--html", "o.html"],
    ),
}  # fmt: skip
"""Inputs and arguments by name; each is made in a folder of its own."""


def launch(
    name: str, folder: Path, cache: Path, *, extra: dict[str, str] | None = None, limit: int | None = None
) -> subprocess.Popen[str]:
    """Start a run; ``limit`` is the largest file that it may write [bytes]."""
    files, arguments = COMMANDS[name]
    folder.mkdir(exist_ok=True)
    for file, text in files.items():
        (folder / file).write_text(text, encoding="utf-8")

    def limited() -> None:
        import resource

        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    source = str(Path(__file__).resolve().parents[2] / "src")
    environment = {**os.environ, "CROSSTALK_CACHE": str(cache), "PYTHONPATH": source, **(extra or {})}
    return subprocess.Popen(
        [sys.executable, "-m", "crosstalk", *arguments, "-q"], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limited,
    )  # fmt: skip


def outputs(folder: Path) -> list[Path]:
    """What a run has written so far."""
    return sorted(folder.glob("o.*"))


def finished(name: str, folder: Path, cache: Path) -> dict[str, bytes]:
    """Run to the end; contents of the outputs by name, or what went wrong under its words."""
    process = launch(name, folder, cache)
    _, error = process.communicate(timeout=600)
    if process.returncode:
        return {f"failed: {error[-300:]}": b""}
    return {p.name: p.read_bytes() for p in outputs(folder)}
