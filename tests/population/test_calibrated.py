"""The posterior file: which worlds it gives, and when it no longer belongs to the model."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import pytest

from crosstalk.calibrate.calibration import Calibration, Settings, calibrate
from crosstalk.calibrate.files import write_calibration
from crosstalk.calibrate.targets import gather
from crosstalk.engine import get_engine
from crosstalk.errors import PopulationError
from crosstalk.knowledge.loader import Knowledge, load_knowledge
from crosstalk.population.calibrated import (
    POSTERIOR,
    VARIABLE,
    knowledge_state,
    possible_worlds,
    read_posterior,
    sealed,
    shipped_posterior,
    unsealed,
)
from crosstalk.population.worlds import Worlds, prior_worlds, unknowns
from crosstalk.study.schema import read_study

Edited = Callable[[Path], AbstractContextManager[Any]]
SMALL = Settings(members=20, effort=0.1, seed=1)
SHIPPED = load_knowledge().root
STUDIES = ("windoloski2024", "uher2014", "nettis2021", "cipriani2018")


@pytest.fixture(autouse=True)
def _no_other_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model with few studies and no posterior."""
    folder = tmp_path_factory.mktemp("base") / "knowledge"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__", POSTERIOR, "studies"))
    (folder / "studies").mkdir()
    for name in STUDIES:
        shutil.copy(SHIPPED / "studies" / f"{name}.toml", folder / "studies")
    return folder


@pytest.fixture(scope="module")
def small(base: Path) -> Calibration:
    """A calibration on one challenge."""
    knowledge, engine = load_knowledge(base), get_engine()
    try:
        targets = gather([read_study("windoloski2024", knowledge)], knowledge)
        return calibrate(SMALL, knowledge=knowledge, engine=engine, targets=targets)
    finally:
        engine.close()


@pytest.fixture(scope="module")
def written(base: Path, small: Calibration) -> Path:
    return write_calibration(base.parent / "p.nc", small)


@pytest.fixture
def root(tmp_path: Path, base: Path, written: Path) -> Path:
    """Knowledge files with that calibration as their posterior."""
    folder = tmp_path / "knowledge"
    shutil.copytree(base, folder)
    shutil.copy(written, folder / POSTERIOR)
    return folder


def same(first: Worlds, second: Worlds) -> bool:
    return (
        first.source == second.source
        and first.values.keys() == second.values.keys()
        and all((first.values[k] == second.values[k]).all() for k in first.values)
    )


# Worlds


def spoken_of(names: Iterable[str]) -> list[str]:
    """Unknowns but the effects of drugs that no fitted study holds, which keep their priors."""
    knowledge = load_knowledge()
    fitted = {
        dose.drug
        for study in (read_study(name, knowledge) for name in STUDIES)
        if study.role == "calibrate"
        for dose in (*study.population.background, *(d for arm in study.arms for d in arm.doses))
    }
    silent = {u.id for u in unknowns(knowledge) if u.drug and u.drug not in fitted}
    return [name for name in sorted(names) if name not in silent]


def rows(worlds: Worlds, small: Calibration) -> list[int]:
    """Which draw of the calibration each world is, whole."""
    names = spoken_of(worlds.values)
    draws = np.stack([small.worlds.values[k] for k in names], axis=1)
    match = (np.stack([worlds.values[k] for k in names], axis=1)[:, None] == draws[None]).all(axis=2)
    assert (match.sum(axis=1) == 1).all()
    return match.argmax(axis=1).tolist()


def test_worlds_are_whole_draws_of_the_posterior(root: Path, small: Calibration) -> None:
    knowledge = load_knowledge(root)
    found, reason = shipped_posterior(knowledge)
    assert found is not None
    assert reason == ""
    worlds = possible_worlds(knowledge, 5, 12)
    assert (worlds.source, worlds.n) == ("posterior", 12)
    assert set(worlds.values) == {u.id for u in unknowns(knowledge)}
    assert len(set(rows(worlds, small))) == 12


def test_more_worlds_than_draws_take_each_as_often(root: Path, small: Calibration) -> None:
    knowledge = load_knowledge(root)
    many = rows(possible_worlds(knowledge, 5, 2 * SMALL.members), small)
    assert sorted(many) == sorted([*range(SMALL.members)] * 2)
    # fewer worlds are the first of more, and another seed has others
    assert rows(possible_worlds(knowledge, 5, 7), small) == many[:7]
    assert rows(possible_worlds(knowledge, 6, 7), small) != many[:7]


def test_no_world_asked_for_gives_that_of_the_medians(root: Path, small: Calibration) -> None:
    worlds = possible_worlds(load_knowledge(root), 5, 0)
    assert (worlds.source, worlds.n) == ("posterior", 1)
    assert sorted(worlds.values) == spoken_of(small.worlds.values)
    for name, draws in worlds.values.items():
        assert draws.tolist() == [float(np.median(small.worlds.values[name]))], name


def test_without_a_file_worlds_come_from_the_priors(root: Path) -> None:
    (root / POSTERIOR).unlink()
    knowledge = load_knowledge(root)
    found, reason = shipped_posterior(knowledge)
    assert found is None
    assert "no posterior is there" in reason
    assert same(possible_worlds(knowledge, 5, 7), prior_worlds(knowledge, 5, 7))
    central = possible_worlds(knowledge, 5, 0)
    assert (central.values, central.n, central.source) == ({}, 1, "central")


def test_another_file_in_its_place_is_noticed(root: Path, small: Calibration, edited: Edited) -> None:
    before = possible_worlds(load_knowledge(root), 5, 7)
    with edited(root / POSTERIOR) as file:
        file.groups["posterior"].variables["K_LPS"][...] = np.full((1, SMALL.members), 0.6)
    after = possible_worlds(load_knowledge(root), 5, 7)
    assert after.values["K_LPS"].tolist() == [0.6] * 7
    assert before.values["K_LPS"].tolist() != [0.6] * 7


NEW_DRUG = """
[[target]]
slot = "insulin_resistance"
half = { value = 1.0, unit = "ug/mL", kind = "assumed", place = "test" }
maximum = { value = 0.3, unit = "dimensionless", kind = "assumed", place = "test" }
"""


@pytest.fixture
def with_new_drug(root: Path, tmp_path: Path) -> Knowledge:
    """The same files and a drug with an assumed effect, which the posterior does not know."""
    text = (SHIPPED / "drugs" / "metformin.toml").read_text(encoding="utf-8").split("[[target]]")
    usual = text[-1][text[-1].index("[usual]") :]
    drug = text[0].replace('"metformin"', '"newdrug"') + NEW_DRUG + usual
    (tmp_path / "own" / "drugs").mkdir(parents=True)
    (tmp_path / "own" / "drugs" / "newdrug.toml").write_text(drug, encoding="utf-8")
    return load_knowledge(root, extra=[tmp_path / "own"])


def test_what_the_file_does_not_hold_keeps_its_prior(with_new_drug: Knowledge, root: Path) -> None:
    name = "newdrug_insulin_resistance_max"
    worlds = possible_worlds(with_new_drug, 5, 12)
    assert worlds.source == "posterior"
    assert (worlds.values[name] == prior_worlds(with_new_drug, 5, 12).values[name]).all()
    assert len(set(worlds.values[name].tolist())) == 12
    without = possible_worlds(load_knowledge(root), 5, 12)
    assert same(
        Worlds({k: v for k, v in worlds.values.items() if k != name}, 12, worlds.source),
        without,
    )
    # at the medians it has the central value of its drug
    assert name not in possible_worlds(with_new_drug, 5, 0).values


def test_a_drug_without_fitted_studies_keeps_the_prior_that_it_has_now(root: Path) -> None:
    """Its draws say no more than its prior did; an edited drug file must not be overruled by them."""
    number("drugs/metformin.toml", r'slot = "insulin_resistance"(?:\n.*)*?\[target\.maximum\]\nvalue = ')(root)
    knowledge = load_knowledge(root)
    name = "metformin_insulin_resistance_max"
    assert (possible_worlds(knowledge, 5, 12).values[name] == prior_worlds(knowledge, 5, 12).values[name]).all()


def test_what_the_model_does_not_know_is_left_out(root: Path, edited: Edited) -> None:
    with edited(root / POSTERIOR) as file:
        group = file.groups["posterior"]
        group.create_variable("gone_drug_max", ("chain", "draw"), data=np.ones((1, SMALL.members)))
    knowledge = load_knowledge(root)
    for n in (0, 3):
        worlds = possible_worlds(knowledge, 5, n)
        assert worlds.source == "posterior"
        assert "gone_drug_max" not in worlds.values


# Staleness


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        assert len(re.findall(old, text)) == 1, (file, old)
        (root / file).write_text(re.sub(old, new, text), encoding="utf-8")

    return apply


def add_study(role: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        text = (root / "studies" / "uher2014.toml").read_text(encoding="utf-8")
        text = text.replace('id = "uher2014"', 'id = "another"').replace('role = "calibrate"', f'role = "{role}"')
        (root / "studies" / "another.toml").write_text(text, encoding="utf-8")

    return apply


OTHER_MODEL = "for another model or other populations"
OTHER_RESULTS = "the results that it was calibrated on have changed"


def number(file: str, before: str) -> Callable[[Path], None]:
    """Multiply the number that stands after something, which occurs once."""

    def apply(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        found = re.findall(f"({before})(-?[0-9.]+)", text)
        assert len(found) == 1, (file, before, found)
        where = found[0][0] + found[0][1]
        (root / file).write_text(
            text.replace(where, f"{found[0][0]}{float(found[0][1]) * 0.99:.6g}", 1), encoding="utf-8"
        )

    return apply


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "value of a constant": (number("parameters.tsv", r"\nk_LPS\tinnate\t"), OTHER_MODEL),
    "width of a prior": (number("parameters.tsv", r"\nK_LPS\t.*lognormal\("), OTHER_MODEL),
    "lower bound of a constant": (number("parameters.tsv", r"\nK_LPS\tinnate\t\S+\tng/kg\t"), OTHER_MODEL),
    "upper bound of a constant": (number("parameters.tsv", r"\nK_LPS\tinnate\t\S+\tng/kg\t\S+\t"), OTHER_MODEL),
    "an equation": (edit("mechanisms/innate.ant", r"LPS' = -k_LPS\*LPS", "LPS' = -2*k_LPS*LPS"), OTHER_MODEL),
    "a factor on a center": (number("population.toml", r"\neHT = .*center_log_sd = "), OTHER_MODEL),
    "a factor on a spread": (number("population.toml", r"\nlps_gain = .*spread_log_sd = "), OTHER_MODEL),
    "a correlation": (
        number("population.toml", r'\[\[diagnosis.mdd.correlation\]\]\nfirst = "stress".*\n.*\nvalue = '), OTHER_MODEL
    ),
    "the error of raters": (number("scales.toml", r"\[scale\.HAMD17\](?:\n.+)*\nrater_sd = "), OTHER_MODEL),
    "a fitted result": (number("studies/uher2014.toml", r"\nvalue = (?=-)"), OTHER_RESULTS),
    "a grade": (edit("studies/uher2014.toml", r'(?s)(\nvalue = 3\n.*)"human"', r'\1"primate"'), OTHER_RESULTS),
    "one more study to fit": (add_study("calibrate"), OTHER_RESULTS),
    "one less study to fit": (lambda root: (root / "studies" / "uher2014.toml").unlink(), OTHER_RESULTS),
    "the discount of memory": (number("evidence.toml", r"\nmemory = "), OTHER_RESULTS),
    "a study bias": (number("evidence.toml", r"\nregion = "), OTHER_RESULTS),
    "the effect of a fitted drug": (
        number("drugs/nortriptyline.toml", r'slot = "catecholamine_gain"[^$]*?\[target\.maximum\]\nvalue = '),
        OTHER_RESULTS,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_a_changed_model_or_evidence_makes_it_stale(root: Path, change: Callable[[Path], None], reason: str) -> None:
    change(root)
    knowledge = load_knowledge(root)
    found, said = shipped_posterior(knowledge)
    assert found is not None
    assert reason in said
    assert same(possible_worlds(knowledge, 5, 4), prior_worlds(knowledge, 5, 4))
    assert possible_worlds(knowledge, 5, 0).source == "central"


def other_words(file: str, before: str, words: str = "In other words: ") -> Callable[[Path], None]:
    return edit(file, f"({before})", rf"\1{words}")


HARMLESS: dict[str, Callable[[Path], None]] = {
    "a comment in the evidence": edit("evidence.toml", r"^# How", "# In other words. How"),
    "a comment in a mechanism": edit("mechanisms/innate.ant", r"^// Innate", "// Once more: innate"),
    "the source of a constant": other_words("parameters.tsv", r"\nlps_gain\t.*assumed\t\t"),
    "the source of a distribution": other_words("population.toml", r'\neHT = .*place = "'),
    "a bracket in the source of a distribution": other_words(
        "population.toml", r'\neHT = .*place = "', "Smith (10.1000/1), in words: "
    ),
    "the source of a scale": other_words("scales.toml", r'\[scale\.HAMD17\](?:\n.+)*\nplace = "'),
    "one more study to judge": add_study("validate"),
    "a judged result": edit("studies/nettis2021.toml", r"(?m)^value = -2\.42$", "value = -2.41"),
    "a comment about analytes": edit("analytes.toml", r"\Z", "# no more\n"),
}


HARMLESS_CASES = [pytest.param(change, id=name) for name, change in HARMLESS.items()]


@pytest.mark.parametrize("change", HARMLESS_CASES)
def test_words_and_studies_that_are_not_fitted_leave_it_as_it_is(
    root: Path, base: Path, small: Calibration, change: Callable[[Path], None]
) -> None:
    change(root)
    knowledge = load_knowledge(root)
    assert knowledge.sha256 != load_knowledge(base).sha256
    assert shipped_posterior(knowledge)[1] == ""
    assert len(rows(possible_worlds(knowledge, 5, 4), small)) == 4


# Files that are no posterior


def changed(change: Callable[[h5netcdf.File], object], *, sealed_again: bool = True) -> Callable[[Path], None]:
    """A change of the file; with the right checksum it is the content that must be found out."""

    def apply(path: Path) -> None:
        content = unsealed(path)
        with h5netcdf.File(content, "a") as file:
            change(file)
        path.write_bytes(sealed(content.getvalue()) if sealed_again else content.getvalue())

    return apply


def drop(key: str) -> Callable[[Path], None]:
    return changed(lambda file: file.attrs.__delitem__(key))


def one_draw(value: float) -> Callable[[h5netcdf.File], None]:
    def apply(file: h5netcdf.File) -> None:
        file.groups["posterior"].variables["K_LPS"][0, 3] = value

    return apply


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def write(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def other_netcdf(path: Path) -> None:
    with h5netcdf.File(path, "w") as file:
        file.dimensions["x"] = 2
        file.create_variable("y", ("x",), data=np.zeros(2))


BROKEN: dict[str, Callable[[Path], None]] = {
    "empty": write(b""),
    "no netCDF": write(b"chain,draw\n1,2\n"),
    "cut off": lambda path: write(path.read_bytes()[:4000])(path),
    "another netCDF file": other_netcdf,
    "no hash of the model": drop("model"),
    "no hash of the evidence": drop("evidence"),
    "changed and without its checksum": changed(one_draw(0.6), sealed_again=False),
    "a bit flipped": flipped,
    "longer": lambda path: write(path.read_bytes() + b"x")(path),
    "a draw that is no number": changed(one_draw(np.nan)),
    "an infinite draw": changed(one_draw(np.inf)),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_with_the_remedy(root: Path, damage: Callable[[Path], None]) -> None:
    path = root / POSTERIOR
    damage(path)
    with pytest.raises(PopulationError) as caught:
        possible_worlds(load_knowledge(root), 5, 4)
    message = str(caught.value)
    assert message.startswith(f"{path}: is no posterior of Crosstalk (")
    assert "expected a file written by `crosstalk calibrate`" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_draw(1e300), "draws of K_LPS go from .* expected"),
        (one_draw(-1.0), "draws of K_LPS go from -1 "),
        (lambda file: file._h5file["posterior"].__delitem__("K_LPS"), "lacks draws of K_LPS"),
    ],
    ids=["beyond its bounds", "negative", "a variable less"],
)
def test_draws_that_cannot_be_are_refused(root: Path, change: Callable[[h5netcdf.File], object], words: str) -> None:
    """Also where the checksum is right."""
    changed(change)(root / POSTERIOR)
    with pytest.raises(PopulationError, match=words):
        possible_worlds(load_knowledge(root), 5, 4)


# Another posterior than the one that ships


def test_a_variable_names_another_posterior(
    base: Path, written: Path, small: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    knowledge = load_knowledge(base)
    assert possible_worlds(knowledge, 5, 4).source == "prior"
    assert knowledge_state(knowledge) == (
        False,
        "priors, not calibrated: no posterior is there; `crosstalk calibrate` makes one",
    )
    monkeypatch.setenv(VARIABLE, str(written))
    assert len(rows(possible_worlds(knowledge, 5, 4), small)) == 4
    calibrated, words = knowledge_state(knowledge)
    assert calibrated
    assert words.startswith(f"calibrated posterior, {SMALL.members} draws (p.nc of version ")


def test_a_posterior_that_was_asked_for_must_fit(
    root: Path, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere.nc"))
    with pytest.raises(PopulationError, match=rf"nowhere\.nc: no such file; {VARIABLE} names a posterior"):
        possible_worlds(load_knowledge(root), 5, 4)
    add_study("calibrate")(root)
    monkeypatch.setenv(VARIABLE, str(written))
    with pytest.raises(PopulationError, match=rf"p\.nc: {OTHER_RESULTS}; make it again .* or unset {VARIABLE}"):
        possible_worlds(load_knowledge(root), 5, 4)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PopulationError, match=r"nowhere\.nc: is no posterior"):
        read_posterior(tmp_path / "nowhere.nc")
