"""A regimen in virtual patients, replayed from its files: by this engine and by libRoadRunner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosstalk.engine import get_engine
from crosstalk.engine.archive import archive
from crosstalk.engine.individuals import run as simulate
from crosstalk.knowledge.loader import load_knowledge
from crosstalk.population.export import export_regimen

from ..conftest import Run
from ..engine.test_export import replay

REGIMEN = "ssri-infliximab"


def test_an_archive_of_a_regimen_is_replayed_to_the_tolerance() -> None:
    exported = export_regimen(
        REGIMEN, patients=2, seed=1, weeks=8, knowledge=load_knowledge(), engine=get_engine(jobs=1)
    )
    ours = simulate(
        exported.sbml, exported.times, parameters=exported.to_frame(), outputs=exported.outputs, rtol=1e-8, jobs=1
    )
    assert set(ours.statuses) == {"ok"}
    labels, table = replay(archive(exported, name=REGIMEN))
    assert labels == ["time", *exported.outputs]
    np.testing.assert_allclose(table[:, 1:].T, ours.values[0], rtol=1e-5)
    # the patients differ, and so do the amounts by weight
    assert not np.allclose(ours.values[0], ours.values[1], rtol=1e-3)
    amounts = [name for name in exported.individuals if name.startswith("change_")]
    assert any(np.ptp(exported.individuals[name]) > 0 for name in amounts)


def test_the_command_line(run: Run, tmp_path: Path) -> None:
    table, model, packed = tmp_path / "people.csv", tmp_path / "model.xml", tmp_path / "model.omex"
    command = ("model", "export", "--regimen", "ssri", "--patients", 2, "--weeks", 2)
    code, _, errors = run(*command, "--output", model, "--population", table)
    assert code == 0, errors
    assert len(pd.read_csv(table)) == 2
    code, text, errors = run("run", model, "--parameters", table, "--times", "0:336:168", "--output", "HAMD17")
    assert code == 0, errors
    assert "2 of 2 individuals ran" in text
    code, _, errors = run(*command, "--format", "omex", "--output", packed)
    assert code == 0, errors
    assert packed.read_bytes()[:2] == b"PK"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--format", "omex"), "need a --regimen"),
        (("--regimen", "nope"), "unknown regimen 'nope'"),
        (("--regimen", "ssri", "--drug", "ketamine"), "leave out --drug"),
        (("--regimen", "ssri", "--format", "antimony"), "as sbml or omex"),
        (("--regimen", "ssri", "--format", "omex"), "name a file"),
    ],
)
def test_bad_use(run: Run, words: tuple[str, ...], message: str) -> None:
    code, _, errors = run("model", "export", *words)
    assert (code, message in errors) == (2, True), errors
