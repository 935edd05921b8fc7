"""Keep the history of the held-out verdicts: each revision of the table in ``credibility.md`` and which ones moved.

``python docs/verdict_history.py`` makes ``results/history.json`` anew from the git history of that page (it needs git
and the whole history); ``make_credibility.py`` adds an entry whenever it writes a table whose verdicts are others.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGE, FILE = "docs/credibility.md", DOCS / "results" / "history.json"
POSTERIOR = "src/crosstalk/knowledge/posterior.nc"

_TABLE = re.compile(r"(?<=<!-- credibility: validation -->\n).*?(?=<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Revision:
    """One revision of the held-out verdicts.

    ``posterior`` is the hash of the posterior that made them: where it stays, only the judging changed. ``judged`` has
    all verdicts, ``moved`` a result and its verdict before and after, for results that were held out both times.
    ``rivals`` is how many the prior predictive and the trivial predictor held, empty before they were asked.
    """

    date: str
    change: str
    posterior: str
    judged: dict[str, str]
    moved: tuple[tuple[str, str, str], ...] = ()
    rivals: tuple[str, ...] = ()

    @property
    def turned(self) -> tuple[tuple[str, str, str], ...]:
        """What moved in or out of the interval; the rest is no longer judged, or judged for the first time."""
        return tuple(m for m in self.moved if set(m[1:]) == {"inside", "outside"})

    @property
    def counts(self) -> Counter[str]:
        """How many results have each verdict."""
        return Counter(self.judged.values())


def verdicts_of(page: str) -> dict[str, str]:
    """The verdict of each result in the table of a page, empty where it has none."""
    found = _TABLE.search(page)
    lines = [line.strip() for line in found[0].splitlines() if line.startswith("|")] if found else []
    if len(lines) < 3:
        return {}
    header, *rows = (line.strip("|").split(" | ") for line in (lines[0], *lines[2:]))
    columns = [name.strip() for name in header]
    verdicts: dict[str, str] = {}
    for row in rows:
        cells = dict(zip(columns, (cell.strip() for cell in row), strict=True))
        study = re.sub(r"\[(.*?)\]\(.*\)", r"\1", cells["study"])
        verdicts[f"{study}: {cells['result']}"] = cells["verdict"].strip("*")
    return verdicts


def revised(
    history: Sequence[Revision],
    judged: Mapping[str, str],
    *,
    date: str,
    change: str,
    posterior: str,
    rivals: tuple[str, ...] = (),
) -> tuple[Revision, ...]:
    """The history with another revision, if its verdicts are others than the last ones."""
    before = history[-1].judged if history else {}
    if not judged or dict(judged) == before:
        return tuple(history)
    moved = tuple((name, before[name], new) for name, new in judged.items() if before.get(name, new) != new)
    return (*history, Revision(date, change, posterior, dict(judged), moved, rivals))


def read() -> tuple[Revision, ...]:
    """The history that is kept."""
    rows = json.loads(FILE.read_text(encoding="utf-8")) if FILE.is_file() else []
    return tuple(
        Revision(**{**row, "moved": tuple(map(tuple, row["moved"])), "rivals": tuple(row["rivals"])}) for row in rows
    )


def write(history: Sequence[Revision]) -> None:
    """Keep a history."""
    FILE.write_text(json.dumps([asdict(r) for r in history], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def posterior_hash(content: bytes) -> str:
    """A short hash of a posterior."""
    return hashlib.sha256(content).hexdigest()[:12]


def table(history: Sequence[Revision]) -> str:
    """The history as a table, the newest last."""
    columns = ("date", "what changed", "inside", "prior predictive, trivial predictor", "verdicts that moved")
    lines = [f"| {' | '.join(columns)} |", "| --- | --- | --- | --- | --- |"]
    for k, r in enumerate(history):
        by_study = Counter(name.partition(":")[0] for name, _, _ in r.turned)
        won = sum(new == "inside" for _, _, new in r.turned)
        moved = ", ".join(f"{study} {n}" for study, n in by_study.most_common())
        cell = f"{len(r.turned)}, {won} of them to the inside: {moved}" if r.turned else "" if not k else "none"
        if others := len(r.moved) - len(r.turned):
            cell += f"; {others} no longer judged, or judged for the first time"
        judging = "" if not k or r.posterior != history[k - 1].posterior else " (only the judging changed)"
        rivals = ", ".join(r.rivals) or "not asked"
        judged = sum(n for verdict, n in r.counts.items() if verdict in ("inside", "outside"))
        lines.append(f"| {r.date} | {r.change}{judging} | {r.counts['inside']} of {judged} | {rivals} | {cell} |")
    return "\n".join(lines)


def sentence(history: Sequence[Revision]) -> str:
    """How much the verdicts owe to revisions of the model that were made after they had been seen."""
    later = [r for k, r in enumerate(history) if k and r.posterior != history[k - 1].posterior and r.turned]
    moved = [name.partition(":")[0] for r in later for name, _, _ in r.turned]
    if not moved:
        return "No verdict has moved since the first posterior."
    (study, most), *_ = Counter(moved).most_common(1)
    return (
        f"{_count(len(moved), 'held-out verdict')} moved with {_count(len(later), 'revision')} of the model that were "
        f"made after they had been seen, {most} of them of {study}: weaker evidence than the rest."
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def from_git() -> tuple[Revision, ...]:
    """The history of the page that git knows."""
    history: tuple[Revision, ...] = ()
    log = _git("log", "--follow", "--reverse", "--date=short", "--format=%H%x09%ad%x09%s", "--", PAGE).decode()
    for line in log.splitlines():
        commit, date, change = line.split("\t", 2)
        judged = verdicts_of(_git("show", f"{commit}:{PAGE}").decode("utf-8"))
        if judged:
            posterior = posterior_hash(_git("show", f"{commit}:{POSTERIOR}"))
            history = revised(history, judged, date=date, change=change, posterior=posterior)
    return history


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def main() -> None:
    """Make the history anew; what was kept of a revision stays."""
    kept = {json.dumps(r.judged): r for r in read()}
    write([kept.get(json.dumps(r.judged), r) for r in from_git()])


if __name__ == "__main__":
    main()
