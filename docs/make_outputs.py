"""Run the commands that the pages quote and keep what they print, so that no output in the documentation is typed.

A fenced ``console`` or ``python`` block that is followed at once by ``literalinclude output/NAME.txt`` is run; what it
prints becomes that file. A report that a page offers as ``reports/NAME.html`` is kept where a command writes NAME.html.
``python docs/make_outputs.py`` runs all, ``python docs/make_outputs.py NAME ...`` some.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
WIDTH = "96"

_BLOCK = re.compile(
    r"^```(?P<kind>console|python)\n(?P<body>(?:(?!```).*\n)*)```\n"
    r"\s*^```\{literalinclude\} output/(?P<name>[\w-]+)\.txt$",
    re.MULTILINE,
)


_REPORT = re.compile(r"<reports/([\w-]+\.html)>")


class Quoted(NamedTuple):
    """A block of a page and the name of the file that holds what it prints."""

    page: Path
    kind: str
    body: str
    name: str

    @property
    def commands(self) -> list[list[str]]:
        """Arguments of each command, without the prompt."""
        if self.kind == "python":
            return [[sys.executable, "-c", self.body]]
        lines = [line.removeprefix("$ ") for line in self.body.splitlines() if line.startswith("$ ")]
        found = [shlex.split(line) for line in lines]
        for words in found:
            if words[0] != "crosstalk":
                raise SystemExit(f"{self.page}: '{words[0]}' is not run; only crosstalk is")
        return [[sys.executable, "-m", *words] for words in found]


def quoted() -> Iterator[Quoted]:
    """Yield every block whose output is kept, in the order of the pages."""
    for page in sorted(DOCS.rglob("*.md")):
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8")):
            yield Quoted(page, match["kind"], match["body"], match["name"])


def run(block: Quoted, folder: Path) -> str:
    """Run one block in a folder that holds the examples; return what it printed on both streams."""
    environment = {**os.environ, "COLUMNS": WIDTH, "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    text = ""
    for command in block.commands:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
        )
        if "Traceback" in done.stdout:
            raise SystemExit(f"{block.page}: {shlex.join(command)} failed:\n{done.stdout}")
        text += done.stdout
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


def working_copy(folder: Path) -> Path:
    """Copy what the commands read, so that their outputs land beside it and not in the project."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    shutil.copytree(DOCS / "samples", folder / "docs" / "samples")
    return folder


def keep_reports(folder: Path) -> None:
    """Keep the reports that pages offer and the commands have written."""
    for page in sorted(DOCS.rglob("*.md")):
        for name in _REPORT.findall(page.read_text(encoding="utf-8")):
            if (folder / name).is_file():
                (DOCS / "reports").mkdir(exist_ok=True)
                shutil.copyfile(folder / name, DOCS / "reports" / name)
                print(f"written: reports/{name}")


def main(names: list[str]) -> None:
    """Write the outputs."""
    with tempfile.TemporaryDirectory() as place:
        folder = working_copy(Path(place))
        for block in quoted():
            if not names or block.name in names:
                (DOCS / "output" / f"{block.name}.txt").write_text(run(block, folder), encoding="utf-8", newline="\n")
                print(f"written: output/{block.name}.txt")
        keep_reports(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
