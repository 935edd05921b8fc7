"""Check the documentation without building it: links, pictures, lists of pages, commands. ``python docs/check.py``.

What is wrong is printed, a line each, and the exit code is 1. The tests run the same checks.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGES = sorted(p for p in DOCS.rglob("*.md") if not {"_build", "generated"} & set(p.parts))
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "ROADMAP.md"))]

FENCE = re.compile(r"^(`{3,})(.*)\n((?:.*\n)*?)\1$", re.MULTILINE)
SHELL_WORDS = {".", "cd", "docker", "git", "make", "pip", "cat", "pipx", "python", "python3", "uv", "crosstalk"}


def named(path: Path) -> str:
    """A path as the project knows it."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def blocks(path: Path, info: str) -> Iterator[str]:
    """Bodies of the fenced blocks of a language."""
    for match in FENCE.finditer(path.read_text(encoding="utf-8") + "\n"):
        if match[2].strip() == info:
            yield match[3]


def prose(path: Path) -> str:
    """A page without code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", path.read_text(encoding="utf-8") + "\n"))


def anchors(path: Path) -> set[str]:
    """Anchors of the headings, as MyST and GitHub make them."""
    headings = re.findall(r"^#{1,6} (.+)$", FENCE.sub("", path.read_text(encoding="utf-8") + "\n"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def links(path: Path) -> Iterator[str]:
    """Relative links, and included files, that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            yield f"{named(path)}: links to {target}, which is not there"
    for target in re.findall(r"^```\{literalinclude\} (\S+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        if not (path.parent / target).is_file():
            yield f"{named(path)}: includes {target}, which is not there"


def pictures(path: Path) -> Iterator[str]:
    """Pictures that are absent, or say nothing to those who cannot see them."""
    for words, target in re.findall(r"!\[([^]]*)\]\(([^)\s]+)\)", prose(path)):
        if not (path.parent / target).is_file():
            yield f"{named(path)}: shows {target}, which is not there"
        if len(words.split()) < 3:
            yield f"{named(path)}: says '{words}' of {target}; expected a text for those who cannot see it"


def unused_pictures() -> Iterator[str]:
    """Pictures that no page shows."""
    texts = "".join(path.read_text(encoding="utf-8") for path in TEXTS)
    for file in sorted((DOCS / "images").iterdir()):
        if f"images/{file.name}" not in texts:
            yield f"{named(file)}: no page shows it"


def lists() -> Iterator[str]:
    """Pages that are in no list of pages, or in several."""
    listed: list[Path] = []
    for page in PAGES:
        for body in blocks(page, "{toctree}"):
            for line in body.splitlines():
                if line and not line.startswith(":"):
                    entry = page.parent / f"{line}.md"
                    listed.append(entry)
                    if not entry.is_file():
                        yield f"{named(page)}: lists {line}, which is not there"
    for page in PAGES:
        if page != DOCS / "index.md" and listed.count(page) != 1:
            yield f"{named(page)}: is listed {listed.count(page)} times, expected once"


def console_lines(path: Path) -> Iterator[str]:
    """Commands of a page: those with a prompt in console blocks, and every line of sh blocks."""
    for body in blocks(path, "console"):
        lines = [line for line in body.splitlines() if line.strip()]
        prompted = [line[2:] for line in lines if line.startswith("$ ")]
        yield from prompted or lines
    for body in blocks(path, "sh"):
        yield from (line for line in body.splitlines() if line.strip() and not line.startswith("#"))


def wrong_command(words: list[str]) -> str:
    """What is wrong with the words of a `crosstalk` command, by the command line's own tree; empty if nothing."""
    import typer

    from crosstalk.cli import app

    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        if rest[0] not in command.commands:
            return f"unknown verb {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    options = {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    unknown = {word.split("=")[0] for word in rest if re.match(r"-{1,2}[a-z]", word)} - options
    return f"unknown options {', '.join(sorted(unknown))}" if unknown else ""


def commands(path: Path) -> Iterator[str]:
    """Commands that do not exist."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for line in console_lines(path):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        first = Path(words[0]).name or words[0]
        if first not in SHELL_WORDS:
            yield f"{named(path)}: {line}: {first} is no command that readers have"
        elif first == "crosstalk" and (fault := wrong_command([first, *words[1:]])):
            yield f"{named(path)}: {line}: {fault}"
        elif first == "make" and not set(words[1:]) <= targets:
            yield f"{named(path)}: {line}: no such target"


def problems() -> Iterator[str]:
    """Everything that is wrong."""
    for path in TEXTS:
        for check in (links, pictures, commands):
            yield from check(path)
    yield from lists()
    yield from unused_pictures()


if __name__ == "__main__":
    found = list(problems())
    print("\n".join(found) or f"{len(TEXTS)} pages are in order")
    sys.exit(bool(found))
