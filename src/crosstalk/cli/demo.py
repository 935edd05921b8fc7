"""``crosstalk demo``: the example files of the documentation, in a folder of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosstalk.errors import OutputError

__all__ = ["demo", "example_files"]

TRY = (
    "crosstalk assess examples/panels/nhanes_adults.csv --html cohort.html",
    "crosstalk forecast examples/panels/depression_inflamed.csv --html report.html",
    "crosstalk simulate examples/studies/anti_tnf_by_crp.toml --patients 60",
    "crosstalk trial examples/trials/minocycline_crp3.toml --replicates 50",
)


def example_files() -> Path:
    """Folder of the example files: in the installed package, or in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "example_files"
    return installed if installed.is_dir() else package.parent.parent / "examples"


def demo(
    folder: Annotated[Path, typer.Argument(help="Where to put the folder examples/; here by default.")] = Path(),
) -> None:
    """Write the examples of the documentation: panels, exports, a plate, studies, trials, an extension."""
    from crosstalk.provenance import atomic_write

    source = example_files()
    files = sorted(path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    if not files:
        raise OutputError(f"{source}: holds no example; install Crosstalk again")
    if not folder.is_dir():
        raise OutputError(f"{folder}: is no folder; create it first, or name another one")
    goals = {path: folder / "examples" / path.relative_to(source) for path in files}
    for path, goal in goals.items():
        if goal.exists() and (not goal.is_file() or goal.read_bytes() != path.read_bytes()):
            raise OutputError(f"{goal}: is there already and is another file; name another folder, nothing was written")
    for path, goal in goals.items():
        if not goal.exists():
            goal.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(goal, path.read_bytes())
    print(f"{len(goals)} files in {folder / 'examples'}. Try:")
    for line in TRY:
        print(f"  {line}")
