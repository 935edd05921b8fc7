"""The one reader of the knowledge files: every table is checked and becomes a typed record.

To add a drug, a regimen or a study, add a file: to the folders ``drugs``, ``regimens`` or ``studies`` beside this
module, or to folders of the same names in a place of your own, where a file ``analytes.toml`` adds analytes too. Such
a place is passed as ``extra``, named by the environment variable ``CROSSTALK_KNOWLEDGE`` (the option ``--knowledge``
sets it), or brought by an installed package (`crosstalk.extensions`).
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from crosstalk.errors import KnowledgeError, UsageError
from crosstalk.extensions import KNOWLEDGE, brought
from crosstalk.knowledge.discounts import EvidenceFile
from crosstalk.knowledge.files import by_stem, check_id, named_tables, read_tables, read_text, validated
from crosstalk.knowledge.people_schema import AnalyteTable, PopulationFile, ScoreTable
from crosstalk.knowledge.records import (
    Analyte,
    Correlation,
    Diagnosis,
    Discounts,
    Distribution,
    Dose,
    Drug,
    MechanismDefinition,
    Parameter,
    Regimen,
    Scale,
    Slot,
)
from crosstalk.knowledge.scales import ScaleTable, scale_records
from crosstalk.knowledge.schema import DrugFile, RegimenFile, SlotTable
from crosstalk.knowledge.separated import read_meanings, read_parameters, read_ranges, read_references
from crosstalk.limits import shown

__all__ = ["VARIABLE", "Knowledge", "load_knowledge", "own_folders"]

VARIABLE = "CROSSTALK_KNOWLEDGE"
"""Environment variable that names folders of one's own; so that processes that work for this one have them too."""

PARTS, ANALYTES = ("drugs", "regimens", "studies"), "analytes.toml"
NAME = 100  # characters of a name that are compared with the known ones
_KNOWLEDGE_SUFFIXES = {".ant", ".nc", ".toml", ".tsv"}
_GREEK = str.maketrans({"α": "alpha", "β": "beta", "γ": "gamma", "κ": "kappa"})  # noqa: RUF001

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Knowledge:
    """All that is known, as typed records keyed by id.

    ``regimens`` starts with the reference and ends with placebo. ``analytes`` holds every scale too, as an analyte of
    kind ``scale``. ``mechanisms`` maps the stem of each Antimony file to its text, ``study_files`` the stem of each
    study file to its path, ``references`` a DOI to its citation, ``meanings`` a variable of the mechanism to what it
    stands for. ``sha256`` covers the names and bytes of all these files. The look-ups take any alias, in any case and
    with any hyphens, and raise `UsageError` with the nearest names.

    Examples
    --------
    >>> from crosstalk.knowledge import load_knowledge
    >>> load_knowledge().analyte("hs-CRP").unit
    'mg/L'
    """

    root: Path
    parameters: Mapping[str, Parameter]
    slots: Mapping[str, Slot]
    drugs: Mapping[str, Drug]
    regimens: Mapping[str, Regimen]
    analytes: Mapping[str, Analyte]
    scales: Mapping[str, Scale]
    diagnoses: Mapping[str, Diagnosis]
    scores: Mapping[str, MechanismDefinition]
    mechanisms: Mapping[str, str]
    study_files: Mapping[str, Path]
    references: Mapping[str, str]
    discounts: Discounts
    sha256: str
    analyte_names: Mapping[str, str]
    meanings: Mapping[str, str] = field(default_factory=dict)

    def drug(self, id_: str) -> Drug:
        """Return the drug with this id."""
        return _find(self.drugs, id_, "drug")

    def regimen(self, id_: str) -> Regimen:
        """Return the regimen with this id."""
        return _find(self.regimens, id_, "regimen")

    def diagnosis(self, id_: str) -> Diagnosis:
        """Return the population with this id."""
        return _find(self.diagnoses, id_, "diagnosis")

    def analyte(self, name: str) -> Analyte:
        """Return the analyte with this id, alias or LOINC code."""
        return _find(self.analytes, name, "analyte", self.analyte_names)

    def find_analyte(self, name: str) -> Analyte | None:
        """The analyte with this id, alias or LOINC code, or None: for names by the thousand, without a search."""
        id_ = name if name in self.analytes else self.analyte_names.get(normal_name(name))
        return None if id_ is None else self.analytes[id_]

    def scale(self, name: str) -> Scale:
        """Return the symptom scale with this id, alias or LOINC code."""
        names = {alias: id_ for alias, id_ in self.analyte_names.items() if id_ in self.scales}
        return _find(self.scales, name, "scale", names)


def own_folders() -> tuple[Path, ...]:
    """Folders that add to the shipped knowledge: of installed packages, then those that the environment names.

    Raises
    ------
    KnowledgeError
        If a package brings something else than a path.
    """
    found = []
    for who, folder in brought(KNOWLEDGE):
        if not isinstance(folder, (str, os.PathLike)):
            raise KnowledgeError(f"{who}: brings a {type(folder).__name__}; expected the path of a folder; mend it")
        found.append(Path(folder))
    return (*found, *(Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part))


def load_knowledge(root: str | Path | None = None, extra: Iterable[str | Path] | None = None) -> Knowledge:
    """Read and check the knowledge files; a second call with unchanged files returns the same object.

    Parameters
    ----------
    root : str or Path, optional
        Folder with the knowledge files. The default is the one that ships with Crosstalk.
    extra : iterable of str or Path, optional
        Folders of your own. Each may hold ``drugs``, ``regimens`` and ``studies``, whose files add to the shipped ones,
        and ``analytes.toml``. By default those of `own_folders`, or none where ``root`` is given.

    Returns
    -------
    Knowledge
        Typed records.

    Raises
    ------
    KnowledgeError
        If a file is missing, breaks its schema, or repeats an id.

    Examples
    --------
    >>> load_knowledge().regimen("ssri").name
    'Escitalopram 10 mg'
    """
    base = (Path(__file__).parent if root is None else Path(root)).resolve()
    given = (own_folders() if root is None else ()) if extra is None else extra
    folders = tuple(dict.fromkeys(Path(folder).resolve() for folder in given))
    if not base.is_dir():
        raise KnowledgeError(f"{base}: no such folder; expected the folder with the knowledge files")
    for folder in folders:
        if not folder.is_dir():
            raise KnowledgeError(f"{folder}: no such folder; expected one with {', '.join(PARTS)} or {ANALYTES} in it")
        if not any((folder / part).exists() for part in (*PARTS, ANALYTES)):
            raise KnowledgeError(
                f"{folder}: found no folder {', '.join(PARTS)} and no {ANALYTES} in it; put your files there"
            )
    files = tuple(_knowledge_files(base, folders))
    stamps = tuple((path, status.st_mtime_ns, status.st_size) for _, path in files for status in (path.stat(),))
    return _load(base, folders, stamps)


@functools.lru_cache(maxsize=16)
def _load(root: Path, extra: tuple[Path, ...], stamps: tuple[tuple[Path, int, int], ...]) -> Knowledge:
    # ``stamps`` is here for the cache alone: an edited file gives a new key
    folders = (root, *extra)
    parameters = read_parameters(root / "parameters.tsv")
    slots = {id_: table.record(id_) for id_, table in named_tables(root / "slots.toml", SlotTable).items()}
    drugs = _read_drugs(folders, slots)
    regimens = _read_regimens(folders, drugs)
    scale_tables = named_tables(root / "scales.toml", ScaleTable, "scale")
    scales = scale_records(scale_tables, root / "scales.toml")
    analytes: dict[str, Analyte] = {}
    names: dict[str, str] = {}
    for file in (folder / ANALYTES for folder in folders if folder == root or (folder / ANALYTES).is_file()):
        tables = named_tables(file, AnalyteTable, "analyte")
        for id_ in tables:
            if id_ in scales or id_ in analytes:
                other = "a scale of scales.toml" if id_ in scales else "an analyte that is known"
                raise KnowledgeError(f"{file}: analyte.{id_}: is also {other}; drop it here, or give it another name")
        own = {id_: table.record(id_) for id_, table in tables.items()}
        names = _name_index(own, file, names)
        analytes |= own
    for id_, ranges in read_ranges(root / "ranges.tsv", analytes).items():
        analytes[id_] = replace(analytes[id_], references=(*ranges, *analytes[id_].references))
    scored = {id_: table.analyte(id_) for id_, table in scale_tables.items()}
    analytes |= scored
    return Knowledge(
        root=root,
        parameters=parameters,
        slots=slots,
        drugs=drugs,
        regimens=regimens,
        analytes=analytes,
        scales=scales,
        diagnoses=_read_population(root / "population.toml", scales),
        scores={
            id_: table.record(id_) for id_, table in named_tables(root / "scores.toml", ScoreTable, "score").items()
        },
        mechanisms=_read_mechanisms(root / "mechanisms"),
        study_files=by_stem(folders, "studies"),
        references=read_references(root / "references.tsv"),
        discounts=validated(EvidenceFile, read_tables(root / "evidence.toml"), root / "evidence.toml").record(),
        sha256=_hash(root, extra),
        analyte_names=_name_index(scored, root / "scales.toml", names),
        meanings=read_meanings(root / "variables.tsv"),
    )


# Look-ups


def normal_name(text: str) -> str:
    """Return a name without case, separators and Greek letters, for comparison."""
    return re.sub(r"[\W_]", "", text.casefold().translate(_GREEK))


def _find(records: Mapping[str, Record], name: str, what: str, names: Mapping[str, str] | None = None) -> Record:
    if name in records:
        return records[name]
    known = {normal_name(id_): id_ for id_ in records} if names is None else names
    id_ = known.get(normal_name(name))
    if id_ is not None:
        return records[id_]
    close = difflib.get_close_matches(normal_name(name[:NAME]), known, n=8, cutoff=0.6)
    nearest = list(dict.fromkeys(known[match] for match in close))[:3]
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"known are: {', '.join(records)}."
    raise UsageError(f"unknown {what} '{shown(name)}': {hint}")


def _name_index(analytes: Mapping[str, Analyte], path: Path, known: Mapping[str, str]) -> dict[str, str]:
    """Names that are known, and those of more analytes."""
    index = dict(known)
    for id_, analyte in analytes.items():
        for name in (id_, analyte.name, *analyte.aliases, *analyte.loinc):
            other = index.setdefault(normal_name(name), id_)
            if other != id_:
                raise KnowledgeError(f"{path}: the name {name!r} is given to both {other} and {id_}; keep it for one")
    return index


# Files


def _knowledge_files(root: Path, extra: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """Yield (name within the folder, path) of all files, in a fixed order."""
    for path in sorted(root.rglob("*")):
        if path.suffix in _KNOWLEDGE_SUFFIXES and path.is_file():
            yield path.relative_to(root).as_posix(), path
    for folder in extra:
        for part in PARTS:
            for path in sorted((folder / part).glob("*.toml")):
                yield f"extra/{part}/{path.name}", path
        if (folder / ANALYTES).is_file():
            yield f"extra/{ANALYTES}", folder / ANALYTES


def _hash(root: Path, extra: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(_knowledge_files(root, extra)):
        # a checkout may turn line ends; the knowledge is the same
        content = path.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _read_mechanisms(folder: Path) -> dict[str, str]:
    mechanisms = {path.stem: read_text(path) for path in sorted(folder.glob("*.ant"))}
    if not mechanisms:
        raise KnowledgeError(f"{folder}: found no Antimony files (*.ant); the knowledge base is incomplete")
    return mechanisms


# Drugs and regimens


def _read_drugs(folders: Iterable[Path], slots: Mapping[str, Slot]) -> dict[str, Drug]:
    drugs: dict[str, Drug] = {}
    for id_, path in by_stem(folders, "drugs").items():
        drug = validated(DrugFile, read_tables(path), path).record()
        check_id(path, "drug", drug.id)
        for number, target in enumerate(drug.targets):
            place = f"{path}: target.{number}"
            slot = slots.get(target.slot)
            if slot is None:
                near = difflib.get_close_matches(target.slot, slots, n=3) or list(slots)
                raise KnowledgeError(f"{place}.slot: received {target.slot!r}, expected one such as {', '.join(near)}")
            if slot.combine == "bind" and target.maximum is not None:
                raise KnowledgeError(
                    f"{place}.maximum: slot {slot.id!r} binds its ligand without a limit (C / half); drop maximum"
                )
            if slot.combine == "bind" and target.hill != 1:
                raise KnowledgeError(f"{place}.hill: slot {slot.id!r} binds one to one; drop hill or set it to 1")
            if slot.combine != "bind" and target.maximum is None:
                raise KnowledgeError(f"{place}.maximum: missing; slot {slot.id!r} needs the largest effect; add it")
            if slot.combine == "inhibit" and target.maximum is not None and target.maximum.value > 1:
                raise KnowledgeError(
                    f"{place}.maximum: received {target.maximum.value}, expected a fraction up to 1, since slot "
                    f"{slot.id!r} keeps 1 - effect"
                )
        drugs[id_] = drug
    return drugs


def _read_regimens(folders: Iterable[Path], drugs: Mapping[str, Drug]) -> dict[str, Regimen]:
    regimens: dict[str, Regimen] = {}
    files = by_stem(folders, "regimens")
    for id_, path in files.items():
        regimen = validated(RegimenFile, read_tables(path), path).record()
        check_id(path, "regimen", regimen.id)
        for number, dose in enumerate(regimen.doses):
            _check_dose(f"{path}: dose.{number}", dose, drugs)
        regimens[id_] = regimen
    references = [id_ for id_, regimen in regimens.items() if regimen.reference]
    if regimens and len(references) != 1:
        which = ", ".join(str(files[id_]) for id_ in references) or "none"
        raise KnowledgeError(f"regimens: exactly one must say reference = true, got {which}; correct the files")
    order = sorted(regimens, key=lambda id_: (not regimens[id_].reference, id_ == "placebo", id_))
    return {id_: regimens[id_] for id_ in order}


def _check_dose(place: str, dose: Dose, drugs: Mapping[str, Drug]) -> None:
    drug = drugs.get(dose.drug)
    if drug is None:
        near = difflib.get_close_matches(dose.drug, drugs, n=3) or list(drugs)
        raise KnowledgeError(f"{place}.drug: received {dose.drug!r}, expected a drug such as {', '.join(near)}")
    if dose.route not in drug.routes:
        raise KnowledgeError(
            f"{place}.route: received {dose.route!r}, expected one of {list(drug.routes)} (routes of {drug.id})"
        )


# Populations


def _read_population(path: Path, scales: Mapping[str, Scale]) -> dict[str, Diagnosis]:
    tables = validated(PopulationFile, read_tables(path), path).diagnosis
    done: dict[str, Diagnosis] = {}

    def build(id_: str, chain: tuple[str, ...]) -> Diagnosis:
        if id_ in done:
            return done[id_]
        table = tables[id_]
        place = f"{path}: diagnosis.{id_}"
        distributions: dict[str, Distribution] = {}
        pairs: dict[frozenset[str], Correlation] = {}
        constants: dict[str, float] = {}
        scale, severity = table.scale, None if table.severity is None else table.severity.record("severity")
        if table.inherits:
            if table.inherits not in tables:
                raise KnowledgeError(f"{place}.inherits: received {table.inherits!r}, expected one of {list(tables)}")
            if table.inherits in (*chain, id_):
                circle = " > ".join((*chain, id_, table.inherits))
                raise KnowledgeError(f"{place}.inherits: goes in a circle ({circle}); break it")
            parent = build(table.inherits, (*chain, id_))
            distributions |= parent.distributions
            pairs |= {frozenset((entry.first, entry.second)): entry for entry in parent.correlations}
            constants |= parent.constants
            scale, severity = scale or parent.scale, severity or parent.severity
        for name in table.distribution.keys() & table.constants.keys():
            raise KnowledgeError(f"{place}: {name!r} is both a distribution and a constant; drop one of them")
        constants = {name: value for name, value in constants.items() if name not in table.distribution}
        distributions = {name: entry for name, entry in distributions.items() if name not in table.constants}
        distributions |= {key: entry.record(key, id_) for key, entry in table.distribution.items()}
        own = [entry.record() for entry in table.correlation]
        pairs |= {frozenset((entry.first, entry.second)): entry for entry in own}
        for entry in pairs.values():
            for name in (entry.first, entry.second):
                if name not in distributions:
                    raise KnowledgeError(f"{place}.correlation: {name!r} is none of {list(distributions)}; correct it")
            if entry.first == entry.second:
                raise KnowledgeError(f"{place}.correlation: {entry.first!r} is correlated with itself; drop the entry")
        if scale and scale not in scales:
            raise KnowledgeError(f"{place}.scale: received {scale!r}, expected one of {list(scales)}")
        done[id_] = Diagnosis(
            id=id_,
            name=table.name,
            distributions=distributions,
            correlations=tuple(pairs.values()),
            scale=scale,
            severity=severity,
            constants=constants | table.constants,
            enrolment=table.enrolment,
        )
        return done[id_]

    return {id_: build(id_, ()) for id_ in tables}


# Tab-separated tables
