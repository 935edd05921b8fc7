"""Check a release and build it: version, tag, artefacts, what they hold, their bill of materials, clean installations.

python scripts/release.py            all of it; interpreters python3.11 to python3.14 that are at hand
python scripts/release.py --draft    without tag, clean tree and address of the repository; installs in one interpreter
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
NEEDED = ("model/mechanism.xml", "model/mechanism_circadian.xml", "knowledge/posterior.nc", "knowledge/parameters.tsv",
          "knowledge/mechanisms/innate.ant", "py.typed", "example_files/panels/two_patients.csv")  # fmt: skip
FORBIDDEN = re.compile(r"__pycache__|\.pyc$|(^|/)\.venv/|(^|/)\.git/")
LARGEST = 20_000_000  # bytes of an artefact; more is a file too many
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
RUNS = (["--version"], ["drugs"], ["simulate", "kofod2022", "--patients", "6", "--json", "out.json"])


def version() -> str:
    text = (ROOT / "src" / "crosstalk" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    assert found is not None
    return found[1]


def papers(wanted: str, draft: bool) -> list[str]:
    """What the files of the project say of this version."""
    faults = []
    cff = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    if f"\nversion: {wanted}\n" not in cff:
        faults.append(f"CITATION.cff: its version is not {wanted}")
    recipe = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    if f'version: "{wanted}"' not in recipe:
        faults.append(f"packaging/conda/recipe.yaml: its version is not {wanted}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    conda = set(
        re.findall(r"^    - ([\w-]+)[ >]", recipe[recipe.index("  run:") : recipe.index("tests:")], re.MULTILINE)
    )
    names = {re.split(r"[><=]", d)[0] for d in project["dependencies"]}
    if lacking := names - conda:
        faults.append(f"packaging/conda/recipe.yaml: lacks {', '.join(sorted(lacking))}")
    if draft:
        return faults
    if not re.search(rf"^## \[{re.escape(wanted)}\] - \d{{4}}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.M):
        faults.append(f"CHANGELOG.md: has no section '## [{wanted}] - DATE'")
    for key in ("date-released", "repository-code"):
        if f"\n{key}:" not in cff:
            faults.append(f"CITATION.cff: has no {key}")
    if "Source" not in project["urls"]:
        faults.append("pyproject.toml: [project.urls] has no Source")
    if re.search(r"\]\((?!https?://|#)", (ROOT / "README.md").read_text(encoding="utf-8")):
        faults.append("README.md: has relative links, which a package index cannot follow")
    if said("git", "status", "--porcelain"):
        faults.append("the working tree is not clean; commit or put aside what it holds")
    if f"v{wanted}" not in said("git", "tag", "--points-at", "HEAD").split():
        faults.append(f"HEAD has no tag v{wanted}")
    return faults


def said(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def build() -> tuple[Path, Path]:
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "build"], check=True)
        subprocess.run([python, "-m", "build", "--outdir", str(DIST), str(ROOT)], check=True)
    return next(DIST.glob("*.whl")), next(DIST.glob("*.tar.gz"))


def contents(wheel: Path, sdist: Path, wanted: str) -> list[str]:
    """What is wrong with the artefacts."""
    faults = [f"{p.name}: has {p.stat().st_size} bytes" for p in (wheel, sdist) if p.stat().st_size > LARGEST]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        faults += [f"{wheel.name}: lacks {n}" for n in NEEDED if f"crosstalk/{n}" not in names]
        header = HeaderParser().parsestr(
            archive.read(next(n for n in names if n.endswith(".dist-info/METADATA"))).decode()
        )
    with tarfile.open(sdist) as packed:
        names += packed.getnames()
    faults += [f"{n}: does not belong into an artefact" for n in names if FORBIDDEN.search(n)]
    if (header["Name"], header["Version"]) != ("crosstalk-mdd", wanted):
        faults.append(f"{wheel.name}: says that it is {header['Name']} {header['Version']}")
    return faults


BILL = """
import importlib.metadata as im, json
print(json.dumps([
    {"type": "library", "name": d.metadata["Name"], "version": d.version,
     "purl": f"pkg:pypi/{d.metadata['Name'].lower()}@{d.version}",
     "licenses": [{"license": {"name": (d.metadata.get("License-Expression") or d.metadata.get("License") or "; ".join(
         c.split("::")[-1].strip() for c in d.metadata.get_all("Classifier") or () if c.startswith("License"))
         or "unknown").splitlines()[0]}}]}
    for d in sorted(im.distributions(), key=lambda d: d.metadata["Name"].lower())]))
"""


def install(artefact: Path, python: str, wanted: str) -> list[dict[str, object]]:
    """Install in a clean environment, run the command from an empty folder, and list what is there."""
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        subprocess.run([python, "-m", "venv", str(at / "venv")], check=True)
        own = at / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
        pip = [str(own / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "install", f"{artefact}"], check=True)
        subprocess.run([*pip, "check"], check=True)
        (at / "empty").mkdir()
        for words in RUNS:
            out = subprocess.run([str(own / "crosstalk"), *words], cwd=at / "empty", capture_output=True, text=True,
                                 check=True)  # fmt: skip
            if words == ["--version"] and out.stdout.strip() != f"crosstalk {wanted}":
                raise SystemExit(f"{artefact.name}: --version says {out.stdout.strip()}")
        size = sum(p.stat().st_size for p in (at / "venv").rglob("*") if p.is_file() and p.suffix != ".pyc")
        print(f"{artefact.name} on {python}: {size / 1e6:.0f} MB, runs")
        found = subprocess.run([str(own / "python"), "-c", BILL], capture_output=True, text=True, check=True).stdout
    return list(json.loads(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draft", action="store_true")
    draft = parser.parse_args().draft
    wanted = version()
    if faults := papers(wanted, draft):
        raise SystemExit("\n".join(faults))
    wheel, sdist = build()
    if faults := contents(wheel, sdist, wanted):
        raise SystemExit("\n".join(faults))
    at_hand = [p for p in (shutil.which(f"python{v}") for v in PYTHONS) if p] or [sys.executable]
    bill: list[dict[str, object]] = []
    for python in [sys.executable] if draft else at_hand:
        for artefact in (wheel,) if draft else (wheel, sdist):
            bill = install(artefact, python, wanted)
    document = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": bill}
    (DIST / f"crosstalk-mdd-{wanted}.cdx.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"dist holds version {wanted}")


if __name__ == "__main__":
    main()
