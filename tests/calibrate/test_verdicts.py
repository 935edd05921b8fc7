"""The verdicts on what the model never saw, made again with fewer draws.

A verdict that changes is a change of what Crosstalk claims: it needs an entry in the changelog that names the result,
and a new table (``python docs/make_credibility.py --verdicts``).
"""

from __future__ import annotations

import json
from pathlib import Path

from crosstalk.calibrate.targets import studies_of
from crosstalk.calibrate.validation import validate
from crosstalk.engine.ensemble import Engine
from crosstalk.knowledge.loader import Knowledge
from crosstalk.population.calibrated import possible_worlds

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "results" / "verdicts.json"


def test_no_verdict_changes_unsaid(knowledge: Knowledge, engine: Engine) -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    worlds = possible_worlds(knowledge, table["seed"], table["draws"])
    assert worlds.source == "posterior"
    found = validate(
        studies_of("validate", knowledge),
        worlds,
        knowledge=knowledge,
        engine=engine,
        seed=table["seed"],
        patients=table["patients"],
        prior_draws=2,
    )
    was = {row["key"]: (row["inside90"], row["sign_ok"]) for row in table["results"]}
    now = {v.key: (v.inside90, v.sign_ok) for v in found.results}
    changed = sorted(k for k in was.keys() | now.keys() if was.get(k) != now.get(k))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## [", 2)[1]
    unsaid = [k for k in changed if f"verdict {k.split('|')[0]}" not in changelog]
    assert not unsaid, f"verdicts changed: {unsaid}; write 'verdict STUDY: ...' in the changelog and renew {TABLE.name}"


def test_the_nulls_are_among_them(knowledge: Knowledge) -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    studies = {row["key"].split("|")[0] for row in table["results"]}
    assert {"otte2025", "baune2021", "mcintyre2019"} <= studies
    assert studies <= {s.id for s in studies_of("validate", knowledge)}
