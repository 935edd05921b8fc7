"""Fixtures of the whole suite: shared data, a cache of its own, Hypothesis profile."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("CROSSTALK_SHARED", ROOT.parent / "shared")) / "data"

Run = Callable[..., tuple[int, str, str]]

settings.register_profile("crosstalk", deadline=None, max_examples=50)
settings.load_profile("crosstalk")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason=f"the shared data sets are not at {SHARED}; set CROSSTALK_SHARED")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data sets; tests that use it carry the marker ``shared``."""
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep computed populations away from the user's cache; workers of one run share a folder."""
    shared = tmp_path_factory.getbasetemp()
    folder = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared
    os.environ["CROSSTALK_CACHE"] = str(folder / "crosstalk-cache")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """A call of the command line in this process, in a wide terminal: exit code, standard output, standard error."""
    from crosstalk import cli

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crosstalk", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capfd.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call


@contextmanager
def _edited(path: Path) -> Iterator[Any]:
    import h5netcdf

    from crosstalk.population.calibrated import sealed, unsealed

    content = unsealed(path)
    with h5netcdf.File(content, "a") as file:
        yield file
    path.write_bytes(sealed(content.getvalue()))


@pytest.fixture(scope="session")
def edited() -> Callable[[Path], AbstractContextManager[Any]]:
    """Open a posterior to change it; it gets the checksum of its new content."""
    return _edited
